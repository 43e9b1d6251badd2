//! `deployctl promote`: the digests that one environment states, written to the next.

use super::{
    Emit, Event, Manifests, SetError, SetOptions, SetReport, StatedImageError, set, stated_image,
};
use crate::config::{Environment, Service};
use crate::git::GitError;
use crate::image::PinnedImage;

/// What to promote. The rest of the options are those of the change that it makes.
pub struct PromoteOptions<'a> {
    /// The environment whose overlays state the digests.
    pub from: &'a Environment,
    /// The services to promote.
    pub services: Vec<&'a Service>,
}

/// What was promoted.
#[derive(Debug, Clone, PartialEq)]
pub struct PromoteReport {
    /// The environment that the digests came from.
    pub from: String,
    /// What was written.
    pub set: SetReport,
}

/// Why nothing was promoted.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// The first environment does not state a digest.
    #[error("can't promote `{service}` from `{from}`")]
    Stated {
        /// The service.
        service: String,
        /// The environment.
        from: String,
        /// The cause.
        #[source]
        source: Box<StatedImageError>,
    },
    /// The repository can't be read.
    #[error("{0}")]
    Git(#[from] GitError),
    /// The second environment can't be written.
    #[error("{0}")]
    Set(#[from] SetError),
}

/// Returns what `environment` states for each of `services`, pinned, at the branch's tip.
///
/// # Errors
///
/// Fails if the repository can't be read, or an overlay states no digest.
pub async fn stated_images<'a>(
    manifests: &Manifests,
    environment: &Environment,
    services: &[&'a Service],
    emit: Emit<'_>,
) -> Result<Vec<(&'a Service, PinnedImage)>, PromoteError> {
    let (_, tree) = manifests.tree(emit).await?;
    let read = |&service: &&'a Service| {
        let stated = stated_image(&tree, environment, service).and_then(|image| image.pinned());
        let failed = |source| PromoteError::Stated {
            service: service.name.clone(),
            from: environment.name.clone(),
            source: Box::new(source),
        };
        Ok((service, stated.map_err(failed)?))
    };
    services.iter().map(read).collect()
}

/// Copies the digests from one environment to the other, in one commit or pull request.
///
/// # Errors
///
/// Fails if the first environment does not state a digest or the second can't be written.
pub async fn promote(
    options: &PromoteOptions<'_>,
    set_options: SetOptions<'_>,
    emit: Emit<'_>,
) -> Result<PromoteReport, PromoteError> {
    let images =
        stated_images(set_options.manifests, options.from, &options.services, emit).await?;
    for (service, image) in &images {
        emit(Event::Promoting { service: service.name.clone(), image: image.to_string() });
    }
    let from = options.from.name.clone();
    let change = SetOptions { images, promoted_from: Some(from.clone()), ..set_options };
    Ok(PromoteReport { from, set: set(&change, emit).await? })
}
