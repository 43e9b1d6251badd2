//! A cluster whose every observed version is written down.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde_json::Value;

use super::journal::{self, Failure, Journal, What};
use super::redaction::{self, Redaction};
use super::{Cluster, ClusterError, Scope, View, version};
use crate::argocd::ApplicationName;
use crate::k8s::Object;
use crate::rollout::Snapshot;
use crate::system;
use version::Occasion;

/// A recording does not become larger.
const MOST_BYTES: u64 = 256 << 20;

/// What the journal calls the question what could make an Application.
pub(super) const MAKERS: &str = "makers";

/// A cluster, and a folder that each version that is observed through it goes to: `0001.yaml`,
/// `0002.yaml`, … A version that equals the one before is not written again; when each was seen, and
/// what else was answered, is in `journal.jsonl`.
///
/// Its time stands still between two looks, so that whatever is decided in between can be decided again.
pub struct Recorder<'a> {
    cluster: &'a dyn Cluster,
    dir: Utf8PathBuf,
    redaction: Redaction,
    written: Mutex<Written>,
}

struct Written {
    journal: Journal,
    count: usize,
    bytes: u64,
    last: Option<Snapshot>,
    now: Timestamp,
}

impl<'a> Recorder<'a> {
    /// Returns `cluster`, recorded in the folder `dir`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// Fails if the folder can't be made or holds a recording already.
    pub fn new(cluster: &'a dyn Cluster, dir: &Utf8Path) -> Result<Self, ClusterError> {
        Self::check(dir)?;
        std::fs::create_dir_all(dir).map_err(|error| failed(dir, error.to_string()))?;
        let journal = Journal::create(dir).map_err(|error| failed(dir, error.to_string()))?;
        let now = cluster.now();
        let written = Mutex::new(Written { journal, count: 0, bytes: 0, last: None, now });
        Ok(Self { cluster, dir: dir.to_owned(), redaction: Redaction::new(), written })
    }

    /// Returns whether a recording in the folder `dir` could begin now; leaves nothing behind.
    ///
    /// # Errors
    ///
    /// As [`Recorder::new`].
    pub fn check(dir: &Utf8Path) -> Result<(), ClusterError> {
        if [journal::FILE_NAME, "0001.yaml"].iter().any(|name| dir.join(name).exists()) {
            return Err(failed(
                dir,
                "there is a recording already; name another folder".to_owned(),
            ));
        }
        // What is not there yet would be made in the nearest folder that is.
        let there = dir.ancestors().find(|folder| folder.as_str().is_empty() || folder.exists());
        let there = there.filter(|folder| !folder.as_str().is_empty()).unwrap_or(".".into());
        let probed = system::check_folder(there);
        probed.map_err(|error| failed(dir, format!("it can't be made or written: {error}")))
    }

    /// Writes what else the verdict is made from: `answer` to the `question` about `of`.
    ///
    /// # Errors
    ///
    /// Fails if the journal can't be written.
    pub fn answered(&self, question: &str, of: &str, answer: Value) -> Result<(), ClusterError> {
        let (question, of) = (question.to_owned(), of.to_owned());
        let mut written = self.written();
        let now = written.now;
        written.journal.write(now, What::Answered { question, of, answer })
    }

    /// Writes that the verification came to its end. A recording without that was broken off.
    ///
    /// # Errors
    ///
    /// Fails if the journal can't be written.
    pub fn ended(&self) -> Result<(), ClusterError> {
        let mut written = self.written();
        let now = written.now;
        written.journal.write(now, What::Ended)
    }

    /// Writes the file `name` of the recording.
    ///
    /// # Errors
    ///
    /// Fails if it can't be written.
    pub fn write_file(&self, name: &str, text: &str) -> Result<(), ClusterError> {
        let path = self.dir.join(name);
        std::fs::write(&path, text).map_err(|error| failed(&path, error.to_string()))
    }

    /// Returns `object` as it may be written: without what may be secret.
    pub fn redacted(&self, object: &Object) -> Value {
        self.redaction.of(object.value().clone())
    }

    /// Returns the `url` of a repository as it may be written.
    pub fn redacted_url(url: &str) -> String {
        redaction::without_credentials(url)
    }

    fn look(
        &self,
        seen: Result<Snapshot, ClusterError>,
        occasion: Occasion,
    ) -> Result<Snapshot, ClusterError> {
        let mut written = self.written();
        let now = self.cluster.now();
        written.now = now;
        let confirms = occasion == Occasion::Confirmed;
        match seen {
            Ok(snapshot) => {
                self.write(&mut written, &snapshot, occasion)?;
                Ok(snapshot)
            }
            Err(error) => {
                let failed = What::Failed { error: Failure::from(&error), confirms };
                written.journal.write(now, failed)?;
                Err(error)
            }
        }
    }

    fn write(
        &self,
        written: &mut Written,
        snapshot: &Snapshot,
        occasion: Occasion,
    ) -> Result<(), ClusterError> {
        let now = written.now;
        if written.bytes > MOST_BYTES {
            return Ok(());
        }
        if written.last.as_ref() != Some(snapshot) {
            let path = self.dir.join(format!("{:04}.yaml", written.count + 1));
            let text = version::write(snapshot, occasion, now, &self.redaction)
                .map_err(|error| failed(&path, error.to_string()))?;
            written.bytes += text.len() as u64;
            if written.bytes > MOST_BYTES {
                return written.journal.write(now, What::Full);
            }
            std::fs::write(&path, text).map_err(|error| failed(&path, error.to_string()))?;
            written.count += 1;
            written.last = Some(snapshot.clone());
        }
        let (version, confirms) = (written.count, occasion == Occasion::Confirmed);
        written.journal.write(now, What::Look { version, confirms })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
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
        let refreshed = self.cluster.refresh(application).await;
        let error = refreshed.as_ref().err().map(Failure::from);
        let mut written = self.written();
        let now = written.now;
        written.journal.write(now, What::Refreshed { error })?;
        refreshed
    }

    async fn sync(&self, application: &Object, operation: &Value) -> Result<(), ClusterError> {
        let synced = self.cluster.sync(application, operation).await;
        let error = synced.as_ref().err().map(Failure::from);
        let mut written = self.written();
        let now = written.now;
        written.journal.write(now, What::Synced { error })?;
        synced
    }

    async fn argo_cd(&self, namespace: Option<&str>) -> Result<Vec<Object>, ClusterError> {
        self.cluster.argo_cd(namespace).await
    }

    async fn makers(&self, name: &ApplicationName) -> Result<Vec<Object>, ClusterError> {
        let makers = self.cluster.makers(name).await?;
        let answer = makers.iter().map(|object| self.redacted(object)).collect();
        self.answered(MAKERS, &name.to_string(), answer)?;
        Ok(makers)
    }

    async fn argocd_cm(&self, name: &ApplicationName) -> Result<Option<Object>, ClusterError> {
        self.cluster.argocd_cm(name).await
    }

    fn now(&self) -> Timestamp {
        self.written().now
    }
}

struct RecordedView<'a> {
    view: Box<dyn View + 'a>,
    recorder: &'a Recorder<'a>,
}

#[async_trait]
impl View for RecordedView<'_> {
    async fn observe(&mut self) -> Result<Snapshot, ClusterError> {
        let seen = self.view.observe().await;
        self.recorder.look(seen, Occasion::Observed)
    }

    async fn confirm(&mut self) -> Result<Snapshot, ClusterError> {
        let seen = self.view.confirm().await;
        self.recorder.look(seen, Occasion::Confirmed)
    }

    async fn pause(&mut self, interval: Duration) {
        self.view.pause(interval).await;
    }
}
