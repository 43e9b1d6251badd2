//! The bare repository on this machine that holds what was fetched from one remote.
//!
//! Processes share it: whatever moves references or history (`git fetch`) runs under its lock;
//! reading, writing objects and pushing need none, as objects never change. It holds nothing that
//! can't be fetched again, so a damaged one is thrown away and made anew.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

use super::opened::{Idle, Opened};
use super::partial::Filter;
use super::{CommitId, GitError, answer};

#[derive(Debug, Clone)]
pub(super) struct Cache {
    dir: Utf8PathBuf,
    /// Held, shared, by whoever works with the cache: it is not tidied up under their hands.
    in_use: Arc<OnceLock<File>>,
    idle: Arc<Idle>,
    /// Holds it where nobody may write to its proper place.
    _temporary: Option<Arc<TempDir>>,
}

/// The right to fetch into the cache; it ends when the value is dropped, or the process.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Who fetches writes to his pack all the time.
const LEFT_BEHIND: Duration = Duration::from_secs(600);

/// How often, and how long in between, it is looked whether a process that looks after the cache
/// has ended that; it takes a moment.
const GLANCES: u32 = 100;
const GLANCE: Duration = Duration::from_millis(2);

/// How long to wait for another process that fetches.
const PATIENCE: Duration = Duration::from_secs(600);

/// The files in the cache that say that its remote knows no filters, or sends all folders.
const WHOLE: &str = "deployctl-whole";
const FOLDERS: &str = "deployctl-folders";
/// The file in the cache that has the name of the remote's default branch.
const DEFAULT_BRANCH: &str = "deployctl-default-branch";
/// The file in the cache whose lock says that somebody works with it.
const IN_USE: &str = "deployctl-in-use";

/// A cache with more packs (a fetch adds one or two), with more files in one of the 256 folders of
/// single objects, or with a longer list of where history ends, is made anew: that is one fetch,
/// while each of them slows all runs down.
const MAX_PACKS: usize = 100;
const MAX_OBJECTS: usize = 64;
const MAX_SHALLOW: u64 = 64 << 10;

impl Cache {
    /// Opens the cache in the folder `dir`, made where it is not there or can't be opened; where
    /// nobody may write there, one in a temporary folder.
    pub(super) async fn open_in(dir: Utf8PathBuf) -> Result<Self, GitError> {
        let mut cache =
            Self { dir, in_use: Arc::default(), idle: Arc::default(), _temporary: None };
        match cache.ensure().await {
            Err(error) if cache.is_read_only() => {
                let temporary = tempfile::Builder::new().prefix("deployctl-").tempdir();
                let Ok(temporary) = temporary else { return Err(error) };
                let Some(folder) = Utf8Path::from_path(temporary.path()) else { return Err(error) };
                tracing::warn!(
                    "`{}` can't be written; each run fetches anew into a temporary folder",
                    cache.dir
                );
                let name = cache.dir.file_name().unwrap_or("cache").to_owned();
                cache.dir = folder.join(name);
                cache._temporary = Some(Arc::new(temporary));
                cache.ensure().await?;
                Ok(cache)
            }
            result => result.map(|()| cache),
        }
    }

    /// Returns another cache beside this one, which is made when it is locked.
    pub(super) fn beside(&self, suffix: &str) -> Self {
        let dir = Utf8PathBuf::from(format!("{}-{suffix}", self.dir));
        let _temporary = self._temporary.clone();
        Self { dir, in_use: Arc::default(), idle: Arc::default(), _temporary }
    }

    pub(super) fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// Makes it where it is not there or can't be opened, and anew where it has grown.
    async fn ensure(&self) -> Result<(), GitError> {
        if self.open().is_err() || !self.settle()? {
            drop(self.lock().await?);
        }
        Ok(())
    }

    /// Has the cache spared from being made anew as long as this value lives. Returns `false` if it
    /// should be made anew first.
    fn settle(&self) -> Result<bool, GitError> {
        let file = self.use_file()?;
        if file.try_lock().is_ok() && self.has_grown() {
            return Ok(false);
        }
        // Who has it alone is about to let it go.
        for _ in 0..GLANCES {
            if file.try_lock_shared().is_ok() {
                let _ = self.in_use.set(file);
                break;
            }
            std::thread::sleep(GLANCE);
        }
        Ok(true)
    }

