//! The kustomization file: which images it states, and their byte-exact edit.
//!
//! Finding the file on a disk or in a commit is the tree's business ([`FileTree`]); rendering is
//! left to [`crate::render`].

mod edit;
mod find;
mod kustomization;
mod set_image;
mod tree;

pub use edit::{Edit, EditError, ImageChange, Setting, set_images};
pub use find::{FILE_NAMES, FindError, find_kustomization};
pub use kustomization::{ImageEntry, Kustomization, KustomizationError};
pub use set_image::{Rules, set_image};
pub use tree::{ChangedTree, FileTree, MemoryTree, TreeError};
