//! Which services of a change the branch has newer images of already.

use jiff::{SignedDuration, Timestamp};

use super::{Edited, SetError, SetOptions, message};
use crate::argocd::Relation;
use crate::git::{Commit, CommitId, Source};
use crate::promotion::{Record, RecordedSource, StandingRecord, is_superseded};

/// A service that was left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superseded {
    /// The service.
    pub service: String,
    /// The image that was not written.
    pub image: String,
    /// What the branch has instead.
    pub by: StandingRecord,
}

/// No more commits of the branch are looked at.
const MOST_COMMITS: usize = 512;

/// How far the clocks of two machines may be apart.
const SKEW: SignedDuration = SignedDuration::from_mins(10);

/// Returns those services of `edits` that `tip` has newer images of.
pub(super) async fn superseded(
    options: &SetOptions<'_>,
    tip: &CommitId,
    edits: &[Edited],
) -> Result<Vec<Superseded>, SetError> {
    let Some(since) = since(options, edits) else { return Ok(Vec::new()) };
    let commits = options.manifests.store().since(tip, since, MOST_COMMITS).await?;
    Ok(by(&commits, options, edits).await)
}

/// Returns since when commits of the branch may have newer images; `None`: none can.
fn since(options: &SetOptions<'_>, edits: &[Edited]) -> Option<Timestamp> {
    if options.allow_older {
        return None;
    }
    // What was committed before an image's source was can't be built from a newer one.
    let times = known(options, edits).map(|(_, source)| source.time.unwrap_or(options.time));
    let oldest = times.min()?;
    Some(oldest.checked_sub(SKEW).unwrap_or(Timestamp::MIN))
}

/// Returns those services of `edits` that `commits`, newest first, have newer images of.
pub(super) async fn by(
    commits: &[Commit],
    options: &SetOptions<'_>,
    edits: &[Edited],
) -> Vec<Superseded> {
    let mut superseded = Vec::new();
    if options.allow_older {
        return superseded;
    }
    for (edit, source) in known(options, edits) {
        let Some(by) = standing(commits, &edit.service, &options.environment.name) else {
            continue;
        };
        let relation = relation(options, &source, &by).await;
        if is_superseded(Some(&source), options.time, &by, relation) {
            let (service, image) = (edit.service.clone(), edit.image.to_string());
            superseded.push(Superseded { service, image, by });
        }
    }
    superseded
}

/// Returns what changes and is built from a known commit.
fn known<'a>(
    options: &SetOptions<'_>,
    edits: &'a [Edited],
) -> impl Iterator<Item = (&'a Edited, RecordedSource)> {
    let changed = edits.iter().filter(|edit| !edit.diff.is_empty());
    changed.filter_map(|edit| Some((edit, message::source(options, &edit.service)?)))
}

/// Returns the newest record of `service` in `environment` in `commits`, newest first.
fn standing(commits: &[Commit], service: &str, environment: &str) -> Option<StandingRecord> {
    let is_of = |record: &Record| record.service == service && record.environment == environment;
    commits.iter().find_map(|commit| {
        let mut records = Record::read(&commit.trailers()).into_iter().rev();
        Some(StandingRecord {
            record: records.find(is_of)?,
            commit: commit.id.to_string(),
            author: commit.author.name.clone(),
            time: commit.time,
        })
    })
}

/// Returns how the source commit on record stands to `source`, where the checkout tells.
async fn relation(
    options: &SetOptions<'_>,
    source: &RecordedSource,
    standing: &StandingRecord,
) -> Relation {
    let root = options.source.as_ref().and_then(|source| source.root.as_ref());
    let (Some(root), Some(theirs)) = (root, &standing.record.source) else {
        return Relation::Unknown;
    };
    Source::relation(root, &source.commit, &theirs.commit).await
}

impl SetOptions<'_> {
    /// Returns the same change without the services that are superseded.
    pub(super) fn without(&self, superseded: &[Superseded]) -> Self {
        let mut options = self.clone();
        let is = |service: &str| superseded.iter().any(|other| other.service == service);
        options.images.retain(|(service, _)| !is(&service.name));
        options
    }
}
