//! Getting a change into the branch: joined with those of other processes, in a push that goes on
//! until it wins, or by a pull request.

use super::edit::{self, Change};
use super::{Outcome, SetError, SetOptions, SetReport, message, pull_request};
use crate::config::Via;
use crate::git::{self, CommitId, LandError, Landing, Pace, PendingChange};
use crate::ops::{Edited, Emit, Event};
use crate::promotion::Record;

pub(super) async fn land(options: &SetOptions<'_>, emit: Emit<'_>) -> Result<SetReport, SetError> {
    let repository = &options.manifests.repository;
    let branch = match &options.manifests.branch {
        Some(branch) => branch.clone(),
        None => repository.default_branch().await?,
    };
    let mut pace = Pace::new(options.deadline);
    let mut next = None;
    loop {
        let tip = match next.take() {
            Some(tip) => tip,
            None => {
                emit(Event::Fetching { remote: options.manifests.remote.clone() });
                repository.fetch_together(&branch).await?
            }
        };
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
        let change = pending(options, tip, files, &edits);
        let landing = match options.environment.via {
            Via::Push => push(options, &change, &branch, &mut pace, emit).await?,
            Via::PullRequest => {
                pull_request(options, &change, &branch, &edits, &mut pace, emit).await?
            }
        };
        match landing {
            Ok(outcome) => return Ok(report(outcome)),
            Err(tip) => next = tip,
        }
    }
}

/// What became of an attempt, or the tip to make the change anew on, if that is fetched.
type Attempt = Result<Outcome, Option<CommitId>>;

async fn push(
    options: &SetOptions<'_>,
    change: &PendingChange,
    branch: &str,
    pace: &mut Pace,
    emit: Emit<'_>,
) -> Result<Attempt, SetError> {
    let tell = |attempt| emit(Event::Raced { attempt });
    let landing = options.manifests.repository.land(change, branch, pace, &tell).await;
    Ok(match landing.map_err(|error| failed(options, branch, error))? {
        Landing::Landed { commit } => Ok(Outcome::Pushed { commit, branch: branch.to_owned() }),
        Landing::Unchanged { tip } => Ok(Outcome::Unchanged { tip }),
        Landing::Moved { tip } => Err(Some(tip)),
    })
}

/// Pushes the change to a branch of deployctl's own, which nobody else's change joins.
async fn pull_request(
    options: &SetOptions<'_>,
    change: &PendingChange,
    branch: &str,
    edits: &[Edited],
    pace: &mut Pace,
    emit: Emit<'_>,
) -> Result<Attempt, SetError> {
    let trailers: Vec<(&str, &str)> =
        change.trailers.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let message = git::message(&change.subject, &change.body, &trailers);
    let commit = options
        .manifests
        .repository
        .commit(&change.base, &change.files, &message, &options.authorship, options.time)
        .await?;
    let Some(commit) = commit else {
        return Ok(Ok(Outcome::Unchanged { tip: change.base.clone() }));
    };
    if let Some(outcome) = pull_request::land(options, &commit, branch, edits).await? {
        return Ok(Ok(outcome));
    }
    let pause = pace.lost(&change.base).map_err(|error| failed(options, branch, error))?;
    emit(Event::Raced { attempt: pace.attempts() });
    tokio::time::sleep(pause).await;
    Ok(Err(None))
}

fn failed(options: &SetOptions<'_>, branch: &str, error: LandError) -> SetError {
    let branch = branch.to_owned();
    match error {
        LandError::Raced { attempts, time } => SetError::Raced { branch, attempts, time },
        LandError::Stuck => SetError::Stuck { branch, remote: options.manifests.remote.clone() },
        LandError::Git(error) => error.into(),
    }
}

/// Returns the change as one that can join others.
fn pending(
    options: &SetOptions<'_>,
    base: CommitId,
    files: crate::kustomize::MemoryTree,
    edits: &[Edited],
) -> PendingChange {
    let records = message::records(options);
    let trailers = records.iter().flat_map(Record::trailers);
    PendingChange {
        base,
        files,
        subject: message::subject(options),
        body: message::body(options, edits),
        trailers: trailers.map(|(key, value)| (key.to_owned(), value)).collect(),
        environments: vec![options.environment.name.clone()],
        authorship: options.authorship.clone(),
        time: options.time,
    }
}
