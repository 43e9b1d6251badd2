//! Files that git knows without reading them: those that are as git left them in a checkout, and whose
//! bytes are those of their blob.
//!
//! The word for it is that of the checkout's index, by which `git status` knows that nothing changed;
//! see `index_file.rs` for where more is asked, and `attributes.rs` for what may be between a file and
//! its blob. Only files are read here: no program, no hook and no filter runs. Whatever can't be read
//! or is not understood means that nothing is known.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::sync::{Arc, Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};

use super::attributes::{Attributes, everywhere};
use super::index_file::{BlobId, IndexFile};
use crate::system::Environment;

/// What it takes to open a file, as bytes that are read and hashed in that time: 8 µs each, where a MiB
/// takes 1.5 ms (measured on 100,000 files of 600 bytes and 5,000 of 40 KB, two slow cores).
const EACH: u64 = 8 << 10;

/// What is read sooner than a checkout is looked at, with room to spare: that takes 1 ms, and the files
/// whose ids are not known yet then take half as long again, since their ids are checked.
const WORTH: u64 = 4 << 20;

/// How many bytes to read are worth a byte of an index, which takes 2 ns (17 ms for 100,000 files, and
/// 37 ms to find all of them in it).
const INDEX: u64 = 4;

/// A `.git` file is no longer than a path and a word.
const LONGEST_LINK: u64 = 8 << 10;

/// The checkouts on this machine; each is looked at once.
#[derive(Debug)]
pub struct Checkouts {
    environment: Environment,
    opened: Mutex<HashMap<Utf8PathBuf, Option<Arc<Checkout>>>>,
}

/// A folder in which the files of a commit are.
#[derive(Debug)]
struct Checkout {
    top: Utf8PathBuf,
    index: IndexFile,
    /// What attributes convert wherever it is.
    everywhere: Vec<Vec<u8>>,
}

/// Where git keeps what it knows of a checkout.
struct Place {
    top: Utf8PathBuf,
    index: Utf8PathBuf,
    /// The repository's folder, which all its checkouts share.
    common: Utf8PathBuf,
}

impl Checkouts {
    /// Returns those that git would find with these environment variables.
    pub fn new(environment: &Environment) -> Self {
        Self { environment: environment.clone(), opened: Mutex::default() }
    }

    /// Returns the id of the blob that has the bytes of each of `files`, whose paths are relative to
    /// `folder` and lead through no symbolic link, as far as git tells without their being read. If
    /// that takes longer than to read them, nothing is told.
    pub fn blob_ids(
        &self,
        folder: &Utf8Path,
        files: &[(&Utf8Path, &Metadata)],
    ) -> Vec<Option<BlobId>> {
        let found = self.find(folder, files);
        found.unwrap_or_else(|| vec![None; files.len()])
    }

    fn find(
        &self,
        folder: &Utf8Path,
        files: &[(&Utf8Path, &Metadata)],
    ) -> Option<Vec<Option<BlobId>>> {
        let cost: u64 = files.iter().map(|(_, metadata)| metadata.len() + EACH).sum();
        if cost < WORTH {
            return None;
        }
        let folder = folder.canonicalize_utf8().ok()?;
        let place = Place::of(&folder)?;
        if fs::metadata(&place.index).ok()?.len() * INDEX > cost {
            return None;
        }
        let checkout = self.open(place)?;
        let inside = folder.strip_prefix(&checkout.top).ok()?;
        let Checkout { top, index, everywhere } = &*checkout;
        let mut attributes = Attributes::of(top, index, everywhere);
        let ids = files.iter().map(|(path, metadata)| {
            let path = inside.join(path);
            let id = index.clean(path.as_str(), metadata)?;
            (!attributes.may_convert(path.as_str())).then_some(id)
        });
        Some(ids.collect())
    }

    fn open(&self, place: Place) -> Option<Arc<Checkout>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let key = place.index.clone();
        let open = || {
            let everywhere = everywhere(&place.common, &self.environment)?;
            let index = IndexFile::read(&place.index)?;
            Some(Arc::new(Checkout { top: place.top, index, everywhere }))
        };
        opened.entry(key).or_insert_with(open).clone()
    }
}

impl Place {
    /// Returns that of the checkout that `folder` is in.
    fn of(folder: &Utf8Path) -> Option<Self> {
        let found = folder.ancestors().find_map(|top| Some((top, repository(top)?)));
        let (top, git) = found?;
        let common = line(&git.join("commondir")).map(|common| git.join(common));
        let common = common.unwrap_or_else(|| git.clone());
        Some(Self { top: top.to_owned(), index: git.join("index"), common })
    }
}

/// Returns the folder that `.git` in `top` is or names; see gitrepository-layout(5).
fn repository(top: &Utf8Path) -> Option<Utf8PathBuf> {
    let git = top.join(".git");
    let git = match line(&git) {
        Some(link) => top.join(link.strip_prefix("gitdir: ")?),
        None => git,
    };
    git.join("HEAD").symlink_metadata().is_ok().then_some(git)
}

/// Returns what is in a file of one line.
fn line(path: &Utf8Path) -> Option<String> {
    let metadata = path.symlink_metadata().ok()?;
    let is_fit = metadata.is_file() && metadata.len() <= LONGEST_LINK;
    let text = is_fit.then(|| fs::read_to_string(path).ok())??;
    Some(text.trim_end_matches(['\n', '\r']).to_owned())
}
