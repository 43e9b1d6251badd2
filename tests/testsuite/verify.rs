//! Rollouts on a real control plane.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8Path;
use deployctl::argocd::{ApplicationName, Relation};
use deployctl::cluster::{Live, Recording, Scope};
use deployctl::health::Rules;
use deployctl::k8s::Object;
use deployctl::ops::{
    Ancestry, RolloutReport, RolloutVerdict, VerifyOptions, record, replay, verify,
};
use deployctl::rollout::CauseKind;

use crate::cluster::environment;
use crate::support::kubernetes::{ControlPlane, PlayedArgoCd};
use crate::support::wait_until;

pub(crate) const REPOSITORY: &str = "https://git.example.com/shop/manifests.git";
pub(crate) const IMAGE: &str = "registry.example.com/shop/ranking";

/// The commits of the manifests repository, oldest first.
pub(crate) const COMMITS: [&str; 2] =
    ["1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"];

pub(crate) struct History(pub(crate) &'static str);

#[async_trait]
impl Ancestry for History {
    async fn relation(&self, observed: &str) -> Relation {
        let place = |commit: &str| COMMITS.iter().position(|known| *known == commit);
        match (place(observed), place(self.0)) {
            (Some(observed), Some(expected)) if observed > expected => Relation::Newer,
            (Some(observed), Some(expected)) if observed < expected => Relation::Older,
            (Some(_), Some(_)) => Relation::Same,
            _ => Relation::Unknown,
        }
    }
}

pub(crate) fn options<'a>(scope: Scope, image: &str, expected: &'a History) -> VerifyOptions<'a> {
    VerifyOptions {
        image: Some(image.parse().unwrap()),
        revision: Some(expected.0.to_owned()),
        repo_url: Some(REPOSITORY),
        branch: Some("main"),
        ancestry: expected,
        timeout: Duration::from_secs(120),
        interval: Duration::from_millis(300),
        settle: Duration::from_secs(1),
        ..VerifyOptions::new("dev", "ranking", scope)
    }
}

pub(crate) fn played(
    control_plane: ControlPlane,
    application: &str,
    namespace: &str,
    environment: &str,
) -> PlayedArgoCd {
    PlayedArgoCd {
        control_plane,
        name: application.to_owned(),
        repo_url: REPOSITORY.to_owned(),
        path: format!("apps/ranking/overlays/{environment}"),
        namespace: namespace.to_owned(),
    }
}

pub(crate) fn application(name: &str) -> Scope {
    let name = ApplicationName { namespace: "argocd".into(), name: name.into() };
    Scope { application: Some(name), objects: Vec::new() }
}

pub(crate) fn deployment(namespace: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: ranking, namespace: {namespace}}}\nspec:\n  replicas: 1\n  selector: {{matchLabels: {{app: ranking}}}}\n  \
         template:\n    metadata: {{labels: {{app: ranking}}}}\n    spec: {{containers: [{{name: ranking, image: '{image}'}}]}}\n"
    )
}

/// The same, for no node at all: another test's node must not take its pods.
fn homeless(namespace: &str, image: &str) -> String {
    deployment(namespace, image)
        .replace("spec: {containers", "spec: {nodeSelector: {nowhere: 'true'}, containers")
}

pub(crate) async fn live(control_plane: &ControlPlane) -> Live {
    Live::connect(&environment(control_plane), None).await.unwrap()
}

fn pinned(tag: &str, digit: &str) -> String {
    format!("{IMAGE}:{tag}@sha256:{}", digit.repeat(64))
}

pub(crate) fn assert_verdict(report: &RolloutReport, verdict: RolloutVerdict) {
    assert_eq!(report.verdict, verdict, "{report:#?}");
}

