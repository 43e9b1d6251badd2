//! Tags that move from one image to the next, and only forward: to a descendant commit, or to the
//! highest stable version.
//!
//! Who moves such a tag first gives its image another tag that never moves, a *mark*: of a release its
//! version, `1.4.2`; of any other build `BRANCH.SECONDS.COMMIT`, with the branch as a slug, the time
//! of the commit and its whole id. So the tags of a repository say by themselves which commits and
//! versions there are, whatever the image's digest and whichever tool reads them, and the registry
//! needs nothing but to list them: of all that the OCI specification has, only a tag of one's own can
//! be put by many at once without any of them being lost. Lists of referrers, which registries without
//! an API for them keep as a document that is read, changed and written, can.
//!
//! Which mark is ahead is decided here; reading, putting and looking again is in `ops/build/moving.rs`.

mod likely;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use super::semver::SemVer;
use crate::argocd::Relation;
use crate::image::{SourceFacts, Tag, TagError, slug};
pub use likely::likely;

/// A tag that moves: `latest`, `NAME@BRANCH`, or a text with `{major}`, `{minor}` or `{branch}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovingTag {
    text: String,
    follows: Follows,
}

/// What a moving tag follows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Follows {
    /// Versions with the same numbers, as far as the text names them.
    Versions,
    /// The build's own branch.
    OwnBranch,
    /// This branch.
    Branch(String),
    /// All versions if there are any, else the default branch.
    Newest,
}

/// Why a text is no moving tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MovingTagError {
    /// It names something else.
    #[error(
        "`{0}` is not a moving tag; expected `latest` or another name, `NAME@BRANCH`, or a text \
         with `{{major}}`, with `{{major}}` and `{{minor}}`, or with `{{branch}}`"
    )]
    Text(String),
    /// What comes about is not a tag.
    #[error(transparent)]
    Tag(#[from] TagError),
}

/// The commit that an image is built from, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    commit: String,
    committed: Timestamp,
    branch: Option<String>,
    default_branch: Option<String>,
    version: Option<SemVer>,
}

/// What a tag follows at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// The tag.
    pub tag: Tag,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Stable versions with these numbers.
    Versions { major: Option<u64>, minor: Option<u64> },
    /// Commits of the branch with this slug.
    Commits { branch: String },
}

/// A tag that says where its image is on a course.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The tag.
    pub tag: Tag,
    at: At,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum At {
    Version(SemVer),
    Commit { id: String, committed: Timestamp },
}

/// How a mark stands to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is not ahead.
    Behind,
    /// It is ahead.
    Ahead,
    /// It is of the same second, and the checkout has too little of the history to tell which comes
    /// first.
    Unclear,
    /// It is neither: histories parted.
    Beside,
}

/// Why a tag does not move to a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stay {
    /// The build is nothing that the tag follows.
    Other(String),
    /// There is something ahead of it.
    Overtaken {
        /// What.
        by: Mark,
        /// How it stands to the build.
        standing: Standing,
    },
}

/// A commit is not made longer than that before its parent, whatever the clocks of people say, so what
/// is older is not looked at. A history that was given up is let go after that time, too.
const MOST_SKEW: SignedDuration = SignedDuration::from_hours(24);

impl Place {
    /// Returns where a build from `source` is, whose service has `prefix` before versions in git tags.
    ///
    /// # Errors
    ///
    /// Fails with the reason if there is no commit that says what was built.
    pub fn of(source: &SourceFacts, prefix: &str) -> Result<Self, &'static str> {
        source.clean_commit()?;
        let known = source.commit.clone().zip(source.committed);
        let (commit, committed) = known.ok_or("there is no commit with a time")?;
        Ok(Self {
            commit,
            committed,
            branch: source.branch.clone(),
            default_branch: source.default_branch.clone(),
            version: source.version(prefix).ok(),
        })
    }

    /// Returns the commit's id.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    fn release(&self) -> Option<&SemVer> {
        self.version.as_ref().filter(|version| !version.is_prerelease())
    }

    /// Returns whether it is in the branch that others are made from.
    fn is_on_default_branch(&self) -> bool {
        match (&self.branch, &self.default_branch) {
            (Some(branch), Some(default)) => branch == default,
            (Some(branch), None) => branch == "main" || branch == "master",
            (None, _) => false,
        }
    }
}

