//! A recorded cluster: observed versions in a folder, and a clock that goes from one to the next.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde_json::Value;

use super::version::{self, Occasion};
use super::{Cluster, ClusterError, Scope, View};
use crate::argocd::ApplicationName;
use crate::k8s::Object;
use crate::rollout::Snapshot;

/// Versions of a rollout, seen one after the other.
///
/// Time stands still until [`View::pause`], which goes on to the next version; after the last one
/// it only lets time pass.
pub struct Recording {
    versions: Vec<(Timestamp, Occasion, Snapshot)>,
    at: Mutex<(usize, Timestamp)>,
    pace: Duration,
}

/// A placeholder of a recording, for example `image` for `{{image}}`, and what stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Substitution<'a> {
    /// The name between the braces.
    pub name: &'a str,
    /// The text.
    pub text: &'a str,
}

impl Recording {
    /// Returns the recording in the folder `dir`: its files `*.yaml` in the order of their names.
    ///
    /// # Errors
    ///
    /// Fails if there is none, or a file is not a recorded version.
    pub fn open(dir: &Utf8Path, substitutions: &[Substitution<'_>]) -> Result<Self, ClusterError> {
        let unreadable = |error: std::io::Error| failed(dir, error.to_string());
        let mut paths: Vec<Utf8PathBuf> = Vec::new();
        for entry in dir.read_dir_utf8().map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.into_path();
            if path.extension() == Some("yaml") {
                paths.push(path);
            }
        }
        let read = |path: Utf8PathBuf| {
            let size = path.metadata().map_err(|error| failed(&path, error.to_string()))?.len();
            if size > version::MOST_BYTES {
                return Err(failed(&path, format!("is too large ({size} bytes)")));
            }
            let text = std::fs::read_to_string(&path);
            let text = text.map_err(|error| failed(&path, error.to_string()))?;
            Ok((path, text))
        };
        let files: Vec<_> = paths.into_iter().map(read).collect::<Result<_, _>>()?;
        if files.is_empty() {
            return Err(failed(dir, "there are no recorded versions".to_owned()));
        }
        Self::read(files.iter().map(|(path, text)| (path.as_path(), text.as_str())), substitutions)
    }

    /// Returns the recording that `files` hold, by path, in the order of the paths.
    ///
    /// # Errors
    ///
    /// Fails if there are none, or one is not a recorded version.
    pub fn read<'a>(
        files: impl IntoIterator<Item = (&'a Utf8Path, &'a str)>,
        substitutions: &[Substitution<'_>],
    ) -> Result<Self, ClusterError> {
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort();
        let mut versions = Vec::new();
        for (path, text) in files {
            let text = substitute(text, substitutions);
            versions.push(version::read(&text).map_err(|reason| failed(path, reason))?);
        }
        let empty = || failed(Utf8Path::new("."), "there are no recorded versions".to_owned());
        let start = versions.first().ok_or_else(empty)?.0;
        Ok(Self { versions, at: Mutex::new((0, start)), pace: Duration::ZERO })
    }

    /// Returns the recording, played so slowly that a person can follow: no step takes longer than
    /// `pace`, and none longer than it took.
    #[must_use]
    pub fn paced(self, pace: Duration) -> Self {
        Self { pace, ..self }
    }

    fn position(&self) -> (usize, Timestamp) {
        *self.at.lock().expect("no thread panics with the lock")
    }
}

fn substitute(text: &str, substitutions: &[Substitution<'_>]) -> String {
    let one = |text: String, with: &Substitution<'_>| {
        text.replace(&format!("{{{{{}}}}}", with.name), with.text)
    };
    substitutions.iter().fold(text.to_owned(), one)
}

fn failed(path: &Utf8Path, reason: String) -> ClusterError {
    ClusterError::Recording { path: path.to_owned(), reason }
}

#[async_trait]
impl Cluster for Recording {
    fn follow<'a>(&'a self, _scope: &'a Scope) -> Box<dyn View + 'a> {
        Box::new(PlayedView(self))
    }

    async fn refresh(&self, _application: &ApplicationName) -> Result<(), ClusterError> {
        Ok(())
    }

    // What came of it is recorded.
    async fn sync(&self, _application: &Object, _operation: &Value) -> Result<(), ClusterError> {
        Ok(())
    }

