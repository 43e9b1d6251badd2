//! What verify makes of an API server that fails, closes, forgets, refuses or is silent: it goes on, or
//! ends with an error that says what is wrong, and never takes old news for health.
//!
//! What is verified is a Service of type LoadBalancer: the test itself gives it the address that makes
//! it healthy.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use camino::Utf8Path;
use deployctl::cluster::{Live, Recorder, Recording, Scope};
use deployctl::k8s::Object;
use deployctl::ops::{
    RolloutReport, RolloutVerdict, VerifyError, VerifyEvent, VerifyOptions, verify,
};
use deployctl::system::Environment;
use tokio::time::{sleep, timeout};

use crate::support::kubernetes::{ControlPlane, Fate, FaultyApi, OwnApi};

fn service(namespace: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: {namespace}}}, spec: {{type: LoadBalancer, ports: [{{port: 80}}]}}}}"
    )
}

/// Gives the Service of the namespace its address, or takes it away.
fn address(is_there: bool) -> &'static str {
    match is_there {
        true => "{\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"192.0.2.10\"}]}}}",
        false => "{\"status\":{\"loadBalancer\":{\"ingress\":null}}}",
    }
}

fn give_address(namespace: &str, is_there: bool) -> [&str; 9] {
    let patch = address(is_there);
    [
        "-n",
        namespace,
        "patch",
        "service",
        "web",
        "--subresource=status",
        "--type=merge",
        "-p",
        patch,
    ]
}

/// A verification that runs while the test does something to the cluster.
struct Verification {
    told: Arc<Mutex<Vec<VerifyEvent>>>,
    task: tokio::task::JoinHandle<Result<RolloutReport, VerifyError>>,
}

impl Verification {
    fn start(kubeconfig: &Path, yaml: &str, settle: Duration) -> Self {
        Self::recorded(kubeconfig, yaml, settle, None)
    }

    fn recorded(kubeconfig: &Path, yaml: &str, settle: Duration, dir: Option<&Path>) -> Self {
        let environment: Environment =
            [("KUBECONFIG", kubeconfig.to_str().unwrap())].into_iter().collect();
        let told: Arc<Mutex<Vec<VerifyEvent>>> = Arc::default();
        let objects = Object::read_all(yaml).unwrap();
        let dir = dir.map(|dir| Utf8Path::from_path(dir).unwrap().to_owned());
        let events = Arc::clone(&told);
        let task = tokio::spawn(async move {
            let live = Live::connect(&environment, None).await.unwrap();
            let options = options(objects, settle);
            let emit = |moment: deployctl::ops::Moment| {
                events.lock().unwrap().push(moment.event);
            };
            match dir {
                Some(dir) => verify(&Recorder::new(&live, &dir).unwrap(), &options, &emit).await,
                None => verify(&live, &options, &emit).await,
            }
        });
        Self { told, task }
    }

    fn count(&self, is_it: impl Fn(&VerifyEvent) -> bool) -> usize {
        self.told.lock().unwrap().iter().filter(|event| is_it(event)).count()
    }

    /// Waits until something has been told so often.
    async fn until(&self, what: &str, times: usize, is_it: impl Fn(&VerifyEvent) -> bool) {
        let told = async {
            while self.count(&is_it) < times {
                assert!(!self.task.is_finished(), "{what}: it ended, {:?}", self.told);
                sleep(Duration::from_millis(10)).await;
            }
        };
        let told = timeout(Duration::from_secs(40), told).await;
        told.unwrap_or_else(|_| panic!("{what}: was not told, {:?}", self.told.lock().unwrap()));
    }

    async fn end(self) -> Result<RolloutReport, VerifyError> {
        let end = timeout(Duration::from_secs(60), self.task).await;
        end.unwrap_or_else(|_| panic!("it goes on and on, {:?}", self.told.lock().unwrap()))
            .unwrap()
    }

    async fn ends_healthy(self) {
        let report = self.end().await.unwrap();
        assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
    }
}

fn options(objects: Vec<Object>, settle: Duration) -> VerifyOptions<'static> {
    VerifyOptions {
        timeout: Duration::from_secs(90),
        interval: Duration::from_millis(300),
        settle,
        ..VerifyOptions::new("dev", "web", Scope { application: None, objects })
    }
}

fn is_waiting(event: &VerifyEvent) -> bool {
    matches!(event, VerifyEvent::Waiting { .. })
}

fn is_settling(event: &VerifyEvent) -> bool {
    matches!(event, VerifyEvent::Settling { .. })
}

fn notes(text: &str) -> impl Fn(&VerifyEvent) -> bool {
    move |event| matches!(event, VerifyEvent::Note(note) if note.contains(text))
}

