//! Small images that run on the test's node: busybox, and a command.

use bytes::Bytes;
use deployctl::image::{Blob, BlobContent, Digest, ImageReference, Manifest};
use deployctl::registry::{Registry as _, Remote};
use deployctl::system::Environment;
use serde_json::json;

use crate::support::peer;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Pushes an image that runs the shell command `command` to `name` (`127.0.0.1:PORT/path:tag`) and
/// returns its digest; `None` if busybox is not installed. Files are `/healthz` below `/www`, and
/// busybox with its applets in `/bin`.
pub(crate) async fn push(name: &str, command: &str) -> Option<Digest> {
    let busybox = std::fs::read(peer("busybox")?).unwrap();
    let layer = blob(layer(&busybox));
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh", "-c", command]},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest.as_str()]},
    });
    let config = blob(config.to_string().into_bytes());
    let entry = |media_type, blob: &Blob| json!({"mediaType": media_type, "digest": blob.digest.as_str(), "size": blob.size});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": entry(CONFIG, &config), "layers": [entry(LAYER, &layer)],
    });
    let manifest =
        Manifest { media_type: MANIFEST.to_owned(), bytes: Bytes::from(manifest.to_string()) };
    let ImageReference { name, tag, .. } = name.parse().unwrap();
    let registry = Remote::new(&Environment::default()).unwrap();
    for blob in [&layer, &config] {
        registry.push_blob(&name, blob).await.unwrap();
    }
    registry.push_manifest(&name, &manifest, tag.as_slice()).await.unwrap();
    Some(manifest.digest())
}

fn blob(bytes: Vec<u8>) -> Blob {
    let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
    Blob { digest, size, content: BlobContent::Bytes(bytes.into()) }
}

fn layer(busybox: &[u8]) -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    let mut add = |path: &str, mode: u32, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(mode);
        layer.append_data(&mut header, path, bytes).unwrap();
    };
    add("bin/busybox", 0o755, busybox);
    add("www/healthz", 0o644, b"ok\n");
    for applet in ["sh", "sleep", "httpd", "echo", "cat"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        layer.append_link(&mut header, format!("bin/{applet}"), "busybox").unwrap();
    }
    layer.into_inner().unwrap()
}
