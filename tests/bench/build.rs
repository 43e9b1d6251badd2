//! How long the native builder takes for an application's layer of 22 MB in 201 files of which one
//! changed, beside `tar | gzip` and, where they are installed, `crane` and `buildah`; how close that
//! is to what the machine can do at best; and how much memory small and large layers take.
//!
//! `cargo bench --bench build` prints the times, their ratios measured in one run, and the memory.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "shared/content.rs"]
mod content;
#[path = "shared/timing.rs"]
mod timing;

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::build::{BuildRequest, Builder, Native};
use deployctl::image::{self, BuiltImage, Digest, Layer, Method, Recipe};
use flate2::{Compress, Compression, FlushCompress};
use tempfile::TempDir;

use self::content::content;
use self::timing::{is_installed, ratio, timed};

const FILES: usize = 200;
const FILE_SIZE: usize = 113 << 10;

/// The file that is changed.
const SMALL_FILE: usize = 4 << 10;

/// What the native builder has: see the table in `src/build/layer_blob.rs`.
const LEVEL: u32 = 3;
const BLOCK: usize = 256 << 10;

/// Names the folder whose layer a child of this process builds, to see how much memory that takes.
const MEMORY_OF: &str = "DEPLOYCTL_BENCH_MEMORY_OF";

fn main() {
    if let Some(context) = std::env::var_os(MEMORY_OF) {
        build(&Utf8PathBuf::try_from(std::path::PathBuf::from(context)).unwrap());
        return println!("{}", peak_memory());
    }
    divan::main();
    if !std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        ratios();
        memory();
    }
    // Nothing drops a static value.
    fs::remove_dir_all(&CONTEXT.1).unwrap();
}

/// A folder of files that compress as sources and binaries do, to about a third.
static CONTEXT: LazyLock<(TempDir, Utf8PathBuf)> = LazyLock::new(|| {
    let (temp, dir) = folder();
    let mut state = 1_u64;
    for number in 0..FILES {
        let sub = dir.join(format!("d{}", number % 10));
        fs::create_dir_all(&sub).unwrap();
        fs::write(sub.join(format!("f{number}")), content(&mut state, FILE_SIZE)).unwrap();
    }
    change(&dir);
    (temp, dir)
});

