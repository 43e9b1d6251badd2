//! What is attached to an image that was built: lists of packages, provenance and signatures, each an
//! artifact that refers to the image and leaves its digest alone.
//!
//! Keys are read and `cosign` is looked for before anything is built. What the documents look like is
//! in [`crate::attestation`].

mod cosign;
mod error;
mod keys;
mod packages;

use camino::Utf8Path;
use ring::rand::SystemRandom;
use serde_json::{Value, json};

pub(super) use cosign::Cosign;
pub use error::AttachError;
pub(super) use keys::read as read_key_file;

use super::{Emit, Event};
use crate::attestation::{
    Artifact, Bundle, Dependency, Envelope, PAYLOAD_TYPE, PredicateType, Provenance, SigningKey,
    Statement,
};
use crate::config::{Attestations, SignBy};
use crate::image::{Digest, ImageReference, Manifest, Method, PinnedImage, Recipe, SourceFacts};
use crate::registry::{Descriptor, Registry, RegistryError};
use crate::system::Environment;

/// What is attached to images, and what it takes to do that.
pub struct Attacher {
    sbom: bool,
    provenance: bool,
    signer: Signer,
    builder: String,
    invocation: Option<String>,
}

/// Who signs.
enum Signer {
    Nobody,
    Key(Box<SigningKey>),
    Identity(Cosign),
}

/// An image that was built and pushed, and how.
pub struct Subject<'a> {
    /// The service.
    pub service: &'a str,
    /// Its image.
    pub image: &'a PinnedImage,
    /// The image's manifest, or index.
    pub manifest: &'a Manifest,
    /// How it was made.
    pub recipe: &'a Recipe,
    /// The folder that its files are in; absolute.
    pub context: &'a Utf8Path,
    /// What it was built on.
    pub bases: &'a [PinnedImage],
    /// What its files come from.
    pub source: &'a SourceFacts,
    /// The address of the repository that they come from, without credentials.
    pub repository: Option<&'a str>,
}

/// Something that an image has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    /// A list of its packages.
    Sbom,
    /// How it was made.
    Provenance,
    /// A signature.
    Signature,
}

/// Returns what attaches what the configuration says, or `None` where that is nothing. `folder` is what
/// files are relative to.
///
/// # Errors
///
/// Fails if there is no key, or it can't be used; for keyless signatures if the pipeline offers no
/// identity, or there is no `cosign`.
pub fn attacher(
    attestations: &Attestations,
    folder: &Utf8Path,
    environment: &Environment,
) -> Result<Option<Attacher>, AttachError> {
    let Attestations { sbom, provenance, ref sign, .. } = *attestations;
    let signer = match sign {
        None if !(sbom || provenance) => return Ok(None),
        None => Signer::Nobody,
        Some(SignBy::Keyless) => Signer::Identity(Cosign::with_identity(environment)?),
        Some(key) => Signer::Key(Box::new(keys::signing_key(key, folder, environment)?)),
    };
    let (builder, invocation) = (builder(environment), environment.run_url());
    Ok(Some(Attacher { sbom, provenance, signer, builder, invocation }))
}

/// Attaches what is to be attached and returns it. What the image has already, made of the same and
/// signed by the same key, is not attached again.
///
/// # Errors
///
/// Fails if a document can't be made or stored; the error names the image, which is in its registry.
pub async fn attach(
    attacher: &Attacher,
    registry: &dyn Registry,
    subject: &Subject<'_>,
    emit: Emit<'_>,
) -> Result<Vec<Attached>, AttachError> {
    emit(Event::Attaching { image: subject.image.to_string() });
    let mut statements = Vec::new();
    if attacher.sbom {
        let sbom = packages::sbom(subject).await?;
        for gap in &sbom.gaps {
            let service = subject.service;
            emit(Event::Warning(format!("the list of packages of {service} lacks some: {gap}")));
        }
        statements.push((Attached::Sbom, sbom.to_cyclonedx(subject.image, subject.bases)));
    }
    if attacher.provenance {
        statements.push((Attached::Provenance, attacher.provenance(subject).predicate()));
    }
    if !matches!(attacher.signer, Signer::Nobody) {
        statements.push((Attached::Signature, json!({})));
    }
    let attached = statements.iter().map(|(what, _)| *what).collect();
    match &attacher.signer {
        Signer::Nobody => store(registry, subject, unsigned(subject, statements)).await?,
        Signer::Key(key) => store(registry, subject, signed(subject, statements, key)?).await?,
        Signer::Identity(cosign) => {
            for (what, predicate) in &statements {
                cosign.attach(subject.image, *what, predicate).await?;
            }
        }
    }
    Ok(attached)
}

impl Attacher {
    /// Returns whether the repository that files come from is told.
    pub fn tells_repository(&self) -> bool {
        self.provenance
    }

