//! The manifests repository by git.

use std::collections::BTreeMap;

use async_trait::async_trait;
use camino::Utf8Path;
use jiff::Timestamp;

use super::{Authorship, Commit, CommitId, GitError, NextEntry, Push};
use super::{Files, Made, Put, Store, StoreError, Visit};
use crate::argocd::Relation;
use crate::ops::Manifests;

/// The repository, fetched and pushed.
pub(in crate::ops) struct GitStore<'a>(pub(in crate::ops) &'a Manifests);

#[async_trait]
impl Store for GitStore<'_> {
    async fn base(&self) -> Result<String, StoreError> {
        match &self.0.branch {
            Some(branch) => Ok(branch.clone()),
            None => Ok(self.0.repository.default_branch().await?),
        }
    }

    async fn tip(&self, branch: &str) -> Result<Option<CommitId>, StoreError> {
        match self.0.repository.fetch(Some(branch)).await {
            Ok(tip) => Ok(Some(tip)),
            Err(GitError::NoBranch { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn tree(&self, commit: &CommitId) -> Result<Box<dyn Files>, StoreError> {
        Ok(Box::new(self.0.repository.tree(commit)?))
    }

    async fn resolve(&self, revision: &str) -> Result<CommitId, StoreError> {
        Ok(self.0.repository.resolve(revision).await?)
    }

    async fn made(&self, commit: &CommitId) -> Result<Option<Made>, StoreError> {
        let log = self.0.repository.landings(commit, "".into(), 2).await?;
        let mut log = log.into_iter();
        let Some(found) = log.next() else { return Ok(None) };
        // The commit before it that changed something has the files of the parent.
        let parent = log.next().map(|parent| parent.id);
        Ok(Some(Made { commit: found, parent }))
    }

    async fn log(
        &self,
        tip: &CommitId,
        path: &Utf8Path,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        Ok(self.0.repository.log(tip, path, limit).await?)
    }

    async fn landings(
        &self,
        tip: &CommitId,
        path: &Utf8Path,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        Ok(self.0.repository.landings(tip, path, limit).await?)
    }

    async fn since(
        &self,
        tip: &CommitId,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        Ok(self.0.repository.since(tip, time, limit).await?)
    }

    async fn relation(&self, expected: &CommitId, observed: &str) -> Result<Relation, StoreError> {
        Ok(self.0.repository.relation(expected, observed).await?)
    }

    async fn put(&self, put: &Put<'_>) -> Result<Option<CommitId>, StoreError> {
        let repository = &self.0.repository;
        let Put { base, files, message, authorship, time, .. } = *put;
        let commit = repository.commit(base, files, message, authorship, time).await?;
        let Some(commit) = commit else { return Ok(Some(base.clone())) };
        let push = repository.push(&commit, put.branch, put.expected).await?;
        Ok((push == Push::Pushed).then_some(commit))
    }

    async fn newest(&self, ledgers: &[String]) -> Result<BTreeMap<String, Commit>, StoreError> {
        Ok(self.0.repository.ledgers().newest(ledgers).await?)
    }

    async fn walk(&self, newest: &CommitId, visit: Visit<'_>) -> Result<(), StoreError> {
        self.0.repository.ledgers().walk(newest, visit).await?;
        Ok(())
    }

    async fn append(
        &self,
        ledgers: &[String],
        authorship: &Authorship,
        time: Timestamp,
        entry: NextEntry<'_>,
    ) -> Result<Vec<String>, StoreError> {
        Ok(self.0.repository.ledgers().append(ledgers, authorship, time, entry).await?)
    }
}
