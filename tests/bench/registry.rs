//! How long a push of 60 MB takes to a real registry on loopback, beside `skopeo copy` of the same
//! image; how long the question takes whether 50 services changed; and how much memory a blob of 2 GB
//! takes.
//!
//! `cargo bench --bench registry` prints the times, their ratio measured in one run, and the memory;
//! nothing where `docker-registry` is not installed.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "shared/server.rs"]
mod server;
#[path = "shared/timing.rs"]
mod timing;

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::image::{Blob, BlobContent, Digest, ImageName, ImageReference, Manifest};
use deployctl::registry::{Layout, Registry, Remote, Resolver as _};
use deployctl::system::Environment;
use futures_util::StreamExt as _;
use serde_json::json;
use tempfile::TempDir;

use self::server::Server;
use self::timing::{is_installed, ratio, timed};

const LAYERS: usize = 3;
const LAYER_SIZE: usize = 20 << 20;
const SERVICES: usize = 50;
const LARGE: u64 = 2 << 30;

/// Names the registry that a child of this process pushes the file to, to see how much memory that
/// takes: the registry, the file and its digest, with spaces between.
const MEMORY_OF: &str = "DEPLOYCTL_BENCH_MEMORY_OF";

fn main() {
    if let Ok(what) = std::env::var(MEMORY_OF) {
        return push_large(&what);
    }
    // `cargo test --benches` only wants to know that it runs.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { 5 } else { 1 };
    let Some(server) = Server::start() else { return };
    pushes(&server, rounds);
    questions(&server, rounds);
    if rounds > 1 {
        memory(&server);
    }
}

/// Prints how long a push takes, the best of some in turn, so that a busy machine is as busy for one as
/// for the other.
fn pushes(server: &Server, rounds: usize) {
    let (_temp, dir) = folder();
    let layout = Layout::new(dir.join("layout"));
    let source: ImageName = "registry.example.com/shop/web".parse().unwrap();
    let (mut ours, mut theirs, mut requests) = (Vec::new(), Vec::new(), 0);
    for round in 0..rounds {
        // New bytes each time: a registry stores what it has only once.
        let image = Image::new(&dir, round as u64);
        block_on(image.push(&layout, &source));
        let target = |by: &str| ImageName::new(&server.domain, &format!("{by}/r{round}")).unwrap();
        // skopeo's turn comes with bytes that the registry does not have yet, too.
        let other = Image::new(&dir, 1000 + round as u64);
        let remote = Remote::new(&Environment::default()).unwrap();
        let before = server.requests();
        ours.push(timed(|| block_on(other.push(&remote, &target("ours")))));
        requests = server.requests() - before;
        let from = format!("oci:{}:v1", layout.dir());
        let to = format!("docker://{}:v1", target("theirs"));
        theirs.extend(skopeo(&["copy", "-q", "--dest-tls-verify=false", &from, &to]));
    }
    let ours = ours.into_iter().min().unwrap();
    println!("push of {LAYERS} layers of {} MB: {ours:.2?}, {requests} requests", LAYER_SIZE >> 20);
    if let Some(theirs) = theirs.into_iter().min() {
        println!("skopeo copy {theirs:.2?}: deployctl is {:.2} of it", ratio(ours, theirs));
    }
}

fn questions(server: &Server, rounds: usize) {
    let ask = || {
        let remote = Remote::new(&Environment::default()).unwrap();
        let names = (0..SERVICES).map(|n| format!("{}/shop/s{n}:v1", server.domain));
        let names = names.map(|name| name.parse::<ImageReference>().unwrap());
        let asked = futures_util::stream::iter(names);
        let asked = asked.map(async |name| remote.resolve(&name).await.unwrap()).buffered(16);
        block_on(asked.for_each(async |_| ()));
    };
    let all = (0..rounds).map(|_| timed(ask)).min().unwrap();
    println!("{SERVICES} services asked about: {all:.2?}");
    let image = format!("docker://{}/ours/r0:v1", server.domain);
    let inspect = || skopeo(&["inspect", "--raw", "--tls-verify=false", &image]);
    if let Some(one) = (0..rounds).filter_map(|_| inspect()).min() {
        println!("skopeo inspect of one: {one:.2?}");
    }
}

