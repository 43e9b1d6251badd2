//! `deployctl promote`: the digests that one environment states, written to the next.

use super::gates::{self, GatedError, GatedReport, Passage};
use super::{Emit, Event, SetOptions, StatedImageError, stated_image};
use crate::config::{Environment, Service};
use crate::git::CommitId;
use crate::image::PinnedImage;

/// What one environment states and the other does not.
pub struct Promotion<'a> {
    /// The environment that the digests come from.
    pub from: &'a Environment,
    /// The commit that states them.
    pub tip: CommitId,
    /// The image of each service, in order.
    pub images: Vec<(&'a Service, PinnedImage)>,
    /// The services whose images the other environment does not state yet.
    pub changed: Vec<&'a Service>,
}

/// Why nothing was promoted, other than by a gate.
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
    Read(#[from] super::StoreError),
    /// An override names no gate, or the second environment can't be written.
    #[error("{0}")]
    Gated(#[from] GatedError),
}

impl<'a> Promotion<'a> {
    /// Returns what `from` states for each of `services`, pinned, at the branch's tip, and what of
    /// that is new to the environment that `options` are about.
    ///
    /// # Errors
    ///
    /// Fails if the repository can't be read, or `from` states no digest.
    pub async fn read(
        from: &'a Environment,
        services: Vec<&'a Service>,
        options: &SetOptions<'a>,
        emit: Emit<'_>,
    ) -> Result<Self, PromoteError> {
        let (tip, tree) = options.manifests.tree(emit).await?;
        let both = [from, options.environment];
        let paths = |service: &&'a Service| both.map(|it| it.target(service).path().to_owned());
        tree.prefetch(&services.iter().flat_map(paths).collect::<Vec<_>>()).await?;
        let tree = &*tree;
        let read = |service: &'a Service| {
            let stated = stated_image(tree, from, service).and_then(|image| image.pinned());
            let failed = |source| PromoteError::Stated {
                service: service.name.clone(),
                from: from.name.clone(),
                source: Box::new(source),
            };
            Ok((service, stated.map_err(failed)?))
        };
        let images: Vec<_> = services.into_iter().map(read).collect::<Result<_, PromoteError>>()?;
        let changed = gates::changed(options.environment, options.same_digest, &images, tree);
        let changed = changed.into_iter().map(|(service, _)| service).collect();
        Ok(Self { from, tip, images, changed })
    }
}

/// Copies the digests from one environment to the other, in one commit or pull request, if the gates
/// let them pass.
///
/// # Errors
///
/// Fails if an override names no gate, or the second environment can't be written.
pub async fn promote<'a>(
    promotion: Promotion<'a>,
    passage: &Passage<'_>,
    options: SetOptions<'a>,
    emit: Emit<'_>,
) -> Result<GatedReport, PromoteError> {
    for (service, image) in &promotion.images {
        emit(Event::Promoting { service: service.name.clone(), image: image.to_string() });
    }
    let promoted_from = Some(promotion.from.name.clone());
    let (tip, images) = (Some(promotion.tip), promotion.images);
    let options = SetOptions { tip, images, promoted_from, ..options };
    Ok(gates::pass(passage, options, emit).await?)
}
