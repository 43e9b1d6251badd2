//! `deployctl status`: which image each environment states for each service, since when, by whom.

use super::{Change, Emit, Manifests, StatedImage, StatedImageError, history, stated_image};
use crate::config::{Config, Environment, Service};
use crate::git::GitError;

/// What every environment states for every service.
#[derive(Debug)]
pub struct StatusReport {
    /// One a service and environment: services in order, and for each the environments in order.
    pub rows: Vec<StatusRow>,
}

/// What an environment states for a service.
#[derive(Debug)]
pub struct StatusRow {
    /// The service.
    pub service: String,
    /// The environment.
    pub environment: String,
    /// The image that its overlay states, or why it states none.
    pub image: Result<StatedImage, StatedImageError>,
    /// The last change of its overlay.
    pub change: Option<Change>,
}

/// Returns what the environments state for `services` at the branch's tip.
///
/// # Errors
///
/// Fails if the repository can't be read; an overlay that states nothing is a row, not an error.
pub async fn status(
    manifests: &Manifests,
    config: &Config,
    services: &[&Service],
    emit: Emit<'_>,
) -> Result<StatusReport, GitError> {
    let (_, tree) = manifests.tree(emit).await?;
    let mut rows = Vec::new();
    for service in services {
        for environment in config.environments.values() {
            let image = stated_image(&tree, environment, service);
            let change = last_change(manifests, environment, service, image.is_ok()).await?;
            let (service, environment) = (service.name.clone(), environment.name.clone());
            rows.push(StatusRow { service, environment, image, change });
        }
    }
    Ok(StatusReport { rows })
}

async fn last_change(
    manifests: &Manifests,
    environment: &Environment,
    service: &Service,
    is_there: bool,
) -> Result<Option<Change>, GitError> {
    if !is_there {
        return Ok(None);
    }
    Ok(history(manifests, environment, service, 1, &|_| ()).await?.into_iter().next())
}
