//! Whether a change does what was asked and nothing else: its overlays, rendered before and after.
//!
//! What a difference between two renderings means is decided in [`crate::kustomize`]; here they are
//! made, and what can't be rendered is told.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use futures_util::future::try_join_all;

use super::Edited;
use crate::kustomize::{
    Asked, ChangedTree, Effect, FileTree, FindError, ImageChange, Kustomization, MemoryTree,
    Setting, Swallowed, TreeError, asked, below, effect, find_kustomization, images, is_about,
    set_images, swallowed, without, without_images,
};
use crate::ops::{Emit, Event};
use crate::render::{RenderError, Rendered, Renderer, readable};

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
    let overlays: Vec<&Utf8Path> = overlays.into_keys().collect();
    let mut rendered = Vec::new();
    for some in overlays.chunks(AT_A_TIME) {
        let checks = some.iter().map(async |&overlay| {
            let overlay = Overlay { renderer, before, after, overlay };
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
    let overlay = Overlay { renderer, before: tree, after: tree, overlay };
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
                self.all_there(&asked, &Effect::default(), &new).await?;
                return Ok(None);
            }
        };
        if old.objects.is_empty() && new.objects.is_empty() {
            emit(Event::Warning(format!("{UNCHECKED}: `{}` renders to nothing", self.overlay)));
            return Ok(None);
        }
        let effect = effect(&asked, &old.objects, &new.objects);
        self.all_there(&asked, &effect, &new).await?;
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

    fn kustomization(
        &self,
        tree: &dyn FileTree,
    ) -> Result<(Utf8PathBuf, Kustomization), FindError> {
        let (file, bytes) = find_kustomization(tree, self.overlay)?;
        let broken = |error: &dyn std::fmt::Display| TreeError {
            path: file.clone(),
            reason: error.to_string(),
        };
        let kustomization = Kustomization::parse(&bytes).map_err(|error| broken(&error))?;
        Ok((file, kustomization))
    }

    fn asked(&self) -> Result<Vec<Asked>, FindError> {
        let (_, before) = self.kustomization(self.before)?;
        let (_, after) = self.kustomization(self.after)?;
        Ok(asked(&before, &after))
    }

    /// Fails at the first entry that no container shows.
    async fn all_there(
        &self,
        asked: &[Asked],
        effect: &Effect,
        new: &Rendered,
    ) -> Result<(), EffectError> {
        let is_there = |entry: &Asked| {
            effect.asked.iter().any(|change| entry.covers(change)) || entry.is_in(&new.objects)
        };
        match asked.iter().find(|entry| !is_there(entry)) {
            Some(entry) => Err(self.swallowed(entry, new).await?),
            None => Ok(()),
        }
    }

    /// Returns the error for an entry that changes nothing.
    async fn swallowed(&self, entry: &Asked, new: &Rendered) -> Result<EffectError, EffectError> {
        let (file, kustomization) = self.kustomization(self.after)?;
        let incoming = self.incoming(&file, &kustomization).await;
        let incoming = incoming.unwrap_or_else(|| images(&new.objects));
        let below = below(self.after, self.overlay, &kustomization);
        let found = swallowed(&file, &kustomization, entry.index, &incoming, &below);
        Ok(EffectError::NoEffect(Box::new(found.expect("the entry is one of this file's"))))
    }

    /// Returns why an entry `name` at the end of the overlay's entries would change nothing.
    async fn unused(&self, name: &str, rendered: &Rendered) -> Option<Swallowed> {
        let (file, kustomization) = self.kustomization(self.after).ok()?;
        let incoming = self.incoming(&file, &kustomization).await;
        let incoming = incoming.unwrap_or_else(|| images(&rendered.objects));
        let below = below(self.after, self.overlay, &kustomization);
        let entry = ImageChange::Fields {
            name: name.to_owned(),
            new_name: Setting::Keep,
            new_tag: Setting::Set("1".to_owned()),
            digest: Setting::Keep,
        };
        let edit = set_images(kustomization.document().text().as_bytes(), &[entry]).ok()?;
        let with_entry = Kustomization::parse(&edit.bytes).ok()?;
        let index = with_entry.images().iter().position(|entry| entry.name == name)?;
        swallowed(&file, &with_entry, index, &incoming, &below)
    }

    /// Returns the images that the file's entries are looked up among.
    async fn incoming(
        &self,
        file: &Utf8Path,
        kustomization: &Kustomization,
    ) -> Option<Vec<String>> {
        let text = without_images(kustomization)?;
        let changes = MemoryTree([(file.to_owned(), text.into_bytes())].into());
        let tree = ChangedTree { base: self.after, changes: &changes };
        Some(images(&self.render(&tree).await.ok()?.objects))
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

/// Returns the first lines of `text`, and how many more there are.
fn cut(text: &str, bytes: usize, lines: usize) -> String {
    let mut kept = String::new();
    let all = text.lines().count();
    for (index, line) in text.lines().enumerate() {
        if index >= lines || kept.len() + line.len() >= bytes {
            return format!("{kept}… {} more lines\n", all - index);
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

/// Returns the differences as a block of Markdown that is folded up, of `limit` bytes at most; empty
/// if there are none.
pub fn rendered_diff<'a>(
    rendered: impl IntoIterator<Item = &'a RenderedChange>,
    limit: usize,
) -> String {
    const OPEN: &str = "<details><summary>Rendered difference</summary>\n\n";
    const CLOSE: &str = "</details>\n";
    let mut blocks = String::new();
    let mut left = limit.saturating_sub(OPEN.len() + CLOSE.len());
    for change in rendered.into_iter().filter(|change| !change.diff.is_empty()) {
        // Three backticks in a manifest would end the block.
        let longest = change.diff.split(|c| c != '`').map(str::len).max().unwrap_or_default();
        let fence = "`".repeat(3.max(longest + 1));
        let frame = format!("`{}`\n\n{fence}diff\n{fence}\n\n", change.overlay).len() + 40;
        let Some(room) = left.checked_sub(frame) else { break };
        let diff = cut(&change.diff, room, usize::MAX);
        let block = format!("`{}`\n\n{fence}diff\n{diff}{fence}\n\n", change.overlay);
        left = left.saturating_sub(block.len());
        blocks.push_str(&block);
    }
    if blocks.is_empty() { blocks } else { format!("{OPEN}{blocks}{CLOSE}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_line() {
        assert_eq!(cut("a\nb\nc\n", usize::MAX, 2), "a\nb\n… 1 more lines\n");
        assert_eq!(cut("aaaa\nbbbb\n", 6, 9), "aaaa\n… 1 more lines\n");
        assert_eq!(cut("a\n", 9, 9), "a\n");
    }

    #[test]
    fn markdown_is_folded_fenced_and_bounded() {
        let change = |diff: &str| RenderedChange { overlay: "o".into(), diff: diff.to_owned() };
        assert_eq!(
            rendered_diff(&[change("+a ```\n")], 1000),
            "<details><summary>Rendered difference</summary>\n\n`o`\n\n````diff\n+a ```\n````\n\n</details>\n"
        );
        assert_eq!(rendered_diff(&[change("")], 1000), "");
        let long = change(&"+line\n".repeat(1000));
        for limit in [0, 100, 200, 1000] {
            assert!(rendered_diff([&long, &long], limit).len() <= limit);
        }
    }
}
