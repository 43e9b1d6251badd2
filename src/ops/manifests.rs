//! The manifests repository as ops use it: a branch of a remote, and its tip.

use async_trait::async_trait;
use camino::Utf8Path;

use super::store::{ApiStore, GitStore};
use super::{Ancestry, Emit, Event, Files, Store, StoreError};
use crate::argocd::Relation;
use crate::git::{CommitId, GitError, Repository};
use crate::github::Branches;
use crate::render::inputs;

/// The manifests repository and the branch that Argo CD watches.
#[derive(Debug, Clone)]
pub struct Manifests {
    /// The repository.
    pub repository: Repository,
    /// The remote, without credentials, for people.
    pub remote: String,
    /// The branch; the remote's default branch if `None`.
    pub branch: Option<String>,
    /// The repository through GitHub's API, where it is to be read and written by that.
    pub api: Option<Branches>,
}

impl Manifests {
    /// Returns the way to the repository.
    pub fn store(&self) -> Box<dyn Store + '_> {
        let Self { remote, branch, .. } = self;
        match &self.api {
            Some(branches) => Box::new(ApiStore { branches, branch: branch.as_deref(), remote }),
            None => Box::new(GitStore(self)),
        }
    }

    /// Returns the same repository, read and written by git.
    #[must_use]
    pub fn by_git(&self) -> Self {
        Self { api: None, ..self.clone() }
    }

    /// Returns the branch's tip, fetched where git is the way.
    ///
    /// # Errors
    ///
    /// Fails if the remote is out of reach, refuses the credentials, or has no such branch.
    pub async fn fetch(&self, emit: Emit<'_>) -> Result<CommitId, StoreError> {
        if self.api.is_some() {
            let (store, remote) = (self.store(), self.remote.clone());
            let branch = store.base().await?;
            let none = |branch| GitError::NoBranch { remote, branch, known: Vec::new() };
            return Ok(store.tip(&branch).await?.ok_or_else(|| none(branch))?);
        }
        emit(Event::Fetching { remote: self.remote.clone() });
        Ok(self.repository.fetch_together(self.branch.as_deref()).await?.tip)
    }

    /// Returns the branch's tip and its files.
    ///
    /// # Errors
    ///
    /// As [`Manifests::fetch`].
    pub async fn tree(&self, emit: Emit<'_>) -> Result<(CommitId, Box<dyn Files>), StoreError> {
        let tip = self.fetch(emit).await?;
        let tree = self.store().tree(&tip)?;
        Ok((tip, tree))
    }
}

/// How commits of the manifests repository stand to the one that is expected to be live.
///
/// A commit that does not contain the expected one is the same all the same if an overlay's files are
/// equal in both: Argo CD may pass over commits that do not concern an Application (argo-cd issues 29816
/// and 17280). Of a commit that Argo CD's hydrator made, the commit that it was made from counts.
pub struct CommitAncestry<'a> {
    manifests: &'a Manifests,
    expected: &'a CommitId,
    overlay: Option<&'a Utf8Path>,
}

impl<'a> CommitAncestry<'a> {
    /// Returns how commits stand to `expected`.
    pub fn new(manifests: &'a Manifests, expected: &'a CommitId) -> Self {
        Self { manifests, expected, overlay: None }
    }

    /// Returns the same, where commits with equal files of `overlay` are the same.
    #[must_use]
    pub fn of_overlay(self, overlay: Option<&'a Utf8Path>) -> Self {
        Self { overlay, ..self }
    }

    async fn stands(&self, observed: &str) -> Result<Relation, StoreError> {
        let store = self.manifests.store();
        let relation = store.relation(self.expected, observed).await?;
        if relation == Relation::Same {
            return Ok(relation);
        }
        // What is no commit, or can't be had, is left at what is known.
        let Ok(observed) = store.resolve(observed).await else { return Ok(relation) };
        if let Some(dry) = Self::dry_commit(&*store, &observed) {
            return store.relation(self.expected, &dry).await;
        }
        if relation == Relation::Newer {
            return Ok(relation);
        }
        let is_equal =
            self.overlay.is_some_and(|dir| self.has_equal_inputs(&*store, &observed, dir));
        Ok(if is_equal { Relation::Same } else { relation })
    }

    /// Returns the commit that a hydrator made `commit` from, if it did.
    fn dry_commit(store: &dyn Store, commit: &CommitId) -> Option<String> {
        let tree = store.tree(commit).ok()?;
        let bytes = tree.read(HYDRATOR_METADATA.into()).ok()??;
        let metadata: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        metadata.get("drySha")?.as_str().map(str::to_owned)
    }

    fn has_equal_inputs(&self, store: &dyn Store, observed: &CommitId, dir: &Utf8Path) -> bool {
        let inputs = |commit: &CommitId| inputs(&*store.tree(commit).ok()?, dir).ok();
        let expected = inputs(self.expected);
        expected.is_some() && expected == inputs(observed)
    }
}

/// Where Argo CD's hydrator writes down what it made a commit of a branch from.
const HYDRATOR_METADATA: &str = "hydrator.metadata";

#[async_trait]
impl Ancestry for CommitAncestry<'_> {
    async fn relation(&self, observed: &str) -> Relation {
        // A repository that does not answer now is asked again at the next look.
        self.stands(observed).await.unwrap_or(Relation::Unknown)
    }
}
