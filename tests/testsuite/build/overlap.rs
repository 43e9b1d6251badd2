//! An image is stored while the next one is built: with a registry that takes its time where it is told to.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use deployctl::config::{Config, Service};
use deployctl::git::GitError;
use deployctl::image::{Blob, Digest, ImageName, ImageReference, Manifest, SourceFacts, Tag};
use deployctl::ops::{
    self, BuildFailed, BuildOptions, BuildReport, Event, Extent, FailedBuild, Sources,
};
use deployctl::registry::{
    BlobReader, Descriptor, Memory, Registry, RegistryError, RequestCount, Resolver,
};
use deployctl::system::Environment;
use tokio::sync::Notify;

use crate::support::World;

/// Services that are built from nothing but a file each.
struct Shop {
    world: World,
    config: Config,
    registry: Slow,
}

/// A registry that takes no blob of one repository before it is told to.
#[derive(Default)]
struct Slow {
    memory: Memory,
    /// The repository.
    held: &'static str,
    /// The service whose build ends that, or whoever waits long enough.
    until: Option<&'static str>,
    /// What becomes of its blobs then.
    is_refused: bool,
    go: Notify,
    log: Mutex<Vec<String>>,
}

impl Shop {
    /// Returns a shop with these services and what their `build` sections say.
    fn new(services: &[(&str, &str)], registry: Slow) -> Self {
        let world = World::new();
        let service = |(name, build): &(&str, &str)| {
            world.write(&format!("{name}/file"), name);
            format!(
                "  {name}: {{image: r.example.com/{name}, tag: content, build: {{context: {name}, {build}}}}}\n"
            )
        };
        let services: String = services.iter().map(service).collect();
        let text = format!("version: 1\nenvironments: {{}}\nservices:\n{services}");
        let path = world.write("deployctl.yaml", &text);
        Self { config: Config::parse(&path, &text).unwrap(), world, registry }
    }

    async fn build(&self, tag: Option<&str>) -> Result<BuildReport, Box<BuildFailed>> {
        let environment = Environment::default();
        let options = BuildOptions {
            services: self.config.services.values().collect(),
            sources: &Nowhere,
            folder: self.config.folder(),
            tag: tag.map(|tag| tag.parse().unwrap()),
            epoch: 0,
            registry: &self.registry,
            bases: &self.registry,
            extent: Extent::default(),
            since: None,
            explain: false,
            nearby: Vec::new(),
            record: false,
            cache: None,
            attacher: None,
            base_signers: &[],
            environment: &environment,
        };
        ops::build(&options, &|event| self.registry.hear(&event)).await
    }

    /// Returns where each of these is in the log.
    fn order<const N: usize>(&self, lines: [&str; N]) -> [usize; N] {
        let log = self.registry.log.lock().unwrap();
        lines.map(|line| log.iter().position(|it| it == line).unwrap_or_else(|| panic!("{log:?}")))
    }
}

impl Slow {
    fn hear(&self, event: &Event) {
        let Event::Building { service } = event else { return };
        self.log.lock().unwrap().push(format!("building {service}"));
        if self.until == Some(service.as_str()) {
            self.go.notify_one();
        }
    }
}

