//! What runs: the live Kubernetes API, or a recording of it.
//!
//! Judging what is seen is left to [`crate::rollout`].

mod journal;
mod live;
mod recorder;
mod recording;
mod redaction;
mod version;

pub use live::Live;
pub use recorder::Recorder;
pub use recording::{Recording, Substitution};

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use crate::argocd::{self, ApplicationName};
use crate::k8s::{Object, ObjectId};
use crate::rollout::Snapshot;

/// A cluster that can be looked at, again and again.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Returns `scope` as it is and as it becomes. Asks nothing yet.
    fn follow<'a>(&'a self, scope: &'a Scope) -> Box<dyn View + 'a>;

    /// Asks Argo CD to compare `application` with git again.
    ///
    /// # Errors
    ///
    /// Fails if the cluster is out of reach or refuses.
    async fn refresh(&self, application: &ApplicationName) -> Result<(), ClusterError>;

    /// Asks Argo CD to sync an Application by `operation`.
    ///
    /// # Errors
    ///
    /// As [`Cluster::refresh`]; fails, too, if the Application is not what it was when `application`
    /// was seen.
    async fn sync(&self, application: &Object, operation: &Value) -> Result<(), ClusterError>;

    /// Returns the Applications and the ApplicationSets of a namespace, or of all.
    ///
    /// # Errors
    ///
    /// As [`Cluster::refresh`]; fails with [`ClusterError::UnknownKind`] where there is no Argo CD.
    async fn argo_cd(&self, namespace: Option<&str>) -> Result<Vec<Object>, ClusterError>;

    /// Returns what could make the Application `name`, which is not there: see [`argocd::maker`].
    ///
    /// # Errors
    ///
    /// As [`Cluster::argo_cd`].
    async fn makers(&self, name: &ApplicationName) -> Result<Vec<Object>, ClusterError> {
        let all = self.argo_cd(Some(&name.namespace)).await?;
        Ok(all.iter().filter_map(|object| argocd::maker(object, name)).collect())
    }

    /// Returns the settings of the Argo CD that looks after the Application `name`, the ConfigMap
    /// `argocd-cm`, or `None` if it is not there. A recording has none.
    ///
    /// # Errors
    ///
    /// Fails if the cluster is out of reach or refuses.
    async fn argocd_cm(&self, name: &ApplicationName) -> Result<Option<Object>, ClusterError>;

    /// Returns the cluster's present: the clock, or the time a recording has got to.
    fn now(&self) -> Timestamp;
}

/// A part of a cluster that somebody follows.
#[async_trait]
pub trait View: Send {
    /// Returns what is there now, as far as the cluster has told.
    ///
    /// # Errors
    ///
    /// Fails if the cluster is out of reach or refuses to answer, and also if it did answer and is out
    /// of reach by now: what was there some time ago is no answer.
    async fn observe(&mut self) -> Result<Snapshot, ClusterError>;

    /// Returns what is there now, asked for this very moment.
    ///
    /// # Errors
    ///
    /// As [`View::observe`].
    async fn confirm(&mut self) -> Result<Snapshot, ClusterError>;

    /// Returns when there is something new to observe, at the latest after `interval`.
    async fn pause(&mut self, interval: Duration);
}

/// What to look at: an Application, the objects that an overlay renders to, or both.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The Argo CD Application.
    pub application: Option<ApplicationName>,
    /// The objects that the overlay renders to; their pods and events are found from them.
    pub objects: Vec<Object>,
}

/// Why a cluster did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// There is no kubeconfig and no service account.
    #[error("no cluster to talk to: {reason}")]
    NoCluster {
        /// What was tried.
        reason: String,
    },
    /// There is a kubeconfig, or one is named, and it does not lead to a cluster.
    #[error("no cluster to talk to: {reason}")]
    Kubeconfig {
        /// What is wrong with it.
        reason: String,
    },
    /// No answer.
    #[error("can't reach the cluster at `{server}`: {reason}")]
    Unreachable {
        /// The API server's URL.
        server: String,
        /// What the network said.
        reason: String,
    },
    /// 401 or 403.
    #[error("the cluster refuses to {verb}: {reason}")]
    Denied {
        /// What was asked, for example ``list pods in `ranking-dev` ``.
        verb: String,
        /// The API server's own words.
        reason: String,
    },
    /// The cluster does not know the kind.
    #[error("the cluster does not know `{api_version} {kind}`: is its CRD installed?")]
    UnknownKind {
        /// The kind's group and version.
        api_version: String,
        /// The kind.
        kind: String,
    },
    /// There is no such object.
    #[error("`{0}` is not in the cluster")]
    NotFound(ObjectId),
    /// The API server answered an error.
    #[error("the cluster answered: {0}")]
    Answer(String),
    /// A recording can't be read or written.
    #[error("recording `{path}`: {reason}")]
    Recording {
        /// The file or folder.
        path: camino::Utf8PathBuf,
        /// What went wrong.
        reason: String,
    },
}
