//! A cluster whose every observed version is written down.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;

use super::{Cluster, ClusterError, Scope, version};
use crate::argocd::ApplicationName;
use crate::rollout::Snapshot;

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

    fn write(&self, snapshot: &Snapshot) -> Result<(), ClusterError> {
        let mut written = self.written.lock().expect("no thread panics with the lock");
        let (count, last) = &mut *written;
        if last.as_ref() == Some(snapshot) {
            return Ok(());
        }
        *count += 1;
        let path = self.dir.join(format!("{count:04}.yaml"));
        let text = version::write(snapshot, self.cluster.now())
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
    async fn observe(&self, scope: &Scope) -> Result<Snapshot, ClusterError> {
        let snapshot = self.cluster.observe(scope).await?;
        self.write(&snapshot)?;
        Ok(snapshot)
    }

    async fn refresh(&self, application: &ApplicationName) -> Result<(), ClusterError> {
        self.cluster.refresh(application).await
    }

    async fn pause(&self, interval: Duration) {
        self.cluster.pause(interval).await;
    }

    fn now(&self) -> Timestamp {
        self.cluster.now()
    }
}
