//! Files of the context as inputs: what they are, and the digest of what is in them.

use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use memchr::memmem;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::blobs::BlobId;
use super::memo::{Memo, Stat};
use super::{BuildError, InputKind};
use crate::build::context::{Context, Entry, EntryKind};
use crate::image::Digest;

/// How much of a file is read at a time.
const CHUNK: usize = 128 << 10;

/// Below so many bytes another thread is not worth its start.
const SHARE: u64 = 1 << 20;

/// How a file begins that stands for one that LFS has, and how long it is at most.
const POINTER: &[u8] = b"version ";
const LONGEST_POINTER: u64 = 1024;

/// What the attribute `ident` replaces begins with this.
const IDENT: &[u8] = b"$Id:";

/// A file to be read.
struct Unread {
    path: Utf8PathBuf,
    metadata: Metadata,
    stat: Stat,
    /// What its bytes have as their id, if git is right.
    id: Option<BlobId>,
}

/// What a file has in it.
#[derive(Clone)]
struct Content {
    sha256: [u8; 32],
    /// Whether its id may be remembered with it.
    has_id: bool,
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
                let stat = Stat::of(&metadata);
                match memo.get(&absolute, &stat) {
                    Some(digest) => facts.push(file(entry.path, &metadata, &digest)),
                    None => unread.push(Unread { path: entry.path, metadata, stat, id: None }),
                }
            }
        }
    }
    let (known, unread) = known_by_id(context.root(), unread, memo);
    memo.count_reads(unread.len());
    let mut found = known;
    for (file, content) in read_all(context.root(), unread)? {
        if let (true, Some(id), Some(blobs)) = (content.has_id, file.id, memo.blobs()) {
            blobs.put(id, file.stat.size, content.sha256);
        }
        found.push((file, Digest::from_sha256(content.sha256)));
    }
    for (unread, digest) in found {
        memo.put(context.root().join(&unread.path), unread.stat, digest.clone());
        facts.push(file(unread.path, &unread.metadata, &digest));
    }
    Ok(facts)
}

/// Returns the files whose contents are known by the ids that git has for them, and the others.
fn known_by_id(
    root: &Utf8Path,
    files: Vec<Unread>,
    memo: &Memo,
) -> (Vec<(Unread, Digest)>, Vec<Unread>) {
    let Some(blobs) = memo.blobs().filter(|_| !files.is_empty()) else {
        return (Vec::new(), files);
    };
    let asked: Vec<_> = files.iter().map(|file| (file.path.as_path(), &file.metadata)).collect();
    let ids = blobs.ids(root, &asked);
    let (mut known, mut unread) = (Vec::new(), Vec::new());
    for (mut file, id) in files.into_iter().zip(ids) {
        file.id = id;
        match id.and_then(|id| blobs.get(&id, file.stat.size)) {
            Some(digest) => known.push((file, digest)),
            None => unread.push(file),
        }
    }
    (known, unread)
}

fn file(
    path: Utf8PathBuf,
    metadata: &Metadata,
    digest: &Digest,
) -> (InputKind, Utf8PathBuf, String) {
    (InputKind::File, path, format!("{:04o} {digest}", permissions(metadata)))
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

/// Returns the files with what is in them.
fn read_all(root: &Utf8Path, files: Vec<Unread>) -> Result<Vec<(Unread, Content)>, BuildError> {
    let bytes: u64 = files.iter().map(|file| file.stat.size).sum();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = usize::try_from(bytes / SHARE).unwrap_or(cores).clamp(1, cores);
    if threads == 1 {
        let read = files.into_iter().map(|file| {
            let content = read(&root.join(&file.path), &file)?;
            Ok((file, content))
        });
        return read.collect();
    }
    let next = AtomicUsize::new(0);
    let contents = Mutex::new(vec![None; files.len()]);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(at) else { return Ok(()) };
            let content = read(&root.join(&file.path), file)?;
            contents.lock().expect("nothing panics while it holds the lock")[at] = Some(content);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.collect::<Result<Vec<()>, BuildError>>()
    })?;
    let contents = contents.into_inner().expect("nothing panics while it holds the lock");
    let contents = contents.into_iter().map(|content| content.expect("every file was read"));
    Ok(files.into_iter().zip(contents).collect())
}

/// Returns what is in the file; it must still be the file that was looked at.
fn read(path: &Utf8Path, unread: &Unread) -> Result<Content, BuildError> {
    let failed = |error: std::io::Error| BuildError::file(path, &error);
    let changed = || BuildError::Changed(path.to_owned());
    let stat = &unread.stat;
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut id = unread.id.map(|id| IdCheck::new(id, stat.size));
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
        if let Some(id) = &mut id {
            id.update(&buffer[..read]);
        }
    }
    let after = file.metadata().map_err(failed)?;
    let is_same = size == stat.size && Stat::of(&after) == *stat && after.nlink() > 0;
    if !is_same {
        return Err(changed());
    }
    let has_id = id.is_some_and(IdCheck::holds);
    Ok(Content { sha256: hasher.finalize().into(), has_id })
}

/// Whether bytes have the id that git says they have, and are none that a filter of git's own or of
/// LFS replaces.
struct IdCheck {
    id: BlobId,
    hasher: Sha1,
    is_replaced: bool,
    /// Whether it is so short that it may be a pointer, and nothing of it was seen yet.
    may_be_pointer: bool,
}

impl IdCheck {
    fn new(id: BlobId, size: u64) -> Self {
        let hasher = Sha1::new_with_prefix(format!("blob {size}\0"));
        Self { id, hasher, is_replaced: false, may_be_pointer: size <= LONGEST_POINTER }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.is_replaced |= std::mem::take(&mut self.may_be_pointer) && bytes.starts_with(POINTER);
        self.is_replaced = self.is_replaced || has_ident(bytes);
    }

    fn holds(self) -> bool {
        !self.is_replaced && self.hasher.finalize().as_slice() == self.id
    }
}

/// Returns whether the attribute `ident` may replace something that is in `bytes`, or begins in them.
fn has_ident(bytes: &[u8]) -> bool {
    let begins = (1..IDENT.len()).any(|length| bytes.ends_with(&IDENT[..length]));
    begins || memmem::find(bytes, IDENT).is_some()
}
