//! The OCI layout directory that an engine leaves in the scratch folder, as an image.

use std::fs;

use camino::Utf8Path;
use serde_json::Value;

use super::format::{Format, OCI_INDEX};
use crate::image::{Blob, BlobContent, BuiltImage, Digest, Manifest, Platform};

/// The largest manifest that a registry has to take (distribution specification).
const LARGEST_MANIFEST: u64 = 4 << 20;

/// Returns the images of the layout in the folder `dir`, one a platform, or why they are not there.
/// Attestations are left out.
pub(super) fn read(dir: &Utf8Path, platforms: &[Platform]) -> Result<Vec<BuiltImage>, String> {
    let index = parse(&document(&dir.join("index.json"))?)?;
    let index = match index["manifests"].as_array().map(Vec::as_slice) {
        Some([only]) if only["mediaType"] == OCI_INDEX => parse(&stored(dir, only)?)?,
        _ => index,
    };
    match platforms {
        [_] => Ok(vec![image(dir, &only_image(&index)?)?]),
        _ => platforms.iter().map(|platform| image(dir, &image_for(&index, platform)?)).collect(),
    }
}

fn image(dir: &Utf8Path, descriptor: &Value) -> Result<BuiltImage, String> {
    let media_type = descriptor["mediaType"].as_str().unwrap_or_default().to_owned();
    if Format::of(&media_type).is_none() {
        return Err(format!("it wrote a `{media_type}`, not an image"));
    }
    let bytes = stored(dir, descriptor)?;
    let manifest = parse(&bytes)?;
    let mut blobs: Vec<Blob> = Vec::new();
    let layers = manifest["layers"].as_array().into_iter().flatten();
    for descriptor in layers.chain([&manifest["config"]]) {
        let blob = blob(dir, descriptor)?;
        if !blobs.contains(&blob) {
            blobs.push(blob);
        }
    }
    let manifest = Manifest { media_type, bytes: bytes.into() };
    Ok(BuiltImage { manifest, children: Vec::new(), blobs, inherited: Vec::new() })
}

/// Returns the descriptor of the image for a platform: where the index has several variants, the one
/// that names the same.
fn image_for(index: &Value, platform: &Platform) -> Result<Value, String> {
    let manifests = index["manifests"].as_array().into_iter().flatten();
    let stated = |descriptor: &Value| {
        let text = |key: &str| descriptor["platform"][key].as_str().map(str::to_owned);
        let (os, architecture) = (text("os")?, text("architecture")?);
        Some(Platform { os, architecture, variant: text("variant") })
    };
    let fits = |descriptor: &&Value| stated(descriptor).is_some_and(|it| platform.accepts(&it));
    let fitting: Vec<&Value> = manifests.filter(fits).collect();
    let exact = fitting.iter().find(|it| stated(it).as_ref() == Some(platform));
    match exact.or(fitting.first()) {
        Some(descriptor) => Ok((*descriptor).clone()),
        None => Err(format!("it wrote no image for {platform}")),
    }
}

/// Returns the descriptor of the only manifest in an index that is not an attestation.
fn only_image(index: &Value) -> Result<Value, String> {
    let manifests = index["manifests"].as_array().into_iter().flatten();
    let is_image = |descriptor: &&Value| descriptor["platform"]["os"] != "unknown";
    let images: Vec<&Value> = manifests.filter(is_image).collect();
    match images.as_slice() {
        [image] => Ok((*image).clone()),
        images => Err(format!("it wrote {} images instead of one", images.len())),
    }
}

/// Returns the document that a descriptor points at, its digest checked.
fn stored(dir: &Utf8Path, descriptor: &Value) -> Result<Vec<u8>, String> {
    let blob = blob(dir, descriptor)?;
    let bytes = document(&dir.join("blobs/sha256").join(blob.digest.hex()))?;
    match Digest::of(&bytes) == blob.digest {
        true => Ok(bytes),
        false => Err(format!("`{}` has other bytes than its digest says", blob.digest)),
    }
}

