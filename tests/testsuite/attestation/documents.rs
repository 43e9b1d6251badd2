//! Documents, stored in every kind of registry and read by others.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::Utf8PathBuf;
use deployctl::config::Attestations;
use deployctl::ops::Attached;
use deployctl::registry::{Layout, Memory, Registry, Remote};
use deployctl::system::Environment;
use jsonschema::{Retrieve, Uri, Validator};
use serde_json::Value;

use super::{Image, keys, predicate, sign_by_key};
use crate::support::{RegistryServer, missing, peer};

const LOCKS: &[(&str, &str)] = &[
    (
        "Cargo.lock",
        "[[package]]\nname = \"rand\"\nversion = \"0.8.5\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n",
    ),
    (
        "web/package-lock.json",
        r#"{"packages": {"node_modules/@a/b": {"version": "1.0.0", "dev": true}}}"#,
    ),
    ("requirements.txt", "flask==3.0\nloose\n"),
    ("left-out/Cargo.lock", "?"),
    (".dockerignore", "left-out\n"),
];

const ALL: [Attached; 3] = [Attached::Sbom, Attached::Provenance, Attached::Signature];

#[tokio::test]
async fn documents_refer_to_the_image_in_memory() {
    check(&Memory::new(), "registry.example.com").await;
}

#[tokio::test]
async fn documents_refer_to_the_image_in_a_layout() {
    let dir = tempfile::tempdir().unwrap();
    let dir = Utf8PathBuf::try_from(dir.path().join("layout")).unwrap();
    check(&Layout::new(dir), "registry.example.com").await;
}

/// This registry has no referrers API, so a tag lists them.
#[tokio::test]
async fn documents_refer_to_the_image_in_a_real_registry() {
    let Some(server) = RegistryServer::start_plain() else { return };
    check(&Remote::new(&Environment::default()).unwrap(), server.domain()).await;
}

async fn check(registry: &dyn Registry, domain: &str) {
    let image = Image::push(registry, domain, LOCKS).await;
    let (none, own) = (Environment::default(), sign_by_key("p256.key"));
    assert_eq!(image.attach(registry, &own, &none).await.unwrap(), ALL);
    let referrers = image.referrers(registry).await;
    let predicates: Vec<_> = referrers.iter().map(predicate).collect();
    let expected = [
        "https://cyclonedx.org/bom",
        "https://sigstore.dev/cosign/sign/v1",
        "https://slsa.dev/provenance/v1",
    ];
    assert_eq!(predicates, expected);
    for referrer in &referrers {
        let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
        assert_eq!(referrer.artifact_type.as_deref(), Some(kind));
        assert_eq!(referrer.annotations["dev.sigstore.bundle.content"], "dsse-envelope");
        let bundle = image.document(registry, referrer).await;
        verify_with_sigstore(&bundle, "p256");
        let payload = payload(&bundle);
        assert_eq!(payload["_type"], "https://in-toto.io/Statement/v1");
        assert_eq!(payload["subject"][0]["digest"]["sha256"], image.image.digest.hex());
        assert_eq!(payload["predicateType"], predicate(referrer));
    }

    // What is made of the same is not attached again, though no two signatures are alike; what somebody
    // else signs is.
    assert_eq!(image.attach(registry, &own, &none).await.unwrap(), ALL);
    assert_eq!(image.referrers(registry).await, referrers);
    image.attach(registry, &sign_by_key("ed25519.key"), &none).await.unwrap();
    assert_eq!(image.referrers(registry).await.len(), 6);

    let unsigned = Attestations { sign: None, ..own };
    image.attach(registry, &unsigned, &none).await.unwrap();
    image.attach(registry, &unsigned, &none).await.unwrap();
    let referrers = image.referrers(registry).await;
    let plain = referrers.iter().map(|it| it.artifact_type.as_deref().unwrap());
    let plain: Vec<_> = plain.filter(|kind| !kind.contains("sigstore")).collect();
    assert_eq!(plain, ["application/vnd.cyclonedx+json", "application/vnd.in-toto+json"]);
}

