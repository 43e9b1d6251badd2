//! Signatures as cosign made them before bundles: a tag beside the image leads to a manifest whose
//! layers are claims, each with its signature in an annotation. See cosign's SIGNATURE_SPEC.

use serde::Deserialize;

use super::PublicKey;
use super::dsse::decode;
use crate::image::{Digest, Tag};

/// The media type of a claim.
pub const SIMPLE_SIGNING_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The annotation of a claim's layer that holds its signature.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

/// Why a claim vouches for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimpleSigningError {
    /// Its signature is not by the key.
    #[error("it is signed by another key")]
    OtherKey,
    /// It can't be read.
    #[error("it can't be read: {0}")]
    Unreadable(String),
    /// It is about something else.
    #[error("it is about another image")]
    OtherImage,
}

#[derive(Deserialize)]
struct Claim {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// Returns the tag under which signatures of the image with `digest` are.
pub fn signature_tag(digest: &Digest) -> Tag {
    let tag = format!("sha256-{}.sig", digest.hex());
    tag.parse().expect("hexadecimal digits, a hyphen and a dot make a tag")
}

/// Checks that by `claim` and its `signature` (base64) `key` stands for the image with `digest`.
///
/// # Errors
///
/// Fails with the reason why it does not.
pub fn check_simple_signature(
    claim: &[u8],
    signature: &str,
    key: &PublicKey,
    digest: &Digest,
) -> Result<(), SimpleSigningError> {
    let signature = decode(signature).ok_or(SimpleSigningError::OtherKey)?;
    if !key.verifies(claim, &signature) {
        return Err(SimpleSigningError::OtherKey);
    }
    let claim: Claim = serde_json::from_slice(claim)
        .map_err(|error| SimpleSigningError::Unreadable(error.to_string()))?;
    let Critical { image, kind } = claim.critical;
    // The reference in it is where the image was when it was signed; only the digest says which.
    if kind == "cosign container image signature" && image.digest == digest.as_str() {
        Ok(())
    } else {
        Err(SimpleSigningError::OtherImage)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use ring::rand::SystemRandom;
    use secrecy::SecretString;

    use super::*;
    use crate::attestation::SigningKey;

    #[test]
    fn a_claim_counts_for_its_own_image_and_by_its_own_key() {
        let random = SystemRandom::new();
        let key = |text| SigningKey::from_pem(&SecretString::from(text), None, &random).unwrap();
        let ours = key(include_str!("../../tests/data/attestation/p256.key"));
        let theirs = key(include_str!("../../tests/data/attestation/ed25519.key"));
        let digest = Digest::of(b"image");
        let claim = |kind: &str| {
            format!(
                r#"{{"critical":{{"identity":{{"docker-reference":"x"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"{kind}"}},"optional":null}}"#
            )
        };
        let check = |claim: &str, signer: &SigningKey, digest: &Digest| {
            let signature = STANDARD.encode(signer.sign(claim.as_bytes(), &random).unwrap());
            check_simple_signature(claim.as_bytes(), &signature, ours.public(), digest)
        };
        let ok = claim("cosign container image signature");
        assert_eq!(check(&ok, &ours, &digest), Ok(()));
        assert_eq!(check(&ok, &theirs, &digest), Err(SimpleSigningError::OtherKey));
        let another = Digest::of(b"another");
        assert_eq!(check(&ok, &ours, &another), Err(SimpleSigningError::OtherImage));
        let gpg = claim("atomic container signature");
        assert_eq!(check(&gpg, &ours, &digest), Err(SimpleSigningError::OtherImage));
        assert!(matches!(check("[]", &ours, &digest), Err(SimpleSigningError::Unreadable(_))));
    }

    #[test]
    fn signatures_are_under_a_tag_of_the_digest() {
        let tag = signature_tag(&Digest::of(b"")).to_string();
        assert!(tag.starts_with("sha256-e3b0c442") && tag.ends_with("7852b855.sig"), "{tag}");
    }
}
