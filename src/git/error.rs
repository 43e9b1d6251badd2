//! Why git did not do what it was asked, by what a person can do about it.

use camino::Utf8PathBuf;

use crate::system::CommandError;

/// Why git did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no `git` on `PATH`.
    #[error("`git` is not installed or not on PATH")]
    NotInstalled,
    /// There is no `git` on `PATH`, and this build does not reach such a remote by itself.
    #[error(
        "`git` is not installed, and this build of deployctl can't reach `{remote}` without it"
    )]
    NoTransport {
        /// The remote.
        remote: String,
        /// The cargo feature that such a build has.
        feature: &'static str,
    },
    /// Nothing may be fetched, and what is needed never was.
    #[error("`{remote}` is not asked offline, and not all that is needed of it was fetched before")]
    Offline {
        /// The remote.
        remote: String,
    },
    /// The address of the remote can't be used.
    #[error("can't use `{remote}` as a git remote: {reason}")]
    Remote {
        /// The address, without its user part.
        remote: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A branch can't be called that.
    #[error("`{0}` is not a branch name")]
    BranchName(String),
    /// The remote wants credentials, or other ones.
    #[error("`{remote}` refused the credentials: {message}")]
    Authentication {
        /// The remote.
        remote: String,
        /// What git said.
        message: String,
    },
    /// The remote knows who asks, and does not allow it.
    #[error("no permission on `{remote}`: {message}")]
    Forbidden {
        /// The remote.
        remote: String,
        /// What git said.
        message: String,
    },
    /// The host key of the remote is not known or has changed.
    #[error("the SSH host key of `{remote}` {}", host_key(*.changed))]
    HostKey {
        /// The remote.
        remote: String,
        /// Whether another key is known of the host.
        changed: bool,
    },
    /// A hook, or the protection of a branch, refused the push.
    #[error("`{remote}` refused the push to `{branch}`: {reason}{}", indented(.text))]
    Refused {
        /// The remote.
        remote: String,
        /// The branch.
        branch: String,
        /// The reason as git gives it, such as `pre-receive hook declined`.
        reason: String,
        /// What the remote's hook printed.
        text: String,
    },
    /// There is no repository, or none that these credentials may see.
    #[error("there is no repository at `{remote}`, or no permission to see it: {message}")]
    NoRepository {
        /// The remote.
        remote: String,
        /// What git said.
        message: String,
    },
    /// The remote has no commit at all.
    #[error("`{remote}` is empty: it has no branch and no commit")]
    Empty {
        /// The remote.
        remote: String,
    },
    /// The remote has no such branch.
    #[error("`{remote}` has no branch `{branch}`{}", listed(.known))]
    NoBranch {
        /// The remote.
        remote: String,
        /// The branch.
        branch: String,
        /// Some of the branches that it has.
        known: Vec<String>,
    },
    /// Neither the cache nor the remote has the revision.
    #[error("`{remote}` has no commit `{revision}`")]
    NoCommit {
        /// The remote.
        remote: String,
        /// The revision that was asked for.
        revision: String,
    },
    /// The host does not answer, or the connection broke.
    #[error("can't reach `{remote}`: {message}")]
    Unreachable {
        /// The remote.
        remote: String,
        /// What git said.
        message: String,
    },
    /// The repository belongs to somebody else, and git does not trust it.
    #[error("the git repository `{path}` belongs to another user")]
    Ownership {
        /// Its folder.
        path: String,
    },
    /// The push would have taken commits away from a branch that is not deployctl's own.
    #[error("the new commit does not build on the tip of `{branch}`")]
    NotFastForward {
        /// The branch.
        branch: String,
    },
    /// A file can't be written into a commit.
    #[error("can't commit `{path}`: {reason}")]
    Path {
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        reason: String,
    },
    /// Nobody is named as the author of commits.
    #[error("no git identity: there is no name or mail address to commit with")]
    NoIdentity,
    /// git's configuration can't be read, or says what can't be meant.
    #[error("can't use git's configuration: {message}")]
    Settings {
        /// What is wrong with it.
        message: String,
    },
    /// The commit was to be signed, and could not be.
    #[error("can't sign the commit with `{program}`: {message}")]
    Signing {
        /// The program that signs.
        program: String,
        /// What it said.
        message: String,
    },
    /// The cache folder can't be used.
    #[error("can't use the git cache `{path}`: {reason}")]
    Cache {
        /// The folder.
        path: Utf8PathBuf,
        /// Why not.
        reason: String,
    },
    /// What the cache holds is not what was fetched, and making it anew did not help.
    #[error("the git cache `{path}` is damaged: {reason}")]
    Damaged {
        /// The folder.
        path: Utf8PathBuf,
        /// What git said.
        reason: String,
    },
    /// The disk that the cache is on has no room.
    #[error("there is no room for the git cache `{path}`: {reason}")]
    Full {
        /// The folder.
        path: Utf8PathBuf,
        /// What the system said.
        reason: String,
    },
    /// An object of the repository can't be read or written.
    #[error("can't {action}: {}", .source.message())]
    Object {
        /// What was being done.
        action: String,
        /// What libgit2 said.
        source: git2::Error,
    },
    /// `git` failed in a way of its own.
    #[error("`git {action}` failed for `{remote}`: {message}")]
    Git {
        /// The git command.
        action: &'static str,
        /// The remote.
        remote: String,
        /// What git said.
        message: String,
    },
    /// `git` could not be run to its end.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl GitError {
    /// Returns what a person can do about it, if there is anything to say.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotInstalled => "install `git`; deployctl uses it to reach the remote",
            Self::NoTransport { feature: "git-ssh", .. } => {
                "install `git`, or take a release of deployctl, which has the feature `git-ssh`"
            }
            Self::NoTransport { .. } => {
                "install `git`, or take a release of deployctl, which has the feature `git-https`"
            }
            Self::Offline { .. } => "run it once without `--offline`, or name a folder with -C",
            Self::Authentication { .. } => {
                "set `DEPLOYCTL_GIT_TOKEN` for HTTP remotes, or set up a git credential helper; \
                 for SSH, load the key into ssh-agent and check with `git ls-remote`"
            }
            Self::Forbidden { .. } => {
                "give the token or user write access to the repository \
                 (in GitHub Actions: `permissions: contents: write`)"
            }
            Self::HostKey { changed: true, .. } => {
                "somebody may be listening in; if the host was really given a new key, check its \
                 fingerprint and replace the old one: `ssh-keygen -R HOST`"
            }
            Self::HostKey { .. } => {
                "add the host's key to `~/.ssh/known_hosts` after checking its fingerprint"
            }
            Self::Refused { .. } => {
                "deploy by pull request (`via: pull-request`), or allow this user to push"
            }
            Self::NoRepository { .. } => {
                "check `manifests.repo`, and that the credentials may read the repository"
            }
            Self::Empty { .. } => "push a first commit to it",
            Self::NoBranch { .. } => "check `manifests.branch`",
            Self::NoCommit { .. } => {
                "name a branch, a tag or a commit id of the manifests repository; `deployctl \
                 history` lists those of an overlay"
            }
            Self::Unreachable { .. } => "check the network and the host's name, then run it again",
            Self::Ownership { .. } => {
                "run as its owner, or trust it: `git config --global --add safe.directory FOLDER`"
            }
            Self::NoIdentity => {
                "set `manifests.author` in deployctl.yaml (`Name <mail>`), `git config user.name` \
                 and `user.email`, or GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL, GIT_COMMITTER_NAME and \
                 GIT_COMMITTER_EMAIL"
            }
            Self::Settings { .. } => {
                "correct it; `git config --list --show-origin` tells the files"
            }
            Self::Signing { .. } => {
                "nothing was committed; let `git commit -S` work here without a question (the key \
                 in ssh-agent or gpg-agent), or turn signing off: `git config commit.gpgSign false`"
            }
            Self::Full { .. } => {
                "free some space, or choose a folder on another disk with `DEPLOYCTL_CACHE_DIR`"
            }
            Self::Damaged { .. } => "check the disk, or choose another with `DEPLOYCTL_CACHE_DIR`",
            Self::Cache { .. } => "choose another folder with `DEPLOYCTL_CACHE_DIR`",
            _ => return None,
        })
    }

    pub(super) fn object(action: impl Into<String>) -> impl FnOnce(git2::Error) -> Self {
        |source| Self::Object { action: action.into(), source }
    }
}

fn host_key(changed: bool) -> &'static str {
    match changed {
        true => "is not the one in `known_hosts`",
        false => "could not be verified: it is not in `known_hosts`",
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("\n  {line}")).collect()
}

fn listed(known: &[String]) -> String {
    match known {
        [] => String::new(),
        known => format!("; it has {}", known.join(", ")),
    }
}
