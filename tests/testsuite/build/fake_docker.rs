//! What docker is told to do where buildx is installed: a `docker` of the test's own writes its
//! arguments down.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use deployctl::build;
use deployctl::image::{BuiltImage, Cache, Digest, Dockerfile, Method, Recipe, SecretSource};
use deployctl::system::Environment;
use serde_json::{Value, json};

use crate::support::image::{Workshop, copies, write_layout};

/// Answers as docker does. `$WORLD` has the driver's name, and the layout that a build results in.
const DOCKER: &str = r#"#!/bin/sh
echo "$SOURCE_DATE_EPOCH $BUILDX_NO_DEFAULT_ATTESTATIONS $*" >> "$WORLD/calls"
case "$1 $2" in
"version --format") echo 28.0.0 28.0.0 ;;
"buildx version") [ -s "$WORLD/driver" ] || { echo "unknown command: docker buildx" >&2; exit 1; } ;;
"info --format") cat "$WORLD/store" ;;
"buildx inspect") echo "Name: x"; echo "Driver:   $(cat "$WORLD/driver")" ;;
"buildx build") [ "$A" = "b c" ] || exit 1; cp -r "$WORLD/layout" layout; echo building >&2 ;;
"save --output") cd "$WORLD/layout"; tar -cf "$3" * ;;
esac
"#;

struct World {
    workshop: Workshop,
    image: BuiltImage,
}

impl World {
    async fn with_driver(driver: &str) -> Self {
        let workshop = Workshop::with(&[("app*", "x"), ("ci/Dockerfile", "FROM scratch\n")]);
        let image = workshop.native(copies(&[("app", "/bin/app")])).await;
        let dir = workshop.path();
        fs::write(dir.join("driver"), driver).unwrap();
        fs::write(dir.join("store"), "[[\"Backing Filesystem\",\"extfs\"]]").unwrap();
        fs::write(dir.join("docker"), DOCKER).unwrap();
        fs::set_permissions(dir.join("docker"), fs::Permissions::from_mode(0o755)).unwrap();
        write_layout(&image, &dir.join("layout")).await;
        Self { workshop, image }
    }

    /// Returns the built image and the calls that docker got, the test's own paths shortened.
    async fn build(&self) -> (BuiltImage, Vec<String>) {
        self.build_for(&[], Dockerfile::default()).await
    }

    /// As [`World::build`], for these platforms, and with what else the recipe says.
    async fn build_for(&self, platforms: &[&str], more: Dockerfile) -> (BuiltImage, Vec<String>) {
        let dir = self.workshop.path();
        let path = format!("{dir}:{}", Environment::of_process().get("PATH").unwrap());
        let environment = [("PATH", path), ("WORLD", dir.to_string())].into_iter().collect();
        let builder = build::engine(&environment, None).await.unwrap();
        let method = Method::Dockerfile(Dockerfile {
            file: Some("ci/Dockerfile".into()),
            target: Some("web".to_owned()),
            args: [("A".to_owned(), "b c".to_owned())].into(),
            ..more
        });
        let platforms = platforms.iter().map(|text| text.parse().unwrap()).collect();
        let recipe = Recipe { context: ".".into(), platforms, method };
        let image = self.workshop.build_recipe(builder.as_ref(), &recipe, &[]).await.unwrap();
        let calls = fs::read_to_string(dir.join("calls")).unwrap();
        let calls = calls.replace(dir.as_str(), "DIR");
        (image, calls.lines().map(|call| call.trim().to_owned()).collect())
    }
}

#[tokio::test]
async fn buildx_writes_an_oci_layout_where_its_driver_can() {
    let world = World::with_driver("docker-container").await;
    let (image, calls) = world.build().await;
    assert_eq!(image.manifest, world.image.manifest);
    assert_eq!(
        calls,
        [
            "version --format {{.Client.Version}} {{.Server.Version}}",
            "buildx version",
            "buildx inspect",
            "0 1 buildx build --file DIR/context/ci/Dockerfile --target web --build-arg A \
             --build-arg SOURCE_DATE_EPOCH=0 --pull --platform linux/amd64 \
             --output type=oci,dest=layout,tar=false,rewrite-timestamp=true DIR/context",
        ]
    );
}

