//! Rollouts as played back from recorded versions.

use async_trait::async_trait;
use camino::Utf8PathBuf;

use super::*;
use crate::argocd::Relation;
use crate::cluster::{Recording, Scope};
use crate::k8s::Object;

const OLD: &str = "registry.example.com/shop/ranking:1@sha256:1111111111111111111111111111111111111111111111111111111111111111";
const NEW: &str = "registry.example.com/shop/ranking:2@sha256:2222222222222222222222222222222222222222222222222222222222222222";

const BEFORE: &str = "1111111111111111111111111111111111111111";
const EXPECTED: &str = "2222222222222222222222222222222222222222";
const AFTER: &str = "3333333333333333333333333333333333333333";

pub(super) struct Commits;

#[async_trait]
impl Ancestry for Commits {
    async fn relation(&self, observed: &str) -> Relation {
        match observed {
            BEFORE => Relation::Older,
            EXPECTED => Relation::Same,
            AFTER => Relation::Newer,
            _ => Relation::Unknown,
        }
    }
}

fn deployment(image: &str, healthy: bool) -> String {
    let ready = i32::from(healthy);
    format!(
        "objects:\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {{name: ranking, namespace: shop, uid: d, generation: 1}}\n  spec: {{replicas: 1, template: {{spec: {{containers: [{{name: web, image: '{image}'}}]}}}}}}\n  \
         status: {{observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: {ready}, availableReplicas: {ready}}}\n\
         owned:\n- apiVersion: apps/v1\n  kind: ReplicaSet\n  metadata: {{name: ranking-1, namespace: shop, uid: s, ownerReferences: [{{uid: d, controller: true}}]}}\n  status: {{availableReplicas: {ready}}}\n"
    )
}

fn pod(image: &str, status: &str) -> String {
    format!(
        "pods:\n- apiVersion: v1\n  kind: Pod\n  metadata: {{name: ranking-1-x, namespace: shop, uid: p, ownerReferences: [{{uid: s, controller: true}}]}}\n  spec: {{containers: [{{name: web, image: '{image}'}}]}}\n  status: {{containerStatuses: [{status}]}}\n"
    )
}

const READY: &str = "{name: web, ready: true, restartCount: 0, state: {running: {}}}";
const NOT_FOUND: &str = "{name: web, ready: false, restartCount: 0, state: {waiting: {reason: ErrImagePull, message: 'ranking: not found'}}}";

fn application(revision: &str) -> String {
    format!(
        "application:\n  apiVersion: argoproj.io/v1alpha1\n  kind: Application\n  metadata: {{name: ranking-dev, namespace: argocd}}\n  \
         spec: &spec {{source: &source {{repoURL: 'https://git.example.com/shop/manifests.git', path: apps, targetRevision: main}}, destination: {{server: 'https://kubernetes.default.svc', namespace: shop}}, syncPolicy: {{automated: {{}}}}}}\n  \
         status: {{reconciledAt: '2026-01-01T00:00:00Z', sync: {{status: Synced, revision: '{revision}', comparedTo: *spec}}, health: {{status: Healthy}}, resources: [{{group: apps, version: v1, kind: Deployment, namespace: shop, name: ranking, status: Synced}}]}}\n"
    )
}

fn play(versions: &[String]) -> Recording {
    let text = |(index, body): (usize, &String)| {
        let time = format!("2026-01-01T00:{:02}:{:02}Z", index / 60, index % 60);
        let path = Utf8PathBuf::from(format!("{index:04}.yaml"));
        let time =
            if body.starts_with("time: ") { String::new() } else { format!("time: {time}\n") };
        (path, format!("schema: deployctl.dev/snapshot/v1\n{time}{body}"))
    };
    let files: Vec<_> = versions.iter().enumerate().map(text).collect();
    let files = files.iter().map(|(path, text)| (path.as_path(), text.as_str()));
    Recording::read(files, &[]).unwrap()
}

fn options(with_application: bool) -> VerifyOptions<'static> {
    let rendered = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: ranking, namespace: shop}, spec: {template: {spec: {containers: [{name: web, image: 'IMAGE'}]}}}}";
    let name = ApplicationName { namespace: "argocd".into(), name: "ranking-dev".into() };
    let objects = Object::read_all(&rendered.replace("IMAGE", NEW)).unwrap();
    let scope = match with_application {
        true => Scope { application: Some(name), objects: Vec::new() },
        false => Scope { application: None, objects },
    };
    VerifyOptions {
        image: Some(NEW.parse().unwrap()),
        revision: with_application.then(|| EXPECTED.to_owned()),
        repo_url: Some("https://git.example.com/shop/manifests"),
        ancestry: &Commits,
        timeout: Duration::from_secs(60),
        settle: Duration::from_secs(3),
        ..VerifyOptions::new("dev", "ranking", scope)
    }
}

async fn verdict(with_application: bool, versions: &[String]) -> RolloutReport {
    let recording = play(versions);
    verify(&recording, &options(with_application), &|_| {}).await.unwrap()
}

#[tokio::test]
async fn the_expected_image_healthy_for_a_while_is_healthy() {
    let old = deployment(OLD, true) + &pod(OLD, READY);
    let new = deployment(NEW, true) + &pod(NEW, READY);
    let report = verdict(false, &[old, deployment(NEW, false), new]).await;
    assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
    assert_eq!(report.duration, Duration::from_secs(5));
    assert_eq!((report.pods[0].image.as_str(), report.pods[0].ready), (NEW, true));
}

