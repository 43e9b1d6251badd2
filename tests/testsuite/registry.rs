//! The registry backends beside the programs that others read images with.

mod chunks;
mod connections;
mod downloads;
mod fault_proxy;
mod faults;
mod seeded;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use deployctl::image::{Blob, BlobContent, Digest, ImageName, ImageReference, Manifest};
use deployctl::registry::{Layout, Registry, RegistryError, Remote, Resolver, Tuning};
use deployctl::system::Environment;
use serde_json::json;

use crate::support::{RegistryServer, free_port, peer};

/// Grep for it finds every place that a password leaks to.
const CANARY: &str = "canary-8d1f0b6e";

#[tokio::test]
async fn skopeo_reads_a_layout_by_tag() {
    let Some(skopeo) = peer("skopeo") else { return };
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(camino::Utf8Path::from_path(dir.path()).unwrap());
    let digest = push_image(&layout, &"registry.example.com/shop/web".parse().unwrap(), "v1").await;
    let source = format!("oci:{}:v1", dir.path().display());
    assert_eq!(inspect(&skopeo, &[&source]), digest.as_str());
}

#[tokio::test]
async fn umoci_unpacks_a_layout() {
    let Some(umoci) = peer("umoci") else { return };
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(camino::Utf8Path::from_path(dir.path()).unwrap().join("layout"));
    push_image(&layout, &"registry.example.com/shop/web".parse().unwrap(), "v1").await;
    let image = format!("{}:v1", layout.dir());
    let bundle = dir.path().join("bundle");
    let output = Command::new(umoci)
        .args(["raw", "unpack", "--rootless", "--image", &image])
        .arg(&bundle)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_to_string(bundle.join("hello")).unwrap(), "hello\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_takes_many_tags_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let dir = camino::Utf8PathBuf::try_from(dir.path().to_owned()).unwrap();
    let name: ImageName = "registry.example.com/shop/web".parse().unwrap();
    let push = |n: usize| {
        // A layout of its own each, as another process would have.
        let (layout, name) = (Layout::new(&dir), name.clone());
        tokio::spawn(async move { push_image(&layout, &name, &format!("v{n}")).await })
    };
    let pushes: Vec<_> = (0..16).map(push).collect();
    for (n, pushed) in pushes.into_iter().enumerate() {
        let digest = pushed.await.unwrap();
        let reference = format!("{name}:v{n}").parse::<ImageReference>().unwrap();
        assert_eq!(Layout::new(&dir).resolve(&reference).await.unwrap(), Some(digest));
    }
    let files = std::fs::read_dir(dir.join("blobs/sha256")).unwrap().count();
    assert_eq!(files, 3, "nothing half-written stays");
}

#[tokio::test]
async fn a_push_costs_two_requests_a_blob_and_one_a_tag() {
    let Some(server) = RegistryServer::start_plain() else { return };
    let name = ImageName::new(server.domain(), "shop/web").unwrap();
    let remote = Remote::new(&Environment::default()).unwrap();
    push_image(&remote, &name, "v1").await;
    let requests = || {
        let of = |verb: &&str| server.count_requests(&format!("\"{verb} "));
        ["HEAD", "POST", "PATCH", "PUT"].each_ref().map(of)
    };
    assert_eq!(requests(), [0, 2, 0, 3]);
    // What this process has pushed is not pushed again, and not asked for either.
    let digest = push_image(&remote, &name, "v2").await;
    assert_eq!(requests(), [0, 2, 0, 4]);
    let pinned = ImageReference { name, tag: None, digest: Some(digest) };
    let manifest = remote.manifest(&pinned).await.unwrap().unwrap();
    remote.push_manifest(&pinned.name, &manifest, &[]).await.unwrap();
    assert_eq!(server.count_requests(" HTTP/"), 7, "there are no other requests");
    let counts = remote.requests();
    let counts: Vec<_> = counts
        .iter()
        .map(|count| format!("{} {} {}", count.repository, count.kind.as_str(), count.count))
        .collect();
    let expected = ["GET manifest 1", "PUT manifest 2", "POST blob 2", "PUT blob 2"];
    assert_eq!(counts, expected.map(|count| format!("shop/web {count}")));
}

