//! Files of the context as inputs: what they are, and the digest of what is in them.

use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};

use super::memo::{Memo, Stat};
use super::{BuildError, InputKind};
use crate::build::context::{Context, Entry, EntryKind};
use crate::image::Digest;

/// How much of a file is read at a time.
const CHUNK: usize = 128 << 10;

/// Below so many bytes another thread is not worth its start.
const SHARE: u64 = 1 << 20;

/// A file to be read.
struct Unread {
    path: Utf8PathBuf,
    stat: Stat,
    mode: u32,
}

/// Returns the facts about `entries`; files that `memo` does not know are read, by several threads.
pub(super) fn facts(
    context: &Context,
    entries: Vec<Entry>,
    memo: &mut Memo,
) -> Result<Vec<(InputKind, Utf8PathBuf, String)>, BuildError> {
    let mut facts = Vec::with_capacity(entries.len());
    let mut unread = Vec::new();
    for entry in entries {
        let absolute = context.root().join(&entry.path);
        match entry.kind {
            EntryKind::Link(target) => {
                facts.push((InputKind::Link, entry.path, target.into_string()));
            }
            EntryKind::Special => facts.push((InputKind::Special, entry.path, String::new())),
            EntryKind::Folder => facts.push((InputKind::Folder, entry.path, String::new())),
            EntryKind::File { .. } => {
                let metadata = look(&absolute)?;
                if !metadata.is_file() {
                    return Err(BuildError::Changed(absolute));
                }
                let mode = permissions(&metadata);
                let stat = Stat::of(&metadata);
                match memo.get(&absolute, &stat) {
                    Some(digest) => facts.push(file(entry.path, mode, &digest)),
                    None => unread.push(Unread { path: entry.path, stat, mode }),
                }
            }
        }
    }
    for (unread, digest) in read_all(context.root(), unread)? {
        memo.put(context.root().join(&unread.path), unread.stat, digest.clone());
        facts.push(file(unread.path, unread.mode, &digest));
    }
    Ok(facts)
}

fn file(path: Utf8PathBuf, mode: u32, digest: &Digest) -> (InputKind, Utf8PathBuf, String) {
    (InputKind::File, path, format!("{mode:04o} {digest}"))
}

/// Returns the permissions as git has them, and whether the file runs as its owner or group. Who may
/// read and write it depends on the umask of whoever checked it out, which must not show.
fn permissions(metadata: &Metadata) -> u32 {
    let mode = metadata.permissions().mode();
    let usual = if mode & 0o100 == 0 { 0o644 } else { 0o755 };
    usual | (mode & 0o6000)
}

fn look(path: &Utf8Path) -> Result<Metadata, BuildError> {
    fs::symlink_metadata(path).map_err(|error| BuildError::file(path, &error))
}

/// Returns the files with the digests of their contents.
fn read_all(root: &Utf8Path, files: Vec<Unread>) -> Result<Vec<(Unread, Digest)>, BuildError> {
    let bytes: u64 = files.iter().map(|file| file.stat.size).sum();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = usize::try_from(bytes / SHARE).unwrap_or(cores).clamp(1, cores);
    if threads == 1 {
        let read = files.into_iter().map(|file| {
            let digest = digest(&root.join(&file.path), &file.stat)?;
            Ok((file, digest))
        });
        return read.collect();
    }
    let next = AtomicUsize::new(0);
    let digests = Mutex::new(vec![None; files.len()]);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(at) else { return Ok(()) };
            let digest = digest(&root.join(&file.path), &file.stat)?;
            digests.lock().expect("nothing panics while it holds the lock")[at] = Some(digest);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.collect::<Result<Vec<()>, BuildError>>()
    })?;
    let digests = digests.into_inner().expect("nothing panics while it holds the lock");
    let digests = digests.into_iter().map(|digest| digest.expect("every file was read"));
    Ok(files.into_iter().zip(digests).collect())
}

/// Returns the digest of the file's bytes; it must still be the file that `stat` is about.
fn digest(path: &Utf8Path, stat: &Stat) -> Result<Digest, BuildError> {
    let failed = |error: std::io::Error| BuildError::file(path, &error);
    let changed = || BuildError::Changed(path.to_owned());
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        size += read as u64;
        // A file that grows as fast as it is read would never end.
        if size > stat.size {
            return Err(changed());
        }
        hasher.update(&buffer[..read]);
    }
    let after = file.metadata().map_err(failed)?;
    let is_same = size == stat.size && Stat::of(&after) == *stat && after.nlink() > 0;
    if is_same { Ok(Digest::from_sha256(hasher.finalize().into())) } else { Err(changed()) }
}
