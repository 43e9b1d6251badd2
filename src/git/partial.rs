//! What a cache does without, and how to have it after all.
//!
//! libgit2 does not know of partial clones: an object that was left out is missing to it. Here is
//! what to ask the remote for then, so that one round trip brings what will be read next as well,
//! and no more than a bound. The asking is the transport's.
//!
//! How much a cold cache fetches must not grow with the number of services. So where it is known how
//! deep their folders lie, a first fetch brings commits alone. The folders from the root down to a
//! service's come one by one when something is read, each without what is in it, and the service's
//! own whole, with its files. That is one round trip for each level; a cold `set` takes two thirds of
//! the time that it took with all folders of 2,000 services, a third with 20,000 (`--bench git`, from
//! a folder on the same machine). A later fetch brings the folders that have changed since, as ever;
//! so there it costs no round trip more. Who goes on to read one service after the other is given all
//! folders, and then more and more files.
//!
//! A depth that the server counts (`tree:2`) would save a round trip or two, but it has the server go
//! through every folder in turn, which took longer than sending them, and many servers refuse it.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};

use git2::{ErrorCode, ObjectType, Oid, Repository};

use super::place::Gap;
use super::transport::{Depth, Fetch, Transport};
use super::{CommitId, GitError};

/// What a fetch leaves out; see git-rev-list(1), `--filter`. What is asked for by its id comes in any
/// case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Filter {
    /// The contents of files, and folders.
    Folders,
    /// The contents of files.
    Files,
    /// The contents of files with so many bytes, or more.
    LargeFiles(u64),
    /// Nothing: the server, or this `git`, has no filters.
    Nothing,
}

impl Filter {
    /// Returns what `git` calls it.
    pub(super) fn spec(self) -> Option<String> {
        match self {
            Self::Folders => Some("tree:0".to_owned()),
            Self::Files => Some("blob:none".to_owned()),
            Self::LargeFiles(bytes) => Some(format!("blob:limit={bytes}")),
            Self::Nothing => None,
        }
    }

    /// Returns what to try where this one is refused; see `uploadpackfilter` in git-config(1).
    pub(super) fn weaker(self) -> Self {
        match self {
            Self::Folders => Self::Files,
            Self::Files | Self::LargeFiles(_) | Self::Nothing => Self::Nothing,
        }
    }
}

/// Something to fetch by its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Want {
    /// A folder with all that is in it. Of the files in it the cache misses `files`; of a folder that
    /// the cache does not have, none is known.
    Folder { tree: Oid, files: Vec<Oid> },
    /// Files.
    Files(Vec<Oid>),
}

impl Want {
    /// Returns what to ask for where the remote may choose what it leaves out.
    pub(super) fn folder(&self) -> Vec<Oid> {
        match self {
            Self::Folder { tree, .. } => vec![*tree],
            Self::Files(files) => files.clone(),
        }
    }

    /// Returns what to ask for file by file.
    pub(super) fn files(&self) -> Vec<Oid> {
        match self {
            Self::Folder { tree, files } if files.is_empty() => vec![*tree],
            Self::Folder { files, .. } | Self::Files(files) => files.clone(),
        }
    }
}

/// What to ask the remote for, and what it leaves out of that.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Ask {
    pub(super) want: Want,
    pub(super) leaves_out: Filter,
}

impl Ask {
    /// Asks for the folder `tree`, which the cache does not have, or not all of.
    fn folder(tree: Oid, leaves_out: Filter) -> Self {
        Self { want: Want::Folder { tree, files: Vec::new() }, leaves_out }
    }
}

/// An object that the cache does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) object: Oid,
    pub(super) kind: ObjectType,
    /// The folders from the root to the one that it is in.
    pub(super) folders: Vec<Oid>,
    /// The folder that was to be listed, with all folders in it.
    pub(super) listed: Option<Oid>,
}

