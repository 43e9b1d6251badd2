//! What the action does without a word, and people find out later.

use std::fmt;

use super::event::Event;
use super::flavor::Latest;
use super::metadata::{Metadata, Request};
use super::pep440::Pep440;
use super::rule::{RuleKind, ShaFormat};
use super::semver::SemVer;

/// Something to know before the tags are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Footgun {
    /// A prerelease becomes `latest`.
    PrereleaseIsLatest {
        /// The git tag.
        tag: String,
    },
    /// `latest` moves whatever was published before.
    LatestMoves,
    /// A commit's id is cut so short that another way of cutting gives another tag.
    ShortSha {
        /// How many characters.
        length: usize,
    },
    /// The commit is GitHub's attempt to merge a pull request.
    MergeCommit,
    /// The labels change with every commit, or with every run.
    NewDigest {
        /// Whether `created` is the time of this run.
        is_wall_clock: bool,
    },
    /// Another ref has the same tag.
    Collision {
        /// The ref's name.
        name: String,
        /// The tag.
        tag: String,
    },
    /// No registry takes the tag.
    NoTag {
        /// The tag.
        tag: String,
    },
    /// There is no tag at all.
    Nothing,
}

impl fmt::Display for Footgun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrereleaseIsLatest { tag } => write!(
                f,
                "`{tag}` is a prerelease, and becomes `latest`; write `--flavor latest=false`, or \
                 type=semver, which knows prereleases"
            ),
            Self::LatestMoves => f.write_str(
                "`latest` moves to this version even if a higher one has it, and the build that \
                 ends last wins; `movingTags` in deployctl.yaml only move forward",
            ),
            Self::ShortSha { length } => write!(
                f,
                "type=sha gives {length} characters of the commit's id, and git abbreviates to \
                 more in a larger repository; write `format=long`, or set \
                 DOCKER_METADATA_SHORT_SHA_LENGTH"
            ),
            Self::MergeCommit => f.write_str(
                "the commit is GitHub's attempt to merge the pull request, which is in no branch; \
                 set DOCKER_METADATA_PR_HEAD_SHA=true for the pull request's own",
            ),
            Self::NewDigest { is_wall_clock: true } => f.write_str(
                "the label `created` is the time of this run and `revision` the commit, so an \
                 image that has them gets a new digest each time, and a rollout, though nothing \
                 else changed; leave them out, or set SOURCE_DATE_EPOCH to the commit's time",
            ),
            Self::NewDigest { is_wall_clock: false } => f.write_str(
                "the labels `created` and `revision` change with every commit, so an image that \
                 has them gets a new digest for each, and a rollout, though nothing else changed",
            ),
            Self::Collision { name, tag } => write!(
                f,
                "`{name}` becomes the tag `{tag}`, and so does every name that differs from it \
                 only in characters that no tag has"
            ),
            Self::NoTag { tag } => write!(
                f,
                "`{tag}` is not a tag: it begins with `.` or `-`, or is longer than 128 characters"
            ),
            Self::Nothing => f.write_str("no rule gives a tag for this event"),
        }
    }
}

/// Returns what there is to know of `metadata`, which came of `request` and `event`.
/// `is_wall_clock` tells whether the clock was that of the machine.
pub fn footguns(
    request: &Request,
    event: &Event,
    metadata: &Metadata,
    is_wall_clock: bool,
) -> Vec<Footgun> {
    if metadata.version.main.is_none() {
        return vec![Footgun::Nothing];
    }
    let mut found: Vec<Footgun> = latest(request, event, metadata).into_iter().collect();
    found.extend(sha(request, event, metadata));
    found.extend(collision(request, event, metadata));
    let bad = metadata.tag_names.iter().filter(|tag| tag.parse::<crate::image::Tag>().is_err());
    found.extend(bad.map(|tag| Footgun::NoTag { tag: tag.clone() }));
    if !replaces_own_labels(request) {
        found.push(Footgun::NewDigest { is_wall_clock });
    }
    found
}

fn latest(request: &Request, event: &Event, metadata: &Metadata) -> Option<Footgun> {
    if !metadata.version.latest {
        return None;
    }
    match event.tag() {
        Some(tag) if is_prerelease(tag) => {
            Some(Footgun::PrereleaseIsLatest { tag: tag.to_owned() })
        }
        _ => (request.flavor.latest == Latest::Auto).then_some(Footgun::LatestMoves),
    }
}

/// Returns whether the last part of a git tag is a version before a release.
fn is_prerelease(tag: &str) -> bool {
    let version = tag.rsplit('/').next().unwrap_or(tag);
    match version.parse::<SemVer>() {
        Ok(version) => version.is_prerelease(),
        Err(_) => Pep440::parse(version).is_some_and(|version| version.is_prerelease()),
    }
}

fn sha(request: &Request, event: &Event, metadata: &Metadata) -> Vec<Footgun> {
    let is_used = |format| {
        let sha = match format {
            ShaFormat::Short => event.sha.get(..request.short_length).unwrap_or(&event.sha),
            ShaFormat::Long => &event.sha,
        };
        !sha.is_empty() && metadata.tag_names.iter().any(|tag| tag.contains(sha))
    };
    let mut rules = request.rules.iter().filter_map(|rule| match &rule.kind {
        RuleKind::Sha(format) => Some(*format),
        _ => None,
    });
    let used: Vec<ShaFormat> = rules.by_ref().filter(|format| is_used(*format)).collect();
    let mut found = Vec::new();
    let length = request.short_length;
    if used.contains(&ShaFormat::Short) && length < 12 {
        found.push(Footgun::ShortSha { length });
    }
    if !used.is_empty() && event.is_merge_commit {
        found.push(Footgun::MergeCommit);
    }
    found
}

fn collision(request: &Request, event: &Event, metadata: &Metadata) -> Option<Footgun> {
    let name = event.branch().or_else(|| event.tag())?;
    let slug = super::version::sanitised(name);
    let is_asked = request.rules.iter().any(|rule| matches!(rule.kind, RuleKind::Ref(_)));
    let tag = metadata.tag_names.iter().find(|tag| tag.contains(&slug))?.clone();
    (is_asked && slug != name).then(|| Footgun::Collision { name: name.to_owned(), tag })
}

/// Returns whether the lines state `created` and `revision` themselves.
fn replaces_own_labels(request: &Request) -> bool {
    ["created", "revision"].iter().all(|name| {
        let key = format!("org.opencontainers.image.{name}=");
        request.stated_labels().any(|line| line.text.starts_with(&key))
    })
}
