//! YAML with positions: documents whose nodes know their bytes, byte patches, scalar style.
//!
//! A document keeps each scalar's source text and style and gives it no type, so `0755` and `on`
//! stay what the author wrote. [`edit()`] changes texts at paths of a document, byte-exact and with
//! proof. Typed reading is left to [`serde_yaml`].

mod decode;
mod document;
mod edit;
mod node;
mod patch;
mod path;
mod read;
mod scalar;
mod unique;

pub use decode::{Invalid, decode, flaw, nearest};
pub use document::{Document, Location, Position};
pub(crate) use edit::splice;
pub use edit::{Change, EditError, Refusal, edit, read_bytes};
pub use node::{Anchor, Entry, Node, ScalarStyle, Span, StructureStyle, Tag, Value};
pub use patch::{Patch, PatchError, apply};
pub use path::{Path, PathError, Step};
pub use read::{ParseError, check_nesting};
pub use scalar::{resolves_to_string, write_scalar};
pub use unique::Unique;
