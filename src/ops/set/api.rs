//! A change without a clone: the files are read through GitHub's API, and the commit is made by it,
//! so that GitHub signs it.

use super::edit::{self, Change};
use super::store::{ApiStore, Put, Store};
use super::{Outcome, SetError, SetOptions, SetReport, message, pull_request};
use crate::config::Via;
use crate::git::{CommitId, LandError, Pace};
use crate::github::Branches;
use crate::kustomize::MemoryTree;
use crate::ops::{Emit, Event, hold};

/// Lands the change through the API.
///
/// # Errors
///
/// Fails with [`SetError::BeyondApi`] where only git can do it; then nothing was written.
pub(super) async fn land(
    options: &SetOptions<'_>,
    branches: &Branches<'_>,
    emit: Emit<'_>,
) -> Result<SetReport, SetError> {
    let store = ApiStore { branches, branch: options.manifests.branch.as_deref() };
    match options.environment.via {
        Via::Push => push(options, &store, emit).await,
        Via::PullRequest => pull_request::land(options, &store, emit).await,
    }
}

async fn push(
    options: &SetOptions<'_>,
    store: &ApiStore<'_>,
    emit: Emit<'_>,
) -> Result<SetReport, SetError> {
    let branch = store.base().await?;
    let mut pace = Pace::new(options.deadline);
    loop {
        let tip = tip_of(store, &branch, options).await?;
        let Change { files, edits } = change(options, store, &tip, emit).await?;
        let report = |outcome| SetReport {
            environment: options.environment.name.clone(),
            edits: edits.clone(),
            superseded: Vec::new(),
            outcome,
        };
        let holds = store.holds(options, emit).await?;
        let stopping = hold::stopping(options, &holds, &edits);
        if !stopping.is_empty() {
            return Ok(report(Outcome::Held { holds: stopping }));
        }
        if files.0.is_empty() {
            return Ok(report(Outcome::Unchanged { tip }));
        }
        if options.dry_run {
            return Ok(report(Outcome::DryRun));
        }
        let message = message::whole(options, &edits, &message::records(options, &edits));
        let (base, expected) = (&tip, Some(&tip));
        let put = Put { base, files: &files, message: &message, branch: &branch, expected };
        if let Some(commit) = store.put(&put).await? {
            hold::release_after(options, &holds, &edits, emit).await;
            return Ok(report(Outcome::Pushed { commit, branch }));
        }
        pause(options, &mut pace, &branch, &tip, emit).await?;
    }
}

/// Returns where the branch is that the change is made on.
pub(super) async fn tip_of(
    store: &dyn Store,
    branch: &str,
    options: &SetOptions<'_>,
) -> Result<CommitId, SetError> {
    let missing = || SetError::NoBranch {
        branch: branch.to_owned(),
        remote: options.manifests.remote.clone(),
    };
    store.tip(branch).await?.ok_or_else(missing)
}

/// Returns what the options ask for, applied to the commit `tip`, if the store can read and write it.
pub(super) async fn change(
    options: &SetOptions<'_>,
    store: &dyn Store,
    tip: &CommitId,
    emit: Emit<'_>,
) -> Result<Change, SetError> {
    let tree = store.tree(tip).await?;
    let beyond = |files: &MemoryTree| {
        tree.refuses(files).map_or(Ok(()), |reason| Err(SetError::BeyondApi { reason }))
    };
    let changed = edit::change(options, &*tree, emit).await;
    // What could not be read is why it failed.
    beyond(&MemoryTree::default())?;
    let changed = changed?;
    beyond(&changed.files)?;
    Ok(changed)
}

/// Waits after a lost race.
pub(super) async fn pause(
    options: &SetOptions<'_>,
    pace: &mut Pace,
    branch: &str,
    tip: &CommitId,
    emit: Emit<'_>,
) -> Result<(), SetError> {
    let pause = pace.lost(tip).map_err(|error| {
        let (branch, remote) = (branch.to_owned(), options.manifests.remote.clone());
        match error {
            LandError::Raced { attempts, time } => SetError::Raced { branch, attempts, time },
            LandError::Stuck => SetError::Stuck { branch, remote },
            LandError::Git(error) => error.into(),
        }
    })?;
    emit(Event::Raced { attempt: pace.attempts() });
    tokio::time::sleep(pause).await;
    Ok(())
}