#[tokio::test]
async fn healthy_at_the_commit_before_is_not_the_commit_that_is_expected() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let namespace = "stale-healthy";
    control_plane.namespace(namespace);
    let argo_cd = played(control_plane, namespace, namespace, "dev");
    argo_cd.create();
    argo_cd.sync(COMMITS[0], &homeless(namespace, &pinned("1", "1")));
    let cluster = live(&control_plane).await;
    // No kubelet: the test says that the pods are ready, again and again, as replicas come.
    let ready = async {
        loop {
            tokio::task::spawn_blocking(move || control_plane.play_kubelet(namespace))
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let play = async {
        let (old, new) = (History(COMMITS[0]), History(COMMITS[1]));
        let at_old = options(application(namespace), &pinned("1", "1"), &old);
        let at_new = options(application(namespace), &pinned("2", "2"), &new);
        let controller = argo_cd.keep_reconciling();
        let report = verify(&cluster, &at_old, &|_| {}).await.unwrap();
        assert_verdict(&report, RolloutVerdict::Healthy);
        let soon = VerifyOptions { timeout: Duration::from_secs(3), ..at_new.clone() };
        let report = verify(&cluster, &soon, &|_| {}).await.unwrap();
        assert_verdict(&report, RolloutVerdict::TimedOut);
        let expected = "which is before 222222222222";
        assert!(report.reason.contains(expected), "{}", report.reason);
        drop(controller);
        argo_cd.sync(COMMITS[1], &homeless(namespace, &pinned("2", "2")));
        let _controller = argo_cd.keep_reconciling();
        let report = verify(&cluster, &at_new, &|_| {}).await.unwrap();
        assert_verdict(&report, RolloutVerdict::Healthy);
        assert_eq!(report.pods.len(), 1);
    };
    tokio::select! { () = ready => unreachable!(), () = play => {} }
}

#[tokio::test]
async fn without_argo_cd_the_rendered_objects_are_watched() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let namespace = "plain-objects";
    control_plane.namespace(namespace);
    let image = pinned("1", "1");
    let rendered = homeless(namespace, &image);
    control_plane.apply(&rendered);
    let scope = Scope { application: None, objects: Object::read_all(&rendered).unwrap() };
    let history = History(COMMITS[0]);
    let options =
        VerifyOptions { timeout: Duration::from_secs(4), ..options(scope, &image, &history) };
    let cluster = live(&control_plane).await;
    let dir = tempfile::tempdir().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let report = recorded_and_replayed(&cluster, &options, &dir.join("late")).await;
    assert_verdict(&report, RolloutVerdict::TimedOut);
    // In the real scheduler's words.
    assert_eq!(report.cause.unwrap().kind, CauseKind::Unschedulable);
    assert!(report.reason.contains("no node takes pod `ranking-"), "{}", report.reason);
    control_plane.play_kubelet(namespace);
    let report = recorded_and_replayed(&cluster, &options, &dir.join("healthy")).await;
    assert_verdict(&report, RolloutVerdict::Healthy);
    // The same image, and a change that nobody has applied; then somebody does.
    let mut changed = Vec::new();
    for object in &options.scope.objects {
        let mut value = object.value().clone();
        if object.kind() == "Deployment" {
            value["spec"]["template"]["metadata"]["annotations"]["checksum/config"] = "2".into();
        }
        changed.push(Object::new(value).unwrap());
    }
    let json: Vec<String> = changed.iter().map(|object| object.value().to_string()).collect();
    let scope = Scope { application: None, objects: changed };
    let options = VerifyOptions { scope, ..options };
    let report = recorded_and_replayed(&cluster, &options, &dir.join("unapplied")).await;
    assert_verdict(&report, RolloutVerdict::TimedOut);
    let reason = "Deployment `ranking` is not as the overlay states it: the annotation `checksum/config` of its pods differs";
    assert!(report.reason.ends_with(reason), "{}", report.reason);
    control_plane.apply(&format!("---\n{}", json.join("\n---\n")));
    wait_until("the new pods", || {
        control_plane.play_kubelet(namespace);
        let status = ["-n", namespace, "rollout", "status", "deployment/ranking", "--timeout=1s"];
        control_plane.kubectl_may(&status)
    });
    let report = recorded_and_replayed(&cluster, &options, &dir.join("applied")).await;
    assert_verdict(&report, RolloutVerdict::Healthy);
}

/// Returns the report, which the recording leads to, too.
async fn recorded_and_replayed(
    cluster: &Live,
    options: &VerifyOptions<'_>,
    dir: &Utf8Path,
) -> RolloutReport {
    let report = record(cluster, options, dir, &|_| {}).await.unwrap();
    let again = replay(dir, &|_| Ok(Rules::default()), Duration::ZERO, &|_| {}).await.unwrap();
    assert_eq!(again, std::slice::from_ref(&report));
    report
}

#[tokio::test]
async fn what_the_demo_plays_back_ends_as_it_was_recorded() {
    let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops/demo/recordings");
    let image = pinned("2", "2");
    let by_name: BTreeMap<&str, RolloutVerdict> = BTreeMap::from([
        ("healthy-dev", RolloutVerdict::Healthy),
        ("healthy-prod", RolloutVerdict::Healthy),
        ("broken-dev", RolloutVerdict::Degraded),
    ]);
    for (name, verdict) in by_name {
        let digest = image.split_once('@').unwrap().1;
        let texts = [
            ("image", image.as_str()),
            ("digest", digest),
            ("revision", COMMITS[1]),
            ("repo_url", REPOSITORY),
        ];
        let substitutions =
            texts.map(|(name, text)| deployctl::cluster::Substitution { name, text });
        let recording = Recording::open(&folder.join(name), &substitutions).unwrap();
        let told = Mutex::new(Vec::new());
        let tell = |moment| told.lock().unwrap().push(moment);
        let history = History(COMMITS[1]);
        let application =
            application(name.replace("healthy", "ranking").trim_start_matches("broken-"));
        let options = options(application, &image, &history);
        let report = verify(&recording, &options, &tell).await.unwrap();
        assert_verdict(&report, verdict);
        assert!(told.lock().unwrap().len() > 3, "{name} tells too little");
    }
}
