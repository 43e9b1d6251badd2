//! Why there are no tags, with the line of the input that is to blame.

use super::line::Line;
use super::moment::MomentError;
use super::pattern::PatternError;
use super::template::TemplateError;

/// A line that can't be read, or makes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}, line {}, `{}`: {problem}", .line.input, .line.number, .line.text)]
pub struct TagsError {
    /// The line.
    pub line: Line,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A quote stands where none can.
    #[error("a `\"` in the middle of a field; quote the whole field: `\"pattern=a,b\"`")]
    Quote,
    /// There is no such type.
    #[error("no tag type `{0}`; expected schedule, semver, pep440, match, edge, ref, raw or sha")]
    Type(String),
    /// A key is missing that the type needs.
    #[error("type={kind} needs `{key}=`")]
    Missing {
        /// The type.
        kind: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A key's value is not one of those that it can have.
    #[error("`{key}={value}`; expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it says.
        value: String,
        /// What it could say.
        expected: &'static str,
    },
    /// There is no such key.
    #[error("no key `{key}`; expected {expected}")]
    Key {
        /// What it says.
        key: String,
        /// What it could say.
        expected: &'static str,
    },
    /// Text stands where `key=value` is expected.
    #[error("`{field}` is not `key=value`; expected {expected}")]
    Bare {
        /// The text.
        field: String,
        /// What it could say.
        expected: &'static str,
    },
    /// An image has no name.
    #[error("the image has no name")]
    NoName,
    /// An image has two names.
    #[error("the image has two names; write a line for each")]
    TwoNames,
    /// The part of the version that `match` asks for is not there.
    #[error("`match={0}` fits, but has no group 1 that does; put what to keep into `(…)`")]
    NoGroup(String),
    /// A template can't be read or filled in.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A regular expression can't be read.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl From<MomentError> for TemplateError {
    fn from(error: MomentError) -> Self {
        Self::Date(error)
    }
}

impl Problem {
    /// Returns the error of `line`.
    pub(super) fn at(self, line: &Line) -> TagsError {
        TagsError { line: line.clone(), problem: self }
    }
}
