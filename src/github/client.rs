//! The connection to GitHub's API: one request, authorized, and made again where that may help.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, header};
use octocrab::{OctoBody, Octocrab};
use reqwest::{NoProxy, Proxy};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use url::Url;

use super::GithubError;
use super::answer::{Answer, cause, is_unsent};
use super::app::Installation;
use super::credentials::Credentials;
use super::slug::{Slug, is_served_by, repository_of};
use super::wait::{Again, Refusal};
use crate::system::{self, Environment};

/// The version of the API whose shapes are read and written here.
const API_VERSION: &str = "2022-11-28";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// GitHub ends a request that takes longer than 10 seconds by itself.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a request waits for rate limits in all, unless said otherwise.
const PATIENCE: Duration = Duration::from_secs(120);

/// Hears why a request waits, and for how long.
type Tell = dyn Fn(&str, Duration) + Send + Sync;

/// GitHub's API at `GITHUB_API_URL` (default: `https://api.github.com`), asked as the App that
/// `DEPLOYCTL_GITHUB_APP_ID` names or with the token in `GITHUB_TOKEN` or `GH_TOKEN`.
pub struct Client {
    base: Url,
    graphql: Url,
    credentials: Credentials,
    http: reqwest::Client,
    /// Made at the first request: octocrab starts a task of its own, which needs a runtime.
    octocrab: OnceCell<Octocrab>,
    patience: Duration,
    tell: Arc<Tell>,
}

/// A request.
pub(super) struct Call<'a> {
    /// What it is made for: `can't {action}: …`.
    pub(super) action: &'a str,
    pub(super) method: Method,
    /// The path below the API's base, percent-encoded.
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) body: Option<Value>,
    /// Whether making it twice comes to the same as making it once.
    pub(super) repeatable: bool,
}

impl Client {
    /// Returns a client. Reaches no network.
    ///
    /// # Errors
    ///
    /// Fails if there is neither a token nor an App, if the App's key can't be read, or if
    /// `GITHUB_API_URL` is not a URL.
    pub fn new(environment: &Environment) -> Result<Self, GithubError> {
        let base = api_url(environment.get("GITHUB_API_URL").unwrap_or("https://api.github.com"))?;
        let graphql = graphql_url(&base, environment.get("GITHUB_GRAPHQL_URL"));
        Ok(Self {
            graphql,
            credentials: Credentials::find(environment)?,
            http: http(environment)?,
            octocrab: OnceCell::new(),
            base,
            patience: PATIENCE,
            tell: Arc::new(|_, _| {}),
        })
    }

    /// Returns the client with `tell`, which hears why a request waits, and for how long.
    #[must_use]
    pub fn telling(self, tell: impl Fn(&str, Duration) + Send + Sync + 'static) -> Self {
        Self { tell: Arc::new(tell), ..self }
    }

    /// Returns the client with the longest time that a request waits for rate limits.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Returns owner and name of the repository that a git remote's address stands for, or `None`
    /// if it is not on this GitHub.
    pub fn repository_of(&self, remote: &str) -> Option<(String, String)> {
        repository_of(remote).filter(|_| is_served_by(remote, &self.base))
    }

    /// Returns the token that `git` can fetch and push the repository with over HTTPS: that of the
    /// App's installation, or the one that the client was given.
    ///
    /// # Errors
    ///
    /// Fails if the App is not installed there.
    pub async fn git_token(&self, owner: &str, name: &str) -> Result<SecretString, GithubError> {
        self.token(&Slug::new(owner, name)?).await
    }

