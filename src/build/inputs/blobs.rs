//! What is remembered of contents by the ids that git gives them, so that a file that git knows to be
//! unchanged is not read in a fresh clone either.
//!
//! An id is remembered with the size and the digest of bytes that were read here and have that id: a
//! fact about the bytes, in whichever checkout they were. It is believed of a file whose checkout says
//! that it has the id, and which has the same size. So whatever git converts line ends to, the file is
//! read; the caller says nothing of files that filters of other kinds may have written. What a filter
//! that was taken away since may have left is not remembered: pointers of LFS, and what has `$Id:` in
//! it. A file that was written with a `working-tree-encoding` that gave it the same size, and not
//! again since the attribute was taken away, is believed to be as it is committed, as git believes.
//!
//! The ids of trees would save nothing measurable beyond: whether a folder is as its tree says is known
//! by the stat of each file in it, as is needed for its mode. Of 100,000 small files in 1,000 folders
//! that took 220 ms to 350 ms, finding all their ids 55 ms, and reading them 850 ms.
//!
//! What is remembered is one file for all contexts in the folder for caches; a broken one is none. Who
//! may write to that folder decides what is believed.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::sync::{Mutex, OnceLock, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};

use crate::image::Digest;
use crate::system;

/// The id that git gives the bytes of a file.
pub(super) type BlobId = [u8; 20];

/// Returns the id of each file's blob, as far as it is known without reading the file. Paths are from
/// the folder.
pub type FindIds =
    dyn Fn(&Utf8Path, &[(&Utf8Path, &Metadata)]) -> Vec<Option<BlobId>> + Send + Sync;

/// The beginning of what is remembered. There follow rows of so many bytes in the order of their ids,
/// and the sha256 of all of it: id, size, sha256, and the day of the last use since 1970.
const HEAD: &[u8; ROW] =
    b"deployctl blobs 1: id, size, sha256, day of the last use\n\n\n\n\n\n\n\n";
const ROW: usize = 64;
const SUM: usize = 32;

/// More contents than this are not remembered: 16 MiB.
const MOST: usize = 1 << 18;

/// A use is written down if the last one was so many days ago.
const DAYS: u32 = 7;

/// Old ones that another run is about to replace are not more than this.
const MOST_FILES: usize = 8;

/// What is known of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content {
    size: u64,
    sha256: [u8; 32],
    day: u32,
}

/// Contents by their ids.
pub struct Blobs {
    file: Utf8PathBuf,
    find: Box<FindIds>,
    today: u32,
    /// The rows that are kept; read when the first id is looked up.
    kept: OnceLock<Vec<u8>>,
    /// Those that this run has read, or used for the first time in days.
    new: Mutex<BTreeMap<BlobId, Content>>,
}

impl Blobs {
    /// Returns what was remembered in the folder for caches; `find` tells which files have which ids.
    pub fn in_cache(cache: &Utf8Path, find: Box<FindIds>) -> Self {
        let today = u32::try_from(system::now().as_second() / 86_400).unwrap_or_default();
        let file = cache.join("blobs/known");
        Self { file, find, today, kept: OnceLock::new(), new: Mutex::default() }
    }

    /// Keeps what this run has read for the next one. Where that can't be, the next one reads again.
    pub fn save(&self) {
        let new = std::mem::take(&mut *self.new.lock().unwrap_or_else(PoisonError::into_inner));
        if new.is_empty() {
            return;
        }
        // Another process may have kept something meanwhile.
        let mut all: BTreeMap<BlobId, Content> = rows(&load(&self.file)).collect();
        all.extend(new);
        let excess = all.len().saturating_sub(MOST);
        let mut by_use: Vec<(u32, BlobId)> = all.iter().map(|(id, it)| (it.day, *id)).collect();
        by_use.sort_unstable();
        by_use.iter().take(excess).for_each(|(_, id)| _ = all.remove(id));
        let mut bytes = HEAD.to_vec();
        for (id, Content { size, sha256, day }) in all {
            bytes.extend(id);
            bytes.extend(size.to_be_bytes());
            bytes.extend(sha256);
            bytes.extend(day.to_be_bytes());
        }
        bytes.extend(sum(&bytes));
        system::keep_in_cache(&self.file, &bytes, MOST_FILES);
    }

    pub(super) fn ids(
        &self,
        folder: &Utf8Path,
        files: &[(&Utf8Path, &Metadata)],
    ) -> Vec<Option<BlobId>> {
        (self.find)(folder, files)
    }

    /// Returns the digest of a file of `size` bytes that has the id.
    pub(super) fn get(&self, id: &BlobId, size: u64) -> Option<Digest> {
        let kept = self.kept.get_or_init(|| load(&self.file));
        let (kept, _) = kept.as_chunks::<ROW>();
        let at = kept.binary_search_by(|row| row[..id.len()].cmp(id)).ok()?;
        let content = parse(&kept[at]).1;
        if content.size != size {
            return None;
        }
        if content.day.saturating_add(DAYS) < self.today {
            self.put(*id, size, content.sha256);
        }
        Some(Digest::from_sha256(content.sha256))
    }

