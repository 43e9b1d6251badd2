//! `push: false`: a service that is built and goes nowhere, beside one that does.

use serde_json::{Value, json};

use crate::support::git_server::GitServer;
use crate::support::{RegistryServer, World};

struct Shop {
    registry: RegistryServer,
    manifests: GitServer,
    world: World,
}

impl Shop {
    fn open() -> Option<Self> {
        let registry = RegistryServer::start_plain()?;
        let domain = registry.domain();
        let overlay =
            format!("resources: [pod.yaml]\nimages:\n- name: {domain}/shop/web\n  newTag: none\n");
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec: {{containers: [{{name: web, image: {domain}/shop/web}}]}}\n"
        );
        let files = ["dev", "staging"].map(|env| {
            [
                (format!("{env}/web/kustomization.yaml"), &overlay),
                (format!("{env}/web/pod.yaml"), &pod),
            ]
        });
        let files: Vec<_> = files
            .as_flattened()
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        let manifests = GitServer::bare(&files);
        let world = World::new();
        world.write("deployctl.yaml", &format!(
            "version: 1\nmanifests: {{repo: '{}', branch: main}}\n\
             environments:\n  dev: {{overlay: 'dev/{{service}}'}}\n  staging: {{overlay: 'staging/{{service}}', from: dev}}\n\
             services:\n  tool:\n    image: {domain}/shop/tool\n    tag: content\n    build: {{context: web, push: false, layers: [{{from: ., to: /t}}]}}\n  \
             web:\n    image: {domain}/shop/web\n    tag: content\n    build: {{context: web, layers: [{{from: ., to: /srv}}]}}\n",
            manifests.path(),
        ));
        world.write("web/index.html", "<h1>web</h1>\n");
        world.write("pipelines/dev.yaml", "version: 1\nsteps:\n- build: {}\n- set: {env: dev}\n");
        let only_tool = "version: 1\nsteps:\n- build: {services: [tool]}\n- set: {env: dev}\n";
        world.write("pipelines/tool.yaml", only_tool);
        Some(Self { registry, manifests, world })
    }

    /// Returns which services were pushed.
    fn pushed(&self, arguments: &[&str]) -> Value {
        let told = self.world.ok(&[&["build", "--output", "json"], arguments].concat());
        let told: Value = serde_json::from_str(&told).unwrap();
        let images = told["images"].as_array().unwrap();
        let all = images
            .iter()
            .map(|image| (image["service"].as_str().unwrap().to_owned(), image["pushed"].clone()));
        Value::Object(all.collect())
    }

    fn refused(&self, arguments: &[&str], message: &str) {
        let ran = self.world.run(arguments);
        assert_ne!(ran.code, 0, "{ran:#?}");
        assert!(ran.stderr.contains(message), "{ran:#?}");
    }
}

#[test]
fn a_service_with_push_false_is_built_and_its_registry_hears_nothing_of_it() {
    let Some(shop) = Shop::open() else { return };
    assert_eq!(shop.pushed(&[]), json!({"tool": false, "web": true}));
    assert_eq!(shop.registry.count_requests("/v2/shop/tool/"), 0);
    // It is built every time, and still compared with the last one.
    shop.world.write("web/index.html", "<h1>new</h1>\n");
    let told = shop.world.ok(&["build", "--explain", "tool"]);
    assert!(told.contains("/shop/tool:content-"), "{told}");
    assert!(
        told.ends_with("(the last one built on this machine)\n  file `index.html` changed\n"),
        "{told}"
    );
    assert_eq!(shop.registry.count_requests("/v2/shop/tool/"), 0);
}

#[test]
fn the_command_line_goes_before_the_key() {
    let Some(shop) = Shop::open() else { return };
    assert_eq!(shop.pushed(&["--push=false"]), json!({"tool": false, "web": false}));
    assert_eq!(shop.pushed(&["tool", "--push"]), json!({"tool": true}));
    assert_eq!(shop.registry.count_requests("\"PUT /v2/shop/tool/manifests/content-"), 1);
    assert_eq!(shop.registry.count_requests("\"PUT /v2/shop/web/"), 0);
    assert_eq!(shop.pushed(&["--push=true", "--rebuild"]), json!({"tool": true, "web": true}));
}

#[test]
fn no_environment_gets_an_image_that_was_not_pushed() {
    let Some(shop) = Shop::open() else { return };
    shop.world.ok(&["run", "dev"]);
    assert!(shop.manifests.file("main", "dev/web/kustomization.yaml").contains("digest: sha256:"));
    let promoted = shop.world.ok(&["promote", "--to", "staging", "--unproven"]);
    assert!(promoted.contains("web") && !promoted.contains("tool"), "{promoted}");
    shop.refused(
        &["promote", "--to", "staging", "--unproven", "tool"],
        "`tool` is built with `push: false`, so no registry has an image to promote",
    );
    shop.refused(
        &["run", "tool"],
        "no service is built before it whose image is pushed, so there is nothing to set",
    );
    let image = shop.world.ok(&["build", "tool"]);
    let digest = image.trim_end().split_once('@').unwrap().1;
    shop.refused(
        &["set", "--env", "dev", &format!("tool=@{digest}")],
        "`tool` is built with `push: false`, and the registry has no `",
    );
}
