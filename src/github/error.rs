//! Why GitHub did not do what it was asked.

/// Why GitHub did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum GithubError {
    /// There is no token to ask with.
    #[error("no GitHub token: `GITHUB_TOKEN` and `GH_TOKEN` are not set")]
    NoToken,
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
    #[error("GitHub's rate limit is used up: {message}")]
    RateLimited {
        /// What GitHub said.
        message: String,
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
            Self::Forbidden { .. } => {
                "give the token write access to pull requests \
                 (in GitHub Actions: `permissions: pull-requests: write`)"
            }
            Self::NotFound { .. } => {
                "check the repository's name; `GITHUB_TOKEN` of a workflow sees its own \
                 repository only, others need a token of their own"
            }
            Self::RateLimited { .. } => "run it again later",
            Self::Unreachable { .. } => "check the network and `GITHUB_API_URL`",
            _ => return None,
        })
    }

    /// Returns the error that `error` of octocrab's stands for, which came up in `action`.
    pub(super) fn of(error: octocrab::Error, action: &str) -> Self {
        let action = action.to_owned();
        let octocrab::Error::GitHub { source, .. } = error else {
            return Self::Unreachable { action, message: causes(&error) };
        };
        let message = described(&source);
        let lower = message.to_ascii_lowercase();
        match source.status_code.as_u16() {
            401 => Self::Unauthorized { message },
            403 | 429 if lower.contains("rate limit") || lower.contains("abuse") => {
                Self::RateLimited { message }
            }
            429 => Self::RateLimited { message },
            403 => Self::Forbidden { action, message },
            404 => Self::NotFound { action },
            422 => Self::Invalid { action, message },
            status => Self::Status { action, status, message },
        }
    }
}

/// Returns GitHub's message with the messages of its single errors, in one line, bounded.
fn described(error: &octocrab::GitHubError) -> String {
    let mut text = error.message.clone();
    for detail in error.errors.iter().flatten() {
        let detail = match (detail.get("message"), detail.get("field")) {
            (Some(message), _) => message.as_str().map(ToOwned::to_owned),
            (None, Some(field)) => {
                let code = detail.get("code").and_then(|code| code.as_str()).unwrap_or("invalid");
                field.as_str().map(|field| format!("`{field}` is {code}"))
            }
            _ => detail.as_str().map(ToOwned::to_owned),
        };
        if let Some(detail) = detail {
            text.push_str(": ");
            text.push_str(&detail);
        }
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1000).collect()
}

/// Returns the innermost causes of `error` without the backtrace that octocrab prints.
fn causes(error: &octocrab::Error) -> String {
    let mut causes = Vec::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if causes.last() != Some(&text) {
            causes.push(text);
        }
        next = cause.source();
    }
    let text = if causes.is_empty() { error.to_string() } else { causes.join(": ") };
    text.lines().next().unwrap_or_default().chars().take(500).collect()
}
