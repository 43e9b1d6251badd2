//! The connection to GitHub's API.

use std::time::Duration;

use octocrab::Octocrab;
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use url::Url;

use super::GithubError;
use super::slug::{is_served_by, repository_of};
use crate::system::Environment;

/// GitHub's API at `GITHUB_API_URL` (default: `https://api.github.com`), asked with the token in
/// `GITHUB_TOKEN` or `GH_TOKEN`.
#[derive(Debug)]
pub struct Client {
    base: Url,
    token: SecretString,
    // Made at the first request: octocrab starts a task of its own, which needs a runtime.
    connection: OnceCell<Octocrab>,
}

/// GitHub ends a request that takes longer than 10 seconds by itself; repetitions come on top.
const DEADLINE: Duration = Duration::from_secs(60);

impl Client {
    /// Returns a client. Reaches no network.
    ///
    /// # Errors
    ///
    /// Fails if there is no token, or if `GITHUB_API_URL` is not a URL.
    pub fn new(environment: &Environment) -> Result<Self, GithubError> {
        let malformed = |reason: &str| GithubError::ApiUrl { reason: reason.to_owned() };
        let base = environment.get("GITHUB_API_URL").unwrap_or("https://api.github.com");
        let base = Url::parse(base).map_err(|error| malformed(&error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(malformed("expected https://HOST/PATH"));
        }
        let token = environment.get("GITHUB_TOKEN").or(environment.get("GH_TOKEN"));
        let token = token.ok_or(GithubError::NoToken)?.trim().to_owned();
        Ok(Self { base, token: token.into(), connection: OnceCell::new() })
    }

    /// Returns owner and name of the repository that a git remote's address stands for, or `None`
    /// if it is not on this GitHub.
    pub fn repository_of(&self, remote: &str) -> Option<(String, String)> {
        repository_of(remote).filter(|_| is_served_by(remote, &self.base))
    }

    pub(super) async fn get<P: Serialize, R: DeserializeOwned>(
        &self,
        action: &str,
        path: &str,
        parameters: &P,
    ) -> Result<R, GithubError> {
        let connection = self.connection().await?;
        ended(action, connection.get(path, Some(parameters))).await
    }

    pub(super) async fn post<B: Serialize, R: DeserializeOwned>(
        &self,
        action: &str,
        path: &str,
        body: &B,
    ) -> Result<R, GithubError> {
        let connection = self.connection().await?;
        ended(action, connection.post(path, Some(body))).await
    }

    pub(super) async fn patch<B: Serialize, R: DeserializeOwned>(
        &self,
        action: &str,
        path: &str,
        body: &B,
    ) -> Result<R, GithubError> {
        let connection = self.connection().await?;
        ended(action, connection.patch(path, Some(body))).await
    }

    async fn connection(&self) -> Result<&Octocrab, GithubError> {
        self.connection.get_or_try_init(|| async { self.connect() }).await
    }

    fn connect(&self) -> Result<Octocrab, GithubError> {
        let connect = |error| GithubError::of(error, "set up the connection to GitHub");
        Octocrab::builder()
            .base_uri(self.base.as_str())
            .map_err(connect)?
            .personal_token(self.token.clone())
            .set_connect_timeout(Some(Duration::from_secs(10)))
            .set_read_timeout(Some(Duration::from_secs(30)))
            .add_retry_config(octocrab::service::middleware::retry::RetryConfig::Simple(2))
            .build()
            .map_err(connect)
    }
}

/// Returns what `request` came to within the deadline.
async fn ended<R>(
    action: &str,
    request: impl Future<Output = octocrab::Result<R>>,
) -> Result<R, GithubError> {
    match tokio::time::timeout(DEADLINE, request).await {
        Ok(result) => result.map_err(|error| GithubError::of(error, action)),
        Err(_) => Err(GithubError::Unreachable {
            action: action.to_owned(),
            message: format!("no answer within {} seconds", DEADLINE.as_secs()),
        }),
    }
}
