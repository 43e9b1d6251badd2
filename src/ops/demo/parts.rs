//! What the demo is made of, embedded in the binary: the example manifests, a sample service, and
//! recordings of rollouts on a real cluster.

use camino::{Utf8Path, Utf8PathBuf};
use include_dir::{Dir, include_dir};

use super::DemoError;
use crate::cluster::{ClusterError, Recording, Substitution};
use crate::git::CommitId;
use crate::image::PinnedImage;
use crate::kustomize::MemoryTree;

static MANIFESTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/manifests");
static SERVICE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/tests/data/services/ranking");
static RECORDINGS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/ops/demo/recordings");

/// The configuration that lies beside the sample service.
const CONFIG: &str = include_str!("deployctl.yaml");

/// A recorded rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rollout {
    HealthyDev,
    HealthyProd,
    BrokenDev,
}

impl Rollout {
    fn folder(self) -> &'static str {
        match self {
            Self::HealthyDev => "healthy-dev",
            Self::HealthyProd => "healthy-prod",
            Self::BrokenDev => "broken-dev",
        }
    }

    /// Returns the rollout as if it had been of `image`, stated by the commit `revision` of the
    /// repository `remote`.
    pub(super) fn recording(
        self,
        image: &PinnedImage,
        revision: &CommitId,
        remote: &str,
    ) -> Result<Recording, ClusterError> {
        let substitutions = [
            Substitution { name: "image", text: &image.to_string() },
            Substitution { name: "digest", text: image.digest.as_str() },
            Substitution { name: "revision", text: revision.as_str() },
            Substitution { name: "repo_url", text: remote },
        ];
        let folder = RECORDINGS.get_dir(self.folder()).into_iter().flat_map(Dir::files);
        let files = folder
            .filter_map(|file| Some((Utf8Path::from_path(file.path())?, file.contents_utf8()?)));
        Recording::read(files, &substitutions)
    }
}

/// Returns the files that the manifests repository begins with.
pub(super) fn manifests() -> MemoryTree {
    let mut tree = MemoryTree::default();
    for_each_file(&MANIFESTS, &mut |path, bytes| {
        tree.0.insert(path.to_owned(), bytes.to_vec());
    });
    tree
}

/// Writes the sample service and its configuration below `home`; returns the configuration's path.
pub(super) fn furnish(home: &Utf8Path) -> Result<Utf8PathBuf, DemoError> {
    let shop = home.join("shop");
    let service = shop.join("services/ranking");
    let mut result = Ok(());
    for_each_file(&SERVICE, &mut |path, bytes| {
        if result.is_ok() {
            result = write(&service.join(path), bytes);
        }
    });
    result?;
    let config = shop.join(crate::config::FILE_NAME);
    write(&config, CONFIG.as_bytes())?;
    Ok(config)
}

fn write(path: &Utf8Path, bytes: &[u8]) -> Result<(), DemoError> {
    let folder = path.parent().unwrap_or(Utf8Path::new("."));
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, bytes));
    written.map_err(|source| DemoError::Write { path: path.to_owned(), source })
}

fn for_each_file(dir: &Dir<'_>, visit: &mut dyn FnMut(&Utf8Path, &[u8])) {
    for file in dir.files() {
        let path = Utf8Path::from_path(file.path()).expect("the embedded files have UTF-8 names");
        visit(path, file.contents());
    }
    dir.dirs().for_each(|dir| for_each_file(dir, visit));
}
