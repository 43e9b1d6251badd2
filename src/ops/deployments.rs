//! What GitHub is told about the commits that images were built from: how far they are in an
//! environment.

use super::{Emit, Event};
use crate::config::GithubReports;
use crate::github::{Client, Deployment, DeploymentState};
use crate::promotion::Record;

/// Who tells it, and what.
#[derive(Clone, Copy)]
pub struct SourceReports<'a> {
    /// The client.
    pub client: &'a Client,
    /// What is to be told.
    pub reports: GithubReports,
    /// The page of this run.
    pub run_url: Option<&'a str>,
}

/// How far an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The environment states it.
    Stated,
    /// It runs and is healthy.
    Healthy,
    /// It does not run, or is not healthy: why.
    Failed(String),
}

/// Tells GitHub how far the images of `records` are. What can't be told is a warning: the change is
/// made, or the rollout is what it is, all the same.
pub async fn report_sources(
    reports: &SourceReports<'_>,
    records: &[(Record, Progress)],
    emit: Emit<'_>,
) {
    for (record, progress) in records {
        let Some(source) = &record.source else { continue };
        let repository = source.repository.as_deref();
        let Some((owner, name)) = repository.and_then(|at| reports.client.repository_of(at)) else {
            continue;
        };
        let deployment = deployment(record, &source.commit, progress, reports.run_url);
        if reports.reports.deployments {
            told(reports.client.report_deployment(&owner, &name, &deployment).await, emit);
        }
        if reports.reports.statuses {
            told(reports.client.report_status(&owner, &name, &deployment).await, emit);
        }
    }
}

fn told(result: Result<(), crate::github::GithubError>, emit: Emit<'_>) {
    if let Err(error) = result {
        let advice = error.advice().map(|advice| format!("; {advice}")).unwrap_or_default();
        emit(Event::Warning(format!("{error}{advice}")));
    }
}

fn deployment(
    record: &Record,
    commit: &str,
    progress: &Progress,
    run_url: Option<&str>,
) -> Deployment {
    let Record { service, environment, .. } = record;
    let (state, description) = match progress {
        Progress::Stated => {
            (DeploymentState::InProgress, format!("{environment} states {}", record.image))
        }
        Progress::Healthy => (DeploymentState::Success, format!("{service} is healthy")),
        Progress::Failed(reason) => (DeploymentState::Failure, format!("{service}: {reason}")),
    };
    Deployment {
        commit: commit.to_owned(),
        environment: environment.clone(),
        service: service.clone(),
        state,
        description,
        log_url: run_url.map(ToOwned::to_owned),
    }
}