#[tokio::test]
async fn tags_that_the_registry_does_not_echo_are_put_one_by_one() {
    let Some(server) = RegistryServer::start_plain() else { return };
    let name = ImageName::new(server.domain(), "shop/web").unwrap();
    let remote = Remote::new(&Environment::default()).unwrap();
    let digest = push_image(&remote, &name, "v1").await;
    let pinned = ImageReference { name: name.clone(), tag: None, digest: Some(digest) };
    let manifest = remote.manifest(&pinned).await.unwrap().unwrap();
    let puts = || server.count_requests("\"PUT /v2/shop/web/manifests/");
    for (tags, requests) in [(&["a", "b"][..], 3), (&["c", "d"], 6), (&["e", "f", "g"], 9)] {
        let tags: Vec<_> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        remote.push_manifest(&name, &manifest, &tags).await.unwrap();
        assert_eq!(puts(), requests, "{tags:?}");
        for tag in tags {
            let tagged = ImageReference { tag: Some(tag), digest: None, ..pinned.clone() };
            assert_eq!(remote.resolve(&tagged).await.unwrap(), pinned.digest);
        }
    }
}

#[tokio::test]
async fn it_is_known_how_far_a_file_was_sent() {
    let Some(server) = RegistryServer::start_plain() else { return };
    let name = ImageName::new(server.domain(), "shop/web").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("layer");
    std::fs::write(&file, vec![7; 3 << 20]).unwrap();
    let mut blob = blob(vec![7; 3 << 20]);
    blob.content = BlobContent::File(file.try_into().unwrap());
    let remote = Remote::new(&Environment::default()).unwrap();
    assert_eq!(remote.sent(&blob.digest), 0);
    remote.push_blob(&name, &blob).await.unwrap();
    assert_eq!(remote.sent(&blob.digest), blob.size);
}

#[tokio::test]
async fn skopeo_reads_what_was_pushed() {
    let (Some(server), Some(skopeo)) = (RegistryServer::start_plain(), peer("skopeo")) else {
        return;
    };
    let name = ImageName::new(server.domain(), "shop/web").unwrap();
    let remote = Remote::new(&Environment::default()).unwrap();
    let digest = push_image(&remote, &name, "v1").await;
    let source = format!("docker://{name}:v1");
    assert_eq!(inspect(&skopeo, &["--tls-verify=false", &source]), digest.as_str());
}

#[tokio::test]
async fn a_login_is_taken_from_dockers_configuration() {
    let Some(server) = RegistryServer::start_htpasswd("ci", CANARY) else { return };
    let name = ImageName::new(server.domain(), "shop/web").unwrap();
    let home = Login::new(server.domain(), "ci", CANARY);
    let remote = Remote::new(&home.environment()).unwrap();
    let digest = push_image(&remote, &name, "v1").await;
    let reference = format!("{name}:v1").parse::<ImageReference>().unwrap();
    assert_eq!(remote.resolve(&reference).await.unwrap(), Some(digest));
    // One challenge for the whole push, not one a request.
    assert_eq!(server.count_requests("\" 401 "), 1);
}

