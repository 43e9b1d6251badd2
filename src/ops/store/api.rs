//! The manifests repository through GitHub's API: nothing is cloned, and GitHub signs what is written.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8Path;
use jiff::Timestamp;

use super::{Authorship, Commit, CommitId, GitError, NextEntry};
use super::{Files, Made, Put, Store, StoreError, Visit};
use crate::argocd::Relation;
use crate::git::Identity;
use crate::github::{ApiCommit, Branches, GithubError, Moved};

/// How often an entry of a ledger is made anew when others are faster.
const ATTEMPTS: u32 = 10;
/// The longest time before the second attempt; it doubles.
const PAUSE: Duration = Duration::from_millis(100);
/// So many entries of a ledger are read at once.
const ENTRIES: usize = 50;

/// The repository on GitHub.
pub(in crate::ops) struct ApiStore<'a> {
    pub(in crate::ops) branches: &'a Branches,
    /// The branch that Argo CD watches, if it is configured.
    pub(in crate::ops) branch: Option<&'a str>,
    /// The repository's address, for people.
    pub(in crate::ops) remote: &'a str,
}

#[async_trait]
impl Store for ApiStore<'_> {
    async fn base(&self) -> Result<String, StoreError> {
        match self.branch {
            Some(branch) => Ok(branch.to_owned()),
            None => Ok(self.branches.default_branch().await?),
        }
    }

    async fn tip(&self, branch: &str) -> Result<Option<CommitId>, StoreError> {
        self.branches.tip(branch).await?.map(|id| commit_id(&id)).transpose()
    }

    fn tree(&self, commit: &CommitId) -> Result<Box<dyn Files>, StoreError> {
        Ok(Box::new(self.branches.tree(commit.as_str())))
    }

    async fn resolve(&self, revision: &str) -> Result<CommitId, StoreError> {
        match self.branches.resolve(revision).await? {
            Some(found) => commit_id(&found),
            None => {
                let (remote, revision) = (self.remote.to_owned(), revision.to_owned());
                Err(GitError::NoCommit { remote, revision }.into())
            }
        }
    }

    async fn made(&self, commit: &CommitId) -> Result<Option<Made>, StoreError> {
        let found = self.branches.commit(commit.as_str()).await?;
        let parent = found.parents.first().map(|id| commit_id(id)).transpose()?;
        Ok(Some(Made { commit: self::commit(found)?, parent }))
    }

    async fn log(
        &self,
        tip: &CommitId,
        path: &Utf8Path,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        commits(self.branches.log(tip.as_str(), plain(path), limit).await?)
    }

    async fn landings(
        &self,
        tip: &CommitId,
        path: &Utf8Path,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        commits(self.branches.landings(tip.as_str(), plain(path), limit).await?)
    }

    async fn since(
        &self,
        tip: &CommitId,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        commits(self.branches.since(tip.as_str(), time, limit).await?)
    }

    async fn relation(&self, expected: &CommitId, observed: &str) -> Result<Relation, StoreError> {
        if observed.parse::<CommitId>().is_err() {
            return Ok(Relation::Unknown);
        }
        Ok(relation(self.branches, expected.as_str(), observed).await?)
    }

    async fn put(&self, put: &Put<'_>) -> Result<Option<CommitId>, StoreError> {
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

    async fn newest(&self, ledgers: &[String]) -> Result<BTreeMap<String, Commit>, StoreError> {
        let names: Vec<String> = ledgers.iter().map(|ledger| reference(ledger)).collect();
        let mut found = self.branches.at_references(&names).await?;
        let mut newest = BTreeMap::new();
        for (ledger, name) in ledgers.iter().zip(&names) {
            if let Some(entry) = found.remove(name) {
                newest.insert(ledger.clone(), commit(entry)?);
            }
        }
        Ok(newest)
    }

    async fn walk(&self, newest: &CommitId, visit: Visit<'_>) -> Result<(), StoreError> {
        let mut next = Some(newest.to_string());
        while let Some(tip) = next.take() {
            for entry in self.branches.log(&tip, "", ENTRIES).await? {
                next = entry.parents.first().cloned();
                if visit(&commit(entry)?) == ControlFlow::Break(()) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The entries are of those whom GitHub knows the token of, or it would not sign them.
    async fn append(
        &self,
        ledgers: &[String],
        _: &Authorship,
        _: Timestamp,
        entry: NextEntry<'_>,
    ) -> Result<Vec<String>, StoreError> {
        let (mut appended, mut left) = (Vec::new(), ledgers.to_vec());
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                let longest = PAUSE.saturating_mul(1 << attempt);
                tokio::time::sleep(longest.mul_f64(crate::system::random_fraction())).await;
            }
            let newest = self.newest(&left).await?;
            for ledger in std::mem::take(&mut left) {
                let before = newest.get(&ledger);
                let Some(message) = entry(&ledger, before) else { continue };
                let expected = before.map(|commit| commit.id.as_str());
                match self.branches.append(&reference(&ledger), expected, &message).await? {
                    Moved::To(_) => appended.push(ledger),
                    Moved::Raced => left.push(ledger),
                }
            }
            if left.is_empty() {
                return Ok(appended);
            }
        }
        Err(GitError::Git {
            action: "push",
            remote: self.remote.to_owned(),
            message: format!("`refs/{}` moved {ATTEMPTS} times", reference(&left[0])),
        }
        .into())
    }
}

/// Returns how what `observed` names stands to the commit `expected`.
pub(in crate::ops) async fn relation(
    branches: &Branches,
    expected: &str,
    observed: &str,
) -> Result<Relation, GithubError> {
    Ok(match branches.compare(expected, observed).await?.as_deref() {
        Some("identical") => Relation::Same,
        Some("ahead") => Relation::Newer,
        Some("behind") => Relation::Older,
        Some("diverged") => Relation::Diverged,
        _ => Relation::Unknown,
    })
}

/// Returns the name of a ledger's reference, without `refs/`.
fn reference(ledger: &str) -> String {
    format!("deployctl/{ledger}")
}

/// Returns the path as GitHub takes it: the repository's root is nothing.
fn plain(path: &Utf8Path) -> &str {
    if path == "." { "" } else { path.as_str() }
}

fn commits(found: Vec<ApiCommit>) -> Result<Vec<Commit>, StoreError> {
    found.into_iter().map(commit).collect()
}

fn commit(commit: ApiCommit) -> Result<Commit, StoreError> {
    let ApiCommit { id, author: (name, email), time, message, parents } = commit;
    let (id, author, is_merge) = (commit_id(&id)?, Identity { name, email }, parents.len() > 1);
    Ok(Commit { id, author, time, message, is_merge })
}

fn commit_id(text: &str) -> Result<CommitId, StoreError> {
    text.parse().map_err(|reason| StoreError::Commit { reason })
}
