//! The manifests repository: a remote and its cache; open, fetch, read, commit.
//!
//! Walks over its history and pushes are in files of their own.

mod push;
mod walks;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;

use super::cache::{Cache, Lock};
use super::opened::Opened;
use super::partial::{self, Lazy};
use super::remote::Remote;
use super::transport::{Depth, Fetch, Transport};
use super::{Authorship, CommitId, CommitTree, GitError, Ledgers, write};
use crate::kustomize::MemoryTree;
use crate::system::Environment;

pub use push::OWN_BRANCHES;

/// The manifests repository: a remote, and a bare cache of it on this machine.
#[derive(Debug, Clone)]
pub struct Repository {
    transport: Transport,
    cache: Cache,
    /// What the remote has said that its default branch is.
    default_branch: Arc<OnceLock<String>>,
    /// How many logs have had folders fetched to compare.
    logs: Arc<AtomicU32>,
}

/// What a fetch found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The branch.
    pub branch: String,
    /// Its tip.
    pub tip: CommitId,
    /// The other references that were asked for, by their names at the remote.
    pub references: BTreeMap<String, CommitId>,
}

impl Repository {
    /// Returns the repository at `remote` (URL, `user@host:path`, or path). Its bare cache gets a
    /// folder of its own in the folder `caches`, made where it is not there or damaged; where nobody
    /// may write there, in a temporary folder, which lasts as long as the value. Reaches no network.
    ///
    /// # Errors
    ///
    /// Fails if `git` is not installed, the remote is malformed, or the disk is full.
    pub async fn open(
        remote: &str,
        caches: &Utf8Path,
        environment: &Environment,
    ) -> Result<Self, GitError> {
        let repository = Self::open_anyway(remote, caches, environment).await?;
        repository.transport.check()?;
        Ok(repository)
    }

    /// As [`Repository::open`], also where there is no way to the remote: only whoever goes it is told.
    ///
    /// # Errors
    ///
    /// Fails if the remote is malformed, or the disk is full.
    pub async fn open_anyway(
        remote: &str,
        caches: &Utf8Path,
        environment: &Environment,
    ) -> Result<Self, GitError> {
        let remote = Remote::parse(remote)?;
        let folder = std::path::absolute(caches.join(remote.folder())).ok();
        let folder = folder.and_then(|path| Utf8PathBuf::from_path_buf(path).ok());
        let cache = Cache::open_in(folder.unwrap_or_else(|| caches.join(remote.folder()))).await?;
        let transport = Transport::new(remote, &cache, environment).await?;
        Ok(Self { transport, cache, default_branch: Arc::default(), logs: Arc::default() })
    }

    /// Returns the same repository, in which services' own folders are known to have this depth at
    /// most: one in the root has the depth 1. No folder is fetched before something in it is read.
    #[must_use]
    pub fn with_services_at(self, depth: usize) -> Self {
        Self { transport: self.transport.with_services_at(depth), ..self }
    }

    /// Returns the same repository as it was fetched last: no remote is asked but a folder.
    #[must_use]
    pub fn offline(self) -> Self {
        Self { transport: self.transport.offline(), ..self }
    }

    /// Returns the remote's address without credentials, for people.
    pub fn remote(&self) -> &str {
        self.transport.remote()
    }

    /// Returns what deployctl remembers in the remote beside its branches. Reaches no network.
    pub fn ledgers(&self) -> Ledgers {
        Ledgers::new(self.transport.with_cache(self.cache.beside("ledgers")))
    }

    /// Returns the name of the remote's default branch, which is asked for once.
    ///
    /// # Errors
    ///
    /// Fails if the remote is out of reach, refuses the credentials, or is empty.
    pub async fn default_branch(&self) -> Result<String, GitError> {
        if let Some(branch) = self.default_branch.get() {
            return Ok(branch.clone());
        }
        let branch = match self.transport.head().await {
            Err(error @ GitError::Offline { .. }) => self.cache.default_branch().ok_or(error)?,
            branch => {
                branch?.ok_or_else(|| GitError::Empty { remote: self.remote().to_owned() })?
            }
        };
        self.know_default_branch(&branch);
        Ok(branch)
    }

    /// Spares the question what the default branch is.
    pub(super) fn know_default_branch(&self, branch: &str) {
        let _ = self.default_branch.set(branch.to_owned());
    }

    /// Fetches `branch` (the remote's default branch if `None`) and returns its tip.
    ///
    /// # Errors
    ///
    /// Fails if the remote is out of reach, refuses the credentials, or has no such branch.
    pub async fn fetch(&self, branch: Option<&str>) -> Result<CommitId, GitError> {
        self.fetch_all(&branch.map_or(Ok("HEAD".to_owned()), full_name)?, &[]).await
    }

