//! The files of a commit, read without a checkout.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use git2::{ObjectType, Oid};

use super::cache::Cache;
use super::opened::Opened;
use super::partial::{self, Ask, LARGE, Lazy, Missing};
use super::{CommitId, GitError};
use crate::kustomize::{self, FileTree, TreeError};

/// The files of a commit.
///
/// Symbolic links are followed as a disk would, but never out of the tree. Submodules are empty
/// folders, as they are on a disk before they are initialised. What the cache was spared is fetched
/// when it is read, together with what lies around it; see [`CommitTree::prefetch`].
#[derive(Clone)]
pub struct CommitTree {
    inner: Arc<Inner>,
}

struct Inner {
    repository: Mutex<Opened>,
    cache: Cache,
    commit: CommitId,
    root: Oid,
    lazy: Lazy,
}

/// No file that deployctl reads is larger.
const MAX_BYTES: usize = LARGE as usize;
/// A folder with more files is not a folder of manifests.
const MAX_FILES: usize = 200_000;
/// As Linux: more links in one path are a loop.
const MAX_LINKS: usize = 40;
const MAX_DEPTH: usize = 128;

const LINK: i32 = 0o120_000;

/// What a path leads to.
#[derive(Debug, Clone)]
enum Found {
    File(Place),
    /// The folders from the root to this one.
    Folder(Vec<Oid>),
    Nothing,
}

/// Where a file is.
#[derive(Debug, Clone)]
struct Place {
    blob: Oid,
    /// The folders from the root to the one that it is in.
    folders: Vec<Oid>,
}

/// Why a look into the tree came to no end.
enum Stop {
    /// The cache was spared something, which the remote has.
    Missing(Missing),
    /// The cache is damaged.
    Damaged(TreeError),
    Refused(TreeError),
}

impl Stop {
    /// Returns the same, found out while all folders in `listed` are gone through.
    fn in_list(self, listed: Oid) -> Self {
        match self {
            Self::Missing(missing) if missing.kind == ObjectType::Tree => {
                Self::Missing(Missing { listed: Some(listed), ..missing })
            }
            stop => stop,
        }
    }
}

impl CommitTree {
    /// Returns the files of `commit`, which `cache` has; `lazy` has what the cache has not.
    pub(super) fn new(cache: &Cache, commit: &CommitId, lazy: Lazy) -> Result<Self, GitError> {
        let repository = cache.open()?;
        let read = || GitError::object(format!("read commit `{commit}`"));
        let root = repository.find_commit(commit.oid()).map_err(read())?.tree_id();
        let (cache, commit) = (cache.clone(), commit.clone());
        let repository = Mutex::new(repository);
        Ok(Self { inner: Arc::new(Inner { repository, cache, commit, root, lazy }) })
    }

    /// Fetches the files at and around `paths` (files or folders), as far as the cache was spared
    /// them, so that reading them needs no round trip each.
    ///
    /// # Errors
    ///
    /// Fails if the remote is out of reach. What is not there, or can't be read, is told by reading
    /// it.
    pub async fn prefetch(&self, paths: &[Utf8PathBuf]) -> Result<(), GitError> {
        let mut asked = HashSet::new();
        loop {
            let wanted = paths.iter().filter_map(|path| self.wanted(path));
            // What did not come, for its size, is not asked for again.
            let wanted = wanted.filter(|(object, _)| asked.insert(*object));
            let asks: HashSet<Ask> = wanted.map(|(_, ask)| ask).collect();
            if asks.is_empty() {
                return Ok(());
            }
            self.inner.lazy.bring(asks).await?;
        }
    }

    /// Returns what the cache misses first of the file at `path`, or of a folder there that has not
    /// been read yet, and what to ask for so that it is there.
    fn wanted(&self, path: &Utf8Path) -> Option<(Oid, Ask)> {
        let repository = self.repository();
        let walk = Walk { repository: &repository, root: self.inner.root, path };
        match walk.first_missing(path) {
            Err(Stop::Missing(missing)) => {
                let ask = self.inner.lazy.plan(&repository, &missing, 0).ok()?;
                Some((missing.object, ask))
            }
            _ => None,
        }
    }

