//! Who set what, when: read from the trailers of the manifests repository's commits.

use jiff::Timestamp;

use super::{Emit, Manifests, StoreError};
use crate::config::{Environment, Service};
use crate::git::Commit;
use crate::promotion::Record;

/// A change of an environment's overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The commit in the manifests repository.
    pub commit: String,
    /// When it was made.
    pub time: Timestamp,
    /// Who made it.
    pub author: String,
    /// The first line of its message.
    pub subject: String,
    /// The image that it set, if deployctl made it.
    pub image: Option<String>,
    /// The source commit of that image, if deployctl knew it.
    pub source_commit: Option<String>,
    /// All that deployctl put on record.
    pub record: Option<Record>,
}

/// Returns up to `limit` changes of the service's overlay in the environment, newest first.
///
/// # Errors
///
/// Fails if the repository can't be read.
pub async fn history(
    manifests: &Manifests,
    environment: &Environment,
    service: &Service,
    limit: usize,
    emit: Emit<'_>,
) -> Result<Vec<Change>, StoreError> {
    let tip = manifests.fetch(emit).await?;
    let target = environment.target(service);
    let commits = manifests.store().log(&tip, target.path(), limit).await?;
    Ok(commits.iter().map(|c| change(c, recorded(c, environment, service))).collect())
}

/// Returns what a commit put on record for the service in the environment, if it did.
pub(super) fn recorded(
    commit: &Commit,
    environment: &Environment,
    service: &Service,
) -> Option<Record> {
    let records = Record::read(&commit.trailers()).into_iter();
    let is_meant = |r: &Record| (&r.service, &r.environment) == (&service.name, &environment.name);
    records.rev().find(is_meant)
}

/// Returns what `commit` did, as `record` says it.
pub(super) fn change(commit: &Commit, record: Option<Record>) -> Change {
    Change {
        commit: commit.id.to_string(),
        time: commit.time,
        author: commit.author.name.clone(),
        subject: commit.subject().to_owned(),
        source_commit: record.as_ref().and_then(|r| Some(r.source.as_ref()?.commit.clone())),
        image: record.as_ref().map(|record| record.image.clone()),
        record,
    }
}
