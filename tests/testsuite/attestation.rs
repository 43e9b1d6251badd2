//! What is attached to images, as other programs read it: Sigstore's library, OpenSSL, the schema of
//! CycloneDX, real registries, and `cosign` as far as it is told what to do.

mod bases;
mod build;
mod cosign;
mod documents;

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::config::{Attestations, SignBy};
use deployctl::image::{ImageName, Manifest, Method, PinnedImage, Recipe, SourceFacts};
use deployctl::ops::{self, AttachError, Attached, Event, Subject};
use deployctl::registry::{Descriptor, Registry};
use deployctl::system::Environment;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use crate::support::image::{Workshop, copies};

/// A folder with keys: of our own, and of somebody else.
fn keys() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/attestation")
}

fn sign_by_key(file: &str) -> Attestations {
    let sign = Some(SignBy::KeyFile(keys().join(file)));
    Attestations { sbom: true, provenance: true, sign, ..Attestations::default() }
}

/// An image that is in a registry.
struct Image {
    workshop: Workshop,
    image: PinnedImage,
    manifest: Manifest,
    recipe: Recipe,
}

impl Image {
    /// Builds an image out of `app` beside these files, and pushes it.
    async fn push(registry: &dyn Registry, domain: &str, files: &[(&str, &str)]) -> Self {
        let workshop = Workshop::with(&[&[("app*", "hello")], files].concat());
        let recipe = copies(&[("app", "/app")]);
        let built = workshop.native(recipe.clone()).await;
        let name = ImageName::new(domain, "shop/web").unwrap();
        for blob in &built.blobs {
            registry.push_blob(&name, blob).await.unwrap();
        }
        registry.push_manifest(&name, &built.manifest, &[]).await.unwrap();
        let image = PinnedImage { name, tag: None, digest: built.manifest.digest() };
        let method = Method::Native(Box::new(recipe));
        let recipe = Recipe { context: "web".into(), platforms: Vec::new(), method };
        Self { workshop, image, manifest: built.manifest, recipe }
    }

    async fn attach(
        &self,
        registry: &dyn Registry,
        attestations: &Attestations,
        environment: &Environment,
    ) -> Result<Vec<Attached>, AttachError> {
        let attacher = ops::attacher(attestations, Utf8Path::new("/"), environment)?.unwrap();
        let source = SourceFacts { commit: Some("ab".repeat(20)), ..SourceFacts::default() };
        let context = self.workshop.context();
        let subject = Subject {
            service: "web",
            image: &self.image,
            manifest: &self.manifest,
            recipe: &self.recipe,
            context: &context,
            bases: &[],
            source: &source,
            repository: Some("https://git.example.com/shop/web.git"),
        };
        ops::attach(&attacher, registry, &subject, &|_: Event| ()).await
    }

    async fn referrers(&self, registry: &dyn Registry) -> Vec<Descriptor> {
        let (name, digest) = (&self.image.name, &self.image.digest);
        let mut found = registry.referrers(name, digest, None).await.unwrap();
        found.sort_by_key(predicate);
        found
    }

    /// Returns the document of an artifact.
    async fn document(&self, registry: &dyn Registry, referrer: &Descriptor) -> Vec<u8> {
        let reference = format!("{}@{}", self.image.name, referrer.digest).parse().unwrap();
        let manifest = registry.manifest(&reference).await.unwrap().unwrap();
        let manifest: Value = serde_json::from_slice(&manifest.bytes).unwrap();
        assert_eq!(manifest["subject"]["digest"], self.image.digest.as_str());
        let digest = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
        let mut bytes = Vec::new();
        let mut blob = registry.blob(&self.image.name, &digest).await.unwrap();
        blob.read_to_end(&mut bytes).await.unwrap();
        bytes
    }
}

/// Returns what an artifact says about the image.
fn predicate(referrer: &Descriptor) -> String {
    let names = ["dev.sigstore.bundle.predicateType", "in-toto.io/predicate-type"];
    let named = names.iter().find_map(|name| referrer.annotations.get(*name));
    let kind = || referrer.artifact_type.clone().unwrap_or_default();
    named.cloned().unwrap_or_else(kind)
}
