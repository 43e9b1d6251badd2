//! docker, buildah and podman, for real.

mod docker;
mod dockerfile;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use deployctl::build::{self, BuildError, Builder, Native};
use deployctl::image::{BuiltImage, Dockerfile, Engine, Method};
use deployctl::system::Environment;
use tempfile::TempDir;

use super::contract;
use crate::support::image::{Workshop, config, copies, output};
use crate::support::{World, peer, wait_until};

fn dockerfile() -> Dockerfile {
    Dockerfile::default()
}

fn broken() -> Method {
    Method::Dockerfile(Dockerfile { file: Some("broken/Dockerfile".into()), ..dockerfile() })
}

#[tokio::test]
async fn the_native_builder_keeps_the_contract() {
    let good = copies(&[("bin/app", "/bin/app"), ("site", "/srv")]);
    let bad = copies(&[("none", "/none")]);
    let method = |native| Method::Native(Box::new(native));
    contract::holds_for(&Native::default(), method(good), method(bad)).await;
}

/// Returns the folder of the test's own engine storage, if engines can run here at all.
fn storage() -> Option<TempDir> {
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        return Some(TempDir::new().unwrap());
    }
    eprintln!("skipped a test of an engine: it has to run as root");
    None
}

/// Returns whether engines can run here.
pub(super) fn can_run() -> bool {
    storage().is_some()
}

/// Returns the world with buildah's storage in it.
pub(super) fn with_storage(world: World) -> World {
    let dir = world.path().join("storage");
    fs::create_dir(&dir).unwrap();
    let environment = buildah_environment(dir.as_std_path());
    let own = ["CONTAINERS_STORAGE_CONF", "STORAGE_DRIVER", "BUILDAH_ISOLATION"];
    own.into_iter().fold(world, |world, name| {
        let value = environment.get(name).unwrap().to_owned();
        world.with(name, &value)
    })
}

fn buildah_environment(dir: &Path) -> Environment {
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let conf = format!(
        "[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
        path("root"),
        path("run")
    );
    fs::write(dir.join("storage.conf"), conf).unwrap();
    let variables = [
        ("PATH", Environment::of_process().get("PATH").unwrap().to_owned()),
        ("HOME", path("")),
        ("CONTAINERS_STORAGE_CONF", path("storage.conf")),
        ("STORAGE_DRIVER", "vfs".to_owned()),
        ("BUILDAH_ISOLATION", "chroot".to_owned()),
    ];
    variables.into_iter().collect()
}

/// Returns the engine on a storage of the test's own, and its environment.
async fn buildah_or_podman(name: &str, dir: &Path) -> (Box<dyn Builder>, Environment) {
    let environment = buildah_environment(dir);
    let engine = if name == "podman" { Engine::Podman } else { Engine::Buildah };
    let builder = build::engine(&environment, Some(engine)).await.unwrap();
    (builder, environment)
}

