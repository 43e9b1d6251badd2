//! The bare repository on this machine that holds what was fetched from one remote.
//!
//! Processes share it: whatever moves references or history (`git fetch`) runs under its lock;
//! reading, writing objects and pushing need none, as objects never change. It holds nothing that
//! can't be fetched again, so a damaged one is thrown away and made anew.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::GitError;
use super::partial::Filter;

#[derive(Debug, Clone)]
pub(super) struct Cache {
    dir: Utf8PathBuf,
}

/// The right to fetch into the cache; it ends when the value is dropped, or the process.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// How long to wait for another process that fetches.
const PATIENCE: Duration = Duration::from_secs(600);

/// The file in the cache that says that its remote knows no filters.
const WHOLE: &str = "deployctl-whole";

impl Cache {
    pub(super) fn new(dir: Utf8PathBuf) -> Self {
        Self { dir }
    }

    pub(super) fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// Makes it where it is not there or can't be opened.
    pub(super) async fn ensure(&self) -> Result<(), GitError> {
        match self.open() {
            Ok(_) => Ok(()),
            Err(_) => self.lock().await.map(drop),
        }
    }

    /// Waits until nobody else fetches into the cache, and makes it where it is not there or
    /// can't be opened.
    pub(super) async fn lock(&self) -> Result<Lock, GitError> {
        let lock = Lock { _file: self.wait().await? };
        match self.open() {
            Ok(_) => Ok(lock),
            Err(error @ GitError::Ownership { .. }) => Err(error),
            Err(_) => {
                self.renew(&lock)?;
                Ok(lock)
            }
        }
    }

    /// Throws the cache away and makes it anew.
    pub(super) fn renew(&self, _lock: &Lock) -> Result<(), GitError> {
        let failed = |error: std::io::Error| self.error(error.to_string());
        let aside = tempfile::Builder::new().prefix(".old-").tempdir_in(self.parent());
        let aside = aside.map_err(failed)?;
        match std::fs::rename(&self.dir, aside.path().join("cache")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            _ => {}
        }
        // A repository that is only half made is never seen under its name.
        let new = aside.path().join("new");
        let mut options = git2::RepositoryInitOptions::new();
        options.bare(true).external_template(false).no_reinit(true);
        git2::Repository::init_opts(&new, &options)
            .map_err(|error| self.error(error.message().to_owned()))?;
        std::fs::rename(&new, &self.dir).map_err(failed)
    }

    /// Returns what to leave out of it, as far as the remote has not refused that.
    pub(super) fn filter(&self) -> Filter {
        match self.dir.join(WHOLE).exists() {
            true => Filter::Nothing,
            false => Filter::Files,
        }
    }

    /// Remembers what the remote lets be left out.
    pub(super) fn set_filter(&self, filter: Filter) -> Result<(), GitError> {
        match filter {
            Filter::Files => Ok(()),
            Filter::Nothing => std::fs::write(self.dir.join(WHOLE), "")
                .map_err(|error| self.error(error.to_string())),
        }
    }

    /// Opens it for reading and writing objects.
    pub(super) fn open(&self) -> Result<git2::Repository, GitError> {
        let opened = git2::Repository::open_bare(&self.dir);
        opened.map_err(|error| match error.code() {
            git2::ErrorCode::Owner => GitError::Ownership { path: self.dir.to_string() },
            _ => self.error(error.message().to_owned()),
        })
    }

    async fn wait(&self) -> Result<File, GitError> {
        let failed = |error: std::io::Error| self.error(error.to_string());
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

    fn error(&self, reason: impl Into<String>) -> GitError {
        GitError::Cache { path: self.dir.clone(), reason: reason.into() }
    }
}
