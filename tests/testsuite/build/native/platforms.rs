//! Images for several platforms, compressions and annotations.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::Command;

use deployctl::build::{BuildError, Native};
use deployctl::image::{
    BaseImage, BuiltImage, Compression, Digest, ImageReference, Layer, Manifest, Method, Recipe,
};
use deployctl::registry::{Layout, Resolver as _};
use serde_json::{Value, json};

use super::{DOCKER, OCI, base, refuses};
use crate::support::image::{
    Workshop, bytes, config, copies, layer, listing, manifest, output, write_layout,
};
use crate::support::peer;

const TREE: [(&str, &str); 4] = [
    ("bin/linux-amd64*", "for amd64"),
    ("bin/linux-arm64*", "for arm64"),
    ("bin/linux-armv7*", "for armv7"),
    ("site/index.html", "for all"),
];

const PLATFORMS: [&str; 3] = ["linux/amd64", "linux/arm64", "linux/arm/v7"];

fn recipe(platforms: &[&str]) -> Recipe {
    let mut native = copies(&[("bin/{os}-{arch}{variant}", "/bin/app"), ("site", "/srv")]);
    native.annotations = [("org.opencontainers.image.title".to_owned(), "web".to_owned())].into();
    let platforms = platforms.iter().map(|platform| platform.parse().unwrap()).collect();
    Recipe { context: ".".into(), platforms, method: Method::Native(Box::new(native)) }
}

async fn build(recipe: &Recipe, bases: &[BaseImage]) -> (Workshop, Result<BuiltImage, BuildError>) {
    let workshop = Workshop::with(&TREE);
    let built = workshop.build_recipe(&Native::default(), recipe, bases).await;
    (workshop, built)
}

/// Returns the image of one of the index's manifests.
fn child(image: &BuiltImage, number: usize) -> BuiltImage {
    BuiltImage { manifest: image.children[number].clone(), children: Vec::new(), ..image.clone() }
}

#[tokio::test]
async fn several_platforms_make_an_index_in_which_each_has_its_own_files() {
    let (_workshop, built) = build(&recipe(&PLATFORMS), &[]).await;
    let image = built.unwrap();
    assert_eq!(image.manifest.media_type, "application/vnd.oci.image.index.v1+json");
    let index = manifest(&image);
    assert_eq!(index["mediaType"], image.manifest.media_type);
    assert_eq!(index["annotations"]["org.opencontainers.image.title"], "web");
    for (number, (platform, text)) in [
        (json!({"architecture": "amd64", "os": "linux"}), "for amd64"),
        (json!({"architecture": "arm64", "os": "linux"}), "for arm64"),
        (json!({"architecture": "arm", "os": "linux", "variant": "v7"}), "for armv7"),
    ]
    .into_iter()
    .enumerate()
    {
        let child = child(&image, number);
        let listed = &index["manifests"][number];
        assert_eq!(listed["digest"], child.manifest.digest().as_str());
        assert_eq!(listed["size"], child.manifest.bytes.len());
        assert_eq!(listed["mediaType"], OCI[0]);
        assert_eq!(listed["platform"], platform);
        assert_eq!(listing(&child)[1], format!("0 bin/app 755 0:0 {text}"));
        assert_eq!(config(&child)["architecture"], platform["architecture"]);
    }
    // Three layers of their own, one that all share, three configs; each once.
    let digests: BTreeSet<&Digest> = image.blobs.iter().map(|blob| &blob.digest).collect();
    assert_eq!((digests.len(), image.blobs.len()), (7, 7));
}

#[tokio::test]
async fn one_platform_makes_a_plain_manifest() {
    let (_workshop, built) = build(&recipe(&PLATFORMS[2..]), &[]).await;
    let image = built.unwrap();
    assert_eq!((image.manifest.media_type.as_str(), image.children.len()), (OCI[0], 0));
    assert_eq!(config(&image)["variant"], "v7");
    let (_workshop, index) = build(&recipe(&PLATFORMS), &[]).await;
    assert_eq!(index.unwrap().children[2], image.manifest, "the same as in an index");
}

fn for_platform(base: &BaseImage, platform: &str) -> BaseImage {
    let mut document: Value = serde_json::from_slice(&base.config).unwrap();
    let mut parts = platform.split('/').skip(1);
    document["architecture"] = parts.next().into();
    document["variant"] = parts.next().into();
    BaseImage { config: document.to_string().into(), ..base.clone() }
}

