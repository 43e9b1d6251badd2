//! What `cosign` is told to do: one of the test's own writes its arguments down, and refuses any that
//! the real one does not know.

use deployctl::config::{Attestations, SignBy};
use deployctl::ops::{AttachError, BaseSigner, verify_base};
use deployctl::registry::Memory;
use deployctl::system::Environment;

use super::{Image, keys};
use crate::support::{World, executable};

/// Answers as cosign does, to the last argument. A predicate must be there and be JSON.
const COSIGN: &str = r#"#!/bin/sh
set -eu
echo "$*" >> "$WORLD/calls"
command=$1; shift
case "$command" in
sign) [ "$1" = --yes ]; shift ;;
attest)
  [ "$1 $2" = "--yes --type" ]; [ "$4" = --predicate ]
  case "$3" in cyclonedx) has=bomFormat ;; slsaprovenance1) has=buildDefinition ;; *) exit 64 ;; esac
  grep -q "\"$has\"" "$5"; shift 5 ;;
verify)
  case "$1" in --certificate-identity=*) ;; *) exit 64 ;; esac
  case "$2" in --certificate-oidc-issuer=*) ;; *) exit 64 ;; esac
  shift 2 ;;
*) exit 64 ;;
esac
[ $# = 1 ]
case "$1" in *:*@*) exit 64 ;; *@sha256:*) ;; *) exit 64 ;; esac
if [ -e "$WORLD/fails" ]; then echo "token $SIGSTORE_ID_TOKEN" >&2; echo "Error: none match" >&2; exit 10; fi
"#;

const TOKEN: (&str, &str) = ("SIGSTORE_ID_TOKEN", "canary-token");

fn environment(world: &World, more: &[(&str, &str)]) -> Environment {
    executable(&world.path().join("cosign"), COSIGN);
    let path = format!("{}:{}", world.path(), std::env::var("PATH").unwrap());
    let own = [("PATH", path.as_str()), ("WORLD", world.path().as_str())];
    own.into_iter().chain(more.iter().copied()).collect()
}

fn keyless() -> Attestations {
    let sign = Some(SignBy::Keyless);
    Attestations { sbom: true, provenance: true, sign, ..Attestations::default() }
}

#[tokio::test]
async fn cosign_signs_and_attests_where_there_is_an_identity() {
    let (world, registry) = (World::new(), Memory::new());
    let image = Image::push(&registry, "registry.example.com", &[]).await;
    let environment = environment(&world, &[TOKEN]);
    image.attach(&registry, &keyless(), &environment).await.unwrap();
    let calls = world.read("calls");
    let reference = image.image.to_string();
    let calls: Vec<_> = calls.lines().map(|call| call.replace(&reference, "IMAGE")).collect();
    assert!(calls[0].starts_with("attest --yes --type cyclonedx --predicate /"), "{calls:?}");
    assert!(calls[1].starts_with("attest --yes --type slsaprovenance1 --predicate /"), "{calls:?}");
    assert!(calls[..2].iter().all(|call| call.ends_with("predicate.json IMAGE")), "{calls:?}");
    assert_eq!(calls[2..], ["sign --yes IMAGE"]);

    world.write("fails", "");
    let error = image.attach(&registry, &keyless(), &environment).await.unwrap_err();
    let told = error.to_string();
    assert_eq!(
        told,
        format!("`{reference}` is pushed, but `cosign attest` failed: Error: none match")
    );
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}

#[tokio::test]
async fn without_an_identity_or_cosign_nothing_is_signed() {
    let (world, registry) = (World::new(), Memory::new());
    let image = Image::push(&registry, "registry.example.com", &[]).await;
    let no_identity = environment(&world, &[("ACTIONS_ID_TOKEN_REQUEST_URL", "https://x")]);
    let error = image.attach(&registry, &keyless(), &no_identity).await.unwrap_err();
    assert!(matches!(error, AttachError::NoIdentity), "{error}");
    let no_cosign = Environment::from_iter([TOKEN, ("PATH", "/nowhere")]);
    let error = image.attach(&registry, &keyless(), &no_cosign).await.unwrap_err();
    assert!(matches!(error, AttachError::NoCosign), "{error}");
}

#[tokio::test]
async fn cosign_verifies_identities() {
    let (world, registry) = (World::new(), Memory::new());
    let image = Image::push(&registry, "registry.example.com", &[]).await;
    let environment = environment(&world, &[TOKEN]);
    let text = "identity=https://git.example.com/base,issuer=https://token.example.com";
    let signer = BaseSigner::parse(text, &keys()).unwrap();
    let signers = std::slice::from_ref(&signer);
    verify_base(&image.image, signers, &registry, &environment).await.unwrap();
    let expected = format!(
        "verify --certificate-identity=https://git.example.com/base --certificate-oidc-issuer=https://token.example.com {}\n",
        image.image
    );
    assert_eq!(world.read("calls"), expected);

    world.write("fails", "");
    let error = verify_base(&image.image, signers, &registry, &environment).await.unwrap_err();
    let told = error.to_string();
    assert!(told.ends_with(&format!("is not signed by `{text}`: Error: none match")), "{told}");
    let none = Environment::from_iter([("PATH", "/nowhere")]);
    let error = verify_base(&image.image, signers, &registry, &none).await.unwrap_err();
    assert!(error.to_string().starts_with("can't verify base image"), "{error}");
}