const LAYERS: &str = "layers: [{from: ., to: /srv}]";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_images_wait_for_the_one_that_is_stored_and_no_more_are_built() {
    let services = ["a", "b", "c", "d", "e"].map(|name| (name, LAYERS));
    // Without an overlap `c` would wait for `a`, and `a` for `c`.
    let shop = Shop::new(&services, Slow { held: "a", until: Some("c"), ..Slow::default() });
    let built = tokio::time::timeout(Duration::from_secs(60), shop.build(None)).await;
    let built = built.expect("nothing waits for ever").unwrap();
    let names: Vec<&str> = built.images.iter().map(|image| image.service.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    assert!(built.images.iter().all(|image| image.pushed));
    assert!(shop.order(["building c", "released a", "building d", "building e"]).is_sorted());
    assert!(shop.order(["stored a", "stored b", "stored c", "stored d", "stored e"]).is_sorted());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_built_on_an_image_of_this_run_waits_for_it() {
    let base = ("base", LAYERS);
    let web = ("web", "base: 'r.example.com/base:1', layers: [{from: ., to: /web}]");
    let mut shop = Shop::new(&[base], Slow::default());
    shop.build(Some("1")).await.unwrap();
    let registry = Slow { held: "base", memory: shop.registry.memory, ..Slow::default() };
    shop = Shop::new(&[base, web, ("other", LAYERS)], registry);
    shop.world.write("base/file", "changed");
    shop.build(None).await.unwrap();
    assert!(shop.order(["building base", "stored base", "building web", "stored web"]).is_sorted());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_is_not_stored_does_not_lose_the_others() {
    let services = [("a", LAYERS), ("b", "layers: [{from: none, to: /}]"), ("c", LAYERS)];
    let registry = Slow { held: "a", until: Some("c"), is_refused: true, ..Slow::default() };
    let shop = Shop::new(&services, registry);
    let failed = shop.build(None).await.unwrap_err();
    // The build of `b` failed earlier, but the order is that of the services.
    assert!(failed.error.to_string().starts_with("can't push `r.example.com/a:"), "{failed:?}");
    let names: Vec<&str> =
        failed.report.failed.iter().map(|FailedBuild { service, .. }| service.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(failed.report.images.len(), 1);
    assert_eq!(failed.report.images[0].service, "c");
    assert!(failed.report.images[0].pushed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_up_stops_both() {
    let services = ["a", "b", "c"].map(|name| (name, LAYERS));
    let shop = Shop::new(&services, Slow { held: "a", until: Some("none"), ..Slow::default() });
    let is_building = async {
        while !shop.registry.log.lock().unwrap().contains(&"building c".to_owned()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        built = shop.build(None) => panic!("{built:?}"),
        () = is_building => {}
    }
    // What held it up would let it go now.
    shop.registry.go.notify_waiters();
    for service in shop.config.services.values() {
        assert_eq!(shop.registry.memory.tags(&service.image).await.unwrap_or_default(), []);
    }
}

/// Services that are in no repository.
struct Nowhere;

#[async_trait]
impl Sources for Nowhere {
    async fn facts(&self, _service: &Service) -> Result<SourceFacts, GitError> {
        Ok(SourceFacts::default())
    }
}

#[async_trait]
impl Resolver for Slow {
    async fn resolve(&self, reference: &ImageReference) -> Result<Option<Digest>, RegistryError> {
        self.memory.resolve(reference).await
    }

    async fn manifest(&self, at: &ImageReference) -> Result<Option<Manifest>, RegistryError> {
        self.memory.manifest(at).await
    }
}

#[async_trait]
impl Registry for Slow {
    async fn has_blob(&self, name: &ImageName, digest: &Digest) -> Result<bool, RegistryError> {
        self.memory.has_blob(name, digest).await
    }

    async fn blob(&self, name: &ImageName, digest: &Digest) -> Result<BlobReader, RegistryError> {
        self.memory.blob(name, digest).await
    }

    async fn push_blob(&self, name: &ImageName, blob: &Blob) -> Result<(), RegistryError> {
        if name.path() == self.held {
            if self.until.is_some() {
                self.go.notified().await;
                self.go.notify_one();
            }
            // Long enough for a build that does not wait for it.
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.log.lock().unwrap().push(format!("released {}", name.path()));
            if self.is_refused {
                return Err(RegistryError::NotFound(name.to_string()));
            }
        }
        self.memory.push_blob(name, blob).await
    }

    async fn mount_blob(
        &self,
        name: &ImageName,
        digest: &Digest,
        from: &ImageName,
    ) -> Result<bool, RegistryError> {
        self.memory.mount_blob(name, digest, from).await
    }

    async fn push_manifest(
        &self,
        name: &ImageName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), RegistryError> {
        self.memory.push_manifest(name, manifest, tags).await?;
        self.log.lock().unwrap().push(format!("stored {}", name.path()));
        Ok(())
    }

    async fn referrers(
        &self,
        name: &ImageName,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        self.memory.referrers(name, digest, artifact_type).await
    }

    async fn tags(&self, name: &ImageName) -> Result<Vec<Tag>, RegistryError> {
        self.memory.tags(name).await
    }

    fn requests(&self) -> Vec<RequestCount> {
        self.memory.requests()
    }
}