/// Gives the small file other bytes.
fn change(dir: &Utf8Path) {
    static TIMES: AtomicU64 = AtomicU64::new(1);
    let bytes = content(&mut TIMES.fetch_add(1, Ordering::Relaxed), SMALL_FILE);
    fs::write(dir.join("small"), bytes).unwrap();
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn native() -> BuiltImage {
    change(&CONTEXT.1);
    build(&CONTEXT.1)
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn tar_and_gzip() {
    archive(&CONTEXT.1);
}

#[divan::bench(sample_count = 1, sample_size = 1)]
fn buildah() {
    container(&CONTEXT.1);
}

/// Prints how the times compare, each the best of five in turn, so that a busy machine is as busy
/// for one as for the other.
fn ratios() {
    let dir = &CONTEXT.1;
    let mut best = [Duration::MAX; 3];
    let works: [&dyn Fn(); 3] = [&|| drop(build(dir)), &|| archive(dir), &|| _ = bound(dir)];
    for _ in 0..5 {
        for (work, best) in works.iter().zip(&mut best) {
            change(dir);
            *best = timed(work).min(*best);
        }
    }
    let [native, archive, _] = best;
    println!(
        "native {native:.2?}, tar | gzip -{LEVEL} {archive:.2?}: {:.2} of it",
        ratio(native, archive)
    );
    let (hashing, compressing) = (0..3).map(|_| bound(dir)).min().unwrap_or_default();
    println!(
        "one core hashes the layer in {hashing:.2?}, two compress it in {compressing:.2?}: native is {:.2} of both",
        ratio(native, hashing + compressing)
    );
    if is_installed("crane") {
        let crane = timed(|| crane(dir));
        println!("crane append {crane:.2?}: native is {:.2} of it", ratio(native, crane));
    }
    if is_installed("buildah") {
        let container = timed(|| container(dir));
        println!("buildah (vfs) {container:.2?}: native is {:.2} of it", ratio(native, container));
    }
}

/// Returns how long one core takes to digest a layer's tar bytes, and two to compress them.
fn bound(dir: &Utf8Path) -> (Duration, Duration) {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all("app", dir).unwrap();
    let tar = tar.into_inner().unwrap();
    let hashing = timed(|| drop(Digest::of(&tar)));
    let (start, next) = (Instant::now(), AtomicUsize::new(0));
    let blocks: Vec<&[u8]> = tar.chunks(BLOCK).collect();
    let work = || {
        let mut deflate = Compress::new(Compression::new(LEVEL), false);
        let mut out = Vec::with_capacity(2 * BLOCK);
        while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
            deflate.reset();
            out.clear();
            deflate.compress_vec(block, &mut out, FlushCompress::Full).unwrap();
        }
    };
    thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    (hashing, start.elapsed())
}

/// Makes the same layer with `tar` and `crane append` onto nothing, as a tarball.
fn crane(dir: &Utf8Path) {
    let (_temp, scratch) = folder();
    let layer = scratch.join("layer.tar");
    let mut tar = Command::new("tar");
    assert!(tar.args(["-C", dir.as_str(), "-cf", layer.as_str(), "."]).status().unwrap().success());
    let image = scratch.join("image.tar");
    let mut crane = Command::new("crane");
    crane.args([
        "append",
        "--oci-empty-base",
        "-t",
        "x",
        "-f",
        layer.as_str(),
        "-o",
        image.as_str(),
    ]);
    assert!(crane.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
}

fn memory() {
    for megabytes in [64, 2048] {
        let (_temp, dir) = folder();
        let mut file = File::create(dir.join("file")).unwrap();
        let noise = content(&mut 7, FILE_SIZE);
        for _ in 0..(megabytes << 20) / noise.len() {
            file.write_all(&noise).unwrap();
        }
        let child = Command::new(std::env::current_exe().unwrap()).env(MEMORY_OF, &dir).output();
        let said = String::from_utf8(child.unwrap().stdout).unwrap();
        println!("peak memory of a build with a layer of {megabytes} MB: {}", said.trim());
    }
}

fn build(context: &Utf8Path) -> BuiltImage {
    let (_temp, scratch) = folder();
    let layer = Layer { from: vec![".".to_owned()], to: "/app".into(), ..Layer::default() };
    let native = image::Native { layers: vec![layer], ..image::Native::default() };
    let recipe = Recipe {
        context: ".".into(),
        platforms: Vec::new(),
        method: Method::Native(Box::new(native)),
    };
    let request = BuildRequest {
        folder: context,
        context,
        recipe: &recipe,
        bases: &[],
        epoch: 0,
        scratch: &scratch,
        log: &|_| {},
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(Native::default().build(&request)).unwrap()
}

/// Writes the files with `tar | gzip` at the level that the native builder has, and digests both
/// sides as it does.
fn archive(dir: &Utf8Path) {
    let script = "tar -C \"$1\" --sort=name --mtime=@0 -cf - . | tee \"$2/fifo\" | gzip -3n | \
                  tee \"$2/layer\" | sha256sum & sha256sum < \"$2/fifo\"; wait";
    let (_temp, scratch) = folder();
    assert!(Command::new("mkfifo").arg(scratch.join("fifo")).status().unwrap().success());
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh", dir.as_str(), scratch.as_str()]).stdout(Stdio::null());
    assert!(shell.status().unwrap().success());
}

fn container(dir: &Utf8Path) {
    if !is_installed("buildah") {
        return;
    }
    let (_temp, scratch) = folder();
    let mut file = File::create(scratch.join("Dockerfile")).unwrap();
    file.write_all(b"FROM scratch\nCOPY . /app\n").unwrap();
    let buildah = |arguments: &[&str]| {
        let mut command = Command::new("buildah");
        command.args(["--root", scratch.join("root").as_str()]);
        command.args(["--runroot", scratch.join("run").as_str()]).args(arguments);
        command.env("STORAGE_DRIVER", "vfs").stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().unwrap().success(), "buildah {arguments:?}");
    };
    let dockerfile = scratch.join("Dockerfile");
    buildah(&["bud", "--isolation", "chroot", "-t", "x", "-f", dockerfile.as_str(), dir.as_str()]);
    buildah(&["push", "x", &format!("oci:{scratch}/layout:x")]);
}

fn folder() -> (TempDir, Utf8PathBuf) {
    let temp = TempDir::new().unwrap();
    let dir = Utf8PathBuf::try_from(temp.path().to_owned()).unwrap();
    (temp, dir)
}

fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "not known on this system".to_owned(), |line| line.trim().to_owned())
}