    /// Fetches `branch` (the remote's default branch if `None`) and, in the same round trip, the
    /// remote's references that match `patterns`, such as `refs/deployctl/holds/prod/*`.
    ///
    /// # Errors
    ///
    /// As [`Repository::fetch`]. A pattern that matches nothing is no error.
    pub async fn fetch_with(
        &self,
        branch: Option<&str>,
        patterns: &[&str],
    ) -> Result<Fetched, GitError> {
        let patterns: Vec<String> = patterns.iter().map(|p| refspec(p)).collect();
        let (branch, tip) = match branch {
            Some(branch) => {
                (branch.to_owned(), self.fetch_all(&full_name(branch)?, &patterns).await?)
            }
            // A fetch does not tell what `HEAD` is called.
            None => {
                let found =
                    tokio::try_join!(self.default_branch(), self.fetch_all("HEAD", &patterns))?;
                self.cache.set_default_branch(&found.0);
                found
            }
        };
        let mut references = BTreeMap::new();
        for local in patterns.iter().filter_map(|refspec| refspec.split_once(':')) {
            self.cache.references(local.1, &mut references)?;
        }
        Ok(Fetched { branch, tip, references })
    }

    /// Returns the files of a fetched commit.
    ///
    /// # Errors
    ///
    /// Fails if the cache does not have the commit.
    pub fn tree(&self, commit: &CommitId) -> Result<CommitTree, GitError> {
        CommitTree::new(&self.cache, commit, self.lazy())
    }

    /// Returns the commit that `revision` (id, abbreviated id, or name of a branch or tag) stands
    /// for, fetched.
    ///
    /// # Errors
    ///
    /// Fails if there is no such commit.
    pub async fn resolve(&self, revision: &str) -> Result<CommitId, GitError> {
        let unknown = || GitError::NoCommit {
            remote: self.remote().to_owned(),
            revision: revision.to_owned(),
        };
        if let Ok(id) = revision.parse::<CommitId>() {
            return if self.has(&id).await? { Ok(id) } else { Err(unknown()) };
        }
        if full_name(revision).is_ok() {
            let names = [format!("refs/heads/{revision}"), format!("refs/tags/{revision}")];
            let names = names.each_ref().map(String::as_str);
            // `ls-remote` also matches names that only end so.
            let found = self.transport.list(&names).await?;
            if let Some(found) = found.iter().find(|found| names.contains(&found.name.as_str())) {
                return self.fetch_reference(&found.name, &[], &self.cache.lock().await?).await;
            }
        }
        self.resolve_abbreviated(revision).await?.ok_or_else(unknown)
    }

    /// Writes a commit on `parent` with `changes` (whole files by path), signed where `authorship`
    /// says so, and returns it, or `None` if it would change nothing. File modes are kept.
    ///
    /// # Errors
    ///
    /// Fails if a path is a folder, a link or outside, if the cache can't be written, or if the
    /// commit can't be signed; then there is none.
    pub async fn commit(
        &self,
        parent: &CommitId,
        changes: &MemoryTree,
        message: &str,
        authorship: &Authorship,
        time: Timestamp,
    ) -> Result<Option<CommitId>, GitError> {
        let prepare = || {
            let cache = self.cache.open()?;
            let text = write::prepare(&cache, parent, changes, message, authorship, time);
            text.map_err(|error| self.cache.or_full(error))
        };
        let text = match prepare() {
            // Nobody has read the files that are changed, or they are gone since.
            Err(GitError::Object { source, .. }) if partial::is_missing(&source) => {
                let paths: Vec<Utf8PathBuf> = changes.0.keys().cloned().collect();
                self.tree(parent)?.prefetch(&paths).await?;
                prepare()?
            }
            text => text?,
        };
        let Some(text) = text else { return Ok(None) };
        let signature = authorship.sign(&text).await?;
        let cache = self.cache.open()?;
        let stored = write::store(&cache, &text, signature.as_deref());
        stored.map(Some).map_err(|error| self.cache.or_full(error))
    }

    /// Fetches `reference` (`HEAD`, or the full name of a branch) and what `more` refspecs bring, and
    /// returns the reference's commit.
    async fn fetch_all(&self, reference: &str, more: &[String]) -> Result<CommitId, GitError> {
        let lock = self.cache.lock().await?;
        match self.fetch_reference(reference, more, &lock).await {
            Err(GitError::NoBranch { branch, .. }) => Err(self.no_branch(branch).await),
            Err(error @ GitError::Offline { .. }) => self.fetched_last(reference).ok_or(error),
            result => result,
        }
    }

    /// Returns the commit that `reference` was at when it was fetched last.
    fn fetched_last(&self, reference: &str) -> Option<CommitId> {
        let cache = self.cache.open().ok()?;
        let found = cache.find_reference(&local_name(reference)).ok()?;
        Some(found.peel_to_commit().ok()?.id().into())
    }