#[tokio::test]
async fn each_platform_is_built_on_its_own_base() {
    for types in [OCI, DOCKER] {
        let base = base(types[0], types[1], types[2]);
        let bases = PLATFORMS.map(|platform| for_platform(&base, platform));
        let mut recipe = recipe(&PLATFORMS);
        let Method::Native(native) = &mut recipe.method else { unreachable!() };
        native.annotations.clear();
        let (_workshop, built) = build(&recipe, &bases).await;
        let image = built.unwrap();
        let is_docker = types[0] == DOCKER[0];
        let index_type = match is_docker {
            true => "application/vnd.docker.distribution.manifest.list.v2+json",
            false => "application/vnd.oci.image.index.v1+json",
        };
        assert_eq!(image.manifest.media_type, index_type);
        assert_eq!(image.inherited, [Digest::of(b"gzip")]);
        for number in 0..3 {
            let child = child(&image, number);
            assert_eq!(child.manifest.media_type, types[0]);
            assert_eq!(config(&child)["vendor.field"], 1);
            let annotations = &manifest(&child)["annotations"];
            let expected = match is_docker {
                true => Value::Null,
                false => json!({
                    "org.opencontainers.image.base.digest": base.reference.digest.as_str(),
                    "org.opencontainers.image.base.name": "registry.example.com/base:1",
                }),
            };
            assert_eq!(*annotations, expected);
        }
        let (_workshop, fewer) = build(&recipe, &bases[1..]).await;
        refuses(fewer, "the base image was not handed over");
        let (_workshop, wrong) = build(&recipe, &[&bases[1..], &bases[..1]].concat()).await;
        refuses(wrong, "not `linux/amd64`");
    }
}

#[tokio::test]
async fn a_base_in_docker_s_format_takes_no_annotations_and_no_zstd() {
    let docker = base(DOCKER[0], DOCKER[1], DOCKER[2]);
    let only = for_platform(&docker, "linux/amd64");
    let (_workshop, annotated) = build(&recipe(&["linux/amd64"]), &[only]).await;
    refuses(annotated, "annotations need a base in OCI's format, and this one is in Docker's");
    let native =
        deployctl::image::Native { compression: Compression::Zstd, ..copies(&[("a", "/a")]) };
    let method = Method::Native(Box::new(native));
    let zstd = Workshop::new().build(&Native::default(), method, Some(&docker)).await;
    refuses(zstd, "layers with zstd need a base in OCI's format");
}

#[tokio::test]
async fn layers_with_zstd_hold_the_same_files() {
    let method = |compression| {
        let native = deployctl::image::Native { compression, ..copies(&[("site", "/srv")]) };
        Method::Native(Box::new(native))
    };
    let workshop = Workshop::with(&TREE);
    let builder = Native::default();
    let gzip = workshop.build(&builder, method(Compression::Gzip), None).await.unwrap();
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(&bytes(&gzip.blobs[0])[..]).read_to_end(&mut tar).unwrap();
    workshop.tidy();
    let image = workshop.build(&builder, method(Compression::Zstd), None).await.unwrap();
    let layer = &manifest(&image)["layers"][0];
    assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
    assert_eq!(zstd::decode_all(&bytes(&image.blobs[0])[..]).unwrap(), tar);
    assert_eq!(config(&gzip), config(&image));
    let Some(skopeo) = peer("skopeo") else { return };
    let layout = workshop.path().join("layout");
    write_layout(&image, &layout).await;
    let (from, to) = (format!("oci:{layout}:latest"), format!("oci:{layout}-copy:latest"));
    let copy = ["copy", "--insecure-policy", "--dest-compress-format", "gzip", &from, &to];
    output(Command::new(skopeo).args(copy));
}

#[tokio::test]
async fn buildah_builds_on_layers_with_zstd() {
    let native = deployctl::image::Native {
        compression: Compression::Zstd,
        ..copies(&[("site", "/srv"), ("bin/linux-amd64", "/bin/app")])
    };
    let workshop = Workshop::with(&TREE);
    let layout = workshop.path().join("layout");
    write_layout(&workshop.native(native).await, &layout).await;
    let Some(buildah) = peer("buildah") else { return };
    let storage = workshop.path().join("storage");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&buildah);
        command.args(["--root", storage.as_str(), "--runroot", storage.join("run").as_str()]);
        output(command.env("STORAGE_DRIVER", "vfs").args(arguments).current_dir(workshop.path()))
    };
    run(&["pull", "oci:layout:latest"]);
    let container = run(&["from", "oci:layout:latest"]);
    // What it has unpacked is what it would pack again.
    let commit = ["commit", "--disable-compression=true", "--format", "oci", container.trim()];
    run(&[&commit[..], &["oci:again:latest"]].concat());
    run(&["rm", container.trim()]);
    let again = listed_in(&workshop.path().join("again")).await;
    assert!(again.contains(&"bin/app".to_owned()), "{again:?}");
    assert!(again.contains(&"srv/index.html".to_owned()), "{again:?}");
}

