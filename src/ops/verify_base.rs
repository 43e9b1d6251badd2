//! Whether base images are signed by whom they have to be.
//!
//! A key is looked for among Sigstore bundles that refer to the image, and under the tag where cosign
//! put signatures before it made bundles. Whether an identity has signed is asked of `cosign`, which
//! knows certificates and their logs.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde::Deserialize;

use super::attach::{AttachError, Cosign, read_key_file};
use super::blob::read_blob;
use crate::attestation::{
    Bundle, KeyError, PredicateType, PublicKey, SIGNATURE_ANNOTATION, SIMPLE_SIGNING_TYPE,
    check_simple_signature, signature_tag,
};
use crate::image::{Digest, ImageName, ImageReference, PinnedImage};
use crate::registry::{Registry, RegistryError};
use crate::system::{CommandError, Environment};

/// The largest bundle or claim that is read, in bytes.
const LONGEST: u64 = 4 << 20;

/// More signatures of one image than this are not looked at.
const MOST: usize = 100;

/// Someone whose signature counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseSigner {
    /// As it was named.
    name: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Key(PublicKey),
    Identity { identity: String, issuer: String },
}

/// Why a name stands for no signer.
#[derive(Debug, thiserror::Error)]
pub enum BaseSignerError {
    /// An identity without who vouches for it.
    #[error("`{0}` is no signer; expected `identity=IDENTITY,issuer=ISSUER` or a file")]
    Identity(String),
    /// The file can't be read.
    #[error("can't read the public key `{path}`: {reason}")]
    File {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The file holds no key that can be used.
    #[error("can't use the public key `{path}`")]
    Key {
        /// The file.
        path: String,
        /// The cause.
        #[source]
        source: KeyError,
    },
}

/// Why nothing is built on an image.
#[derive(Debug, thiserror::Error)]
pub enum VerifyBaseError {
    /// Nobody who counts has signed it.
    #[error("base image `{base}` is not signed by {signers}: {reason}")]
    NotSigned {
        /// The base image, with its digest.
        base: String,
        /// Whose signature would count.
        signers: String,
        /// What was found instead.
        reason: String,
    },
    /// The registry did not tell.
    #[error("can't look for signatures of base image `{base}`")]
    Registry {
        /// The base image.
        base: String,
        /// The cause.
        #[source]
        source: RegistryError,
    },
    /// There is no `cosign`.
    #[error("can't verify base image `{base}`")]
    Cosign {
        /// The base image.
        base: String,
        /// The cause.
        #[source]
        source: AttachError,
    },
    /// `cosign` could not be run.
    #[error("can't verify base image `{base}`")]
    Run {
        /// The base image.
        base: String,
        /// The cause.
        #[source]
        source: CommandError,
    },
}

/// A signature of the image, and whom it says to be by; not verified.
enum Found {
    Bundle(Result<Bundle, String>),
    Claim { bytes: Vec<u8>, signature: String },
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl BaseSigner {
    /// Returns the signer that `text` names: `identity=IDENTITY,issuer=ISSUER`, or the file of a public
    /// key, relative to `folder`.
    ///
    /// # Errors
    ///
    /// Fails if there is no such key.
    pub fn parse(text: &str, folder: &Utf8Path) -> Result<Self, BaseSignerError> {
        let name = text.to_owned();
        if let Some(rest) = text.strip_prefix("identity=") {
            let parts = rest.split_once(",issuer=").filter(|(a, b)| !a.is_empty() && !b.is_empty());
            let (identity, issuer) =
                parts.ok_or_else(|| BaseSignerError::Identity(text.to_owned()))?;
            let (identity, issuer) = (identity.to_owned(), issuer.to_owned());
            return Ok(Self { name, kind: Kind::Identity { identity, issuer } });
        }
        let path = folder.join(text).into_string();
        let text = read_key_file(Utf8Path::new(&path))
            .map_err(|reason| BaseSignerError::File { path: path.clone(), reason })?;
        let key =
            PublicKey::from_pem(&text).map_err(|source| BaseSignerError::Key { path, source })?;
        Ok(Self { name, kind: Kind::Key(key) })
    }
}

/// Checks that one of `signers` has signed the image `base`, by its digest.
///
/// # Errors
///
/// Fails if none has, or that can't be told.
pub async fn verify_base(
    base: &PinnedImage,
    signers: &[BaseSigner],
    registry: &dyn Registry,
    environment: &Environment,
) -> Result<(), VerifyBaseError> {
    let mut reasons = Vec::new();
    let is_key = |signer: &BaseSigner| matches!(signer.kind, Kind::Key(_));
    if signers.iter().any(is_key) {
        let found = find(base, registry)
            .await
            .map_err(|source| VerifyBaseError::Registry { base: base.to_string(), source })?;
        match judge(&found, signers, &base.digest) {
            Ok(()) => return Ok(()),
            Err(reason) => reasons.push(reason),
        }
    }
    for signer in signers {
        let Kind::Identity { identity, issuer } = &signer.kind else { continue };
        let cosign = Cosign::find(environment)
            .map_err(|source| VerifyBaseError::Cosign { base: base.to_string(), source })?;
        let objection = cosign.objects(base, identity, issuer).await;
        let objection =
            objection.map_err(|source| VerifyBaseError::Run { base: base.to_string(), source })?;
        match objection {
            None => return Ok(()),
            Some(reason) => reasons.push(reason),
        }
    }
    let names: Vec<_> = signers.iter().map(|signer| format!("`{}`", signer.name)).collect();
    let (base, signers) = (base.to_string(), names.join(" or "));
    Err(VerifyBaseError::NotSigned { base, signers, reason: reasons.join("; ") })
}

/// Returns why none of the signatures that were found counts.
fn judge(found: &[Found], signers: &[BaseSigner], digest: &Digest) -> Result<(), String> {
    let mut objections = Vec::new();
    for found in found {
        for signer in signers {
            let Kind::Key(key) = &signer.kind else { continue };
            match found.check(key, digest) {
                Ok(()) => return Ok(()),
                Err(objection) => objections.push(objection),
            }
        }
    }
    objections.sort();
    objections.dedup();
    Err(match found.len() {
        0 => "it has no signature".to_owned(),
        1 => format!("of its one signature, {}", objections.join(", ")),
        count => format!("of its {count} signatures, {}", objections.join(", ")),
    })
}

/// Returns the signatures of the image, in both forms.
async fn find(base: &PinnedImage, registry: &dyn Registry) -> Result<Vec<Found>, RegistryError> {
    let mut found = Vec::new();
    let referrers = registry.referrers(&base.name, &base.digest, None).await?;
    let bundles = referrers.into_iter().filter(|referrer| {
        let kind = referrer.artifact_type.as_deref().unwrap_or_default();
        kind.starts_with(Bundle::MEDIA_TYPE_PREFIX)
    });
    for referrer in bundles.take(MOST) {
        let by_digest = by(&base.name, None, Some(referrer.digest));
        for layer in layers(&by_digest, registry).await?.into_iter().take(1) {
            let bytes = read_layer(&layer, &base.name, registry).await?;
            let bundle = Bundle::from_json(&bytes).map_err(|error| error.to_string());
            found.push(Found::Bundle(bundle));
        }
    }
    let by_tag = by(&base.name, Some(signature_tag(&base.digest)), None);
    for mut layer in layers(&by_tag, registry).await?.into_iter().take(MOST) {
        let signature = layer.annotations.remove(SIGNATURE_ANNOTATION);
        if let Some(signature) = signature.filter(|_| layer.media_type == SIMPLE_SIGNING_TYPE) {
            let bytes = read_layer(&layer, &base.name, registry).await?;
            found.push(Found::Claim { bytes, signature });
        }
    }
    Ok(found)
}

fn by(name: &ImageName, tag: Option<crate::image::Tag>, digest: Option<Digest>) -> ImageReference {
    ImageReference { name: name.clone(), tag, digest }
}

/// Returns the layers of the manifest at `reference`; none if there is no such manifest.
async fn layers(
    reference: &ImageReference,
    registry: &dyn Registry,
) -> Result<Vec<Layer>, RegistryError> {
    let Some(manifest) = registry.manifest(reference).await? else { return Ok(Vec::new()) };
    let document: Result<Document, _> = serde_json::from_slice(&manifest.bytes);
    let invalid = |error: serde_json::Error| RegistryError::Invalid {
        document: reference.to_string(),
        expected: "manifest of a signature",
        reason: error.to_string(),
    };
    Ok(document.map_err(invalid)?.layers)
}

async fn read_layer(
    layer: &Layer,
    name: &ImageName,
    registry: &dyn Registry,
) -> Result<Vec<u8>, RegistryError> {
    let digest = layer.digest.parse().map_err(|error: crate::image::DigestError| {
        RegistryError::Invalid {
            document: layer.digest.clone(),
            expected: "digest",
            reason: error.to_string(),
        }
    })?;
    read_blob(registry, name, &digest, LONGEST).await
}

impl Found {
    fn check(&self, key: &PublicKey, digest: &Digest) -> Result<(), String> {
        match self {
            Self::Bundle(Ok(bundle)) => bundle
                .check(key, PredicateType::Signature, digest)
                .map_err(|error| error.to_string()),
            Self::Bundle(Err(reason)) => Err(reason.clone()),
            Self::Claim { bytes, signature } => {
                check_simple_signature(bytes, signature, key, digest)
                    .map_err(|error| error.to_string())
            }
        }
    }
}
