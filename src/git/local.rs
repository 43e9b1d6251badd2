//! Repositories on this machine, by libgit2 alone, for where there is no `git` program.
//!
//! Only what needs no program is done here: hooks do not run, so a repository that has any that
//! could refuse a push is left to `git`.

use camino::{Utf8Path, Utf8PathBuf};
use git2::{AutotagOption, ErrorCode, FetchOptions, FetchPrune, RemoteUpdateFlags};

use super::answer::Pushed;
use super::transport::{Move, Reference};
use super::{CommitId, GitError, Push};

/// A repository in a folder.
#[derive(Debug, Clone)]
pub(super) struct Local {
    path: Utf8PathBuf,
}

/// The hooks that can refuse a push; see githooks(5).
const REFUSING_HOOKS: &[&str] = &["pre-receive", "update", "reference-transaction", "proc-receive"];

impl Local {
    pub(super) fn new(path: Utf8PathBuf) -> Self {
        Self { path }
    }

    /// Fetches `refspecs` into the bare repository `cache`, whole history and all.
    pub(super) fn fetch<S: AsRef<str>>(
        &self,
        cache: &Utf8Path,
        refspecs: &[S],
    ) -> Result<(), GitError> {
        let remote = self.open()?;
        for refspec in refspecs {
            self.check_source(&remote, refspec.as_ref())?;
        }
        let failed = || GitError::object(format!("fetch from `{}`", self.path));
        let cache = git2::Repository::open_bare(cache).map_err(failed())?;
        let mut options = FetchOptions::new();
        options.download_tags(AutotagOption::None).prune(FetchPrune::Off);
        let mut remote = cache.remote_anonymous(self.path.as_str()).map_err(failed())?;
        let refspecs: Vec<&str> = refspecs.iter().map(AsRef::as_ref).collect();
        remote.download(&refspecs, Some(&mut options)).map_err(failed())?;
        // What the remote does not have any more is not to be found any more.
        remote.prune(None).map_err(failed())?;
        remote
            .update_tips(None, RemoteUpdateFlags::empty(), AutotagOption::None, None)
            .map_err(failed())
    }

    /// As [`super::transport::Transport::fetch_matching`].
    pub(super) fn fetch_matching(
        &self,
        cache: &Utf8Path,
        patterns: &[String],
        local: impl Fn(&str) -> String,
    ) -> Result<(), GitError> {
        let names: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let found = self.list(&names)?;
        self.forget(cache, patterns, &local, &found)?;
        let refspec = |found: &Reference| format!("+{}:{}", found.name, local(&found.name));
        match found.as_slice() {
            [] => Ok(()),
            found => self.fetch(cache, &found.iter().map(refspec).collect::<Vec<_>>()),
        }
    }

    /// Deletes what the cache has of `patterns` and is not among those `found`.
    fn forget(
        &self,
        cache: &Utf8Path,
        patterns: &[String],
        local: impl Fn(&str) -> String,
        found: &[Reference],
    ) -> Result<(), GitError> {
        let failed = || GitError::object(format!("fetch from `{}`", self.path));
        let cache = git2::Repository::open_bare(cache).map_err(failed())?;
        let kept: Vec<String> = found.iter().map(|found| local(&found.name)).collect();
        for pattern in patterns {
            for reference in cache.references_glob(&local(pattern)).map_err(failed())? {
                let mut reference = reference.map_err(failed())?;
                if !reference.name().is_ok_and(|name| kept.iter().any(|kept| kept == name)) {
                    reference.delete().map_err(failed())?;
                }
            }
        }
        Ok(())
    }

    /// Checks that the remote has the source side of `+source:destination`.
    fn check_source(&self, remote: &git2::Repository, refspec: &str) -> Result<(), GitError> {
        let source = refspec.trim_start_matches('+').split(':').next().unwrap_or_default();
        if source.ends_with('*') {
            return Ok(());
        }
        let address = || self.path.to_string();
        if let Ok(id) = source.parse::<CommitId>() {
            // libgit2 fetches references only; a whole history brings every commit along.
            return Err(GitError::NoCommit { remote: address(), revision: id.to_string() });
        }
        match remote.find_reference(source).and_then(|found| found.resolve()) {
            Ok(_) => Ok(()),
            Err(_) if remote.is_empty().unwrap_or(false) => {
                Err(GitError::Empty { remote: address() })
            }
            Err(_) => {
                let branch = source.trim_start_matches("refs/heads/").to_owned();
                Err(GitError::NoBranch { remote: address(), branch, known: Vec::new() })
            }
        }
    }

