//! Walks over the history, which is deepened as far as they need.
//!
//! A cache has the last commits only. A walk that came to their end is walked again over more of them,
//! up to a bound; and so is one that has to compare folders which the cache was spared, after they
//! have been fetched. The walks themselves are in [`history`].

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use camino::Utf8Path;
use jiff::Timestamp;

use super::Repository;
use crate::argocd::Relation;
use crate::git::history::{self, Follow, Log};
use crate::git::transport::{Depth, Fetch};
use crate::git::{Commit, CommitId, GitError};

/// So many commits more are fetched each time a walk comes to the end of a shallow cache.
/// Each brings folders along, so that the last is what a large repository can bear.
const DEEPEN: &[u32] = &[64, 512, 4096];

/// Whoever has had folders fetched for so many logs is given those of all services with the next.
const FEW_LOGS: u32 = 2;

impl Repository {
    /// Returns up to `limit` commits from `tip` backwards, newest first, following first parents: as
    /// many of them as have been fetched, which are the last few dozen at least.
    ///
    /// # Errors
    ///
    /// Fails if `tip` has not been fetched.
    pub fn recent(&self, tip: &CommitId, limit: usize) -> Result<Vec<Commit>, GitError> {
        history::recent(&*self.cache.open()?, tip, limit)
    }

    /// Returns up to `limit` commits from `tip` backwards that changed something below `path`,
    /// newest first; the cache is deepened as needed, within bounds.
    ///
    /// # Errors
    ///
    /// As [`Repository::fetch`].
    pub async fn log(
        &self,
        tip: &CommitId,
        path: &Utf8Path,
        limit: usize,
    ) -> Result<Vec<Commit>, GitError> {
        self.log_along(tip, path, limit, Follow::All).await
    }

    /// Returns what [`Repository::log`] does, but along the branch itself: what a merge brought is told
    /// as the merge, with its time.
    ///
    /// # Errors
    ///
    /// As [`Repository::fetch`].
    pub async fn landings(
        &self,
        tip: &CommitId,
        path: &Utf8Path,
        limit: usize,
    ) -> Result<Vec<Commit>, GitError> {
        self.log_along(tip, path, limit, Follow::First).await
    }

    /// Returns how `observed` stands to `expected`; the cache is deepened as needed, within bounds.
    ///
    /// # Errors
    ///
    /// As [`Repository::fetch`].
    pub async fn relation(
        &self,
        expected: &CommitId,
        observed: &str,
    ) -> Result<Relation, GitError> {
        let Ok(observed) = observed.parse::<CommitId>() else {
            return Ok(Relation::Unknown);
        };
        if *expected == observed {
            return Ok(Relation::Same);
        }
        if !self.has(&observed).await? || !self.has(expected).await? {
            return Ok(Relation::Unknown);
        }
        let both = [expected.clone(), observed.clone()];
        let expected = expected.clone();
        let walk = move |cache: &git2::Repository| history::relation(cache, &expected, &observed);
        self.deepen_until_complete(&both, walk).await
    }

