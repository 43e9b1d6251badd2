//! What a Dockerfile's recipe can say, on buildah and podman: platforms, secrets, a cache; and what
//! stays when a build is given up.

use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use deployctl::build::{BuildError, BuildRequest, Builder};
use deployctl::image::{BuiltImage, Cache, Dockerfile, Method, Recipe, SecretSource};
use serde_json::Value;

use super::{buildah_or_podman, listed, storage};
use crate::support::image::{Workshop, bytes, config};
use crate::support::{RegistryServer, peer};

const ENGINES: [&str; 2] = ["buildah", "podman"];

/// Steps that run a shell, which the context brings along.
const STEPS: &str =
    "FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /bin/cat\nCOPY busybox /bin/sleep\n";

/// Returns a context with a shell in it and a Dockerfile that ends with `step`, if engines can run
/// here at all.
fn workshop(step: &str) -> Option<Workshop> {
    let busybox = peer("busybox")?;
    let workshop = Workshop::with(&[("Dockerfile", &format!("{STEPS}{step}\n"))]);
    fs::copy(busybox, workshop.context().join("busybox")).unwrap();
    Some(workshop)
}

/// Returns what is built, and what was said meanwhile.
async fn build(
    workshop: &Workshop,
    builder: &dyn Builder,
    dockerfile: Dockerfile,
    platforms: &[&str],
) -> (Result<BuiltImage, BuildError>, String) {
    let said = Mutex::new(String::new());
    let recipe = Recipe {
        context: ".".into(),
        platforms: platforms.iter().map(|text| text.parse().unwrap()).collect(),
        method: Method::Dockerfile(dockerfile),
    };
    let (context, scratch) = (workshop.context(), workshop.scratch());
    let request = BuildRequest {
        folder: workshop.path(),
        context: &context,
        recipe: &recipe,
        bases: &[],
        epoch: 0,
        scratch: &scratch,
        log: &|line| *said.lock().unwrap() += &format!("{line}\n"),
    };
    let image = builder.build(&request).await;
    (image, said.into_inner().unwrap())
}

#[tokio::test]
async fn several_platforms_make_an_index_that_can_be_repeated() {
    let (Some(_), Some(_), Some(dir)) = (peer("buildah"), peer("podman"), storage()) else {
        return;
    };
    let workshop = Workshop::with(&[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "x")]);
    let mut manifests = Vec::new();
    for name in ENGINES {
        let home = dir.path().join(name);
        fs::create_dir(&home).unwrap();
        let (builder, environment) = buildah_or_podman(name, &home).await;
        let platforms = ["linux/arm64", "linux/amd64"];
        workshop.tidy();
        let (image, _) =
            build(&workshop, builder.as_ref(), Dockerfile::default(), &platforms).await;
        let image = image.unwrap();
        let index: Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
        assert_eq!(index["manifests"][0]["platform"]["architecture"], "arm64");
        assert_eq!(index["manifests"][1]["platform"]["architecture"], "amd64");
        assert_eq!((image.children.len(), image.blobs.len()), (2, 3), "they share their layer");
        let stored = ["images", "containers"].map(|what| listed(name, what, &environment));
        assert_eq!(stored, ["", ""], "nothing stays in the store");
        // Another store, another time of the file, another engine: the same image.
        manifests.push(image.manifest);
        workshop.write("a", "x");
    }
    assert_eq!(manifests[0], manifests[1]);
}

