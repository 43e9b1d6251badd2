//! What people see beside a commit: deployments and commit statuses.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::GithubError;
use super::client::{Call, Client};
use super::slug::Slug;

/// How far a commit is in an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentState {
    /// Its image is stated, and nobody knows yet whether it runs.
    InProgress,
    /// It runs and is healthy.
    Success,
    /// It does not run, or is not healthy.
    Failure,
}

/// What is told about a commit in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The commit.
    pub commit: String,
    /// The environment.
    pub environment: String,
    /// The service: deployments of one commit differ by it.
    pub service: String,
    /// How far it is.
    pub state: DeploymentState,
    /// A sentence; GitHub shows 140 characters.
    pub description: String,
    /// The page of the run that says more.
    pub log_url: Option<String>,
}

#[derive(Deserialize)]
struct Known {
    id: u64,
}

impl Client {
    /// Tells how far the commit is: the newest deployment of the commit, the environment and the
    /// service gets a status; one is made where there is none.
    ///
    /// # Errors
    ///
    /// Fails if the commit is not there, or GitHub is out of reach or refuses.
    pub async fn report_deployment(
        &self,
        owner: &str,
        repo: &str,
        deployment: &Deployment,
    ) -> Result<(), GithubError> {
        let slug = Slug::new(owner, repo)?;
        let action = deployment.action("report a deployment", &slug);
        let id = match self.deployment(&slug, &action, deployment).await? {
            Some(id) => id,
            None => self.create_deployment(&slug, &action, deployment).await?,
        };
        let mut body = deployment.body("in_progress", "log_url");
        // Other services' deployments to the environment go on.
        body["auto_inactive"] = false.into();
        let path = format!("/repos/{slug}/deployments/{id}/statuses");
        self.told(&slug, &action, &path, body).await
    }

    /// Tells how far the commit is by a commit status, `deployctl/ENVIRONMENT/SERVICE`.
    ///
    /// # Errors
    ///
    /// As [`Client::report_deployment`].
    pub async fn report_status(
        &self,
        owner: &str,
        repo: &str,
        deployment: &Deployment,
    ) -> Result<(), GithubError> {
        let slug = Slug::new(owner, repo)?;
        let action = deployment.action("report a commit status", &slug);
        let Deployment { environment, service, .. } = deployment;
        let mut body = deployment.body("pending", "target_url");
        body["context"] = format!("deployctl/{environment}/{service}").into();
        let path = format!("/repos/{slug}/statuses/{}", deployment.sha(&action)?);
        self.told(&slug, &action, &path, body).await
    }

    async fn deployment(
        &self,
        slug: &Slug,
        action: &str,
        deployment: &Deployment,
    ) -> Result<Option<u64>, GithubError> {
        let query = [
            ("sha", deployment.sha(action)?),
            ("environment", &deployment.environment),
            ("task", &deployment.task()),
            ("per_page", "1"),
        ];
        let path = format!("/repos/{slug}/deployments");
        let known: Vec<Known> = self.get(slug, action, &path, &query).await?;
        Ok(known.first().map(|known| known.id))
    }

    async fn create_deployment(
        &self,
        slug: &Slug,
        action: &str,
        deployment: &Deployment,
    ) -> Result<u64, GithubError> {
        let body = json!({
            "ref": deployment.sha(action)?,
            "task": deployment.task(),
            "environment": deployment.environment,
            "description": short(&deployment.description),
            // The commit is what it is: nothing is merged into it, and gates have judged its checks.
            "auto_merge": false,
            "required_contexts": [],
        });
        let path = format!("/repos/{slug}/deployments");
        let made: Known = self.post(slug, action, &path, body).await?;
        Ok(made.id)
    }

    async fn told(
        &self,
        slug: &Slug,
        action: &str,
        path: &str,
        body: Value,
    ) -> Result<(), GithubError> {
        // Told twice it is told.
        let call =
            Call { body: Some(body), repeatable: true, ..Call::new(Method::POST, action, path) };
        self.send(slug, call).await.map(|_| ())
    }
}

impl Deployment {
    fn action(&self, what: &str, slug: &Slug) -> String {
        let Self { commit, environment, .. } = self;
        format!("{what} of commit `{commit}` to `{environment}` in `{slug}`")
    }

    /// What GitHub calls the task tells the services of one repository apart.
    fn task(&self) -> String {
        format!("deploy:{}", self.service)
    }

    /// Returns what GitHub is told, which calls what is not done yet `in_progress`, and the page of the
    /// run `page`.
    fn body(&self, in_progress: &str, page: &str) -> Value {
        let state = match self.state {
            DeploymentState::InProgress => in_progress,
            DeploymentState::Success => "success",
            DeploymentState::Failure => "failure",
        };
        let mut body = json!({"state": state, "description": short(&self.description)});
        if let Some(url) = &self.log_url {
            body[page] = url.as_str().into();
        }
        body
    }

    fn sha(&self, action: &str) -> Result<&str, GithubError> {
        let hex = self.commit.bytes().all(|b| b.is_ascii_hexdigit());
        match hex && self.commit.len() == 40 {
            true => Ok(&self.commit),
            false => Err(GithubError::Invalid {
                action: action.to_owned(),
                message: "it is not the id of a commit".to_owned(),
            }),
        }
    }
}

/// Returns as much of `text` as GitHub takes for a description.
fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(140).collect()
}