#[tokio::test]
async fn buildx_loads_the_image_into_the_daemon_where_its_driver_can_t() {
    let world = World::with_driver("docker").await;
    let config = world.image.blobs.last().unwrap().digest.hex().to_owned();
    let layer = world.image.blobs[0].digest.hex().to_owned();
    let manifest = serde_json::json!([{
        "Config": format!("blobs/sha256/{config}"), "Layers": [format!("blobs/sha256/{layer}")],
    }]);
    let file = world.workshop.path().join("layout/manifest.json");
    fs::write(file, manifest.to_string()).unwrap();
    let (image, calls) = world.build().await;
    assert_eq!(image.manifest, world.image.manifest);
    assert_eq!(calls[3], "info --format {{json .DriverStatus}}");
    let name = calls[4].split(' ').find(|word| word.starts_with("localhost/")).unwrap();
    assert!(name.starts_with("localhost/deployctl-build:"), "{name}");
    assert!(calls[4].contains(" --load "), "{}", calls[4]);
    assert_eq!(calls[5], format!("save --output DIR/scratch/image.tar {name}"));
    assert_eq!(calls[6], format!("image rm {name}"));
}

#[tokio::test]
async fn buildx_writes_an_oci_layout_where_the_daemon_keeps_images_in_containerd() {
    let world = World::with_driver("docker").await;
    let status = r#"[["driver-type","io.containerd.snapshotter.v1"]]"#;
    fs::write(world.workshop.path().join("store"), status).unwrap();
    let (image, calls) = world.build().await;
    assert_eq!(image.manifest, world.image.manifest);
    assert!(calls[4].contains(" --output type=oci,"), "{}", calls[4]);
}

/// Puts an index with an image for arm64 and two attestations into the layout.
fn add_platform(world: &World) -> Digest {
    let layout = world.workshop.path().join("layout");
    let store = |bytes: String, media_type: &str| {
        let digest = Digest::of(bytes.as_bytes());
        fs::write(layout.join("blobs/sha256").join(digest.hex()), &bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest.as_str(), "size": bytes.len() })
    };
    let config = json!({ "os": "linux", "architecture": "arm64" }).to_string();
    let config = store(config, "application/vnd.oci.image.config.v1+json");
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let mut arm = store(json!({ "config": config, "layers": [] }).to_string(), manifest);
    arm["platform"] = json!({ "os": "linux", "architecture": "arm64" });
    let mut attestation = store("{}".to_owned(), manifest);
    attestation["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    let own = &world.image.manifest;
    let amd = json!({
        "mediaType": own.media_type, "digest": own.digest().as_str(), "size": own.bytes.len(),
        "platform": { "os": "linux", "architecture": "amd64" },
    });
    let index = json!({ "manifests": [attestation, amd, attestation, arm] }).to_string();
    let index = store(index, "application/vnd.oci.image.index.v1+json");
    fs::write(layout.join("index.json"), json!({ "manifests": [index] }).to_string()).unwrap();
    arm["digest"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn several_platforms_are_an_index_in_the_recipe_s_order_without_attestations() {
    let world = World::with_driver("docker-container").await;
    let arm = add_platform(&world);
    let platforms = ["linux/arm64", "linux/amd64"];
    let (image, calls) = world.build_for(&platforms, Dockerfile::default()).await;
    assert!(calls[3].contains(" --platform linux/arm64,linux/amd64 "), "{}", calls[3]);
    let index: Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
    let listed: Vec<_> = index["manifests"].as_array().unwrap().iter().collect();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["digest"], arm.as_str());
    assert_eq!(listed[1]["digest"], world.image.manifest.digest().as_str());
    let children: Vec<_> = image.children.iter().map(deployctl::image::Manifest::digest).collect();
    assert_eq!(children, [arm, world.image.manifest.digest()]);
}

#[tokio::test]
async fn buildx_gets_secrets_by_name_and_the_cache_of_the_registry() {
    let world = World::with_driver("docker-container").await;
    fs::write(world.workshop.path().join("npm"), "canary-0123456789").unwrap();
    let more = Dockerfile {
        secrets: [
            ("npm".to_owned(), SecretSource::File("npm".into())),
            ("token".to_owned(), SecretSource::Variable("WORLD".to_owned())),
        ]
        .into(),
        cache: Cache {
            from: vec!["registry.example.com/shop/web:main".parse().unwrap()],
            to: "registry.example.com/shop/web".parse().ok(),
        },
        ..Dockerfile::default()
    };
    let (_, calls) = world.build_for(&[], more).await;
    let expected = " --cache-from=type=registry,ref=registry.example.com/shop/web:main \
                     --cache-to=type=registry,ref=registry.example.com/shop/web:latest,mode=max ";
    assert!(calls[3].contains(expected), "{}", calls[3]);
    let expected = " --secret id=npm,src=DIR/npm --secret id=token,env=WORLD DIR/context";
    assert!(calls[3].ends_with(expected), "{}", calls[3]);
    assert!(!calls[3].contains("canary"), "{}", calls[3]);
}
