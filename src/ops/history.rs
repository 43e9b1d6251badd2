//! Who set what, when: read from the trailers of the manifests repository's commits.

use camino::Utf8PathBuf;
use jiff::Timestamp;

use super::{Emit, Manifests};
use crate::config::{Environment, Service};
use crate::git::{Commit, GitError};

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
}

/// The trailers that deployctl writes.
pub(super) mod trailer {
    pub(in crate::ops) const SERVICE: &str = "Deployctl-Service";
    pub(in crate::ops) const IMAGE: &str = "Deployctl-Image";
    pub(in crate::ops) const ENVIRONMENT: &str = "Deployctl-Environment";
    pub(in crate::ops) const FROM: &str = "Deployctl-From";
    pub(in crate::ops) const SOURCE_COMMIT: &str = "Deployctl-Source-Commit";
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
) -> Result<Vec<Change>, GitError> {
    let tip = manifests.fetch(emit).await?;
    let overlay: Utf8PathBuf = environment.overlay(service);
    let commits = manifests.repository.log(&tip, &overlay, limit).await?;
    Ok(commits.iter().map(|commit| change(commit, service)).collect())
}

fn change(commit: &Commit, service: &Service) -> Change {
    let trailers = commit.trailers();
    // Services and images stand in pairs, in order.
    let all = |key| trailers.iter().filter(move |(name, _)| name == key).map(|(_, value)| value);
    let mut pairs = all(trailer::SERVICE).zip(all(trailer::IMAGE));
    Change {
        commit: commit.id.to_string(),
        time: commit.time,
        author: commit.author.name.clone(),
        subject: commit.subject().to_owned(),
        image: pairs.find(|(name, _)| **name == service.name).map(|(_, image)| image.clone()),
        source_commit: all(trailer::SOURCE_COMMIT).next().cloned(),
    }
}
