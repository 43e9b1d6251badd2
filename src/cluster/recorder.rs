//! A cluster whose every observed version is written down.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde_json::Value;

use super::{Cluster, ClusterError, Scope, View, version};
use crate::argocd::ApplicationName;
use crate::k8s::Object;
use crate::rollout::Snapshot;
use version::Occasion;

/// A cluster, and a folder that each version that is observed through it goes to: `0001.yaml`,
/// `0002.yaml`, … A version that equals the one before is not written again.
pub struct Recorder<'a> {
    cluster: &'a dyn Cluster,
    dir: Utf8PathBuf,
    written: Mutex<(usize, Option<Snapshot>)>,
}

impl<'a> Recorder<'a> {
    /// Returns `cluster`, recorded in the folder `dir`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// Fails if the folder can't be made or holds a recording already.
    pub fn new(cluster: &'a dyn Cluster, dir: &Utf8Path) -> Result<Self, ClusterError> {
        std::fs::create_dir_all(dir).map_err(|error| failed(dir, error.to_string()))?;
        let first = dir.join("0001.yaml");
        if first.exists() {
            return Err(failed(&first, "there is a recording already".to_owned()));
        }
        Ok(Self { cluster, dir: dir.to_owned(), written: Mutex::default() })
    }

    fn write(&self, snapshot: &Snapshot, occasion: Occasion) -> Result<(), ClusterError> {
        let mut written = self.written.lock().expect("no thread panics with the lock");
        let (count, last) = &mut *written;
        if last.as_ref() == Some(snapshot) {
            return Ok(());
        }
        *count += 1;
        let path = self.dir.join(format!("{count:04}.yaml"));
        let text = version::write(snapshot, occasion, self.cluster.now())
            .map_err(|error| failed(&path, error.to_string()))?;
        std::fs::write(&path, text).map_err(|error| failed(&path, error.to_string()))?;
        *last = Some(snapshot.clone());
        Ok(())
    }
}

fn failed(path: &Utf8Path, reason: String) -> ClusterError {
    ClusterError::Recording { path: path.to_owned(), reason }
}

#[async_trait]
impl Cluster for Recorder<'_> {
    fn follow<'b>(&'b self, scope: &'b Scope) -> Box<dyn View + 'b> {
        Box::new(RecordedView { view: self.cluster.follow(scope), recorder: self })
    }

    async fn refresh(&self, application: &ApplicationName) -> Result<(), ClusterError> {
        self.cluster.refresh(application).await
    }

    async fn sync(&self, application: &Object, operation: &Value) -> Result<(), ClusterError> {
        self.cluster.sync(application, operation).await
    }

    async fn argo_cd(&self, namespace: Option<&str>) -> Result<Vec<Object>, ClusterError> {
        self.cluster.argo_cd(namespace).await
    }

    async fn argocd_cm(&self, namespace: &str) -> Result<Option<Object>, ClusterError> {
        self.cluster.argocd_cm(namespace).await
    }

    fn now(&self) -> Timestamp {
        self.cluster.now()
    }
}

struct RecordedView<'a> {
    view: Box<dyn View + 'a>,
    recorder: &'a Recorder<'a>,
}

#[async_trait]
impl View for RecordedView<'_> {
    async fn observe(&mut self) -> Result<Snapshot, ClusterError> {
        let snapshot = self.view.observe().await?;
        self.recorder.write(&snapshot, Occasion::Observed)?;
        Ok(snapshot)
    }

    async fn confirm(&mut self) -> Result<Snapshot, ClusterError> {
        let snapshot = self.view.confirm().await?;
        self.recorder.write(&snapshot, Occasion::Confirmed)?;
        Ok(snapshot)
    }

    async fn pause(&mut self, interval: Duration) {
        self.view.pause(interval).await;
    }
}
