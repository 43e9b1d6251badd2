//! The live Kubernetes API.
//!
//! Reads with `get` and bounded `list` only, never a Secret, and writes one annotation, the one by
//! which Argo CD is asked to refresh.

mod api;
mod connect;
mod error;
mod scope;

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use self::api::{Api, Kind, Selector};
use self::scope::{Wanted, label_selector, wanted};
use super::{Cluster, ClusterError, Scope};
use crate::argocd::ApplicationName;
use crate::k8s::Object;
use crate::rollout::Snapshot;
use crate::system::{self, Environment};

/// How many requests are under way at once; the API server's fairness limits allow a client few.
const PARALLEL: usize = 6;

/// A cluster behind its API server.
pub struct Live {
    api: Api,
    namespace: String,
}

impl Live {
    /// Returns the cluster of the kubeconfig's `context` (`KUBECONFIG` or `~/.kube/config`; the
    /// current context if `None`), or, where there is no kubeconfig, the one this process runs in.
    /// Reaches no network.
    ///
    /// # Errors
    ///
    /// Fails if there is no usable kubeconfig, context or service account.
    pub async fn connect(
        environment: &Environment,
        context: Option<&str>,
    ) -> Result<Self, ClusterError> {
        let config = connect::config(environment, context).await?;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let namespace = config.default_namespace.clone();
        let unusable = |error: kube::Error| match error::explain(&server, "connect", error) {
            ClusterError::Answer(reason) => ClusterError::NoCluster { reason },
            error => error,
        };
        let client = kube::Client::try_from(config).map_err(unusable)?;
        Ok(Self { api: Api::new(client, server), namespace })
    }

    /// Returns the API server's URL.
    pub fn server(&self) -> &str {
        self.api.server()
    }

    async fn application(&self, name: &ApplicationName) -> Result<Option<Object>, ClusterError> {
        self.api.get(application_kind(name), &name.name).await
    }

    // A kind that the cluster does not know is told and passed over: its CRD may come with this very
    // rollout.
    async fn objects(
        &self,
        wanted: &[Wanted],
        unread: &mut Vec<String>,
    ) -> Result<Vec<Object>, ClusterError> {
        let get = |wanted: &Wanted| {
            let Wanted { api_version, kind, namespace, name } = wanted.clone();
            async move {
                let kind = Kind { api_version: &api_version, kind: &kind, namespace: &namespace };
                match self.api.get(kind, &name).await {
                    Err(error @ ClusterError::UnknownKind { .. }) => Ok(Err(error.to_string())),
                    found => found.map(Ok),
                }
            }
        };
        let requests: Vec<_> = wanted.iter().map(get).collect();
        let found: Vec<_> = stream::iter(requests).buffered(PARALLEL).try_collect().await?;
        let mut objects = Vec::new();
        for result in found {
            match result {
                Ok(object) => objects.extend(object),
                Err(unknown) => unread.push(unknown),
            }
        }
        unread.dedup();
        Ok(objects)
    }

    async fn selected(
        &self,
        workload: &Object,
        api_version: &str,
        kind: &str,
    ) -> Result<Vec<Object>, ClusterError> {
        let Some(labels) = workload.at("/spec/selector").and_then(label_selector) else {
            return Ok(Vec::new());
        };
        let kind = Kind { api_version, kind, namespace: workload.namespace() };
        self.api.list(kind, Selector { labels: Some(&labels), fields: None }).await
    }

    async fn below(&self, snapshot: &mut Snapshot) -> Result<(), ClusterError> {
        let workloads = snapshot.objects.iter().filter(|object| runs_pods(object));
        for workload in workloads {
            let mut owners = BTreeSet::from([workload.uid().to_owned()]);
            if workload.kind() == "Deployment" {
                let mut sets = self.selected(workload, "apps/v1", "ReplicaSet").await?;
                sets.retain(|set| set.controller_uid() == Some(workload.uid()));
                owners.extend(sets.iter().map(|set| set.uid().to_owned()));
                snapshot.owned.extend(sets);
            }
            let mut pods = self.selected(workload, "v1", "Pod").await?;
            pods.retain(|pod| pod.controller_uid().is_some_and(|uid| owners.contains(uid)));
            snapshot.pods.extend(pods);
        }
        let bare = snapshot.objects.iter().filter(|o| o.kind() == "Pod" && o.group().is_empty());
        snapshot.pods.extend(bare.cloned());
        Ok(())
    }

    async fn events(&self, snapshot: &mut Snapshot) -> Result<(), ClusterError> {
        let all = || snapshot.objects.iter().chain(&snapshot.owned).chain(&snapshot.pods);
        let uids: BTreeSet<_> = all().map(Object::uid).collect();
        let namespaces: BTreeSet<_> =
            all().map(Object::namespace).filter(|namespace| !namespace.is_empty()).collect();
        let mut events = Vec::new();
        for namespace in namespaces {
            let kind = Kind { api_version: "v1", kind: "Event", namespace };
            // Of the events that are no warnings only the autoscaler's tell something.
            for fields in ["type=Warning", "reason=TriggeredScaleUp"] {
                let selector = Selector { labels: None, fields: Some(fields) };
                events.extend(self.api.list(kind, selector).await?);
            }
        }
        events.retain(|event| {
            event.text("/involvedObject/uid").is_some_and(|uid| uids.contains(uid))
        });
        events.sort_by(|a, b| last_seen(a).cmp(last_seen(b)));
        snapshot.events = events;
        Ok(())
    }
}

#[async_trait]
impl Cluster for Live {
    async fn observe(&self, scope: &Scope) -> Result<Snapshot, ClusterError> {
        let mut snapshot = Snapshot::default();
        if let Some(name) = &scope.application {
            snapshot.application = self.application(name).await?;
        }
        let application = snapshot.application.as_ref();
        match wanted(scope, application, self.server(), &self.namespace) {
            Ok(wanted) => {
                snapshot.objects = self.objects(&wanted, &mut snapshot.unread).await?;
                self.below(&mut snapshot).await?;
            }
            Err(elsewhere) => snapshot.unread.push(elsewhere),
        }
        // A role that may not read events is no reason not to judge the objects.
        match self.events(&mut snapshot).await {
            Err(error @ ClusterError::Denied { .. }) => snapshot.unread.push(error.to_string()),
            result => result?,
        }
        Ok(snapshot)
    }

    async fn refresh(&self, application: &ApplicationName) -> Result<(), ClusterError> {
        let annotation = ("argocd.argoproj.io/refresh", "normal");
        self.api.annotate(application_kind(application), &application.name, annotation).await
    }

    async fn pause(&self, interval: Duration) {
        tokio::time::sleep(interval).await;
    }

    fn now(&self) -> Timestamp {
        system::now()
    }
}

fn application_kind(name: &ApplicationName) -> Kind<'_> {
    let (api_version, kind) = ("argoproj.io/v1alpha1", "Application");
    Kind { api_version, kind, namespace: &name.namespace }
}

fn runs_pods(object: &Object) -> bool {
    matches!(
        (object.group(), object.kind()),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job")
    )
}

// RFC 3339 in UTC, as the API server writes it, sorts as text.
fn last_seen(event: &Object) -> &str {
    let fields = ["/lastTimestamp", "/series/lastObservedTime", "/eventTime"];
    let seen = fields.into_iter().find_map(|field| event.text(field));
    seen.or_else(|| event.text("/metadata/creationTimestamp")).unwrap_or_default()
}
