//! The kustomization file: which images it states, and their byte-exact edit.
//!
//! Finding the file on a disk or in a commit is the tree's business ([`FileTree`]); rendering is
//! left to [`crate::render`].

mod tree;

pub use tree::{ChangedTree, FileTree, MemoryTree, TreeError};
