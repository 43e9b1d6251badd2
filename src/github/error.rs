//! Why GitHub did not do what it was asked.

use std::time::Duration;

use super::wait::Refusal;

/// Why GitHub did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum GithubError {
    /// There is no token to ask with.
    #[error("no GitHub token: `GITHUB_TOKEN` and `GH_TOKEN` are not set")]
    NoToken,
    /// The App's id or key can't be used.
    #[error("can't ask GitHub as an App: {reason}")]
    App {
        /// What is wrong.
        reason: String,
    },
    /// The App may not see the repository.
    #[error("the GitHub App is not installed in `{repository}`")]
    NotInstalled {
        /// Owner and name.
        repository: String,
    },
    /// The proxy's address can't be used.
    #[error("`HTTPS_PROXY` is not the address of a proxy: {reason}")]
    Proxy {
        /// What is wrong with it.
        reason: String,
    },
    /// The address of the API can't be used.
    #[error("`GITHUB_API_URL` is not the address of an API: {reason}")]
    ApiUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// Owner or name can't be those of a repository.
    #[error("`{owner}/{repository}` is not a GitHub repository")]
    Name {
        /// The owner.
        owner: String,
        /// The repository.
        repository: String,
    },
    /// The token is wrong or has expired.
    #[error("GitHub refused the token: {message}")]
    Unauthorized {
        /// What GitHub said.
        message: String,
    },
    /// The token may not do this.
    #[error("the GitHub token may not {action}: {message}")]
    Forbidden {
        /// What was being done.
        action: String,
        /// What GitHub said.
        message: String,
    },
    /// Too many requests were made.
    #[error("GitHub's rate limit is used up: {message}{}", again_in(.wait.as_ref()))]
    RateLimited {
        /// What GitHub said.
        message: String,
        /// After how long it hears again, where that is longer than one waits here.
        wait: Option<Duration>,
    },
    /// It is not there, or the token may not see it.
    #[error("can't {action}: GitHub finds no such repository, or hides it from this token")]
    NotFound {
        /// What was being done.
        action: String,
    },
    /// GitHub takes the request for wrong.
    #[error("can't {action}: {message}")]
    Invalid {
        /// What was being done.
        action: String,
        /// What GitHub said.
        message: String,
    },
    /// What it was about has changed meanwhile.
    #[error("can't {action}: {message}")]
    Stale {
        /// What was being done.
        action: String,
        /// What GitHub said.
        message: String,
    },
    /// GitHub answered with an error of its own.
    #[error("can't {action}: GitHub answered {status}: {message}")]
    Status {
        /// What was being done.
        action: String,
        /// The HTTP status.
        status: u16,
        /// What GitHub said.
        message: String,
    },
    /// GitHub is out of reach, or answered with something else than was asked for.
    #[error("can't {action}: {message}")]
    Unreachable {
        /// What was being done.
        action: String,
        /// What went wrong.
        message: String,
    },
}

impl GithubError {
    /// Returns what a person can do about it, if there is anything to say.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoToken => {
                "set `GITHUB_TOKEN` to a token with `contents` and `pull-requests` write access"
            }
            Self::Unauthorized { .. } => "check that the token is complete and has not expired",
            Self::Forbidden { message, .. }
                if message.contains("GitHub Actions is not permitted") =>
            {
                "allow it in the repository's settings under Actions, General: \
                 \"Allow GitHub Actions to create and approve pull requests\""
            }
            Self::Invalid { message, .. } if message.contains("Auto merge is not allowed") => {
                "allow it in the repository's settings under General: \"Allow auto-merge\""
            }
            Self::Forbidden { .. } => {
                "give the token write access to pull requests \
                 (in GitHub Actions: `permissions: pull-requests: write`)"
            }
            Self::NotFound { .. } => {
                "check the repository's name; `GITHUB_TOKEN` of a workflow sees its own \
                 repository only, others need a token of their own"
            }
            Self::RateLimited { .. } => "run it again later",
            Self::App { .. } => {
                "set `DEPLOYCTL_GITHUB_APP_ID` and `DEPLOYCTL_GITHUB_APP_PRIVATE_KEY` (the PEM file \
                 that GitHub gave, or its path), or use a token"
            }
            Self::NotInstalled { .. } => {
                "install the App there, in its settings under \"Install App\""
            }
            Self::Stale { .. } => "run it again",
            Self::Unreachable { .. } => "check the network and `GITHUB_API_URL`",
            _ => return None,
        })
    }

    /// Returns the error that a refusal of `action` stands for.
    pub(super) fn of(action: &str, refusal: &Refusal<'_>) -> Self {
        let (action, message) = (action.to_owned(), refusal.message.to_owned());
        match refusal.status.unwrap_or(0) {
            _ if refusal.is_limit() => Self::RateLimited { message, wait: None },
            401 => Self::Unauthorized { message },
            403 => Self::Forbidden { action, message },
            404 => Self::NotFound { action },
            422 => Self::Invalid { action, message },
            status => Self::Status { action, status, message },
        }
    }

    /// Returns the error of a request without a usable answer.
    pub(super) fn unreachable(action: &str, message: String) -> Self {
        Self::Unreachable { action: action.to_owned(), message }
    }

    /// Returns a used-up rate limit with the time after which GitHub hears again.
    pub(super) fn limited_for(self, time: Duration) -> Self {
        match self {
            Self::RateLimited { message, .. } => Self::RateLimited { message, wait: Some(time) },
            error => error,
        }
    }

    /// Returns whether nobody knows if what was asked for was done.
    pub fn is_unclear(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            _ => false,
        }
    }
}

/// Returns for example `; it hears again in 12 minutes`.
fn again_in(wait: Option<&Duration>) -> String {
    match wait.map(Duration::as_secs) {
        None => String::new(),
        Some(seconds) if seconds < 120 => format!("; it hears again in {seconds} seconds"),
        Some(seconds) => format!("; it hears again in {} minutes", seconds.div_ceil(60)),
    }
}
