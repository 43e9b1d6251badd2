//! Whether a change does what was asked and nothing else: its overlays, rendered before and after.
//!
//! What a difference between two renderings means is decided in [`crate::kustomize`]; here they are
//! made, and what can't be rendered is told.
//!
//! # What counts as an effect
//!
//! The image that an entry states must stand in a field where there was another before, or stand in
//! one already. Else the change is refused with the reason:
//!
//! - the overlay renders to no objects, to objects without containers, or to containers with other
//!   images: the entry is about nothing;
//! - the image is only in a field that kustomize's `images` passes over, as of a custom resource:
//!   nothing would run it. Either a file of `configurations` names the field, and the entry works, or
//!   the field itself is written ([`crate::target::Place::HelmValues`] writes any YAML by its path).
//!
//! There is no flag to pass this: what changes nothing is not a deployment, and to commit it would say
//! that it is. `--allow-other-changes` is about what else changes. A field that `configurations` names
//! and that is not called `…image` is such another change, since nothing else tells it from a text that
//! merely mentions the image.
//!
//! Not checked, and told as a warning: what nothing here can render (no renderer, a remote base, a
//! chart), and an entry of a `Component`, which acts only where that is used.

mod cause;
mod shown;

use std::collections::BTreeMap;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use futures_util::future::try_join_all;

use super::Edited;
use crate::kustomize::{
    Asked, Effect, FileTree, FindError, Swallowed, asked, effect, images, is_about, without,
};
use crate::ops::{Emit, Event};
use crate::render::{RenderError, Rendered, Renderer, readable};

use shown::cut;

pub use shown::rendered_diff;

/// No overlay renders longer; kustomize itself waits 27 seconds for a remote base.
const LONGEST: Duration = Duration::from_secs(60);
/// How many overlays are rendered at a time.
const AT_A_TIME: usize = 4;
/// How much of a rendered difference is kept, in bytes, and shown in an error, in lines.
const MOST_BYTES: usize = 64 << 10;
const MOST_LINES: usize = 40;

/// What a change does to an overlay's rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedChange {
    /// The overlay's folder, from the root of the manifests repository.
    pub overlay: Utf8PathBuf,
    /// A unified diff, cut where it is very long; empty if it is not known.
    pub diff: String,
}

/// Why a change is not what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum EffectError {
    /// An entry changes nothing.
    #[error("{0}")]
    NoEffect(Box<Swallowed>),
    /// Something else changes too.
    #[error("the change would also change other things that `{overlay}` renders to:\n{diff}")]
    OtherChanges {
        /// The overlay's folder.
        overlay: Utf8PathBuf,
        /// What else changes, cut.
        diff: String,
    },
    /// The overlay renders now, and would not any more.
    #[error("`{overlay}` renders now, and would not after the change")]
    NoLongerRenders {
        /// The overlay's folder.
        overlay: Utf8PathBuf,
        /// The cause.
        #[source]
        source: RenderError,
    },
    /// A kustomization can't be found again.
    #[error("{0}")]
    Find(#[from] FindError),
}

/// Returns what the change from the tree `before` to `after` does to the rendering of each overlay
/// that `edits` are about, by overlay.
///
/// What can't be rendered is told as a warning, and not checked.
///
/// # Errors
///
/// Fails if an entry changes nothing; if anything else changes and that is not allowed; or if an
/// overlay does not render any more.
pub async fn check(
    renderer: &dyn Renderer,
    before: &dyn FileTree,
    after: &dyn FileTree,
    edits: &[Edited],
    allow_other_changes: bool,
    emit: Emit<'_>,
) -> Result<Vec<RenderedChange>, EffectError> {
    let mut overlays: BTreeMap<&Utf8Path, &Utf8Path> = BTreeMap::new();
    for edit in edits.iter().filter(|edit| !edit.diff.is_empty()) {
        overlays.insert(edit.file.parent().unwrap_or(Utf8Path::new("")), &edit.file);
    }
    let overlays: Vec<(&Utf8Path, &Utf8Path)> = overlays.into_iter().collect();
    let mut rendered = Vec::new();
    for some in overlays.chunks(AT_A_TIME) {
        let checks = some.iter().map(async |&(overlay, file)| {
            let overlay = Overlay { renderer, before, after, overlay, file: Some(file) };
            overlay.check(allow_other_changes, emit).await
        });
        rendered.extend(try_join_all(checks).await?.into_iter().flatten());
    }
    Ok(rendered)
}

/// Whether an entry for an image would change something.
pub(super) enum Usage {
    /// A container has the image.
    Used,
    /// None has, for this reason.
    Unused(Swallowed),
    /// Nothing here can tell.
    Unknown,
}

