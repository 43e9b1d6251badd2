//! Applications, their projects and Rollouts on a real API server: what is read of them, and what is
//! written to them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deployctl::argocd::{Accepts, Application, ApplicationName, deploys};
use deployctl::cluster::{Cluster as _, Live, Scope};
use deployctl::k8s::Object;
use deployctl::ops::{
    Moment, RolloutReport, RolloutVerdict, VerifyError, VerifyEvent, VerifyOptions, verify,
};
use deployctl::rollout::CauseKind;
use serde_json::{Value, json};

use crate::cli::shop::Shop;
use crate::cluster::environment;
use crate::support::kubernetes::ControlPlane;
use crate::verify::History;

const REPOSITORY: &str = "https://git.example.com/shop/manifests.git";
const EXPECTED: &str = "2222222222222222222222222222222222222222";
const BEFORE: &str = "1111111111111111111111111111111111111111";

fn options(scope: Scope) -> VerifyOptions<'static> {
    VerifyOptions {
        revision: Some(EXPECTED.to_owned()),
        repo_url: Some(REPOSITORY),
        path: Some("apps/ranking"),
        branch: Some("main"),
        ancestry: &History(EXPECTED),
        timeout: Duration::from_secs(60),
        interval: Duration::from_millis(200),
        settle: Duration::ZERO,
        ..VerifyOptions::new("dev", "ranking", scope)
    }
}

fn scope(name: &str) -> Scope {
    let name = ApplicationName { namespace: "argocd".into(), name: name.into() };
    Scope { application: Some(name), objects: Vec::new() }
}

/// An Application that is out of sync at the expected commit, as Argo CD writes it.
fn out_of_sync(name: &str, project: &str, policy: &Value) -> Value {
    let source = json!({"repoURL": REPOSITORY, "path": "apps/ranking", "targetRevision": "main"});
    let destination = json!({"server": "https://kubernetes.default.svc", "namespace": "shop"});
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {"project": project, "source": source, "destination": destination, "syncPolicy": policy},
        "status": {
            "reconciledAt": "2026-03-01T10:00:00Z",
            "sync": {"status": "OutOfSync", "revision": EXPECTED, "comparedTo": {"source": source, "destination": destination}},
            "health": {"status": "Healthy"},
            "operationState": {
                "phase": "Succeeded", "message": "successfully synced (all tasks run)",
                "startedAt": "2026-03-01T09:00:00Z", "finishedAt": "2026-03-01T09:00:01Z",
                "operation": {"sync": {"revision": BEFORE}},
                "syncResult": {"revision": BEFORE, "source": source},
            },
        },
    })
}

