//! What is remembered between runs about registries, in the folder for caches: documents that a digest
//! names, which never change, and which blobs a repository got from here.
//!
//! Nothing depends on it: what is lost is asked for again, what is broken counts as lost, and a blob
//! that is gone from its repository shows when the manifest is pushed.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;

use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};

use crate::image::{Digest, ImageName, PinnedImage};
use crate::system;

/// How many documents are kept.
const MOST_DOCUMENTS: usize = 256;

/// A document that is longer is read anew each time.
const LONGEST_DOCUMENT: usize = 1 << 20;

/// How many blobs are remembered of a repository, the newest.
const MOST_BLOBS: usize = 256;

/// How many repositories are remembered.
const MOST_REPOSITORIES: usize = 1024;

/// Documents and blobs that are known.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// `None` where nothing outlasts the run.
    folder: Option<Utf8PathBuf>,
    read: Mutex<BTreeMap<Digest, (String, Bytes)>>,
}

impl Documents {
    /// Returns those that are kept in the folder for caches.
    pub(super) fn in_cache(folder: Option<&Utf8Path>) -> Self {
        Self { folder: folder.map(|folder| folder.join("images")), read: Mutex::default() }
    }

    /// Returns the document and its media type.
    pub(super) fn get(&self, digest: &Digest) -> Option<(String, Bytes)> {
        let mut read = self.read.lock().expect("nothing panics while it holds the lock");
        if let Some(document) = read.get(digest) {
            return Some(document.clone());
        }
        let bytes = fs::read(self.document(digest)?).ok()?;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let media_type = String::from_utf8(bytes[..end].to_vec()).ok()?;
        let document = (media_type, Bytes::from(bytes).slice(end + 1..));
        if Digest::of(&document.1) != *digest {
            return None;
        }
        read.insert(digest.clone(), document.clone());
        Some(document)
    }

    /// Remembers the document.
    pub(super) fn put(&self, digest: &Digest, media_type: &str, bytes: &Bytes) {
        let mut read = self.read.lock().expect("nothing panics while it holds the lock");
        let known = read.insert(digest.clone(), (media_type.to_owned(), bytes.clone()));
        let Some(path) = self.document(digest).filter(|_| known.is_none()) else { return };
        if bytes.len() <= LONGEST_DOCUMENT && !path.exists() {
            system::keep_in_cache(
                &path,
                &[media_type.as_bytes(), b"\n", bytes].concat(),
                MOST_DOCUMENTS,
            );
        }
    }

    fn document(&self, digest: &Digest) -> Option<Utf8PathBuf> {
        Some(self.folder.as_ref()?.join("documents").join(digest.hex()))
    }

    /// Returns the blobs that the repository got from here, the last ones first.
    pub(super) fn blobs_in(&self, name: &ImageName) -> Vec<Digest> {
        let text = self.repository(name).and_then(|path| fs::read_to_string(path).ok());
        let text = text.unwrap_or_default();
        let mut lines = text.lines();
        if lines.next() != Some(name.to_string().as_str()) {
            return Vec::new();
        }
        lines.filter_map(|line| line.parse().ok()).collect()
    }

    /// Remembers that the repository has these blobs.
    pub(super) fn saw_blobs(&self, name: &ImageName, blobs: &[Digest]) {
        let Some(path) = self.repository(name) else { return };
        let before = self.blobs_in(name);
        if blobs.iter().all(|blob| before.contains(blob)) {
            return;
        }
        let old = before.iter().filter(|blob| !blobs.contains(blob));
        let all = blobs.iter().chain(old).take(MOST_BLOBS);
        let lines: String = all.map(|digest| format!("{digest}\n")).collect();
        system::keep_in_cache(&path, format!("{name}\n{lines}").as_bytes(), MOST_REPOSITORIES);
    }

    /// Remembers what the image was made of, as the last one of its repository.
    pub(super) fn remember_record(&self, image: &PinnedImage, record: &str) {
        if let Some(path) = self.record(&image.name) {
            system::keep_in_cache(
                &path,
                format!("{image}\n{record}").as_bytes(),
                MOST_REPOSITORIES,
            );
        }
    }

    /// Returns the last image of the repository that was built here, and the record of its inputs.
    pub(super) fn last_record(&self, name: &ImageName) -> Option<(String, String)> {
        let text = fs::read_to_string(self.record(name)?).ok()?;
        let (image, record) = text.split_once('\n')?;
        let is_own = image.parse::<PinnedImage>().is_ok_and(|image| image.name == *name);
        is_own.then(|| (image.to_owned(), record.to_owned()))
    }

    fn record(&self, name: &ImageName) -> Option<Utf8PathBuf> {
        let file = Digest::of(name.to_string().as_bytes());
        Some(self.folder.as_ref()?.join("records").join(file.hex()))
    }

    fn repository(&self, name: &ImageName) -> Option<Utf8PathBuf> {
        let file = Digest::of(name.to_string().as_bytes());
        Some(self.folder.as_ref()?.join("repositories").join(file.hex()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(temp.path().to_owned()).unwrap();
        (temp, path)
    }

    #[test]
    fn a_document_outlasts_the_run_and_a_broken_one_is_lost() {
        let (_temp, folder) = folder();
        let bytes = Bytes::from_static(b"{}\n");
        let digest = Digest::of(&bytes);
        Documents::in_cache(Some(&folder)).put(&digest, "application/json", &bytes);
        let again = Documents::in_cache(Some(&folder));
        assert_eq!(again.get(&digest), Some(("application/json".to_owned(), bytes)));
        let path = again.document(&digest).unwrap();
        fs::write(&path, "application/json\n{ }\n").unwrap();
        assert_eq!(Documents::in_cache(Some(&folder)).get(&digest), None);
        fs::write(&path, [0xff]).unwrap();
        assert_eq!(Documents::in_cache(Some(&folder)).get(&digest), None);
    }

    #[test]
    fn a_repository_s_blobs_are_those_of_its_own_file() {
        let (_temp, folder) = folder();
        let [one, other] = ["r.example.com/a", "r.example.com/b"].map(|name| name.parse().unwrap());
        let digests: Vec<Digest> = [b"1", b"2", b"3"].map(|text| Digest::of(text)).into();
        let known = Documents::in_cache(Some(&folder));
        known.saw_blobs(&one, &digests[..2]);
        known.saw_blobs(&one, &digests[2..]);
        assert_eq!(known.blobs_in(&one), [&digests[2..], &digests[..2]].concat());
        assert_eq!(known.blobs_in(&other), []);
        fs::rename(known.repository(&one).unwrap(), known.repository(&other).unwrap()).unwrap();
        assert_eq!(known.blobs_in(&other), []);
        Documents::default().saw_blobs(&one, &digests);
    }
}
