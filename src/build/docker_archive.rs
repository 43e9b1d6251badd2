//! What `docker save` writes, turned into an OCI image whose digest is known before any push.
//!
//! `manifest.json` names the config and the layers. Up to version 24 the layers are plain tar files
//! in folders of their own, repeated ones as links; later they are in `blobs`, plain or compressed.
//! Plain layers are compressed as native ones are, compressed ones are kept as they are. Docker can't
//! set the time of what it adds to its store, so that is done here: else each machine would make
//! another digest of the same files.

mod rewrite;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek as _};

use camino::{Utf8Path, Utf8PathBuf};
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use serde_json::Value;

use super::format::Format;
use super::layer_blob::{BlobWriter, LayerBlob, LayerWriter};
use crate::image::{Blob, BlobContent, BuiltImage, Digest, Hashing};

/// A longer document is not a config or manifest.
const LARGEST_DOCUMENT: u64 = 8 << 20;

/// What docker says in a config about the machine and the day of the build. None of it is in the OCI
/// image specification.
const OF_THE_MACHINE: [&str; 3] = ["container", "container_config", "docker_version"];

/// The time stamp of what a build added, and what it may have been added to.
#[derive(Debug, Clone, Default)]
pub(super) struct Stamp {
    /// Seconds since 1970.
    pub(super) epoch: i64,
    /// The images that the Dockerfile names; the largest that the image begins with is kept as it is.
    pub(super) bases: Vec<Base>,
}

/// An image in docker's store.
#[derive(Debug, Clone, Default)]
pub(super) struct Base {
    /// The digests of its layers' tar bytes.
    pub(super) diff_ids: Vec<String>,
    /// How many steps its history has.
    pub(super) steps: usize,
}

/// Returns the image that the archive holds, its layers in the folder `scratch`, or why there is
/// none. With a stamp, what the build added has that time, whenever and wherever it was made. The
/// archive is removed.
pub(super) async fn convert(
    archive: Utf8PathBuf,
    scratch: &Utf8Path,
    stamp: Option<Stamp>,
) -> Result<BuiltImage, String> {
    let scratch = scratch.to_owned();
    let work =
        tokio::task::spawn_blocking(move || convert_file(&archive, &scratch, stamp.as_ref()));
    work.await.map_err(|error| error.to_string())?
}

fn convert_file(
    archive: &Utf8Path,
    scratch: &Utf8Path,
    stamp: Option<&Stamp>,
) -> Result<BuiltImage, String> {
    let mut file = File::open(archive).map_err(broken)?;
    let contents = Contents::read(&file)?;
    let plan = contents.plan(stamp)?;
    file.rewind().map_err(broken)?;
    let layers = layers(BufReader::new(file), &plan, scratch)?;
    let image = plan.image(&layers)?;
    fs::remove_file(archive).map_err(broken)?;
    Ok(image)
}

/// The archive's documents and links by path.
#[derive(Default)]
struct Contents {
    documents: BTreeMap<String, Vec<u8>>,
    links: BTreeMap<String, String>,
}

