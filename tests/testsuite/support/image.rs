//! Contexts to build from, images that were built, and programs that read them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::build::{BuildError, BuildRequest, Builder, Native};
use deployctl::image::{
    BaseImage, Blob, BlobContent, BuiltImage, ImageReference, Layer, Method, Recipe, RunConfig,
};
use deployctl::registry::{Layout, Registry as _};
use serde_json::Value;
use tempfile::TempDir;

/// A context, and a scratch folder beside it.
pub(crate) struct Workshop {
    temp: TempDir,
}

impl Workshop {
    /// Returns an empty context.
    pub(crate) fn new() -> Self {
        let workshop = Self { temp: TempDir::new().unwrap() };
        for folder in ["context", "scratch"] {
            fs::create_dir(workshop.path().join(folder)).unwrap();
        }
        workshop
    }

    /// Returns a context with these files; a path that ends with `*` is an executable, a text that
    /// begins with `-> ` a symbolic link.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let workshop = Self::new();
        for (path, text) in files {
            workshop.write(path, text);
        }
        workshop
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let file = self.context().join(path.trim_end_matches('*'));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        if let Some(target) = text.strip_prefix("-> ") {
            return symlink(target, file).unwrap();
        }
        fs::write(&file, text).unwrap();
        let mode = if path.ends_with('*') { 0o755 } else { 0o644 };
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.temp.path()).unwrap()
    }

    pub(crate) fn context(&self) -> Utf8PathBuf {
        self.path().join("context")
    }

    pub(crate) fn scratch(&self) -> Utf8PathBuf {
        self.path().join("scratch")
    }

    /// Empties the scratch folder for another build.
    pub(crate) fn tidy(&self) {
        fs::remove_dir_all(self.scratch()).unwrap();
        fs::create_dir(self.scratch()).unwrap();
    }

    /// Returns what `builder` makes of the recipe, at epoch 0.
    pub(crate) async fn build(
        &self,
        builder: &dyn Builder,
        method: Method,
        base: Option<&BaseImage>,
    ) -> Result<BuiltImage, BuildError> {
        let recipe = Recipe { context: ".".into(), platforms: Vec::new(), method };
        self.build_recipe(builder, &recipe, base.map_or(&[], std::slice::from_ref)).await
    }

    /// Returns what `builder` makes of the whole recipe, at epoch 0.
    pub(crate) async fn build_recipe(
        &self,
        builder: &dyn Builder,
        recipe: &Recipe,
        bases: &[BaseImage],
    ) -> Result<BuiltImage, BuildError> {
        let (context, scratch) = (self.context(), self.scratch());
        let request = BuildRequest {
            folder: self.path(),
            context: &context,
            recipe,
            bases,
            epoch: 0,
            scratch: &scratch,
            log: &|line| eprintln!("{line}"),
        };
        builder.build(&request).await
    }

    /// Returns the image that the native builder makes.
    pub(crate) async fn native(&self, native: deployctl::image::Native) -> BuiltImage {
        self.build(&Native::default(), Method::Native(Box::new(native)), None).await.unwrap()
    }
}

/// Returns a native recipe that copies `from` to `to`, once each.
pub(crate) fn copies(layers: &[(&str, &str)]) -> deployctl::image::Native {
    let layers = layers.iter().map(|(from, to)| layer(from, to)).collect();
    let config =
        RunConfig { entrypoint: Some(vec!["/bin/app".to_owned()]), ..RunConfig::default() };
    deployctl::image::Native { layers, config, ..deployctl::image::Native::default() }
}

/// Returns a copy instruction.
pub(crate) fn layer(from: &str, to: &str) -> Layer {
    Layer { from: vec![from.to_owned()], to: to.into(), ..Layer::default() }
}

/// Returns a blob's bytes.
pub(crate) fn bytes(blob: &Blob) -> Vec<u8> {
    match &blob.content {
        BlobContent::Bytes(bytes) => bytes.to_vec(),
        BlobContent::File(path) => fs::read(path).unwrap(),
    }
}

/// Returns the image's config document.
pub(crate) fn config(image: &BuiltImage) -> Value {
    let manifest = manifest(image);
    let digest = manifest["config"]["digest"].as_str().unwrap();
    let blob = image.blobs.iter().find(|blob| blob.digest.as_str() == digest).unwrap();
    serde_json::from_slice(&bytes(blob)).unwrap()
}

/// Returns the image's manifest.
pub(crate) fn manifest(image: &BuiltImage) -> Value {
    serde_json::from_slice(&image.manifest.bytes).unwrap()
}

/// Returns the entries of the image's layers: `layer path mode owner:group content-or-target`.
pub(crate) fn listing(image: &BuiltImage) -> Vec<String> {
    let manifest = manifest(image);
    let layers = manifest["layers"].as_array().unwrap().iter().enumerate();
    let own = layers.filter_map(|(number, layer)| {
        let digest = layer["digest"].as_str().unwrap();
        Some((number, image.blobs.iter().find(|blob| blob.digest.as_str() == digest)?))
    });
    own.flat_map(|(number, blob)| entries(number, &bytes(blob))).collect()
}

fn entries(number: usize, gzip: &[u8]) -> Vec<String> {
    use std::io::Read as _;
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(gzip));
    let mut lines = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        if let Some(target) = entry.link_name().unwrap() {
            text = format!("-> {}", target.display());
        }
        let header = entry.header();
        let (mode, uid, gid) =
            (header.mode().unwrap() & 0o7777, header.uid().unwrap(), header.gid().unwrap());
        let path = entry.path().unwrap();
        lines.push(format!("{number} {} {mode:o} {uid}:{gid} {text}", path.display()));
    }
    lines
}

/// Writes the image into an OCI layout directory under the tag `latest`.
pub(crate) async fn write_layout(image: &BuiltImage, dir: &Utf8Path) {
    let layout = Layout::new(dir);
    let reference: ImageReference = "registry.example.com/shop/web:latest".parse().unwrap();
    for blob in &image.blobs {
        layout.push_blob(&reference.name, blob).await.unwrap();
    }
    for child in &image.children {
        layout.push_manifest(&reference.name, child, &[]).await.unwrap();
    }
    let tags = reference.tag.as_slice();
    layout.push_manifest(&reference.name, &image.manifest, tags).await.unwrap();
}

/// Returns what a program prints.
///
/// # Panics
///
/// Panics if it fails.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}
