//! The queue: a folder beside the cache with a file for each change that waits.
//!
//! A file of a change is locked for as long as its process lives, so that a dead one's is known by
//! the kernel's word. Its name says how far it is: `.change` waits, `.taken` is being pushed,
//! `.answer` says what came of it. Whoever holds the lock `.lead` of a branch is its leader.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};

use super::answer::Answer;
use super::staged::Staged;
use crate::git::{CommitId, GitError};
use crate::image::Digest;
use crate::system;

/// No file of the queue is larger.
const MAX_BYTES: u64 = 4 << 20;

/// A leader takes no more changes along.
const MAX_CHANGES: usize = 256;

/// Nobody takes so long to write a file and to rename it.
const LEFT_BEHIND: Duration = Duration::from_secs(600);

/// The queue of those who share a cache and its credentials.
#[derive(Debug)]
pub(super) struct Queue {
    dir: Utf8PathBuf,
}

/// The right to push to a branch for all who wait; it ends when the value is dropped, or the
/// process.
#[derive(Debug)]
pub(super) struct Lead {
    _lock: File,
}

/// A place in the queue; it is given up when the value is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    dir: Utf8PathBuf,
    stem: String,
    _lock: File,
}

/// A change of another process.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) staged: Staged,
    /// Whether a leader has begun to push it and has not said what came of it.
    pub(super) taken: bool,
}

impl Queue {
    /// Returns the queue in the folder `dir`, made where it is not there, or `None` where there can
    /// be none: it can't be written, or somebody else could write it too.
    pub(super) fn open(dir: &Utf8Path) -> Option<Self> {
        if !dir.is_dir() {
            let mut folder = std::fs::DirBuilder::new();
            // Another process may be faster.
            let _ = folder.mode(0o700).create(dir);
        }
        system::is_private_folder(dir).then(|| Self { dir: dir.to_owned() })
    }

    /// Puts a change into the queue, or returns `None` where files can't be written or locked.
    pub(super) fn stage(&self, staged: &Staged) -> Option<Ticket> {
        let stem = stem(staged);
        let bytes = staged.to_json();
        if bytes.len() as u64 > MAX_BYTES {
            return None;
        }
        let new = self.dir.join(format!(".{stem}"));
        let write = || -> std::io::Result<File> {
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
            file.try_lock().map_err(std::io::Error::from)?;
            file.write_all(&bytes)?;
            std::fs::rename(&new, self.dir.join(format!("{stem}.change")))?;
            Ok(file)
        };
        match write() {
            Ok(lock) => Some(Ticket { dir: self.dir.clone(), stem, _lock: lock }),
            Err(error) => {
                tracing::debug!(%error, "can't put the change into the queue");
                let _ = std::fs::remove_file(&new);
                None
            }
        }
    }

    /// Returns the right to push to `branch`, or `None` if another process has it.
    pub(super) fn lead(&self, branch: &str) -> Result<Option<Lead>, GitError> {
        let lock = self.lock(&format!("{}.lead", short(branch)))?;
        Ok(lock.map(|lock| Lead { _lock: lock }))
    }

    /// Locks the file `name`, or returns `None` if another process has it locked.
    pub(super) fn lock(&self, name: &str) -> Result<Option<File>, GitError> {
        let path = self.dir.join(name);
        let failed = |error: std::io::Error| GitError::Cache {
            path: path.clone(),
            reason: error.to_string(),
        };
        let mut options = File::options();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Returns the changes to `branch` that living processes wait for, the oldest first, without
    /// `own` and those that are answered. What dead processes have left is removed.
    pub(super) fn waiting(&self, branch: &str, own: &str) -> Vec<Waiting> {
        let prefix = format!("{}-", short(branch));
        let mut found: Vec<(SystemTime, Waiting)> = Vec::new();
        // An answer is looked at after the change that it is about: both may go.
        let mut names = self.names();
        names.sort_by_key(|name| name.ends_with(".answer"));
        for name in names {
            let Some((stem, state)) = name.split_once('.') else { continue };
            if stem.is_empty() {
                self.remove_if_old(&name);
            }
            if !stem.starts_with(&prefix) || stem.ends_with(own) {
                continue;
            }
            match state {
                "change" | "taken" => {
                    let living = self.living(&name, branch, state == "taken");
                    found.extend(living.filter(|_| !self.exists(stem, "answer")));
                }
                "answer" if !self.exists(stem, "change") && !self.exists(stem, "taken") => {
                    self.remove(&name);
                }
                _ => {}
            }
        }
        found.sort_by_key(|(time, _)| *time);
        found.into_iter().map(|(_, waiting)| waiting).take(MAX_CHANGES - 1).collect()
    }

    /// Returns the change in the file `name`, or removes the file if its process is dead or if it is
    /// damaged.
    fn living(&self, name: &str, branch: &str, taken: bool) -> Option<(SystemTime, Waiting)> {
        let file = File::open(self.dir.join(name)).ok()?;
        if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            self.remove(name);
            return None;
        }
        let bytes = bounded(&file);
        let staged = bytes.as_deref().and_then(Staged::from_json);
        match staged.filter(|staged| staged.branch == branch && name.starts_with(&stem(staged))) {
            Some(staged) => {
                let time = file.metadata().and_then(|metadata| metadata.modified()).ok()?;
                Some((time, Waiting { staged, taken }))
            }
            None => {
                tracing::warn!(file = name, "a damaged file in the queue; removed");
                self.remove(name);
                None
            }
        }
    }

