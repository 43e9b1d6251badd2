//! What the registry has is not built again: asked with a real one, by its own request log.

use serde_json::Value;

use crate::support::git_server::GitServer;
use crate::support::{RegistryServer, World};

const ANY: &str = "/v2/";

/// A world with services `web` and `api`, built from `web` and `api` onto nothing.
fn world(registry: &RegistryServer, more: &str) -> World {
    let world = World::new();
    let domain = registry.domain();
    let service = |name: &str| {
        format!(
            "  {name}:\n    image: {domain}/shop/{name}\n    tag: content\n    build: {{context: {name}, layers: [{{from: ., to: /srv}}]}}\n"
        )
    };
    let services = format!("{}{}", service("web"), service("api"));
    world.write("deployctl.yaml", &format!("version: 1\n{more}services:\n{services}"));
    world.write("web/index.html", "<h1>web</h1>\n");
    world.write("api/app", "api\n");
    world
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Returns what was written with `--metadata-file`, as it is on standard output.
fn metadata(world: &World) -> Value {
    json(&world.read("built.json").replace(world.path().as_str(), "[WORLD]"))
}

fn build(world: &World, arguments: &[&str]) -> Value {
    json(&world.ok(&[&["build", "--output", "json"], arguments].concat()))
}

#[test]
fn what_has_not_changed_costs_one_request_a_service() {
    let Some(registry) = RegistryServer::start_plain() else { return };
    let world = world(&registry, "environments: {}\n");
    let first = build(&world, &[]);
    assert_eq!(first["images"][0]["reused"], false, "{first}");
    let before = registry.count_requests(ANY);
    let again = build(&world, &[]);
    assert_eq!(registry.count_requests(ANY) - before, 2);
    assert_eq!(registry.count_requests("\"HEAD /v2/shop/web/manifests/input-"), 2);
    for number in 0..2 {
        let (first, again) = (&first["images"][number], &again["images"][number]);
        assert_eq!(again["digest"], first["digest"]);
        assert_eq!(again["inputDigest"], first["inputDigest"]);
        assert_eq!(again["reused"], true);
        assert_eq!(again["tag"], again["reusedBy"]);
        let hex = first["inputDigest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        assert_eq!(again["tag"], format!("input-{}", &hex[..32]));
        assert!(first["tag"].as_str().unwrap().starts_with("content-"));
    }
    // The same from another folder, with other times of files.
    let other = self::world(&registry, "environments: {}\n");
    assert_eq!(build(&other, &[]), again);
}

#[test]
fn a_dry_run_asks_and_tells_and_a_rebuild_does_not_ask() {
    let Some(registry) = RegistryServer::start_plain() else { return };
    let world = world(&registry, "environments: {}\n");
    build(&world, &["web"]);
    let before = registry.count_requests(ANY);
    let dry = build(&world, &["--dry-run"]);
    assert_eq!(registry.count_requests(ANY) - before, 2);
    assert_eq!(dry["images"][0]["service"], "web");
    assert_eq!(dry["planned"][0]["service"], "api");
    let told = world.ok(&["build", "--dry-run"]);
    assert!(told.starts_with(&format!("web={}/shop/web:input-", registry.domain())), "{told}");
    assert!(told.ends_with("\napi: would be built\n"), "{told}");
    let asked = registry.count_requests("/manifests/input-");
    let again = build(&world, &["--rebuild", "--push=false", "web"]);
    assert_eq!(again["images"][0]["reused"], false);
    assert_eq!(again["images"][0]["pushed"], false);
    assert_eq!(registry.count_requests("/manifests/input-"), asked);
    assert_eq!(again["images"][0]["digest"], dry["images"][0]["digest"]);
}

#[test]
fn a_tag_that_is_asked_for_is_given_to_what_is_there() {
    let Some(registry) = RegistryServer::start_plain() else { return };
    let world = world(&registry, "environments: {}\n");
    let first = build(&world, &["web"]);
    let tagged = build(&world, &["web", "--tag", "1.4"]);
    assert_eq!(tagged["images"][0]["reused"], true);
    assert_eq!(tagged["images"][0]["tag"], "1.4");
    assert_eq!(tagged["images"][0]["digest"], first["images"][0]["digest"]);
    assert_eq!(registry.count_requests("\"PUT /v2/shop/web/manifests/1.4"), 1);
}

#[test]
fn a_release_of_what_is_there_already_has_its_tag() {
    let Some(registry) = RegistryServer::start_plain() else { return };
    let world = world(&registry, "environments: {}\n");
    let text = world.read("deployctl.yaml").replace("tag: content", "tag: semver");
    world.write("deployctl.yaml", &text);
    let git = |arguments: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(arguments);
        assert!(git.current_dir(world.path()).status().unwrap().success(), "{arguments:?}");
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    let first = build(&world, &["web"]);
    git(&["tag", "v1.4.0"]);
    let before = registry.count_requests(ANY);
    let released = build(&world, &["web"]);
    assert_eq!(registry.count_requests(ANY) - before, 3, "the question, the manifest and the tag");
    assert_eq!(released["images"][0]["reused"], true);
    assert_eq!(released["images"][0]["tag"], "1.4.0");
    assert_eq!(released["images"][0]["digest"], first["images"][0]["digest"]);
}

#[test]
fn a_service_that_fails_does_not_lose_the_others() {
    let Some(registry) = RegistryServer::start_plain() else { return };
    let world = world(&registry, "environments: {}\n");
    let pipe = world.path().join("web/pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let ran = world.run(&["build", "--output", "json", "--metadata-file", "built.json"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    let report = json(&ran.stdout);
    assert_eq!(metadata(&world), report);
    assert_eq!(report["images"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["images"][0]["service"], "api");
    assert_eq!(report["images"][0]["pushed"], true);
    assert_eq!(report["failed"][0]["service"], "web");
    let reason = report["failed"][0]["reason"].as_str().unwrap();
    assert!(reason.ends_with("a layer can't hold a socket, pipe or device"), "{reason}");
    assert!(ran.stderr.contains("error: can't build `web`\n"), "{ran:#?}");
    std::fs::remove_file(pipe).unwrap();
    assert_eq!(build(&world, &[])["images"][1]["reused"], true);
}

#[test]
fn who_reads_the_metadata_of_a_build_finds_that_of_no_other_one() {
    let Some(registry) = RegistryServer::start_plain() else { return };
    let world = world(&registry, "environments: {}\n");
    let built = ["build", "web", "--output", "json", "--metadata-file", "built.json"];
    world.ok(&built);
    let config = world.read("deployctl.yaml");
    world.write("deployctl.yaml", "version: none\n");
    assert_ne!(world.run(&built).code, 0);
    assert!(!world.path().join("built.json").exists(), "nothing was begun");
    world.write("deployctl.yaml", &config);
    world.write("web/index.html", "two");
    let pipe = world.path().join("web/pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let ran = world.run(&built);
    assert_eq!(ran.code, 1, "{ran:#?}");
    let report = json(&ran.stdout);
    assert_eq!(report["images"], serde_json::json!([]));
    assert_eq!(report["failed"][0]["service"], "web");
    assert_eq!(metadata(&world), report);
}

/// rules_docker #2198: what is built already never came to the overlay once it was reverted.
#[test]
fn a_revert_reaches_the_overlay_though_nothing_is_built() {
    let Some(registry) = RegistryServer::start_plain() else { return };
    let overlay = "resources: [pod.yaml]\nimages:\n- name: web\n  newTag: none\n";
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, image: web}]}\n";
    let manifests =
        GitServer::bare(&[("dev/web/kustomization.yaml", overlay), ("dev/web/pod.yaml", pod)]);
    let environments = format!(
        "manifests: {{repo: '{}', branch: main}}\nenvironments: {{dev: {{overlay: 'dev/{{service}}'}}}}\n",
        manifests.path()
    );
    let world = world(&registry, &environments);
    let config = world
        .read("deployctl.yaml")
        .replace("    tag: content", "    imageInManifests: web\n    tag: content");
    world.write("deployctl.yaml", &config);
    world.write(
        "pipelines/dev.yaml",
        "version: 1\nsteps:\n- build: {services: [web]}\n- set: {env: dev}\n",
    );
    let deploy = |text: &str| {
        world.write("web/index.html", text);
        let told = world.ok(&["run", "dev"]);
        let image = told.lines().next().unwrap().to_owned();
        let stated = manifests.file("main", "dev/web/kustomization.yaml");
        let (_, digest) = image.split_once('@').unwrap();
        assert!(stated.contains(digest), "{stated} after {told}");
        image
    };
    let first = deploy("<h1>one</h1>\n");
    let second = deploy("<h1>two</h1>\n");
    let pushed = registry.count_requests("\"PUT ");
    let third = deploy("<h1>one</h1>\n");
    assert_eq!(registry.count_requests("\"PUT "), pushed, "nothing is built");
    let digest = |image: &str| image.split_once('@').unwrap().1.to_owned();
    assert_eq!(digest(&third), digest(&first));
    assert_ne!(digest(&second), digest(&first));
    assert!(third.contains(":input-"), "{third}");
    // What states the digest already stays as it is, whatever the tag is that it was found by.
    let tip = manifests.git(&["rev-parse", "main"]);
    deploy("<h1>one</h1>\n");
    assert_eq!(manifests.git(&["rev-parse", "main"]), tip);
}
