//! What is known of a commit: its statuses and its check runs.

use serde::Deserialize;

use super::GithubError;
use super::client::Client;
use super::slug::Slug;

/// A commit status or a check run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The context of the status, or the name of the check run.
    pub name: String,
    /// What came of it.
    pub state: CheckState,
    /// Its page.
    pub url: Option<String>,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// It is not done.
    Pending,
    /// It passed. A check run that was skipped, or is neutral, counts as GitHub counts it: as passed.
    Success,
    /// It failed, was cancelled, timed out, or wants somebody to act.
    Failure,
}

#[derive(Deserialize)]
struct Combined {
    statuses: Vec<Status>,
}

#[derive(Deserialize)]
struct Status {
    context: String,
    state: String,
    target_url: Option<String>,
}

#[derive(Deserialize)]
struct Runs {
    check_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    name: String,
    status: String,
    conclusion: Option<String>,
    html_url: Option<String>,
}

impl Client {
    /// Returns the commit's newest statuses, one a context, and its newest check runs, one a name and
    /// App.
    ///
    /// # Errors
    ///
    /// Fails if there is no such commit or it has thousands of either, or GitHub is out of reach or refuses.
    pub async fn checks(
        &self,
        owner: &str,
        repo: &str,
        sha: &str,
    ) -> Result<Vec<Check>, GithubError> {
        let slug = Slug::new(owner, repo)?;
        let action = format!("read the checks of commit `{sha}` in `{slug}`");
        if sha.is_empty() || !sha.bytes().all(|b| b.is_ascii_hexdigit()) {
            let message = "it is not the id of a commit".to_owned();
            return Err(GithubError::Invalid { action, message });
        }
        let path = |what: &str| format!("/repos/{slug}/commits/{sha}/{what}");
        let statuses = |page: Combined| page.statuses;
        let statuses = self.pages_of(&slug, &action, &path("status"), &[], statuses).await?;
        let (query, runs) = ([("filter", "latest")], |page: Runs| page.check_runs);
        let runs = self.pages_of(&slug, &action, &path("check-runs"), &query, runs).await?;
        Ok(statuses.into_iter().map(Check::from).chain(runs.into_iter().map(Check::from)).collect())
    }
}

impl From<Status> for Check {
    fn from(status: Status) -> Self {
        let state = match &*status.state {
            "success" => CheckState::Success,
            "pending" => CheckState::Pending,
            _ => CheckState::Failure,
        };
        Self { name: status.context, state, url: status.target_url }
    }
}

impl From<Run> for Check {
    fn from(run: Run) -> Self {
        let state = match (&*run.status, run.conclusion.as_deref()) {
            ("completed", Some("success" | "neutral" | "skipped")) => CheckState::Success,
            ("completed", _) => CheckState::Failure,
            _ => CheckState::Pending,
        };
        Self { name: run.name, state, url: run.html_url }
    }
}
