//! The registry backends beside the programs that others read images with.

use std::path::Path;
use std::process::Command;

use deployctl::image::{Blob, BlobContent, Digest, ImageName, Manifest};
use deployctl::registry::{Layout, Registry};
use serde_json::json;

use crate::support::peer;

#[tokio::test]
async fn skopeo_reads_a_layout_by_tag() {
    let Some(skopeo) = peer("skopeo") else { return };
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(camino::Utf8Path::from_path(dir.path()).unwrap());
    let digest = push_image(&layout, &"registry.example.com/shop/web".parse().unwrap(), "v1").await;
    let source = format!("oci:{}:v1", dir.path().display());
    assert_eq!(inspect(&skopeo, &[&source]), digest.as_str());
}

#[tokio::test]
async fn umoci_unpacks_a_layout() {
    let Some(umoci) = peer("umoci") else { return };
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(camino::Utf8Path::from_path(dir.path()).unwrap().join("layout"));
    push_image(&layout, &"registry.example.com/shop/web".parse().unwrap(), "v1").await;
    let image = format!("{}:v1", layout.dir());
    let bundle = dir.path().join("bundle");
    let output = Command::new(umoci)
        .args(["raw", "unpack", "--rootless", "--image", &image])
        .arg(&bundle)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_to_string(bundle.join("hello")).unwrap(), "hello\n");
}

/// Pushes an image with the one file `hello` and returns its digest.
async fn push_image(registry: &dyn Registry, name: &ImageName, tag: &str) -> Digest {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(6);
    header.set_mode(0o644);
    tar.append_data(&mut header, "hello", &b"hello\n"[..]).unwrap();
    let layer = blob(tar.into_inner().unwrap());
    let config = json!({"architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest.as_str()]}});
    let config = blob(config.to_string().into_bytes());
    let part = |kind: &str, blob: &Blob| {
        json!({"mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": blob.digest.as_str(), "size": blob.size})
    };
    let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
    let text = json!({"schemaVersion": 2, "mediaType": media_type,
        "config": part("config.v1+json", &config), "layers": [part("layer.v1.tar", &layer)]});
    let manifest = Manifest { media_type, bytes: text.to_string().into() };
    for blob in [layer, config] {
        registry.push_blob(name, &blob).await.unwrap();
    }
    let tag = tag.parse().unwrap();
    registry.push_manifest(name, &manifest, Some(&tag)).await.unwrap();
    manifest.digest()
}

fn blob(bytes: Vec<u8>) -> Blob {
    let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
    Blob { digest, size, content: BlobContent::Bytes(bytes.into()) }
}

/// Returns the digest that `skopeo inspect` prints.
fn inspect(skopeo: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(skopeo);
    let output = command.args(["inspect", "--format", "{{.Digest}}"]).args(arguments).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
