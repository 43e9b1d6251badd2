//! Images into the local docker daemon, so that `docker run` finds them: as the archive that
//! `docker load` takes.
//!
//! The layers stay compressed as they are. Where they come from is the op's business.

use std::fs::File;
use std::io::{self, BufWriter, Read};

use camino::Utf8Path;
use serde_json::{Value, json};

use super::BuildError;
use super::engine::Program;
use crate::image::{Blob, BlobContent, Manifest, Platform};
use crate::system::Environment;

/// A docker daemon that answers.
#[derive(Debug)]
pub struct DockerDaemon {
    program: Program,
    platform: Platform,
}

impl DockerDaemon {
    /// Returns the daemon that the `docker` on `PATH` speaks to.
    ///
    /// # Errors
    ///
    /// Fails if there is no such program, or no daemon answers.
    pub async fn find(environment: &Environment) -> Result<Self, BuildError> {
        let program = Program::find("docker", environment)?;
        let question = ["version", "--format", "{{.Server.Os}}/{{.Server.Arch}}"];
        let platform = program.ask(&question).await?;
        let platform = platform.parse().map_err(|error| program.useless(error))?;
        Ok(Self { program, platform })
    }

    /// Returns the platform whose images it runs.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Loads the image under `name`, for example `registry.example.com/shop/web:main`. The manifest is
    /// that of one platform; `blobs` are all that it names. The archive is made in the folder `scratch`.
    ///
    /// # Errors
    ///
    /// Fails if a blob is not there, there is no room for the archive, or docker refuses it.
    pub async fn load(
        &self,
        name: &str,
        manifest: &Manifest,
        blobs: &[Blob],
        scratch: &Utf8Path,
    ) -> Result<(), BuildError> {
        let path = scratch.join("load.tar");
        let (name, manifest, blobs) = (name.to_owned(), manifest.clone(), blobs.to_vec());
        let archive = path.clone();
        let work = tokio::task::spawn_blocking(move || {
            let file = BufWriter::new(File::create(&archive)?);
            write_archive(&name, &manifest, &blobs, file)
        });
        let written = work.await.map_err(io::Error::other).flatten();
        written.map_err(|error| BuildError::file(&path, error))?;
        let load = self.program.command(["load", "--quiet", "--input", path.as_str()]);
        let loaded = self.program.run_quietly(load).await;
        // The folder goes away as a whole if this one stays.
        let _ = std::fs::remove_file(&path);
        loaded
    }
}

/// Writes what `docker save` writes: config and layers, and `manifest.json`, which names them.
fn write_archive(
    name: &str,
    manifest: &Manifest,
    blobs: &[Blob],
    out: impl io::Write,
) -> io::Result<()> {
    let document: Value = serde_json::from_slice(&manifest.bytes)?;
    let digest = |descriptor: &Value| descriptor["digest"].as_str().unwrap_or_default().to_owned();
    let config = digest(&document["config"]);
    let layers: Vec<String> =
        document["layers"].as_array().into_iter().flatten().map(digest).collect();
    let mut archive = tar::Builder::new(out);
    let mut written: Vec<&str> = Vec::new();
    for digest in std::iter::once(&config).chain(&layers) {
        if written.contains(&digest.as_str()) {
            continue;
        }
        let blob = blobs.iter().find(|blob| blob.digest.as_str() == digest);
        let blob = blob.ok_or_else(|| io::Error::other(format!("blob `{digest}` is missing")))?;
        append(&mut archive, &member(digest), blob)?;
        written.push(digest);
    }
    let index = json!([{
        "Config": member(&config),
        "RepoTags": [name],
        "Layers": layers.iter().map(|digest| member(digest)).collect::<Vec<_>>(),
    }]);
    let index = index.to_string();
    append_bytes(&mut archive, "manifest.json", index.len() as u64, index.as_bytes())?;
    archive.into_inner()?.flush()
}

/// Returns where the blob with this digest lies in the archive.
fn member(digest: &str) -> String {
    digest.replace(':', "_")
}

fn append(archive: &mut tar::Builder<impl io::Write>, path: &str, blob: &Blob) -> io::Result<()> {
    match &blob.content {
        BlobContent::Bytes(bytes) => append_bytes(archive, path, blob.size, bytes.as_ref()),
        BlobContent::File(file) => append_bytes(archive, path, blob.size, File::open(file)?),
    }
}

fn append_bytes(
    archive: &mut tar::Builder<impl io::Write>,
    path: &str,
    size: u64,
    bytes: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    archive.append_data(&mut header, path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;

    fn blob(text: &str) -> Blob {
        let bytes = bytes::Bytes::from(text.to_owned());
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        Blob { digest, size, content: BlobContent::Bytes(bytes) }
    }

    fn image(blobs: &[&Blob]) -> Manifest {
        let named: Vec<Value> =
            blobs.iter().map(|blob| json!({ "digest": blob.digest.as_str() })).collect();
        let bytes = json!({ "config": named[0], "layers": named[1..] }).to_string().into();
        Manifest { media_type: "m".to_owned(), bytes }
    }

    #[test]
    fn the_archive_names_config_layers_and_tag() {
        let (config, layer) = (blob("{}"), blob("layer"));
        let manifest = image(&[&config, &layer, &layer]);
        let mut archive = Vec::new();
        write_archive("shop/web:1", &manifest, &[layer.clone(), config], &mut archive).unwrap();
        let mut archive = tar::Archive::new(archive.as_slice());
        let mut members = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            members.push((entry.path().unwrap().display().to_string(), text));
        }
        assert_eq!(members.len(), 3, "the layer that is listed twice is there once");
        assert_eq!(members[1].1, "layer");
        let index: Value = serde_json::from_str(&members[2].1).unwrap();
        assert_eq!(index[0]["RepoTags"], json!(["shop/web:1"]));
        assert_eq!(index[0]["Layers"], json!([members[1].0, members[1].0]));
        assert_eq!(index[0]["Config"], members[0].0.as_str());
    }

    #[test]
    fn a_layer_that_is_not_there_is_named() {
        let (config, layer) = (blob("{}"), blob("layer"));
        let manifest = image(&[&config, &layer]);
        let error = write_archive("a:1", &manifest, &[config], &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), format!("blob `{}` is missing", layer.digest));
    }
}
