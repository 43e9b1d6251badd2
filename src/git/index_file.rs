//! A checkout's index, as much of it as tells which files are as git left them: gitformat-index(5),
//! versions 2 to 4, of repositories with SHA-1.
//!
//! It is read here and not by libgit2, which opens no repository of a partial clone, and needs none
//! of what else it would read. A split or sparse index, and one that is broken, is no index.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use camino::Utf8Path;
use sha1::{Digest as _, Sha1};

/// The id that git gives the bytes of a file.
pub type BlobId = [u8; ID];

/// A longer index, of more than half a million files, is not read.
const LONGEST: u64 = 64 << 20;

/// How many bytes an id or a checksum has.
const ID: usize = 20;

/// How many bytes an entry has in front of its name, without the extended flags.
const FIXED: usize = 62;

/// Where a file system does not count parts of seconds, its clock may tick once in two of them.
const COARSE_SECONDS: i64 = 3;

const VALID: u16 = 0x8000;
const EXTENDED: u16 = 0x4000;
const STAGE: u16 = 0x3000;

/// An index.
#[derive(Debug)]
pub(super) struct IndexFile {
    /// When it was written, and on which device.
    written: (i64, i64),
    device: u64,
    entries: Vec<Entry>,
    /// The names of all entries, one after the other.
    names: Vec<u8>,
}

/// What git saw of a file when it wrote or read it last.
#[derive(Debug)]
struct Entry {
    name: std::ops::Range<usize>,
    ctime: (u32, u32),
    mtime: (u32, u32),
    inode: u32,
    size: u32,
    id: BlobId,
    /// Whether it is a file that git compares with its entry at all.
    is_compared: bool,
}

impl IndexFile {
    /// Returns the index in the file at `path`, or `None` if there is none that can be used.
    pub(super) fn read(path: &Utf8Path) -> Option<Self> {
        if !path.symlink_metadata().ok()?.is_file() {
            return None;
        }
        let file = File::open(path).ok()?;
        // Whoever writes an index puts a new file in its place, so this is about the bytes that follow.
        let metadata = file.metadata().ok().filter(|metadata| metadata.len() <= LONGEST)?;
        let mut bytes = Vec::new();
        file.take(LONGEST).read_to_end(&mut bytes).ok()?;
        let (entries, names) = parse(&bytes)?;
        let written = (metadata.mtime(), metadata.mtime_nsec());
        Some(Self { written, device: metadata.dev(), entries, names })
    }

    /// Returns whether there is an entry for `name`, a path from the folder that is checked out.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Returns the id of the file `name`, if `metadata` says that it is as git left it.
    pub(super) fn clean(&self, name: &str, metadata: &Metadata) -> Option<BlobId> {
        self.find(name).filter(|entry| self.is_clean(entry, metadata)).map(|entry| entry.id)
    }

    fn find(&self, name: &str) -> Option<&Entry> {
        let order = |entry: &Entry| self.names[entry.name.clone()].cmp(name.as_bytes());
        self.entries.binary_search_by(order).ok().map(|at| &self.entries[at])
    }

    /// Is stricter than git by default: parts of seconds, the inode and its own time, which no program
    /// can set, must be as they were. So an index whose writer left any of them out says nothing.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as git does")]
    fn is_clean(&self, entry: &Entry, metadata: &Metadata) -> bool {
        let ctime = (metadata.ctime(), metadata.ctime_nsec());
        let mtime = (metadata.mtime(), metadata.mtime_nsec());
        let is = |kept: (u32, u32), now: (i64, i64)| kept == (now.0 as u32, now.1 as u32);
        entry.is_compared
            && entry.size == metadata.size() as u32
            && entry.inode == metadata.ino() as u32
            && is(entry.mtime, mtime)
            && is(entry.ctime, ctime)
            // Clocks of two file systems need not agree.
            && self.device == metadata.dev()
            && self.is_before(mtime)
            && self.is_before(ctime)
    }

