//! Getting a change into the branch: joined with those of other processes, in a push that goes on
//! until it wins.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;

use super::edit::{self, Change};
use super::reads::Reads;
use super::{Outcome, SetError, SetOptions, SetReport, Superseded, message, superseded};
use crate::git::{CommitId, GitError, LandError, Landing, Pace, PendingChange, Repository};
use crate::kustomize::MemoryTree;
use crate::ops::{Edited, Emit, Event, hold};

pub(super) async fn land(options: &SetOptions<'_>, emit: Emit<'_>) -> Result<SetReport, SetError> {
    let repository = &options.manifests.repository;
    let (pace, superseded) = (Pace::new(options.deadline), Vec::new());
    let mut effort = Effort { options: options.clone(), pace, superseded, emit };
    let mut tip = options.tip.clone();
    let mut renewals = 0;
    loop {
        match effort.once(tip.clone()).await {
            Ok(Step::Done(report)) => return Ok(report),
            Ok(Step::Again(next)) => tip = next,
            // Another process has thrown the cache away, as it was damaged.
            Err(error) if renewals < RENEWALS && is_renewed(repository, tip.as_ref(), &error) => {
                tracing::debug!(%error, "the git cache is another one now; once more");
                renewals += 1;
                tip = None;
            }
            Err(error) => return Err(error),
        }
    }
}

/// So often the cache is made anew under a process before that is an error.
const RENEWALS: u32 = 5;

/// Returns whether the cache is not any more what the attempt on `tip` began with.
fn is_renewed(repository: &Repository, tip: Option<&CommitId>, error: &SetError) -> bool {
    use GitError::{Cache, Damaged, Object};
    matches!(error, SetError::Git(Cache { .. } | Object { .. } | Damaged { .. }))
        || tip.is_some_and(|tip| !repository.has_fetched(tip))
}

/// All attempts to land one change.
struct Effort<'a> {
    /// What is to change, without what is superseded.
    options: SetOptions<'a>,
    pace: Pace,
    superseded: Vec<Superseded>,
    emit: Emit<'a>,
}

enum Step {
    Done(SetReport),
    /// The change is to be made anew, on this tip if it is fetched already.
    Again(Option<CommitId>),
}

impl Effort<'_> {
    async fn once(&mut self, tip: Option<CommitId>) -> Result<Step, SetError> {
        let manifests = self.options.manifests;
        let (tip, holds) = match tip {
            // What was held when it was fetched may be long ago.
            Some(tip) => (tip, None),
            None => {
                (self.emit)(Event::Fetching { remote: manifests.remote.clone() });
                let look = manifests.repository.fetch_together(manifests.branch.as_deref()).await?;
                (look.tip, look.holds)
            }
        };
        let tree = manifests.repository.tree(&tip)?;
        // Together, or each would cost round trips; and what goes wrong is told as what it is, while
        // who reads a file learns only that it can't be read.
        tree.prefetch(&self.options.paths()).await?;
        let tree = Reads::of(tree);
        // Read with the tip or after it: a tip that has a rollback has its hold, too.
        let came = holds.as_ref().map(|references| hold::Came { tip: &tip, references });
        let holds = async { Ok(hold::of_change(&self.options, came).await?) };
        let change = edit::change(&self.options, &tree, self.emit);
        let (Change { files, edits }, holds) = tokio::try_join!(change, holds)?;
        let stopping = hold::stopping(&self.options, &holds, &edits);
        if !stopping.is_empty() {
            return Ok(Step::Done(self.report(edits, Outcome::Held { holds: stopping })));
        }
        let newer = superseded::superseded(&self.options, &tip, &edits).await?;
        if !newer.is_empty() {
            self.options = self.options.without(&newer);
            self.superseded.extend(newer);
            return Ok(Step::Again(Some(tip)));
        }
        let outcome = if self.options.images.is_empty() {
            Ok(Outcome::Superseded)
        } else if files.0.is_empty() {
            Ok(Outcome::Unchanged { tip })
        } else if self.options.dry_run {
            hold::release_after(&self.options, &holds, &edits, self.emit).await;
            Ok(Outcome::DryRun)
        } else {
            let change = pending(&self.options, tip, files, tree.paths(), &edits);
            let branch = manifests.store().base().await?;
            let written = push(&self.options, &change, &branch, &mut self.pace, self.emit).await?;
            if written.is_ok() {
                hold::release_after(&self.options, &holds, &edits, self.emit).await;
            }
            written
        };
        Ok(match outcome {
            Ok(outcome) => Step::Done(self.report(edits, outcome)),
            Err(tip) => Step::Again(tip),
        })
    }

    fn report(&mut self, edits: Vec<Edited>, outcome: Outcome) -> SetReport {
        SetReport {
            environment: self.options.environment.name.clone(),
            edits,
            superseded: std::mem::take(&mut self.superseded),
            outcome,
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
    files: MemoryTree,
    reads: BTreeSet<Utf8PathBuf>,
    edits: &[Edited],
) -> PendingChange {
    let records = message::records(options, edits);
    let trailers = message::trailers(options, &records).into_iter();
    PendingChange {
        base,
        files,
        reads,
        subject: message::subject(options),
        body: message::body(options, edits),
        trailers: trailers.map(|(key, value)| (key.to_owned(), value)).collect(),
        environments: vec![options.environment.name.clone()],
        authorship: options.authorship.clone(),
        time: options.time,
    }
}