/// Serves refreshes and operations as Argo CD's controller does, and keeps the operations.
async fn control(
    control_plane: ControlPlane,
    name: &'static str,
    asked: &std::sync::Mutex<Vec<Value>>,
) {
    loop {
        let step = tokio::task::spawn_blocking(move || serve(&control_plane, name));
        let operation = step.await.unwrap();
        asked.lock().unwrap().extend(operation);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn serve(control_plane: &ControlPlane, name: &str) -> Option<Value> {
    let mut application = control_plane.application("argocd", name)?;
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let operation = application.as_object_mut().unwrap().shift_remove("operation");
    if let Some(operation) = &operation {
        let status = &mut application["status"];
        status["operationState"] = json!({
            "phase": "Succeeded", "message": "successfully synced (all tasks run)",
            "startedAt": now, "finishedAt": now, "operation": operation,
            "syncResult": {"revision": operation["sync"]["revision"], "source": status["sync"]["comparedTo"]["source"]},
        });
        status["sync"]["status"] = json!("Synced");
        status["reconciledAt"] = json!(now);
    }
    let annotations = application["metadata"]["annotations"].as_object_mut();
    let refresh = annotations.and_then(|all| all.shift_remove("argocd.argoproj.io/refresh"));
    if refresh.is_some() {
        application["status"]["reconciledAt"] = json!(now);
    }
    let is_written = (operation.is_some() || refresh.is_some())
        && control_plane.replace_application(&application);
    operation.filter(|_| is_written)
}

async fn verified(
    control_plane: ControlPlane,
    name: &'static str,
    options: &VerifyOptions<'_>,
) -> (RolloutReport, Vec<Value>) {
    let live = Live::connect(&environment(&control_plane), None).await.unwrap();
    let asked = std::sync::Mutex::default();
    let report = tokio::select! {
        report = verify(&live, options, &|_| {}) => report.unwrap(),
        () = control(control_plane, name, &asked) => unreachable!(),
    };
    (report, asked.into_inner().unwrap())
}

#[tokio::test]
async fn a_sync_window_that_denies_is_said_at_once_and_people_may_be_let_through() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let project = |manual: bool| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {{name: windowed, namespace: argocd}}\n\
             spec: {{sourceRepos: ['*'], destinations: [{{server: '*', namespace: '*'}}], \
             syncWindows: [{{kind: deny, schedule: '* * * * *', duration: 1h, applications: [windowed-*], manualSync: {manual}}}]}}\n"
        )
    };
    control_plane.apply(&project(false));
    let policy = json!({"automated": {"prune": true}});
    let name = "windowed-ranking";
    control_plane.write_application(&out_of_sync(name, "windowed", &policy).to_string());
    let options = VerifyOptions { sync: true, ..options(scope(name)) };
    let (report, asked) = verified(control_plane, name, &options).await;
    assert_eq!(report.verdict, RolloutVerdict::Degraded, "{report:#?}");
    let start = format!("argocd/{name} is out of sync and may not sync: a sync window denies it");
    assert!(report.reason.starts_with(&start), "{}", report.reason);
    assert_eq!(asked, Vec::<Value>::new());
    control_plane.apply(&project(true));
    let (report, asked) = verified(control_plane, name, &options).await;
    assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
    assert_eq!(asked.len(), 1, "{asked:?}");
}

#[tokio::test]
async fn a_sync_is_asked_for_once_and_nothing_else_is_changed() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let name = "synced-by-hand";
    let before = out_of_sync(name, "default", &json!({"syncOptions": ["ServerSideApply=true"]}));
    control_plane.write_application(&before.to_string());
    let options = options(scope(name));
    let (report, asked) = verified(control_plane, name, &options).await;
    assert_eq!(report.verdict, RolloutVerdict::Degraded, "{report:#?}");
    assert!(report.reason.contains("auto-sync of application"), "{}", report.reason);
    assert_eq!(asked, Vec::<Value>::new());
    let options = VerifyOptions { sync: true, ..options };
    let (report, asked) = verified(control_plane, name, &options).await;
    assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
    let operation = json!({
        "initiatedBy": {"username": "deployctl"},
        "sync": {"revision": EXPECTED, "syncOptions": ["ServerSideApply=true"]},
    });
    assert_eq!(asked, [operation]);
    let after = control_plane.application("argocd", name).unwrap();
    assert_eq!(after["spec"], before["spec"]);
    let annotations: Vec<_> =
        after["metadata"]["annotations"].as_object().unwrap().keys().collect();
    assert_eq!(annotations, ["argocd.argoproj.io/refresh-timestamp"]);
}

