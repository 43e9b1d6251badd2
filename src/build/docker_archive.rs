//! What `docker save` writes, turned into an OCI image whose digest is known before any push.
//!
//! `manifest.json` names the config and the layers. Up to version 24 the layers are plain tar files
//! in folders of their own, repeated ones as links; later they are in `blobs`, plain or compressed.
//! The archive is read once, front to back: plain layers are compressed as native ones are,
//! compressed ones are kept as they are.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::format::Format;
use super::layer_blob::{BlobWriter, LayerBlob, LayerWriter};
use crate::image::{Blob, BlobContent, BuiltImage, Digest};

/// A longer document is not a config or manifest.
const LARGEST_DOCUMENT: u64 = 8 << 20;

/// Returns the image that the archive holds, its layers in the folder `scratch`, or why there is
/// none. The archive is removed.
pub(super) async fn convert(
    archive: Utf8PathBuf,
    scratch: &Utf8Path,
) -> Result<BuiltImage, String> {
    let scratch = scratch.to_owned();
    let work = tokio::task::spawn_blocking(move || convert_file(&archive, &scratch));
    work.await.map_err(|error| error.to_string())?
}

fn convert_file(archive: &Utf8Path, scratch: &Utf8Path) -> Result<BuiltImage, String> {
    let file = File::open(archive).map_err(broken)?;
    let image = Contents::read(io::BufReader::new(file), scratch)?.image()?;
    fs::remove_file(archive).map_err(broken)?;
    Ok(image)
}

/// The archive's entries by path.
#[derive(Default)]
struct Contents {
    documents: BTreeMap<String, Vec<u8>>,
    layers: BTreeMap<String, Layer>,
    links: BTreeMap<String, String>,
}

#[derive(Clone)]
enum Layer {
    /// It was plain, and is compressed now.
    Compressed(LayerBlob),
    /// It is as docker had it.
    Kept { blob: Blob, media_type: &'static str },
}

impl Contents {
    fn read(archive: impl Read, scratch: &Utf8Path) -> Result<Self, String> {
        let mut contents = Self::default();
        let mut archive = tar::Archive::new(archive);
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let link = entry.link_name_bytes().map(|b| String::from_utf8_lossy(&b).into_owned());
            match (link, entry.header().entry_type()) {
                (Some(target), _) => {
                    contents.links.insert(path, target);
                }
                (None, kind) if kind.is_file() => contents.add(path, &mut entry, scratch)?,
                _ => {}
            }
        }
        Ok(contents)
    }

    fn add(
        &mut self,
        path: String,
        entry: &mut impl Read,
        scratch: &Utf8Path,
    ) -> Result<(), String> {
        let mut start = Vec::new();
        entry.by_ref().take(512).read_to_end(&mut start).map_err(broken)?;
        if is_document(&path, &start) {
            entry.take(LARGEST_DOCUMENT).read_to_end(&mut start).map_err(broken)?;
            self.documents.insert(path, start);
            return Ok(());
        }
        let mut content = start.as_slice().chain(entry);
        let layer = match compression(&start) {
            Some(media_type) => {
                let mut writer = BlobWriter::create(scratch).map_err(broken)?;
                io::copy(&mut content, &mut writer).map_err(broken)?;
                Layer::Kept { blob: writer.finish().map_err(broken)?, media_type }
            }
            None => {
                let mut writer = LayerWriter::create(scratch).map_err(broken)?;
                io::copy(&mut content, &mut writer).map_err(broken)?;
                Layer::Compressed(writer.finish().map_err(broken)?)
            }
        };
        self.layers.insert(path, layer);
        Ok(())
    }