    fn use_file(&self) -> Result<File, GitError> {
        let mut options = File::options();
        let options = options.create(true).truncate(false).write(true);
        options.open(self.dir.join(IN_USE)).map_err(|error| self.failed(&error))
    }

    /// Returns whether a new one would be faster. Half-written packs of processes that died go.
    fn has_grown(&self) -> bool {
        self.sweep(LEFT_BEHIND);
        let count = |folder: &str| {
            self.dir.join(folder).read_dir_utf8().map_or(0, |entries| entries.flatten().count())
        };
        // A pack is three or four files.
        let shallow = self.dir.join("shallow").metadata().map_or(0, |file| file.len());
        count("objects/pack") > 3 * MAX_PACKS
            || count("objects/17") > MAX_OBJECTS
            || shallow > MAX_SHALLOW
    }

    /// Removes the packs that are only half there and that nobody has written to for `age`: another
    /// process may be at it.
    fn sweep(&self, age: Duration) {
        let Ok(entries) = self.dir.join("objects/pack").read_dir_utf8() else { return };
        for entry in entries.flatten().filter(|entry| entry.file_name().starts_with("tmp_")) {
            let written = entry.metadata().and_then(|file| file.modified());
            if written.is_ok_and(|time| time.elapsed().is_ok_and(|since| since >= age)) {
                // One that can't be removed is in nobody's way but the disk's.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Returns whether nobody may write where it is.
    fn is_read_only(&self) -> bool {
        let Some(folder) = self.dir.ancestors().find(|folder| folder.is_dir()) else {
            return false;
        };
        matches!(
            tempfile::tempfile_in(folder).map_err(|error| error.kind()),
            Err(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
        )
    }

    /// Returns whether it has the root folder of what `reference`, one of its own, was last.
    pub(super) fn has_root_of(&self, reference: &str) -> bool {
        let Ok(repository) = self.open() else { return false };
        let commit = repository.find_reference(reference).and_then(|found| found.peel_to_commit());
        commit.is_ok_and(|commit| commit.tree().is_ok())
    }

    /// Adds the references that match `pattern` to `found`, by their names at the remote.
    pub(super) fn references(
        &self,
        pattern: &str,
        found: &mut BTreeMap<String, CommitId>,
    ) -> Result<(), GitError> {
        let read = || GitError::object("read the references");
        let repository = self.open()?;
        for reference in repository.references_glob(pattern).map_err(read())? {
            let reference = reference.map_err(read())?;
            let name = reference.name().ok().and_then(|name| name.strip_prefix("refs/deployctl/"));
            if let (Some(name), Ok(commit)) = (name, reference.peel_to_commit()) {
                found.insert(format!("refs/{name}"), commit.id().into());
            }
        }
        Ok(())
    }

    /// Waits until nobody else fetches into the cache, and makes it where it is not there or
    /// can't be opened.
    pub(super) async fn lock(&self) -> Result<Lock, GitError> {
        let lock = Lock { _file: self.wait().await? };
        self.idle.clear();
        match self.open() {
            Ok(_) => {}
            Err(error @ GitError::Ownership { .. }) => return Err(error),
            Err(_) => self.renew(&lock)?,
        }
        if self.in_use.get().is_none() && !self.settle()? {
            self.renew(&lock)?;
            self.settle()?;
        }
        Ok(lock)
    }

    /// Throws the cache away and makes it anew.
    pub(super) fn renew(&self, _lock: &Lock) -> Result<(), GitError> {
        let failed = |error: std::io::Error| self.failed(&error);
        let aside = tempfile::Builder::new().prefix(".old-").tempdir_in(self.parent());
        let aside = aside.map_err(failed)?;
        // A repository that is only half made is never seen under its name.
        let new = aside.path().join("new");
        let mut options = git2::RepositoryInitOptions::new();
        options.bare(true).external_template(false).no_reinit(true);
        git2::Repository::init_opts(&new, &options)
            .map_err(|error| self.or_full(self.error(error.message().to_owned())))?;
        for attempt in 0.. {
            match std::fs::rename(&self.dir, aside.path().join(format!("old-{attempt}"))) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
            match std::fs::rename(&new, &self.dir) {
                // Whoever was writing an object has made its folder meanwhile.
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty && attempt < 10 => {}
                result => return result.map_err(failed),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Returns what to leave out of it: `most`, or less where the remote has refused that.
    pub(super) fn filter(&self, most: Filter) -> Filter {
        let refuses = |name: &str| self.dir.join(name).exists();
        match most {
            _ if refuses(WHOLE) => Filter::Nothing,
            Filter::Folders if refuses(FOLDERS) => Filter::Files,
            most => most,
        }
    }

    /// Remembers that the remote lets no more be left out.
    pub(super) fn set_filter(&self, filter: Filter) -> Result<(), GitError> {
        let name = match filter {
            Filter::Folders | Filter::LargeFiles(_) => return Ok(()),
            Filter::Files => FOLDERS,
            Filter::Nothing => WHOLE,
        };
        std::fs::write(self.dir.join(name), "").map_err(|error| self.failed(&error))
    }

    /// Returns what the remote's default branch was when it was fetched last.
    pub(super) fn default_branch(&self) -> Option<String> {
        std::fs::read_to_string(self.dir.join(DEFAULT_BRANCH)).ok()
    }

    /// Remembers what the remote's default branch is, for when it can't be asked.
    pub(super) fn set_default_branch(&self, branch: &str) {
        if self.default_branch().as_deref() != Some(branch) {
            // Without it, only who is offline has to name one.
            let _ = std::fs::write(self.dir.join(DEFAULT_BRANCH), branch);
        }
    }

    /// Opens it for reading and writing objects.
    pub(super) fn open(&self) -> Result<Opened, GitError> {
        Opened::new(&self.dir, &self.idle).map_err(|error| match error.code() {
            git2::ErrorCode::Owner => GitError::Ownership { path: self.dir.to_string() },
            _ => self.error(error.message().to_owned()),
        })
    }

    async fn wait(&self) -> Result<File, GitError> {
        let failed = |error: std::io::Error| self.failed(&error);
        // What is cached may be as private as its remote.
        let mut folders = DirBuilder::new();
        folders.recursive(true).mode(0o700).create(self.parent()).map_err(failed)?;
        let path = self.dir.with_extension("lock");
        let mut options = File::options();
        let file = options.create(true).truncate(false).write(true).open(path).map_err(failed)?;
        let locked = async {
            loop {
                match file.try_lock() {
                    // Not a blocking wait in a thread: that could not be interrupted.
                    Err(TryLockError::WouldBlock) => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    Err(TryLockError::Error(error)) => return Err(failed(error)),
                    Ok(()) => return Ok(()),
                }
            }
        };
        let busy = |_| self.error("another process has been fetching into it for 10 minutes");
        tokio::time::timeout(PATIENCE, locked).await.map_err(busy)??;
        Ok(file)
    }

    fn parent(&self) -> &Utf8Path {
        self.dir.parent().expect("the cache has a folder of its own below the caches' folder")
    }

    /// Removes the half of a pack that a fetch which broke off has left, if nobody else works with the
    /// cache, who could be writing one.
    pub(super) fn clear_up(&self) {
        let Some(file) = self.in_use.get() else { return };
        if file.try_lock().is_ok() {
            self.sweep(Duration::ZERO);
        }
        // Without it, the cache may be made anew under our hands, as when it was taken too late.
        let _ = file.try_lock_shared();
    }

    /// Returns the error for a disk that is full. The half-written packs go, which need the room:
    /// whoever else writes one there has none either.
    pub(super) fn full(&self, reason: &str) -> GitError {
        self.sweep(Duration::ZERO);
        GitError::Full { path: self.dir.clone(), reason: reason.to_owned() }
    }

    /// Returns `error`, or what it means if the disk is full.
    pub(super) fn or_full(&self, error: GitError) -> GitError {
        answer::no_room(&error.to_string()).map_or(error, |reason| self.full(reason))
    }

    fn failed(&self, error: &std::io::Error) -> GitError {
        self.or_full(self.error(error.to_string()))
    }

    fn error(&self, reason: impl Into<String>) -> GitError {
        GitError::Cache { path: self.dir.clone(), reason: reason.into() }
    }
}