#[tokio::test]
async fn good_news_count_once_they_are_confirmed() {
    let good = deployment(NEW, true) + &pod(NEW, READY);
    let stale = |rest: &str| {
        let time = "2026-01-01T00:00:03.5Z";
        let found = format!("occasion: confirmed\n{}", deployment(NEW, false));
        [good.clone(), found.replace("occasion", &format!("time: {time}\noccasion")), rest.into()]
    };
    let report = verdict(false, &stale(&deployment(NEW, false))).await;
    assert_eq!(report.verdict, RolloutVerdict::TimedOut, "{report:#?}");
    let report = verdict(false, &stale(&good)).await;
    assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
    assert_eq!(report.duration, Duration::from_millis(6500));
}

#[tokio::test]
async fn healthy_at_the_old_image_or_revision_is_not_accepted() {
    let old = deployment(OLD, true) + &pod(OLD, READY);
    let report = verdict(false, std::slice::from_ref(&old)).await;
    assert_eq!(report.verdict, RolloutVerdict::TimedOut);
    assert_eq!(
        report.reason,
        format!("not done after 1m: Deployment `ranking` states `{OLD}`, not `{NEW}`")
    );
    let new = deployment(NEW, true) + &pod(NEW, READY);
    let report = verdict(true, &[application(BEFORE) + &new]).await;
    assert_eq!(report.verdict, RolloutVerdict::TimedOut, "{report:#?}");
    let report = verdict(true, &[application(BEFORE) + &old, application(EXPECTED) + &new]).await;
    assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
}

#[tokio::test]
async fn a_later_commit_with_another_image_supersedes_this_one() {
    let same = deployment(NEW, true) + &pod(NEW, READY);
    let report = verdict(true, &[application(AFTER) + &same]).await;
    assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
    let other = deployment(OLD, true) + &pod(OLD, READY);
    let report = verdict(true, &[application(AFTER) + &other]).await;
    assert_eq!((report.verdict, report.duration), (RolloutVerdict::Degraded, Duration::ZERO));
    let start = format!("superseded by commit {AFTER}: Deployment `ranking` states `{OLD}`");
    assert!(report.reason.starts_with(&start), "{}", report.reason);
}

#[tokio::test]
async fn an_image_that_is_not_there_ends_the_wait() {
    let broken = deployment(NEW, false) + &pod(NEW, NOT_FOUND);
    let report = verdict(false, std::slice::from_ref(&broken)).await;
    assert_eq!(report.verdict, RolloutVerdict::Degraded);
    assert_eq!(report.duration, Duration::ZERO);
    assert_eq!(report.cause.unwrap().kind, CauseKind::ImagePull);
    assert!(report.reason.ends_with("the registry has no such image"), "{}", report.reason);
    assert_eq!(report.evidence[0].reason, "ErrImagePull");
}

#[tokio::test]
async fn what_ailed_the_state_before_is_not_held_against_the_change() {
    let broken = deployment(OLD, false) + &pod(OLD, NOT_FOUND);
    let new = deployment(NEW, true) + &pod(NEW, READY);
    for with_application in [false, true] {
        let of =
            |revision: &str| if with_application { application(revision) } else { String::new() };
        let versions = [of(BEFORE) + &broken, of(BEFORE) + &broken, of(EXPECTED) + &new];
        let report = verdict(with_application, &versions).await;
        assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
    }
}

#[tokio::test]
async fn without_anything_to_look_at_there_is_no_verdict() {
    let nothing = play(&[String::new()]);
    let error = verify(&nothing, &options(true), &|_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no Application `ranking-dev` in namespace `argocd`");
    let none = VerifyOptions { scope: Scope::default(), ..options(false) };
    assert!(matches!(verify(&nothing, &none, &|_| {}).await, Err(VerifyError::NothingToVerify)));
}

#[tokio::test]
async fn health_that_is_followed_by_a_restart_is_a_failure() {
    let healthy = deployment(NEW, true) + &pod(NEW, READY);
    let restarted = "{name: web, ready: false, restartCount: 1, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 7}}}";
    let broken = deployment(NEW, false) + &pod(NEW, restarted);
    let versions = [healthy.clone(), broken.clone(), healthy.clone()];
    let report = verdict(false, &versions).await;
    assert_eq!(report.verdict, RolloutVerdict::Degraded, "{report:#?}");
    assert_eq!(
        report.reason,
        "it was healthy at 00:00:00 UTC, and then container `web` of pod `ranking-1-x` was restarted after exit code 7: container `web` ends with exit code 7, 1 restart"
    );
    let patient = VerifyOptions { fail_fast: false, ..options(false) };
    let report = verify(&play(&versions), &patient, &|_| {}).await.unwrap();
    assert_ne!(report.verdict, RolloutVerdict::Degraded, "{report:#?}");
}

#[tokio::test]
async fn a_timeout_below_the_workload_s_own_deadline_is_told_at_once() {
    let healthy = deployment(NEW, true) + &pod(NEW, READY);
    let notes = std::sync::Mutex::new(Vec::new());
    let tell = |moment: Moment| {
        if let VerifyEvent::Note(note) = moment.event {
            notes.lock().unwrap().push(note);
        }
    };
    let report = verify(&play(&[healthy]), &options(false), &tell).await.unwrap();
    assert_eq!(report.verdict, RolloutVerdict::Healthy);
    let told = notes.into_inner().unwrap();
    let doubts = told.iter().filter(|note| note.contains("may take 600 s by its own deadline"));
    assert_eq!(doubts.count(), 1, "{told:?}");
    let [proof] = report.notes.as_slice() else { panic!("{:?}", report.notes) };
    assert!(proof.contains("proven by their spec alone"), "{proof}");
}