impl Contents {
    /// Reads over the layers.
    fn read(archive: &File) -> Result<Self, String> {
        let mut contents = Self::default();
        let mut archive = tar::Archive::new(archive);
        for entry in archive.entries_with_seek().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let link = entry.link_name_bytes().map(|b| String::from_utf8_lossy(&b).into_owned());
            if let Some(target) = link {
                contents.links.insert(path, target);
            } else if entry.header().entry_type().is_file() && entry.size() <= LARGEST_DOCUMENT {
                let mut start = Vec::new();
                entry.by_ref().take(512).read_to_end(&mut start).map_err(broken)?;
                if is_document(&path, &start) {
                    entry.read_to_end(&mut start).map_err(broken)?;
                    contents.documents.insert(path, start);
                }
            }
        }
        Ok(contents)
    }

    fn plan(&self, stamp: Option<&Stamp>) -> Result<Plan, String> {
        let manifests = self.json("manifest.json")?;
        let Some([manifest]) = manifests.as_array().map(Vec::as_slice) else {
            return Err("it saved something else than one image".to_owned());
        };
        let config = manifest["Config"].as_str().unwrap_or_default();
        let document = self.json(config)?;
        let diff_ids = document["rootfs"]["diff_ids"].as_array().map(Vec::as_slice);
        let diff_ids = texts(diff_ids.unwrap_or_default());
        let paths = manifest["Layers"].as_array().map(Vec::as_slice).unwrap_or_default();
        if diff_ids.len() != paths.len() {
            return Err(format!("it saved {} layers of {}", paths.len(), diff_ids.len()));
        }
        let paths = texts(paths).into_iter().map(|path| self.target(path)).collect();
        let stamp = stamp.map(|stamp| {
            let bases = stamp.bases.iter().filter(|base| diff_ids.starts_with(&base.diff_ids));
            let base = bases.max_by_key(|base| base.diff_ids.len()).cloned().unwrap_or_default();
            (stamp.epoch, base)
        });
        let bytes = self.documents[config].clone();
        Ok(Plan { config: bytes, document, diff_ids, paths, stamp })
    }

    fn json(&self, path: &str) -> Result<Value, String> {
        let bytes = self.documents.get(path).ok_or_else(|| format!("it saved no `{path}`"))?;
        serde_json::from_slice(bytes).map_err(|error| format!("`{path}`: {error}"))
    }

    /// Returns what the link at `path` points to, `../ID/layer.tar`, or the path itself.
    fn target(&self, path: String) -> String {
        match self.links.get(&path) {
            Some(target) => target.trim_start_matches("../").to_owned(),
            None => path,
        }
    }
}

fn texts(values: &[Value]) -> Vec<String> {
    values.iter().map(|value| value.as_str().unwrap_or_default().to_owned()).collect()
}

/// What the archive's image is to become.
struct Plan {
    /// The config, byte for byte and parsed.
    config: Vec<u8>,
    document: Value,
    /// Of each layer, the digest of its tar bytes and its path.
    diff_ids: Vec<String>,
    paths: Vec<String>,
    /// The time of what was added to the base.
    stamp: Option<(i64, Base)>,
}

impl Plan {
    /// Returns the time that the layer at `path` gets, if it is not to be kept as it is.
    fn time(&self, path: &str) -> Option<u64> {
        let (epoch, base) = self.stamp.as_ref()?;
        let is_base = self.paths[..base.diff_ids.len()].iter().any(|other| other == path);
        (!is_base).then(|| u64::try_from(*epoch).unwrap_or(0))
    }

    fn image(mut self, layers: &BTreeMap<String, Layer>) -> Result<BuiltImage, String> {
        let (mut blobs, mut descriptors): (Vec<Blob>, Vec<Value>) = Default::default();
        let mut diff_ids = Vec::new();
        for (path, diff_id) in self.paths.iter().zip(&self.diff_ids) {
            let layer = layers.get(path).ok_or_else(|| format!("it saved no layer `{path}`"))?;
            let (blob, descriptor) = layer.described(diff_id)?;
            diff_ids.push(layer.diff_id().map_or(diff_id.as_str(), Digest::as_str).into());
            descriptors.push(descriptor);
            if !blobs.contains(&blob) {
                blobs.push(blob);
            }
        }
        if let Some((epoch, base)) = self.stamp {
            self.config = stamped(self.document, diff_ids, epoch, base.steps)?;
        }
        let config = Blob {
            digest: Digest::of(&self.config),
            size: self.config.len() as u64,
            content: BlobContent::Bytes(self.config.into()),
        };
        let manifest = Format::Oci.manifest(&config, &descriptors);
        blobs.push(config);
        Ok(BuiltImage { manifest, children: Vec::new(), blobs, inherited: Vec::new() })
    }
}

/// Returns the config with the new layers and the time of the build's steps, those after the base's
/// `steps`.
fn stamped(
    mut config: Value,
    diff_ids: Vec<Value>,
    epoch: i64,
    steps: usize,
) -> Result<Vec<u8>, String> {
    let time = Timestamp::from_second(epoch).map_err(|error| error.to_string())?.to_string();
    let Some(document) = config.as_object_mut() else {
        return Err("its config is no object".to_owned());
    };
    for key in OF_THE_MACHINE {
        document.shift_remove(key);
    }
    // The image before the last step, by a digest that has its time in it.
    if let Some(run) = document.get_mut("config").and_then(Value::as_object_mut) {
        run.shift_remove("Image");
    }
    config["created"] = time.as_str().into();
    for step in config["history"].as_array_mut().into_iter().flatten().skip(steps) {
        step["created"] = time.as_str().into();
    }
    config["rootfs"]["diff_ids"] = diff_ids.into();
    Ok(config.to_string().into_bytes())
}