impl Missing {
    pub(super) fn new(object: Oid, kind: ObjectType, folders: &[Oid]) -> Self {
        Self { object, kind, folders: folders.to_owned(), listed: None }
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
/// After so many all folders come.
const FEW_TRIPS: u32 = 8;
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
    ) -> Result<Ask, String> {
        if self.trips.load(Ordering::Relaxed) >= MAX_TRIPS {
            return Err(format!("what is needed lies in more than {MAX_TRIPS} places"));
        }
        if missing.kind == ObjectType::Tree {
            let gone = || "the remote does not have it".to_owned();
            return (attempt == 0).then(|| self.folder(missing)).ok_or_else(gone);
        }
        let neighbours = self.neighbours();
        match attempt {
            0 => {
                let want = neighbourhood(repository, missing, neighbours);
                Ok(Ask { want, leaves_out: Filter::LargeFiles(SMALL) })
            }
            // What is small is there now.
            1 => {
                let folder = *missing.folders.last().expect("a file is in a folder");
                let files = absent(repository, folder, neighbours).filter(|f| f.len() <= FEW);
                let want = files.map(|files| Want::Folder { tree: folder, files });
                let want = want.unwrap_or_else(|| Want::Files(vec![missing.object]));
                Ok(Ask { want, leaves_out: Filter::LargeFiles(LARGE + 1) })
            }
            _ => Err(format!("it has more than {LARGE} bytes, which are not read")),
        }
    }

    /// Returns what to ask for so that a folder is there, and what is in it as far as that is one
    /// service's.
    fn folder(&self, missing: &Missing) -> Ask {
        if let Some(listed) = missing.listed {
            return Ask::folder(listed, Filter::Files);
        }
        match missing.folders.first() {
            // Who has read so much reads on.
            Some(root) if self.trips.load(Ordering::Relaxed) >= FEW_TRIPS => {
                Ask::folder(*root, Filter::Files)
            }
            _ => {
                // The last one is the folder itself.
                let depth = missing.folders.len().saturating_sub(1);
                let all = self.transport.is_above_services(depth);
                let leaves_out = if all { Filter::Folders } else { Filter::LargeFiles(SMALL) };
                Ask::folder(missing.object, leaves_out)
            }
        }
    }

    /// Asks for the folders at `gaps`: those above all services alone, others with all folders in
    /// them; or `all` folders of the commits.
    pub(super) async fn fill(&self, gaps: &HashSet<Gap>, all: bool) -> Result<(), GitError> {
        let ask = |gap: &Gap| match self.transport.is_above_services(gap.depth) {
            _ if all => Ask::folder(gap.root, Filter::Files),
            true => Ask::folder(gap.folder, Filter::Folders),
            false => Ask::folder(gap.folder, Filter::Files),
        };
        self.bring(gaps.iter().map(ask).collect::<HashSet<_>>()).await
    }

    /// Asks for all of `asks`, in one round trip for each filter.
    pub(super) async fn bring(&self, asks: impl IntoIterator<Item = Ask>) -> Result<(), GitError> {
        let mut filtered: BTreeMap<Filter, Vec<Want>> = BTreeMap::new();
        for ask in asks {
            filtered.entry(ask.leaves_out).or_default().push(ask.want);
        }
        for (filter, wants) in filtered {
            self.trips.fetch_add(1, Ordering::Relaxed);
            self.transport.fetch_objects(&wants, filter).await?;
        }
        Ok(())
    }

    /// Throws the damaged cache away and fetches `commit` into a new one.
    pub(super) async fn renew(&self, commit: &CommitId) -> Result<(), GitError> {
        // Where nothing can be fetched, what is left of it is all there is.
        self.transport.check()?;
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

/// Returns the largest folder around `missing` that has no more than `limit` files and is known whole;
/// else the files beside it; or it alone if there are more.
fn neighbourhood(repository: &Repository, missing: &Missing, limit: usize) -> Want {
    let mut want = None;
    for tree in missing.folders.iter().rev() {
        match absent(repository, *tree, limit) {
            Some(files) => want = Some(Want::Folder { tree: *tree, files }),
            None => break,
        }
    }
    let beside = || missing.folders.last().and_then(|tree| beside(repository, *tree, limit));
    want.or_else(|| beside().map(Want::Files)).unwrap_or_else(|| Want::Files(vec![missing.object]))
}

/// Returns the files in `tree` itself that the cache does not have, or `None` if there is more than
/// `limit` in it.
fn beside(repository: &Repository, tree: Oid, limit: usize) -> Option<Vec<Oid>> {
    let odb = repository.odb().ok()?;
    let tree = repository.find_tree(tree).ok().filter(|tree| tree.len() <= limit)?;
    let files = tree.iter().filter(|entry| entry.kind() == Some(ObjectType::Blob));
    Some(files.map(|entry| entry.id()).filter(|id| !odb.exists(*id)).collect())
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
