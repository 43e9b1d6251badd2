//! What is remembered of files, so that one that has not changed is not read again.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::image::Digest;

/// What the file system says of a file. Whatever writes to a file changes its `ctime`, which no
/// program can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) size: u64,
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) mtime: (i64, i64),
    pub(super) ctime: (i64, i64),
}

impl Stat {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            dev: metadata.dev(),
            ino: metadata.ino(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            ctime: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The digests of files by what the file system said of them when they were read.
#[derive(Debug, Default)]
pub struct Memo {
    known: HashMap<Utf8PathBuf, (Stat, Digest)>,
}

impl Memo {
    /// Returns the digest of the file, if it is as it was when it was read.
    pub(super) fn get(&self, path: &Utf8Path, stat: &Stat) -> Option<Digest> {
        self.known.get(path).filter(|(known, _)| known == stat).map(|(_, digest)| digest.clone())
    }

    pub(super) fn put(&mut self, path: Utf8PathBuf, stat: Stat, digest: Digest) {
        self.known.insert(path, (stat, digest));
    }
}
