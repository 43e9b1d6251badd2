//! The source repository that an image is built from: what its checkout is at.

use camino::{Utf8Path, Utf8PathBuf};
use git2::{ErrorCode, RepositoryOpenFlags, StatusOptions};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::remote::shown;
use super::{CommitId, GitError, Identity};
use crate::promotion::ReferenceCommit;
use crate::system::Environment;

/// What the checkout around a folder is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The root of the checkout; of a bare repository its folder.
    pub root: Utf8PathBuf,
    /// The commit that is checked out.
    pub commit: CommitId,
    /// When it was committed.
    pub time: Timestamp,
    /// Who wrote it.
    pub author: Identity,
    /// When it was written, in the author's time zone; what is rebased or merged is older than its
    /// commit.
    pub authored: Zoned,
    /// The first line of its message.
    pub subject: String,
    /// The rest of its message.
    pub body: String,
    /// The branch, or `None` where `HEAD` is detached.
    pub branch: Option<String>,
    /// The address of the remote `origin`, without credentials.
    pub remote: Option<String>,
    /// Whether a tracked file below the folder differs from the commit, or one there is untracked
    /// and not ignored.
    pub dirty: bool,
}

/// What a repository says of a commit, beside what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The tags that point at it.
    pub tags: Vec<String>,
    /// The branch that `origin` offers first, if the clone kept that.
    pub default_branch: Option<String>,
    /// Whether commits before it are not there.
    pub is_shallow: bool,
}

impl Source {
    /// Returns what the repository says of the commit, as far as it can be read.
    pub async fn names(&self) -> Names {
        let (root, commit) = (self.root.clone(), self.commit.clone());
        let read = tokio::task::spawn_blocking(move || Names::read(&root, &commit)).await;
        read.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// Returns what the repository around the folder `dir` is at, or `None` if there is no
    /// repository or it has no commit yet. The search goes upwards, but not into the folders in
    /// `GIT_CEILING_DIRECTORIES`.
    ///
    /// # Errors
    ///
    /// Fails if the repository belongs to another user and is not trusted, or can't be read.
    pub async fn discover(
        dir: &Utf8Path,
        environment: &Environment,
    ) -> Result<Option<Self>, GitError> {
        let ceilings = environment.get("GIT_CEILING_DIRECTORIES").unwrap_or_default();
        let ceilings: Vec<String> =
            ceilings.split(':').filter(|c| !c.is_empty()).map(Into::into).collect();
        let dir = dir.to_owned();
        // The state of a large checkout takes a while to find out.
        let read = tokio::task::spawn_blocking(move || Self::read(&dir, &ceilings)).await;
        read.expect("reading a repository does not panic, and is not cancelled")
    }

    /// Returns the commit as Argo CD is told of it.
    pub fn reference(&self) -> ReferenceCommit {
        ReferenceCommit {
            sha: self.commit.to_string(),
            author: self.author.name.clone(),
            email: self.author.email.clone(),
            date: Some(self.authored.clone()),
            subject: self.subject.clone(),
            body: self.body.clone(),
            repository: self.remote.clone(),
        }
    }

    fn read(dir: &Utf8Path, ceilings: &[String]) -> Result<Option<Self>, GitError> {
        let flags = RepositoryOpenFlags::empty();
        let repository = match git2::Repository::open_ext(dir, flags, ceilings) {
            Ok(repository) => repository,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) if error.code() == ErrorCode::Owner => {
                return Err(GitError::Ownership { path: dir.to_string() });
            }
            Err(error) => return Err(failed(dir)(error)),
        };
        let head = match repository.head() {
            Ok(head) => head,
            Err(error) if error.code() == ErrorCode::UnbornBranch => return Ok(None),
            Err(error) => return Err(failed(dir)(error)),
        };
        let commit = head.peel_to_commit().map_err(failed(dir))?;
        let message = String::from_utf8_lossy(commit.message_bytes());
        let (subject, body) = message.split_once('\n').unwrap_or((&message, ""));
        let author = commit.author();
        let branch = head.shorthand().ok().filter(|_| head.is_branch());
        let root = Utf8Path::from_path(repository.workdir().unwrap_or(repository.path()));
        Ok(Some(Self {
            root: root.unwrap_or(dir).components().collect(),
            commit: commit.id().into(),
            time: Timestamp::from_second(commit.time().seconds()).unwrap_or_default(),
            author: Identity::of(&author),
            authored: time(author.when()),
            subject: subject.trim_end().to_owned(),
            body: body.trim().to_owned(),
            branch: branch.map(ToOwned::to_owned),
            remote: origin(&repository),
            dirty: is_dirty(&repository, dir)?,
        }))
    }
}

impl Names {
    fn read(root: &Utf8Path, commit: &CommitId) -> Result<Self, git2::Error> {
        let repository = git2::Repository::open(root)?;
        let mut tags = Vec::new();
        for reference in repository.references_glob("refs/tags/*")? {
            let reference = reference?;
            let is_here = reference.peel_to_commit().is_ok_and(|at| at.id() == commit.oid());
            let name = reference.name().ok().and_then(|name| name.strip_prefix("refs/tags/"));
            tags.extend(name.filter(|_| is_here).map(str::to_owned));
        }
        let head = repository.find_reference("refs/remotes/origin/HEAD");
        let target = head.ok().and_then(|head| Some(head.symbolic_target().ok()??.to_owned()));
        let branch = |target: String| Some(target.strip_prefix("refs/remotes/origin/")?.to_owned());
        let is_shallow = repository.is_shallow();
        Ok(Self { tags, default_branch: target.and_then(branch), is_shallow })
    }
}

fn time(time: git2::Time) -> Zoned {
    let offset = Offset::from_seconds(time.offset_minutes().saturating_mul(60));
    let zone = TimeZone::fixed(offset.unwrap_or(Offset::UTC));
    Timestamp::from_second(time.seconds()).unwrap_or_default().to_zoned(zone)
}

fn failed(dir: &Utf8Path) -> impl FnOnce(git2::Error) -> GitError {
    GitError::object(format!("read the git repository around `{dir}`"))
}

/// Returns the address of `origin` without any user part that could be a secret.
fn origin(repository: &git2::Repository) -> Option<String> {
    let origin = repository.find_remote("origin").ok()?;
    let address = origin.url().ok()?;
    match url::Url::parse(address) {
        Ok(mut url) if matches!(url.scheme(), "http" | "https") => {
            url.set_username("").ok()?;
            url.set_password(None).ok()?;
            Some(url.into())
        }
        Ok(url) if url.password().is_some() => Some(shown(address)),
        _ => Some(address.to_owned()),
    }
}

fn is_dirty(repository: &git2::Repository, dir: &Utf8Path) -> Result<bool, GitError> {
    let Some(workdir) = repository.workdir() else {
        return Ok(false);
    };
    let canonical = |path: &std::path::Path| {
        path.canonicalize().map_err(|error| git2::Error::from_str(&error.to_string()))
    };
    let root = canonical(workdir).map_err(failed(dir))?;
    let below = canonical(dir.as_std_path()).map_err(failed(dir))?;
    let below = below.strip_prefix(root).unwrap_or(std::path::Path::new(""));
    let mut options = StatusOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(false).exclude_submodules(true);
    if !below.as_os_str().is_empty() {
        options.pathspec(below).disable_pathspec_match(true);
    }
    let statuses = repository.statuses(Some(&mut options)).map_err(failed(dir))?;
    Ok(!statuses.is_empty())
}