    fn provenance(&self, subject: &Subject<'_>) -> Provenance {
        let images = subject.bases.iter().map(|base| Dependency::Image {
            reference: reference(base),
            digest: base.digest.clone(),
        });
        let commit = subject.source.commit.as_ref().map(|commit| Dependency::Commit {
            repository: subject.repository.map(ToOwned::to_owned),
            commit: commit.clone(),
            dirty: subject.source.dirty,
        });
        Provenance {
            service: subject.service.to_owned(),
            recipe: parameters(subject.recipe),
            dependencies: images.chain(commit).collect(),
            builder: self.builder.clone(),
            invocation: self.invocation.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl Attached {
    /// Returns what it says.
    pub fn predicate_type(self) -> PredicateType {
        match self {
            Self::Sbom => PredicateType::Sbom,
            Self::Provenance => PredicateType::Provenance,
            Self::Signature => PredicateType::Signature,
        }
    }
}

/// Returns the URI of who builds: the workflow on GitHub Actions, else whoever runs deployctl.
fn builder(environment: &Environment) -> String {
    let server = environment.get("GITHUB_SERVER_URL");
    let workflow = server.zip(environment.get("GITHUB_WORKFLOW_REF"));
    match workflow.filter(|_| environment.get("GITHUB_ACTIONS") == Some("true")) {
        Some((server, workflow)) => format!("{server}/{workflow}"),
        None => "https://deployctl.dev/builder/v1".to_owned(),
    }
}

/// Returns what the image was called by, without its digest.
fn reference(image: &PinnedImage) -> String {
    let (name, tag) = (image.name.clone(), image.tag.clone());
    ImageReference { name, tag, digest: None }.to_string()
}

/// Returns the `build` section as it decided the image.
fn parameters(recipe: &Recipe) -> Value {
    let (kind, method) = match &recipe.method {
        Method::Native(native) => ("native", serde_json::to_value(native)),
        Method::Dockerfile(dockerfile) => ("dockerfile", serde_json::to_value(dockerfile)),
    };
    let method = method.expect("a recipe has text for keys");
    let platforms: Vec<_> = recipe.platforms.iter().map(ToString::to_string).collect();
    json!({ "context": recipe.context.as_str(), "platforms": platforms, kind: method })
}

fn unsigned(subject: &Subject<'_>, statements: Vec<(Attached, Value)>) -> Vec<Artifact> {
    let artifacts = statements.into_iter().map(|(what, predicate)| match what {
        // Scanners look for it as it is.
        Attached::Sbom => Artifact::sbom(predicate.to_string().into_bytes()),
        _ => {
            let statement = statement(subject, what, predicate);
            Artifact::statement(what.predicate_type(), statement.to_json())
        }
    });
    artifacts.collect()
}

fn signed(
    subject: &Subject<'_>,
    statements: Vec<(Attached, Value)>,
    key: &SigningKey,
) -> Result<Vec<Artifact>, AttachError> {
    let hint = key.public().hint();
    let mut artifacts = Vec::new();
    for (what, predicate) in statements {
        let payload = statement(subject, what, predicate).to_json();
        let source = Digest::of(&[payload.as_slice(), hint.as_bytes()].concat());
        let envelope = Envelope::signed(PAYLOAD_TYPE, payload, key, &SystemRandom::new());
        let envelope = envelope.map_err(AttachError::Sign)?;
        let bundle = Bundle { envelope, hint: Some(hint.clone()) };
        artifacts.push(Artifact::bundle(what.predicate_type(), &bundle, &source));
    }
    Ok(artifacts)
}

fn statement(subject: &Subject<'_>, what: Attached, predicate: Value) -> Statement {
    let digest = subject.image.digest.clone();
    match what {
        Attached::Signature => Statement::signature(digest),
        _ => {
            let name = Some(subject.image.name.clone());
            Statement { predicate_type: what.predicate_type(), name, digest, predicate }
        }
    }
}

async fn store(
    registry: &dyn Registry,
    subject: &Subject<'_>,
    artifacts: Vec<Artifact>,
) -> Result<(), AttachError> {
    let stored = async {
        let name = &subject.image.name;
        let there = registry.referrers(name, &subject.image.digest, None).await?;
        for artifact in artifacts {
            let manifest = artifact.manifest(subject.manifest);
            if there.iter().any(|other| is_same(other, &artifact, &manifest)) {
                continue;
            }
            for blob in artifact.blobs() {
                registry.push_blob(name, &blob).await?;
            }
            registry.push_manifest(name, &manifest, &[]).await?;
        }
        Ok(())
    };
    let failed =
        |source: RegistryError| AttachError::Registry { image: subject.image.to_string(), source };
    stored.await.map_err(failed)
}

fn is_same(other: &Descriptor, artifact: &Artifact, manifest: &Manifest) -> bool {
    let source = |name: &str| name == Artifact::SOURCE_ANNOTATION;
    let own = artifact.annotations.iter().find(|(name, _)| source(name)).map(|(_, value)| value);
    let theirs = other.annotations.get(Artifact::SOURCE_ANNOTATION);
    other.digest == manifest.digest() || (own.is_some() && own == theirs)
}
