//! The files of a commit, read through the API when they are asked for: a folder at a time, with the
//! small files that are in it.

mod known;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use super::GithubError;
use super::branch::Branches;
use super::objects::{AT_ONCE, Entry, is_object};
use crate::kustomize::{FileTree, MemoryTree, TreeError, inside};

use known::{Found, Known, batch, folder_of};

/// No file that deployctl reads is larger.
const MAX_BYTES: u64 = 32 << 20;
/// So much is kept of one commit.
const MAX_KEPT: usize = 256 << 20;
/// One commit is not asked about more often: an hour has 5,000 requests.
const MAX_REQUESTS: usize = 500;
/// GitHub takes about 40 MB, in base64, and 100 files.
const MAX_COMMIT_BYTES: usize = 25 << 20;
const MAX_COMMIT_FILES: usize = 100;

const PLAIN: u32 = 0o100_644;
const LINK: u32 = 0o120_000;

/// As Linux: more links in one path are a loop.
const MAX_LINKS: usize = 40;

/// The files of a commit. Symbolic links are followed as a disk would, but never out of the tree.
pub struct ApiTree {
    branches: Branches,
    commit: String,
    known: Arc<Mutex<Known>>,
}

/// What GitHub has told of each commit: one command looks at a tip several times.
#[derive(Default)]
pub(super) struct Trees(Mutex<BTreeMap<String, Arc<Mutex<Known>>>>);

#[derive(Deserialize)]
struct Listing {
    tree: Vec<Listed>,
    truncated: bool,
}

#[derive(Deserialize)]
struct Listed {
    path: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Blob {
    content: String,
    encoding: String,
}

impl Branches {
    /// Returns the files of the commit `id`. Nothing is read before it is asked for.
    pub fn tree(&self, id: &str) -> ApiTree {
        let mut trees = self.trees.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = trees.entry(id.to_owned()).or_default().clone();
        ApiTree { branches: self.clone(), commit: id.to_owned(), known }
    }
}

impl ApiTree {
    /// Returns what was asked for that only git can do, if anything was.
    pub fn beyond(&self) -> Option<String> {
        self.known().beyond.clone()
    }

    /// Returns why a commit of `files` can't be made through the API, if it can't.
    pub fn refuses(&self, files: &MemoryTree) -> Option<String> {
        let known = self.known();
        if let Some(beyond) = &known.beyond {
            return Some(beyond.clone());
        }
        if files.0.len() > MAX_COMMIT_FILES {
            return Some(format!("{} files change at once", files.0.len()));
        }
        if files.0.values().map(Vec::len).sum::<usize>() > MAX_COMMIT_BYTES {
            return Some("the files are too large".to_owned());
        }
        // GitHub commits every file as a plain one.
        let special = |path: &&Utf8PathBuf| match known.find(path) {
            Found::File(entry) => entry.mode != PLAIN,
            Found::Link(..) => true,
            _ => false,
        };
        files.0.keys().find(special).map(|path| format!("`{path}` is not a plain file"))
    }

    /// Reads the files at `paths`, and those in the folders at `paths`, with few requests, so that
    /// reading them needs none each.
    ///
    /// # Errors
    ///
    /// Fails if GitHub is out of reach or refuses. What is not there, or can't be read, is told by
    /// reading it.
    pub async fn prefetch(&self, paths: &[Utf8PathBuf]) -> Result<(), GithubError> {
        let plain = |path: &Utf8PathBuf| self.plain(path).ok();
        let paths: Vec<Utf8PathBuf> = paths.iter().filter_map(plain).collect();
        self.list(paths.clone()).await?;
        // What is no folder is a file of one.
        let is_folder =
            |path: &Utf8PathBuf| matches!(self.known().folders.get(path), Some(Some(_)));
        let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(is_folder);
        self.list(files.iter().map(|file| folder_of(file)).collect()).await?;
        let mut wanted: Vec<Entry> = Vec::new();
        {
            let known = self.known();
            for file in &files {
                wanted.extend(match known.find(file) {
                    Found::File(entry) => Some(entry),
                    _ => None,
                });
            }
            wanted.extend(folders.iter().flat_map(|folder| known.small(folder)));
            wanted.retain(|entry| known.is_to_be_read(entry));
        }
        while !wanted.is_empty() {
            let rest = wanted.split_off(batch(&wanted));
            self.bring(&wanted).await?;
            wanted = rest;
        }
        Ok(())
    }

