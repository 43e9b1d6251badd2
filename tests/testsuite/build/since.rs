//! Which services have changed since an environment was given its images, and in what.

use serde_json::Value;

use crate::support::git_server::{GitServer, git};
use crate::support::{Ran, RegistryServer, World};

/// A world whose services `web` and `api` are deployed to `dev` by `run`.
struct Shop {
    registry: RegistryServer,
    manifests: GitServer,
    world: World,
}

const STEPS: &str = "version: 1\nsteps:\n- build: {}\n- set: {env: dev}\n";

impl Shop {
    fn open() -> Option<Self> {
        let registry = RegistryServer::start_plain()?;
        let domain = registry.domain();
        let files = ["web", "api"].map(|name| {
            let overlay =
                format!("resources: [pod.yaml]\nimages:\n- name: {domain}/shop/{name}\n  newTag: none\n");
            let pod = format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: {name}, image: {domain}/shop/{name}}}]}}\n"
            );
            [(format!("dev/{name}/kustomization.yaml"), overlay), (format!("dev/{name}/pod.yaml"), pod)]
        });
        let files = files.as_flattened();
        let files: Vec<_> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let manifests = GitServer::bare(&files);
        let world = World::new();
        let service = |name: &str| {
            format!(
                "  {name}:\n    image: {domain}/shop/{name}\n    tag: content\n    build: {{context: {name}, layers: [{{from: ., to: /srv}}], env: {{TOKEN: s3cret}}}}\n"
            )
        };
        let config = format!(
            "version: 1\nmanifests: {{repo: '{}', branch: main}}\nenvironments: {{dev: {{overlay: 'dev/{{service}}'}}}}\nservices:\n{}{}",
            manifests.path(),
            service("web"),
            service("api")
        );
        world.write("deployctl.yaml", &config);
        world.write("pipelines/dev.yaml", STEPS);
        world.write("web/index.html", "<h1>web</h1>\n");
        world.write("web/logo.svg", "<svg/>\n");
        world.write("api/app", "api\n");
        Some(Self { registry, manifests, world })
    }

    fn build(&self, arguments: &[&str]) -> Value {
        let told = self.world.ok(&[&["build", "--output", "json"], arguments].concat());
        serde_json::from_str(&told).unwrap()
    }

    fn since(&self, arguments: &[&str]) -> Value {
        self.build(&[&["--changed-since-env", "dev"], arguments].concat())
    }
}

#[test]
fn what_an_environment_states_tells_which_services_have_changed() {
    let Some(shop) = Shop::open() else { return };
    let told = shop.since(&["--dry-run"]);
    assert_eq!(told["changedSince"]["services"], serde_json::json!(["web", "api"]));
    shop.world.ok(&["run", "dev"]);
    let told = shop.since(&[]);
    assert_eq!(told["changedSince"]["services"], serde_json::json!([]));
    assert_eq!(told["changedSince"]["unchanged"], serde_json::json!(["web", "api"]));
    assert_eq!(told["images"], serde_json::json!([]));
    // No history is there, and none is needed.
    shop.world.write("web/index.html", "<h1>new</h1>\n");
    let dry = shop.since(&["--dry-run"]);
    assert_eq!(dry["changedSince"]["services"], serde_json::json!(["web"]));
    assert_eq!(dry["planned"][0]["service"], "web");
    let reason = dry["changedSince"]["reasons"]["web"].as_str().unwrap();
    assert!(reason.ends_with(", and what is here was never built"), "{reason}");
    let ran = shop.world.run(&["build", "--changed-since-env", "dev"]);
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:#?}");
    // As `set` takes it, however many of the services have changed.
    assert!(ran.stdout.starts_with("web="), "{ran:#?}");
    assert!(ran.stdout.contains("/shop/web:content-"), "{ran:#?}");
    assert!(ran.stderr.contains("web has changed: dev states "), "{ran:#?}");
    // It is built, and dev does not have it yet.
    let told = shop.since(&[]);
    assert_eq!(told["changedSince"]["services"], serde_json::json!(["web"]));
    assert_eq!(told["images"][0]["reused"], true);
    shop.world.ok(&["run", "dev"]);
    assert_eq!(shop.since(&[])["changedSince"]["services"], serde_json::json!([]));
    let ran = shop.world.run(&["build", "--changed-since-env", "dev"]);
    assert_eq!((ran.code, &*ran.stdout), (0, ""));
    assert!(ran.stderr.contains("nothing has changed since dev was given its images"), "{ran:#?}");
}

