//! What docker itself makes of a Dockerfile, again and with a base, and what it can run afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use deployctl::build;
use deployctl::image::{BuiltImage, Dockerfile, Engine, Method};
use deployctl::system::Environment;
use serde_json::{Value, json};

use super::{DockerDaemon, dockers, storage};
use crate::support::image::{Workshop, config, output};
use crate::support::{RegistryServer, World, peer};

struct Docker {
    program: PathBuf,
    environment: Environment,
}

impl Docker {
    fn of(daemon: &DockerDaemon, program: &Path) -> Self {
        Self { program: program.to_owned(), environment: daemon.environment(program) }
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.program);
        output(command.args(arguments).env_clear().envs(self.environment.iter()))
    }

    async fn build(&self, workshop: &Workshop) -> BuiltImage {
        let builder = build::engine(&self.environment, Some(Engine::Docker)).await.unwrap();
        workshop.tidy();
        let method = Method::Dockerfile(Dockerfile::default());
        workshop.build(builder.as_ref(), method, None).await.unwrap()
    }

    fn forget(&self) {
        for what in ["image", "builder"] {
            self.run(&[what, "prune", "--all", "--force"]);
        }
    }
}

#[tokio::test]
async fn docker_makes_the_same_digest_again_without_its_cache_and_keeps_the_base() {
    let (Some(dockerd), Some(dir)) = (peer("dockerd"), storage()) else { return };
    let Some(registry) = RegistryServer::start_plain() else { return };
    let daemon = DockerDaemon::start(&dockerd, dir);
    let base = format!("{}/shop/base:1", registry.domain());
    let below = Workshop::with(&[("Dockerfile", "FROM scratch\nCOPY a /\nENV A=b\n"), ("a", "1")]);
    let dockerfile = format!("ARG BASE={base}\nFROM $BASE\nCOPY b /srv/\nLABEL c=d\n");
    for program in dockers() {
        let docker = Docker::of(&daemon, &program);
        docker.run(&["build", "--tag", &base, below.context().as_str()]);
        docker.run(&["push", &base]);
        let layers = ["image", "inspect", "--format", "{{json .RootFS.Layers}}", &base];
        let layers: Value = serde_json::from_str(&docker.run(&layers)).unwrap();
        docker.forget();
        let workshop = Workshop::with(&[("Dockerfile", &dockerfile), ("b", "2")]);
        let first = docker.build(&workshop).await;
        docker.forget();
        // Another folder, another time of the file.
        let workshop = Workshop::with(&[("Dockerfile", &dockerfile), ("b", "2")]);
        let again = docker.build(&workshop).await;
        assert_eq!(first.manifest, again.manifest);
        let config = config(&again);
        assert_eq!(config["rootfs"]["diff_ids"][0], layers[0], "the base's layer is its own");
        assert_ne!(config["history"][0]["created"], "1970-01-01T00:00:00Z", "so is its history");
        let history = config["history"].as_array().unwrap();
        assert_eq!(history.last().unwrap()["created"], "1970-01-01T00:00:00Z");
        assert_eq!(config["created"], "1970-01-01T00:00:00Z");
    }
}

#[tokio::test]
async fn what_was_built_or_found_can_be_run_by_the_local_docker() {
    let (Some(dockerd), Some(dir), Some(busybox)) = (peer("dockerd"), storage(), peer("busybox"))
    else {
        return;
    };
    let Some(registry) = RegistryServer::start_plain() else { return };
    let daemon = DockerDaemon::start(&dockerd, dir);
    let docker = Docker::of(&daemon, &dockers()[0]);
    let image = format!("{}/shop/web", registry.domain());
    let mut world = World::new();
    for (name, value) in docker.environment.iter().filter(|(name, _)| *name != "HOME") {
        world = world.with(name, value);
    }
    let layers = "layers: [{from: bin, to: /bin}], entrypoint: [/bin/sh, -c, 'echo hello']";
    let build = format!("{{context: ., {layers}, platforms: [linux/amd64]}}");
    let services = format!("services: {{web: {{image: {image}, tag: content, build: {build}}}}}");
    world.write("deployctl.yaml", &format!("version: 1\nenvironments: {{}}\n{services}\n"));
    fs::create_dir(world.path().join("bin")).unwrap();
    fs::copy(busybox, world.path().join("bin/sh")).unwrap();
    // Built, then found in the registry.
    for reused in [false, true] {
        let said = world.ok(&["build", "--load", "--output", "json"]);
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["images"][0]["reused"], json!(reused), "{said}");
        let name = format!("{image}:{}", said["images"][0]["tag"].as_str().unwrap());
        assert_eq!(docker.run(&["run", "--rm", "--network", "none", &name]), "hello\n");
        docker.forget();
    }
    let said = world.ok(&["build", "--load", "--push", "false", "--rebuild", "--output", "json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    let name = format!("{image}:{}", said["images"][0]["tag"].as_str().unwrap());
    assert_eq!(docker.run(&["run", "--rm", "--network", "none", &name]), "hello\n");
    let nobody = world.with("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let refused = nobody.run(&["build", "--load"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("start it, or set DOCKER_HOST"), "{refused:?}");
}