    /// Returns the references that match `patterns`; tags are resolved to their commits.
    pub(super) fn list(&self, patterns: &[&str]) -> Result<Vec<Reference>, GitError> {
        let remote = self.open()?;
        let failed = || GitError::object(format!("list the references of `{}`", self.path));
        let mut found = Vec::new();
        for pattern in patterns {
            for reference in remote.references_glob(pattern).map_err(failed())? {
                let reference = reference.map_err(failed())?;
                if let (Ok(name), Ok(commit)) = (reference.name(), reference.peel_to_commit()) {
                    found.push(Reference { name: name.to_owned(), id: commit.id().into() });
                }
            }
        }
        Ok(found)
    }

    /// Returns the name of the branch that `HEAD` points at.
    pub(super) fn head(&self) -> Result<Option<String>, GitError> {
        let remote = self.open()?;
        let head = remote.find_reference("HEAD").ok();
        let target = head.and_then(|head| head.symbolic_target().ok().flatten().map(str::to_owned));
        Ok(target.and_then(|name| name.strip_prefix("refs/heads/").map(str::to_owned)))
    }

    /// Moves a reference to a commit of `cache`, which must exist there.
    pub(super) fn push(&self, cache: &Utf8Path, moved: &Move) -> Result<Pushed, GitError> {
        let remote = self.open()?;
        self.check_may_push(&remote, &moved.reference)?;
        let commit = &moved.commit;
        let failed = || GitError::object(format!("push to `{}`", self.path));
        // The objects go first, held by a reference of their own.
        let incoming = format!("refs/deployctl/incoming/{commit}");
        let cache = git2::Repository::open_bare(cache).map_err(failed())?;
        let mut anonymous = cache.remote_anonymous(self.path.as_str()).map_err(failed())?;
        let local = format!("refs/deployctl/outgoing/{commit}");
        cache.reference(&local, commit.oid(), true, "push").map_err(failed())?;
        anonymous.push(&[format!("+{local}:{incoming}")], None).map_err(failed())?;
        let moved = Self::move_reference(&remote, moved);
        for (repository, name) in [(&cache, &local), (&remote, &incoming)] {
            repository.find_reference(name).and_then(|mut r| r.delete()).map_err(failed())?;
        }
        match moved {
            Ok(()) => Ok(Pushed::Told(Push::Pushed)),
            Err(error) if is_race(&error) => Ok(Pushed::Told(Push::Raced)),
            Err(error) => Err(failed()(error)),
        }
    }

    fn move_reference(remote: &git2::Repository, moved: &Move) -> Result<(), git2::Error> {
        let (name, commit) = (&moved.reference, moved.commit.oid());
        match &moved.expected {
            Some(expected) => {
                remote.reference_matching(name, commit, true, expected.oid(), "push")?
            }
            None => remote.reference(name, commit, false, "push")?,
        };
        Ok(())
    }

    /// Refuses what `git` would refuse by default, or could.
    fn check_may_push(&self, remote: &git2::Repository, reference: &str) -> Result<(), GitError> {
        let hooks = Utf8PathBuf::from_path_buf(remote.path().join("hooks")).unwrap_or_default();
        if REFUSING_HOOKS.iter().any(|hook| hooks.join(hook).exists()) {
            return Err(GitError::NotInstalled);
        }
        let checked_out = remote.head().is_ok_and(|head| head.name().is_ok_and(|h| h == reference));
        if !remote.is_bare() && checked_out {
            return Err(GitError::Refused {
                remote: self.path.to_string(),
                branch: reference.trim_start_matches("refs/heads/").to_owned(),
                reason: "branch is currently checked out".to_owned(),
                text: String::new(),
            });
        }
        Ok(())
    }

    fn open(&self) -> Result<git2::Repository, GitError> {
        git2::Repository::open(&self.path).map_err(|error| match error.code() {
            ErrorCode::Owner => GitError::Ownership { path: self.path.to_string() },
            _ => GitError::NoRepository {
                remote: self.path.to_string(),
                message: error.message().to_owned(),
            },
        })
    }
}

/// Returns whether a reference was not where it was expected.
fn is_race(error: &git2::Error) -> bool {
    matches!(error.code(), ErrorCode::Modified | ErrorCode::Exists | ErrorCode::Locked)
}