    /// Notes that only git can do what is asked for, and returns the error.
    fn beyond_api(&self, path: &Utf8Path, reason: String) -> TreeError {
        self.known().beyond = Some(reason.clone());
        TreeError { path: path.to_owned(), reason }
    }

    /// Returns the path without `.` steps.
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
        }
        Ok(plain)
    }

    /// Returns the place that `path` leads to, and what is there, which is never a link or unknown.
    async fn find(&self, path: &Utf8Path) -> Result<(Utf8PathBuf, Found), TreeError> {
        let failed = |reason: String| TreeError { path: path.to_owned(), reason };
        let (mut place, mut links) = (path.to_owned(), 0);
        loop {
            let found = self.known().find(&place);
            match found {
                Found::Link(link, entry) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(failed("its symbolic links form a loop".to_owned()));
                    }
                    let target = self.contents(&link, &entry).await?;
                    place = behind(&link, target, &place).map_err(|why| failed(why.to_owned()))?;
                }
                Found::Unknown(folders) if folders.is_empty() => {
                    return Err(failed(format!("GitHub has no commit `{}`", self.commit)));
                }
                Found::Unknown(folders) => {
                    self.bounded().map_err(|reason| self.beyond_api(path, reason))?;
                    self.list(folders).await.map_err(|error| failed(error.to_string()))?;
                }
                found => return Ok((place, found)),
            }
        }
    }

    /// Asks what is in those of the folders that are not known yet.
    async fn list(&self, mut folders: Vec<Utf8PathBuf>) -> Result<(), GithubError> {
        folders.sort();
        folders.dedup();
        folders.retain(|folder| !self.known().folders.contains_key(folder));
        for some in folders.chunks(AT_ONCE) {
            let paths: Vec<&str> = some.iter().map(|path| path.as_str()).collect();
            let found = self.branches.folders(&self.commit, &paths).await?;
            let mut known = self.known();
            known.requests += 1;
            for (path, entries) in some.iter().zip(found) {
                let by_name = |entry: Entry| (entry.name.clone(), entry);
                let entries = entries.map(|all| all.into_iter().map(by_name).collect());
                known.folders.insert(path.clone(), entries);
            }
        }
        Ok(())
    }

    /// Reads the files, as many as one request brings.
    async fn bring(&self, files: &[Entry]) -> Result<(), GithubError> {
        let ids: Vec<String> = files.iter().map(|entry| entry.oid.clone()).collect();
        let found = self.branches.texts(&ids).await?;
        let mut known = self.known();
        known.requests += 1;
        for (id, bytes) in ids.into_iter().zip(found) {
            known.kept += bytes.as_ref().map_or(0, Vec::len);
            known.contents.insert(id, bytes);
        }
        Ok(())
    }

    /// Returns the contents of the file `entry`, which is at `path`.
    async fn contents(&self, path: &Utf8Path, entry: &Entry) -> Result<Vec<u8>, TreeError> {
        let failed = |reason: String| TreeError { path: path.to_owned(), reason };
        if let Some(Some(bytes)) = self.known().contents.get(&entry.oid) {
            return Ok(bytes.clone());
        }
        if entry.size > MAX_BYTES {
            let reason = format!("it has {} bytes; more than {MAX_BYTES} are not read", entry.size);
            return Err(failed(reason));
        }
        self.bounded().map_err(|reason| self.beyond_api(path, reason))?;
        let mut wanted = vec![entry.clone()];
        {
            let known = self.known();
            let others = known.small(&folder_of(path)).filter(|other| other.oid != entry.oid);
            wanted.extend(others);
            wanted.retain(|entry| known.is_to_be_read(entry));
        }
        if wanted.first() == Some(entry) {
            wanted.truncate(batch(&wanted));
            self.bring(&wanted).await.map_err(|error| failed(error.to_string()))?;
        }
        if let Some(Some(bytes)) = self.known().contents.get(&entry.oid) {
            return Ok(bytes.clone());
        }
        let bytes = self.blob(path, &entry.oid).await.map_err(failed)?;
        let mut known = self.known();
        known.requests += 1;
        known.kept += bytes.len();
        known.contents.insert(entry.oid.clone(), Some(bytes.clone()));
        Ok(bytes)
    }

    /// Returns the file `id`, byte by byte as it is.
    async fn blob(&self, path: &Utf8Path, id: &str) -> Result<Vec<u8>, String> {
        let Branches { client, slug, .. } = &self.branches;
        let action = format!("read `{path}` of `{slug}`");
        let at = format!("/repos/{slug}/git/blobs/{id}");
        let blob: Result<Blob, _> = client.get(slug, &action, &at, &[]).await;
        let blob = blob.map_err(|error| error.to_string())?;
        let text: String = blob.content.split_ascii_whitespace().collect();
        let bytes = match &*blob.encoding {
            "base64" => STANDARD.decode(text).map_err(|_| "GitHub's answer is no base64"),
            "utf-8" => Ok(blob.content.into_bytes()),
            _ => Err("GitHub's answer has an unknown encoding"),
        }?;
        match is_object(&bytes, id) {
            true => Ok(bytes),
            false => Err("GitHub's answer is another file than was asked for".to_owned()),
        }
    }

    /// Returns all files below the folder `dir`.
    async fn below(&self, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, TreeError> {
        let failed =
            |error: GithubError| TreeError { path: dir.to_owned(), reason: error.to_string() };
        let tree = match self.find(dir).await?.1 {
            Found::Folder(Some(entry)) => entry.oid,
            Found::Folder(None) => self.branches.root_of(&self.commit).await.map_err(failed)?,
            _ => return Ok(Vec::new()),
        };
        let Branches { client, slug, .. } = &self.branches;
        let action = format!("list the files of `{slug}`");
        let path = format!("/repos/{slug}/git/trees/{tree}");
        let listing = client.get(slug, &action, &path, &[("recursive", "1")]).await;
        let Listing { tree, truncated } = listing.map_err(failed)?;
        if truncated {
            let reason = "it has more files than GitHub lists".to_owned();
            return Err(self.beyond_api(dir, reason));
        }
        let mut files = Vec::new();
        for listed in tree.into_iter().filter(|listed| listed.kind == "blob") {
            let path = dir.join(listed.path);
            // A link to a folder is not entered, or a link upwards would never end.
            let is_file = listed.mode != format!("{LINK:o}")
                || matches!(self.find(&path).await, Ok((_, Found::File(_))));
            files.extend(is_file.then_some(path));
        }
        files.sort();
        Ok(files)
    }

    fn bounded(&self) -> Result<(), String> {
        let known = self.known();
        if known.requests >= MAX_REQUESTS {
            return Err(format!("more than {MAX_REQUESTS} requests are needed"));
        }
        if known.kept >= MAX_KEPT {
            return Err(format!("more than {MAX_KEPT} bytes are needed"));
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns where `path` leads, on whose way the link `link` to `target` is.
fn behind(link: &Utf8Path, target: Vec<u8>, path: &Utf8Path) -> Result<Utf8PathBuf, &'static str> {
    const OUT: &str = "a symbolic link leads out of the repository";
    let target = String::from_utf8(target).map_err(|_| "a symbolic link's target is not UTF-8")?;
    if target.starts_with('/') {
        return Err(OUT);
    }
    let rest = path.strip_prefix(link).expect("the link is on the way to the path");
    inside(&folder_of(link).join(target).join(rest)).ok_or(OUT)
}

/// Waits for what GitHub says: whoever renders asks for one file after the other, and can't.
fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| runtime.block_on(work))
}

impl FileTree for ApiTree {
    fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, TreeError> {
        let plain = self.plain(path)?;
        wait(async {
            match self.find(&plain).await? {
                (place, Found::File(entry)) => self.contents(&place, &entry).await.map(Some),
                _ => Ok(None),
            }
        })
    }

    fn files(&self, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, TreeError> {
        let dir = self.plain(dir)?;
        wait(self.below(&dir))
    }
}

impl fmt::Debug for Trees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trees").finish_non_exhaustive()
    }
}

impl fmt::Debug for ApiTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiTree").field("commit", &self.commit).finish_non_exhaustive()
    }
}