/// Returns whether an entry `name`, which the overlay does not have, would change something.
pub(super) async fn usage(
    renderer: &dyn Renderer,
    tree: &dyn FileTree,
    overlay: &Utf8Path,
    name: &str,
) -> Usage {
    let overlay = Overlay { renderer, before: tree, after: tree, overlay, file: None };
    let Ok(rendered) = overlay.render(tree).await else { return Usage::Unknown };
    if images(&rendered.objects).iter().any(|image| is_about(name, image)) {
        return Usage::Used;
    }
    match overlay.unused(name, &rendered).await {
        Some(unused) => Usage::Unused(unused),
        None => Usage::Unknown,
    }
}

struct Overlay<'a> {
    renderer: &'a dyn Renderer,
    before: &'a dyn FileTree,
    after: &'a dyn FileTree,
    overlay: &'a Utf8Path,
    /// The file that is changed: the kustomization, or one whose images override those in it.
    file: Option<&'a Utf8Path>,
}

impl Overlay<'_> {
    async fn check(
        &self,
        allow_other_changes: bool,
        emit: Emit<'_>,
    ) -> Result<Option<RenderedChange>, EffectError> {
        let (old, new) = tokio::join!(self.render(self.before), self.render(self.after));
        let asked = self.asked()?;
        let (old, new) = match (old, new) {
            (Ok(old), Ok(new)) => (old, new),
            (Ok(_), Err(source)) => {
                let overlay = self.overlay.to_owned();
                return Err(EffectError::NoLongerRenders { overlay, source });
            }
            (Err(error), Err(_)) => {
                emit(Event::Warning(unchecked(&error)));
                return Ok(None);
            }
            // The change mends the overlay, so there is nothing to compare with.
            (Err(_), Ok(new)) => {
                self.all_there(&asked, &Effect::default(), &new, emit).await?;
                return Ok(None);
            }
        };
        let effect = effect(&asked, &old.objects, &new.objects);
        self.all_there(&asked, &effect, &new, emit).await?;
        if !effect.others.is_empty() && !allow_other_changes {
            let diff = self.others(&effect, &old, &new);
            return Err(EffectError::OtherChanges { overlay: self.overlay.to_owned(), diff });
        }
        Ok(Some(RenderedChange { overlay: self.overlay.to_owned(), diff: self.diff(&old, &new) }))
    }

    async fn render(&self, tree: &dyn FileTree) -> Result<Rendered, RenderError> {
        let rendering = self.renderer.render(tree, self.overlay);
        tokio::time::timeout(LONGEST, rendering).await.unwrap_or_else(|_| {
            let reason = format!("it takes longer than {} seconds", LONGEST.as_secs());
            Err(RenderError::Failed { dir: self.overlay.to_owned(), reason })
        })
    }

    fn asked(&self) -> Result<Vec<Asked>, FindError> {
        let (_, before) = self.kustomization(self.before)?;
        let (_, after) = self.kustomization(self.after)?;
        Ok(asked(&before, &after))
    }

    /// Fails at the first entry whose image is nowhere.
    async fn all_there(
        &self,
        asked: &[Asked],
        effect: &Effect,
        new: &Rendered,
        emit: Emit<'_>,
    ) -> Result<(), EffectError> {
        let is_there = |entry: &Asked| {
            let mut changes = effect.asked.iter().chain(&effect.others);
            changes.any(|change| entry.made(change)) || entry.is_in(&new.objects)
        };
        let Some(entry) = asked.iter().find(|entry| !is_there(entry)) else { return Ok(()) };
        let (file, kustomization) = self.kustomization(self.after)?;
        if kustomization.is_component() {
            let why = format!("`{file}` is a Component, whose images show only where it is used");
            emit(Event::Warning(format!("{UNCHECKED}: {why}")));
            return Ok(());
        }
        Err(self.swallowed(entry, (file, kustomization), new).await)
    }

    /// Returns what else changes, as a diff.
    fn others(&self, effect: &Effect, old: &Rendered, new: &Rendered) -> String {
        let rest = Rendered::of(without(&new.objects, &effect.asked));
        let (old, rest) = readable(&Rendered::of(old.objects.clone()), &rest);
        cut(&self.between(&old, &rest), usize::MAX, MOST_LINES).trim_end().to_owned()
    }

    fn diff(&self, old: &Rendered, new: &Rendered) -> String {
        let (old, new) = readable(old, new);
        cut(&self.between(&old, &new), MOST_BYTES, usize::MAX)
    }

    fn between(&self, old: &str, new: &str) -> String {
        let names = ["a", "b"].map(|side| format!("{side}/{}", self.overlay));
        crate::ops::between(&names[0], old, &names[1], new)
    }
}

/// How a warning begins that a change goes unchecked.
const UNCHECKED: &str = "what the change does to the rendered manifests is not checked";

/// Returns the warning that a change goes unchecked, the same for all overlays where it can be.
fn unchecked(error: &RenderError) -> String {
    let text = match error {
        RenderError::NoRenderer { .. } => "neither `kustomize` nor `kubectl` is on PATH".to_owned(),
        error => error.to_string(),
    };
    format!("{UNCHECKED}: {}", text.lines().next().unwrap_or_default())
}
