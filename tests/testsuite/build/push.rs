//! How few requests a push takes, by the request log of a real registry.

use serde_json::Value;

use crate::support::{RegistryServer, World};

/// A world whose service `web` is built on `base:1` of the same registry, which has three layers.
struct Shop {
    registry: RegistryServer,
    world: World,
}

impl Shop {
    fn open() -> Option<Self> {
        let registry = RegistryServer::start_plain()?;
        let domain = registry.domain();
        let layers = "[{from: a, to: /a}, {from: b, to: /b}, {from: c, to: /c}]";
        let config = format!(
            "version: 1\nrecordInputs: false\nenvironments: {{}}\nservices:\n  base:\n    image: {domain}/shop/base\n    tag: content\n    build: {{context: base, layers: {layers}}}\n  web:\n    image: {domain}/shop/web\n    tag: input\n    build: {{context: web, base: '{domain}/shop/base:1', layers: [{{from: ., to: /srv}}]}}\n"
        );
        let world = World::new();
        world.write("deployctl.yaml", &config);
        for name in ["a", "b", "c"] {
            world.write(&format!("base/{name}"), name);
        }
        world.write("web/index.html", "<h1>one</h1>\n");
        let shop = Self { registry, world };
        shop.build(&["base", "--tag", "1"]);
        Some(shop)
    }

    fn build(&self, arguments: &[&str]) -> Value {
        let told = self.world.ok(&[&["build", "--output", "json"], arguments].concat());
        serde_json::from_str(&told).unwrap()
    }

    /// Builds `web` and returns what was told, and the requests by their kind in the registry's log.
    fn web(&self) -> (Value, Counts) {
        let before = self.counts();
        let told = self.build(&["web"]);
        let counts = self.counts();
        let counts = Counts(std::array::from_fn(|kind| counts.0[kind] - before.0[kind]));
        let total: usize = counts.0.iter().sum();
        assert_eq!(told["requests"]["total"], total, "what is told is what was asked: {told}");
        (told, counts)
    }

    fn counts(&self) -> Counts {
        let count = |kind: &str| self.registry.count_requests(kind);
        Counts(KINDS.map(|(_, text)| count(text)))
    }
}

const KINDS: [(&str, &str); 8] = [
    ("HEAD manifest", "\"HEAD /v2/shop/web/manifests/"),
    ("HEAD base", "\"HEAD /v2/shop/base/manifests/"),
    ("GET base", "\"GET /v2/shop/base/"),
    ("HEAD blob", "\"HEAD /v2/shop/web/blobs/"),
    ("GET", "\"GET /v2/shop/web/"),
    ("POST", "\"POST /v2/shop/web/blobs/uploads/"),
    ("PUT blob", "\"PUT /v2/shop/web/blobs/uploads/"),
    ("PUT manifest", "\"PUT /v2/shop/web/manifests/"),
];

#[derive(PartialEq, Eq)]
struct Counts([usize; 8]);

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named = KINDS.iter().zip(self.0).filter(|(_, count)| *count > 0);
        let named: Vec<String> =
            named.map(|((kind, _), count)| format!("{count} {kind}")).collect();
        f.write_str(&named.join(", "))
    }
}

#[test]
fn a_cold_push_mounts_a_changed_one_sends_what_is_new_and_an_unchanged_one_asks() {
    let Some(shop) = Shop::open() else { return };
    let (told, counts) = shop.web();
    // Three mounts, a layer, a config, a manifest: eight, beside the question and reading the base.
    assert_eq!(
        counts.to_string(),
        "1 HEAD manifest, 1 HEAD base, 2 GET base, 5 POST, 2 PUT blob, 1 PUT manifest"
    );
    let transfers = |told: &Value| -> Vec<String> {
        let layers = told["images"][0]["layers"].as_array().unwrap().iter();
        layers.map(|layer| layer["transfer"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(transfers(&told), ["mounted", "mounted", "mounted", "pushed"]);
    let (again, counts) = shop.web();
    assert_eq!(counts.to_string(), "1 HEAD manifest, 1 HEAD base");
    assert_eq!(again["images"][0]["digest"], told["images"][0]["digest"]);
    shop.world.write("web/index.html", "<h1>two</h1>\n");
    let (told, counts) = shop.web();
    assert_eq!(
        counts.to_string(),
        "1 HEAD manifest, 1 HEAD base, 2 POST, 2 PUT blob, 1 PUT manifest"
    );
    assert_eq!(transfers(&told), ["present", "present", "present", "pushed"]);
}

#[test]
fn a_base_that_is_pinned_is_not_asked_for() {
    let Some(shop) = Shop::open() else { return };
    let base = shop.build(&["base"])["images"][0]["digest"].as_str().unwrap().to_owned();
    let config = shop.world.read("deployctl.yaml");
    shop.world.write("deployctl.yaml", &config.replace("/base:1'", &format!("/base:1@{base}'")));
    shop.web();
    assert_eq!(shop.web().1.to_string(), "1 HEAD manifest");
}

#[test]
fn what_a_repository_lost_is_given_to_it_again() {
    let Some(shop) = Shop::open() else { return };
    let (first, _) = shop.web();
    shop.registry.lose_repository("shop/web");
    let (again, counts) = shop.web();
    assert_eq!(again["images"][0]["digest"], first["images"][0]["digest"]);
    // The manifest is refused, all five blobs are looked for, three are mounted and two sent.
    assert_eq!(
        counts.to_string(),
        "1 HEAD manifest, 1 HEAD base, 5 HEAD blob, 5 POST, 2 PUT blob, 2 PUT manifest"
    );
    let image = again["images"][0]["image"].as_str().unwrap();
    assert!(shop.world.ok(&["build", "--dry-run", "web"]).contains(&image[image.len() - 64..]));
}

#[test]
fn what_is_remembered_may_be_broken_or_gone() {
    let Some(shop) = Shop::open() else { return };
    shop.web();
    let cache = shop.world.path().join("home/.cache/deployctl/images");
    for folder in ["documents", "repositories"] {
        for entry in cache.join(folder).read_dir_utf8().unwrap() {
            std::fs::write(entry.unwrap().path(), "\u{0}broken\n").unwrap();
        }
    }
    shop.world.write("web/index.html", "<h1>two</h1>\n");
    let (_, counts) = shop.web();
    assert_eq!(
        counts.to_string(),
        "1 HEAD manifest, 1 HEAD base, 2 GET base, 5 POST, 2 PUT blob, 1 PUT manifest"
    );
    // A cache that can't be made is none.
    std::fs::remove_dir_all(cache.parent().unwrap()).unwrap();
    std::fs::write(cache.parent().unwrap(), "").unwrap();
    shop.world.write("web/index.html", "<h1>three</h1>\n");
    shop.web();
}

#[test]
fn the_record_of_inputs_is_one_request_and_what_the_registry_lacks() {
    let Some(shop) = Shop::open() else { return };
    let config = shop.world.read("deployctl.yaml");
    shop.world.write("deployctl.yaml", &config.replace("recordInputs: false\n", ""));
    shop.web();
    shop.world.write("web/index.html", "<h1>two</h1>\n");
    let (_, counts) = shop.web();
    // The record is the second manifest. This registry has no API for referrers, so that is asked for,
    // their list is looked for, and put as the third.
    assert_eq!(
        counts.to_string(),
        "1 HEAD manifest, 1 HEAD base, 2 GET, 2 POST, 2 PUT blob, 3 PUT manifest"
    );
}
