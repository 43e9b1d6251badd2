//! Pushes through a proxy that does what goes wrong: afterwards the right digest is under the tag and
//! every blob is whole, or there is one clear error and nothing else is tagged. What is read back
//! through it is whole as well, or there is one clear error.

use std::time::Duration;

use deployctl::image::{Blob, BlobContent, Digest, ImageName, ImageReference, Manifest};
use deployctl::registry::{Registry as _, RegistryError, Remote, Resolver as _, Tuning};
use deployctl::system::Environment;
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use super::blob;
use super::fault_proxy::FaultProxy;
use crate::support::RegistryServer;

/// How many runs there are, unless this variable says another number.
const RUNS: u64 = 60;
const RUNS_VARIABLE: &str = "DEPLOYCTL_FAULT_RUNS";
/// The first seed, for a run that failed.
const SEED_VARIABLE: &str = "DEPLOYCTL_FAULT_SEED";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_ends_with_the_image_or_with_one_error_whatever_goes_wrong() {
    let Some(server) = RegistryServer::start_plain() else { return };
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number(SEED_VARIABLE).unwrap_or(0);
    let runs = number(RUNS_VARIABLE).unwrap_or(RUNS);
    let base = base_layer();
    let os = ImageName::new(server.domain(), "base/os").unwrap();
    clean().push_blob(&os, &base).await.unwrap();
    let runs = futures_util::stream::iter(first..first + runs);
    let runs = runs.map(|seed| run(server.domain(), seed)).buffer_unordered(8);
    let ended: Vec<Ended> = runs.collect().await;
    let bad: Vec<_> = ended.iter().filter_map(|ended| ended.wrong.as_ref()).collect();
    assert!(bad.is_empty(), "{} runs went wrong, the first:\n{}", bad.len(), bad[0]);
    let went_well = ended.iter().filter(|ended| ended.pushed).count();
    let faults: usize = ended.iter().map(|ended| ended.faults).sum();
    eprintln!("{went_well} of {} pushes went well, with {faults} faults in all", ended.len());
    assert!(went_well * 2 > ended.len(), "only {went_well} of {} went well", ended.len());
}

struct Ended {
    pushed: bool,
    faults: usize,
    wrong: Option<String>,
}

/// An image, and what is pushed with it.
struct Image {
    blobs: Vec<Blob>,
    manifest: Manifest,
    config: Blob,
    signature: Manifest,
    tags: Vec<&'static str>,
    _folder: tempfile::TempDir,
}

async fn run(registry: &str, seed: u64) -> Ended {
    let proxy = FaultProxy::start(registry, seed).await;
    let image = Image::new(seed);
    let path = format!("run/r{seed}");
    let remote = Remote::with_tuning(&Environment::default(), hurried()).unwrap();
    let name = ImageName::new(proxy.domain(), &path).unwrap();
    let pushed = image.push(&remote, &name).await;
    let there = ImageName::new(registry, &path).unwrap();
    let checked = image.check(&there, &pushed, proxy.domain()).await;
    let checked = match (checked, &pushed) {
        (Ok(()), Ok(())) => image.read_back(&remote, &name).await,
        (checked, _) => checked,
    };
    let journal = proxy.journal();
    let leak = journal.iter().find(|line| line.starts_with("LEAK")).cloned();
    let wrong = checked.err().or(leak).map(|wrong| {
        format!(
            "{SEED_VARIABLE}={seed} {RUNS_VARIABLE}=1: {wrong}\npushed: {pushed:?}\n{}",
            journal.join("\n")
        )
    });
    let faults = journal.iter().filter(|line| !line.ends_with(" None")).count();
    Ended { pushed: pushed.is_ok(), faults, wrong }
}

