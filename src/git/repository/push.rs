//! Pushes, and whether one whose answer got lost has landed after all.

use super::{Repository, full_name};
use crate::argocd::Relation;
use crate::git::answer::Pushed;
use crate::git::{CommitId, GitError, Push, history};

/// Branches below this are deployctl's own: it may take commits away from them.
pub const OWN_BRANCHES: &str = "deployctl/";

impl Repository {
    /// Moves `branch` of the remote from `expected` to `commit`; `None`: the branch must be new.
    /// If the answer of the remote gets lost, it is asked where the branch is.
    ///
    /// # Errors
    ///
    /// Fails if the remote is out of reach or refuses: no permission, protected branch, hook.
    /// Fails, too, if `commit` does not build on `expected`, unless the branch is one of
    /// [`OWN_BRANCHES`].
    pub async fn push(
        &self,
        commit: &CommitId,
        branch: &str,
        expected: Option<&CommitId>,
    ) -> Result<Push, GitError> {
        match self.push_once(commit, branch, expected).await? {
            Pushed::Told(push) => Ok(push),
            Pushed::Unclear(error) => self.has_landed(commit, branch, expected, error).await,
        }
    }

    /// As [`Repository::push`], but an answer that gets lost is told as that.
    pub(in crate::git) async fn push_once(
        &self,
        commit: &CommitId,
        branch: &str,
        expected: Option<&CommitId>,
    ) -> Result<Pushed, GitError> {
        full_name(branch)?;
        if !self.has_now(commit)? {
            // Another process has thrown the cache away meanwhile: the change must be made anew.
            return Ok(Pushed::Told(Push::Raced));
        }
        if let Some(expected) = expected
            && !branch.starts_with(OWN_BRANCHES)
            && !history::is_ancestor(&*self.cache.open()?, expected, commit)?.found
        {
            return Err(GitError::NotFastForward { branch: branch.to_owned() });
        }
        match self.transport.push(commit, branch, expected).await {
            // The commit went with the cache: the change must be made anew.
            Err(GitError::Damaged { .. }) => {
                tracing::warn!(cache = %self.cache.dir(), "the git cache is damaged; made anew");
                self.cache.renew(&self.cache.lock().await?)?;
                Ok(Pushed::Told(Push::Raced))
            }
            result => result,
        }
    }

    /// Returns what a push came to whose answer, `lost`, is no answer.
    async fn has_landed(
        &self,
        commit: &CommitId,
        branch: &str,
        expected: Option<&CommitId>,
        lost: GitError,
    ) -> Result<Push, GitError> {
        let name = full_name(branch)?;
        let Ok(found) = self.transport.list(&[&name]).await else {
            return Err(lost);
        };
        let tip = found.into_iter().find(|found| found.name == name).map(|found| found.id);
        match tip {
            Some(tip) if tip == *commit => Ok(Push::Pushed),
            tip if tip.as_ref() == expected => Err(lost),
            // Somebody has pushed since, on top of this commit or instead of it.
            Some(tip) => match self.relation(commit, tip.as_str()).await? {
                Relation::Newer => Ok(Push::Pushed),
                _ => Ok(Push::Raced),
            },
            None => Ok(Push::Raced),
        }
    }
}
