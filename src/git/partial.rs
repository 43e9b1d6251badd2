//! What a cache does without, and how to have it after all.
//!
//! libgit2 does not know of partial clones: an object that was left out is missing to it. Here is
//! what to ask the remote for then, so that one round trip brings what will be read next as well,
//! and no more than a bound. The asking is the transport's.

use std::sync::atomic::{AtomicU32, Ordering};

use git2::{ErrorCode, ObjectType, Oid, Repository};

use super::transport::{Depth, Fetch, Transport};
use super::{CommitId, GitError};

/// What a fetch leaves out; see git-rev-list(1), `--filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    /// The contents of files.
    Files,
    /// Nothing: the server, or this `git`, has no filters.
    Nothing,
}

impl Filter {
    /// Returns what `git` calls it.
    pub(super) fn spec(self) -> Option<&'static str> {
        match self {
            Self::Files => Some("blob:none"),
            Self::Nothing => None,
        }
    }

    /// Returns what to try where this one is refused.
    pub(super) fn weaker(self) -> Self {
        Self::Nothing
    }
}

/// Something to fetch by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Want {
    /// A folder with all that is in it. Of the files in it the cache misses `files`; of a folder that
    /// the cache does not have, none is known.
    Folder { tree: Oid, files: Vec<Oid> },
    /// A file.
    File(Oid),
}

impl Want {
    /// Returns what to ask for where the remote may choose what it leaves out.
    pub(super) fn folder(&self) -> Vec<Oid> {
        match self {
            Self::Folder { tree: id, .. } | Self::File(id) => vec![*id],
        }
    }

    /// Returns what to ask for file by file.
    pub(super) fn files(&self) -> Vec<Oid> {
        match self {
            Self::Folder { tree, files } if files.is_empty() => vec![*tree],
            Self::Folder { files, .. } => files.clone(),
            Self::File(id) => vec![*id],
        }
    }
}

/// An object that the cache does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) object: Oid,
    pub(super) kind: ObjectType,
    /// The folders from the root to the one that it is in.
    pub(super) folders: Vec<Oid>,
}

impl Missing {
    pub(super) fn new(object: Oid, kind: ObjectType, folders: &[Oid]) -> Self {
        Self { object, kind, folders: folders.to_owned() }
    }
}

/// The remote as the source of what is missing.
#[derive(Debug)]
pub(super) struct Lazy {
    transport: Transport,
    trips: AtomicU32,
}

/// So many round trips are made for one tree. The bound on what one brings doubles each time, so
/// that what needs more is no overlay.
const MAX_TRIPS: u32 = 64;
/// So many files at most come along with the first that is missing: more than the files of a
/// service, fewer than those of a repository.
const NEIGHBOURS: usize = 64;
const MAX_NEIGHBOURS: usize = 16_384;
/// No file that comes along is larger.
const SMALL: u64 = 1 << 20;
/// No file that is asked for is larger, give or take: git counts the bytes of the object.
pub(super) const LARGE: u64 = 32 << 20;
/// So many large files may come along with one that is asked for.
const FEW: usize = 4;

impl Lazy {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, trips: AtomicU32::new(0) }
    }

    /// Returns what to ask for so that `missing`, at its `attempt`th time in a row, is there; or why
    /// it can't be.
    pub(super) fn plan(
        &self,
        repository: &Repository,
        missing: &Missing,
        attempt: u32,
    ) -> Result<(Want, u64), String> {
        if self.trips.load(Ordering::Relaxed) >= MAX_TRIPS {
            return Err(format!("what is needed lies in more than {MAX_TRIPS} places"));
        }
        if missing.kind == ObjectType::Tree {
            let want = Want::Folder { tree: missing.object, files: Vec::new() };
            let gone = || "the remote does not have it".to_owned();
            return (attempt == 0).then_some((want, SMALL)).ok_or_else(gone);
        }
        let neighbours = self.neighbours();
        match attempt {
            0 => Ok((neighbourhood(repository, missing, neighbours), SMALL)),
            // What is small is there now.
            1 => {
                let folder = *missing.folders.last().expect("a file is in a folder");
                let files = absent(repository, folder, neighbours).filter(|f| f.len() <= FEW);
                let want = files.map(|files| Want::Folder { tree: folder, files });
                Ok((want.unwrap_or(Want::File(missing.object)), LARGE + 1))
            }
            _ => Err(format!("it has more than {LARGE} bytes, which are not read")),
        }
    }

    /// Asks for `wants` in one round trip.
    pub(super) async fn bring(&self, wants: &[Want], limit: u64) -> Result<(), GitError> {
        self.trips.fetch_add(1, Ordering::Relaxed);
        self.transport.fetch_objects(wants, limit).await
    }

    /// Throws the damaged cache away and fetches `commit` into a new one.
    pub(super) async fn renew(&self, commit: &CommitId) -> Result<(), GitError> {
        let cache = self.transport.cache();
        tracing::warn!(cache = %cache.dir(), "the git cache is damaged; made anew");
        let lock = cache.lock().await?;
        cache.renew(&lock)?;
        let refspecs = [commit.to_string()];
        self.transport
            .fetch(&Fetch { refspecs: &refspecs, depth: Depth::Recent, prune: false })
            .await
    }

    fn neighbours(&self) -> usize {
        let trips = self.trips.load(Ordering::Relaxed).min(16);
        (NEIGHBOURS << trips).min(MAX_NEIGHBOURS)
    }
}

/// Returns the largest folder around `missing` that has no more than `limit` files, or the file alone
/// if its own folder has more.
fn neighbourhood(repository: &Repository, missing: &Missing, limit: usize) -> Want {
    let mut want = Want::File(missing.object);
    for tree in missing.folders.iter().rev() {
        match absent(repository, *tree, limit) {
            Some(files) => want = Want::Folder { tree: *tree, files },
            None => break,
        }
    }
    want
}

/// Returns the files in `tree` and below that the cache does not have, or `None` if there are more
/// than `limit` files there in all, or not all of its folders are known.
fn absent(repository: &Repository, tree: Oid, limit: usize) -> Option<Vec<Oid>> {
    let odb = repository.odb().ok()?;
    let (mut count, mut absent, mut open) = (0, Vec::new(), vec![tree]);
    while let Some(tree) = open.pop() {
        let tree = repository.find_tree(tree).ok()?;
        for entry in &tree {
            count += 1;
            if count > limit {
                return None;
            }
            match entry.kind() {
                Some(ObjectType::Tree) => open.push(entry.id()),
                Some(ObjectType::Blob) if !odb.exists(entry.id()) => absent.push(entry.id()),
                _ => {}
            }
        }
    }
    Some(absent)
}

/// Returns whether `error` says that an object is not there, rather than damaged.
pub(super) fn is_missing(error: &git2::Error) -> bool {
    error.code() == ErrorCode::NotFound
}

/// Runs `work` to its end from code that can't wait: a tree is read file by file, by code that knows
/// nothing of networks. Other tasks of the runtime go on meanwhile.
pub(super) fn wait<T: Send>(
    work: impl Future<Output = Result<T, GitError>> + Send,
) -> Result<T, GitError> {
    let failed = |error: std::io::Error| GitError::Git {
        action: "fetch",
        remote: String::new(),
        message: error.to_string(),
    };
    // A runtime can't wait for itself, so this is another one, on a thread of its own.
    let run = || {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.map_err(failed)?.block_on(work)
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    };
    let flavor = tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor());
    match flavor {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(run),
        _ => run(),
    }
}
