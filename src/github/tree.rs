//! The files of a commit, read through the API: the list of all of them at once, their contents when
//! they are asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use super::GithubError;
use super::client::Client;
use super::slug::Slug;
use crate::kustomize::{FileTree, MemoryTree, TreeError};

/// No file that deployctl reads is larger.
const MAX_BYTES: u64 = 32 << 20;
/// One command does not read more files: an hour has 5,000 requests.
const MAX_REQUESTS: usize = 500;
/// GitHub takes about 40 MB, in base64, and 100 files.
const MAX_COMMIT_BYTES: usize = 25 << 20;
const MAX_COMMIT_FILES: usize = 100;

/// The files of a commit.
pub struct ApiTree<'a> {
    client: &'a Client,
    slug: Slug,
    entries: BTreeMap<Utf8PathBuf, Entry>,
    /// Contents by object id.
    read: Mutex<BTreeMap<String, Vec<u8>>>,
    /// What the API can't do and was asked for.
    beyond: Mutex<Option<String>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Entry {
    path: String,
    mode: String,
    sha: String,
    #[serde(default)]
    size: u64,
}

#[derive(Deserialize)]
struct Listing {
    tree: Vec<Entry>,
    truncated: bool,
}

#[derive(Deserialize)]
struct Blob {
    content: String,
    encoding: String,
}

const PLAIN: &str = "100644";
const EXECUTABLE: &str = "100755";
const LINK: &str = "120000";

impl<'a> ApiTree<'a> {
    pub(super) async fn read(
        client: &'a Client,
        slug: &Slug,
        tree: &str,
    ) -> Result<Self, GithubError> {
        let action = format!("list the files of `{slug}`");
        let path = format!("/repos/{slug}/git/trees/{tree}");
        let listing: Listing = client.get(slug, &action, &path, &[("recursive", "1")]).await?;
        let beyond = listing.truncated.then(|| "it has more files than GitHub lists".to_owned());
        let entries =
            listing.tree.into_iter().map(|entry| (entry.path.clone().into(), entry)).collect();
        let (read, beyond) = (Mutex::default(), Mutex::new(beyond));
        Ok(Self { client, slug: slug.clone(), entries, read, beyond })
    }

    /// Returns what was asked for that only git can do, if anything was.
    pub fn beyond(&self) -> Option<String> {
        self.beyond.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns why a commit of `files` can't be made through the API, if it can't.
    pub fn refuses(&self, files: &MemoryTree) -> Option<String> {
        if let Some(beyond) = self.beyond() {
            return Some(beyond);
        }
        if files.0.len() > MAX_COMMIT_FILES {
            return Some(format!("{} files change at once", files.0.len()));
        }
        if files.0.values().map(Vec::len).sum::<usize>() > MAX_COMMIT_BYTES {
            return Some("the files are too large".to_owned());
        }
        // GitHub commits every file as a plain one.
        let special =
            |path: &&Utf8PathBuf| self.entries.get(*path).is_some_and(|entry| entry.mode != PLAIN);
        files.0.keys().find(special).map(|path| format!("`{path}` is not a plain file"))
    }

    /// Notes that only git can do what is asked for, and returns the error.
    fn beyond_api(&self, path: &Utf8Path, reason: String) -> TreeError {
        *self.beyond.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.clone());
        TreeError { path: path.to_owned(), reason }
    }

    /// Returns the path without `.` steps, if the way to it leads through plain folders.
    fn plain(&self, path: &Utf8Path) -> Result<Utf8PathBuf, TreeError> {
        let mut plain = Utf8PathBuf::new();
        for step in path.components() {
            match step {
                Utf8Component::Normal(name) => plain.push(name),
                Utf8Component::CurDir => {}
                _ => {
                    let reason = "it is not a path inside the repository".to_owned();
                    return Err(TreeError { path: path.to_owned(), reason });
                }
            }
            if self.entries.get(&plain).is_some_and(|entry| entry.mode == LINK) {
                return Err(self.beyond_api(path, format!("`{plain}` is a symbolic link")));
            }
        }
        Ok(plain)
    }

    async fn fetch(&self, entry: &Entry) -> Result<Vec<u8>, String> {
        let Entry { path, sha, .. } = entry;
        let action = format!("read `{path}` of `{}`", self.slug);
        let at = format!("/repos/{}/git/blobs/{sha}", self.slug);
        let blob: Blob = self
            .client
            .get(&self.slug, &action, &at, &[])
            .await
            .map_err(|error| error.to_string())?;
        let text: String = blob.content.split_ascii_whitespace().collect();
        let bytes = match &*blob.encoding {
            "base64" => STANDARD.decode(text).map_err(|_| "GitHub's answer is no base64"),
            "utf-8" => Ok(blob.content.into_bytes()),
            _ => Err("GitHub's answer has an unknown encoding"),
        }?;
        match git2::Oid::hash_object(git2::ObjectType::Blob, &bytes) {
            Ok(id) if id.to_string() == *sha => Ok(bytes),
            _ => Err("GitHub's answer is another file than was asked for".to_owned()),
        }
    }
}

impl FileTree for ApiTree<'_> {
    fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, TreeError> {
        let plain = self.plain(path)?;
        let file = |entry: &&Entry| matches!(&*entry.mode, PLAIN | EXECUTABLE);
        let Some(entry) = self.entries.get(&plain).filter(file) else {
            return match self.beyond() {
                // What is not listed may be there.
                Some(reason) => Err(TreeError { path: path.to_owned(), reason }),
                None => Ok(None),
            };
        };
        {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(bytes) = read.get(&entry.sha) {
                return Ok(Some(bytes.clone()));
            }
            if read.len() >= MAX_REQUESTS {
                let reason = format!("more than {MAX_REQUESTS} files are needed");
                return Err(self.beyond_api(path, reason));
            }
        }
        if entry.size > MAX_BYTES {
            let reason = format!("it has {} bytes; more than {MAX_BYTES} are not read", entry.size);
            return Err(TreeError { path: path.to_owned(), reason });
        }
        // Whoever renders asks for one file after the other, and can't wait.
        let runtime = tokio::runtime::Handle::current();
        let bytes = tokio::task::block_in_place(|| runtime.block_on(self.fetch(entry)));
        let bytes = bytes.map_err(|reason| TreeError { path: path.to_owned(), reason })?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.insert(entry.sha.clone(), bytes.clone());
        Ok(Some(bytes))
    }

    fn files(&self, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, TreeError> {
        let dir = self.plain(dir)?;
        if let Some(reason) = self.beyond() {
            return Err(TreeError { path: dir, reason });
        }
        let below = self.entries.iter().filter(|(path, _)| path.starts_with(&dir) && **path != dir);
        let mut files = Vec::new();
        for (path, entry) in below {
            match &*entry.mode {
                PLAIN | EXECUTABLE => files.push(path.clone()),
                LINK => {
                    let reason = format!("`{path}` is a symbolic link");
                    return Err(self.beyond_api(&dir, reason));
                }
                _ => {}
            }
        }
        Ok(files)
    }
}

impl fmt::Debug for ApiTree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiTree").field("files", &self.entries.len()).finish_non_exhaustive()
    }
}
