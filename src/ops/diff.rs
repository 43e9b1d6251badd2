//! `deployctl diff`: what two environments, or two revisions, render to, compared.

use camino::{Utf8Path, Utf8PathBuf};
use similar::TextDiff;

use super::{Emit, Manifests};
use crate::config::{Environment, Service};
use crate::git::GitError;
use crate::kustomize::FileTree;
use crate::render::{RenderError, Rendered, Renderer, readable};

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffReport {
    /// One an overlay, also where nothing differs.
    pub differences: Vec<Difference>,
}

/// What differs between two renderings of an overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What is compared.
    pub title: String,
    /// A unified diff; empty where nothing differs.
    pub diff: String,
}

/// Why there is nothing to compare.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// The repository can't be read.
    #[error("{0}")]
    Git(#[from] GitError),
    /// An overlay does not render.
    #[error("{0}")]
    Render(#[from] RenderError),
}

/// Returns how the services' overlays in `to` differ from those in `from`, rendered at the
/// branch's tip.
///
/// # Errors
///
/// Fails if the repository can't be read, or an overlay does not render.
pub async fn diff_environments(
    manifests: &Manifests,
    renderer: &dyn Renderer,
    from: &Environment,
    to: &Environment,
    services: &[&Service],
    emit: Emit<'_>,
) -> Result<DiffReport, DiffError> {
    let (_, tree) = manifests.tree(emit).await?;
    let mut differences = Vec::new();
    for service in services {
        let (old_dir, new_dir) = (from.overlay(service), to.overlay(service));
        let (old, new) =
            tokio::try_join!(renderer.render(&tree, &old_dir), renderer.render(&tree, &new_dir))?;
        let (old, new) = readable(&old, &new);
        differences.push(Difference {
            title: format!("{}: {} → {}", service.name, from.name, to.name),
            diff: between(old_dir.as_str(), &old, new_dir.as_str(), &new),
        });
    }
    Ok(DiffReport { differences })
}

/// Returns how each overlay rendered at revision `old` differs from revision `new`; an overlay
/// that one of them does not have is empty there.
///
/// # Errors
///
/// Fails if there is no such revision, or an overlay does not render.
pub async fn diff_revisions(
    manifests: &Manifests,
    renderer: &dyn Renderer,
    (old, new): (&str, &str),
    overlays: &[(&Environment, &Service)],
    emit: Emit<'_>,
) -> Result<DiffReport, DiffError> {
    manifests.fetch(emit).await?;
    let old = manifests.repository.resolve(old).await?;
    let new = manifests.repository.resolve(new).await?;
    let (old_tree, new_tree) = (manifests.repository.tree(&old)?, manifests.repository.tree(&new)?);
    let mut differences = Vec::new();
    for (environment, service) in overlays {
        let dir = environment.overlay(service);
        let (before, after) = tokio::try_join!(
            rendered_or_nothing(renderer, &old_tree, &dir),
            rendered_or_nothing(renderer, &new_tree, &dir),
        )?;
        let (before, after) = readable(&before, &after);
        let names = [&old, &new].map(|id| format!("{dir}@{}", id.short()));
        differences.push(Difference {
            title: format!(
                "{} in {}: {} → {}",
                service.name,
                environment.name,
                old.short(),
                new.short()
            ),
            diff: between(&names[0], &before, &names[1], &after),
        });
    }
    Ok(DiffReport { differences })
}

async fn rendered_or_nothing(
    renderer: &dyn Renderer,
    tree: &dyn FileTree,
    dir: &Utf8PathBuf,
) -> Result<Rendered, DiffError> {
    let absent = |error| RenderError::Failed { dir: dir.clone(), reason: format!("{error}") };
    if tree.files(Utf8Path::new(dir)).map_err(absent)?.is_empty() {
        return Ok(Rendered::of(Vec::new()));
    }
    Ok(renderer.render(tree, dir).await?)
}

/// Returns the unified diff from `old` to `new` under their names, empty if they are the same.
pub fn between(old_name: &str, old: &str, new_name: &str, new: &str) -> String {
    TextDiff::from_lines(old, new).unified_diff().header(old_name, new_name).to_string()
}
