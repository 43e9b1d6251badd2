//! How long the native builder takes for a layer of 60 MB in 200 files, beside `tar | gzip` and,
//! where it is installed, `buildah`; and how much memory it takes for a small layer and a large one.
//!
//! `cargo bench --bench build` prints the times, their ratios measured in one run, and the memory.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::build::{BuildRequest, Builder, Native};
use deployctl::image::{self, BuiltImage, Layer, Method, Recipe};
use tempfile::TempDir;

const FILES: usize = 200;
const FILE_SIZE: usize = 300 << 10;

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
        fs::write(sub.join(format!("f{number}")), content(&mut state)).unwrap();
    }
    (temp, dir)
});

fn content(state: &mut u64) -> Vec<u8> {
    const WORDS: [&[u8]; 8] =
        [b"image ", b"layer", b"digest\n", b"config", b"manifest ", b"\0\0\0\0", b"overlay", b"x"];
    let mut bytes = Vec::with_capacity(FILE_SIZE + 16);
    while bytes.len() < FILE_SIZE {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        let random = state.to_be_bytes();
        bytes.extend_from_slice(WORDS[usize::from(random[0] >> 5)]);
        bytes.extend_from_slice(&random[..2]);
    }
    bytes.truncate(FILE_SIZE);
    bytes
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn native() -> BuiltImage {
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

/// Prints how the times compare, each the best of three in turn, so that a busy machine is as busy
/// for one as for the other.
fn ratios() {
    let dir = &CONTEXT.1;
    let best = |work: &dyn Fn()| (0..3).map(|_| timed(work)).min().unwrap_or_default();
    let native = best(&|| drop(build(dir)));
    let archive = best(&|| archive(dir));
    println!("native {native:.2?}, tar | gzip {archive:.2?}: {:.2} of it", ratio(native, archive));
    if is_installed("buildah") {
        let container = timed(&|| container(dir));
        println!("buildah (vfs) {container:.2?}: native is {:.2} of it", ratio(native, container));
    }
}

fn memory() {
    for megabytes in [64, 1024] {
        let (_temp, dir) = folder();
        File::create(dir.join("file")).unwrap().set_len(megabytes << 20).unwrap();
        let child = Command::new(std::env::current_exe().unwrap()).env(MEMORY_OF, &dir).output();
        let said = String::from_utf8(child.unwrap().stdout).unwrap();
        println!("peak memory of a build with a layer of {megabytes} MB: {}", said.trim());
    }
}

fn build(context: &Utf8Path) -> BuiltImage {
    let (_temp, scratch) = folder();
    let layer = Layer { from: ".".into(), to: "/app".into(), mode: None, owner: (0, 0) };
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
    let script = "tar -C \"$1\" --sort=name --mtime=@0 -cf - . | tee \"$2/fifo\" | gzip -6n | \
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

fn timed(work: &dyn Fn()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok()
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