impl MovingTag {
    /// Returns what the tag follows at `place`, in a repository that has `tags`.
    ///
    /// # Errors
    ///
    /// Fails with the reason if it does not follow builds like this one.
    pub fn course(&self, place: &Place, tags: &[Tag]) -> Result<Course, Stay> {
        let other = |reason: &str| Stay::Other(reason.to_owned());
        let release = place.release();
        let branch = place.branch.as_deref();
        let (tag, kind) = match &self.follows {
            Follows::Versions => {
                let release = release.ok_or_else(|| other("its commit is no release"))?;
                (self.filled(Some(release), None), self.numbers(release))
            }
            Follows::OwnBranch => {
                let branch = branch.ok_or_else(|| other("its branch is not known"))?;
                (self.filled(None, Some(branch)), Kind::Commits { branch: slug(branch) })
            }
            Follows::Branch(follows) if branch == Some(follows) => {
                (self.text.clone(), Kind::Commits { branch: slug(follows) })
            }
            Follows::Branch(follows) => {
                return Err(Stay::Other(format!("it follows the branch `{follows}`")));
            }
            Follows::Newest if release.is_some() => {
                (self.text.clone(), Kind::Versions { major: None, minor: None })
            }
            Follows::Newest if place.version.is_some() => {
                return Err(other("it does not follow prereleases"));
            }
            Follows::Newest if tags.iter().any(|tag| version_of(tag).is_some()) => {
                return Err(other("it follows releases, and its commit is none"));
            }
            Follows::Newest if place.is_on_default_branch() => {
                let branch = slug(branch.unwrap_or_default());
                (self.text.clone(), Kind::Commits { branch })
            }
            Follows::Newest => return Err(other("it follows the default branch")),
        };
        let tag = tag.parse().map_err(|error: TagError| Stay::Other(error.to_string()))?;
        Ok(Course { tag, kind })
    }

    fn filled(&self, version: Option<&SemVer>, branch: Option<&str>) -> String {
        let text = match version {
            Some(version) => self
                .text
                .replace("{major}", &version.major.to_string())
                .replace("{minor}", &version.minor.to_string()),
            None => self.text.clone(),
        };
        text.replace("{branch}", &branch.map(slug).unwrap_or_default())
    }

    fn numbers(&self, version: &SemVer) -> Kind {
        let minor = self.text.contains("{minor}").then_some(version.minor);
        Kind::Versions { major: Some(version.major), minor }
    }
}

impl Course {
    /// Returns the mark of a build at `place`.
    pub fn mark(&self, place: &Place) -> Mark {
        let (text, at) = match (&self.kind, place.release()) {
            (Kind::Versions { .. }, Some(release)) => {
                (release.to_string(), At::Version(release.clone()))
            }
            (Kind::Versions { .. }, None) => unreachable!("a course of versions is of a release"),
            (Kind::Commits { branch }, _) => {
                let seconds = place.committed.as_second().max(0);
                let text = format!("{branch}.{seconds:010}.{}", place.commit);
                let (id, committed) = (place.commit.clone(), place.committed);
                (text, At::Commit { id, committed })
            }
        };
        let tag = text.parse().expect("a slug, a number and an id, or a version, are a tag");
        Mark { tag, at }
    }

    /// Returns the marks among `tags` that are on this course and may be ahead of `mark`, newest first.
    pub fn rivals(&self, mark: &Mark, tags: &[Tag]) -> Vec<Mark> {
        let marks = tags.iter().filter_map(|tag| self.read(tag));
        let mut rivals: Vec<Mark> =
            marks.filter(|other| other.tag != mark.tag && other.may_be_ahead(mark)).collect();
        rivals.sort_by(|a, b| b.newest_first(a));
        rivals
    }

    /// Returns the mark that `tag` is on this course, or `None`.
    fn read(&self, tag: &Tag) -> Option<Mark> {
        let at = match &self.kind {
            Kind::Versions { major, minor } => {
                let version = version_of(tag)?;
                let fits = major.is_none_or(|major| major == version.major)
                    && minor.is_none_or(|minor| minor == version.minor);
                if !fits {
                    return None;
                }
                At::Version(version)
            }
            Kind::Commits { branch } => {
                let rest = tag.as_str().strip_prefix(branch.as_str())?.strip_prefix('.')?;
                let (seconds, id) = rest.split_once('.')?;
                let is_id = id.len() == 40 && id.bytes().all(|b| b.is_ascii_hexdigit());
                let seconds = seconds.parse().ok().filter(|_| is_id)?;
                let committed = Timestamp::from_second(seconds).ok()?;
                At::Commit { id: id.to_owned(), committed }
            }
        };
        Some(Mark { tag: tag.clone(), at })
    }
}

impl Mark {
    /// Returns the commit that it is at, or `None` for a version.
    pub fn commit(&self) -> Option<&str> {
        match &self.at {
            At::Version(_) => None,
            At::Commit { id, .. } => Some(id),
        }
    }