    /// Marks a change as one that is about to be pushed, and returns whether it still waits.
    pub(super) fn take(&self, staged: &Staged) -> bool {
        self.rename(staged, "change", "taken") || self.exists(&stem(staged), "taken")
    }

    /// Takes the mark away: the push was answered, and the branch is without the change.
    pub(super) fn put_back(&self, staged: &Staged) {
        self.rename(staged, "taken", "change");
    }

    /// Tells the process of a change what came of it. One that can't be told takes its turn, and
    /// looks the change up.
    pub(super) fn answer(&self, staged: &Staged, answer: &Answer) {
        let name = format!("{}.answer", stem(staged));
        if let Err(error) = self.write(&name, &answer.to_json()) {
            tracing::warn!(%error, "can't tell another process what came of its change");
        }
    }

    /// Returns the commit that `branch` was seen at last, or that a leader has brought it to since, if
    /// the note is readable.
    pub(super) fn last_tip(&self, branch: &str) -> Option<CommitId> {
        let bytes = self.read(&format!("{}.tip", short(branch)))?;
        String::from_utf8(bytes).ok()?.parse().ok()
    }

    /// Notes the commit that `branch` is at now.
    pub(super) fn set_last_tip(&self, branch: &str, tip: &CommitId) {
        // It only saves a fetch.
        let _ = self.write(&format!("{}.tip", short(branch)), tip.as_str().as_bytes());
    }

    /// Returns the bytes of the file `name`, or `None` if there is none of a sensible size.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        bounded(&File::open(self.dir.join(name)).ok()?)
    }

    /// Replaces the file `name`.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let mut new = tempfile::Builder::new().prefix(".write-").tempfile_in(&self.dir)?;
        new.write_all(bytes)?;
        new.persist(self.dir.join(name)).map_err(|error| error.error)?;
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        let Ok(entries) = self.dir.read_dir_utf8() else { return Vec::new() };
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_owned())).collect()
    }

    fn rename(&self, staged: &Staged, from: &str, to: &str) -> bool {
        let path = |state| self.dir.join(format!("{}.{state}", stem(staged)));
        std::fs::rename(path(from), path(to)).is_ok()
    }

    fn exists(&self, stem: &str, state: &str) -> bool {
        self.dir.join(format!("{stem}.{state}")).exists()
    }

    /// Removes a file that was to be renamed at once if its process has not come to that.
    fn remove_if_old(&self, name: &str) {
        let modified = std::fs::metadata(self.dir.join(name)).and_then(|file| file.modified());
        if modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > LEFT_BEHIND)) {
            self.remove(name);
        }
    }

    fn remove(&self, name: &str) {
        let _ = std::fs::remove_file(self.dir.join(name));
    }
}

impl Ticket {
    /// Returns what came of the change, if another process took it along and says so.
    pub(super) fn answer(&self) -> Option<Answer> {
        let path = self.path("answer");
        let answer = Answer::from_json(&bounded(&File::open(&path).ok()?)?);
        if answer.is_none() {
            let _ = std::fs::remove_file(path);
        }
        answer
    }

    /// Returns whether a leader may have pushed the change and has not said what came of it: it is
    /// marked so, or somebody has removed the file.
    pub(super) fn may_be_pushed(&self) -> bool {
        !self.path("change").exists()
    }

    /// Takes the change out of the queue and returns whether that was possible: what is being
    /// pushed can't be taken back.
    pub(super) fn withdraw(&self) -> bool {
        let remove = || std::fs::remove_file(self.path("change")).is_ok();
        // A leader may put it back between two looks.
        remove() || (!self.path("taken").exists() && (remove() || !self.path("taken").exists()))
    }

    fn path(&self, state: &str) -> Utf8PathBuf {
        self.dir.join(format!("{}.{state}", self.stem))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        for state in ["change", "taken", "answer"] {
            let _ = std::fs::remove_file(self.path(state));
        }
    }
}

fn stem(staged: &Staged) -> String {
    format!("{}-{}", short(&staged.branch), staged.id)
}

/// Returns what stands for a branch in file names.
pub(super) fn short(branch: &str) -> String {
    Digest::of(branch.as_bytes()).short().to_owned()
}

fn bounded(file: &File) -> Option<Vec<u8>> {
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_BYTES).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::staged::tests::staged;
    use super::*;

    #[test]
    fn an_answer_that_a_dead_process_did_not_hear_goes_with_its_change() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(folder.path()).unwrap().join("queue");
        let queue = Queue::open(&dir).unwrap();
        for (id, state) in [("1", "change"), ("2", "taken")] {
            let dead = staged(id, "web");
            queue.write(&format!("{}.{state}", stem(&dead)), &dead.to_json()).unwrap();
            queue.write(&format!("{}.answer", stem(&dead)), b"{}").unwrap();
        }
        assert!(queue.waiting("main", "own").is_empty());
        assert_eq!(queue.names(), Vec::<String>::new());
    }
}