#[test]
fn an_overlay_that_states_the_input_tag_tells_without_the_registry() {
    let Some(shop) = Shop::open() else { return };
    shop.build(&[]);
    // The second run finds the images by their input tags, and states those.
    shop.world.ok(&["run", "dev"]);
    assert!(shop.manifests.file("main", "dev/web/kustomization.yaml").contains("newTag: input-"));
    let before = shop.registry.count_requests("/v2/");
    let told = shop.since(&[]);
    assert_eq!(told["changedSince"]["unchanged"], serde_json::json!(["web", "api"]));
    assert_eq!(shop.registry.count_requests("/v2/"), before);
    shop.world.write("api/app", "changed\n");
    let told = shop.since(&["--dry-run", "--metadata-file", "told.json"]);
    assert_eq!(shop.world.read("told.json"), format!("{told}\n"));
    assert_eq!(told["changedSince"]["services"], serde_json::json!(["api"]));
    assert_eq!(shop.registry.count_requests("/v2/"), before + 1);
}

#[test]
fn what_differs_is_told_and_no_value_with_it() {
    let Some(shop) = Shop::open() else { return };
    let ran = shop.world.run(&["build", "--explain", "--dry-run", "web"]);
    assert!(
        ran.stdout.contains("web: nothing to compare with: no image of it was built here"),
        "{ran:#?}"
    );
    shop.world.ok(&["run", "dev"]);
    assert_eq!(shop.registry.count_requests("\"PUT /v2/shop/web/manifests/sha256-"), 1);
    let told = shop.build(&["--explain", "web"]);
    assert_eq!(told["explained"][0]["changes"], serde_json::json!([]));
    shop.world.write("web/index.html", "<h1>new</h1>\n");
    shop.world.write("web/new", "");
    std::fs::remove_file(shop.world.path().join("web/logo.svg")).unwrap();
    let config = shop.world.read("deployctl.yaml");
    shop.world.write("deployctl.yaml", &config.replace("s3cret", "s3cond"));
    let expected = "  file `index.html` changed\n  file `logo.svg` is gone\n  file `new` is new\n  \
                    `config.env.TOKEN` of the recipe changed\n";
    let local = shop.world.ok(&["build", "--explain", "--dry-run", "web"]);
    assert!(local.starts_with("web: would be built\nweb: differs from "), "{local}");
    assert!(local.ends_with(expected), "{local}");
    // Another machine reads it from beside the image.
    std::fs::remove_dir_all(shop.world.path().join("home/.cache")).unwrap();
    let remote =
        shop.world.ok(&["build", "--explain", "--dry-run", "--changed-since-env", "dev", "web"]);
    assert!(remote.ends_with(expected), "{remote}");
    let json = shop.since(&["--explain", "--dry-run", "web"]);
    assert_eq!(json["explained"][0]["changes"][1]["change"], "gone");
    for told in [local, remote, json.to_string()] {
        assert!(!told.contains("s3c"), "{told}");
    }
}

/// Runs `build --explain --dry-run web` with nothing in the cache.
fn explain_elsewhere(shop: &Shop, arguments: &[&str]) -> String {
    let cache = tempfile::tempdir().unwrap();
    let mut command = shop.world.command(&[&["build", "--dry-run", "web"], arguments].concat());
    let ran = Ran::of(command.env("DEPLOYCTL_CACHE_DIR", cache.path()));
    assert_eq!(ran.code, 0, "{ran:#?}");
    ran.stdout
}