    async fn argo_cd(&self, _namespace: Option<&str>) -> Result<Vec<Object>, ClusterError> {
        let (index, _) = self.position();
        Ok(self.versions[index].2.application.iter().cloned().collect())
    }

    async fn argocd_cm(&self, _namespace: &str) -> Result<Option<Object>, ClusterError> {
        Ok(None)
    }

    fn now(&self) -> Timestamp {
        self.position().1
    }
}

struct PlayedView<'a>(&'a Recording);

#[async_trait]
impl View for PlayedView<'_> {
    async fn observe(&mut self) -> Result<Snapshot, ClusterError> {
        let (index, _) = self.0.position();
        Ok(self.0.versions[index].2.clone())
    }

    async fn confirm(&mut self) -> Result<Snapshot, ClusterError> {
        let next = self.0.position().0 + 1;
        if let Some((time, Occasion::Confirmed, _)) = self.0.versions.get(next) {
            let mut at = self.0.at.lock().expect("no thread panics with the lock");
            *at = (next, at.1.max(*time));
        }
        self.observe().await
    }

    async fn pause(&mut self, interval: Duration) {
        let (index, now) = self.0.position();
        let interval = jiff::SignedDuration::try_from(interval).unwrap_or_default();
        let later = now.saturating_add(interval).unwrap_or(now);
        let next = match self.0.versions.get(index + 1) {
            // It was found when somebody asked, so that it waits for that a while.
            Some((time, Occasion::Confirmed, _)) if later < *time => (index, later),
            Some((time, ..)) => (index + 1, (*time).max(now)),
            None => (index, later),
        };
        *self.0.at.lock().expect("no thread panics with the lock") = next;
        let took = Duration::try_from(next.1.duration_since(now)).unwrap_or_default();
        tokio::time::sleep(took.min(self.0.pace)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Recorder;
    use super::*;

    const ONE: &str = "schema: deployctl.dev/snapshot/v1\ntime: 2026-01-01T00:00:00Z\n\
        objects: [{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {on: 'yes'}}, spec: {image: '{{image}}'}}]\n";
    const TWO: &str =
        "schema: deployctl.dev/snapshot/v1\ntime: 2026-01-01T00:00:07Z\nobjects: []\n";

    fn recording() -> Recording {
        let files = [("0002.yaml", TWO), ("0001.yaml", ONE)];
        let files = files.map(|(path, text)| (Utf8Path::new(path), text));
        Recording::read(files, &[Substitution { name: "image", text: "x:1" }]).unwrap()
    }

    #[tokio::test]
    async fn time_goes_from_version_to_version_and_then_on() {
        let (recording, second) = (recording(), Duration::from_secs(1));
        let scope = Scope::default();
        let mut view = recording.follow(&scope);
        let first = view.observe().await.unwrap();
        assert_eq!(first.objects[0].text("/spec/image"), Some("x:1"));
        view.pause(second).await;
        assert_eq!(recording.now().to_string(), "2026-01-01T00:00:07Z");
        assert_eq!(view.observe().await.unwrap(), Snapshot::default());
        view.pause(second).await;
        assert_eq!(recording.now().to_string(), "2026-01-01T00:00:08Z");
    }

    #[tokio::test]
    async fn what_is_recorded_is_read_back_the_same() {
        let (played, scope) = (recording(), Scope::default());
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap().join("new");
        let recorder = Recorder::new(&played, &dir).unwrap();
        let mut view = recorder.follow(&scope);
        let first = view.observe().await.unwrap();
        view.observe().await.unwrap();
        view.pause(Duration::ZERO).await;
        view.observe().await.unwrap();
        assert_eq!(dir.read_dir_utf8().unwrap().count(), 2);
        let again = Recording::open(&dir, &[]).unwrap();
        assert_eq!(again.follow(&scope).observe().await.unwrap(), first);
        assert!(Recorder::new(&played, &dir).is_err());
    }

    #[test]
    fn a_file_that_is_no_version_is_named() {
        let read = |text| Recording::read([(Utf8Path::new("0001.yaml"), text)], &[]).err().unwrap();
        assert!(read("a: 1").to_string().starts_with("recording `0001.yaml`: "));
    }
}
