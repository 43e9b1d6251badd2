//! A tag as a text with placeholders.

use std::fmt;
use std::str::FromStr;

use super::facts::{COMMIT_LENGTH, Missing};
use super::{SourceFacts, TagPolicyError, slug};
use crate::image::{Digest, Tag};
use crate::tags::format_date;

/// A text with placeholders: `{commit}`, `{commit:LENGTH}`, `{content}`, `{input}`, `{version}`,
/// `{major}`, `{minor}`, `{patch}`, `{branch}`, `{date}` and `{date:FORMAT}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagTemplate(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Fact(Placeholder),
}

/// What stands in a template for something that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Placeholder {
    Commit(usize),
    Content,
    Input,
    Version,
    Major,
    Minor,
    Patch,
    Branch,
    Date(String),
}

/// The date's format where none is stated.
pub(super) const DATE_FORMAT: &str = "YYYYMMDD-HHmmss";

impl TagTemplate {
    pub(super) fn fill(
        &self,
        source: &SourceFacts,
        content: &Digest,
    ) -> Result<String, TagPolicyError> {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => Ok(text.clone()),
            Piece::Fact(fact) => fact.value(source, content).map_err(|reason| {
                TagPolicyError::NoFact { template: self.to_string(), needs: fact.noun(), reason }
            }),
        };
        self.0.iter().map(piece).collect()
    }
}

impl Placeholder {
    fn parse(text: &str) -> Option<Self> {
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        Some(match (name, argument) {
            ("commit", None) => Self::Commit(COMMIT_LENGTH),
            ("commit", Some(length)) => Self::Commit(commit_length(length)?),
            ("date", None) => Self::Date(DATE_FORMAT.to_owned()),
            ("date", Some(format)) if !format.is_empty() => Self::Date(format.to_owned()),
            (_, Some(_)) => return None,
            ("content", _) => Self::Content,
            ("input", _) => Self::Input,
            ("version", _) => Self::Version,
            ("major", _) => Self::Major,
            ("minor", _) => Self::Minor,
            ("patch", _) => Self::Patch,
            ("branch", _) => Self::Branch,
            _ => return None,
        })
    }

    /// Returns what it stands for, or why that is not known.
    pub(super) fn value(&self, source: &SourceFacts, content: &Digest) -> Result<String, Missing> {
        let version = || source.version("");
        Ok(match self {
            Self::Commit(length) => source.commit_of(*length)?.to_owned(),
            Self::Content => content.short().to_owned(),
            Self::Input => source.input.as_ref().ok_or(NO_INPUT)?.to_string(),
            Self::Version => version()?.to_string(),
            Self::Major => version()?.major.to_string(),
            Self::Minor => version()?.minor.to_string(),
            Self::Patch => version()?.patch.to_string(),
            Self::Branch => slug(source.clean_branch()?),
            Self::Date(format) => {
                format_date(source.date()?, "UTC", format).map_err(|_| "it can't be written")?
            }
        })
    }

    /// Returns what it needs to be known.
    fn noun(&self) -> &'static str {
        match self {
            Self::Commit(_) => "a commit",
            Self::Content => "an image",
            Self::Input => "the input digest",
            Self::Version | Self::Major | Self::Minor | Self::Patch => "a version",
            Self::Branch => "a branch",
            Self::Date(_) => "a date",
        }
    }
}

const NO_INPUT: &str = "what decides the image could not be told before it was built";

/// Returns how many characters of a commit's id `text` asks for, or `None` if that is too few to tell
/// commits apart, or more than there are.
pub(super) fn commit_length(text: &str) -> Option<usize> {
    text.parse().ok().filter(|length| (7..=40).contains(length))
}

impl FromStr for TagTemplate {
    type Err = TagPolicyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, placeholder, after)) = next_placeholder(rest) {
            let unknown = || TagPolicyError::Placeholder(placeholder.to_owned());
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Fact(Placeholder::parse(placeholder).ok_or_else(unknown)?));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        let template = Self(pieces);
        // A tag of the right shape shows now, not at the first build, that the text around fits.
        template.fill(&sample()?, &Digest::of(b""))?.parse::<Tag>()?;
        Ok(template)
    }
}

/// Returns facts that no policy misses anything in.
pub(super) fn sample() -> Result<SourceFacts, TagPolicyError> {
    Ok(SourceFacts {
        commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
        branch: Some("main".to_owned()),
        tags: vec!["v1.2.3".to_owned()],
        time: Some(jiff::Timestamp::UNIX_EPOCH),
        input: Some(format!("input-{}", &Digest::of(b"").hex()[..32]).parse()?),
        ..SourceFacts::default()
    })
}

impl fmt::Display for TagTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Fact(fact) => write!(f, "{{{fact}}}"),
        })
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Commit(COMMIT_LENGTH) => "commit",
            Self::Commit(length) => return write!(f, "commit:{length}"),
            Self::Content => "content",
            Self::Input => "input",
            Self::Version => "version",
            Self::Major => "major",
            Self::Minor => "minor",
            Self::Patch => "patch",
            Self::Branch => "branch",
            Self::Date(format) if format == DATE_FORMAT => "date",
            Self::Date(format) => return write!(f, "date:{format}"),
        })
    }
}

/// Returns what stands before, in and after the first `{…}`.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (placeholder, after) = rest.split_once('}')?;
    Some((before, placeholder, after))
}
