//! Images that can't be pulled, in containerd's words.

use deployctl::cluster::Live;
use deployctl::image::{Digest, ImageReference, Manifest};
use deployctl::ops::{VerifyOptions, verify};
use deployctl::registry::{Registry as _, Remote, Resolver as _};
use deployctl::rollout::CauseKind;
use deployctl::system::Environment;
use futures_util::future::join_all;
use serde_json::{Value, json};
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{Case, case, deployment, options};
use crate::cluster::environment;
use crate::support::RegistryServer;
use crate::support::kubernetes::{ControlPlane, Node, Pulls, images};

const NAMESPACE: &str = "why-pulls";

/// Pushes an index of the image at `name`, whose manifest for amd64 is `platform`, and of a manifest of
/// its own for each other architecture; returns its digest.
pub(super) async fn push_index(name: &str, platform: &Digest, architectures: &[&str]) -> Digest {
    let registry = Remote::new(&Environment::default()).unwrap();
    let reference: ImageReference = name.parse().unwrap();
    let of_platform = ImageReference { digest: Some(platform.clone()), ..reference.clone() };
    let of_platform = registry.manifest(&of_platform).await.unwrap().unwrap();
    let mut entries = Vec::new();
    for architecture in architectures {
        let mut document: Value = serde_json::from_slice(&of_platform.bytes).unwrap();
        let title = format!("for {architecture}");
        document["annotations"] = json!({"org.opencontainers.image.title": title});
        let other = Manifest { bytes: document.to_string().into(), ..of_platform.clone() };
        let of = if *architecture == "amd64" { &of_platform } else { &other };
        registry.push_manifest(&reference.name, of, &[]).await.unwrap();
        entries.push(json!({"mediaType": of.media_type, "digest": of.digest().as_str(), "size": of.bytes.len(),
            "platform": {"os": "linux", "architecture": architecture}}));
    }
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries});
    let index = Manifest { media_type: media_type.to_owned(), bytes: index.to_string().into() };
    registry.push_manifest(&reference.name, &index, reference.tag.as_slice()).await.unwrap();
    index.digest()
}

/// What Docker Hub answers to somebody with an account.
const LIMIT: &str = "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"You have reached your pull rate limit as 'ada': dckr_jti_1. You may increase the limit by upgrading. https://www.docker.com/increase-rate-limit\"}]}";

/// Starts a registry that answers all requests, or all but those of the tag, that there were too many.
async fn busy_registry(tells_the_tag: bool) -> MockServer {
    let server = MockServer::start().await;
    if tells_the_tag {
        let digest = format!("sha256:{}", "1".repeat(64));
        let told = ResponseTemplate::new(200)
            .insert_header("Docker-Content-Digest", digest.as_str())
            .set_body_raw("x".repeat(500), "application/vnd.oci.image.manifest.v1+json");
        let head = Mock::given(method("HEAD")).and(path_regex("/manifests/1$"));
        head.respond_with(told).with_priority(1).mount(&server).await;
    }
    let refused = ResponseTemplate::new(429).set_body_raw(LIMIT, "application/json");
    Mock::given(wiremock::matchers::any()).respond_with(refused).mount(&server).await;
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_can_not_be_pulled_is_told_with_what_to_do() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let Some(registry) = RegistryServer::start_plain() else { return };
    let Some(closed) = RegistryServer::start_htpasswd("ada", "canary") else { return };
    let Some(_node) = Node::start(&control_plane).await else { return };
    let name = format!("{}/shop/ranking", registry.domain());
    let platform = images::push(&format!("{name}:1"), "exec sleep 1000").await.unwrap();
    push_index(&format!("{name}:other"), &platform, &["riscv64"]).await;
    let (busy, limited) = (busy_registry(false).await, busy_registry(true).await);
    let of = |pod: &str, image: String, seconds, summary, advice| {
        let yaml = deployment(pod, &image, "", "")
            .replace("namespace: why", &format!("namespace: {NAMESPACE}"));
        case(yaml, seconds, CauseKind::ImagePull, summary, advice)
    };
    let domain = registry.domain();
    let many = "the registry answers that there were too many requests";
    let cases = [
        of("tag", format!("{name}:gone"), 180, "no such tag", "clean-up"),
        of("name", format!("{domain}/shop/rankin:1"), 180, "no such repository", "misspelling"),
        of(
            "closed",
            format!("{}/shop/ranking:1", closed.domain()),
            180,
            "refuses",
            "imagePullSecrets",
        ),
        of("platform", format!("{name}:other"), 180, "not made for the node's platform", "arch`"),
        of("busy", format!("{}/shop/ranking:1", busy.address()), 45, many, "imagePullSecrets"),
        of("limited", format!("{}/shop/ranking:1", limited.address()), 45, many, "mirror"),
    ];
    let _pulls = Pulls::within(control_plane, NAMESPACE);
    let all: Vec<_> = cases.iter().map(|case| case.yaml.as_str()).collect();
    control_plane.apply(&all.join("---\n"));
    let live = Live::connect(&environment(&control_plane), None).await.unwrap();
    let registry = Remote::new(&Environment::default()).unwrap();
    let told = join_all(cases.iter().map(async |case| {
        let options = options(&case.yaml, case.seconds);
        let options = VerifyOptions { registry: Some(&registry), ..options };
        verify(&live, &options, &|_| {}).await.unwrap()
    }));
    let told = told.await;
    Case::assert_told(&cases, &told);
    assert!(!format!("{told:?}").contains("'ada'"), "{told:#?}");

    // Nobody but the registry knows what it lacks.
    let yaml = cases[0].yaml.as_str();
    let report = verify(&live, &options(yaml, 180), &|_| {}).await.unwrap();
    let cause = report.cause.as_ref().unwrap_or_else(|| panic!("no cause: {report:#?}"));
    assert!(cause.summary.ends_with("the registry has no such image"), "{report:#?}");
    assert!(cause.advice.starts_with("Check name, tag and digest"), "{report:#?}");
}
