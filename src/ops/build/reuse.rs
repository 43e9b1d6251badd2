//! What becomes of an image that the registry has.

use super::{BuildError, BuildOptions, Built, Emit, Event, facts, moving, push};
use crate::config::Service;
use crate::image::{Digest, PinnedImage, Tag, TagPolicy};

/// Returns the image that the registry has.
pub(super) async fn reuse(
    service: &Service,
    found: PinnedImage,
    inputs: Option<Digest>,
    options: &BuildOptions<'_>,
    emit: Emit<'_>,
) -> Result<Built, BuildError> {
    emit(Event::Reusing { service: service.name.clone(), image: found.to_string() });
    let reused = found.tag.clone();
    let may_tag = options.extent.pushes(service) && !options.extent.dry_run;
    let wanted = match &options.tag {
        Some(tag) => Some(tag.clone()),
        None => release(service, &found, options).await?,
    };
    let image = match wanted.filter(|_| may_tag) {
        Some(wanted) => push::retag(options, &found, &wanted).await?,
        None => found,
    };
    let mut moved = Vec::new();
    if !service.moving_tags.is_empty() && may_tag {
        let source = facts(service, options).await?;
        moved = moving::follow(service, &image, None, &source, options, emit).await?;
    }
    let service = service.name.clone();
    let (layers, attached) = (Vec::new(), Vec::new());
    Ok(Built { service, image, size: 0, pushed: false, reused, inputs, layers, attached, moved })
}

/// Returns the version that the service is released as by this commit, if it is tagged by versions.
/// Somebody looks for a release by its tag, whether or not anything in it is new. A tag of any other
/// policy says nothing that the digest does not, and is not worth a request.
async fn release(
    service: &Service,
    found: &PinnedImage,
    options: &BuildOptions<'_>,
) -> Result<Option<Tag>, BuildError> {
    if !matches!(service.tag, TagPolicy::Semver { .. }) {
        return Ok(None);
    }
    let source = facts(service, options).await?;
    if service.tag.fallback(&source).is_some() {
        return Ok(None);
    }
    let failed = |source| BuildError::Tag { service: service.name.clone(), source };
    service.tag.tag(&source, &found.digest).map(Some).map_err(failed)
}
