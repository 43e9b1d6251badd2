//! Where a change is read from and written to: a git repository, or GitHub's API.

use async_trait::async_trait;

use super::{Edited, SetError, SetOptions, Superseded, superseded};
use crate::git::{Commit, CommitId, CommitTree, GitError, Identity, Push};
use crate::github::{ApiCommit, ApiTree, Branches, Moved};
use crate::kustomize::{FileTree, MemoryTree};
use crate::ops::{AskedBy, Emit, Event, hold};
use crate::promotion::ledger::hold_ledger;
use crate::promotion::{Hold, HoldEntry};

/// Branches, commits and their files.
#[async_trait]
pub(super) trait Store: Sync {
    /// Returns the name of the branch that Argo CD watches.
    async fn base(&self) -> Result<String, SetError>;

    /// Returns where `branch` is, or `None` if there is no such branch.
    async fn tip(&self, branch: &str) -> Result<Option<CommitId>, SetError>;

    /// Returns the files of a commit.
    async fn tree(&self, commit: &CommitId) -> Result<Box<dyn Files + '_>, SetError>;

    /// Returns how the commit was made, or `None` where that is not known. One that changes nothing
    /// may be passed over for the one before it.
    async fn made(&self, commit: &CommitId) -> Result<Option<Made>, SetError>;

    /// Returns those services of `edits` that `tip` has newer images of, as far as that can be known.
    async fn superseded(
        &self,
        options: &SetOptions<'_>,
        tip: &CommitId,
        edits: &[Edited],
    ) -> Result<Vec<Superseded>, SetError>;

    /// Returns the holds on the services of the change.
    async fn holds(&self, options: &SetOptions<'_>, emit: Emit<'_>) -> Result<Vec<Hold>, SetError>;

    /// Commits and moves the branch, and returns the commit; `None` if the branch was not where it was
    /// expected.
    async fn put(&self, put: &Put<'_>) -> Result<Option<CommitId>, SetError>;
}

/// The files of a commit, and what can't be done with them where they come from.
pub(super) trait Files: FileTree {
    /// Returns why `files` can't be written on top of them, or they can't be read, if so.
    fn refuses(&self, files: &MemoryTree) -> Option<String>;
}

impl Files for CommitTree {
    fn refuses(&self, _: &MemoryTree) -> Option<String> {
        None
    }
}

impl Files for ApiTree {
    fn refuses(&self, files: &MemoryTree) -> Option<String> {
        ApiTree::refuses(self, files)
    }
}

/// How a commit was made.
pub(super) struct Made {
    /// The commit itself.
    pub(super) commit: Commit,
    /// The commit that it was made on; of a merge, the branch before it.
    pub(super) parent: Option<CommitId>,
}

/// A commit to make.
pub(super) struct Put<'a> {
    /// The commit that it is made on.
    pub(super) base: &'a CommitId,
    /// The files that differ, whole.
    pub(super) files: &'a MemoryTree,
    /// The message.
    pub(super) message: &'a str,
    /// The branch that is moved to it.
    pub(super) branch: &'a str,
    /// Where the branch is; `None`: there is none yet.
    pub(super) expected: Option<&'a CommitId>,
}

/// The git repository.
pub(super) struct GitStore<'a>(pub(super) &'a SetOptions<'a>);

