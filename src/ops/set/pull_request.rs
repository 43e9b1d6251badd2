//! A change by a pull request: one for each environment, brought up to date in place.
//!
//! The environment's own branch has one commit on top of the base: all that is pending. What other
//! services have pending is taken over from the commit that is there, as its trailers say. What
//! others have pushed to the branch stays as long as nothing else is to be written and nobody has it
//! merged by itself; then the branch is made anew, and the run and a comment say what it lost.

mod told;

use super::api::{change, pause, tip_of};
use super::edit::Change;
use super::{
    Edited, Merging, Outcome, PullRequests, SetError, SetOptions, SetReport, Superseded,
    description, message, superseded,
};
use crate::git::{Commit, CommitId, Pace};
use crate::github::{self, OpenPull, Opened, PullRequest};
use crate::image::{ImageReference, PinnedImage};
use crate::kustomize::{FileTree, MemoryTree};
use crate::ops::{Emit, Event, Made, Put, Store, StoreError, hold, stated_image};
use crate::promotion::Record;

use told::named;

/// So many commits of others are looked through for deployctl's own.
const MOST_ABOVE: usize = 50;

/// Commits all that is pending to the environment's own branch, and opens a pull request for it or
/// brings the one that is open up to date.
pub(super) async fn land(options: &SetOptions<'_>, emit: Emit<'_>) -> Result<SetReport, SetError> {
    let store = &*options.manifests.store();
    let base = store.base().await?;
    let mut pace = Pace::new(options.deadline);
    let (mut options, mut left_alone) = (options.clone(), Vec::new());
    loop {
        let tip = tip_of(store, &base, &options).await?;
        let Change { files, edits } = change(&options, store, &tip, emit).await?;
        let holds = hold::or_told(&options, emit).await?;
        let stopping = hold::stopping(&options, &holds, &edits);
        if !stopping.is_empty() {
            let outcome = Outcome::Held { holds: stopping };
            return Ok(report(&options, edits, left_alone, outcome));
        }
        let newer = superseded::superseded(&options, &tip, &edits).await?;
        options = options.without(&newer);
        left_alone.extend(newer);
        let landed = if options.images.is_empty() {
            Some((edits, Outcome::Superseded))
        } else {
            let on = match options.pull_requests {
                Some(on) => on,
                None if options.dry_run => {
                    emit(Event::Warning(unseen(&options)));
                    hold::release_after(&options, &holds, &edits, emit).await;
                    let outcome = not_written(&files, tip);
                    return Ok(report(&options, edits, left_alone, outcome));
                }
                None => return Err(no_github(&options)),
            };
            let update = Update::begin(&options, on, store, &base, tip.clone()).await?;
            let newer = update.superseding(&edits).await;
            if !newer.is_empty() {
                options = options.without(&newer);
                left_alone.extend(newer);
                continue;
            }
            match options.dry_run {
                true => Some(update.look(emit).await?),
                false => update.land(emit).await?,
            }
        };
        match landed {
            Some((edits, outcome)) => {
                if matches!(outcome, Outcome::PullRequest { .. } | Outcome::DryRun) {
                    hold::release_after(&options, &holds, &edits, emit).await;
                }
                return Ok(report(&options, edits, left_alone, outcome));
            }
            None => pause(&options, &mut pace, &base, &tip, emit).await?,
        }
    }
}

fn report(
    options: &SetOptions<'_>,
    mut edits: Vec<Edited>,
    superseded: Vec<Superseded>,
    outcome: Outcome,
) -> SetReport {
    edits.retain(|edit| options.sets(&edit.service));
    SetReport { environment: options.environment.name.clone(), edits, superseded, outcome }
}

fn no_github(options: &SetOptions<'_>) -> SetError {
    let (environment, remote) = (&options.environment.name, &options.manifests.remote);
    SetError::NoPullRequests { environment: environment.clone(), remote: remote.clone() }
}

