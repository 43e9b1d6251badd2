//! A recorded cluster: observed versions in a folder, and a clock that goes from one to the next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde_json::Value;

use super::journal::{self, Entry, Failure, What};
use super::recorder::MAKERS;
use super::version::{self, Occasion};
use super::{Cluster, ClusterError, Scope, View};
use crate::argocd::ApplicationName;
use crate::k8s::Object;
use crate::rollout::Snapshot;

/// Versions of a rollout, seen one after the other.
///
/// Time stands still until [`View::pause`], which goes on to the next version; after the last one
/// it only lets time pass. One with a journal goes from look to look, at the times they were made.
pub struct Recording {
    versions: Vec<(Timestamp, Occasion, Snapshot)>,
    at: Mutex<(usize, Timestamp)>,
    pace: Duration,
    path: Utf8PathBuf,
    journal: Option<Mutex<Played>>,
}

/// What of a journal is still to come.
#[derive(Default)]
struct Played {
    looks: VecDeque<(Timestamp, Look)>,
    refreshes: VecDeque<Option<Failure>>,
    syncs: VecDeque<Option<Failure>>,
    answers: BTreeMap<(String, String), VecDeque<Value>>,
    /// Whether it says that it goes to the end, or that it does not.
    is_closed: bool,
}

struct Look {
    /// The version, counted from 0, or why there is none.
    seen: Result<usize, ClusterError>,
    confirms: bool,
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
        let files = files(dir)?;
        if files.is_empty() {
            return Err(failed(dir, "there are no recorded versions".to_owned()));
        }
        Self::read(files.iter().map(|(path, text)| (path.as_path(), text.as_str())), substitutions)
    }

    /// Returns the recording in the folder `dir` with its journal, as it began at `start`. One of a
    /// verification that failed may have no versions.
    ///
    /// # Errors
    ///
    /// Fails if the journal or a version that it names is not there or is damaged, and if the
    /// verification was broken off before it had a verdict.
    pub fn replay(dir: &Utf8Path, start: Timestamp) -> Result<Self, ClusterError> {
        let path = dir.join(journal::FILE_NAME);
        if !path.exists() {
            return Err(failed(&path, format!("it is not there, {INCOMPLETE}")));
        }
        let entries = journal::read(&read_file(&path)?)
            .map_err(|reason| failed(&path, format!("it is damaged, {INCOMPLETE}: {reason}")))?;
        let mut played = Played::default();
        for Entry { at, what } in entries {
            played.add(at, what, &path);
        }
        if played.looks.is_empty() {
            let reason = "it is empty: that verification was broken off before the cluster had \
                          answered; record it again";
            return Err(failed(&path, reason.to_owned()));
        }
        if !played.has_end() {
            return Err(failed(&path, BROKEN_OFF.to_owned()));
        }
        let versions = read_versions(
            files(dir)?.iter().map(|(path, text)| (path.as_path(), text.as_str())),
            &[],
        )?;
        let seen = played.looks.iter().filter_map(|(_, look)| look.seen.as_ref().ok());
        if let Some(missing) = seen.copied().find(|index| *index >= versions.len()) {
            let path = dir.join(format!("{:04}.yaml", missing + 1));
            return Err(failed(&path, format!("it is not there, {INCOMPLETE}")));
        }
        let (at, journal) = (Mutex::new((0, start)), Some(Mutex::new(played)));
        Ok(Self { versions, at, pace: Duration::ZERO, path, journal })
    }

    /// Returns what was answered to the `question` about `of`: the next answer, or the last one again.
    pub fn answer(&self, question: &str, of: &str) -> Option<Value> {
        let mut played = self.played()?;
        let answers = played.answers.get_mut(&(question.to_owned(), of.to_owned()))?;
        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
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
        let versions = read_versions(files, substitutions)?;
        let empty = || failed(Utf8Path::new("."), "there are no recorded versions".to_owned());
        let start = versions.first().ok_or_else(empty)?.0;
        let (at, path) = (Mutex::new((0, start)), Utf8PathBuf::from("."));
        Ok(Self { versions, at, pace: Duration::ZERO, path, journal: None })
    }

    /// Returns the recording, played so slowly that a person can follow: no step takes longer than
    /// `pace`, and none longer than it took.
    #[must_use]
    pub fn paced(self, pace: Duration) -> Self {
        Self { pace, ..self }
    }

    fn position(&self) -> (usize, Timestamp) {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is seen at this place; nothing where the cluster has not answered yet.
    fn seen(&self) -> Snapshot {
        let (index, _) = self.position();
        self.versions.get(index).map(|(.., seen)| seen.clone()).unwrap_or_default()
    }

    fn go_to(&self, place: (usize, Timestamp)) {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    fn played(&self) -> Option<MutexGuard<'_, Played>> {
        Some(self.journal.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns whether looks are still to come.
    fn has_looks(&self) -> bool {
        self.played().is_some_and(|played| !played.looks.is_empty())
    }

    /// Goes to the next look of the journal; returns what it failed with, or `None` if there is none.
    fn next_look(&self, confirms: bool) -> Option<Result<(), ClusterError>> {
        let (index, now) = self.position();
        let (time, look) = {
            let mut played = self.played()?;
            // Another version of deployctl may confirm where the one that recorded did not; but where
            // the recording ends nothing is confirmed.
            let is_other = |look: &Look| !look.confirms && look.seen.is_ok();
            if confirms && played.looks.front().is_some_and(|(_, look)| is_other(look)) {
                return None;
            }
            played.looks.pop_front()?
        };
        let time = time.max(now);
        let seen = look.seen.map(|index| self.go_to((index, time)));
        if seen.is_err() {
            self.go_to((index, time));
        }
        Some(seen)
    }

    /// Lets a person see what there is before the next step, which took until now.
    async fn keep_pace(&self, before: Timestamp) {
        let took = self.now().duration_since(before);
        let took = Duration::try_from(took).unwrap_or_default();
        tokio::time::sleep(took.min(self.pace)).await;
    }
}

impl Played {
    fn add(&mut self, at: Timestamp, what: What, path: &Utf8Path) {
        match what {
            What::Look { version, confirms } => {
                let seen = Ok(version.saturating_sub(1));
                self.looks.push_back((at, Look { seen, confirms }));
            }
            What::Failed { error, confirms } => {
                let seen = Err(error.into_error(path));
                self.looks.push_back((at, Look { seen, confirms }));
            }
            What::Full => {
                self.is_closed = true;
                let seen = Err(failed(path, "it is full, and does not go to the end".to_owned()));
                self.looks.push_back((at, Look { seen, confirms: false }));
            }
            What::Ended => self.is_closed = true,
            What::Refreshed { error } => self.refreshes.push_back(error),
            What::Synced { error } => self.syncs.push_back(error),
            What::Answered { question, of, answer } => {
                self.answers.entry((question, of)).or_default().push_back(answer);
            }
        }
    }

    /// Returns whether it goes to where the verification ended: what was broken off must not come to a
    /// verdict, since later looks might have changed it. A failure that no look follows is an end, too.
    fn has_end(&self) -> bool {
        let last = self.looks.back().map(|(_, look)| &look.seen);
        let may_pass = |error: &ClusterError| {
            matches!(error, ClusterError::Unreachable { .. } | ClusterError::Answer(_))
        };
        self.is_closed || matches!(last, Some(Err(error)) if !may_pass(error))
    }
}

/// What to do where a journal does not say that it goes to the end.
const BROKEN_OFF: &str = "the recording ends before the verdict: that verification was broken off, or \
                          the file is cut off; copy all of its folder anew, or record again";

/// What to do where a file of a recording is not as it was written.
const INCOMPLETE: &str =
    "so the recording is not whole: copy all of its folder anew, or record again";

/// Returns the versions in the folder `dir`, by path.
fn files(dir: &Utf8Path) -> Result<Vec<(Utf8PathBuf, String)>, ClusterError> {
    let unreadable = |error: std::io::Error| failed(dir, error.to_string());
    let mut files = Vec::new();
    for entry in dir.read_dir_utf8().map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.into_path();
        if is_version(&path) {
            let text = read_file(&path)?;
            files.push((path, text));
        }
    }
    Ok(files)
}

fn read_versions<'a>(
    files: impl IntoIterator<Item = (&'a Utf8Path, &'a str)>,
    substitutions: &[Substitution<'_>],
) -> Result<Vec<(Timestamp, Occasion, Snapshot)>, ClusterError> {
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort();
    let read = |(path, text)| {
        version::read(&substitute(text, substitutions)).map_err(|reason| failed(path, reason))
    };
    files.into_iter().map(read).collect()
}

/// Returns whether the file's name is that of a version.
fn is_version(path: &Utf8Path) -> bool {
    let stem = path.file_stem().unwrap_or_default();
    path.extension() == Some("yaml") && stem.bytes().all(|b| b.is_ascii_digit())
}

fn read_file(path: &Utf8Path) -> Result<String, ClusterError> {
    let size = path.metadata().map_err(|error| failed(path, error.to_string()))?.len();
    if size > version::MOST_BYTES {
        return Err(failed(path, format!("is too large ({size} bytes)")));
    }
    std::fs::read_to_string(path).map_err(|error| failed(path, error.to_string()))
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
        let error = self.played().and_then(|mut played| played.refreshes.pop_front().flatten());
        error.map_or(Ok(()), |error| Err(error.into_error(&self.path)))
    }

    async fn sync(&self, _application: &Object, _operation: &Value) -> Result<(), ClusterError> {
        let error = self.played().and_then(|mut played| played.syncs.pop_front().flatten());
        error.map_or(Ok(()), |error| Err(error.into_error(&self.path)))
    }

    async fn argo_cd(&self, _namespace: Option<&str>) -> Result<Vec<Object>, ClusterError> {
        let (index, _) = self.position();
        let seen = self.versions.get(index).and_then(|(.., seen)| seen.application.clone());
        Ok(seen.into_iter().collect())
    }

    async fn makers(&self, name: &ApplicationName) -> Result<Vec<Object>, ClusterError> {
        let answer = self.answer(MAKERS, &name.to_string());
        let makers = answer.as_ref().and_then(Value::as_array).into_iter().flatten();
        Ok(makers.cloned().filter_map(Object::new).collect())
    }

    async fn argocd_cm(&self, _name: &ApplicationName) -> Result<Option<Object>, ClusterError> {
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
        let before = self.0.now();
        if let Some(look) = self.0.next_look(false) {
            self.0.keep_pace(before).await;
            look?;
        }
        Ok(self.0.seen())
    }

    async fn confirm(&mut self) -> Result<Snapshot, ClusterError> {
        if let Some(look) = self.0.next_look(true) {
            look?;
        }
        let (index, now) = self.0.position();
        let next = self.0.versions.get(index + 1).filter(|_| self.0.journal.is_none());
        if let Some((time, Occasion::Confirmed, _)) = next {
            self.0.go_to((index + 1, now.max(*time)));
        }
        Ok(self.0.seen())
    }

    async fn pause(&mut self, interval: Duration) {
        // The next look has its own time.
        if self.0.has_looks() {
            return;
        }
        let (index, now) = self.0.position();
        let interval = jiff::SignedDuration::try_from(interval).unwrap_or_default();
        let later = now.saturating_add(interval).unwrap_or(now);
        let next = self.0.versions.get(index + 1).filter(|_| self.0.journal.is_none());
        self.0.go_to(match next {
            // It was found when somebody asked, so that it waits for that a while.
            Some((time, Occasion::Confirmed, _)) if later < *time => (index, later),
            Some((time, ..)) => (index + 1, (*time).max(now)),
            None => (index, later),
        });
        self.0.keep_pace(now).await;
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
        let files = dir.read_dir_utf8().unwrap().map(|file| file.unwrap().file_name().to_owned());
        let files: std::collections::BTreeSet<String> = files.collect();
        assert_eq!(files, ["0001.yaml", "0002.yaml", "journal.jsonl"].map(str::to_owned).into());
        let again = Recording::open(&dir, &[]).unwrap();
        assert_eq!(again.follow(&scope).observe().await.unwrap(), first);
        assert!(Recorder::new(&played, &dir).is_err());
    }

    #[tokio::test]
    async fn looks_are_played_at_their_times_with_what_failed_and_what_else_was_answered() {
        let (played, scope) = (recording(), Scope::default());
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let recorder = Recorder::new(&played, dir).unwrap();
        let start = recorder.now();
        let mut view = recorder.follow(&scope);
        view.observe().await.unwrap();
        recorder.answered("relation", "a", "older".into()).unwrap();
        recorder.answered("relation", "a", "same".into()).unwrap();
        view.pause(Duration::ZERO).await;
        view.observe().await.unwrap();
        view.pause(Duration::from_secs(3)).await;
        view.observe().await.unwrap();
        view.confirm().await.unwrap();
        let broken_off = Recording::replay(dir, start).err().unwrap().to_string();
        assert!(broken_off.contains("the recording ends before the verdict: "), "{broken_off}");
        recorder.ended().unwrap();
        let again = Recording::replay(dir, start).unwrap();
        let mut view = again.follow(&scope);
        assert_eq!(view.observe().await.unwrap().objects.len(), 1);
        let answers = [(); 3].map(|()| again.answer("relation", "a").unwrap());
        assert_eq!(answers, ["older", "same", "same"]);
        for second in ["07", "10"] {
            view.pause(Duration::from_secs(60)).await;
            assert_eq!(view.observe().await.unwrap().objects.len(), 0);
            assert_eq!(again.now().to_string(), format!("2026-01-01T00:00:{second}Z"));
        }
        view.confirm().await.unwrap();
        view.pause(Duration::from_secs(60)).await;
        view.observe().await.unwrap();
        assert_eq!(again.now().to_string(), "2026-01-01T00:01:10Z");
    }

    #[test]
    fn a_file_that_is_no_version_is_named() {
        let read = |text| Recording::read([(Utf8Path::new("0001.yaml"), text)], &[]).err().unwrap();
        assert!(read("a: 1").to_string().starts_with("recording `0001.yaml`: "));
    }
}