#[tokio::test]
async fn applications_are_found_by_what_they_deploy_and_a_missing_one_by_its_parent() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let deploying = |name: &str, path: &str| {
        let mut application = out_of_sync(name, "default", &json!({}));
        application["spec"]["source"]["path"] = json!(path);
        control_plane.write_application(&application.to_string());
    };
    deploying("found-east", "apps/found");
    deploying("found-west", "./apps/found/");
    deploying("found-not", "apps/found/other");
    let mut parent = out_of_sync("found-apps", "default", &json!({}));
    parent["status"]["resources"] = json!([
        {"group": "argoproj.io", "kind": "Application", "namespace": "argocd", "name": "found-north", "status": "OutOfSync"},
    ]);
    control_plane.write_application(&parent.to_string());
    let live = Live::connect(&environment(&control_plane), None).await.unwrap();
    for namespace in [None, Some("argocd")] {
        let objects = live.argo_cd(namespace).await.unwrap();
        let found = objects.iter().filter_map(Application::new);
        let found = found.filter(|a| deploys(*a, REPOSITORY, "apps/found", Some("main")));
        let names: Vec<_> = found.map(|a| a.name().to_string()).collect();
        assert_eq!(names, ["argocd/found-east", "argocd/found-west"]);
    }
    let missing = verify(&live, &options(scope("found-north")), &|_| {}).await.unwrap_err();
    assert!(matches!(missing, VerifyError::NoApplication { .. }));
    assert_eq!(
        missing.to_string(),
        "there is no Application `found-north` in namespace `argocd`: its parent argocd/found-apps has not made it: it is out of sync, and auto-sync is off"
    );
}

#[tokio::test]
async fn an_application_that_is_about_to_be_made_is_waited_for() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let (name, policy) = ("coming-child", json!({"automated": {}}));
    let mut parent = out_of_sync("coming-apps", "default", &policy);
    parent["status"]["resources"] = json!([
        {"group": "argoproj.io", "kind": "Application", "namespace": "argocd", "name": name, "status": "OutOfSync"},
    ]);
    control_plane.write_application(&parent.to_string());
    let live = Live::connect(&environment(&control_plane), None).await.unwrap();
    let (waiting, asked) = (std::sync::Mutex::new(Vec::new()), std::sync::Mutex::default());
    let tell = |moment: Moment| {
        if let VerifyEvent::Waiting { reason } = moment.event {
            waiting.lock().unwrap().push(reason);
        }
    };
    let argo_cd = async {
        while waiting.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut child = out_of_sync(name, "default", &policy);
        child["status"]["sync"]["status"] = json!("Synced");
        child["status"].as_object_mut().unwrap().shift_remove("operationState");
        let text = child.to_string();
        let made = tokio::task::spawn_blocking(move || control_plane.write_application(&text));
        made.await.unwrap();
        control(control_plane, name, &asked).await;
    };
    let options_of_child = options(scope(name));
    let report = tokio::select! {
        report = verify(&live, &options_of_child, &tell) => report.unwrap(),
        () = argo_cd => unreachable!(),
    };
    assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
    assert_eq!(
        waiting.lock().unwrap()[0],
        "application argocd/coming-child is not there: its parent argocd/coming-apps has not made it yet: it is out of sync, and syncs by itself"
    );
}

#[tokio::test]
async fn a_set_that_can_not_make_its_application_ends_the_wait_and_one_that_may_does_not() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let set = |name: &str, template: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: {name}, namespace: argocd}}\n\
             spec:\n  generators: [{{list: {{elements: []}}}}]\n  template:\n    metadata: {{name: '{template}'}}\n    \
             spec: {{project: default, source: {{repoURL: '{REPOSITORY}', path: apps}}, destination: {{namespace: shop}}}}\n"
        )
    };
    control_plane.apply(&set("set-failing", "{{service}}-by-failing-set"));
    control_plane.apply(&set("set-working", "{{service}}-by-working-set"));
    let failed = "{\"status\":{\"conditions\":[{\"type\":\"ErrorOccurred\",\"status\":\"True\",\"reason\":\"ApplicationGenerationFromParamsError\",\"message\":\"repository not found\",\"lastTransitionTime\":\"2026-03-01T10:00:00Z\"}]}}";
    let patch = ["-n", "argocd", "patch", "applicationset", "set-failing"];
    let status = ["--subresource=status", "--type=merge", "-p", failed];
    control_plane.kubectl(&[&patch[..], &status[..]].concat());
    let live = Live::connect(&environment(&control_plane), None).await.unwrap();
    let verified = async |name: &str| {
        let timeout = Duration::from_secs(2);
        let options = VerifyOptions { timeout, ..options(scope(name)) };
        verify(&live, &options, &|_| {}).await
    };
    let error = verified("ranking-by-failing-set").await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("ApplicationSet `set-failing` can't make it: repository not found"),
        "{error}"
    );
    let late = verified("ranking-by-working-set").await.unwrap();
    assert_eq!(late.verdict, RolloutVerdict::TimedOut);
    assert_eq!(
        late.reason,
        "not done after 2s: application argocd/ranking-by-working-set is not there: ApplicationSet `set-working` makes it, and reports no error"
    );
    let nobody = verified("ranking-by-nobody").await.unwrap_err();
    assert_eq!(
        nobody.to_string(),
        "there is no Application `ranking-by-nobody` in namespace `argocd`"
    );
}