/// Returns the warning that a dry run can't tell what else is pending.
fn unseen(options: &SetOptions<'_>) -> String {
    let head = options.environment.proposal_branch();
    format!("not looked at what is pending on `{head}`: GitHub can't be asked")
}

/// Returns what a dry run comes to that would make `files` of the commit `tip`.
fn not_written(files: &MemoryTree, tip: CommitId) -> Outcome {
    if files.0.is_empty() { Outcome::Unchanged { tip } } else { Outcome::DryRun }
}

/// One attempt to bring the environment's branch and its pull request up to date.
struct Update<'a> {
    options: &'a SetOptions<'a>,
    on: PullRequests<'a>,
    store: &'a dyn Store,
    /// The branch that is merged into, and where it is.
    base: &'a str,
    tip: CommitId,
    /// The environment's own branch, and where it is.
    head: String,
    at: Option<CommitId>,
    /// deployctl's newest commit there and how it was made, if there is a pull request for it.
    made: Option<Made>,
    /// What others have pushed on top of it, newest first.
    above: Vec<Commit>,
    /// The pull requests that are open.
    open: Vec<OpenPull>,
}

/// All that is to be pending.
struct Pending<'a> {
    /// The options with all images.
    all: SetOptions<'a>,
    change: Change,
    /// What others have pending.
    carried: Vec<Record>,
}

/// What came of an attempt: what was changed, and the outcome.
type Landed = (Vec<Edited>, Outcome);

impl<'a> Update<'a> {
    async fn begin(
        options: &'a SetOptions<'a>,
        on: PullRequests<'a>,
        store: &'a dyn Store,
        base: &'a str,
        tip: CommitId,
    ) -> Result<Self, SetError> {
        let head = options.environment.proposal_branch();
        let open = on.client.open_pull_requests(on.owner, on.repository).await?;
        let at = store.tip(&head).await?;
        let (mut made, mut above) = (None, Vec::new());
        // What stands on a branch without a pull request is not pending: it was merged, or closed.
        let mut next = at.clone().filter(|_| open.iter().any(|pull| pull.head == head));
        while let Some(id) = next.filter(|id| *id != tip && above.len() < MOST_ABOVE) {
            let Some(found) = store.made(&id).await? else { break };
            if !records_of(&found.commit, options).is_empty() {
                made = Some(found);
                break;
            }
            next = found.parent;
            above.push(found.commit);
        }
        Ok(Self { options, on, store, base, tip, head, at, made, above, open })
    }

    /// Returns those services of `edits` that newer images are pending of.
    async fn superseding(&self, edits: &[Edited]) -> Vec<Superseded> {
        let pending: Vec<Commit> = self.made.iter().map(|made| made.commit.clone()).collect();
        superseded::by(&pending, self.options, edits).await
    }

    fn open(&self) -> Option<&OpenPull> {
        self.open.iter().find(|pull| pull.head == self.head)
    }

    /// Returns the records that the environment's branch has.
    fn recorded(&self) -> Vec<Record> {
        let made = self.made.as_ref();
        made.map(|made| records_of(&made.commit, self.options)).unwrap_or_default()
    }

    /// Returns what came of it, or `None` if a branch moved meanwhile.
    async fn land(&self, emit: Emit<'_>) -> Result<Option<Landed>, SetError> {
        let Pending { all, change, carried } = self.pending(emit).await?;
        let Change { files, edits } = change;
        if files.0.is_empty() {
            self.close(emit).await?;
            return Ok(Some((edits, Outcome::Unchanged { tip: self.tip.clone() })));
        }
        let Some(commit) = self.commit(&all, &files, &edits, &carried).await? else {
            return Ok(None);
        };
        let opened = self.open_or_update(&all, &edits, &carried).await?;
        if self.at.as_ref() != Some(&commit) {
            self.tell_lost(&opened, emit).await;
        }
        self.supersede(&opened, emit).await;
        let (merging, merged) = match self.merge(&opened, &commit, emit).await? {
            None => (None, None),
            Some(github::Merging::Merged { commit }) => (
                Some(Merging::Merged),
                Some(commit.parse().map_err(|reason| StoreError::Commit { reason })?),
            ),
            Some(github::Merging::Queued) => (Some(Merging::Queued), None),
            Some(github::Merging::Enabled) => (Some(Merging::Enabled), None),
            Some(github::Merging::Overtaken) => (Some(Merging::Overtaken), None),
        };
        let (number, url, head) = (opened.number, opened.url, self.head.clone());
        Ok(Some((edits, Outcome::PullRequest { number, url, head, merging, merged })))
    }