    /// Returns what `look` finds, with what it misses fetched, and a damaged cache made anew.
    fn look<T>(
        &self,
        path: &Utf8Path,
        look: impl Fn(&Walk<'_>) -> Result<T, Stop>,
    ) -> Result<T, TreeError> {
        let failed = |reason: String| TreeError { path: path.to_owned(), reason };
        let Inner { root, lazy, .. } = &*self.inner;
        let (mut attempts, mut before, mut renewed) = (0, None, false);
        loop {
            let repository = self.repository();
            let walk = Walk { repository: &repository, root: *root, path };
            match look(&walk) {
                Ok(found) => return Ok(found),
                Err(Stop::Refused(error)) => return Err(error),
                Err(Stop::Missing(missing)) => {
                    attempts = if before == Some(missing.object) { attempts + 1 } else { 0 };
                    before = Some(missing.object);
                    let plan = lazy.plan(&repository, &missing, attempts);
                    drop(repository);
                    let ask = plan.map_err(failed)?;
                    match partial::wait(lazy.bring([ask])) {
                        // `git` stumbles over what is damaged, too.
                        Err(GitError::Damaged { .. }) if !renewed => {
                            renewed = true;
                            self.renew().map_err(|error| failed(error.to_string()))?;
                        }
                        result => result.map_err(|error| failed(error.to_string()))?,
                    }
                }
                Err(Stop::Damaged(error)) if renewed => return Err(error),
                Err(Stop::Damaged(_)) => {
                    renewed = true;
                    drop(repository);
                    self.renew().map_err(|error| failed(error.to_string()))?;
                }
            }
        }
    }

    fn renew(&self) -> Result<(), GitError> {
        partial::wait(self.inner.lazy.renew(&self.inner.commit))?;
        *self.repository() = self.inner.cache.open()?;
        Ok(())
    }

    fn repository(&self) -> MutexGuard<'_, Opened> {
        self.inner.repository.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileTree for CommitTree {
    fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, TreeError> {
        self.look(path, |walk| match walk.find(path)? {
            Found::File(place) => walk.bytes(&place).map(Some),
            Found::Folder(_) | Found::Nothing => Ok(None),
        })
    }

    fn files(&self, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, TreeError> {
        let mut files = self.look(dir, |walk| {
            let mut files = Vec::new();
            if let Found::Folder(folders) = walk.find(dir)? {
                let listed = last(&folders);
                walk.collect(listed, &plain(dir), 0, &mut files)
                    .map_err(|stop| stop.in_list(listed))?;
            }
            Ok(files)
        })?;
        files.sort();
        Ok(files)
    }
}

impl fmt::Debug for CommitTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CommitTree").field(&self.inner.root).finish()
    }
}

/// One look into the tree on behalf of `path`, which errors name.
struct Walk<'a> {
    repository: &'a git2::Repository,
    root: Oid,
    path: &'a Utf8Path,
}

