//! What is attached to images that are built, and whether their bases are signed.

use std::collections::BTreeSet;

use super::ask::Asked;
use super::make::Made;
use super::{BuildError, BuildOptions};
use crate::config::Service;
use crate::image::{ImageReference, Method, PinnedImage};
use crate::ops::{self, Attached, Emit, Event, Subject};

/// Returns what was asked, with an error for each service that is built on something that is not signed
/// by whom it has to be, now or when the image that the registry has was built. All bases are verified
/// before anything is built.
pub(super) async fn verified(
    asked: Vec<Result<Asked, BuildError>>,
    options: &BuildOptions<'_>,
    emit: Emit<'_>,
) -> Vec<Result<Asked, BuildError>> {
    if options.base_signers.is_empty() {
        return asked;
    }
    let mut passed = BTreeSet::new();
    let mut verified = Vec::new();
    for (service, asked) in options.services.iter().zip(asked) {
        let checked = match &asked {
            Ok(asked) => verify_bases(service, asked, options, &mut passed, emit).await,
            Err(_) => Ok(()),
        };
        verified.push(checked.and(asked));
    }
    verified
}

async fn verify_bases(
    service: &Service,
    asked: &Asked,
    options: &BuildOptions<'_>,
    passed: &mut BTreeSet<PinnedImage>,
    emit: Emit<'_>,
) -> Result<(), BuildError> {
    let name = &service.name;
    if let Some(reason) = asked.unknown_bases() {
        let (service, reason) = (name.clone(), reason.to_owned());
        return Err(BuildError::UnknownBases { service, reason });
    }
    let by_engine =
        service.recipe.as_ref().is_some_and(|it| matches!(it.method, Method::Dockerfile(_)));
    for base in bases(asked) {
        if !passed.contains(&base) {
            ops::verify_base(&base, options.base_signers, options.bases, options.environment)
                .await
                .map_err(|source| BuildError::VerifyBase {
                    service: name.clone(),
                    source: Box::new(source),
                })?;
        }
        // An engine reads the Dockerfile by itself, and what the tag is then.
        if by_engine && asked.is_to_be_built() && !is_pinned(&base, asked) {
            emit(Event::Warning(format!(
                "`{base}` is signed, but the Dockerfile of {name} names it without its digest, so the engine may read another"
            )));
        }
        passed.insert(base);
    }
    Ok(())
}

/// Attaches what is to be attached, and then gives the image its tags. Does nothing where nothing is.
pub(super) async fn attach(
    made: &Made<'_>,
    options: &BuildOptions<'_>,
    emit: Emit<'_>,
) -> Result<Vec<Attached>, BuildError> {
    let Made { service, recipe, image, built, .. } = made;
    let (Some(attacher), name) = (options.attacher, &service.name) else {
        return Ok(Vec::new());
    };
    let of_source = |source| BuildError::Source { service: name.clone(), source: Box::new(source) };
    let repository = match attacher.tells_repository() {
        true => options.sources.repository(service).await.map_err(of_source)?,
        false => None,
    };
    let subject = Subject {
        service: name,
        image,
        manifest: &built.manifest,
        recipe,
        context: &options.folder.join(&recipe.context),
        bases: &bases(&made.asked),
        source: &made.source,
        repository: repository.as_deref(),
    };
    let attached = ops::attach(attacher, options.registry, &subject, emit).await;
    let attached = attached
        .map_err(|source| BuildError::Attach { service: name.clone(), source: Box::new(source) })?;
    let failed = |source| BuildError::Registry { what: "tag", image: image.to_string(), source };
    let tagged = options.registry.push_manifest(&image.name, &built.manifest, &made.tags).await;
    tagged.map_err(failed)?;
    Ok(attached)
}

/// Returns the base images with the digests that they were asked for by.
fn bases(asked: &Asked) -> Vec<PinnedImage> {
    let pinned = asked.bases.iter().map(|(reference, digest)| PinnedImage {
        name: reference.name.clone(),
        tag: reference.tag.clone(),
        digest: digest.clone(),
    });
    pinned.collect()
}

fn is_pinned(base: &PinnedImage, asked: &Asked) -> bool {
    let digest = Some(base.digest.clone());
    let (name, tag) = (base.name.clone(), base.tag.clone());
    asked.bases.contains_key(&ImageReference { name, tag, digest })
}
