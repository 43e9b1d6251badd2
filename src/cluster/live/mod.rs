//! The live Kubernetes API.
//!
//! What is looked at is watched: one watch for each kind and namespace, shared by all who follow
//! something of it ([`feed`]). What is about to be called healthy is read once more from the API
//! server itself. Secrets are never read, and one annotation is all that is ever written, the one by
//! which Argo CD is asked to refresh.

mod api;
mod connect;
mod connection;
mod error;
mod feed;
mod feeds;
mod look;
mod scope;
mod selector;
mod view;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use self::api::{Api, Kind};
use self::connection::Connection;
use self::feeds::Feeds;
use self::view::LiveView;
use super::{Cluster, ClusterError, Scope, View};
use crate::argocd::ApplicationName;
use crate::system::{self, Environment};

/// A cluster behind its API server.
pub struct Live {
    api: Arc<Api>,
    feeds: Feeds,
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
        Ok(Self { feeds: Feeds::new(Arc::clone(&api)), api })
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
        let annotation = ("argocd.argoproj.io/refresh", "normal");
        let kind = application.into();
        // What the watch holds may be from before, and would then look as if the request was served.
        if let Some(object) = self.api.annotate(kind, &application.name, annotation).await? {
            self.feeds.put(kind, object).await;
        }
        Ok(())
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