#[async_trait]
impl Store for GitStore<'_> {
    async fn base(&self) -> Result<String, SetError> {
        Ok(self.0.manifests.branch().await?)
    }

    async fn tip(&self, branch: &str) -> Result<Option<CommitId>, SetError> {
        match self.0.manifests.repository.fetch(Some(branch)).await {
            Ok(tip) => Ok(Some(tip)),
            Err(GitError::NoBranch { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn tree(&self, commit: &CommitId) -> Result<Box<dyn Files + '_>, SetError> {
        Ok(Box::new(self.0.manifests.repository.tree(commit)?))
    }

    async fn made(&self, commit: &CommitId) -> Result<Option<Made>, SetError> {
        let log = self.0.manifests.repository.landings(commit, "".into(), 2).await?;
        let mut log = log.into_iter();
        let Some(found) = log.next() else { return Ok(None) };
        // The commit before it that changed something has the files of the parent.
        let parent = log.next().map(|parent| parent.id);
        Ok(Some(Made { commit: found, parent }))
    }

    async fn superseded(
        &self,
        options: &SetOptions<'_>,
        tip: &CommitId,
        edits: &[Edited],
    ) -> Result<Vec<Superseded>, SetError> {
        superseded::superseded(options, tip, edits).await
    }

    async fn holds(&self, options: &SetOptions<'_>, _: Emit<'_>) -> Result<Vec<Hold>, SetError> {
        Ok(hold::of_change(options, None).await?)
    }

    async fn put(&self, put: &Put<'_>) -> Result<Option<CommitId>, SetError> {
        let SetOptions { authorship, time, .. } = self.0;
        let repository = &self.0.manifests.repository;
        let commit = repository.commit(put.base, put.files, put.message, authorship, *time).await?;
        let Some(commit) = commit else { return Ok(Some(put.base.clone())) };
        let push = repository.push(&commit, put.branch, put.expected).await?;
        Ok((push == Push::Pushed).then_some(commit))
    }
}

/// GitHub's API.
pub(super) struct ApiStore<'a> {
    pub(super) branches: &'a Branches,
    pub(super) branch: Option<&'a str>,
}

#[async_trait]
impl Store for ApiStore<'_> {
    async fn base(&self) -> Result<String, SetError> {
        match self.branch {
            Some(branch) => Ok(branch.to_owned()),
            None => Ok(self.branches.default_branch().await?),
        }
    }

    async fn tip(&self, branch: &str) -> Result<Option<CommitId>, SetError> {
        self.branches.tip(branch).await?.map(|id| commit_id(&id)).transpose()
    }

    async fn tree(&self, commit: &CommitId) -> Result<Box<dyn Files + '_>, SetError> {
        Ok(Box::new(self.branches.tree(commit.as_str())))
    }

    async fn made(&self, commit: &CommitId) -> Result<Option<Made>, SetError> {
        let found = self.branches.commit(commit.as_str()).await?;
        let parent = found.parents.first().map(|id| commit_id(id)).transpose()?;
        Ok(Some(Made { commit: self::commit(found)?, parent }))
    }

    async fn superseded(
        &self,
        options: &SetOptions<'_>,
        tip: &CommitId,
        edits: &[Edited],
    ) -> Result<Vec<Superseded>, SetError> {
        let Some(since) = superseded::since(options, edits) else { return Ok(Vec::new()) };
        let limit = superseded::MOST_COMMITS;
        let commits = self.branches.since(tip.as_str(), since, limit).await?;
        let commits: Result<Vec<Commit>, SetError> = commits.into_iter().map(commit).collect();
        Ok(superseded::by(&commits?, options, edits).await)
    }

    async fn holds(&self, options: &SetOptions<'_>, emit: Emit<'_>) -> Result<Vec<Hold>, SetError> {
        match self.holds_on(&hold::asked_about(options), &options.environment.name).await {
            Ok(holds) => Ok(holds),
            // A person's change goes on whatever is held, and only would have released it.
            Err(error) if options.asked_by == AskedBy::Person => {
                emit(Event::Warning(format!("not checked whether a hold stands: {error}")));
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    async fn put(&self, put: &Put<'_>) -> Result<Option<CommitId>, SetError> {
        let (base, expected) = (put.base.as_str(), put.expected.map(CommitId::as_str));
        let moved = match expected == Some(base) {
            true => self.branches.create_commit(put.branch, base, put.files, put.message).await?,
            false => {
                self.branches.replace(put.branch, expected, base, put.files, put.message).await?
            }
        };
        match moved {
            Moved::To(commit) => Ok(Some(commit_id(&commit)?)),
            Moved::Raced => Ok(None),
        }
    }
}

impl ApiStore<'_> {
    async fn holds_on(&self, services: &[&str], environment: &str) -> Result<Vec<Hold>, SetError> {
        let name = |service: &&str| format!("deployctl/{}", hold_ledger(environment, service));
        let names: Vec<String> = services.iter().map(name).collect();
        let mut holds = Vec::new();
        for newest in self.branches.at_references(&names).await?.into_values() {
            if let Some(HoldEntry::Set(hold)) = hold::read(&commit(newest)?) {
                holds.push(hold);
            }
        }
        Ok(holds)
    }
}

fn commit(commit: ApiCommit) -> Result<Commit, SetError> {
    let ApiCommit { id, author: (name, email), time, message, parents } = commit;
    let (id, author, is_merge) = (commit_id(&id)?, Identity { name, email }, parents.len() > 1);
    Ok(Commit { id, author, time, message, is_merge })
}

pub(super) fn commit_id(text: &str) -> Result<CommitId, SetError> {
    text.parse().map_err(|reason| SetError::Commit { reason })
}
