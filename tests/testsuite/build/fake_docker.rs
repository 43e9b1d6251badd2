//! What docker is told to do where buildx is installed: a `docker` of the test's own writes its
//! arguments down.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use deployctl::build;
use deployctl::image::{BuiltImage, Dockerfile, Method};
use deployctl::system::Environment;

use crate::support::image::{Workshop, copies, write_layout};

/// Answers as docker does. `$WORLD` has the driver's name, and the layout that a build results in.
const DOCKER: &str = r#"#!/bin/sh
echo "$SOURCE_DATE_EPOCH $BUILDX_NO_DEFAULT_ATTESTATIONS $*" >> "$WORLD/calls"
case "$1 $2" in
"version --format") echo 28.0.0 28.0.0 ;;
"buildx version") [ -s "$WORLD/driver" ] || { echo "unknown command: docker buildx" >&2; exit 1; } ;;
"buildx inspect") echo "Name: x"; echo "Driver:   $(cat "$WORLD/driver")" ;;
"buildx build") cp -r "$WORLD/layout" layout; echo building >&2 ;;
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
        fs::write(dir.join("docker"), DOCKER).unwrap();
        fs::set_permissions(dir.join("docker"), fs::Permissions::from_mode(0o755)).unwrap();
        write_layout(&image, &dir.join("layout")).await;
        Self { workshop, image }
    }

    /// Returns the built image and the calls that docker got, the test's own paths shortened.
    async fn build(&self) -> (BuiltImage, Vec<String>) {
        let dir = self.workshop.path();
        let path = format!("{dir}:{}", Environment::of_process().get("PATH").unwrap());
        let environment = [("PATH", path), ("WORLD", dir.to_string())].into_iter().collect();
        let builder = build::engine(&environment, None).await.unwrap();
        let method = Method::Dockerfile(Dockerfile {
            file: Some("ci/Dockerfile".into()),
            target: Some("web".to_owned()),
            args: [("A".to_owned(), "b c".to_owned())].into(),
            ..Dockerfile::default()
        });
        let image = self.workshop.build(builder.as_ref(), method, None).await.unwrap();
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
            "0 1 buildx build --file DIR/context/ci/Dockerfile --target web --build-arg A=b c \
             --build-arg SOURCE_DATE_EPOCH=0 \
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
    let name = calls[3].split(' ').find(|word| word.starts_with("localhost/")).unwrap();
    assert!(name.starts_with("localhost/deployctl-build:"), "{name}");
    assert!(calls[3].contains(" --load "), "{}", calls[3]);
    assert_eq!(calls[4], format!("save --output DIR/scratch/image.tar {name}"));
    assert_eq!(calls[5], format!("image rm {name}"));
}