    /// Remembers that the `size` bytes that have the id have this sha256.
    pub(super) fn put(&self, id: BlobId, size: u64, sha256: [u8; 32]) {
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        new.insert(id, Content { size, sha256, day: self.today });
    }
}

/// Returns the rows in the file, none if it is not whole.
fn load(file: &Utf8Path) -> Vec<u8> {
    let longest = (HEAD.len() + MOST * ROW + SUM) as u64;
    let is_fit = fs::metadata(file).is_ok_and(|metadata| metadata.len() <= longest);
    let read = is_fit.then(|| fs::read(file).ok()).flatten();
    read.and_then(whole).unwrap_or_default()
}

fn whole(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let length = bytes.len().checked_sub(SUM)?;
    if sum(&bytes[..length]) != bytes[length..] || !bytes.starts_with(HEAD) || length % ROW != 0 {
        return None;
    }
    bytes.truncate(length);
    drop(bytes.drain(..HEAD.len()));
    Some(bytes)
}

fn sum(bytes: &[u8]) -> [u8; SUM] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}

fn rows(bytes: &[u8]) -> impl Iterator<Item = (BlobId, Content)> {
    bytes.as_chunks::<ROW>().0.iter().map(parse)
}

fn parse(row: &[u8; ROW]) -> (BlobId, Content) {
    let part = "a row is 20, 8, 32 and 4 bytes";
    let (id, rest) = row.split_first_chunk().expect(part);
    let (size, rest) = rest.split_first_chunk().expect(part);
    let (sha256, rest) = rest.split_first_chunk().expect(part);
    let day = u32::from_be_bytes(rest.try_into().expect(part));
    (*id, Content { size: u64::from_be_bytes(*size), sha256: *sha256, day })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blobs(cache: &Utf8Path, today: u32) -> Blobs {
        let find = |_: &Utf8Path, files: &[(&Utf8Path, &Metadata)]| vec![None; files.len()];
        Blobs { today, ..Blobs::in_cache(cache, Box::new(find)) }
    }

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(temp.path().to_owned()).unwrap();
        (temp, path)
    }

    #[test]
    fn a_content_is_known_again_by_its_id_and_size() {
        let (_temp, cache) = folder();
        for (id, size) in [(1, 5), (3, 6), (2, 7)] {
            let blobs = blobs(&cache, 20_000);
            blobs.put([id; 20], size, [id + 100; 32]);
            blobs.save();
        }
        let again = blobs(&cache, 20_000);
        let digest = |byte| Some(Digest::from_sha256([byte; 32]));
        assert_eq!(again.get(&[1; 20], 5), digest(101));
        assert_eq!(again.get(&[2; 20], 7), digest(102));
        assert_eq!(again.get(&[3; 20], 6), digest(103));
        assert_eq!(again.get(&[1; 20], 6), None);
        assert_eq!(again.get(&[4; 20], 5), None);
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let (_temp, cache) = folder();
        let old = blobs(&cache, 10_000);
        old.put([1; 20], 1, [1; 32]);
        old.put([2; 20], 1, [2; 32]);
        old.save();
        let used = blobs(&cache, 10_000 + DAYS + 1);
        assert!(used.get(&[1; 20], 1).is_some());
        used.save();
        let full = blobs(&cache, 10_000 + DAYS + 1);
        for number in 0..MOST - 1 {
            let mut id = [3; 20];
            id[..8].copy_from_slice(&(number as u64).to_be_bytes());
            full.put(id, 1, [3; 32]);
        }
        full.save();
        let after = blobs(&cache, 10_000);
        assert!(after.get(&[1; 20], 1).is_some(), "used");
        assert_eq!(after.get(&[2; 20], 1), None, "not used");
        assert_eq!(after.kept.get().unwrap().len(), MOST * ROW);
    }

    #[test]
    fn broken_ones_are_none() {
        let (_temp, cache) = folder();
        let known = blobs(&cache, 10_000);
        known.put([1; 20], 1, [1; 32]);
        known.save();
        let whole = fs::read(&known.file).unwrap();
        let mut flipped = whole.clone();
        flipped[100] ^= 1;
        let of_another_version = [b"x".repeat(ROW), whole[ROW..2 * ROW].to_vec()].concat();
        let with_sum = [&of_another_version[..], &sum(&of_another_version)].concat();
        let uneven = [&whole[..ROW + 3], &sum(&whole[..ROW + 3])].concat();
        for broken in [Vec::new(), whole[..100].to_vec(), flipped, with_sum, uneven] {
            fs::write(&known.file, broken).unwrap();
            assert_eq!(blobs(&cache, 10_000).get(&[1; 20], 1), None);
        }
        fs::write(&known.file, whole).unwrap();
        assert!(blobs(&cache, 10_000).get(&[1; 20], 1).is_some());
    }
}