    /// Returns what landing it would come to, and writes nothing.
    async fn look(&self, emit: Emit<'_>) -> Result<Landed, SetError> {
        let Pending { change: Change { files, edits }, carried, .. } = self.pending(emit).await?;
        let outcome = not_written(&files, self.tip.clone());
        let lost = self.lost();
        if outcome == Outcome::DryRun
            && !lost.is_empty()
            && !self.stands(&files, &edits, &carried)?
        {
            let (head, named) = (&self.head, named(&lost));
            emit(Event::Warning(format!(
                "`{head}` would be made anew, without what others have pushed to it: {named}"
            )));
        }
        Ok((edits, outcome))
    }

    /// Returns all that is to be pending: what is asked for, and what others have pending still.
    async fn pending(&self, emit: Emit<'_>) -> Result<Pending<'a>, SetError> {
        let carried = self.carried(emit).await?;
        let images = carried.iter().map(|(_, image)| image.clone());
        let images = images.chain(self.options.images.iter().cloned()).collect();
        let all = SetOptions { images, ..self.options.clone() };
        let change = change(&all, self.store, &self.tip, emit).await?;
        let carried = carried.into_iter().map(|(record, _)| record).collect();
        Ok(Pending { all, change, carried })
    }

    /// Returns what other services have pending and what still holds: of a service whose image has
    /// changed on the base since, the base has the newer word.
    async fn carried(
        &self,
        emit: Emit<'_>,
    ) -> Result<Vec<(Record, (&'a crate::config::Service, PinnedImage))>, SetError> {
        let recorded = self.recorded();
        let others = recorded.into_iter().filter(|record| !self.options.sets(&record.service));
        let others: Vec<Record> = others.collect();
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let parent = self.made.as_ref().and_then(|made| made.parent.as_ref());
        let before = match parent {
            Some(parent) => Some(self.store.tree(parent)?),
            None => None,
        };
        let now = self.store.tree(&self.tip)?;
        let mut carried = Vec::new();
        for record in others {
            let stale = |reason: &str| {
                let what = format!("the pending {} of `{}`", record.image, record.service);
                emit(Event::Warning(format!("{what} is left out of the pull request: {reason}")));
            };
            let Some(service) = self.on.services.get(&record.service) else {
                stale("deployctl.yaml has no such service any more");
                continue;
            };
            let Some(image) = pinned(&record.image) else {
                stale("it has no digest");
                continue;
            };
            let stated = |tree: &dyn FileTree| {
                let stated = stated_image(tree, self.options.environment, service);
                stated.ok().and_then(|stated| stated.pinned().ok())
            };
            let on_base = stated(&*now);
            if on_base.as_ref() == Some(&image) {
                continue;
            }
            if before.as_ref().is_some_and(|before| stated(&**before) != on_base) {
                stale("somebody has changed it on the branch since");
                continue;
            }
            let images = vec![(service, image.clone())];
            let alone = SetOptions { images, ..self.options.clone() };
            match change(&alone, self.store, &self.tip, emit).await {
                Ok(_) => carried.push((record, (service, image))),
                Err(error @ SetError::BeyondApi { .. }) => return Err(error),
                Err(error) => stale(&error.to_string()),
            }
        }
        Ok(carried)
    }

    /// Returns the commit on the environment's branch with all that is pending: the one that is there
    /// if it says so already, so that approvals of it hold. `None` if a branch moved meanwhile.
    async fn commit(
        &self,
        all: &SetOptions<'_>,
        files: &MemoryTree,
        edits: &[Edited],
        carried: &[Record],
    ) -> Result<Option<CommitId>, SetError> {
        if let Some(at) = self.at.as_ref().filter(|_| self.open().is_some())
            && self.stands(files, edits, carried)?
        {
            return Ok(Some(at.clone()));
        }
        let message = message::whole(all, edits, &message::pending(self.options, edits, carried));
        let put = Put {
            base: &self.tip,
            files,
            message: &message,
            authorship: &self.options.authorship,
            time: self.options.time,
            branch: &self.head,
            expected: self.at.as_ref(),
        };
        Ok(self.store.put(&put).await?)
    }

    /// Returns whether the branch says all that is pending as it is.
    fn stands(
        &self,
        files: &MemoryTree,
        edits: &[Edited],
        carried: &[Record],
    ) -> Result<bool, StoreError> {
        // What nobody has looked at is not merged by itself.
        let is_whole = self.above.is_empty() || !self.on.auto_merge;
        let Some(at) = self.at.as_ref().filter(|_| is_whole && self.open().is_some()) else {
            return Ok(false);
        };
        let says = self.recorded() == message::pending(self.options, edits, carried);
        Ok(says && self.has(at, files)?)
    }

    /// Returns whether the commit has these files, as they are.
    fn has(&self, commit: &CommitId, files: &MemoryTree) -> Result<bool, StoreError> {
        let tree = self.store.tree(commit)?;
        let same = |(path, bytes): (&camino::Utf8PathBuf, &Vec<u8>)| {
            tree.read(path).is_ok_and(|found| found.as_ref() == Some(bytes))
        };
        Ok(files.0.iter().all(same))
    }

    async fn open_or_update(
        &self,
        all: &SetOptions<'_>,
        edits: &[Edited],
        carried: &[Record],
    ) -> Result<Opened, SetError> {
        let request = PullRequest {
            owner: self.on.owner.to_owned(),
            repository: self.on.repository.to_owned(),
            head: self.head.clone(),
            base: self.base.to_owned(),
            title: message::subject(all),
            body: description::body(all, edits, &message::pending(self.options, edits, carried)),
        };
        let opened = self.on.client.open_or_update_pull_request(&request).await;
        let head = self.head.clone();
        opened.map_err(|source| SetError::PullRequest { head, source })
    }

    /// Has the pull request merged where that is wanted, and no gate is shut.
    async fn merge(
        &self,
        opened: &Opened,
        commit: &CommitId,
        emit: Emit<'_>,
    ) -> Result<Option<github::Merging>, SetError> {
        let PullRequests { client, owner, repository, auto_merge, .. } = self.on;
        if !auto_merge {
            return Ok(None);
        }
        if let Some(shut) = self.options.verdicts.iter().find(|verdict| verdict.is_closed()) {
            let text =
                format!("pull request #{} is not merged: gate `{}`", opened.number, shut.gate);
            emit(Event::Warning(format!("{text} is shut: {}", shut.why)));
            return Ok(None);
        }
        let (number, url) = (opened.number, opened.url.clone());
        let merged =
            client.merge_when_ready((owner, repository), number, self.base, commit.as_str()).await;
        Ok(Some(merged.map_err(|source| SetError::Merge { number, url, source })?))
    }
}

/// Returns what a commit has on record for the environment.
fn records_of(commit: &Commit, options: &SetOptions<'_>) -> Vec<Record> {
    let mut records = Record::read(&commit.trailers());
    records.retain(|record| record.environment == options.environment.name);
    records
}

/// Returns the image that a record says, if it has a digest.
fn pinned(text: &str) -> Option<PinnedImage> {
    let ImageReference { name, tag, digest } = text.parse().ok()?;
    Some(PinnedImage { name, tag, digest: digest? })
}