/// Two Applications that deploy the shop's ranking to dev.
const EVERYWHERE: [&str; 2] = ["everywhere-east", "everywhere-west"];

/// Runs `deployctl verify` while Argo CD serves the refreshes of [`EVERYWHERE`].
fn verify_everywhere(control_plane: ControlPlane, shop: &Shop, code: i32) -> Value {
    let is_done = AtomicBool::new(false);
    let arguments = [
        "verify",
        "--env",
        "dev",
        "--timeout",
        "60s",
        "--settle",
        "0s",
        "--no-record",
        "--output",
        "json",
    ];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                for name in EVERYWHERE {
                    serve(&control_plane, name);
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let ran = shop.world.run(&arguments);
        is_done.store(true, Ordering::Relaxed);
        assert_eq!(ran.code, code, "{ran:#?}");
        serde_json::from_str(&ran.stdout).unwrap()
    })
}

#[test]
fn an_environment_is_as_well_as_every_application_that_deploys_its_overlay() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let mut shop = Shop::new();
    shop.world = shop.world.with("KUBECONFIG", control_plane.kubeconfig().to_str().unwrap());
    let path = "apps/ranking/overlays/dev";
    let commit = shop.manifests.git(&["log", "-1", "--format=%H", "main", "--", path]);
    let applications = EVERYWHERE.map(|name| {
        let mut application = out_of_sync(name, "default", &json!({"automated": {}}));
        let source = json!({"repoURL": shop.manifests.path().as_str(), "path": path, "targetRevision": "main"});
        application["spec"]["source"] = source.clone();
        let status = &mut application["status"];
        status["sync"]["comparedTo"]["source"] = source;
        status["sync"]["status"] = json!("Synced");
        status["sync"]["revision"] = json!(commit.trim());
        status.as_object_mut().unwrap().shift_remove("operationState");
        application
    });
    for application in &applications {
        control_plane.write_application(&application.to_string());
    }
    let names = |report: &Value| -> Vec<String> {
        let services = report["services"].as_array().unwrap();
        let told = |s: &Value| format!("{} {}", s["application"].as_str().unwrap(), s["verdict"]);
        services.iter().map(told).collect()
    };
    let report = verify_everywhere(control_plane, &shop, 0);
    let expected = ["argocd/everywhere-east \"healthy\"", "argocd/everywhere-west \"healthy\""];
    assert_eq!(names(&report), expected, "{report:#}");
    let mut west = applications[1].clone();
    west["status"]["conditions"] = json!([{"type": "InvalidSpecError", "message": "no such cluster", "lastTransitionTime": "2026-03-01T10:00:00Z"}]);
    control_plane.write_application(&west.to_string());
    let report = verify_everywhere(control_plane, &shop, 4);
    let expected = ["argocd/everywhere-east \"healthy\"", "argocd/everywhere-west \"degraded\""];
    assert_eq!(names(&report), expected, "{report:#}");
}

const ROLLOUT: &str = "apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: ranking, namespace: paused-canary}
spec:
  replicas: 5
  selector: {matchLabels: {app: ranking}}
  strategy: {canary: {steps: [{setWeight: 20}, {pause: {}}, {setWeight: 100}]}}
  template:
    metadata: {labels: {app: ranking}}
    spec: {containers: [{name: ranking, image: 'registry.example.com/shop/ranking:2'}]}
