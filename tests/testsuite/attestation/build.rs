//! `build` with attestations, into a real registry.

use serde_json::Value;

use super::{Utf8PathBuf, keys};
use crate::support::{RegistryServer, World, executable};

/// Returns a world with the services `base`, made of one file, and `web`, made onto it.
fn world(registry: &RegistryServer, attestations: &str) -> World {
    let world = World::new();
    let domain = registry.domain();
    let service = |name: &str, base: &str| {
        format!(
            "  {name}:\n    image: {domain}/shop/{name}\n    tag: content\n    build: {{context: {name}, {base}layers: [{{from: ., to: /srv}}]}}\n"
        )
    };
    let on_base = format!("base: '{domain}/shop/base:1', ");
    let services = format!("{}{}", service("base", ""), service("web", &on_base));
    let head = "version: 1\nrecordInputs: false\nenvironments: {}\nattestations: ";
    world.write("deployctl.yaml", &format!("{head}{attestations}\nservices:\n{services}"));
    world.write("base/os-release", "NAME=base\n");
    world.write("web/requirements.txt", "flask==3.0\n");
    world
}

fn key(file: &str) -> Utf8PathBuf {
    keys().join(file)
}

fn build(world: &World, arguments: &[&str]) -> Value {
    let text = world.ok(&[&["build", "--output", "json"], arguments].concat());
    serde_json::from_str(&text).unwrap()
}

#[test]
fn what_is_attached_is_told_and_an_image_that_is_there_gets_nothing() {
    let Some(registry) = RegistryServer::start_plain() else { return };
    let sign = format!("{{sbom: true, provenance: true, sign: {{key: {}}}}}", key("p256.key"));
    let world = world(&registry, &sign);
    let first = build(&world, &["base", "--tag", "1"]);
    let image = &first["images"][0];
    assert_eq!(image["attached"], serde_json::json!(["sbom", "provenance", "signature"]));
    let digest = image["digest"].as_str().unwrap().replace(':', "-");
    assert_eq!(registry.count_requests(&format!("\"PUT /v2/shop/base/manifests/{digest}")), 3);
    assert_eq!(registry.count_requests("\"PUT /v2/shop/base/manifests/1 "), 1);

    let before = registry.count_requests("/v2/");
    let again = build(&world, &["base"]);
    assert_eq!(registry.count_requests("/v2/") - before, 1, "{again}");
    assert_eq!(again["images"][0].get("attached"), None);
}

#[test]
fn nothing_is_built_onto_a_base_that_is_not_signed_by_whom_it_has_to_be() {
    let Some(registry) = RegistryServer::start_plain() else { return };
    let ours = key("p256.pub");
    let world = world(&registry, "{}");
    build(&world, &["base", "--tag", "1"]);
    let refused = world.run(&["build", "web", "--verify-base", ours.as_str()]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert_eq!(refused.stdout, "");
    let told = format!("is not signed by `{ours}`: it has no signature");
    assert!(refused.stderr.contains("can't build `web`"), "{}", refused.stderr);
    assert!(refused.stderr.contains(&told), "{}", refused.stderr);
    assert_eq!(registry.count_requests("\"POST /v2/shop/web/"), 0);

    let sign = format!("{{sign: {{key: {}}}, verifyBase: [{ours}]}}", key("p256.key"));
    let signing = self::world(&registry, &sign);
    build(&signing, &["base", "--tag", "1", "--rebuild"]);
    let built = build(&signing, &["web"]);
    assert_eq!(built["images"][0]["attached"], serde_json::json!(["signature"]));
    let other = key("rsa.pub");
    // An image that is there already was built on something, too, and a dry run only looks.
    for more in [&[][..], &["--rebuild"], &["--dry-run"]] {
        let refused =
            signing.run(&[&["build", "web", "--verify-base", other.as_str()], more].concat());
        assert_eq!((refused.code, &*refused.stdout), (1, ""), "{more:?}");
        assert!(refused.stderr.contains("it is signed by another key"), "{}", refused.stderr);
    }
}

#[test]
fn a_key_that_can_not_be_used_stops_before_anything_is_built() {
    let Some(registry) = RegistryServer::start_plain() else { return };
    for (sign, told, hint) in [
        ("{key: none.key}", "can't read the key", "attestations.sign"),
        (
            "{key: 'env:NONE'}",
            "can't read the key `env:NONE`: the variable is not set",
            "attestations",
        ),
        ("{keyless: true}", "nothing here offers an identity", "id-token: write"),
    ] {
        let world = world(&registry, &format!("{{sign: {sign}}}"));
        let refused = world.run(&["build", "base"]);
        assert_eq!(refused.code, 2, "{refused:#?}");
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
        assert!(refused.stderr.contains(hint), "{}", refused.stderr);
    }
    assert_eq!(registry.count_requests("\"POST "), 0);
}

#[test]
fn an_image_without_its_signature_gets_no_tag() {
    let Some(registry) = RegistryServer::start_plain() else { return };
    let world = world(&registry, "{sign: {keyless: true}}");
    let fails = "#!/bin/sh\necho 'Error: no transparency log' >&2\nexit 1\n";
    executable(&world.path().join("cosign"), fails);
    let path = format!("{}:{}", world.path(), std::env::var("PATH").unwrap());
    let world = world.with("PATH", &path).with("SIGSTORE_ID_TOKEN", "canary-token");
    let failed = world.run(&["build", "base"]);
    assert_eq!(failed.code, 1, "{failed:#?}");
    let told = "is pushed, but `cosign sign` failed: Error: no transparency log";
    assert!(failed.stderr.contains(told), "{}", failed.stderr);
    assert_eq!(registry.count_requests("\"PUT /v2/shop/base/manifests/sha256:"), 1);
    assert_eq!(registry.count_requests("\"PUT /v2/shop/base/manifests/"), 1);
}
