//! An overlay to Kubernetes objects.
//!
//! The one renderer so far calls `kustomize` or `kubectl kustomize`; the seam is where deployctl's
//! own renderer goes.

mod closure;
mod disk;
mod external;
mod readable;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};

pub use disk::DiskTree;
pub use external::{External, LoadRestrictor};
pub use readable::readable;

use crate::k8s::Object;
use crate::kustomize::{FileTree, FindError, MemoryTree, TreeError};

/// Something that does what `kustomize build` does.
#[async_trait]
pub trait Renderer: Send + Sync {
    /// Returns what the kustomization in the folder `dir` of `tree` renders to.
    ///
    /// # Errors
    ///
    /// Fails if the kustomization does not render, or nothing here can render it.
    async fn render(&self, tree: &dyn FileTree, dir: &Utf8Path) -> Result<Rendered, RenderError>;
}

/// What an overlay renders to.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The documents as the renderer printed them, byte for byte.
    pub yaml: String,
    /// The same documents, read.
    pub objects: Vec<Object>,
}

impl Rendered {
    /// Returns `objects` as a rendering, written with keys in the order that they have.
    pub fn of(objects: Vec<Object>) -> Self {
        let texts = objects.iter().map(|object| {
            serde_yaml::to_string(object.value()).expect("what was read as YAML can be written")
        });
        Self { yaml: texts.collect::<Vec<_>>().join("---\n"), objects }
    }
}

/// Returns the files that the kustomization in the folder `dir` of `tree` is rendered from, and those by
/// which Argo CD overrides it. Where they are equal in two trees, both render the same.
///
/// # Errors
///
/// Fails if there is no kustomization, or it needs what is outside of the tree.
pub fn inputs(tree: &dyn FileTree, dir: &Utf8Path) -> Result<MemoryTree, RenderError> {
    let mut files = closure::needed(tree, dir, LoadRestrictor::None)?;
    for path in tree.files(dir)? {
        let is_override = path.file_name().is_some_and(|name| name.starts_with(".argocd-source"));
        if let (true, Some(bytes)) = (is_override, tree.read(&path)?) {
            files.0.insert(path, bytes);
        }
    }
    Ok(files)
}

/// Why an overlay did not render.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// Neither `kustomize` nor `kubectl` is installed.
    #[error("nothing here can render `{dir}`: neither `kustomize` nor `kubectl` is on PATH")]
    NoRenderer {
        /// The overlay.
        dir: Utf8PathBuf,
    },
    /// The overlay needs what is not in the repository, and nothing may be fetched.
    #[error("`{file}` needs `{entry}`, and offline nothing is fetched")]
    Remote {
        /// The kustomization.
        file: Utf8PathBuf,
        /// What it needs.
        entry: String,
    },
    /// The renderer said no.
    #[error("`{dir}` does not render: {reason}")]
    Failed {
        /// The overlay.
        dir: Utf8PathBuf,
        /// The renderer's own words.
        reason: String,
    },
    /// The folder has no kustomization.
    #[error("{0}")]
    Find(#[from] FindError),
    /// A file of the overlay can't be read, or is not where an overlay's files may be.
    #[error("{0}")]
    Tree(#[from] TreeError),
}

impl RenderError {
    fn failed(dir: &Utf8Path, reason: &dyn std::fmt::Display) -> Self {
        Self::Failed { dir: dir.to_owned(), reason: reason.to_string() }
    }
}