    pub(super) async fn get<R: DeserializeOwned>(
        &self,
        slug: &Slug,
        action: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<R, GithubError> {
        let call = Call { query, ..Call::new(Method::GET, action, path) };
        decode(action, &self.send(slug, call).await?)
    }

    pub(super) async fn post<R: DeserializeOwned>(
        &self,
        slug: &Slug,
        action: &str,
        path: &str,
        body: Value,
    ) -> Result<R, GithubError> {
        let call = Call { body: Some(body), ..Call::new(Method::POST, action, path) };
        decode(action, &self.send(slug, call).await?)
    }

    /// Sets what is at `path` to what `body` says, which twice comes to the same as once.
    pub(super) async fn patch<R: DeserializeOwned>(
        &self,
        slug: &Slug,
        action: &str,
        path: &str,
        body: Value,
    ) -> Result<R, GithubError> {
        let call = Call::new(Method::PATCH, action, path);
        let call = Call { body: Some(body), repeatable: true, ..call };
        decode(action, &self.send(slug, call).await?)
    }

    /// Returns the answer to `call`, authorized for the repository, if it is a good one.
    pub(super) async fn send(&self, slug: &Slug, call: Call<'_>) -> Result<Answer, GithubError> {
        let token = self.token(slug).await?;
        self.send_with(&token, self.url(&call), &call).await
    }

    /// As [`Client::send`], to the GraphQL API.
    pub(super) async fn send_graphql(
        &self,
        slug: &Slug,
        call: Call<'_>,
    ) -> Result<Answer, GithubError> {
        let token = self.token(slug).await?;
        self.send_with(&token, self.graphql.clone(), &call).await
    }

    /// Waits, and says why.
    pub(super) async fn wait(&self, reason: &str, time: Duration) {
        (self.tell)(reason, time);
        tokio::time::sleep(time).await;
    }

    fn url(&self, call: &Call<'_>) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path().trim_end_matches('/'), call.path));
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        url
    }

    async fn token(&self, slug: &Slug) -> Result<SecretString, GithubError> {
        let (app, tokens) = match &self.credentials {
            Credentials::Token(token) => return Ok(token.clone()),
            Credentials::App { app, tokens } => (app, tokens),
        };
        let mut tokens = tokens.lock().await;
        let key = slug.to_string().to_ascii_lowercase();
        if let Some(known) = tokens.get(&key).filter(|known| known.is_fresh(system::now())) {
            return Ok(known.token.clone());
        }
        let granted = self.installation(&app.proof(system::now())?, slug).await?;
        let token = granted.token.clone();
        tokens.insert(key, granted);
        Ok(token)
    }

    /// Returns a token of the installation that the repository belongs to, for it alone.
    async fn installation(
        &self,
        proof: &SecretString,
        slug: &Slug,
    ) -> Result<Installation, GithubError> {
        let action = format!("find the App's installation for `{slug}`");
        let path = format!("/repos/{slug}/installation");
        let call = Call::new(Method::GET, &action, &path);
        let found = self.send_with(proof, self.url(&call), &call).await;
        let id = match found {
            Ok(answer) => decode::<Value>(&action, &answer)?["id"].as_u64(),
            Err(GithubError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let id = id.ok_or_else(|| GithubError::NotInstalled { repository: slug.to_string() })?;
        let action = format!("get a token of the App for `{slug}`");
        let path = format!("/app/installations/{id}/access_tokens");
        let body = Some(json!({"repositories": [slug.name()]}));
        // A token too many does no harm: it is forgotten, and ends within the hour.
        let call = Call { body, repeatable: true, ..Call::new(Method::POST, &action, &path) };
        decode(&action, &self.send_with(proof, self.url(&call), &call).await?)
    }

    async fn send_with(
        &self,
        token: &SecretString,
        url: Url,
        call: &Call<'_>,
    ) -> Result<Answer, GithubError> {
        let (mut attempt, mut waited) = (1, Duration::ZERO);
        loop {
            let (error, again) = match self.once(token, url.clone(), call).await {
                Ok(answer) => match refused(&answer, call, attempt) {
                    None => return Ok(answer),
                    Some(refused) => refused,
                },
                Err(lost) => {
                    let refusal = Refusal { unsent: lost.unsent, ..Refusal::default() };
                    let again = refusal.again(attempt, call.repeatable);
                    (GithubError::unreachable(call.action, lost.reason), again)
                }
            };
            let Some(again) = again else { return Err(error) };
            let (reason, time) = match again {
                Again::Failed(time) => (error.to_string(), time),
                Again::Limited(time) if waited + time <= self.patience => {
                    waited += time;
                    (error.to_string(), time)
                }
                Again::Limited(time) => return Err(error.limited_for(time)),
            };
            self.wait(&reason, time).await;
            attempt += 1;
        }
    }

    async fn once(&self, token: &SecretString, url: Url, call: &Call<'_>) -> Result<Answer, Lost> {
        let lost =
            |error: octocrab::Error| Lost { unsent: is_unsent(&error), reason: cause(&error) };
        let octocrab =
            self.octocrab.get_or_try_init(async || self.connect()).await.map_err(lost)?;
        let request = request(token, url, call)
            .map_err(|error| Lost { unsent: true, reason: error.to_string() })?;
        let response = octocrab.send(request).await.map_err(lost)?;
        Answer::read(response).await.map_err(|reason| Lost { unsent: false, reason })
    }

    /// Returns octocrab on our own connection, which goes through a proxy where one is set. Who asks
    /// is said with each request, as an App has a token for each repository.
    fn connect(&self) -> octocrab::Result<Octocrab> {
        let origin = self.base.origin().ascii_serialization();
        Octocrab::builder().base_uri(origin)?.build_with_reqwest(self.http.clone())
    }
}

fn request(
    token: &SecretString,
    url: Url,
    call: &Call<'_>,
) -> Result<Request<OctoBody>, http::Error> {
    let mut bearer: header::HeaderValue = format!("Bearer {}", token.expose_secret()).parse()?;
    bearer.set_sensitive(true);
    let request = Request::builder()
        .method(call.method.clone())
        .uri(String::from(url))
        .header(header::AUTHORIZATION, bearer)
        .header(header::ACCEPT, "application/vnd.github+json")
        .header("X-GitHub-Api-Version", API_VERSION);
    match &call.body {
        Some(body) => {
            let request = request.header(header::CONTENT_TYPE, "application/json");
            request.body(OctoBody::from(body.to_string()))
        }
        None => request.body(OctoBody::empty()),
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base, credentials, .. } = self;
        f.debug_struct("Client").field("base", base).field("credentials", credentials).finish()
    }
}

impl<'a> Call<'a> {
    /// Returns a request without query and body, repeatable if the method only reads.
    pub(super) fn new(method: Method, action: &'a str, path: &'a str) -> Self {
        let repeatable = method == Method::GET;
        Self { action, method, path, query: &[], body: None, repeatable }
    }
}

/// A request without an answer.
struct Lost {
    unsent: bool,
    reason: String,
}

/// Returns the error that `answer` is, and whether the request is made again; `None` if it is a good
/// one.
fn refused(answer: &Answer, call: &Call<'_>, attempt: u32) -> Option<(GithubError, Option<Again>)> {
    if answer.is_success() && !answer.is_limited_graphql() {
        return None;
    }
    let message = answer.message();
    let now = u64::try_from(system::now().as_second()).unwrap_or(0);
    let refusal = answer.refusal(&message, now);
    let again = refusal.again(attempt, call.repeatable);
    Some((GithubError::of(call.action, &refusal), again))
}

/// Returns what `answer` says.
pub(super) fn decode<R: DeserializeOwned>(action: &str, answer: &Answer) -> Result<R, GithubError> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        // An answer may hold anything; serde tells the place and what it expected there.
        GithubError::unreachable(action, format!("GitHub's answer is not understood: {error}"))
    })
}