    /// Returns up to `limit` commits in the history of `tip` that were made at `time` or later, newest
    /// first; the cache is deepened as needed, within bounds.
    ///
    /// # Errors
    ///
    /// As [`Repository::fetch`].
    pub async fn since(
        &self,
        tip: &CommitId,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<Commit>, GitError> {
        let from = tip.clone();
        let walk = move |cache: &git2::Repository| history::since(cache, &from, time, limit);
        self.deepen_until_complete(std::slice::from_ref(tip), walk).await
    }

    /// Returns the commit between `since` and `tip` that has the change `id`, or `None` if there is
    /// none.
    ///
    /// # Errors
    ///
    /// As [`Repository::fetch`]; fails, too, if there are so many commits between that it can't be
    /// told.
    pub(in crate::git) async fn landed_in(
        &self,
        id: &str,
        since: &CommitId,
        tip: &CommitId,
    ) -> Result<Option<CommitId>, GitError> {
        let (change, since, from) = (id.to_owned(), since.clone(), tip.clone());
        let walk = move |cache: &git2::Repository| {
            let walked = history::with_change(cache, &change, &since, &from)?;
            Ok(history::Walked { complete: walked.complete, found: walked })
        };
        let walked = self.deepen_until_complete(std::slice::from_ref(tip), walk).await?;
        if !walked.complete {
            return Err(GitError::NoCommit {
                remote: self.remote().to_owned(),
                revision: id.to_owned(),
            });
        }
        Ok(walked.found)
    }

    /// Returns the only commit of the default branch's recent history whose id starts so.
    pub(super) async fn resolve_abbreviated(
        &self,
        prefix: &str,
    ) -> Result<Option<CommitId>, GitError> {
        let is_hex = prefix.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex || !(7..40).contains(&prefix.len()) {
            return Ok(None);
        }
        let tip = self.fetch(None).await?;
        let (from, prefix) = (tip.clone(), prefix.to_owned());
        let walk = move |cache: &git2::Repository| history::with_prefix(cache, &from, &prefix);
        self.deepen_until_complete(&[tip], walk).await
    }

    async fn log_along(
        &self,
        tip: &CommitId,
        path: &Utf8Path,
        limit: usize,
        follow: Follow,
    ) -> Result<Vec<Commit>, GitError> {
        let mut deepenings = DEEPEN.iter();
        let (mut filled, mut number) = (HashSet::new(), None);
        loop {
            let (from, path) = (tip.clone(), path.to_owned());
            let walk = move |cache: &git2::Repository| {
                let log = history::log(cache, &from, &path, limit, follow)?;
                let complete = log.complete || !log.found.gaps.is_empty();
                Ok(history::Walked { found: log.found, complete })
            };
            let tips = std::slice::from_ref(tip);
            let Log { found, gaps } = self.deepen_as_needed(tips, &mut deepenings, walk).await?;
            if gaps.is_empty() {
                return Ok(found);
            }
            let folders: HashSet<git2::Oid> = gaps.iter().map(|gap| gap.folder).collect();
            if let Some(folder) = folders.intersection(&filled).next() {
                let gone = git2::Error::from_str("the remote does not have it");
                return Err(GitError::object(format!("read the folder `{folder}`"))(gone));
            }
            filled.extend(folders);
            let number = *number.get_or_insert_with(|| self.logs.fetch_add(1, Ordering::Relaxed));
            self.lazy().fill(&gaps, number >= FEW_LOGS).await?;
        }
    }

    /// Runs `walk` over the cache, which is deepened from `tips` until the walk is complete or the
    /// bound is reached, and returns what the last one found.
    async fn deepen_until_complete<T: Send + 'static>(
        &self,
        tips: &[CommitId],
        walk: impl Fn(&git2::Repository) -> Result<history::Walked<T>, GitError> + Send + Sync + 'static,
    ) -> Result<T, GitError> {
        self.deepen_as_needed(tips, &mut DEEPEN.iter(), walk).await
    }

    /// As [`Repository::deepen_until_complete`], with those `deepenings` that are left.
    async fn deepen_as_needed<T: Send + 'static>(
        &self,
        tips: &[CommitId],
        deepenings: &mut std::slice::Iter<'_, u32>,
        walk: impl Fn(&git2::Repository) -> Result<history::Walked<T>, GitError> + Send + Sync + 'static,
    ) -> Result<T, GitError> {
        let walk = Arc::new(walk);
        loop {
            let walked = self.walk(&walk).await?;
            if walked.complete {
                return Ok(walked.found);
            }
            match deepenings.next() {
                Some(commits) if self.deepen(tips, *commits).await? => {}
                _ => return Ok(walked.found),
            }
        }
    }

    async fn walk<T: Send + 'static, W>(
        &self,
        walk: &Arc<W>,
    ) -> Result<history::Walked<T>, GitError>
    where
        W: Fn(&git2::Repository) -> Result<history::Walked<T>, GitError> + Send + Sync + 'static,
    {
        let (cache, walk) = (self.cache.clone(), walk.clone());
        let walked = tokio::task::spawn_blocking(move || walk(&*cache.open()?)).await;
        walked.expect("a walk does not panic, and is not cancelled")
    }

    /// Fetches `commits` more behind what the cache has of `tips`, and returns whether the remote
    /// knew any of them.
    async fn deepen(&self, tips: &[CommitId], commits: u32) -> Result<bool, GitError> {
        let _lock = self.cache.lock().await?;
        let mut known = false;
        for tip in tips {
            let refspecs = [tip.to_string()];
            let depth = Depth::Deepen(commits);
            match self.transport.fetch(&Fetch { refspecs: &refspecs, depth, prune: false }).await {
                Ok(()) => known = true,
                // A commit that was never pushed, or is on no branch any more.
                Err(GitError::NoCommit { .. } | GitError::NoBranch { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(known)
    }
}
