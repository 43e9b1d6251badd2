//! Plays Argo CD for one Application: applies what the overlay renders to, and writes the status as
//! the application controller does. See argo-cd `pkg/apis/application/v1alpha1/types.go`.

use deployctl::k8s::Object;
use serde_json::{Value, json};

use super::ControlPlane;

/// An Application, and the controller that looks after it.
#[derive(Clone)]
pub(crate) struct PlayedArgoCd {
    /// The cluster.
    pub(crate) control_plane: ControlPlane,
    /// The Application's name, in namespace `argocd`.
    pub(crate) name: String,
    /// The manifests repository.
    pub(crate) repo_url: String,
    /// The overlay.
    pub(crate) path: String,
    /// Where the objects go.
    pub(crate) namespace: String,
}

impl PlayedArgoCd {
    /// Writes the Application as a person would, without a status.
    pub(crate) fn create(&self) {
        self.control_plane.write_application(
            &json!({
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {"name": self.name, "namespace": "argocd"},
                "spec": self.spec(),
            })
            .to_string(),
        );
    }

    /// Applies `rendered` and says that `revision` is synced.
    pub(crate) fn sync(&self, revision: &str, rendered: &str) {
        self.control_plane.apply(rendered);
        let objects = Object::read_all(rendered).unwrap();
        let resources: Vec<Value> = objects.iter().map(resource).collect();
        self.change(|application| application["status"] = self.synced(revision, &resources));
    }

    /// Applies `rendered` and says that the sync to `revision` is running its hooks.
    pub(crate) fn begin_sync(&self, revision: &str, rendered: &str) {
        self.control_plane.apply(rendered);
        let objects = Object::read_all(rendered).unwrap();
        let resources: Vec<Value> = objects.iter().map(resource).collect();
        self.change(|application| {
            let mut status = self.synced(revision, &resources);
            // What led to the sync is compared anew when it has ended.
            status["sync"]["status"] = json!("OutOfSync");
            status["operationState"]["phase"] = json!("Running");
            status["operationState"]["message"] =
                json!("waiting for completion of hook batch/Job/verify");
            status["operationState"].as_object_mut().unwrap().shift_remove("finishedAt");
            application["status"] = status;
        });
    }

    fn synced(&self, revision: &str, resources: &[Value]) -> Value {
        let (now, source) = (now(), &self.spec()["source"]);
        json!({
            "sync": {
                "status": "Synced",
                "revision": revision,
                "comparedTo": {"source": source, "destination": self.spec()["destination"]},
            },
            "health": {"status": "Progressing", "lastTransitionTime": now},
            "reconciledAt": now,
            "resourceHealthSource": "appTree",
            "resources": resources,
            "operationState": {
                "phase": "Succeeded",
                "message": "successfully synced (all tasks run)",
                "startedAt": now,
                "finishedAt": now,
                "operation": {"initiatedBy": {"automated": true}, "sync": {"revision": revision}},
                "syncResult": {"revision": revision, "source": source},
            },
        })
    }

    /// Compares once more, as the controller does after a change of a live object or when asked:
    /// the health is that of the Deployments, and the request for a refresh is served.
    pub(crate) fn reconcile(&self) {
        let deployments = format!("/apis/apps/v1/namespaces/{}/deployments", self.namespace);
        let all_ready = self.control_plane.list(&deployments).iter().all(is_rolled_out);
        let health = if all_ready { "Healthy" } else { "Progressing" };
        self.change(|application| compare(application, health));
    }

    /// Keeps reconciling until the returned value is dropped.
    pub(crate) fn keep_reconciling(&self) -> tokio::task::JoinSet<()> {
        let mut controller = tokio::task::JoinSet::new();
        let argo_cd = self.clone();
        controller.spawn(async move {
            loop {
                let argo_cd = argo_cd.clone();
                tokio::task::spawn_blocking(move || argo_cd.reconcile()).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(400)).await;
            }
        });
        controller
    }

    fn spec(&self) -> Value {
        json!({
            "project": "shop",
            "source": {"repoURL": self.repo_url, "targetRevision": "main", "path": self.path},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": self.namespace},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
        })
    }

    // Somebody else may write at the same time: deployctl asks for a refresh.
    fn change(&self, change: impl Fn(&mut Value)) {
        loop {
            let mut application = self.control_plane.application("argocd", &self.name).unwrap();
            change(&mut application);
            if self.control_plane.replace_application(&application) {
                return;
            }
        }
    }
}

fn compare(application: &mut Value, health: &str) {
    if let Some(annotations) = application["metadata"]["annotations"].as_object_mut() {
        annotations.shift_remove("argocd.argoproj.io/refresh");
    }
    if application["status"].is_object() {
        application["status"]["reconciledAt"] = json!(now());
        if application["status"]["health"]["status"] != health {
            application["status"]["health"] =
                json!({"status": health, "lastTransitionTime": now()});
        }
    }
}

fn resource(object: &Object) -> Value {
    let mut resource = json!({
        "version": object.version(), "kind": object.kind(), "namespace": object.namespace(),
        "name": object.name(), "status": "Synced",
    });
    if !object.group().is_empty() {
        resource["group"] = json!(object.group());
    }
    resource
}

fn is_rolled_out(deployment: &Value) -> bool {
    let (spec, status) = (&deployment["spec"], &deployment["status"]);
    let counts = ["updatedReplicas", "availableReplicas", "replicas"];
    status["observedGeneration"] == deployment["metadata"]["generation"]
        && counts.iter().all(|count| status[*count] == spec["replicas"])
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
