//! What is remembered of files, so that one that has not changed is not read again.
//!
//! A file is known again by what the file system says of it, as git knows files again by its index,
//! but without git: files that git ignores or does not track count as well. The digest is that of the
//! bytes as they were read here, so filters of git (line ends, LFS) do not matter. What is remembered
//! is a file of its own for each context and service in the folder for caches; a broken one is none.
//! A file that is not known so may still be by what git says of it; see `blobs.rs`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use super::blobs::Blobs;
use crate::image::Digest;
use crate::system;

/// The first line of what is remembered.
const HEAD: &str = "deployctl files 1";

/// More files than this are not remembered.
const MOST_FILES: usize = 200_000;

/// More contexts than this are not remembered.
const MOST_CONTEXTS: usize = 512;

/// A file that was written so shortly before it was read may have been written again after it, in the
/// same tick of the file system's clock (git's "racy" entries). Some clocks tick once in two seconds.
const RACY_SECONDS: i64 = 3;

/// What the file system says of a file. Whatever writes to a file changes its `ctime`, which no
/// program can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) size: u64,
    dev: u64,
    ino: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
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
#[derive(Default)]
pub struct Memo {
    /// Where they are kept for the next run.
    file: Option<Utf8PathBuf>,
    known: HashMap<Utf8PathBuf, (Stat, Digest)>,
    /// Those that this run has read.
    has_new: bool,
    /// What is known of contents, wherever they are.
    blobs: Option<Arc<Blobs>>,
    reads: usize,
}

impl Memo {
    /// Returns what was remembered of the context `root` of `service` in the folder for caches.
    pub fn load(cache: &Utf8Path, root: &Utf8Path, service: &str) -> Self {
        let key = Digest::of(format!("{service}\n{root}").as_bytes());
        let file = cache.join("inputs").join(key.hex());
        let known = fs::read_to_string(&file).ok().and_then(|text| parse(&text));
        Self { file: Some(file), known: known.unwrap_or_default(), ..Self::default() }
    }

    /// Asks `blobs` as well, until it is saved.
    pub fn with_blobs(self, blobs: Arc<Blobs>) -> Self {
        Self { blobs: Some(blobs), ..self }
    }

    /// Returns how many files had to be read.
    pub fn reads(&self) -> usize {
        self.reads
    }

    /// Keeps what this run has read for the next one. Where that can't be, the next one reads again.
    pub fn save(&mut self) {
        // They are large, and what is read after that has changed.
        self.blobs = None;
        let Some(file) = self.file.as_ref().filter(|_| std::mem::take(&mut self.has_new)) else {
            return;
        };
        let before = system::now().as_second() - RACY_SECONDS;
        let is_old = |stat: &Stat| stat.mtime.0 < before && stat.ctime.0 < before;
        let mut text = format!("{HEAD}\n");
        let known = self
            .known
            .iter()
            .filter(|(path, (stat, _))| is_old(stat) && !path.as_str().contains('\n'));
        for (path, (stat, digest)) in known.take(MOST_FILES) {
            let Stat { size, dev, ino, mtime, ctime } = stat;
            let _ = writeln!(
                text,
                "{size} {dev} {ino} {} {} {} {} {} {path}",
                mtime.0,
                mtime.1,
                ctime.0,
                ctime.1,
                digest.hex()
            );
        }
        let _ = writeln!(text, "{}", Digest::of(text.as_bytes()).hex());
        system::keep_in_cache(file, text.as_bytes(), MOST_CONTEXTS);
    }

    /// Returns the digest of the file, if it is as it was when it was read.
    pub(super) fn get(&self, path: &Utf8Path, stat: &Stat) -> Option<Digest> {
        self.known.get(path).filter(|(known, _)| known == stat).map(|(_, digest)| digest.clone())
    }

    pub(super) fn blobs(&self) -> Option<&Blobs> {
        self.blobs.as_deref()
    }

    pub(super) fn count_reads(&mut self, files: usize) {
        self.reads += files;
    }