";

#[tokio::test]
async fn a_paused_canary_says_where_it_is_and_a_failed_analysis_why() {
    let Some(control_plane) = ControlPlane::start() else { return };
    control_plane.namespace("paused-canary");
    let paused = format!(
        "{ROLLOUT}status:\n  observedGeneration: '1'\n  phase: Paused\n  message: CanaryPauseStep\n  currentPodHash: new\n  stableRS: old\n  currentStepIndex: 1\n  \
         replicas: 6\n  updatedReplicas: 1\n  availableReplicas: 6\n  pauseConditions: [{{reason: CanaryPauseStep, startTime: '2026-03-01T10:00:00Z'}}]\n"
    );
    control_plane.apply(&paused);
    let objects = Object::read_all(ROLLOUT).unwrap();
    let live = Live::connect(&environment(&control_plane), None).await.unwrap();
    let options = VerifyOptions {
        timeout: Duration::from_secs(2),
        ..options(Scope { application: None, objects })
    };
    let report = verify(&live, &options, &|_| {}).await.unwrap();
    assert_eq!(report.verdict, RolloutVerdict::TimedOut, "{report:#?}");
    assert!(
        report.reason.ends_with("Rollout `ranking` is paused at step 2 of 3 (20% of the traffic): it is a pause of the canary; it goes on with `kubectl argo rollouts promote ranking -n paused-canary`"),
        "{}",
        report.reason
    );
    let accepting = VerifyOptions {
        accepts: Accepts { suspended: true, ..Accepts::default() },
        ..options.clone()
    };
    let report = verify(&live, &accepting, &|_| {}).await.unwrap();
    assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
    let run = "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisRun\nmetadata: {name: ranking-new-1, namespace: paused-canary}\n\
        status: {phase: Failed, metricResults: [{name: errors, phase: Failed, measurements: [{phase: Failed, value: '0.31'}]}]}\n";
    let failed = format!(
        "{ROLLOUT}status:\n  observedGeneration: '9'\n  phase: Degraded\n  abort: true\n  message: RolloutAborted\n  currentPodHash: new\n  stableRS: old\n  \
         canary: {{currentStepAnalysisRunStatus: {{name: ranking-new-1, status: Failed}}}}\n"
    );
    control_plane.apply(&format!("{failed}---\n{run}"));
    let report = verify(&live, &options, &|_| {}).await.unwrap();
    assert_eq!(report.verdict, RolloutVerdict::Degraded, "{report:#?}");
    let start =
        "analysis `ranking-new-1` of Rollout `ranking` failed: metric `errors` measured 0.31";
    assert_eq!(report.reason, start);
    let cause = report.cause.unwrap();
    assert_eq!(cause.kind, CauseKind::RolloutAnalysis);
    assert!(
        cause.advice.contains("`kubectl argo rollouts retry rollout ranking -n paused-canary`")
    );
    // At its next look the controller takes a canary's analysis out of the status.
    let uid =
        ["-n", "paused-canary", "get", "rollout", "ranking", "-o", "jsonpath={.metadata.uid}"];
    let uid = control_plane.kubectl(&uid);
    let namespace = "namespace: paused-canary";
    let owned = run.replace(namespace, &format!("{namespace}, labels: {{rollouts-pod-template-hash: new}}, ownerReferences: [{{apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: ranking, uid: {uid}, controller: true}}]"));
    let message = "RolloutAborted: Rollout aborted update to revision 2: Step-based analysis phase error/failed: Metric errors assessed Failed due to failed (1) > failureLimit (0)";
    let aborted = failed.replace("message: RolloutAborted", &format!("message: '{message}'"));
    let (aborted, _) = aborted.split_once("  canary: {currentStep").unwrap();
    control_plane.apply(&format!("{aborted}---\n{owned}"));
    let report = verify(&live, &options, &|_| {}).await.unwrap();
    assert_eq!(report.reason, start);
}
