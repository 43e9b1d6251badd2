//! The change as a function of a tree: which files become what.

use camino::Utf8PathBuf;

use super::effect::{self, RenderedChange, Usage};
use super::{SameDigest, SetError, SetOptions};
use crate::config::Service;
use crate::image::PinnedImage;
use crate::kustomize::{ChangedTree, FileTree, MemoryTree};
use crate::ops::rendered::effective;
use crate::ops::{Emit, Event, StatedImage, StatedImageError, between, stated_image};
use crate::target::TargetEdit;

/// What a change does to the file that states one service's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The service.
    pub service: String,
    /// The file, from the root of the manifests repository.
    pub file: Utf8PathBuf,
    /// What it stated before; `None` if it had no entry.
    pub before: Option<StatedImage>,
    /// What it states now.
    pub image: PinnedImage,
    /// A unified diff of the file; empty if it stated the image already.
    pub diff: String,
    /// What the change does to the overlay's rendering, where that is known; of several services in
    /// one overlay the first has it.
    pub rendered: Option<RenderedChange>,
}

/// A change of a tree: the files that differ, whole, and what it does service by service.
pub(super) struct Change {
    pub(super) files: MemoryTree,
    pub(super) edits: Vec<Edited>,
}

/// Returns what the options ask for, applied to `tree`, with the proof that it has that effect.
pub(super) async fn change(
    options: &SetOptions<'_>,
    tree: &dyn FileTree,
    emit: Emit<'_>,
) -> Result<Change, SetError> {
    let mut files = MemoryTree::default();
    let mut edits = Vec::new();
    for (service, image) in &options.images {
        // Services may share an overlay, so each edit sees what those before it did.
        let changed = ChangedTree { base: tree, changes: &files };
        let (edited, bytes) = edit(options, &changed, service, image).await?;
        if let Some(bytes) = bytes {
            files.0.insert(edited.file.clone(), bytes);
        }
        edits.push(edited);
    }
    attach_effect(options, tree, &files, &mut edits, emit).await?;
    Ok(Change { files, edits })
}

/// Fails unless the changed `files` do what was asked; tells in `edits` what they do.
async fn attach_effect(
    options: &SetOptions<'_>,
    tree: &dyn FileTree,
    files: &MemoryTree,
    edits: &mut [Edited],
    emit: Emit<'_>,
) -> Result<(), SetError> {
    let after = ChangedTree { base: tree, changes: files };
    let services = || options.images.iter().map(|(service, _)| *service);
    let effective = |tree: &dyn FileTree| effective(tree, options.environment, services());
    let places = [effective(tree)?, effective(&after)?];
    let before = ChangedTree { base: tree, changes: &places[0] };
    let after = ChangedTree { base: &after, changes: &places[1] };
    let allowed = options.allow_other_changes;
    let kustomized = kustomized(options, edits, emit);
    let rendered =
        effect::check(options.renderer, &before, &after, &kustomized, allowed, emit).await;
    let failed =
        |source| SetError::Effect { environment: options.environment.name.clone(), source };
    for change in rendered.map_err(failed)? {
        let mut of_overlay = edits.iter_mut().filter(|edit| !edit.diff.is_empty());
        let edit = of_overlay.find(|edit| edit.file.parent() == Some(&*change.overlay));
        if let Some(edit) = edit {
            edit.rendered = Some(change);
        }
    }
    Ok(())
}

/// Returns the edits that kustomize renders; that others are not checked is told.
fn kustomized(options: &SetOptions<'_>, edits: &[Edited], emit: Emit<'_>) -> Vec<Edited> {
    let is_rendered = |service: &Service| options.environment.target(service).overlay().is_some();
    let (rendered, others): (Vec<_>, Vec<_>) =
        edits.iter().zip(&options.images).partition(|(_, (service, _))| is_rendered(service));
    if others.iter().any(|(edit, _)| !edit.diff.is_empty()) {
        let text = "what the change does to the rendered manifests is not checked: charts are not rendered";
        emit(Event::Warning(text.to_owned()));
    }
    rendered.into_iter().map(|(edit, _)| edit.clone()).collect()
}

/// Returns what the change does for `service`, and the file's new bytes if it changes the file.
async fn edit(
    options: &SetOptions<'_>,
    tree: &dyn FileTree,
    service: &Service,
    image: &PinnedImage,
) -> Result<(Edited, Option<Vec<u8>>), SetError> {
    let before = stated_before(options, tree, service).await?;
    let stated = before.as_ref().and_then(|before| Some((&before.file, before.pinned().ok()?)));
    if let Some((file, stated)) = stated.filter(|(_, stated)| options.leaves(stated, image)) {
        let (service, file, diff) = (service.name.clone(), file.clone(), String::new());
        return Ok((Edited { service, file, before, image: stated, diff, rendered: None }, None));
    }
    let edit = options.environment.target(service).edit(tree, image)?;
    let (service, image, diff) = (service.name.clone(), image.clone(), diff(&edit));
    let bytes = edit.is_changed().then_some(edit.after);
    Ok((Edited { service, file: edit.file, before, image, diff, rendered: None }, bytes))
}

fn diff(edit: &TargetEdit) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (old, before) = match &edit.before {
        Some(bytes) => (format!("a/{}", edit.file), text(bytes)),
        None => ("/dev/null".to_owned(), String::new()),
    };
    between(&old, &before, &format!("b/{}", edit.file), &text(&edit.after))
}

impl SetOptions<'_> {
    /// Returns whether an overlay that states `stated` is left alone though `wanted` is asked for.
    fn leaves(&self, stated: &PinnedImage, wanted: &PinnedImage) -> bool {
        self.same_digest == SameDigest::Leave
            && (&stated.name, &stated.digest) == (&wanted.name, &wanted.digest)
    }
}

fn unstated(options: &SetOptions<'_>, service: &Service, source: StatedImageError) -> SetError {
    let (service, environment) = (service.name.clone(), options.environment.name.clone());
    SetError::Stated { service, environment, source: Box::new(source) }
}

/// Returns what the overlay states, or `None` if it has no entry but its pods use the image.
async fn stated_before(
    options: &SetOptions<'_>,
    tree: &dyn FileTree,
    service: &Service,
) -> Result<Option<StatedImage>, SetError> {
    let error = match stated_image(tree, options.environment, service) {
        Ok(image) => return Ok(Some(image)),
        // A values file says only what differs from the chart's, so its first image is as good.
        Err(StatedImageError::NoValue { .. }) => return Ok(None),
        Err(error) => error,
    };
    if !matches!(error, StatedImageError::NoEntry { .. }) {
        return Err(unstated(options, service, error));
    }
    let overlay = options.environment.overlay(service);
    match effect::usage(options.renderer, tree, &overlay, &service.image_in_manifests).await {
        Usage::Used => Ok(None),
        Usage::Unknown => Err(unstated(options, service, error)),
        Usage::Unused(unused) => Err(SetError::Unused {
            service: service.name.clone(),
            environment: options.environment.name.clone(),
            unused: Box::new(unused),
            source: Box::new(error),
        }),
    }
}
