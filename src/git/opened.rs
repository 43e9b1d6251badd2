//! Open handles on a bare repository, used again: opening one means to read four configuration
//! files and to look at all packs, and a run looks at its objects a dozen times.

use std::ops::Deref;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use camino::Utf8Path;

/// The handles on one folder that nobody uses.
#[derive(Default)]
pub(super) struct Idle(Mutex<Vec<(Identity, git2::Repository)>>);

/// A handle; when it is dropped, it waits for the next who wants one.
pub(super) struct Opened {
    /// There until it is dropped.
    handle: Option<(Identity, git2::Repository)>,
    idle: Arc<Idle>,
}

/// What tells a folder from one that has taken its place.
type Identity = (u64, u64, Option<SystemTime>);

impl Idle {
    /// Lets go of all of them, so that the next is opened anew, and tells whether that can be done.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Opened {
    /// Opens the bare repository in the folder `dir`, or takes one of the handles in `idle`, which
    /// are handles on that folder, or on what was there before it was made anew.
    pub(super) fn new(dir: &Utf8Path, idle: &Arc<Idle>) -> Result<Self, git2::Error> {
        let identity = dir.metadata().map(|it| (it.dev(), it.ino(), it.created().ok()));
        let identity = identity.map_err(|error| git2::Error::from_str(&error.to_string()))?;
        let waiting = {
            let mut handles = idle.0.lock().unwrap_or_else(PoisonError::into_inner);
            handles.retain(|(of, _)| *of == identity);
            handles.pop()
        };
        let handle = match waiting {
            Some(handle) => handle,
            None => (identity, git2::Repository::open_bare(dir)?),
        };
        Ok(Self { handle: Some(handle), idle: idle.clone() })
    }
}

impl Deref for Opened {
    type Target = git2::Repository;

    fn deref(&self) -> &git2::Repository {
        &self.handle.as_ref().expect("only a drop takes it").1
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.idle.0.lock().unwrap_or_else(PoisonError::into_inner).extend(self.handle.take());
    }
}

impl std::fmt::Debug for Idle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Idle").finish_non_exhaustive()
    }
}