#[tokio::test]
async fn every_kind_of_key_signs_what_others_verify() {
    let environment = Environment::from_iter([("COSIGN_PASSWORD", "correct")]);
    for (file, public) in
        [("p256.key", "p256"), ("ed25519.key", "ed25519"), ("encrypted.key", "p256")]
    {
        let registry = Memory::new();
        let image = Image::push(&registry, "registry.example.com", &[]).await;
        let attestations = Attestations { sbom: false, provenance: false, ..sign_by_key(file) };
        image.attach(&registry, &attestations, &environment).await.unwrap();
        let referrer = image.referrers(&registry).await.pop().unwrap();
        let bundle = image.document(&registry, &referrer).await;
        verify_with_sigstore(&bundle, public);
        verify_with_openssl(&bundle, public);
    }
}

#[tokio::test]
async fn a_key_that_can_not_sign_is_told_before_anything_is_made() {
    let registry = Memory::new();
    let image = Image::push(&registry, "registry.example.com", &[]).await;
    for (file, variables, told) in [
        ("none.key", &[][..], "can't read the key"),
        ("p256.pub", &[], "can't use the key"),
        ("encrypted.key", &[], "can't use the key"),
        ("encrypted.key", &[("COSIGN_PASSWORD", "canary-wrong")], "can't use the key"),
    ] {
        let environment = Environment::from_iter(variables.iter().copied());
        let error = image.attach(&registry, &sign_by_key(file), &environment).await.unwrap_err();
        assert!(error.to_string().starts_with(told), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
    assert_eq!(image.referrers(&registry).await, []);
}

#[tokio::test]
async fn a_list_of_packages_is_what_the_schema_allows() {
    let Some(schema) = cyclonedx_schema() else { return };
    let registry = Memory::new();
    let image = Image::push(&registry, "registry.example.com", LOCKS).await;
    let attestations = Attestations { sbom: true, ..Attestations::default() };
    image.attach(&registry, &attestations, &Environment::default()).await.unwrap();
    let referrer = image.referrers(&registry).await.pop().unwrap();
    assert_eq!(referrer.artifact_type.as_deref(), Some("application/vnd.cyclonedx+json"));
    let document = image.document(&registry, &referrer).await;
    let document: Value = serde_json::from_slice(&document).unwrap();
    let errors: Vec<String> = schema.iter_errors(&document).map(|it| it.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{document:#}");
    let components = document["components"].as_array().unwrap().iter();
    let purls: Vec<_> = components.map(|it| it["purl"].as_str().unwrap()).collect();
    let expected = ["pkg:cargo/rand@0.8.5", "pkg:npm/%40a/b@1.0.0", "pkg:pypi/flask@3.0"];
    assert_eq!(purls, expected);
    let unread = &document["metadata"]["properties"][0]["value"];
    assert!(unread.as_str().unwrap().starts_with("requirements.txt:2: `loose` is not pinned"));

    // The schema is one that refuses anything at all.
    let mut wrong = document;
    wrong["components"][0]["hashes"][0]["content"] = "none".into();
    assert!(!schema.is_valid(&wrong));
}

#[tokio::test]
async fn provenance_names_the_workflow_its_run_and_the_commit() {
    let registry = Memory::new();
    let image = Image::push(&registry, "registry.example.com", &[]).await;
    let attestations = Attestations { provenance: true, ..Attestations::default() };
    let environment = Environment::from_iter([
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://github.example.com"),
        ("GITHUB_REPOSITORY", "shop/web"),
        ("GITHUB_RUN_ID", "42"),
        ("GITHUB_WORKFLOW_REF", "shop/web/.github/workflows/ci.yaml@refs/heads/main"),
    ]);
    image.attach(&registry, &attestations, &environment).await.unwrap();
    let referrer = image.referrers(&registry).await.pop().unwrap();
    assert_eq!(referrer.artifact_type.as_deref(), Some("application/vnd.in-toto+json"));
    let statement = image.document(&registry, &referrer).await;
    let statement: Value = serde_json::from_slice(&statement).unwrap();
    let said = &statement["predicate"];
    let builder = "https://github.example.com/shop/web/.github/workflows/ci.yaml@refs/heads/main";
    assert_eq!(said["runDetails"]["builder"]["id"], builder);
    let run = "https://github.example.com/shop/web/actions/runs/42";
    assert_eq!(said["runDetails"]["metadata"]["invocationId"], run);
    let definition = &said["buildDefinition"];
    assert_eq!(definition["externalParameters"]["build"]["native"]["layers"][0]["from"][0], "app");
    let source = &definition["resolvedDependencies"][0];
    assert_eq!(source["uri"], "git+https://git.example.com/shop/web.git");
    assert_eq!(source["digest"]["gitCommit"], "ab".repeat(20));
}

fn payload(bundle: &[u8]) -> Value {
    let bundle: Value = serde_json::from_slice(bundle).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    serde_json::from_slice(&STANDARD.decode(payload).unwrap()).unwrap()
}

/// Verifies a bundle by Sigstore's own library, with the public key as all that is trusted.
fn verify_with_sigstore(bundle: &[u8], key: &str) {
    let Some(node) = peer("node") else { return };
    let Some(library) = std::env::var_os("DEPLOYCTL_SIGSTORE").map(PathBuf::from) else {
        return missing("Sigstore's library is not in DEPLOYCTL_SIGSTORE");
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = script.join("tests/testsuite/attestation/verify.js");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bundle.json");
    let public = keys().join(format!("{key}.pub"));
    let verify = |bundle: &[u8]| {
        std::fs::write(&file, bundle).unwrap();
        let mut command = Command::new(&node);
        command.arg(&script).arg(&file).arg(&public);
        command.env("NODE_PATH", library.join("node_modules")).output().unwrap()
    };
    let verified = verify(bundle);
    let text = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{text}");

    let mut changed: Value = serde_json::from_slice(bundle).unwrap();
    changed["dsseEnvelope"]["payload"] = STANDARD.encode("{}").into();
    assert!(!verify(changed.to_string().as_bytes()).status.success());
}

/// Verifies the signature alone, over what DSSE says is signed.
fn verify_with_openssl(bundle: &[u8], key: &str) {
    let Some(openssl) = peer("openssl") else { return };
    let bundle: Value = serde_json::from_slice(bundle).unwrap();
    let envelope = &bundle["dsseEnvelope"];
    let bytes = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let (payload, kind) = (bytes(&envelope["payload"]), envelope["payloadType"].as_str().unwrap());
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    let dir = tempfile::tempdir().unwrap();
    let (message, signature) = (dir.path().join("message"), dir.path().join("signature"));
    std::fs::write(&message, [head.as_bytes(), &payload].concat()).unwrap();
    std::fs::write(&signature, bytes(&envelope["signatures"][0]["sig"])).unwrap();
    let mut command = Command::new(openssl);
    command.args(["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey"]);
    command.arg(keys().join(format!("{key}.pub")));
    if key == "p256" {
        command.args(["-digest", "sha256"]);
    }
    let output = command.arg("-in").arg(message).arg("-sigfile").arg(signature).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

struct Schemas(PathBuf);

impl Retrieve for Schemas {
    fn retrieve(
        &self,
        uri: &Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let file = uri.path().as_str().rsplit('/').next().unwrap_or_default();
        Ok(serde_json::from_slice(&std::fs::read(self.0.join(file))?)?)
    }
}

/// Returns the schema of CycloneDX 1.6, or `None` after one printed line where it is not there.
fn cyclonedx_schema() -> Option<Validator> {
    let folder = std::env::var_os("DEPLOYCTL_CYCLONEDX_SCHEMAS").map(PathBuf::from);
    let read = |folder: PathBuf| {
        let text = std::fs::read(folder.join("bom-1.6.SNAPSHOT.schema.json")).ok()?;
        Some((serde_json::from_slice::<Value>(&text).unwrap(), folder))
    };
    let Some((schema, folder)) = folder.and_then(read) else {
        missing("the schemas of CycloneDX are not in DEPLOYCTL_CYCLONEDX_SCHEMAS");
        return None;
    };
    let options = jsonschema::options().with_retriever(Schemas(folder));
    Some(options.build(&schema).unwrap())
}