impl Image {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bytes = |size: u64, salt: u64| -> Vec<u8> {
            let byte = |n: u64| (n.wrapping_mul(seed + salt) >> 3) as u8 ^ (n >> 8) as u8;
            (0..size).map(byte).collect()
        };
        let mut large = blob(bytes(50_000, 3));
        let path = folder.path().join("layer");
        std::fs::write(&path, bytes(50_000, 3)).unwrap();
        large.content = BlobContent::File(path.try_into().unwrap());
        let small = blob(bytes(2_000, 5));
        let config =
            blob(json!({"architecture": "amd64", "os": "linux", "seed": seed}).to_string().into());
        let layers = [&base_layer(), &large, &small].map(|layer| part("layer.v1.tar", layer));
        let manifest =
            document(json!({"config": part("config.v1+json", &config), "layers": layers}));
        let subject = json!({"mediaType": manifest.media_type,
            "digest": manifest.digest().as_str(), "size": manifest.bytes.len()});
        let signature = document(json!({"artifactType": "test/signature", "subject": subject,
            "config": part("config.v1+json", &config), "layers": []}));
        let tags = if seed.is_multiple_of(3) { vec!["v1", "v1.4", "latest"] } else { vec!["v1"] };
        let blobs = vec![large, small];
        Self { blobs, manifest, config, signature, tags, _folder: folder }
    }

    async fn push(&self, remote: &Remote, name: &ImageName) -> Result<(), RegistryError> {
        let base = base_layer();
        let os = ImageName::new(name.domain(), "base/os").unwrap();
        if !remote.mount_blob(name, &base.digest, &os).await? {
            remote.push_blob(name, &base).await?;
        }
        for blob in self.blobs.iter().chain([&self.config]) {
            remote.push_blob(name, blob).await?;
        }
        let tags: Vec<_> = self.tags.iter().map(|tag| tag.parse().unwrap()).collect();
        remote.push_manifest(name, &self.manifest, &tags).await?;
        remote.push_manifest(name, &self.signature, &[]).await
    }

    /// Reads the blobs through the proxy.
    async fn read_back(&self, remote: &Remote, name: &ImageName) -> Result<(), String> {
        for blob in &self.blobs {
            match read(remote, name, &blob.digest).await {
                Ok(size) if size == blob.size => {}
                Ok(size) => return Err(format!("{} was read as {size} bytes", blob.digest)),
                Err(text) if text.contains(name.domain()) && text.contains("run/r") => {}
                Err(text) => return Err(format!("that is not clear: {text}")),
            }
        }
        Ok(())
    }

    /// Looks at what the registry has, without the proxy.
    async fn check(
        &self,
        name: &ImageName,
        pushed: &Result<(), RegistryError>,
        domain: &str,
    ) -> Result<(), String> {
        let registry = clean();
        let list = format!("sha256-{}", self.manifest.digest().hex());
        for tag in tags(name).await {
            if !self.tags.contains(&tag.as_str()) && tag != list {
                return Err(format!("`{tag}` is tagged"));
            }
        }
        let mut whole = 0;
        for tag in &self.tags {
            let reference: ImageReference = format!("{name}:{tag}").parse().unwrap();
            match registry.resolve(&reference).await.map_err(|error| error.to_string())? {
                Some(found) if found == self.manifest.digest() => whole += 1,
                Some(found) => return Err(format!("`{tag}` is {found}")),
                None => {}
            }
        }
        if whole > 0 {
            for blob in self.blobs.iter().chain([&self.config, &base_layer()]) {
                let read = read(&registry, name, &blob.digest).await;
                let size = read.map_err(|error| format!("{}: {error}", blob.digest))?;
                if size != blob.size {
                    return Err(format!("{} has {size} bytes", blob.digest));
                }
            }
        }
        match pushed {
            Ok(()) if whole < self.tags.len() => Err(format!("only {whole} tags are there")),
            Ok(()) => {
                let found = registry.referrers(name, &self.manifest.digest(), None).await.unwrap();
                let found: Vec<_> = found.into_iter().map(|found| found.digest).collect();
                if found == [self.signature.digest()] {
                    Ok(())
                } else {
                    Err(format!("refers: {found:?}"))
                }
            }
            Err(error) => clear(error, domain),
        }
    }
}

/// Fails unless the error says what it is about.
fn clear(error: &RegistryError, domain: &str) -> Result<(), String> {
    let text = error.to_string();
    let is_clear = match error {
        RegistryError::Unreachable { .. }
        | RegistryError::Answer { .. }
        | RegistryError::Denied { .. } => text.contains(domain) && text.contains("run/r"),
        RegistryError::Corrupt { .. } => text.contains("0000000000"),
        _ => false,
    };
    if is_clear { Ok(()) } else { Err(format!("that is not clear: {text}")) }
}

async fn read(registry: &Remote, name: &ImageName, digest: &Digest) -> Result<u64, String> {
    let reader = registry.blob(name, digest).await;
    let mut bytes = Vec::new();
    let mut reader = reader.map_err(|error| error.to_string())?;
    reader.read_to_end(&mut bytes).await.map_err(|error| error.to_string())?;
    Ok(bytes.len() as u64)
}

async fn tags(name: &ImageName) -> Vec<String> {
    let url = format!("http://{}/v2/{}/tags/list", name.domain(), name.path());
    let answer = reqwest::get(url).await.unwrap().text().await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let tags = answer["tags"].as_array().into_iter().flatten();
    tags.map(|tag| tag.as_str().unwrap().to_owned()).collect()
}

fn clean() -> Remote {
    Remote::new(&Environment::default()).unwrap()
}

/// Sizes that make a small layer a large one, and pauses that nobody notices.
fn hurried() -> Tuning {
    Tuning {
        tries: 6,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(4),
        longest_retry_after: Duration::from_millis(1),
        answer: Duration::from_millis(300),
        deadline: Duration::from_secs(20),
        whole_up_to: 20_000,
        chunk: 12_000,
        ..Tuning::default()
    }
}

fn base_layer() -> Blob {
    blob(b"a layer of the base image".to_vec())
}

fn part(kind: &str, blob: &Blob) -> serde_json::Value {
    json!({"mediaType": format!("application/vnd.oci.image.{kind}"),
        "digest": blob.digest.as_str(), "size": blob.size})
}

fn document(mut text: serde_json::Value) -> Manifest {
    let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
    text["schemaVersion"] = 2.into();
    text["mediaType"] = media_type.as_str().into();
    Manifest { media_type, bytes: text.to_string().into() }
}
