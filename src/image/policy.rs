//! Tag policies: what an image is tagged with, as a function of its source and its content.
//!
//! A tag is for people; the digest decides. A policy gives the same tag for the same facts on every
//! machine, and two commits with the same first 12 characters aside, different tags for different
//! sources. A short commit id may be all digits, or look like `12e34`: whoever writes it into YAML
//! quotes it.

use std::fmt;
use std::str::FromStr;

use super::{Digest, Tag, TagError};

/// How many characters of a commit id a tag has; git's own abbreviation depends on the repository.
const COMMIT_LENGTH: usize = 12;

/// How an image's tag comes about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TagPolicy {
    /// The first 12 characters of the source's commit id; as [`TagPolicy::Content`] where there is
    /// no commit, or files differ from it.
    #[default]
    Commit,
    /// `content-` and the first 12 characters of the image's digest. The prefix keeps YAML from
    /// taking the tag for a number, and people from taking it for a commit.
    Content,
    /// A text with placeholders.
    Template(TagTemplate),
}

/// A text with the placeholders `{commit}` and `{content}`, each of 12 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagTemplate(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Commit,
    Content,
}

/// What is known of the source that an image is built from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFacts {
    /// The commit id, if the source is in a git repository that has one.
    pub commit: Option<String>,
    /// Whether files differ from that commit.
    pub dirty: bool,
}

/// Why there is no tag, or no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagPolicyError {
    /// The template wants a commit, and there is none that says what was built.
    #[error("tag template `{template}` needs a commit, and {reason}")]
    NoCommit {
        /// The template.
        template: String,
        /// What is in the way.
        reason: &'static str,
    },
    /// The template has a placeholder that means nothing.
    #[error("`{{{0}}}` is not a tag placeholder; expected `{{commit}}` or `{{content}}`")]
    Placeholder(String),
    /// The text is neither a policy's name nor a template.
    #[error(
        "`{0}` is not a tag policy; expected `commit`, `content` or a template with `{{commit}}` or `{{content}}`"
    )]
    Unknown(String),
    /// What came about is not a tag.
    #[error(transparent)]
    Tag(#[from] TagError),
}

impl TagPolicy {
    /// Returns the tag of an image with the digest `content`, built from `source`.
    ///
    /// # Errors
    ///
    /// Fails if a template needs a commit that is not there, or makes something that is not a tag.
    pub fn tag(&self, source: &SourceFacts, content: &Digest) -> Result<Tag, TagPolicyError> {
        let text = match (self, source.clean_commit()) {
            (Self::Commit, Ok(commit)) => commit.to_owned(),
            (Self::Commit, Err(_)) | (Self::Content, _) => format!("content-{}", content.short()),
            (Self::Template(template), commit) => template.fill(commit, content)?,
        };
        Ok(text.parse()?)
    }
}

impl SourceFacts {
    /// Returns the short id of the commit that the files are at.
    ///
    /// # Errors
    ///
    /// Fails with the reason if there is no commit, or files differ from it.
    pub fn clean_commit(&self) -> Result<&str, &'static str> {
        match &self.commit {
            None => Err("there is none"),
            Some(_) if self.dirty => Err("its files have changes that are not committed"),
            Some(commit) => Ok(commit.get(..COMMIT_LENGTH).unwrap_or(commit)),
        }
    }
}

impl TagTemplate {
    fn fill(
        &self,
        commit: Result<&str, &'static str>,
        content: &Digest,
    ) -> Result<String, TagPolicyError> {
        let no_commit = |reason| TagPolicyError::NoCommit { template: self.to_string(), reason };
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => Ok(text.as_str()),
            Piece::Commit => commit.map_err(no_commit),
            Piece::Content => Ok(content.short()),
        });
        pieces.collect()
    }
}

impl FromStr for TagTemplate {
    type Err = TagPolicyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, placeholder, after)) = next_placeholder(rest) {
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(match placeholder {
                "commit" => Piece::Commit,
                "content" => Piece::Content,
                other => return Err(TagPolicyError::Placeholder(other.to_owned())),
            });
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        let template = Self(pieces);
        // A tag of the right shape shows now, not at the first build, that the text around fits.
        let filled = template.fill(Ok("0123456789ab"), &Digest::of(b""))?;
        filled.parse::<Tag>()?;
        Ok(template)
    }
}

impl fmt::Display for TagTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Commit => f.write_str("{commit}"),
            Piece::Content => f.write_str("{content}"),
        })
    }
}

impl FromStr for TagPolicy {
    type Err = TagPolicyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "commit" => Ok(Self::Commit),
            "content" => Ok(Self::Content),
            // A tag that is always the same would say nothing about the image.
            _ if text.contains('{') => text.parse().map(Self::Template),
            _ => Err(TagPolicyError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for TagPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit => f.write_str("commit"),
            Self::Content => f.write_str("content"),
            Self::Template(template) => template.fmt(f),
        }
    }
}

/// Returns what stands before, in and after the first `{…}`.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (placeholder, after) = rest.split_once('}')?;
    Some((before, placeholder, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "4e5b6c7d8e9f0123456789abcdef0123456789ab";

    fn check(policy: &str, commit: Option<&str>, dirty: bool) -> Result<String, String> {
        let source = SourceFacts { commit: commit.map(str::to_owned), dirty };
        let policy: TagPolicy =
            policy.parse().map_err(|error: TagPolicyError| error.to_string())?;
        let tag = policy.tag(&source, &Digest::of(b""));
        tag.map(|tag| tag.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_clean_commit_is_the_tag_and_the_content_where_there_is_none() {
        assert_eq!(check("commit", Some(COMMIT), false).unwrap(), "4e5b6c7d8e9f");
        assert_eq!(check("commit", Some(COMMIT), true).unwrap(), "content-e3b0c44298fc");
        assert_eq!(check("commit", None, false).unwrap(), "content-e3b0c44298fc");
        assert_eq!(check("content", Some(COMMIT), false).unwrap(), "content-e3b0c44298fc");
    }

    #[test]
    fn a_template_is_filled_in() {
        let tag = check("main-{commit}.{content}", Some(COMMIT), false);
        assert_eq!(tag.unwrap(), "main-4e5b6c7d8e9f.e3b0c44298fc");
        assert_eq!(
            check("v-{commit}", Some(COMMIT), true).unwrap_err(),
            "tag template `v-{commit}` needs a commit, and its files have changes that are not committed"
        );
    }

    #[test]
    fn a_policy_that_makes_no_tag_is_refused_when_it_is_read() {
        let refused = |text: &str| text.parse::<TagPolicy>().unwrap_err();
        assert_eq!(refused("{date}"), TagPolicyError::Placeholder("date".to_owned()));
        assert_eq!(refused("latest"), TagPolicyError::Unknown("latest".to_owned()));
        assert!(matches!(refused("-{commit}"), TagPolicyError::Tag(_)));
        assert!(matches!(refused("a/{commit}"), TagPolicyError::Tag(_)));
        assert!(matches!(refused("{commit"), TagPolicyError::Tag(_)));
    }
}