    /// Returns whether what was written after the index has another time than `time`. What was not
    /// may have been written again in the same tick of the clock: see git's racy-git documentation.
    fn is_before(&self, time: (i64, i64)) -> bool {
        match time {
            (seconds, 0) => seconds.saturating_add(COARSE_SECONDS) < self.written.0,
            time => time < self.written,
        }
    }
}

fn parse(bytes: &[u8]) -> Option<(Vec<Entry>, Vec<u8>)> {
    let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(ID)?)?;
    // `index.skipHash` leaves zeros.
    if checksum != [0; ID] && Sha1::digest(body).as_slice() != checksum {
        return None;
    }
    let mut rest = body.strip_prefix(b"DIRC")?;
    let version = number(&mut rest)?;
    let count = usize::try_from(number(&mut rest)?).ok()?;
    if !(2..=4).contains(&version) || count > body.len() / FIXED {
        return None;
    }
    let (mut entries, mut names) = (Vec::with_capacity(count), Vec::new());
    let mut last = 0..0;
    for _ in 0..count {
        let entry = parse_entry(&mut rest, version, last, &mut names)?;
        last = entry.name.clone();
        entries.push(entry);
    }
    is_whole(rest).then_some((entries, names))
}

/// Takes an entry off `bytes`; its name goes to `names`, where that of the one before is at `last`.
fn parse_entry(
    bytes: &mut &[u8],
    version: u32,
    last: std::ops::Range<usize>,
    names: &mut Vec<u8>,
) -> Option<Entry> {
    let before = bytes.len();
    let mut numbers = [0; 10];
    for value in &mut numbers {
        *value = number(bytes)?;
    }
    let [ctime, ctime_nanos, mtime, mtime_nanos, _, inode, mode, _, _, size] = numbers;
    let id = take(bytes, ID)?.try_into().ok()?;
    let flags = short(bytes)?;
    // Skip-worktree and intent-to-add.
    let extended = if flags & EXTENDED == 0 { 0 } else { short(bytes)? };
    let kept = if version == 4 { last.len().checked_sub(offset(bytes)?)? } else { 0 };
    let length = bytes.iter().position(|byte| *byte == 0)?;
    let start = names.len();
    names.extend_from_within(last.start..last.start + kept);
    names.extend_from_slice(take(bytes, length)?);
    // One zero or more, up to a multiple of eight bytes; one in version 4.
    let taken = before - bytes.len();
    take(bytes, if version == 4 { 1 } else { 8 - taken % 8 })?;
    Some(Entry {
        name: start..names.len(),
        ctime: (ctime, ctime_nanos),
        mtime: (mtime, mtime_nanos),
        inode,
        size,
        id,
        is_compared: mode >> 12 == 0o10 && flags & (VALID | STAGE) == 0 && extended == 0,
    })
}

/// Returns whether the extensions change nothing of what the entries say.
fn is_whole(mut extensions: &[u8]) -> bool {
    while !extensions.is_empty() {
        let Some(name) = take(&mut extensions, 4) else { return false };
        let length = number(&mut extensions).and_then(|length| usize::try_from(length).ok());
        let is_optional = name[0].is_ascii_uppercase();
        if !is_optional || length.and_then(|length| take(&mut extensions, length)).is_none() {
            return false;
        }
    }
    true
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn number(bytes: &mut &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(take(bytes, 4)?.try_into().ok()?))
}

fn short(bytes: &mut &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(take(bytes, 2)?.try_into().ok()?))
}