const SHORT: Duration = Duration::from_millis(500);

/// A namespace with a Service, and the way to it through a server with faults.
struct Scene {
    control_plane: ControlPlane,
    api: FaultyApi,
    home: tempfile::TempDir,
    namespace: &'static str,
}

impl Scene {
    fn set(namespace: &'static str) -> Option<Self> {
        let control_plane = ControlPlane::start()?;
        control_plane.namespace(namespace);
        control_plane.apply(&service(namespace));
        let (api, home) = (FaultyApi::before(&control_plane), tempfile::tempdir().unwrap());
        let scene = Self { control_plane, api, home, namespace };
        scene.token("admin-token");
        Some(scene)
    }

    fn token(&self, token: &str) {
        std::fs::write(self.home.path().join("token"), token).unwrap();
    }

    fn verify(&self, settle: Duration) -> Verification {
        let token = self.home.path().join("token");
        let kubeconfig = self.api.kubeconfig(self.home.path(), &token);
        Verification::start(&kubeconfig, &service(self.namespace), settle)
    }

    async fn give_address(&self, is_there: bool) {
        let (control_plane, namespace) = (self.control_plane, self.namespace);
        let give = move || control_plane.kubectl(&give_address(namespace, is_there));
        tokio::task::spawn_blocking(give).await.unwrap();
    }