    fn image(&self) -> Result<BuiltImage, String> {
        let manifests = self.json("manifest.json")?;
        let Some([manifest]) = manifests.as_array().map(Vec::as_slice) else {
            return Err("it saved something else than one image".to_owned());
        };
        let config_path = manifest["Config"].as_str().unwrap_or_default();
        let diff_ids = self.json(config_path)?["rootfs"]["diff_ids"].take();
        let paths = manifest["Layers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let diff_ids = diff_ids.as_array().map(Vec::as_slice).unwrap_or_default();
        if diff_ids.len() != paths.len() {
            return Err(format!("it saved {} layers of {}", paths.len(), diff_ids.len()));
        }
        let (mut blobs, mut descriptors): (Vec<Blob>, Vec<Value>) = Default::default();
        for (path, diff_id) in paths.iter().zip(diff_ids) {
            let layer = self.layer(path.as_str().unwrap_or_default())?;
            let (blob, descriptor) = layer.described(diff_id)?;
            descriptors.push(descriptor);
            if !blobs.contains(&blob) {
                blobs.push(blob);
            }
        }
        let config = self.documents[config_path].clone();
        let config = Blob {
            digest: Digest::of(&config),
            size: config.len() as u64,
            content: BlobContent::Bytes(config.into()),
        };
        let manifest = Format::Oci.manifest(&config, &descriptors);
        blobs.push(config);
        Ok(BuiltImage { manifest, children: Vec::new(), blobs, inherited: Vec::new() })
    }

    fn json(&self, path: &str) -> Result<Value, String> {
        let bytes = self.documents.get(path).ok_or_else(|| format!("it saved no `{path}`"))?;
        serde_json::from_slice(bytes).map_err(|error| format!("`{path}`: {error}"))
    }

    /// Returns the layer at `path`, or at what the link at `path` points to, `../ID/layer.tar`.
    fn layer(&self, path: &str) -> Result<&Layer, String> {
        let target = self.links.get(path).map(|target| target.trim_start_matches("../"));
        let layer = self.layers.get(target.unwrap_or(path));
        layer.ok_or_else(|| format!("it saved no layer `{path}`"))
    }
}

impl Layer {
    /// Returns the layer's blob and descriptor, or an error if its content is not `diff_id`'s.
    fn described(&self, diff_id: &Value) -> Result<(Blob, Value), String> {
        match self {
            Self::Compressed(layer) if diff_id == layer.diff_id.as_str() => {
                Ok((layer.blob.clone(), Format::Oci.layer(&layer.blob)))
            }
            Self::Compressed(layer) => {
                Err(format!("it saved layer `{}` where {diff_id} was announced", layer.diff_id))
            }
            Self::Kept { blob, media_type } => {
                let mut descriptor = Format::Oci.layer(blob);
                descriptor["mediaType"] = (*media_type).into();
                Ok((blob.clone(), descriptor))
            }
        }
    }
}

/// Returns whether the entry is a JSON document: by its name, or in `blobs` by how it begins and by
/// not being a tar file, whose first member's name may begin like one.
fn is_document(path: &str, start: &[u8]) -> bool {
    let is_tar = start.get(257..262) == Some(b"ustar".as_slice());
    match path.starts_with("blobs/") {
        true => start.first() == Some(&b'{') && !is_tar,
        false => !path.ends_with("layer.tar"),
    }
}

/// Returns the media type of a layer that begins like this, or `None` if it is not compressed.
fn compression(start: &[u8]) -> Option<&'static str> {
    match start {
        [0x1f, 0x8b, ..] => Some("application/vnd.oci.image.layer.v1.tar+gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("application/vnd.oci.image.layer.v1.tar+zstd"),
        _ => None,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn broken(error: io::Error) -> String {
    format!("the image it saved can't be used: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a `docker save` archive of these entries; a text that begins with `-> ` is a link.
    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_mode(0o644);
            match content.strip_prefix(b"-> ") {
                Some(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_size(0);
                    let target = std::str::from_utf8(target).unwrap();
                    builder.append_link(&mut header, path, target).unwrap();
                }
                None => {
                    header.set_size(content.len() as u64);
                    builder.append_data(&mut header, path, *content).unwrap();
                }
            }
        }
        builder.into_inner().unwrap()
    }

    fn config(layers: &[&[u8]]) -> Vec<u8> {
        let diff_ids: Vec<String> = layers.iter().map(|tar| Digest::of(tar).to_string()).collect();
        let document = serde_json::json!({ "rootfs": { "diff_ids": diff_ids } });
        document.to_string().into_bytes()
    }

    fn manifest(config: &str, layers: &[&str]) -> Vec<u8> {
        serde_json::json!([{ "Config": config, "Layers": layers }]).to_string().into_bytes()
    }

    fn converted(entries: &[(&str, &[u8])]) -> Result<BuiltImage, String> {
        let temp = tempfile::tempdir().unwrap();
        let scratch = Utf8Path::from_path(temp.path()).unwrap();
        let path = scratch.join("image.tar");
        fs::write(&path, archive(entries)).unwrap();
        let image = convert_file(&path, scratch);
        assert_eq!(path.exists(), image.is_err());
        image
    }

    fn layers(image: &BuiltImage) -> Vec<Value> {
        let manifest: Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
        manifest["layers"].as_array().unwrap().clone()
    }

    #[test]
    fn a_layer_that_is_a_link_to_another_is_listed_twice_and_stored_once() {
        let image = converted(&[
            ("one/layer.tar", b"tar"),
            ("two/layer.tar", b"-> ../one/layer.tar"),
            ("c.json", &config(&[b"tar", b"tar"])),
            ("manifest.json", &manifest("c.json", &["one/layer.tar", "two/layer.tar"])),
        ]);
        let image = image.unwrap();
        let layers = layers(&image);
        assert_eq!((layers.len(), image.blobs.len()), (2, 2));
        assert_eq!(layers[0], layers[1]);
        assert_eq!(layers[0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    }

    #[test]
    fn a_layer_that_is_compressed_already_keeps_its_digest() {
        let zstd = b"\x28\xb5\x2f\xfd rest";
        let image = converted(&[
            ("blobs/sha256/c", &config(&[b"tar", b"{x"])),
            ("blobs/sha256/l", zstd),
            ("blobs/sha256/g", b"\x1f\x8b rest"),
            ("manifest.json", &manifest("blobs/sha256/c", &["blobs/sha256/l", "blobs/sha256/g"])),
        ]);
        let layers = layers(&image.unwrap());
        assert_eq!(layers[0]["digest"], Digest::of(zstd).as_str());
        assert_eq!(layers[0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
        assert_eq!(layers[1]["digest"], Digest::of(b"\x1f\x8b rest").as_str());
    }

    #[test]
    fn an_archive_that_contradicts_itself_is_refused() {
        let layer: (&str, &[u8]) = ("l/layer.tar", b"tar");
        let other = converted(&[
            layer,
            ("c.json", &config(&[b"other"])),
            ("manifest.json", &manifest("c.json", &["l/layer.tar"])),
        ]);
        assert!(other.unwrap_err().contains("was announced"));
        let more = converted(&[
            layer,
            ("c.json", &config(&[])),
            ("manifest.json", &manifest("c.json", &["l/layer.tar"])),
        ]);
        assert_eq!(more.unwrap_err(), "it saved 1 layers of 0");
        assert_eq!(converted(&[layer]).unwrap_err(), "it saved no `manifest.json`");
        let missing = converted(&[
            ("c.json", &config(&[b"tar"])),
            ("manifest.json", &manifest("c.json", &["l/layer.tar"])),
        ]);
        assert_eq!(missing.unwrap_err(), "it saved no layer `l/layer.tar`");
    }
}