/// Returns what the engine lists: `images` with or without a name, or `containers`.
fn listed(name: &str, what: &str, environment: &Environment) -> String {
    let arguments: &[&str] = match (name, what) {
        ("podman", "containers") => &["ps", "-a", "-q"],
        (_, "containers") => &["containers", "-a", "-q"],
        _ => &["images", "-a", "--noheading", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"],
    };
    output(Command::new(name).args(arguments).env_clear().envs(environment.iter()))
}

async fn keeps_the_contract(name: &str) {
    let (Some(_), Some(dir)) = (peer(name), storage()) else { return };
    let (builder, environment) = buildah_or_podman(name, dir.path()).await;
    contract::holds_for(builder.as_ref(), Method::Dockerfile(dockerfile()), broken()).await;
    let images = listed(name, "images", &environment);
    assert!(!images.contains("deployctl"), "no temporary name stays: {images}");
    assert_eq!(listed(name, "containers", &environment), "");
}

#[tokio::test]
async fn buildah_keeps_the_contract() {
    keeps_the_contract("buildah").await;
}

#[tokio::test]
async fn podman_keeps_the_contract() {
    keeps_the_contract("podman").await;
}

#[tokio::test]
async fn buildah_and_podman_read_arguments_target_and_the_dockerfile_s_own_ignore_file() {
    for name in ["buildah", "podman"] {
        let (Some(_), Some(dir)) = (peer(name), storage()) else { return };
        let (builder, _) = buildah_or_podman(name, dir.path()).await;
        let workshop = Workshop::with(&OWN_IGNORE_FILE);
        let image = workshop.build(builder.as_ref(), with_everything(), None).await.unwrap();
        has_arguments(&image);
        let entries = crate::support::image::listing(&image);
        assert!(entries.iter().all(|entry| !entry.contains("skip")));
    }
}

const OWN_IGNORE_FILE: [(&str, &str); 5] = [
    (
        "ci/app.Dockerfile",
        "FROM scratch AS first\nARG WHO\nARG NOBODY=somebody\nARG TMPDIR\nCOPY files /\n\
         LABEL who=$WHO nobody=$NOBODY tmpdir=$TMPDIR\nFROM scratch\nCOPY none /\n",
    ),
    ("ci/app.Dockerfile.dockerignore", "**/skip\n"),
    (".dockerignore", "files/keep\n"),
    ("files/keep", ""),
    ("files/skip", ""),
];

/// By the environment, an empty one too; and one that the engine itself would put its files into.
const ARGUMENTS: [(&str, &str); 3] =
    [("WHO", "me and you"), ("NOBODY", ""), ("TMPDIR", "/nonexistent")];

/// Checks that the image has all of the arguments.
fn has_arguments(image: &BuiltImage) {
    let labels = &config(image)["config"]["Labels"];
    let said = ["who", "nobody", "tmpdir"].map(|name| labels[name].as_str());
    assert_eq!(said, ARGUMENTS.map(|(_, value)| Some(value)));
}

fn with_everything() -> Method {
    Method::Dockerfile(Dockerfile {
        file: Some("ci/app.Dockerfile".into()),
        target: Some("first".to_owned()),
        args: ARGUMENTS.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..dockerfile()
    })
}

/// A docker daemon with its own data and socket; it is asked to end when this is dropped.
struct DockerDaemon {
    process: Child,
    dir: TempDir,
}

impl DockerDaemon {
    fn start(dockerd: &Path, dir: TempDir) -> Self {
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let log = fs::File::create(at("log")).unwrap();
        let mut command = Command::new(dockerd);
        command.args([
            "--data-root",
            &at("data"),
            "--exec-root",
            &at("run"),
            "--pidfile",
            &at("pid"),
        ]);
        command.args(["-H", &format!("unix://{}", at("docker.sock"))]);
        command.args([
            "--iptables=false",
            "--ip-forward=false",
            "--ip-masq=false",
            "--bridge=none",
        ]);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let daemon = Self { process: command.spawn().unwrap(), dir };
        let log = daemon.dir.path().join("log");
        wait_until("dockerd", || fs::read_to_string(&log).unwrap().contains("API listen on"));
        daemon
    }

    fn environment(&self, docker: &Path) -> Environment {
        let path = Environment::of_process().get("PATH").unwrap().to_owned();
        let socket = format!("unix://{}/docker.sock", self.dir.path().display());
        let folder = docker.parent().unwrap().display();
        let home = self.dir.path().to_str().unwrap().to_owned();
        let path = format!("{folder}:{path}");
        [("PATH", path), ("DOCKER_HOST", socket), ("HOME", home)].into_iter().collect()
    }
}

impl Drop for DockerDaemon {
    fn drop(&mut self) {
        // Killed, it would leave its containerd behind.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// Returns the docker command lines here: which of the daemon's two builders they can use depends
/// on their version.
fn dockers() -> Vec<PathBuf> {
    let first = peer("docker").into_iter();
    let mut found: Vec<PathBuf> = first.chain([PathBuf::from("/usr/bin/docker")]).collect();
    found.retain(|docker| docker.is_file());
    found.dedup();
    found
}

#[tokio::test]
async fn docker_keeps_the_contract() {
    let (Some(dockerd), Some(dir), dockers) = (peer("dockerd"), storage(), dockers()) else {
        return;
    };
    let daemon = DockerDaemon::start(&dockerd, dir);
    for docker in dockers {
        let environment = daemon.environment(&docker);
        let builder = build::engine(&environment, None).await.unwrap();
        contract::holds_for(builder.as_ref(), Method::Dockerfile(dockerfile()), broken()).await;
        let workshop = Workshop::with(&OWN_IGNORE_FILE);
        match workshop.build(builder.as_ref(), with_everything(), None).await {
            Ok(image) => has_arguments(&image),
            Err(error) => assert!(error.to_string().contains("only with buildx"), "{error}"),
        }
        let mut images = Command::new(docker);
        images.args(["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        images.env_clear().envs(environment.iter());
        let images = output(&mut images);
        assert!(!images.contains("deployctl-build"), "no temporary tag stays: {images}");
    }
}

#[tokio::test]
async fn docker_without_its_daemon_is_no_engine() {
    if peer("docker").is_none() {
        return;
    }
    let path = Environment::of_process().get("PATH").unwrap().to_owned();
    let variables = [("PATH", path), ("DOCKER_HOST", "unix:///nonexistent/docker.sock".to_owned())];
    let environment = variables.into_iter().collect();
    let Err(error) = build::engine(&environment, Some(Engine::Docker)).await else { panic!() };
    assert!(matches!(error, BuildError::NoEngine { .. }), "{error}");
    assert!(error.to_string().contains("nonexistent/docker.sock"), "{error}");
}