    /// Fetches `reference` (full name, `HEAD`, or commit id) and returns the commit. A cache that
    /// fails for no reason of the remote's is made anew, once.
    async fn fetch_reference(
        &self,
        reference: &str,
        more: &[String],
        lock: &Lock,
    ) -> Result<CommitId, GitError> {
        match self.try_fetch(reference, more).await {
            Err(
                GitError::Git { .. }
                | GitError::Object { .. }
                | GitError::Cache { .. }
                | GitError::Damaged { .. },
            ) => {
                tracing::warn!(cache = %self.cache.dir(), "the git cache is damaged; made anew");
                self.cache.renew(lock)?;
                self.try_fetch(reference, more).await
            }
            result => result,
        }
    }

    async fn try_fetch(&self, reference: &str, more: &[String]) -> Result<CommitId, GitError> {
        // A commit that was asked for by its id gets no reference: nobody would ever delete it, and
        // collection spares what has come lately.
        let id = reference.parse::<CommitId>().ok();
        let local = local_name(reference);
        let mut refspecs = vec![id.as_ref().map_or(refspec(reference), CommitId::to_string)];
        refspecs.extend_from_slice(more);
        let prune = !more.is_empty();
        let fetch = Fetch { refspecs: &refspecs, depth: Depth::Recent, prune };
        self.transport.fetch(&fetch).await?;
        let cache = self.cache.open()?;
        let read = || GitError::object(format!("read `{reference}` after the fetch"));
        let commit = match id {
            Some(id) => cache.find_commit(id.oid()),
            None => cache.find_reference(&local).and_then(|found| found.peel_to_commit()),
        };
        let commit = commit.map_err(read())?;
        match commit.tree() {
            // It comes when something in it is read.
            Err(error) if !partial::is_missing(&error) => Err(read()(error)),
            _ => Ok(commit.id().into()),
        }
    }

    /// Returns whether the cache has `commit`, without asking the remote.
    pub fn has_fetched(&self, commit: &CommitId) -> bool {
        self.has_now(commit).unwrap_or(false)
    }

    /// Returns whether references besides the branch cost no round trip of their own.
    pub(super) fn brings_along(&self) -> bool {
        self.transport.has_program()
    }

    /// Returns the remote as the source of what the cache was spared.
    fn lazy(&self) -> Lazy {
        Lazy::new(self.transport.clone())
    }

    /// Returns the cache's objects.
    pub(super) fn objects(&self) -> Result<Opened, GitError> {
        self.cache.open()
    }

    /// Returns the folder for the changes of those who share the cache and the credentials.
    pub(super) fn queue_dir(&self) -> Utf8PathBuf {
        self.cache.dir().with_extension(format!("queue-{}", self.transport.principal()))
    }

    pub(super) fn has_now(&self, commit: &CommitId) -> Result<bool, GitError> {
        Ok(self.cache.open()?.find_commit(commit.oid()).is_ok())
    }

    /// Returns whether the cache has `commit`, fetched if need be.
    async fn has(&self, commit: &CommitId) -> Result<bool, GitError> {
        if self.has_now(commit)? {
            return Ok(true);
        }
        let lock = self.cache.lock().await?;
        match self.fetch_reference(commit.as_str(), &[], &lock).await {
            Ok(_) => Ok(true),
            Err(GitError::NoCommit { .. } | GitError::NoBranch { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the error for a missing `branch`, which tells what there is instead.
    async fn no_branch(&self, branch: String) -> GitError {
        let remote = self.remote().to_owned();
        let found = match self.transport.list(&["refs/heads/*"]).await {
            Ok(found) => found,
            Err(error) => return error,
        };
        if found.is_empty() {
            return GitError::Empty { remote };
        }
        let known = found.iter().filter_map(|found| found.name.strip_prefix("refs/heads/"));
        let known = known.take(10).map(|name| format!("`{name}`")).collect();
        GitError::NoBranch { remote, branch, known }
    }
}

/// Returns the full name of `branch`.
fn full_name(branch: &str) -> Result<String, GitError> {
    let name = format!("refs/heads/{branch}");
    // A refspec takes `:` and `*` for itself; git-check-ref-format(1) forbids both.
    match git2::Reference::is_valid_name(&name) && !branch.starts_with('-') {
        true => Ok(name),
        false => Err(GitError::BranchName(branch.to_owned())),
    }
}

/// Returns what fetches the remote's `reference`, or those that match it.
fn refspec(reference: &str) -> String {
    format!("+{reference}:{}", local_name(reference))
}

/// Returns where the cache keeps `reference`.
pub(super) fn local_name(reference: &str) -> String {
    format!("refs/deployctl/{}", reference.strip_prefix("refs/").unwrap_or(reference))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_name_can_not_change_the_refspec() {
        assert_eq!(full_name("release/1.2").unwrap(), "refs/heads/release/1.2");
        for name in ["", "a:b", "a b", "*", "a..b", "-x", "a\n", "x.lock", "/x", "@{u}", "+"] {
            let valid = full_name(name).is_ok();
            assert_eq!(valid, name == "+", "{name}");
        }
    }
}