/// Takes a number of variable width off `bytes`, as packs have it for `OFS_DELTA`; gitformat-pack(5).
fn offset(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0_usize;
    loop {
        let byte = usize::from(take(bytes, 1)?[0]);
        value = value.checked_mul(128)?.checked_add(byte & 127)?;
        if byte & 128 == 0 {
            return Some(value);
        }
        value = value.checked_add(1)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(metadata: &Metadata) -> Entry {
        let seconds = |value: i64| u32::try_from(value).unwrap();
        Entry {
            name: 0..1,
            ctime: (seconds(metadata.ctime()), seconds(metadata.ctime_nsec())),
            mtime: (seconds(metadata.mtime()), seconds(metadata.mtime_nsec())),
            inode: u32::try_from(metadata.ino() & u64::from(u32::MAX)).unwrap(),
            size: u32::try_from(metadata.len()).unwrap(),
            id: [7; ID],
            is_compared: true,
        }
    }

    #[test]
    fn a_file_that_is_not_older_than_the_index_may_have_been_written_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let metadata = file.path().metadata().unwrap();
        let (seconds, nanos) = (metadata.ctime(), metadata.ctime_nsec());
        let is_clean = |written, device| {
            let entries = vec![entry(&metadata)];
            let index = IndexFile { written, device, entries, names: b"a".to_vec() };
            index.clean("a", &metadata).is_some()
        };
        let here = metadata.dev();
        assert!(is_clean((seconds + COARSE_SECONDS + 1, nanos), here));
        assert!(!is_clean((seconds, nanos), here), "in the same tick");
        assert!(!is_clean((seconds - 1, nanos), here), "earlier");
        assert!(!is_clean((seconds + COARSE_SECONDS + 1, nanos), here + 1), "another clock");
    }

    #[test]
    fn a_time_without_parts_of_seconds_is_that_of_a_coarse_clock() {
        let index = |written| IndexFile { written, device: 1, entries: vec![], names: vec![] };
        assert!(index((100, 6)).is_before((100, 5)));
        assert!(!index((100, 5)).is_before((100, 5)));
        assert!(!index((100, 5)).is_before((100, 0)));
        assert!(!index((100 + COARSE_SECONDS, 5)).is_before((100, 0)));
        assert!(index((101 + COARSE_SECONDS, 0)).is_before((100, 0)));
    }

    /// Returns an index of two files, without its checksum.
    fn bytes(version: u32) -> Vec<u8> {
        let mut bytes = [b"DIRC".as_slice(), &version.to_be_bytes(), &2_u32.to_be_bytes()].concat();
        for (kept, name) in [(0, b"app/a".as_slice()), (4, b"b")] {
            let start = bytes.len();
            let numbers = [1_u32, 2, 3, 4, 5, 6, 0o100_644, 7, 8, 9];
            numbers.iter().for_each(|number| bytes.extend(number.to_be_bytes()));
            bytes.extend([7; ID]);
            bytes.extend([0x40, 5, 0, 0]);
            match version {
                4 => bytes.push(if kept == 0 { 0 } else { 1 }),
                _ => bytes.extend(&b"app/"[..kept]),
            }
            bytes.extend(name);
            let taken = bytes.len() - start;
            bytes.extend(vec![0; if version == 4 { 1 } else { 8 - taken % 8 }]);
        }
        [&bytes, b"TREE".as_slice(), &3_u32.to_be_bytes(), b"abc"].concat()
    }

    fn with_sum(mut body: Vec<u8>) -> Vec<u8> {
        body.extend_from_slice(Sha1::digest(&body).as_slice());
        body
    }

    #[test]
    fn whatever_is_broken_is_no_index_and_no_panic() {
        for version in [3, 4] {
            let whole = bytes(version);
            let (entries, names) = parse(&with_sum(whole.clone())).unwrap();
            let names: Vec<_> = entries.iter().map(|it| &names[it.name.clone()]).collect();
            assert_eq!(names, [b"app/a", b"app/b"], "version {version}");
            assert!(parse(&[&whole[..], &[0; ID]].concat()).is_some(), "without a sum");
            assert!(parse(&[&whole[..], &[1; ID]].concat()).is_none(), "a wrong sum");
            for at in 0..whole.len() {
                // Where the extensions begin nothing is missing.
                let is_cut = parse(&with_sum(whole[..at].to_vec())).is_none();
                assert!(is_cut || at == whole.len() - 11, "version {version}, cut at {at}");
                for bit in 0..8 {
                    let mut flipped = whole.clone();
                    flipped[at] ^= 1 << bit;
                    drop(parse(&with_sum(flipped)));
                }
            }
            let mandatory = [&whole[..], b"link", &0_u32.to_be_bytes()].concat();
            assert!(parse(&with_sum(mandatory)).is_none());
        }
    }
}
