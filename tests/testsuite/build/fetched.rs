//! What a Dockerfile fetches by itself: known before the build by a digest, or not at all.

use serde_json::Value;

use crate::support::{RegistryServer, World, peer};

/// Returns a world whose service `web` has this Dockerfile, built by `engine`, and `front` nothing but a file.
fn world(registry: &RegistryServer, engine: &str, dockerfile: &str) -> World {
    let (world, domain) = (World::new(), registry.domain());
    world.write("deployctl.yaml", &format!(
        "version: 1\nrecordInputs: false\nenvironments: {{}}\nservices:\n  \
         web: {{image: {domain}/shop/web, tag: content, build: {{context: web{engine}}}}}\n  \
         front: {{image: {domain}/shop/front, build: {{context: front, layers: [{{from: ., to: /}}]}}}}\n"
    ));
    world.write("web/Dockerfile", &dockerfile.replace("REGISTRY", domain));
    world.write("front/file", "1");
    world
}

fn planned(world: &World) -> Value {
    let told = world.ok(&["build", "--dry-run", "--output", "json", "web"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    told["planned"][0]["inputDigest"].clone()
}

#[test]
fn the_image_that_reads_the_dockerfile_is_an_input_by_its_digest() {
    let Some(registry) = RegistryServer::start_plain() else { return };
    let dockerfile = "# syntax=REGISTRY/shop/front:1\nFROM scratch\nCOPY . /\n";
    let world = world(&registry, "", dockerfile);
    world.ok(&["build", "--tag", "1", "front"]);
    let before = planned(&world);
    assert!(before.is_string(), "{before}");
    assert_eq!(planned(&world), before);
    assert_eq!(registry.count_requests("\"HEAD /v2/shop/front/manifests/1 "), 2);
    world.write("front/file", "2");
    world.ok(&["build", "--tag", "1", "front"]);
    assert_ne!(planned(&world), before);
    // Only docker reads the directive.
    let other = self::world(&registry, ", engine: buildah", dockerfile);
    let asked = registry.count_requests("\"HEAD /v2/shop/front/manifests/1 ");
    assert!(planned(&other).is_string());
    assert_eq!(registry.count_requests("\"HEAD /v2/shop/front/manifests/1 "), asked);
}

#[test]
fn what_is_added_from_a_url_without_a_checksum_is_built_every_time_and_told() {
    let (Some(registry), Some(_)) = (RegistryServer::start_plain(), peer("buildah")) else {
        return;
    };
    if !super::engines::can_run() {
        return;
    }
    let dockerfile = "FROM scratch\nADD http://REGISTRY/v2/ /answer\n";
    let world = world(&registry, ", engine: buildah", dockerfile);
    let world = super::engines::with_storage(world);
    let reason = "Dockerfile line 2: ADD of a URL without --checksum, so what it brings is not known \
                  before the build";
    let dry = world.ok(&["build", "--dry-run", "--explain", "web"]);
    assert_eq!(dry, format!("web: would be built\nweb: nothing to compare with: {reason}\n"));
    for _ in 0..2 {
        let ran = world.run(&["build", "web"]);
        assert_eq!(ran.code, 0, "{ran:#?}");
        let warning = format!("web is built, whatever the registry has: {reason}");
        assert!(ran.stderr.contains(&warning), "{ran:#?}");
        assert!(ran.stdout.contains("/shop/web:content-"), "{ran:#?}");
    }
    assert_eq!(registry.count_requests("manifests/input-"), 0);
}
