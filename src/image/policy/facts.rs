//! What is known of the source that an image is built from.

use camino::Utf8PathBuf;
use jiff::Timestamp;

use crate::image::Tag;
use crate::tags::SemVer;

/// What is known of the source that an image is built from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFacts {
    /// The commit id, if the source is in a git repository that has one.
    pub commit: Option<String>,
    /// Whether files differ from that commit.
    pub dirty: bool,
    /// The branch that the commit was checked out from, or that a pipeline says it is in.
    pub branch: Option<String>,
    /// The branch that others are made from, if the repository knows it.
    pub default_branch: Option<String>,
    /// The git tags at the commit.
    pub tags: Vec<String>,
    /// When the commit was made, unless files differ from it; what `SOURCE_DATE_EPOCH` says goes before
    /// it. Never the clock.
    pub time: Option<Timestamp>,
    /// When the commit was made, whatever else is stated.
    pub committed: Option<Timestamp>,
    /// The folder of the checkout, where commits can be compared.
    pub root: Option<Utf8PathBuf>,
    /// Whether the checkout lacks commits before its own.
    pub is_shallow: bool,
    /// The tag that says what the image is made of, where that could be told.
    pub input: Option<Tag>,
}

/// How many characters of a commit's id a tag has, unless it says so itself; git's own abbreviation
/// depends on the repository.
pub(super) const COMMIT_LENGTH: usize = 12;

/// Why a fact is not there.
pub(super) type Missing = &'static str;

impl SourceFacts {
    /// Returns the short id of the commit that the files are at.
    ///
    /// # Errors
    ///
    /// Fails with the reason if there is no commit, or files differ from it.
    pub fn clean_commit(&self) -> Result<&str, &'static str> {
        self.commit_of(COMMIT_LENGTH)
    }

    /// Returns the highest version that a tag at the commit states behind `prefix`; a release goes
    /// before any version that leads to one.
    ///
    /// # Errors
    ///
    /// Fails with the reason if there is none, or files differ from the commit.
    pub fn version(&self, prefix: &str) -> Result<SemVer, &'static str> {
        self.clean_commit()?;
        let versions = self.tags.iter().filter_map(|tag| tag.strip_prefix(prefix)?.parse().ok());
        let rank = |a: &SemVer, b: &SemVer| {
            (!a.is_prerelease()).cmp(&!b.is_prerelease()).then_with(|| a.precedence(b))
        };
        versions.max_by(rank).ok_or("no git tag at its commit is a semantic version")
    }

    /// Returns the branch that the files are of.
    ///
    /// # Errors
    ///
    /// Fails with the reason if it is not known, or files differ from the commit.
    pub fn clean_branch(&self) -> Result<&str, &'static str> {
        self.clean_commit()?;
        self.branch.as_deref().ok_or("no branch is checked out, and no pipeline names one")
    }

    pub(super) fn commit_of(&self, length: usize) -> Result<&str, Missing> {
        match &self.commit {
            None => Err("there is none"),
            Some(_) if self.dirty => Err("its files have changes that are not committed"),
            Some(commit) => Ok(commit.get(..length).unwrap_or(commit)),
        }
    }

    pub(super) fn date(&self) -> Result<Timestamp, Missing> {
        self.time.ok_or("it has no commit with these files, and SOURCE_DATE_EPOCH is not set")
    }
}
