//! Sigstore bundles: an envelope and what it takes to verify it, in one document. See sigstore's
//! protobuf-specs, `sigstore_bundle.proto`, and cosign's BUNDLE_SPEC.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::dsse::decode;
use super::{Envelope, PAYLOAD_TYPE, PredicateType, PublicKey, statement};
use crate::image::Digest;

/// An envelope that one key signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The envelope.
    pub envelope: Envelope,
    /// What the key is called, if it was signed by one and not by an identity.
    pub hint: Option<String>,
}

/// Why a bundle vouches for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It can't be read.
    #[error("it can't be read: {0}")]
    Unreadable(String),
    /// It holds a signature over a file and no statement.
    #[error("it holds no in-toto statement")]
    NoStatement,
    /// Its statement is not the one that is looked for.
    #[error("{0}")]
    Statement(&'static str),
    /// It is signed by somebody else.
    #[error("it is signed by another key")]
    OtherKey,
    /// It was signed by an identity, not by a key.
    #[error("it is signed by an identity, not by a key")]
    Identity,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    verification_material: Material,
    dsse_envelope: Option<FileEnvelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<Hint>,
}

#[derive(Deserialize)]
struct Hint {
    #[serde(default)]
    hint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileEnvelope {
    payload: String,
    payload_type: String,
    signatures: Vec<FileSignature>,
}

#[derive(Deserialize)]
struct FileSignature {
    sig: String,
}

impl Bundle {
    /// The media type of the form that is written.
    pub const MEDIA_TYPE: &'static str = "application/vnd.dev.sigstore.bundle.v0.3+json";

    /// What the media types of all forms begin with.
    pub const MEDIA_TYPE_PREFIX: &'static str = "application/vnd.dev.sigstore.bundle";

    /// Returns the document.
    pub fn to_json(&self) -> Vec<u8> {
        let Envelope { payload_type, payload, signatures } = &self.envelope;
        let signatures: Vec<_> = signatures
            .iter()
            .map(|signature| json!({ "sig": STANDARD.encode(signature) }))
            .collect();
        let document = json!({
            "mediaType": Self::MEDIA_TYPE,
            "verificationMaterial": { "publicKey": { "hint": self.hint.as_deref().unwrap_or_default() } },
            "dsseEnvelope": {
                "payload": STANDARD.encode(payload),
                "payloadType": payload_type,
                "signatures": signatures,
            },
        });
        document.to_string().into_bytes()
    }

    /// Returns the bundle in `document`.
    ///
    /// # Errors
    ///
    /// Fails if it is no bundle, or none with an envelope.
    pub fn from_json(document: &[u8]) -> Result<Self, BundleError> {
        let document: Document = serde_json::from_slice(document)
            .map_err(|error| BundleError::Unreadable(error.to_string()))?;
        let envelope = document.dsse_envelope.ok_or(BundleError::NoStatement)?;
        let bytes = |text: &str| {
            decode(text)
                .ok_or_else(|| BundleError::Unreadable("what should be base64 is not".into()))
        };
        let signatures = envelope.signatures.iter().map(|signature| bytes(&signature.sig));
        Ok(Self {
            envelope: Envelope {
                payload: bytes(&envelope.payload)?,
                payload_type: envelope.payload_type,
                signatures: signatures.collect::<Result<_, _>>()?,
            },
            hint: document.verification_material.public_key.map(|key| key.hint),
        })
    }

    /// Checks that by this bundle `key` says `predicate_type` about `digest`.
    ///
    /// # Errors
    ///
    /// Fails with the reason why it does not.
    pub fn check(
        &self,
        key: &PublicKey,
        predicate_type: PredicateType,
        digest: &Digest,
    ) -> Result<(), BundleError> {
        if self.hint.is_none() {
            return Err(BundleError::Identity);
        }
        // A bundle has one signature; with more it would be unclear who stands for what.
        if self.envelope.signatures.len() != 1 || !self.envelope.is_signed_by(key) {
            return Err(BundleError::OtherKey);
        }
        if self.envelope.payload_type != PAYLOAD_TYPE {
            return Err(BundleError::NoStatement);
        }
        statement::check(&self.envelope.payload, predicate_type, digest)
            .map_err(BundleError::Statement)
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use secrecy::SecretString;

    use super::*;
    use crate::attestation::{SigningKey, Statement};

    fn key(file: &str) -> SigningKey {
        SigningKey::from_pem(&SecretString::from(file), None, &SystemRandom::new()).unwrap()
    }

    fn p256() -> SigningKey {
        key(include_str!("../../tests/data/attestation/p256.key"))
    }

    fn signed(key: &SigningKey, digest: &Digest, payload_type: &str) -> Bundle {
        let payload = Statement::signature(digest.clone()).to_json();
        let envelope = Envelope::signed(payload_type, payload, key, &SystemRandom::new()).unwrap();
        Bundle { envelope, hint: Some(key.public().hint()) }
    }

    #[test]
    fn a_bundle_is_read_as_it_was_written() {
        let digest = Digest::of(b"image");
        let bundle = signed(&p256(), &digest, PAYLOAD_TYPE);
        let read = Bundle::from_json(&bundle.to_json()).unwrap();
        assert_eq!(read, bundle);
        assert_eq!(read.check(p256().public(), PredicateType::Signature, &digest), Ok(()));
    }

    #[test]
    fn a_bundle_vouches_for_what_it_says_and_by_whom_only() {
        let digest = Digest::of(b"image");
        let bundle = signed(&p256(), &digest, PAYLOAD_TYPE);
        let other = key(include_str!("../../tests/data/attestation/ed25519.key"));
        let check = |bundle: &Bundle, key: &SigningKey, what, digest: &Digest| {
            bundle.check(key.public(), what, digest).unwrap_err().to_string()
        };
        let signature = PredicateType::Signature;
        assert_eq!(check(&bundle, &other, signature, &digest), "it is signed by another key");
        let another = Digest::of(b"another");
        assert_eq!(check(&bundle, &p256(), signature, &another), "it is about another image");
        let sbom = PredicateType::Sbom;
        assert_eq!(check(&bundle, &p256(), sbom, &digest), "it is a statement of another kind");

        let mut changed = bundle.clone();
        changed.envelope.payload = Statement::signature(another.clone()).to_json();
        assert_eq!(check(&changed, &p256(), signature, &another), "it is signed by another key");
        let mut twice = bundle.clone();
        twice.envelope.signatures.push(Vec::new());
        assert_eq!(check(&twice, &p256(), signature, &digest), "it is signed by another key");
        let keyless = Bundle { hint: None, ..bundle };
        assert!(check(&keyless, &p256(), signature, &digest).contains("by an identity"));
        let text = signed(&p256(), &digest, "text/plain");
        assert_eq!(check(&text, &p256(), signature, &digest), "it holds no in-toto statement");
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        for (document, told) in [
            ("", "it can't be read"),
            (r#"{"verificationMaterial":{}}"#, "it holds no in-toto statement"),
            (
                r#"{"verificationMaterial":{},"dsseEnvelope":{"payload":"?","payloadType":"","signatures":[]}}"#,
                "base64",
            ),
        ] {
            let error = Bundle::from_json(document.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