    /// Returns how `self` stands to `other`, the mark of the commit that is checked out. `relation` tells
    /// how its commit stands to that one, and `is_shallow` whether the checkout lacks old ones.
    pub fn standing(&self, other: &Self, relation: Relation, is_shallow: bool) -> Standing {
        let is_later = self.newest_first(other).is_gt();
        match (&self.at, relation) {
            (At::Version(_), _) if is_later => Standing::Ahead,
            (At::Version(_), _) => Standing::Behind,
            (At::Commit { .. }, Relation::Same | Relation::Older) => Standing::Behind,
            (At::Commit { .. }, Relation::Newer) => Standing::Ahead,
            (At::Commit { .. }, Relation::Diverged) => Standing::Beside,
            // A whole checkout has every ancestor of its commit. So it is a later one, which came after
            // the checkout was made, or was given up. A part of a history knows the parents alone. What
            // is none of them is most likely a child: the tag must not go back, and a build that leaves
            // it to an older one is told so.
            (At::Commit { .. }, Relation::Unknown) if self.is_at(other) => match is_shallow {
                true => Standing::Unclear,
                false => Standing::Ahead,
            },
            (At::Commit { .. }, Relation::Unknown) if is_later => Standing::Ahead,
            (At::Commit { .. }, Relation::Unknown) => Standing::Behind,
        }
    }

    /// Returns whether `self` is further than `other`, where both are ahead of the commit that is checked
    /// out. Of two that the checkout does not have the later one is; of two of the same second that can't
    /// be told, and everybody takes the same one.
    pub fn is_further_than(&self, other: &Self, relation: Relation) -> bool {
        match relation {
            Relation::Same | Relation::Older => false,
            Relation::Newer => true,
            Relation::Diverged | Relation::Unknown => self.newest_first(other).is_gt(),
        }
    }

    fn is_at(&self, other: &Self) -> bool {
        matches!((&self.at, &other.at),
            (At::Commit { committed: a, .. }, At::Commit { committed: b, .. }) if a == b)
    }

    fn may_be_ahead(&self, other: &Self) -> bool {
        match (&self.at, &other.at) {
            (At::Version(a), At::Version(b)) => a.precedence(b).is_gt(),
            (At::Commit { committed: a, .. }, At::Commit { committed: b, .. }) => {
                b.duration_since(*a) <= MOST_SKEW
            }
            _ => false,
        }
    }

    /// Orders marks by version, or by time and then by id.
    fn newest_first(&self, other: &Self) -> Ordering {
        match (&self.at, &other.at) {
            (At::Version(a), At::Version(b)) => a.precedence(b),
            (At::Commit { id: a, committed: x }, At::Commit { id: b, committed: y }) => {
                x.cmp(y).then_with(|| a.cmp(b))
            }
            _ => Ordering::Equal,
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            At::Version(version) => write!(f, "version {version}"),
            At::Commit { id, .. } => write!(f, "commit {}", &id[..12]),
        }
    }
}

impl fmt::Display for Stay {
    /// Writes it behind the tag and a colon.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(reason) => f.write_str(reason),
            Self::Overtaken { by, standing: Standing::Beside } => write!(
                f,
                "{by} is not an ancestor of this build's commit; if it was given up, delete the tag `{}`",
                by.tag
            ),
            Self::Overtaken { by, standing: Standing::Unclear } => write!(
                f,
                "{by} is of the same second as this build's commit, and this shallow checkout does not \
                 tell which of them comes first, so it counts as ahead; fetch more of the history to know"
            ),
            Self::Overtaken { by, .. } => write!(f, "{by} is ahead of this build"),
        }
    }
}

impl FromStr for MovingTag {
    type Err = MovingTagError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || MovingTagError::Text(text.to_owned());
        let has = |placeholder: &str| text.contains(placeholder);
        let (name, follows) = match text.split_once('@') {
            Some((_, "")) => return Err(wrong()),
            Some((name, branch)) => (name, Follows::Branch(branch.to_owned())),
            None if has("{branch}") => (text, Follows::OwnBranch),
            None if has("{major}") => (text, Follows::Versions),
            None => (text, Follows::Newest),
        };
        let bare = match follows {
            Follows::Versions => name.replace("{major}", "1").replace("{minor}", "2"),
            Follows::OwnBranch => name.replace("{branch}", "main"),
            Follows::Branch(_) | Follows::Newest => name.to_owned(),
        };
        if bare.contains(['{', '}']) {
            return Err(wrong());
        }
        bare.parse::<Tag>()?;
        Ok(Self { text: name.to_owned(), follows })
    }
}

impl fmt::Display for MovingTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.follows {
            Follows::Branch(branch) => write!(f, "{}@{branch}", self.text),
            _ => f.write_str(&self.text),
        }
    }
}

/// Returns the release that a tag names, or `None`.
fn version_of(tag: &Tag) -> Option<SemVer> {
    tag.as_str().parse().ok().filter(|version: &SemVer| !version.is_prerelease())
}

#[cfg(test)]
mod tests;
