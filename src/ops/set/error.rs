//! Why a change is not written.

use std::time::Duration;

use super::EffectError;
use crate::git::GitError;
use crate::github::GithubError;
use crate::kustomize::Swallowed;
use crate::ops::{StatedImageError, StoreError};
use crate::target::TargetError;

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// An overlay does not state the image, and does not use it either.
    #[error("can't set `{service}` in `{environment}`")]
    Stated {
        /// The service.
        service: String,
        /// The environment.
        environment: String,
        /// The cause.
        #[source]
        source: Box<StatedImageError>,
    },
    /// An overlay does not state the image, and an entry for it would change nothing.
    #[error("can't set `{service}` in `{environment}`: {}", .unused.rule)]
    Unused {
        /// The service.
        service: String,
        /// The environment.
        environment: String,
        /// Why an entry would change nothing.
        unused: Box<Swallowed>,
        /// The cause.
        #[source]
        source: Box<StatedImageError>,
    },
    /// The file that states the image can't be edited safely.
    #[error("{0}")]
    Edit(#[from] TargetError),
    /// The change would not do what was asked, or more than that.
    #[error("can't change `{environment}`")]
    Effect {
        /// The environment.
        environment: String,
        /// The cause.
        #[source]
        source: EffectError,
    },
    /// The repository can't be read or written.
    #[error("{0}")]
    Git(#[from] GitError),
    /// GitHub can't be asked, or refuses.
    #[error("{0}")]
    Github(#[from] GithubError),
    /// Only git can read or write it.
    #[error("GitHub's API can't make the commit: {reason}")]
    BeyondApi {
        /// What it can't do.
        reason: String,
    },
    /// The remote does not have the branch.
    #[error("`{remote}` has no branch `{branch}`")]
    NoBranch {
        /// The branch.
        branch: String,
        /// The remote.
        remote: String,
    },
    /// The repository can't be read or written, by whatever way.
    #[error("{0}")]
    Store(#[source] StoreError),
    /// The pull request is open, and can't be merged.
    #[error("pull request #{number} is open, but can't be merged: {url}")]
    Merge {
        /// Its number.
        number: u64,
        /// Its page.
        url: String,
        /// The cause.
        #[source]
        source: GithubError,
    },
    /// Other pushes were faster for all the time there was.
    #[error("`{branch}` moved {attempts} times while pushing to it, for {} seconds", .time.as_secs())]
    Raced {
        /// The branch.
        branch: String,
        /// How often.
        attempts: u32,
        /// For how long.
        time: Duration,
    },
    /// The remote says again and again that the branch has moved, and it has not.
    #[error(
        "`{remote}` can't move `{branch}`: it refuses each push as too late, but nobody else pushes"
    )]
    Stuck {
        /// The branch.
        branch: String,
        /// The remote.
        remote: String,
    },
    /// The environment is changed by pull requests, and there is nowhere to open them.
    #[error(
        "`{environment}` is changed by pull requests, but `{remote}` is not a GitHub repository"
    )]
    NoPullRequests {
        /// The environment.
        environment: String,
        /// The manifests repository.
        remote: String,
    },
    /// GitHub did not open the pull request.
    #[error("pushed `{head}`, but can't open a pull request for it")]
    PullRequest {
        /// The branch that was pushed.
        head: String,
        /// The cause.
        #[source]
        source: GithubError,
    },
}

impl From<StoreError> for SetError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Git(error) => Self::Git(error),
            StoreError::Github(error) => Self::Github(error),
            error @ StoreError::Commit { .. } => Self::Store(error),
        }
    }
}