#[test]
fn a_machine_that_has_never_built_compares_with_what_a_moving_tag_names() {
    let Some(shop) = Shop::open() else { return };
    let config = shop.world.read("deployctl.yaml");
    let moving = "tag: content\n    movingTags: [latest, '{branch}']\n";
    shop.world.write("deployctl.yaml", &config.replace("tag: content\n", moving));
    shop.world.write(".gitignore", "/home/\n");
    let root = shop.world.path();
    git(root, &["init", "-q", "-b", "main"]);
    git(root, &["add", "-A"]);
    git(root, &["commit", "-q", "-m", "first"]);
    let told = explain_elsewhere(&shop, &["--explain"]);
    assert!(
        told.contains("here before; the registry has no `main`; the registry has no `latest`; "),
        "{told}"
    );
    shop.build(&["web"]);
    shop.world.write("web/index.html", "<h1>new</h1>\n");
    // The one of its own branch, though files are not as the commit has them.
    let told = explain_elsewhere(&shop, &["--explain"]);
    assert!(told.ends_with(" (the registry's `main`)\n  file `index.html` changed\n"), "{told}");
    git(root, &["checkout", "-q", "-b", "feature"]);
    let told = explain_elsewhere(&shop, &["--explain"]);
    assert!(told.ends_with(" (the registry's `latest`)\n  file `index.html` changed\n"), "{told}");
    let json = explain_elsewhere(&shop, &["--explain", "--output", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["explained"][0]["foundBy"], "tag");
    assert_eq!(json["explained"][0]["foundAt"], "latest");
    let before = shop.registry.count_requests("/v2/");
    explain_elsewhere(&shop, &[]);
    assert_eq!(shop.registry.count_requests("/v2/"), before + 1, "only who asks has it explained");
    let local = shop.world.ok(&["build", "--explain", "--dry-run", "web"]);
    assert!(local.contains(" (the last one built on this machine)\n"), "{local}");
}

#[test]
fn a_machine_that_has_never_built_compares_with_what_an_overlay_that_is_here_states() {
    let Some(shop) = Shop::open() else { return };
    shop.world.ok(&["run", "dev"]);
    shop.world.write("web/index.html", "<h1>new</h1>\n");
    let expected = " (stated by dev, as known here)\n  file `index.html` changed\n";
    let told = explain_elsewhere(&shop, &["--explain"]);
    assert!(told.ends_with(expected), "{told}");
    // Overlays beside the services' files.
    let overlay = shop.manifests.file("main", "dev/web/kustomization.yaml");
    shop.world.write("dev/web/kustomization.yaml", &overlay);
    let config = shop.world.read("deployctl.yaml");
    let lines = config.lines().filter(|line| !line.starts_with("manifests:"));
    shop.world.write("deployctl.yaml", &lines.map(|line| format!("{line}\n")).collect::<String>());
    let told = explain_elsewhere(&shop, &["--explain"]);
    assert!(told.contains("web: nothing to compare with: no image of it was built"), "{told}");
    git(shop.world.path(), &["init", "-q", "-b", "main"]);
    git(shop.world.path(), &["commit", "-q", "--allow-empty", "-m", "first"]);
    let told = explain_elsewhere(&shop, &["--explain"]);
    assert!(told.ends_with(expected), "{told}");
}

#[test]
fn a_change_of_every_kind_has_its_words() {
    use deployctl::build::inputs::{Change, Difference};
    let words = |kind: &str, from: &str, to: &str| {
        let difference = Difference::Changed { from: from.into(), to: to.into() };
        Change { kind: kind.into(), name: "x".into(), difference }.to_string()
    };
    assert_eq!(words("base", "sha256:1", "sha256:2"), "base `x` moved from sha256:1 to sha256:2");
    assert_eq!(words("argument", "1", "2"), "build argument `x` changed");
    assert_eq!(words("file", "0644 aa", "0644 bb"), "file `x` changed");
    assert_eq!(words("file", "0644 aa", "0755 aa"), "file `x` changed its mode from 0644 to 0755");
    assert_eq!(words("link", "a", "b"), "link `x` changed from `a` to `b`");
    assert_eq!(words("files below", "1", "2"), "files below `x` changed");
}