/// Returns the paths in the layers, which are not compressed, of the image in a layout.
async fn listed_in(layout: &camino::Utf8Path) -> Vec<String> {
    let layout = Layout::new(layout);
    let reference: ImageReference = "localhost/again:latest".parse().unwrap();
    let manifest = layout.manifest(&reference).await.unwrap().unwrap();
    let manifest: Value = serde_json::from_slice(&manifest.bytes).unwrap();
    let mut paths = Vec::new();
    for layer in manifest["layers"].as_array().unwrap() {
        let digest: Digest = layer["digest"].as_str().unwrap().parse().unwrap();
        let blob = std::fs::read(layout.dir().join("blobs/sha256").join(digest.hex())).unwrap();
        let mut archive = tar::Archive::new(&blob[..]);
        let entries = archive.entries().unwrap();
        paths.extend(entries.map(|e| e.unwrap().path().unwrap().display().to_string()));
    }
    paths
}

#[tokio::test]
async fn skopeo_and_buildah_take_the_platform_that_they_are_asked_for() {
    let (workshop, built) = build(&recipe(&PLATFORMS), &[]).await;
    let layout = workshop.path().join("layout");
    write_layout(&built.unwrap(), &layout).await;
    let at = format!("oci:{layout}:latest");
    if let Some(skopeo) = peer("skopeo") {
        for (architecture, variant) in [("amd64", ""), ("arm64", ""), ("arm", "v7")] {
            let mut skopeo = Command::new(&skopeo);
            skopeo.args(["--override-os", "linux", "--override-arch", architecture]);
            skopeo.args(["--override-variant", variant]).args(["inspect", &at]);
            let said: Value = serde_json::from_str(&output(&mut skopeo)).unwrap();
            assert_eq!(said["Architecture"], architecture);
        }
    }
    let Some(buildah) = peer("buildah") else { return };
    let storage = workshop.path().join("storage");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&buildah);
        command.args(["--root", storage.as_str(), "--runroot", storage.join("run").as_str()]);
        output(command.env("STORAGE_DRIVER", "vfs").args(arguments).current_dir(workshop.path()))
    };
    // It names the image after the folder, which must be one in lower case.
    let container = run(&["from", "--arch", "arm64", "--pull-always", "oci:layout:latest"]);
    let inspected: Value = serde_json::from_str(&run(&["inspect", container.trim()])).unwrap();
    assert_eq!(inspected["OCIv1"]["architecture"], "arm64");
    run(&["rm", container.trim()]);
}

/// Bases of an index: what the base's name referred to is the index, not one of its manifests.
#[tokio::test]
async fn an_image_is_a_base_for_another_through_a_layout() {
    let (workshop, built) = build(&recipe(&PLATFORMS), &[]).await;
    let image = built.unwrap();
    let layout = Layout::new(workshop.path().join("layout"));
    write_layout(&image, layout.dir()).await;
    let reference: ImageReference =
        format!("registry.example.com/shop/web@{}", image.manifest.digest()).parse().unwrap();
    let stored: Manifest = layout.manifest(&reference).await.unwrap().unwrap();
    assert_eq!(stored, image.manifest);
    let mut second = copies(&[]);
    second.layers = vec![Layer { links: [("/x".into(), "y".to_owned())].into(), ..layer("", "/") }];
    second.layers[0].from.clear();
    let bases = [0, 2].map(|number| BaseImage {
        reference: format!("registry.example.com/shop/web:1@{}", image.manifest.digest())
            .parse()
            .unwrap(),
        manifest: image.children[number].clone(),
        config: config(&child(&image, number)).to_string().into(),
    });
    let platforms = vec![PLATFORMS[0].parse().unwrap(), PLATFORMS[2].parse().unwrap()];
    let method = Method::Native(Box::new(second));
    let recipe = Recipe { context: ".".into(), platforms, method };
    let (_workshop, second) = build(&recipe, &bases).await;
    let second = second.unwrap();
    let annotations = &manifest(&child(&second, 1))["annotations"];
    assert_eq!(
        annotations["org.opencontainers.image.base.digest"],
        image.manifest.digest().as_str()
    );
    assert_eq!(second.inherited.len(), 3, "two of their own, and one that both share");
    assert_eq!(listing(&child(&second, 1)), ["2 x 777 0:0 -> y"]);
}
