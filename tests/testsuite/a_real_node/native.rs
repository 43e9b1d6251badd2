//! Images that the native builder made, run by containerd.

use deployctl::build::Native;
use deployctl::image::{BuiltImage, Compression, ImageReference, Layer, Method, Recipe, RunConfig};
use deployctl::registry::{Registry as _, Remote};
use deployctl::system::Environment;
use tokio::task::block_in_place;

use crate::support::image::{Workshop, layer};
use crate::support::kubernetes::{ControlPlane, Node, Pulls};
use crate::support::{RegistryServer, peer, wait_until};

const NAMESPACE: &str = "native";

fn recipe(compression: Compression, platforms: &[&str]) -> Recipe {
    let links = [("/bin/sleep".into(), "busybox".to_owned())].into();
    let native = deployctl::image::Native {
        layers: vec![
            Layer { capabilities: 1 << 10, ..layer("busybox", "/bin/") },
            Layer { links, folders: vec!["/tmp".into()], ..Layer::default() },
        ],
        config: RunConfig {
            entrypoint: Some(vec!["/bin/sleep".to_owned(), "1000".to_owned()]),
            user: Some("65532:65532".to_owned()),
            workdir: Some("/tmp".into()),
            ..RunConfig::default()
        },
        compression,
        ..deployctl::image::Native::default()
    };
    let platforms = platforms.iter().map(|platform| platform.parse().unwrap()).collect();
    Recipe { context: ".".into(), platforms, method: Method::Native(Box::new(native)) }
}

async fn push(image: &BuiltImage, name: &str) {
    let registry = Remote::new(&Environment::default()).unwrap();
    let ImageReference { name, tag, .. } = name.parse().unwrap();
    for blob in &image.blobs {
        registry.push_blob(&name, blob).await.unwrap();
    }
    for child in &image.children {
        registry.push_manifest(&name, child, &[]).await.unwrap();
    }
    registry.push_manifest(&name, &image.manifest, tag.as_slice()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_with_gzip_or_zstd_and_indexes_of_them_run() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let Some(registry) = RegistryServer::start_plain() else { return };
    let (Some(_node), Some(busybox)) = (Node::start(&control_plane).await, peer("busybox")) else {
        return;
    };
    let workshop = Workshop::new();
    std::fs::copy(busybox, workshop.context().join("busybox")).unwrap();
    let cases = [
        ("gzip", Compression::Gzip, &[][..]),
        ("zstd", Compression::Zstd, &[]),
        ("index", Compression::Gzip, &["linux/arm64", "linux/amd64"]),
    ];
    let mut pods = String::new();
    for (name, compression, platforms) in cases {
        workshop.tidy();
        let recipe = recipe(compression, platforms);
        let image = workshop.build_recipe(&Native::default(), &recipe, &[]).await.unwrap();
        let at = format!("{}/shop/{name}:1", registry.domain());
        push(&image, &at).await;
        pods.push_str(&format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {NAMESPACE}}}\nspec:\n  \
             terminationGracePeriodSeconds: 1\n  containers: [{{name: web, image: '{at}'}}]\n"
        ));
    }
    block_in_place(|| {
        let _pulls = Pulls::within(control_plane, NAMESPACE);
        control_plane.apply(&pods);
        let phases = ["-n", NAMESPACE, "get", "pods", "-o", "jsonpath={.items[*].status.phase}"];
        wait_until("three pods", || control_plane.kubectl(&phases) == "Running Running Running");
    });
}