    pub(super) fn put(&mut self, path: Utf8PathBuf, stat: Stat, digest: Digest) {
        self.has_new = true;
        self.known.insert(path, (stat, digest));
    }
}

/// Returns the files, or `None` if the text is not whole.
fn parse(text: &str) -> Option<HashMap<Utf8PathBuf, (Stat, Digest)>> {
    let body = text.strip_suffix('\n')?;
    let (_, checksum) = body.rsplit_once('\n')?;
    let body = &text[..body.len() - checksum.len()];
    if Digest::of(body.as_bytes()).hex() != checksum {
        return None;
    }
    let mut lines = body.lines();
    if lines.next() != Some(HEAD) {
        return None;
    }
    lines.map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<(Utf8PathBuf, (Stat, Digest))> {
    let mut fields = line.splitn(9, ' ');
    let [size, dev, ino] = [fields.next()?, fields.next()?, fields.next()?];
    let mut seconds = || fields.next()?.parse::<i64>().ok();
    let (mtime, ctime) = ((seconds()?, seconds()?), (seconds()?, seconds()?));
    let digest = format!("sha256:{}", fields.next()?).parse().ok()?;
    let (size, dev, ino) = (size.parse().ok()?, dev.parse().ok()?, ino.parse().ok()?);
    Some((fields.next()?.into(), (Stat { size, dev, ino, mtime, ctime }, digest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(temp.path().to_owned()).unwrap();
        (temp, path)
    }

    fn stat(seconds: i64) -> Stat {
        Stat { size: 3, dev: 1, ino: 2, mtime: (seconds, 4), ctime: (seconds, 5) }
    }

    #[test]
    fn a_file_is_known_again_by_all_that_the_file_system_says() {
        let (_temp, cache) = folder();
        let digest = Digest::of(b"abc");
        let mut memo = Memo::load(&cache, "/context".into(), "web");
        memo.put("/context/a b".into(), stat(1000), digest.clone());
        memo.save();
        let again = Memo::load(&cache, "/context".into(), "web");
        assert_eq!(again.get("/context/a b".into(), &stat(1000)), Some(digest));
        for other in [
            Stat { size: 4, ..stat(1000) },
            Stat { ino: 3, ..stat(1000) },
            Stat { dev: 3, ..stat(1000) },
            Stat { mtime: (1000, 5), ..stat(1000) },
            Stat { ctime: (1000, 6), ..stat(1000) },
        ] {
            assert_eq!(again.get("/context/a b".into(), &other), None, "{other:?}");
        }
        assert!(Memo::load(&cache, "/context".into(), "api").known.is_empty());
        assert!(Memo::load(&cache, "/other".into(), "web").known.is_empty());
    }

    #[test]
    fn what_was_written_just_now_is_read_again() {
        let (_temp, cache) = folder();
        let mut memo = Memo::load(&cache, "/context".into(), "web");
        let now = stat(system::now().as_second());
        memo.put("/context/new".into(), now, Digest::of(b"abc"));
        assert!(memo.get("/context/new".into(), &now).is_some());
        memo.save();
        assert!(Memo::load(&cache, "/context".into(), "web").known.is_empty());
    }

    #[test]
    fn a_broken_memo_is_none() {
        let (_temp, cache) = folder();
        let mut memo = Memo::load(&cache, "/context".into(), "web");
        memo.put("/context/a".into(), stat(1000), Digest::of(b"abc"));
        memo.save();
        let file = memo.file.clone().unwrap();
        let whole = fs::read_to_string(&file).unwrap();
        assert_eq!(parse(&whole).unwrap().len(), 1);
        for broken in [
            String::new(),
            "\n".to_owned(),
            whole.replace("1000", "1001"),
            whole[..whole.len() - 2].to_owned(),
            whole.lines().skip(1).collect(),
            format!("{HEAD}\nx\n{}\n", Digest::of(format!("{HEAD}\nx\n").as_bytes()).hex()),
        ] {
            fs::write(&file, broken).unwrap();
            assert!(Memo::load(&cache, "/context".into(), "web").known.is_empty());
        }
        fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(Memo::load(&cache, "/context".into(), "web").known.is_empty());
    }
}