impl Walk<'_> {
    /// Returns what `path` leads to, links followed.
    fn find(&self, path: &Utf8Path) -> Result<Found, Stop> {
        let mut left = self.steps(path)?;
        // The folders from the root to where the walk is, for `..` in a link.
        let mut folders = vec![self.root];
        let mut links = 0;
        while let Some(step) = left.pop() {
            let here = last(&folders);
            if step == ".." {
                folders.pop();
                if folders.is_empty() {
                    return Err(self.error("a symbolic link leads out of the repository"));
                }
                continue;
            }
            let tree = self.tree(here, &folders)?;
            let Some(entry) = tree.get_name(&step) else {
                return Ok(Found::Nothing);
            };
            match entry.kind() {
                Some(ObjectType::Tree) => folders.push(entry.id()),
                Some(ObjectType::Blob) if entry.filemode() == LINK => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(self.error("its symbolic links form a loop"));
                    }
                    left.extend(self.link(&Place { blob: entry.id(), folders: folders.clone() })?);
                }
                Some(ObjectType::Blob) if left.is_empty() => {
                    return Ok(Found::File(Place { blob: entry.id(), folders }));
                }
                _ => return Ok(Found::Nothing),
            }
        }
        Ok(Found::Folder(folders))
    }

    /// Returns the steps of a caller's path, last first.
    fn steps(&self, path: &Utf8Path) -> Result<Vec<String>, Stop> {
        let mut steps = Vec::new();
        for component in path.components() {
            match component {
                Utf8Component::Normal(name) => steps.push(name.to_owned()),
                Utf8Component::CurDir => {}
                _ => return Err(self.error("it is not a path inside the repository")),
            }
        }
        steps.reverse();
        Ok(steps)
    }

    /// Returns the steps of a link's target, last first.
    fn link(&self, place: &Place) -> Result<Vec<String>, Stop> {
        let bytes = self.bytes(place)?;
        let target = String::from_utf8(bytes)
            .map_err(|_| self.error("a symbolic link's target is not UTF-8"))?;
        if target.starts_with('/') {
            return Err(self.error("a symbolic link leads out of the repository"));
        }
        let steps = target.split('/').filter(|step| !step.is_empty() && *step != ".");
        Ok(steps.rev().map(ToOwned::to_owned).collect())
    }

    /// Fails with [`Stop::Missing`] for the file at `path` that the cache does not have; in a folder, for
    /// its kustomization, or for any file if the cache has none of them.
    fn first_missing(&self, path: &Utf8Path) -> Result<(), Stop> {
        let place = match self.find(path)? {
            Found::File(place) => place,
            Found::Folder(folders) => {
                let entries = self.tree(last(&folders), &folders)?;
                let blobs = || entries.iter().filter(|it| it.kind() == Some(ObjectType::Blob));
                let odb = self.odb()?;
                let is_own = |it: &git2::TreeEntry<'_>| {
                    it.name().is_ok_and(|name| kustomize::FILE_NAMES.contains(&name))
                };
                let own = blobs().filter(is_own).map(|it| it.id()).find(|id| !odb.exists(*id));
                // Who has read another one was given all of them, or they are large.
                let unread = || !blobs().any(|it| odb.exists(it.id()));
                let first = || blobs().next().map(|it| it.id()).filter(|_| unread());
                let Some(blob) = own.or_else(first) else { return Ok(()) };
                Place { blob, folders }
            }
            Found::Nothing => return Ok(()),
        };
        self.size(&place).map(drop)
    }

    fn bytes(&self, place: &Place) -> Result<Vec<u8>, Stop> {
        let size = self.size(place)?;
        if size > MAX_BYTES {
            let reason = format!("it has {size} bytes; more than {MAX_BYTES} are not read");
            return Err(self.error(&reason));
        }
        let blob = self.repository.find_blob(place.blob);
        Ok(blob.map_err(|error| self.unread(&error, place))?.content().to_vec())
    }

    fn size(&self, place: &Place) -> Result<usize, Stop> {
        let header = self.odb()?.read_header(place.blob);
        Ok(header.map_err(|error| self.unread(&error, place))?.0)
    }

    fn odb(&self) -> Result<git2::Odb<'_>, Stop> {
        self.repository.odb().map_err(|error| self.broken(&error))
    }

    /// Returns the folder `id`; `folders` are those from the root to the one that it is in, or to
    /// itself.
    fn tree(&self, id: Oid, folders: &[Oid]) -> Result<git2::Tree<'_>, Stop> {
        self.repository.find_tree(id).map_err(|error| match partial::is_missing(&error) {
            true => Stop::Missing(Missing::new(id, ObjectType::Tree, folders)),
            false => self.broken(&error),
        })
    }

    fn unread(&self, error: &git2::Error, place: &Place) -> Stop {
        match partial::is_missing(error) {
            true => Stop::Missing(Missing::new(place.blob, ObjectType::Blob, &place.folders)),
            false => self.broken(error),
        }
    }

    /// Adds the files of `tree`, which is at `at`, and below. A link to a file is a file; a link to
    /// a folder is not entered, or a link upwards would never end. Names that are not UTF-8 are
    /// left out: no kustomization can name them.
    fn collect(
        &self,
        tree: Oid,
        at: &Utf8Path,
        depth: usize,
        files: &mut Vec<Utf8PathBuf>,
    ) -> Result<(), Stop> {
        if depth > MAX_DEPTH {
            return Err(self.error("its folders are nested too deeply"));
        }
        let tree = self.tree(tree, &[])?;
        for entry in &tree {
            let Ok(name) = entry.name() else { continue };
            let path = at.join(name);
            match entry.kind() {
                Some(ObjectType::Tree) => {
                    self.collect(entry.id(), &path, depth + 1, files)?;
                }
                Some(ObjectType::Blob) if entry.filemode() == LINK => match self.find(&path) {
                    Ok(Found::File(_)) => files.push(path),
                    Err(Stop::Missing(missing)) => return Err(Stop::Missing(missing)),
                    _ => {}
                },
                Some(ObjectType::Blob) => files.push(path),
                _ => {}
            }
            if files.len() > MAX_FILES {
                return Err(self.error(&format!("it has more than {MAX_FILES} files")));
            }
        }
        Ok(())
    }

    fn error(&self, reason: &str) -> Stop {
        Stop::Refused(TreeError { path: self.path.to_owned(), reason: reason.to_owned() })
    }

    fn broken(&self, error: &git2::Error) -> Stop {
        let reason = error.message().to_owned();
        Stop::Damaged(TreeError { path: self.path.to_owned(), reason })
    }
}

fn last(folders: &[Oid]) -> Oid {
    *folders.last().expect("the root is never left")
}

/// Returns `path` without `.` steps.
fn plain(path: &Utf8Path) -> Utf8PathBuf {
    path.components().filter(|step| *step != Utf8Component::CurDir).collect()
}
