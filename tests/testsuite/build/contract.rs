//! What every builder keeps to, whichever it is.

use std::collections::BTreeSet;
use std::io::Read as _;

use deployctl::build::{BuildError, Builder};
use deployctl::image::{BuiltImage, Digest, Method};
use serde_json::Value;

use crate::support::image::{Workshop, bytes, config, listing, manifest};

const FILES: [(&str, &str); 6] = [
    ("bin/app*", "#!/bin/sh\necho hello\n"),
    ("site/index.html", "<h1>hello</h1>\n"),
    ("site/secret.key", "left out"),
    (
        "Dockerfile",
        "FROM scratch\nCOPY bin/app /bin/app\nCOPY site /srv/\nENTRYPOINT [\"/bin/app\"]\n",
    ),
    (".dockerignore", "**/*.key\n"),
    ("broken/Dockerfile", "FROM scratch\nCOPY none /none\n"),
];

/// Runs the suite over a builder: `good` copies `bin/app` and `site` to `/srv` and runs `/bin/app`,
/// `bad` copies a file that is not there.
pub(super) async fn holds_for(builder: &dyn Builder, good: Method, bad: Method) {
    let workshop = Workshop::with(&FILES);
    let image = workshop.build(builder, good.clone(), None).await.unwrap();
    it_is_whole(&image);
    it_has_what_was_copied(&image);
    workshop.tidy();
    let again = workshop.build(builder, good.clone(), None).await.unwrap();
    assert_eq!(again.manifest.digest(), image.manifest.digest(), "a build can be repeated");
    workshop.tidy();
    let error = workshop.build(builder, bad, None).await.unwrap_err().to_string();
    assert!(error.contains("none"), "names the file that is missing: {error}");
    let empty = Workshop::new();
    std::fs::remove_dir(empty.context()).unwrap();
    let error = empty.build(builder, good, None).await.unwrap_err();
    assert!(matches!(error, BuildError::File { .. }), "{error}");
}

/// The manifest names the blobs and nothing else, and all digests and sizes are true.
fn it_is_whole(image: &BuiltImage) {
    let manifest = manifest(image);
    let layers = manifest["layers"].as_array().unwrap();
    let named = layers.iter().chain([&manifest["config"]]);
    let named: BTreeSet<(String, u64)> = named
        .map(|descriptor| {
            let digest = descriptor["digest"].as_str().unwrap().to_owned();
            (digest, descriptor["size"].as_u64().unwrap())
        })
        .collect();
    let made = image.blobs.iter().map(|blob| (blob.digest.to_string(), blob.size));
    assert_eq!(named, made.collect());
    for blob in &image.blobs {
        let bytes = bytes(blob);
        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (blob.digest.clone(), blob.size));
    }
    assert_eq!(image.inherited, []);
    assert_eq!(
        manifest["mediaType"].as_str().unwrap_or(&image.manifest.media_type),
        image.manifest.media_type
    );
    let diff_ids: Vec<Value> = layers.iter().map(|layer| diff_id(image, layer)).collect();
    assert_eq!(config(image)["rootfs"]["diff_ids"], Value::Array(diff_ids));
}

fn diff_id(image: &BuiltImage, layer: &Value) -> Value {
    let blob = image.blobs.iter().find(|blob| blob.digest.as_str() == layer["digest"]).unwrap();
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(bytes(blob).as_slice()).read_to_end(&mut tar).unwrap();
    Digest::of(&tar).as_str().into()
}

fn it_has_what_was_copied(image: &BuiltImage) {
    let entries = listing(image);
    let has = |line: &str| entries.iter().any(|entry| entry.ends_with(line));
    assert!(has("bin/app 755 0:0 #!/bin/sh\necho hello\n"), "{entries:?}");
    assert!(has("srv/index.html 644 0:0 <h1>hello</h1>\n"), "{entries:?}");
    assert!(!entries.iter().any(|entry| entry.contains("secret")), "{entries:?}");
    let config = config(image);
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/bin/app"]));
    assert_eq!(config["os"], "linux");
    assert_ne!(config["architecture"].as_str().unwrap_or_default(), "");
}
