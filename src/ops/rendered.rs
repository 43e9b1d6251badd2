//! What an environment runs: overlays as whoever deploys them renders them.
//!
//! Argo CD may build a kustomization with other images than it says ([`Target::effective`]), so that
//! everything that wants to know what runs, or would, renders through here.
//!
//! [`Target::effective`]: crate::target::Target::effective

use crate::config::{Environment, Service};
use crate::kustomize::{ChangedTree, FileTree, MemoryTree};
use crate::render::{RenderError, Rendered, Renderer};
use crate::target::TargetError;

/// Why it is not known what an environment runs.
#[derive(Debug, thiserror::Error)]
pub enum RenderedError {
    /// The images that override the kustomization's can't be read.
    #[error("{0}")]
    Target(#[from] TargetError),
    /// The overlay does not render.
    #[error("{0}")]
    Render(#[from] RenderError),
    /// Helm renders it.
    #[error("`{service}` in `{environment}` is a Helm chart, and charts are not rendered here")]
    Chart {
        /// The service.
        service: String,
        /// The environment.
        environment: String,
    },
}

/// Returns what `environment` runs of `service`, as the files of `tree` say.
///
/// # Errors
///
/// Fails if the overlay does not render, or Helm would have to render it.
pub async fn rendered(
    renderer: &dyn Renderer,
    tree: &dyn FileTree,
    environment: &Environment,
    service: &Service,
) -> Result<Rendered, RenderedError> {
    let target = environment.target(service);
    let Some(overlay) = target.overlay() else {
        let (service, environment) = (service.name.clone(), environment.name.clone());
        return Err(RenderedError::Chart { service, environment });
    };
    let effective = target.effective(tree)?;
    let tree = ChangedTree { base: tree, changes: &effective };
    Ok(renderer.render(&tree, overlay).await?)
}

/// Returns the files of `tree` that are rendered for `services` with other images than they say.
///
/// # Errors
///
/// Fails if a file can't be read, or the images can't be set in the kustomization.
pub(super) fn effective<'a>(
    tree: &dyn FileTree,
    environment: &Environment,
    services: impl IntoIterator<Item = &'a Service>,
) -> Result<MemoryTree, TargetError> {
    let mut files = MemoryTree::default();
    for service in services {
        files.0.extend(environment.target(service).effective(tree)?.0);
    }
    Ok(files)
}
