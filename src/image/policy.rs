//! Tag policies: what an image is tagged with, as a function of its source and its content.
//!
//! A tag is for people; the digest decides. A policy gives the same tag for the same facts on every
//! machine, and two commits with the same first 12 characters aside, `commit`, `content` and `input`
//! give different tags for different sources. Names of branches become tags by [`slug`], which keeps
//! two branches apart. A date is the commit's, never the clock's. A tag may be all digits, or look
//! like `12e34`: whoever writes it into YAML quotes it.

mod facts;
mod slug;
mod template;

use std::fmt;
use std::str::FromStr;

use super::{Digest, Tag, TagError};
use facts::{COMMIT_LENGTH, Missing};
use template::{DATE_FORMAT, Placeholder, commit_length};

pub use facts::SourceFacts;
pub(crate) use slug::slug;
pub use template::TagTemplate;

/// How an image's tag comes about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagPolicy {
    /// So many characters of the source's commit id; as [`TagPolicy::Content`] where there is no
    /// commit, or files differ from it.
    Commit {
        /// How many: 12, unless it is said.
        length: usize,
    },
    /// `content-` and the first 12 characters of the image's digest. The prefix keeps YAML from
    /// taking the tag for a number, and people from taking it for a commit.
    Content,
    /// The tag that says what the image is made of.
    Input,
    /// The version that a git tag at the commit states; as 12 characters of the commit where none
    /// does.
    Semver {
        /// What stands before the version in the git tag, such as `web/`.
        prefix: String,
    },
    /// The branch, as a slug has it; as 12 characters of the commit where none is known.
    Branch,
    /// When the commit was made, in UTC; as [`TagPolicy::Content`] where that is not known.
    Date {
        /// How it is written, as moment has it.
        format: String,
    },
    /// A text with placeholders.
    Template(TagTemplate),
}

/// Why there is no tag, or no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagPolicyError {
    /// The template, or the policy, wants something that is not known.
    #[error("tag template `{template}` needs {needs}, and {reason}")]
    NoFact {
        /// The template.
        template: String,
        /// What it wants.
        needs: &'static str,
        /// What is in the way.
        reason: &'static str,
    },
    /// The template has a placeholder that means nothing.
    #[error(
        "`{{{0}}}` is not a tag placeholder; expected one of commit, commit:LENGTH, content, input, \
         version, major, minor, patch, branch, date and date:FORMAT"
    )]
    Placeholder(String),
    /// The text is neither a policy's name nor a template.
    #[error(
        "`{0}` is not a tag policy; expected `commit`, `commit:LENGTH`, `content`, `input`, \
         `semver`, `semver:PREFIX`, `branch`, `date`, `date:FORMAT` or a template such as \
         `{{branch}}-{{commit}}`"
    )]
    Unknown(String),
    /// The length of a commit's id is not one.
    #[error("`{0}` is not a length of a commit's id; expected 7 to 40")]
    Length(String),
    /// What came about is not a tag.
    #[error(transparent)]
    Tag(#[from] TagError),
}

/// What an image is tagged by in place of what its policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    by: &'static str,
    instead_of: &'static str,
    reason: Missing,
}

impl fmt::Display for Fallback {
    /// Writes it behind `… is tagged `.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by its {}, not by {}: {}", self.by, self.instead_of, self.reason)
    }
}

impl Default for TagPolicy {
    fn default() -> Self {
        Self::Commit { length: COMMIT_LENGTH }
    }
}

impl TagPolicy {
    /// Returns the tag of an image with the digest `content`, built from `source`.
    ///
    /// # Errors
    ///
    /// Fails if a template needs what is not there, or something comes about that is not a tag.
    pub fn tag(&self, source: &SourceFacts, content: &Digest) -> Result<Tag, TagPolicyError> {
        let by_content = || format!("content-{}", content.short());
        let by_commit = || source.clean_commit().map_or_else(|_| by_content(), str::to_owned);
        let text = match self {
            Self::Template(template) => template.fill(source, content)?,
            Self::Content => by_content(),
            Self::Input => Placeholder::Input.value(source, content).map_err(|reason| {
                let (template, needs) = ("input".to_owned(), "the input digest");
                TagPolicyError::NoFact { template, needs, reason }
            })?,
            policy => policy.of_source(source).unwrap_or_else(|_| by_commit()),
        };
        Ok(text.parse()?)
    }

