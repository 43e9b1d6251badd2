//! A change without a clone: the files are read through GitHub's API, and the commit is made by it,
//! so that GitHub signs it.

use super::edit::{self, Change};
use super::{Outcome, SetError, SetOptions, SetReport, message, pull_request, superseded};
use crate::config::Via;
use crate::git::{CommitId, LandError, Pace};
use crate::kustomize::MemoryTree;
use crate::ops::{Emit, Event, Put, Store, hold};

/// Lands the change through the API.
///
/// # Errors
///
/// Fails with [`SetError::BeyondApi`] where only git can do it; then nothing was written.
pub(super) async fn land(options: &SetOptions<'_>, emit: Emit<'_>) -> Result<SetReport, SetError> {
    match options.environment.via {
        Via::Push => push(options, emit).await,
        Via::PullRequest => pull_request::land(options, emit).await,
    }
}

async fn push(options: &SetOptions<'_>, emit: Emit<'_>) -> Result<SetReport, SetError> {
    let store = &*options.manifests.store();
    let branch = store.base().await?;
    let mut known = options.tip.clone();
    let mut pace = Pace::new(options.deadline);
    let (mut options, mut left_alone) = (options.clone(), Vec::new());
    loop {
        let tip = match known.take() {
            Some(tip) => tip,
            None => tip_of(store, &branch, &options).await?,
        };
        let Change { files, edits } = change(&options, store, &tip, emit).await?;
        let holds = hold::or_told(&options, emit).await?;
        let stopping = hold::stopping(&options, &holds, &edits);
        let newer = match stopping.is_empty() {
            true => superseded::superseded(&options, &tip, &edits).await?,
            false => Vec::new(),
        };
        if !newer.is_empty() {
            options = options.without(&newer);
            left_alone.extend(newer);
            known = Some(tip);
            continue;
        }
        let outcome = if !stopping.is_empty() {
            Outcome::Held { holds: stopping }
        } else if options.images.is_empty() {
            Outcome::Superseded
        } else if files.0.is_empty() {
            Outcome::Unchanged { tip }
        } else if options.dry_run {
            hold::release_after(&options, &holds, &edits, emit).await;
            Outcome::DryRun
        } else {
            let message = message::whole(&options, &edits, &message::records(&options, &edits));
            let put = Put {
                base: &tip,
                files: &files,
                message: &message,
                authorship: &options.authorship,
                time: options.time,
                branch: &branch,
                expected: Some(&tip),
            };
            let Some(commit) = store.put(&put).await? else {
                pause(&options, &mut pace, &branch, &tip, emit).await?;
                continue;
            };
            hold::release_after(&options, &holds, &edits, emit).await;
            Outcome::Pushed { commit, branch }
        };
        let environment = options.environment.name.clone();
        return Ok(SetReport { environment, edits, superseded: left_alone, outcome });
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
    let tree = store.tree(tip)?;
    tree.prefetch(&options.paths()).await?;
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