fn memory(server: &Server) {
    let (_temp, dir) = folder();
    let path = dir.join("large");
    File::create(&path).unwrap().set_len(LARGE).unwrap();
    let sum = Command::new("sha256sum").arg(&path).output().unwrap().stdout;
    let sum = String::from_utf8(sum).unwrap();
    let what = format!("{} {path} sha256:{}", server.domain, sum.split(' ').next().unwrap());
    let start = Instant::now();
    let child = Command::new(std::env::current_exe().unwrap()).env(MEMORY_OF, what).output();
    let said = String::from_utf8(child.unwrap().stdout).unwrap();
    println!("push of a blob of 2 GB: {:.1?}, peak memory {}", start.elapsed(), said.trim());
}

fn push_large(what: &str) {
    let mut words = what.split(' ');
    let mut word = || words.next().unwrap();
    let name = ImageName::new(word(), "shop/large").unwrap();
    let content = BlobContent::File(Utf8PathBuf::from(word()));
    let blob = Blob { digest: word().parse().unwrap(), size: LARGE, content };
    let remote = Remote::new(&Environment::default()).unwrap();
    block_on(async { remote.push_blob(&name, &blob).await.unwrap() });
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!("{}", peak.unwrap_or_default().trim());
}

/// An image in files.
struct Image {
    blobs: Vec<Blob>,
    manifest: Manifest,
}

impl Image {
    fn new(dir: &Utf8Path, seed: u64) -> Self {
        let mut blobs: Vec<_> = (0..LAYERS).map(|n| layer(dir, seed * 10 + n as u64)).collect();
        let diff_ids: Vec<_> = blobs.iter().map(|layer| layer.digest.as_str()).collect();
        let config = json!({"architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let bytes = config.to_string().into_bytes();
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        let config = Blob { digest, size, content: BlobContent::Bytes(bytes.into()) };
        let part = |kind: &str, blob: &Blob| {
            json!({"mediaType": format!("application/vnd.oci.image.{kind}"),
                "digest": blob.digest.as_str(), "size": blob.size})
        };
        let layers: Vec<_> = blobs.iter().map(|layer| part("layer.v1.tar", layer)).collect();
        let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
        let text = json!({"schemaVersion": 2, "mediaType": media_type,
            "config": part("config.v1+json", &config), "layers": layers});
        blobs.push(config);
        Self { blobs, manifest: Manifest { media_type, bytes: text.to_string().into() } }
    }

    async fn push(&self, registry: &dyn Registry, name: &ImageName) {
        for blob in &self.blobs {
            registry.push_blob(name, blob).await.unwrap();
        }
        let tag = "v1".parse().unwrap();
        registry.push_manifest(name, &self.manifest, &[tag]).await.unwrap();
    }
}

/// Writes a file of bytes that nothing else has.
fn layer(dir: &Utf8Path, seed: u64) -> Blob {
    let path = dir.join(format!("layer-{seed}"));
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(LAYER_SIZE);
    while bytes.len() < LAYER_SIZE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    File::create(&path).unwrap().write_all(&bytes).unwrap();
    Blob { digest: Digest::of(&bytes), size: bytes.len() as u64, content: BlobContent::File(path) }
}

/// Returns how long `skopeo` took, or `None` if it is not installed.
fn skopeo(arguments: &[&str]) -> Option<Duration> {
    if !is_installed("skopeo") {
        return None;
    }
    Some(timed(|| {
        let mut command = Command::new("skopeo");
        command.args(["--insecure-policy"]).args(arguments).stdout(Stdio::null());
        let status = command.status().unwrap();
        assert!(status.success(), "skopeo {arguments:?}: {status}");
    }))
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

fn folder() -> (TempDir, Utf8PathBuf) {
    let temp = TempDir::new().unwrap();
    let dir = Utf8PathBuf::try_from(temp.path().to_owned()).unwrap();
    (temp, dir)
}