    /// Returns what the image is tagged by in place of what the policy says, where that is not known.
    pub fn fallback(&self, source: &SourceFacts) -> Option<Fallback> {
        let reason = self.of_source(source).err()?;
        let by = if source.clean_commit().is_ok() { "source's commit" } else { "content" };
        let instead_of = match self {
            Self::Semver { .. } => "a version",
            Self::Branch => "its branch",
            Self::Date { .. } => "the date of its source's commit",
            _ => "its source's commit",
        };
        Some(Fallback { by, instead_of, reason })
    }

    /// Returns what stands before a version in the service's git tags.
    pub fn version_prefix(&self) -> &str {
        match self {
            Self::Semver { prefix } => prefix,
            _ => "",
        }
    }

    /// Returns the tag of the policies that need nothing but the source; nothing of the others.
    fn of_source(&self, source: &SourceFacts) -> Result<String, Missing> {
        match self {
            Self::Commit { length } => source.commit_of(*length).map(str::to_owned),
            Self::Semver { prefix } => source.version(prefix).map(|version| version.to_string()),
            Self::Branch => source.clean_branch().map(slug),
            Self::Date { format } => {
                Placeholder::Date(format.clone()).value(source, &Digest::of(b""))
            }
            Self::Content | Self::Input | Self::Template(_) => Ok(String::new()),
        }
    }
}

impl FromStr for TagPolicy {
    type Err = TagPolicyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A placeholder has a colon too.
        if text.contains('{') {
            return text.parse().map(Self::Template);
        }
        let policy = match text.split_once(':') {
            None => match text {
                "commit" => Self::default(),
                "content" => Self::Content,
                "input" => Self::Input,
                "semver" => Self::Semver { prefix: String::new() },
                "branch" => Self::Branch,
                "date" => Self::Date { format: DATE_FORMAT.to_owned() },
                // A tag that is always the same would say nothing about the image.
                _ => return Err(TagPolicyError::Unknown(text.to_owned())),
            },
            Some(("commit", length)) => {
                let wrong = || TagPolicyError::Length(length.to_owned());
                Self::Commit { length: commit_length(length).ok_or_else(wrong)? }
            }
            Some(("semver", prefix)) => Self::Semver { prefix: prefix.to_owned() },
            Some(("date", format)) if !format.is_empty() => {
                Self::Date { format: format.to_owned() }
            }
            Some(_) => return Err(TagPolicyError::Unknown(text.to_owned())),
        };
        policy.tag(&template::sample()?, &Digest::of(b""))?;
        Ok(policy)
    }
}