/// Returns the blob that a descriptor points at; its bytes are checked when they are pushed.
fn blob(dir: &Utf8Path, descriptor: &Value) -> Result<Blob, String> {
    let text = descriptor["digest"].as_str().unwrap_or_default();
    let digest: Digest = text.parse().map_err(|error| format!("{error}"))?;
    let file = dir.join("blobs/sha256").join(digest.hex());
    let size = fs::metadata(&file).map_err(|error| format!("`{file}`: {error}"))?.len();
    if descriptor["size"] != size {
        return Err(format!("`{digest}` is {size} bytes, not {}", descriptor["size"]));
    }
    Ok(Blob { digest, size, content: BlobContent::File(file) })
}

fn document(path: &Utf8Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("`{path}`: {error}");
    if fs::metadata(path).map_err(failed)?.len() > LARGEST_MANIFEST {
        return Err(format!("`{path}` is larger than 4 MiB"));
    }
    fs::read(path).map_err(failed)
}

fn parse(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("its document: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MANIFEST: &str = super::super::format::OCI_MANIFEST;

    struct Layout(tempfile::TempDir);

    impl Layout {
        fn new() -> Self {
            let layout = Self(tempfile::tempdir().unwrap());
            fs::create_dir_all(layout.dir().join("blobs/sha256")).unwrap();
            layout
        }

        fn dir(&self) -> &Utf8Path {
            Utf8Path::from_path(self.0.path()).unwrap()
        }

        fn store(&self, media_type: &str, bytes: &[u8]) -> Value {
            let digest = Digest::of(bytes);
            fs::write(self.dir().join("blobs/sha256").join(digest.hex()), bytes).unwrap();
            json!({ "mediaType": media_type, "digest": digest.as_str(), "size": bytes.len() })
        }

        fn image(&self) -> Value {
            let config = self.store("config", b"{}");
            let manifest = json!({ "config": config, "layers": [config, config] });
            self.store(MANIFEST, manifest.to_string().as_bytes())
        }

        fn read(&self, manifests: &[Value]) -> Result<BuiltImage, String> {
            let index = json!({ "manifests": manifests });
            fs::write(self.dir().join("index.json"), index.to_string()).unwrap();
            Ok(read(self.dir(), &[Platform::default()])?.remove(0))
        }
    }

    #[test]
    fn an_image_beside_its_attestation_is_found() {
        let layout = Layout::new();
        let image = layout.image();
        let mut attestation = layout.store(MANIFEST, b"{\"x\":1}");
        attestation["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
        let index = json!({ "manifests": [image, attestation] });
        let index = layout.store(OCI_INDEX, index.to_string().as_bytes());
        let read = layout.read(&[index]).unwrap();
        assert_eq!(read.manifest.digest().as_str(), image["digest"]);
        assert_eq!(read.blobs.len(), 1);
    }

    #[test]
    fn of_several_images_each_platform_gets_its_own() {
        let layout = Layout::new();
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        let mut image = layout.image();
        image["platform"] = json!({ "os": "linux", "architecture": "arm", "variant": "v6" });
        let mut other = layout.store(MANIFEST, b"{\"config\":{}}");
        other["platform"] = json!({ "os": "linux", "architecture": "arm", "variant": "v7" });
        let index = json!({ "manifests": [other, image] });
        let index = layout.store(OCI_INDEX, index.to_string().as_bytes());
        layout.read(std::slice::from_ref(&index)).unwrap_err();
        let both = [platform("linux/arm/v6"), platform("linux/arm64")];
        let error = read(layout.dir(), &both).unwrap_err();
        assert_eq!(error, "it wrote no image for linux/arm64");
        let found = image_for(&json!({ "manifests": [other, image] }), &both[0]).unwrap();
        assert_eq!(found, image);
    }

    #[test]
    fn what_is_not_one_whole_image_is_refused() {
        let layout = Layout::new();
        let image = layout.image();
        let two = layout.read(&[image.clone(), image.clone()]).unwrap_err();
        assert_eq!(two, "it wrote 2 images instead of one");
        let mut short = image.clone();
        short["size"] = json!(1);
        assert!(layout.read(&[short]).unwrap_err().ends_with("bytes, not 1"));
        let other = layout.store("text/plain", b"x");
        assert_eq!(layout.read(&[other]).unwrap_err(), "it wrote a `text/plain`, not an image");
        let config = layout.dir().join("blobs/sha256").join(Digest::of(b"{}").hex());
        fs::remove_file(config).unwrap();
        assert!(layout.read(&[image]).unwrap_err().contains("No such file"));
    }
}