fn api_url(text: &str) -> Result<Url, GithubError> {
    let malformed = |reason: &str| GithubError::ApiUrl { reason: reason.to_owned() };
    let base = Url::parse(text).map_err(|error| malformed(&error.to_string()))?;
    if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
        return Err(malformed("expected https://HOST/PATH"));
    }
    Ok(base)
}

/// Returns the address of the GraphQL API beside the REST API at `base`.
fn graphql_url(base: &Url, stated: Option<&str>) -> Url {
    // The token goes there, so a variable can't name another host.
    let stated = stated.and_then(|url| Url::parse(url).ok());
    if let Some(url) = stated.filter(|url| url.origin() == base.origin()) {
        return url;
    }
    let mut url = base.clone();
    let path = base.path().trim_end_matches('/');
    // An Enterprise server has `/api/v3` and `/api/graphql`.
    let path = path.strip_suffix("/v3").unwrap_or(path);
    url.set_path(&format!("{path}/graphql"));
    url
}

fn http(environment: &Environment) -> Result<reqwest::Client, GithubError> {
    // Fails if one is installed already, which is just as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let wrong = |error: reqwest::Error| GithubError::Proxy { reason: cause(&error) };
    let get = |name: &str| environment.get(&name.to_lowercase()).or(environment.get(name));
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("deployctl/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .no_proxy();
    let except = || NoProxy::from_string(get("NO_PROXY").unwrap_or(""));
    if let Some(proxy) = get("HTTPS_PROXY") {
        builder = builder.proxy(Proxy::https(proxy).map_err(wrong)?.no_proxy(except()));
    }
    builder.build().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphql_stands_beside_rest() {
        let url = |base: &str, stated| graphql_url(&Url::parse(base).unwrap(), stated).to_string();
        assert_eq!(url("https://api.github.com", None), "https://api.github.com/graphql");
        let enterprise = "https://git.example.com/api/graphql";
        assert_eq!(url("https://git.example.com/api/v3", None), enterprise);
        assert_eq!(url("https://git.example.com/api/v3/", None), enterprise);
        let elsewhere = Some("https://evil.example.com/graphql");
        assert_eq!(url("https://git.example.com/api/v3", elsewhere), enterprise);
        let stated = "https://git.example.com/query";
        assert_eq!(url("https://git.example.com/api/v3", Some(stated)), stated);
    }
}