impl fmt::Display for TagPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit { length: COMMIT_LENGTH } => f.write_str("commit"),
            Self::Commit { length } => write!(f, "commit:{length}"),
            Self::Content => f.write_str("content"),
            Self::Input => f.write_str("input"),
            Self::Semver { prefix } if prefix.is_empty() => f.write_str("semver"),
            Self::Semver { prefix } => write!(f, "semver:{prefix}"),
            Self::Branch => f.write_str("branch"),
            Self::Date { format } if format == DATE_FORMAT => f.write_str("date"),
            Self::Date { format } => write!(f, "date:{format}"),
            Self::Template(template) => template.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "4e5b6c7d8e9f0123456789abcdef0123456789ab";

    fn source(commit: Option<&str>, dirty: bool) -> SourceFacts {
        SourceFacts { commit: commit.map(str::to_owned), dirty, ..SourceFacts::default() }
    }

    fn tag(policy: &str, source: &SourceFacts) -> Result<String, String> {
        let policy: TagPolicy =
            policy.parse().map_err(|error: TagPolicyError| error.to_string())?;
        let tag = policy.tag(source, &Digest::of(b""));
        tag.map(|tag| tag.to_string()).map_err(|error| error.to_string())
    }

    fn check(policy: &str, commit: Option<&str>, dirty: bool) -> Result<String, String> {
        tag(policy, &source(commit, dirty))
    }

    fn release() -> SourceFacts {
        let tags = ["v1.4.0-rc.2", "web/v3.0.0", "v1.3.9", "1.4.0-rc.10", "nightly"];
        SourceFacts {
            branch: Some("feature/x".to_owned()),
            tags: tags.map(str::to_owned).into(),
            time: Some("2020-01-10T01:30:00+01:00".parse().unwrap()),
            input: Some("input-00".parse().unwrap()),
            ..source(Some(COMMIT), false)
        }
    }

    #[test]
    fn a_clean_commit_is_the_tag_and_the_content_where_there_is_none() {
        assert_eq!(check("commit", Some(COMMIT), false).unwrap(), "4e5b6c7d8e9f");
        assert_eq!(check("commit:16", Some(COMMIT), false).unwrap(), "4e5b6c7d8e9f0123");
        assert_eq!(check("commit", Some(COMMIT), true).unwrap(), "content-e3b0c44298fc");
        assert_eq!(check("commit", None, false).unwrap(), "content-e3b0c44298fc");
        assert_eq!(check("content", Some(COMMIT), false).unwrap(), "content-e3b0c44298fc");
    }

    #[test]
    fn each_policy_takes_its_fact() {
        for (policy, expected) in [
            ("semver", "1.3.9"),
            ("semver:web/", "3.0.0"),
            ("branch", &format!("feature-x-{}", &Digest::of(b"feature/x").hex()[..8])),
            ("date", "20200110-003000"),
            ("date:YYYY.DDDD", "2020.010"),
            ("input", "input-00"),
            ("v{version}-{commit:7}", "v1.3.9-4e5b6c7"),
            ("{major}.{minor}.{patch}_{date:YYYY}-{input}", "1.3.9_2020-input-00"),
        ] {
            assert_eq!(tag(policy, &release()).as_deref(), Ok(expected), "{policy}");
            assert_eq!(policy.parse::<TagPolicy>().unwrap().to_string(), policy);
        }
    }

    #[test]
    fn a_fact_that_is_missing_has_a_fallback_that_says_so() {
        let fallback = |policy: &str, source: &SourceFacts| {
            let policy: TagPolicy = policy.parse().unwrap();
            policy.fallback(source).map(|fallback| fallback.to_string())
        };
        let bare = source(Some(COMMIT), false);
        for (policy, said) in [
            (
                "semver",
                "by its source's commit, not by a version: no git tag at its commit is a semantic version",
            ),
            (
                "branch",
                "by its source's commit, not by its branch: no branch is checked out, and no pipeline names one",
            ),
            (
                "date",
                "by its source's commit, not by the date of its source's commit: it has no commit with these files, and SOURCE_DATE_EPOCH is not set",
            ),
        ] {
            assert_eq!(tag(policy, &bare).unwrap(), "4e5b6c7d8e9f");
            assert_eq!(fallback(policy, &bare).as_deref(), Some(said));
            assert_eq!(fallback(policy, &release()), None);
        }
        let dirty = SourceFacts { dirty: true, ..release() };
        assert_eq!(tag("semver", &dirty).unwrap(), "content-e3b0c44298fc");
        assert_eq!(
            fallback("commit", &dirty).as_deref(),
            Some(
                "by its content, not by its source's commit: its files have changes that are not committed"
            )
        );
        assert_eq!(fallback("content", &dirty), None);
    }

    #[test]
    fn a_template_is_filled_in() {
        let tag = check("main-{commit}.{content}", Some(COMMIT), false);
        assert_eq!(tag.unwrap(), "main-4e5b6c7d8e9f.e3b0c44298fc");
        for (policy, said) in [
            (
                "v-{commit}",
                "tag template `v-{commit}` needs a commit, and its files have changes that are not committed",
            ),
            (
                "{version}",
                "tag template `{version}` needs a version, and its files have changes that are not committed",
            ),
            (
                "input",
                "tag template `input` needs the input digest, and what decides the image could not be told before it was built",
            ),
        ] {
            assert_eq!(check(policy, Some(COMMIT), true).unwrap_err(), said);
        }
    }

    #[test]
    fn a_policy_that_makes_no_tag_is_refused_when_it_is_read() {
        let refused = |text: &str| text.parse::<TagPolicy>().unwrap_err();
        assert_eq!(refused("{time}"), TagPolicyError::Placeholder("time".to_owned()));
        assert_eq!(refused("{commit:6}"), TagPolicyError::Placeholder("commit:6".to_owned()));
        assert_eq!(refused("commit:41"), TagPolicyError::Length("41".to_owned()));
        assert_eq!(refused("latest"), TagPolicyError::Unknown("latest".to_owned()));
        assert_eq!(refused("branch:x"), TagPolicyError::Unknown("branch:x".to_owned()));
        for text in ["-{commit}", "a/{commit}", "{commit", "date:HH:mm", "{date:HH mm}"] {
            assert!(matches!(refused(text), TagPolicyError::Tag(_)), "{text}");
        }
    }
}