#[derive(Clone)]
enum Layer {
    /// It was plain, and is compressed now; `before` is what its tar bytes were.
    Compressed { layer: LayerBlob, before: Digest },
    /// It is as docker had it.
    Kept { blob: Blob, media_type: &'static str },
}

/// Returns the plan's layers by path.
fn layers(
    archive: impl Read,
    plan: &Plan,
    scratch: &Utf8Path,
) -> Result<BTreeMap<String, Layer>, String> {
    let wanted: BTreeSet<&str> = plan.paths.iter().map(String::as_str).collect();
    let mut layers = BTreeMap::new();
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type().is_file() && wanted.contains(path.as_str()) {
            let layer = Layer::read(entry, plan.time(&path), scratch).map_err(broken)?;
            layers.insert(path, layer);
        }
    }
    Ok(layers)
}

impl Layer {
    fn read(mut entry: impl Read, time: Option<u64>, scratch: &Utf8Path) -> io::Result<Self> {
        let mut start = Vec::new();
        entry.by_ref().take(512).read_to_end(&mut start)?;
        let kind = compression(&start);
        let content = start.as_slice().chain(entry);
        match (kind, time) {
            (None, time) => Self::compress(content, time, scratch),
            (Some(GZIP), Some(_)) => Self::compress(MultiGzDecoder::new(content), time, scratch),
            (Some(media_type), _) => Self::keep(content, media_type, scratch),
        }
    }

    fn compress(tar: impl Read, time: Option<u64>, scratch: &Utf8Path) -> io::Result<Self> {
        let mut tar = Digesting { inner: tar, digest: Hashing::new(io::sink()) };
        let mut writer = LayerWriter::create(scratch)?;
        match time {
            Some(time) => rewrite::with_time(&mut tar, time, &mut writer)?,
            None => drop(io::copy(&mut tar, &mut writer)?),
        }
        // What may follow the last entry.
        io::copy(&mut tar, &mut io::sink())?;
        let (_, before, _) = tar.digest.finish();
        Ok(Self::Compressed { layer: writer.finish()?, before })
    }

    fn keep(
        mut content: impl Read,
        media_type: &'static str,
        scratch: &Utf8Path,
    ) -> io::Result<Self> {
        let mut writer = BlobWriter::create(scratch)?;
        io::copy(&mut content, &mut writer)?;
        Ok(Self::Kept { blob: writer.finish()?, media_type })
    }

    /// Returns the digest of the tar bytes, if they may have changed.
    fn diff_id(&self) -> Option<&Digest> {
        match self {
            Self::Compressed { layer, .. } => Some(&layer.diff_id),
            Self::Kept { .. } => None,
        }
    }

    /// Returns the layer's blob and descriptor, or an error if its content was not `diff_id`'s.
    fn described(&self, diff_id: &str) -> Result<(Blob, Value), String> {
        match self {
            Self::Compressed { layer, before } if diff_id == before.as_str() => {
                Ok((layer.blob.clone(), Format::Oci.layer(&layer.blob)))
            }
            Self::Compressed { before, .. } => {
                Err(format!("it saved layer `{before}` where `{diff_id}` was announced"))
            }
            Self::Kept { blob, media_type } => {
                let mut descriptor = Format::Oci.layer(blob);
                descriptor["mediaType"] = (*media_type).into();
                Ok((blob.clone(), descriptor))
            }
        }
    }
}

/// A reader that digests what passes.
struct Digesting<R> {
    inner: R,
    digest: Hashing<io::Sink>,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        io::Write::write_all(&mut self.digest, &into[..count])?;
        Ok(count)
    }
}

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

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
        [0x1f, 0x8b, ..] => Some(GZIP),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("application/vnd.oci.image.layer.v1.tar+zstd"),
        _ => None,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn broken(error: io::Error) -> String {
    format!("the image it saved can't be used: {error}")
}

#[cfg(test)]
mod tests;
