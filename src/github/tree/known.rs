//! What GitHub has told of a commit, and what it is to be asked for next.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::LINK;
use crate::github::objects::{AT_ONCE, Entry, LONGEST_TEXT};

/// What comes along unasked: a file of manifests is small.
const SMALL: u64 = 64 << 10;
/// So much comes with one request, unless it is asked for.
const BATCH_BYTES: u64 = 1 << 20;

/// What GitHub has told of a commit.
#[derive(Default)]
pub(super) struct Known {
    /// What is in a folder, by its path; `None` where there is no folder.
    pub(super) folders: BTreeMap<Utf8PathBuf, Option<BTreeMap<String, Entry>>>,
    /// Contents by object id; `None`: GraphQL does not tell them.
    pub(super) contents: BTreeMap<String, Option<Vec<u8>>>,
    pub(super) kept: usize,
    pub(super) requests: usize,
    /// What the API can't do and was asked for.
    pub(super) beyond: Option<String>,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    File(Entry),
    Folder(Option<Entry>),
    Nothing,
    /// A link, at this path, is on the way.
    Link(Utf8PathBuf, Entry),
    /// These folders tell.
    Unknown(Vec<Utf8PathBuf>),
}

impl Known {
    /// Returns what is at `path`, as far as it is known.
    pub(super) fn find(&self, path: &Utf8Path) -> Found {
        if path.as_str().is_empty() {
            return Found::Folder(None);
        }
        let mut above: Vec<&Utf8Path> = path.ancestors().collect();
        above.reverse();
        let mut unknown = Vec::new();
        for steps in above.windows(2) {
            let (folder, here) = (steps[0], steps[1]);
            let Some(entries) = self.folders.get(folder) else {
                unknown.push(folder.to_owned());
                continue;
            };
            // Some folder above tells whether a link, or nothing, is there.
            let Some(entries) = entries else { return Found::Unknown(unknown) };
            unknown.clear();
            match here.file_name().and_then(|name| entries.get(name)) {
                None => return Found::Nothing,
                Some(entry) if entry.mode == LINK => {
                    return Found::Link(here.to_owned(), entry.clone());
                }
                Some(entry) if entry.kind == "tree" && here == path => {
                    return Found::Folder(Some(entry.clone()));
                }
                Some(entry) if entry.kind == "tree" => {}
                Some(entry) if entry.kind == "blob" && here == path => {
                    return Found::File(entry.clone());
                }
                Some(_) => return Found::Nothing,
            }
        }
        // A folder that is there has no link above it.
        Found::Unknown(vec![folder_of(path)])
    }

    /// Returns the small files of a folder that are not read yet.
    pub(super) fn small<'a>(&'a self, folder: &Utf8Path) -> impl Iterator<Item = Entry> + 'a {
        let entries = self.folders.get(folder).into_iter().flatten().flat_map(BTreeMap::values);
        let is_small = |entry: &&Entry| entry.kind == "blob" && entry.mode != LINK;
        entries.filter(is_small).filter(|entry| entry.size <= SMALL).cloned()
    }

    pub(super) fn is_to_be_read(&self, entry: &Entry) -> bool {
        entry.size <= LONGEST_TEXT && !self.contents.contains_key(&entry.oid)
    }
}

/// Returns how many of `files` one request brings: one at least.
pub(super) fn batch(files: &[Entry]) -> usize {
    let mut bytes = 0;
    let fits = |entry: &&Entry| {
        bytes += entry.size;
        bytes <= BATCH_BYTES
    };
    files.iter().take(AT_ONCE).take_while(fits).count().max(1)
}

pub(super) fn folder_of(path: &Utf8Path) -> Utf8PathBuf {
    path.parent().unwrap_or(Utf8Path::new("")).to_owned()
}
