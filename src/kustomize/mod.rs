//! The kustomization file: which images it states, and their byte-exact edit.
//!
//! Finding the file on a disk or in a commit is the tree's business ([`FileTree`]); rendering is
//! left to [`crate::render`].

mod ambiguous;
mod below;
mod edit;
mod effect;
mod find;
mod incoming;
mod kustomization;
mod set_image;
mod swallowed;
mod transform;
mod tree;

pub use ambiguous::Ambiguous;
pub use below::{Below, below, without_images};
pub use edit::{Edit, EditError, ImageChange, Setting, set_images};
pub use effect::{Asked, Effect, FieldChange, asked, differences, effect, images, without};
pub use find::{FILE_NAMES, FindError, find_kustomization};
pub use incoming::{Incoming, Unreached};
pub(crate) use kustomization::is_name;
pub use kustomization::{ImageEntry, Kustomization, KustomizationError};
pub(crate) use set_image::split as split_image;
pub use set_image::{ImageArgument, Rules, set_image};
pub use swallowed::{Rule, Swallowed, nearest_image, swallowed};
pub use transform::{Trace, is_about, is_like_a_pattern, name_of, trace, transform};
pub use tree::{ChangedTree, FileTree, MemoryTree, TreeError, inside, is_remote};