    /// Lets the user `nobody` do these things to Services and Events.
    fn allow(&self, verbs: &str) {
        let namespace = self.namespace;
        self.control_plane.apply(&format!(
            "{{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {{name: r, namespace: {namespace}}}, rules: [{{apiGroups: [''], resources: [services, events], verbs: [{verbs}]}}]}}\n---\n\
             {{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: r, namespace: {namespace}}}, roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}}, subjects: [{{kind: User, name: nobody}}]}}\n"
        ));
        let may = ["--as=nobody", "-n", namespace, "get", "service", "web"];
        crate::support::wait_until("the role", || self.control_plane.kubectl_may(&may));
        self.token("nobody-token");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_is_killed_and_comes_back_is_waited_for() {
    let Some(mut own) = OwnApi::start() else { return };
    own.kubectl(&["apply", "-f", "-"], &service("default")).unwrap();
    let verification =
        Verification::start(&own.kubeconfig(), &service("default"), Duration::from_secs(2));
    verification.until("the address", 1, is_waiting).await;
    // While it is away etcd forgets the version that the watches would go on from: 410 Gone.
    own.kill();
    verification
        .until("the fault", 1, notes("can't reach the cluster at `https://127.0.0.1:"))
        .await;
    own.compact().await;
    own.restart();
    let version =
        ["-n", "default", "get", "service", "web", "-o", "jsonpath={.metadata.resourceVersion}"];
    let version = own.kubectl(&version, "").unwrap();
    let watch = format!(
        "/api/v1/namespaces/default/services?watch=1&timeoutSeconds=5&resourceVersion={version}"
    );
    let answer = own.kubectl(&["get", "--raw", &watch], "").unwrap();
    assert!(answer.contains("\"code\":410"), "{answer}");
    own.kubectl(&give_address("default", true), "").unwrap();
    verification.until("health", 1, is_settling).await;
    // What was healthy may be anything while nobody is there to ask.
    own.kill();
    sleep(Duration::from_secs(3)).await;
    assert!(!verification.task.is_finished());
    own.restart();
    verification.until("health once more", 2, is_settling).await;
    verification.ends_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_that_are_closed_or_too_old_go_on() {
    let Some(scene) = Scene::set("fault-closed") else { return };
    let verification = scene.verify(SHORT);
    verification.until("the address", 1, is_waiting).await;
    scene.api.cut();
    sleep(SHORT).await;
    // 410 as an event, and as an answer.
    for fate in [Fate::TooOld, Fate::Refuse(410)] {
        let left = AtomicUsize::new(4);
        scene.api.rule(move |head| {
            let taken = |left: usize| left.checked_sub(1);
            let is_watch = head.contains("watch=true");
            match is_watch && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, taken).is_ok() {
                true => fate,
                false => Fate::Pass,
            }
        });
        scene.api.cut();
        sleep(SHORT).await;
    }
    scene.give_address(true).await;
    verification.ends_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_api_server_is_asked_again() {
    let Some(scene) = Scene::set("fault-busy") else { return };
    scene.give_address(true).await;
    let asked = AtomicUsize::new(0);
    scene.api.rule(move |_| match asked.fetch_add(1, Ordering::SeqCst) % 6 {
        0 => Fate::Refuse(429),
        2 => Fate::Refuse(503),
        4 => Fate::Refuse(500),
        _ => Fate::Pass,
    });
    scene.verify(SHORT).ends_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_expires_is_read_again_from_its_file() {
    let Some(scene) = Scene::set("fault-expired") else { return };
    let expire = |token: &'static str| {
        scene.api.rule(move |head| match head.contains(token) {
            true => Fate::Refuse(401),
            false => Fate::Pass,
        });
        scene.api.cut();
    };
    let verification = scene.verify(SHORT);
    verification.until("the address", 1, is_waiting).await;
    scene.token("newer-token");
    expire("admin-token");
    sleep(SHORT).await;
    scene.give_address(true).await;
    verification.ends_healthy().await;
    scene.give_address(false).await;
    let verification = scene.verify(SHORT);
    verification.until("the address", 1, is_waiting).await;
    expire("newer-token");
    let error = verification.end().await.unwrap_err().to_string();
    assert!(error.ends_with("the credentials are not accepted (401 Unauthorized)"), "{error}");
    assert!(!error.contains("newer-token"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_loses_its_rights_ends_the_wait() {
    let Some(scene) = Scene::set("fault-rights") else { return };
    scene.allow("get, list, watch");
    let verification = scene.verify(SHORT);
    verification.until("the address", 1, is_waiting).await;
    scene.control_plane.kubectl(&["-n", scene.namespace, "delete", "rolebinding", "r"]);
    // The watches are still open and tell of health; that alone proves nothing.
    sleep(SHORT).await;
    scene.give_address(true).await;
    let error = verification.end().await.unwrap_err().to_string();
    let start = "the cluster refuses to get services `web` in namespace `fault-rights`: ";
    assert!(error.starts_with(start), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_read_and_not_watch_is_enough() {
    let Some(scene) = Scene::set("fault-polled") else { return };
    scene.allow("get");
    let verification = scene.verify(SHORT);
    verification.until("the address", 1, is_waiting).await;
    let note = "Service is asked for every second, as it can't be watched: the cluster refuses to list services";
    verification.until("the note", 1, notes(note)).await;
    scene.give_address(true).await;
    verification.ends_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_silent_ends_healthy() {
    let Some(scene) = Scene::set("fault-silent") else { return };
    let verification = scene.verify(SHORT);
    verification.until("the address", 1, is_waiting).await;
    scene.give_address(true).await;
    verification.until("health", 1, is_settling).await;
    scene.api.freeze(true);
    sleep(Duration::from_secs(2)).await;
    assert!(!verification.task.is_finished());
    scene.give_address(false).await;
    scene.api.freeze(false);
    verification.until("the address is gone", 2, is_waiting).await;
    scene.give_address(true).await;
    verification.ends_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_with_nobody_at_its_other_end_is_noticed() {
    let Some(scene) = Scene::set("fault-half-open") else { return };
    let verification = scene.verify(SHORT);
    verification.until("the address", 1, is_waiting).await;
    scene.api.freeze(true);
    // Each watch ends after 25 s, so that one of 29 s is none.
    verification.until("the silence", 1, notes("a watch was silent for 29 s")).await;
    scene.api.freeze(false);
    scene.give_address(true).await;
    verification.ends_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_that_comes_with_the_rollout_is_found() {
    let Some(scene) = Scene::set("fault-kind") else { return };
    let widget = "{apiVersion: faults.example.com/v1, kind: Widget, metadata: {name: w, namespace: fault-kind}}";
    let yaml = format!("{}\n---\n{widget}\n", service(scene.namespace));
    let token = scene.home.path().join("token");
    let kubeconfig = scene.api.kubeconfig(scene.home.path(), &token);
    let record = scene.home.path().join("record");
    let verification = Verification::recorded(&kubeconfig, &yaml, SHORT, Some(&record));
    let unknown = "the cluster does not know `faults.example.com/v1 Widget`";
    verification.until("the unknown kind", 1, notes(unknown)).await;
    scene.give_address(true).await;
    scene.control_plane.apply(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.faults.example.com}\n\
         spec:\n  group: faults.example.com\n  scope: Namespaced\n  names: {kind: Widget, plural: widgets}\n  \
         versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]\n",
    );
    crate::support::wait_until("the kind", || scene.control_plane.kubectl_may(&["get", "widgets"]));
    scene.control_plane.apply(widget);
    verification.ends_healthy().await;
    // What was recorded of it ends the same way.
    let recording = Recording::open(Utf8Path::from_path(&record).unwrap(), &[]).unwrap();
    let options = options(Object::read_all(&yaml).unwrap(), SHORT);
    let report = verify(&recording, &options, &|_| {}).await.unwrap();
    assert_eq!(report.verdict, RolloutVerdict::Healthy, "{report:#?}");
}
