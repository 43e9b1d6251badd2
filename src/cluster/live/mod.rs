//! The live Kubernetes API.
//!
//! What is looked at is watched: one watch for each kind and namespace, shared by all who follow
//! something of it ([`feed`]). What is about to be called healthy is read once more from the API
//! server itself. Secrets are never read, and only Applications are ever written to: the annotations by
//! which Argo CD is asked to refresh, and, where somebody wants that, the operation by which it is asked
//! to sync.

mod api;
mod connect;
mod connection;
mod error;
mod feed;
mod feeds;
mod logs;
mod look;
mod proxy;
mod scope;
mod selector;
mod view;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};

use self::api::{Api, Kind, Selector};
use self::connection::Connection;
use self::feeds::Feeds;
use self::logs::Logs;
use self::view::LiveView;
use super::{Cluster, ClusterError, Scope, View};
use crate::argocd::{Application, ApplicationName};
use crate::k8s::Object;
use crate::system::{self, Environment};

/// A cluster behind its API server.
pub struct Live {
    api: Arc<Api>,
    feeds: Feeds,
    logs: Logs,
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
        let api = Arc::new(Api::new(Connection::new(environment, context).await?));
        let logs = Logs::new(environment);
        Ok(Self { feeds: Feeds::new(Arc::clone(&api)), logs, api })
    }

    /// Returns the API server's URL.
    pub fn server(&self) -> &str {
        self.api.connection().server()
    }

    fn namespace(&self) -> &str {
        self.api.connection().namespace()
    }
}

#[async_trait]
impl Cluster for Live {
    fn follow<'a>(&'a self, scope: &'a Scope) -> Box<dyn View + 'a> {
        Box::new(LiveView::new(self, scope))
    }

    async fn refresh(&self, application: &ApplicationName) -> Result<(), ClusterError> {
        // Argo CD 3.6 serves a request that has a time of its own, even if another is being served.
        let time = system::now().strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string();
        let patch = json!({"metadata": {"annotations": {
            "argocd.argoproj.io/refresh": "normal",
            "argocd.argoproj.io/refresh-timestamp": time,
        }}});
        let kind = application.into();
        // What the watch holds may be from before, and would then look as if the request was served.
        if let Some(object) = self.api.patch(kind, &application.name, &patch).await? {
            self.feeds.put(kind, object).await;
        }
        Ok(())
    }

    async fn sync(&self, application: &Object, operation: &Value) -> Result<(), ClusterError> {
        // With the version that was looked at the API server refuses it if anything has changed.
        let version = application.text("/metadata/resourceVersion");
        let patch = json!({"metadata": {"resourceVersion": version}, "operation": operation});
        let id = application.id();
        let name = ApplicationName { namespace: id.namespace, name: id.name };
        let kind = Kind::from(&name);
        if let Some(object) = self.api.patch(kind, &name.name, &patch).await? {
            self.feeds.put(kind, object).await;
        }
        Ok(())
    }

    async fn argo_cd(&self, namespace: Option<&str>) -> Result<Vec<Object>, ClusterError> {
        let namespace = namespace.unwrap_or_default();
        let api_version = "argoproj.io/v1alpha1";
        let list = async |kind| {
            let kind = Kind { api_version, kind, namespace };
            Ok(self.api.list(kind, &Selector::default(), |_| true).await?.objects)
        };
        let mut objects = list("Application").await?;
        // Nothing but a reason is made of them, and a role may leave them out.
        match list("ApplicationSet").await {
            Ok(sets) => objects.extend(sets),
            Err(ClusterError::Denied { .. } | ClusterError::UnknownKind { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(objects)
    }

    async fn argocd_cm(&self, name: &ApplicationName) -> Result<Option<Object>, ClusterError> {
        // An Application may be in another namespace than its Argo CD, which says so in its status.
        let object = self.api.get(Kind::from(name), &name.name).await?;
        let application = object.as_ref().and_then(Application::new);
        let namespace = application.map_or(&*name.namespace, Application::controller_namespace);
        self.api.get(Kind { api_version: "v1", kind: "ConfigMap", namespace }, "argocd-cm").await
    }

    fn now(&self) -> Timestamp {
        system::now()
    }
}

impl<'a> From<&'a ApplicationName> for Kind<'a> {
    fn from(name: &'a ApplicationName) -> Self {
        let (api_version, kind) = ("argoproj.io/v1alpha1", "Application");
        Self { api_version, kind, namespace: &name.namespace }
    }
}
