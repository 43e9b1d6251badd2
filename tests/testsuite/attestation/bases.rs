//! Whether a base image is signed by whom it has to be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use deployctl::attestation::{
    SIGNATURE_ANNOTATION, SIMPLE_SIGNING_TYPE, SigningKey, signature_tag,
};
use deployctl::config::Attestations;
use deployctl::image::{Blob, BlobContent, Digest, Manifest};
use deployctl::ops::{BaseSigner, verify_base};
use deployctl::registry::{Memory, Registry, Remote};
use deployctl::system::Environment;
use ring::rand::SystemRandom;
use secrecy::SecretString;
use serde_json::json;

use super::{Image, keys, sign_by_key};
use crate::support::RegistryServer;

#[tokio::test]
async fn signatures_in_memory_count() {
    check(&Memory::new(), "registry.example.com").await;
}

#[tokio::test]
async fn signatures_in_a_real_registry_count() {
    let Some(server) = RegistryServer::start_plain() else { return };
    check(&Remote::new(&Environment::default()).unwrap(), server.domain()).await;
}

async fn check(registry: &dyn Registry, domain: &str) {
    let image = Image::push(registry, domain, &[]).await;
    assert_eq!(
        verdict(registry, &image, &["p256.pub"]).await,
        refusal("`p256.pub`", "it has no signature")
    );

    let both = Attestations { sbom: true, provenance: false, ..sign_by_key("ed25519.key") };
    image.attach(registry, &both, &Environment::default()).await.unwrap();
    assert_eq!(verdict(registry, &image, &["ed25519.pub"]).await, None);
    let reason = "of its 2 signatures, it is signed by another key";
    assert_eq!(verdict(registry, &image, &["rsa.pub"]).await, refusal("`rsa.pub`", reason));
    assert_eq!(verdict(registry, &image, &["rsa.pub", "ed25519.pub"]).await, None);

    // The older form, which says the same under a tag; the first claim is about another image.
    let another = Digest::of(b"another");
    sign_simply(registry, &image, &[&another]).await;
    let reason = "of its 3 signatures, it is about another image, it is signed by another key";
    assert_eq!(verdict(registry, &image, &["p256.pub"]).await, refusal("`p256.pub`", reason));
    sign_simply(registry, &image, &[&another, &image.image.digest]).await;
    assert_eq!(verdict(registry, &image, &["p256.pub"]).await, None);
}

#[tokio::test]
async fn a_signer_that_is_none_is_refused() {
    let refused = |text: &str| BaseSigner::parse(text, &keys()).unwrap_err().to_string();
    for text in ["identity=a", "identity=,issuer=b", "identity=a,issuer="] {
        assert!(refused(text).contains("expected `identity=IDENTITY,issuer=ISSUER`"), "{text}");
    }
    assert!(refused("none.pub").starts_with("can't read the public key"));
    assert!(refused("p256.key").starts_with("can't use the public key"));
}

/// Returns why the image does not pass, without its name.
async fn verdict(registry: &dyn Registry, image: &Image, signers: &[&str]) -> Option<String> {
    let parse = |signer: &&str| BaseSigner::parse(signer, &keys()).unwrap();
    let signers: Vec<_> = signers.iter().map(parse).collect();
    let environment = Environment::default();
    let error = verify_base(&image.image, &signers, registry, &environment).await.err()?;
    Some(error.to_string().replace(&image.image.to_string(), "BASE"))
}

fn refusal(signers: &str, reason: &str) -> Option<String> {
    Some(format!("base image `BASE` is not signed by {signers}: {reason}"))
}

/// Signs claims about these digests with the P-256 key, as cosign did before it made bundles.
async fn sign_simply(registry: &dyn Registry, image: &Image, digests: &[&Digest]) {
    let random = SystemRandom::new();
    let key = std::fs::read_to_string(keys().join("p256.key")).unwrap();
    let key = SigningKey::from_pem(&SecretString::from(key), None, &random).unwrap();
    let mut layers = Vec::new();
    let name = &image.image.name;
    for digest in digests {
        let claim = json!({"critical": {
            "identity": {"docker-reference": "elsewhere.example.com/base"},
            "image": {"docker-manifest-digest": digest.as_str()},
            "type": "cosign container image signature",
        }, "optional": null});
        let claim = push(registry, image, claim.to_string().into_bytes()).await;
        let BlobContent::Bytes(bytes) = &claim.content else { unreachable!() };
        let signature = STANDARD.encode(key.sign(bytes, &random).unwrap());
        layers.push(json!({
            "mediaType": SIMPLE_SIGNING_TYPE,
            "digest": claim.digest.as_str(),
            "size": claim.size,
            "annotations": {SIGNATURE_ANNOTATION: signature},
        }));
    }
    let config = push(registry, image, b"{}".to_vec()).await;
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config.digest.as_str(),
            "size": config.size,
        },
        "layers": layers,
    });
    let bytes = manifest.to_string().into();
    let manifest = Manifest { media_type: media_type.to_owned(), bytes };
    let tag = signature_tag(&image.image.digest);
    registry.push_manifest(name, &manifest, &[tag]).await.unwrap();
}

async fn push(registry: &dyn Registry, image: &Image, bytes: Vec<u8>) -> Blob {
    let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
    let blob = Blob { digest, size, content: BlobContent::Bytes(bytes.into()) };
    registry.push_blob(&image.image.name, &blob).await.unwrap();
    blob
}
