use super::super::tests::Commits;
use super::*;
use crate::ops::RolloutVerdict;

const IMAGE: &str = "registry.example.com/shop/ranking:2@sha256:2222222222222222222222222222222222222222222222222222222222222222";

/// Nothing, then a Deployment with one pod whose image is not there, under an Application.
fn versions() -> Vec<String> {
    let version = |second: usize, body: &str| {
        format!("schema: deployctl.dev/snapshot/v1\ntime: 2026-01-01T00:00:{second:02}Z\n{body}")
    };
    let broken = format!(
        "application:\n  apiVersion: argoproj.io/v1alpha1\n  kind: Application\n  metadata: {{name: ranking-dev, namespace: argocd}}\n  \
         spec: &spec {{source: &source {{repoURL: 'https://me:canary@git.example.com/shop/manifests.git', path: apps, targetRevision: main}}, destination: {{server: 'https://kubernetes.default.svc', namespace: shop}}, syncPolicy: {{automated: {{}}}}}}\n  \
         status: {{reconciledAt: '2026-01-01T00:00:00Z', sync: {{status: Synced, revision: '{new}', comparedTo: *spec}}, health: {{status: Progressing}}, resources: [{{group: apps, version: v1, kind: Deployment, namespace: shop, name: ranking, status: Synced}}]}}\n\
         objects:\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {{name: ranking, namespace: shop, uid: d, generation: 1}}\n  spec: {{replicas: 1, template: {{spec: {{containers: [{{name: web, image: '{IMAGE}', env: [{{name: TOKEN, value: canary}}]}}]}}}}}}\n  \
         status: {{observedGeneration: 1, replicas: 1, updatedReplicas: 1}}\n\
         owned:\n- apiVersion: apps/v1\n  kind: ReplicaSet\n  metadata: {{name: ranking-1, namespace: shop, uid: s, ownerReferences: [{{uid: d, controller: true}}]}}\n\
         pods:\n- apiVersion: v1\n  kind: Pod\n  metadata: {{name: ranking-1-x, namespace: shop, uid: p, ownerReferences: [{{uid: s, controller: true}}]}}\n  spec: {{containers: [{{name: web, image: '{IMAGE}'}}]}}\n  \
         status: {{containerStatuses: [{{name: web, ready: false, restartCount: 0, state: {{waiting: {{reason: ErrImagePull, message: 'ranking: not found'}}}}}}]}}\n",
        new = "3".repeat(40)
    );
    let old = broken.replace(&"3".repeat(40), &"1".repeat(40));
    vec![version(0, &old), version(7, &broken)]
}

#[tokio::test]
async fn what_was_recorded_is_decided_again_the_same() {
    let versions = versions();
    let files = versions.iter().zip(["0001.yaml", "0002.yaml"]);
    let files = files.map(|(text, path)| (Utf8Path::new(path), text.as_str()));
    let cluster = Recording::read(files, &[]).unwrap();
    let name = Name { namespace: "argocd".to_owned(), name: "ranking-dev".to_owned() };
    let asked = Verification {
        schema: Schema::V1,
        deployctl: String::new(),
        started: cluster.now(),
        environment: "dev".to_owned(),
        service: "ranking".to_owned(),
        application: Some(name),
        objects: Vec::new(),
        image: Some(IMAGE.to_owned()),
        revision: Some("2".repeat(40)),
        committed: None,
        repo_url: Some("https://me:canary@git.example.com/shop/manifests".to_owned()),
        path: None,
        branch: None,
        within_sync: false,
        timeout_seconds: 60.0,
        interval_seconds: 1.0,
        settle_seconds: 1.0,
        accept_suspended: false,
        accept_out_of_sync: false,
        sync: false,
        fail_fast: true,
        registry: false,
    };
    let options = asked.options(Utf8Path::new("asked")).unwrap();
    let options = VerifyOptions { ancestry: &Commits, ..options };
    let dir = tempfile::tempdir().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let recorded = record(&cluster, &options, &dir.join("ranking"), &|_| {}).await.unwrap();
    assert_eq!(recorded.verdict, RolloutVerdict::Degraded, "{recorded:#?}");
    assert!(recorded.timeline.len() > 3, "{recorded:#?}");
    let again = replay(dir, &|_| Ok(Rules::default()), Duration::ZERO, &|_| {}).await.unwrap();
    assert_eq!(again, [recorded]);
    for file in dir.join("ranking").read_dir_utf8().unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains("canary"), "{text}");
    }
    let error =
        replay(&dir.join("ranking/.."), &|_| Ok(Rules::default()), Duration::ZERO, &|_| {}).await;
    assert!(error.is_ok());
    let none = tempfile::tempdir().unwrap();
    let none = Utf8Path::from_path(none.path()).unwrap();
    let error = replay(none, &|_| Ok(Rules::default()), Duration::ZERO, &|_| {}).await.unwrap_err();
    assert!(matches!(error, ReplayError::None(_)), "{error}");
}

#[test]
fn what_a_registry_said_is_said_again() {
    let reference: ImageReference = "registry.example.com/a:1".parse().unwrap();
    let manifest = Manifest { media_type: "m".to_owned(), bytes: "{}".into() };
    assert_eq!(played(Some(written(&manifest)), &reference).unwrap(), Some(manifest));
    assert_eq!(played(Some(Value::Null), &reference).unwrap(), None);
    let (registry, reason) = ("registry.example.com".to_owned(), "no route".to_owned());
    let error = RegistryError::Unreachable { registry, reason };
    let again = played(Some(failure(&error)), &reference).unwrap_err();
    assert_eq!(again.to_string(), error.to_string());
}