#[tokio::test]
async fn a_refused_login_says_which_registry_and_which_file() {
    let Some(server) = RegistryServer::start_htpasswd("ci", "the right one") else { return };
    let name = ImageName::new(server.domain(), "shop/web").unwrap();
    let wrong = Login::new(server.domain(), "ci", CANARY);
    let none = Login::new("registry.example.com", "ci", CANARY);
    for (home, hint) in [(&wrong, "refuses the credentials from"), (&none, "no credentials for")] {
        let remote = Remote::new(&home.environment()).unwrap();
        let reference = format!("{name}:v1").parse::<ImageReference>().unwrap();
        let blob = blob(b"x".to_vec());
        let errors = [
            remote.resolve(&reference).await.unwrap_err(),
            remote.push_blob(&name, &blob).await.unwrap_err(),
            remote.blob(&name, &blob.digest).await.err().unwrap(),
        ];
        for error in errors {
            let text = format!("{error} {error:?}");

            assert!(matches!(error, RegistryError::Denied { .. }), "{text}");
            for part in [server.domain(), "shop/web", hint, home.file().as_str()] {
                assert!(text.contains(part), "{part}: {text}");
            }
            assert!(!text.contains(CANARY) && !text.contains(&home.encoded), "{text}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let Some(server) = RegistryServer::start_tls() else { return };
    let reference = format!("{}/shop/web:v1", server.domain()).parse::<ImageReference>().unwrap();
    let remote = Remote::new(&Environment::default()).unwrap();
    let error = remote.resolve(&reference).await.unwrap_err();
    let RegistryError::Unreachable { reason, .. } = &error else { panic!("{error:?}") };
    assert!(reason.contains("certificate"), "{reason}");
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_named() {
    let domain = format!("127.0.0.1:{}", free_port());
    let reference = format!("{domain}/shop/web:v1").parse::<ImageReference>().unwrap();
    let remote = Remote::with_tuning(&Environment::default(), hurried()).unwrap();
    let error = remote.resolve(&reference).await.unwrap_err().to_string();
    let expected = format!(
        "can't reach registry `{domain}`: Connection refused (os error 111) (`shop/web`, tried 4 times)"
    );
    assert_eq!(error, expected);
}

/// As usual, with pauses that nobody notices.
fn hurried() -> Tuning {
    let (first_pause, longest_pause) = (Duration::from_millis(1), Duration::from_millis(4));
    Tuning { tries: 4, first_pause, longest_pause, ..Tuning::default() }
}

/// A home with one login in `.docker/config.json`.
struct Login {
    home: tempfile::TempDir,
    encoded: String,
}

impl Login {
    fn new(domain: &str, user: &str, password: &str) -> Self {
        use base64::Engine as _;
        let encoded =
            base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".docker")).unwrap();
        let text = json!({"auths": {domain: {"auth": encoded}}}).to_string();
        std::fs::write(home.path().join(".docker/config.json"), text).unwrap();
        Self { home, encoded }
    }

    fn file(&self) -> String {
        self.home.path().join(".docker/config.json").to_str().unwrap().to_owned()
    }

    fn environment(&self) -> Environment {
        Environment::from_iter([("HOME", self.home.path().to_str().unwrap())])
    }
}

/// Pushes an image with the one file `hello` and returns its digest.
async fn push_image(registry: &dyn Registry, name: &ImageName, tag: &str) -> Digest {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(6);
    header.set_mode(0o644);
    tar.append_data(&mut header, "hello", &b"hello\n"[..]).unwrap();
    let layer = blob(tar.into_inner().unwrap());
    let config = json!({"architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest.as_str()]}});
    let config = blob(config.to_string().into_bytes());
    let part = |kind: &str, blob: &Blob| {
        json!({"mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": blob.digest.as_str(), "size": blob.size})
    };
    let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
    let text = json!({"schemaVersion": 2, "mediaType": media_type,
        "config": part("config.v1+json", &config), "layers": [part("layer.v1.tar", &layer)]});
    let manifest = Manifest { media_type, bytes: text.to_string().into() };
    for blob in [layer, config] {
        registry.push_blob(name, &blob).await.unwrap();
    }
    let tag = tag.parse().unwrap();
    registry.push_manifest(name, &manifest, &[tag]).await.unwrap();
    manifest.digest()
}

fn blob(bytes: Vec<u8>) -> Blob {
    let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
    Blob { digest, size, content: BlobContent::Bytes(bytes.into()) }
}

/// Returns the digest that `skopeo inspect` prints.
fn inspect(skopeo: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(skopeo);
    let output = command.args(["inspect", "--format", "{{.Digest}}"]).args(arguments).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
