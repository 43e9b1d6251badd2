//! What recorded clusters prove about an image that is to be promoted.

use std::time::Duration;

use camino::Utf8Path;

use super::*;
use crate::cluster::{Recording, Scope};
use crate::k8s::Object;
use crate::ops::{VerifyOptions, verify};
use crate::promotion::{Facts, ServiceFacts, Standing};

const NAME: &str = "registry.example.com/shop/ranking";

fn image(digit: &str) -> String {
    format!("{NAME}:{digit}@sha256:{}", digit.repeat(64))
}

fn deployment(image: &str, available: i32) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: ranking, namespace: shop, uid: d, generation: 1}}, \
         spec: {{replicas: 1, template: {{spec: {{containers: [{{name: web, image: '{image}'}}]}}}}}}, \
         status: {{observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: {available}, availableReplicas: {available}}}}}"
    )
}

/// Returns a cluster whose Deployment states `stated` and whose pod runs `runs`.
fn cluster(stated: &str, runs: &str, available: i32) -> Recording {
    let text = format!(
        "schema: deployctl.dev/snapshot/v1\ntime: 2026-01-01T00:00:00Z\nobjects: [{}]\n\
         owned: [{{apiVersion: apps/v1, kind: ReplicaSet, metadata: {{name: ranking-1, namespace: shop, uid: s, ownerReferences: [{{uid: d, controller: true}}]}}, status: {{availableReplicas: {available}}}}}]\n\
         pods: [{{apiVersion: v1, kind: Pod, metadata: {{name: ranking-1-x, namespace: shop, uid: p, ownerReferences: [{{uid: s, controller: true}}]}}, \
         spec: {{containers: [{{name: web, image: '{runs}'}}, {{name: proxy, image: 'envoy:1'}}]}}, \
         status: {{containerStatuses: [{{name: web, ready: true, restartCount: 0, state: {{running: {{}}}}}}, {{name: proxy, ready: true, restartCount: 0, state: {{running: {{}}}}}}]}}}}]\n",
        deployment(stated, available)
    );
    Recording::read([(Utf8Path::new("0001.yaml"), text.as_str())], &[]).unwrap()
}

/// Returns what `healthy` says about promoting `promoted` from a dev that states `stated`.
async fn said(cluster: &Recording, stated: &str, promoted: &str) -> (Standing, String) {
    let object = Object::read_first(&deployment(stated, 1)).unwrap();
    let options = VerifyOptions {
        image: Some(stated.parse().unwrap()),
        repo_url: Some("https://git.example.com/shop/manifests.git"),
        timeout: Duration::from_secs(30),
        settle: Duration::ZERO,
        ..VerifyOptions::new("dev", "ranking", Scope { application: None, objects: vec![object] })
    };
    let rollout = verify(cluster, &options, &|_| ()).await.unwrap();
    let service = ServiceFacts::new("ranking", promoted.parse().unwrap());
    let service = ServiceFacts { health: Ok(proof(&rollout)), ..service };
    let facts = Facts::new(rollout_time(), Some("dev"), vec![service]);
    let verdict = Policy::default().of_promotion().judge(&facts).remove(0);
    (verdict.standing, verdict.why)
}

fn rollout_time() -> jiff::Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn what_the_first_environment_runs_may_go() {
    let a = image("a");
    let (standing, why) = said(&cluster(&a, &a, 1), &a, &a).await;
    assert_eq!((standing, why.as_str()), (Standing::Open, "dev runs it and is healthy"));
}

#[tokio::test]
async fn what_it_states_and_does_not_run_may_not() {
    let (a, b) = (image("a"), image("b"));
    let (standing, why) = said(&cluster(&a, &b, 1), &a, &a).await;
    assert_eq!(standing, Standing::Closed);
    assert!(why.contains("not healthy") && why.ends_with(&format!("; it runs {b}")), "{why}");
    let (standing, why) = said(&cluster(&b, &b, 1), &a, &a).await;
    assert_eq!(standing, Standing::Closed);
    assert!(why.contains(&format!("states `{b}`, not `{a}`")), "{why}");
}

#[tokio::test]
async fn what_runs_and_is_not_healthy_may_not() {
    let a = image("a");
    let (standing, why) = said(&cluster(&a, &a, 0), &a, &a).await;
    assert_eq!(standing, Standing::Closed);
    assert!(why.starts_with("dev is not healthy: "), "{why}");
}

#[tokio::test]
async fn what_was_looked_at_is_what_goes() {
    let (a, b) = (image("a"), image("b"));
    let (standing, why) = said(&cluster(&b, &b, 1), &b, &a).await;
    assert_eq!((standing, why), (Standing::Closed, format!("dev states {b} meanwhile")));
}
