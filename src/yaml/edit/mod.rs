//! Edits that leave every other byte alone: texts at paths of a document, set with proof.
//!
//! Each change becomes a few byte patches. What comes out is read back, and must be the old document
//! with that change and nothing else, also for libyaml, or the edit is refused.

pub(crate) mod lines;
mod place;
mod same;
pub(crate) mod second;
pub(crate) mod splice;
mod write;

#[cfg(test)]
mod tests;

pub use splice::Refusal;

use self::place::Place;
use super::{Document, ParseError, Path, apply};

/// The largest text that is edited, in bytes.
const LARGEST: usize = 4 << 20;

/// A change of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The value at the path becomes this text. Keys that are missing are written: behind the key
    /// `after` of the same mapping if it is there, else at the end.
    Set {
        /// The path.
        path: Path,
        /// The text.
        text: String,
        /// The key to write a missing last key behind.
        after: Option<String>,
    },
    /// The list at the path gets this text as its last item. Keys that are missing are written.
    Append {
        /// The path of the list.
        path: Path,
        /// The text.
        text: String,
    },
}

/// Why a text is not edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is not UTF-8.
    #[error("line {line}: this is not UTF-8")]
    NotUtf8 {
        /// The line with the first wrong byte.
        line: usize,
    },
    /// It is too large.
    #[error("{size} bytes are too many; expected at most {LARGEST}")]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// It is not YAML.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// It is written in a way that can't be edited with certainty.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl EditError {
    /// Returns the line that the error is about, if it is about one.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::NotUtf8 { line } => Some(*line),
            Self::TooLarge { .. } => None,
            Self::Parse(error) => Some(error.line),
            Self::Refused(refusal) => Some(refusal.line),
        }
    }
}

/// Returns the one document of `bytes`.
///
/// # Errors
///
/// Fails if they are too many, not UTF-8, not YAML, or several documents.
pub fn read_bytes(bytes: &[u8]) -> Result<Document, EditError> {
    if bytes.len() > LARGEST {
        return Err(EditError::TooLarge { size: bytes.len() });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        EditError::NotUtf8 { line: before.iter().filter(|&&b| b == b'\n').count() + 1 }
    })?;
    Ok(Document::parse(text)?)
}

/// Returns `bytes` with `changes` made, one after another. Where nothing has to change they come
/// back as they are.
///
/// # Errors
///
/// Fails if they can't be read, or are written in a way that can't be edited with certainty:
/// several documents, anchors, aliases, merge keys or repeated keys on a path.
pub fn edit(bytes: &[u8], changes: &[Change]) -> Result<Vec<u8>, EditError> {
    let mut document = read_bytes(bytes)?;
    for change in changes {
        document = make(document, change)?;
    }
    Ok(document.text().as_bytes().to_owned())
}

fn make(document: Document, change: &Change) -> Result<Document, EditError> {
    let place = Place::of(&document, change)?;
    if place.says_it(change) {
        return Ok(document);
    }
    let reason =
        "this can't be edited without changing more than was asked for; write it in a plainer way";
    let at = place.node.start();
    let ways = place.ways(&document, change)?;
    let attempt = |patches: &Vec<_>| {
        let after = Document::parse(&apply(document.text(), patches).ok()?).ok()?;
        let is_proven = place.is_proven(&document, &after, change)
            && second::agrees(document.text(), after.text(), change);
        is_proven.then_some(after)
    };
    Ok(ways.iter().find_map(attempt).ok_or_else(|| Refusal::new(&document, at, reason))?)
}