#[tokio::test]
async fn secrets_are_read_by_a_step_and_by_nothing_else() {
    let step = "RUN --mount=type=secret,id=token --mount=type=secret,id=file \
                cat /run/secrets/token /run/secrets/file";
    let (Some(_), Some(_), Some(dir)) = (peer("buildah"), peer("podman"), storage()) else {
        return;
    };
    let Some(workshop) = workshop(step) else { return };
    fs::write(workshop.path().join("npmrc"), "//npm.example.com/:_authToken=npm_1234567\n")
        .unwrap();
    let dockerfile = Dockerfile {
        secrets: [
            ("token".to_owned(), SecretSource::Variable("STORAGE_DRIVER_CANARY".to_owned())),
            ("file".to_owned(), SecretSource::File("npmrc".into())),
        ]
        .into(),
        ..Dockerfile::default()
    };
    for name in ENGINES {
        let home = dir.path().join(name);
        fs::create_dir(&home).unwrap();
        let (builder, environment) = buildah_or_podman(name, &home).await;
        let (none, _) = build(&workshop, builder.as_ref(), dockerfile.clone(), &[]).await;
        let none = none.unwrap_err().to_string();
        assert!(none.ends_with("variable `STORAGE_DRIVER_CANARY` is not set"), "{none}");
        let environment = environment.with("STORAGE_DRIVER_CANARY", "canary-42");
        let engine = if name == "podman" { super::Engine::Podman } else { super::Engine::Buildah };
        let builder = deployctl::build::engine(&environment, Some(engine)).await.unwrap();
        workshop.tidy();
        let (image, said) = build(&workshop, builder.as_ref(), dockerfile.clone(), &[]).await;
        let image = image.unwrap();
        assert!(said.contains("***"), "{said}");
        for secret in ["canary-42", "npm_1234567"] {
            assert!(!said.contains(secret), "{said}");
            let told = |blob: &_| String::from_utf8_lossy(&inflated(&bytes(blob))).contains(secret);
            assert!(!image.blobs.iter().any(told), "no blob has it");
        }
        assert!(config(&image)["history"].to_string().contains("cat /run/secrets/token"));
    }
}

fn inflated(blob: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let mut tar = Vec::new();
    match flate2::read::GzDecoder::new(blob).read_to_end(&mut tar) {
        Ok(_) => tar,
        Err(_) => blob.to_vec(),
    }
}

#[tokio::test]
async fn a_cache_in_the_registry_spares_the_steps_and_keeps_the_digest() {
    let (Some(_), Some(dir)) = (peer("buildah"), storage()) else { return };
    let (Some(workshop), Some(registry)) = (workshop("COPY a /"), RegistryServer::start_plain())
    else {
        return;
    };
    workshop.write("a", "x");
    let insecure = format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", registry.domain());
    let reference = format!("{}/shop/cache:main", registry.domain()).parse().unwrap();
    let cache = Cache { from: vec![reference], ..Cache::default() };
    let cache = Cache { to: Some(cache.from[0].clone()), ..cache };
    let dockerfile = Dockerfile { cache, ..Dockerfile::default() };
    let mut manifests = Vec::new();
    for machine in ["one", "two"] {
        let home = dir.path().join(machine);
        fs::create_dir(&home).unwrap();
        fs::write(home.join("registries.conf"), &insecure).unwrap();
        let conf = home.join("registries.conf").to_str().unwrap().to_owned();
        let environment =
            super::buildah_environment(&home).with("CONTAINERS_REGISTRIES_CONF", &conf);
        let engine = Some(super::Engine::Buildah);
        let builder = deployctl::build::engine(&environment, engine).await.unwrap();
        workshop.tidy();
        let (image, said) = build(&workshop, builder.as_ref(), dockerfile.clone(), &[]).await;
        manifests.push(image.unwrap().manifest);
        assert_eq!(said.contains("Cache pulled from remote"), machine == "two", "{said}");
    }
    assert_eq!(manifests[0], manifests[1]);
}

#[tokio::test]
async fn a_build_that_is_given_up_leaves_nothing() {
    let (Some(_), Some(_), Some(dir)) = (peer("buildah"), peer("podman"), storage()) else {
        return;
    };
    let Some(workshop) = workshop("RUN while :; do sleep 1; done") else { return };
    for name in ENGINES {
        let home = dir.path().join(name);
        fs::create_dir(&home).unwrap();
        let (builder, environment) = buildah_or_podman(name, &home).await;
        let running = Mutex::new(String::new());
        let recipe = Recipe {
            context: ".".into(),
            platforms: Vec::new(),
            method: Method::Dockerfile(Dockerfile::default()),
        };
        let (context, scratch) = (workshop.context(), workshop.scratch());
        let (started, mut has_started) = tokio::sync::mpsc::unbounded_channel();
        let request = BuildRequest {
            folder: workshop.path(),
            context: &context,
            recipe: &recipe,
            bases: &[],
            epoch: 0,
            scratch: &scratch,
            log: &|line| {
                *running.lock().unwrap() += line;
                if line.contains("RUN while") {
                    started.send(()).unwrap();
                }
            },
        };
        tokio::select! {
            built = builder.build(&request) => panic!("it ended: {built:?}"),
            _ = has_started.recv() => tokio::time::sleep(Duration::from_millis(500)).await,
        }
        let left = ["containers", "images"].map(|what| listed(name, what, &environment));
        assert_eq!(left, ["", ""], "{name}");
    }
}
