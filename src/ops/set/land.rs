//! Getting a change into the branch: by a push that goes on until it wins, or by a pull request.

use std::time::{Duration, Instant};

use super::edit::{self, Change};
use super::{Outcome, SetError, SetOptions, SetReport, message, pull_request};
use crate::config::Via;
use crate::git::{self, CommitId, Push};
use crate::ops::{Edited, Emit, Event};
use crate::promotion::Record;

/// The shortest and the longest time between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

pub(super) async fn land(options: &SetOptions<'_>, emit: Emit<'_>) -> Result<SetReport, SetError> {
    let start = Instant::now();
    let repository = &options.manifests.repository;
    let branch = match &options.manifests.branch {
        Some(branch) => branch.clone(),
        None => repository.default_branch().await?,
    };
    let mut attempt = 1;
    let mut still = Still::default();
    loop {
        let tip = options.manifests.fetch(emit).await?;
        if still.is_stuck_at(&tip) {
            return Err(SetError::Stuck { branch, remote: options.manifests.remote.clone() });
        }
        let Change { files, edits } = edit::change(options, &repository.tree(&tip)?, emit).await?;
        let report = |outcome| SetReport {
            environment: options.environment.name.clone(),
            edits: edits.clone(),
            outcome,
        };
        if files.0.is_empty() {
            return Ok(report(Outcome::Unchanged { tip }));
        }
        if options.dry_run {
            return Ok(report(Outcome::DryRun));
        }
        let message = commit_message(options, &edits);
        let commit =
            repository.commit(&tip, &files, &message, &options.authorship, options.time).await?;
        let Some(commit) = commit else { return Ok(report(Outcome::Unchanged { tip })) };
        let outcome = match options.environment.via {
            Via::Push => push(options, &commit, &branch, &tip).await?,
            Via::PullRequest => pull_request::land(options, &commit, &branch, &edits).await?,
        };
        if let Some(outcome) = outcome {
            return Ok(report(outcome));
        }
        if start.elapsed() >= options.deadline {
            return Err(SetError::Raced { branch, attempts: attempt, time: start.elapsed() });
        }
        emit(Event::Raced { attempt });
        tokio::time::sleep(pause(attempt)).await;
        attempt += 1;
    }
}

/// How often in a row a push was refused as late though the branch had not moved.
#[derive(Default)]
struct Still {
    tip: Option<CommitId>,
    times: u32,
}

impl Still {
    /// Returns whether the branch has been at `tip` for too many attempts: then nobody is faster,
    /// but something is in the way, such as the lock of a push that died.
    fn is_stuck_at(&mut self, tip: &CommitId) -> bool {
        self.times = if self.tip.as_ref() == Some(tip) { self.times + 1 } else { 0 };
        self.tip = Some(tip.clone());
        self.times >= STUCK_AFTER
    }
}

/// About 15 seconds, with the pauses between attempts.
const STUCK_AFTER: u32 = 8;

/// Returns how long to wait after attempt `attempt`: a random part (full jitter) of a bound that
/// doubles, so that writers who met once do not meet again.
fn pause(attempt: u32) -> Duration {
    let (shortest, longest) = PAUSES;
    let bound = shortest.saturating_mul(1 << attempt.min(10)).min(longest);
    bound.mul_f64(crate::system::random_fraction())
}

/// Returns `None` if the push lost a race.
async fn push(
    options: &SetOptions<'_>,
    commit: &CommitId,
    branch: &str,
    tip: &CommitId,
) -> Result<Option<Outcome>, SetError> {
    let push = options.manifests.repository.push(commit, branch, Some(tip)).await?;
    let (commit, branch) = (commit.clone(), branch.to_owned());
    Ok((push == Push::Pushed).then_some(Outcome::Pushed { commit, branch }))
}

/// Returns the commit message: a subject, why, and the records as trailers.
fn commit_message(options: &SetOptions<'_>, edits: &[Edited]) -> String {
    let trailers = message::records(options);
    let trailers: Vec<_> = trailers.iter().flat_map(Record::trailers).collect();
    let trailers: Vec<(&str, &str)> =
        trailers.iter().map(|(key, value)| (*key, value.as_str())).collect();
    git::message(&message::subject(options), &message::body(options, edits), &trailers)
}
