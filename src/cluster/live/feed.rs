//! One kind in one namespace, held as a watch tells it.
//!
//! Whoever wants something of it asks [`Feed::ask`]; the feed lists what is wanted by anybody, keeps
//! that, and follows it from there. While it can't, it is in trouble, and says so instead of answering
//! with what it had: what is held may be old then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::api::{Api, Change, Kind, Selector};
use super::selector::Want;
use crate::cluster::ClusterError;
use crate::k8s::Object;

/// Those who begin at the same time are listed for at once.
const GATHER: Duration = Duration::from_millis(4);

/// How often a kind is asked for that may be read and not watched.
const POLL: Duration = Duration::from_secs(1);

/// A watch ends by itself sooner than that; one that is silent for longer has nobody at its other end.
const SILENCE: Duration = Duration::from_secs(29);

/// A watch that lasted as long was a good one, so that its successor may follow at once.
const LASTS: Duration = Duration::from_secs(5);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What a feed is about. Events, of which there are many, are narrowed down further by their fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Topic {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    /// The one object that it is about.
    pub(super) alone: Option<String>,
    pub(super) fields: Option<&'static str>,
}

/// A kind in a namespace, as far as anybody wants it.
pub(super) struct Feed {
    topic: Topic,
    api: Arc<Api>,
    state: Mutex<State>,
    /// Tells the feed that more is wanted.
    more: Notify,
    /// Tells those who wait for an answer that there may be one.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    wanted: BTreeSet<Want>,
    /// Who is to hear of changes.
    followers: BTreeMap<Want, Vec<Weak<Notify>>>,
    /// What `held` answers.
    covered: BTreeSet<Want>,
    held: BTreeMap<String, Object>,
    trouble: Option<ClusterError>,
    /// Why nothing is heard of by itself.
    is_polled: Option<ClusterError>,
}

/// Why following came to its end.
enum End {
    /// All must be listed anew.
    Relist,
    /// The role may not watch.
    Denied(ClusterError),
}

impl Topic {
    fn kind(&self) -> Kind<'_> {
        let Self { api_version, kind, namespace, .. } = self;
        Kind { api_version, kind, namespace }
    }
}

impl Feed {
    pub(super) fn new(topic: Topic, api: Arc<Api>) -> Self {
        let changes = watch::Sender::new(0);
        Self { topic, api, state: Mutex::default(), more: Notify::new(), changes }
    }

    /// Returns the objects that `want` is about, once they are known; whenever they change from then on,
    /// `news` is notified.
    ///
    /// # Errors
    ///
    /// Fails if they can't be known, or only as they were some time ago.
    pub(super) async fn ask(
        &self,
        want: &Want,
        news: &Arc<Notify>,
    ) -> Result<Vec<Object>, ClusterError> {
        let mut changes = self.changes.subscribe();
        if self.state().follow(want, news) {
            self.more.notify_one();
        }
        loop {
            changes.borrow_and_update();
            if let Some(answer) = self.state().answer(want) {
                return answer;
            }
            // The sender is this feed's own, so that there is no end of it.
            let _ = changes.changed().await;
        }
    }

    /// Returns why the objects are asked for again and again, if nothing is heard of them otherwise.
    pub(super) fn is_polled(&self) -> Option<ClusterError> {
        self.state().is_polled.clone()
    }

    /// Takes note of a version that the API server answered elsewhere.
    pub(super) fn put(&self, object: Object) {
        self.state().put(object);
    }

    /// Follows the objects for ever.
    pub(super) async fn run(&self) {
        let mut pause = Pause::default();
        loop {
            sleep(GATHER).await;
            let (wanted, since) = (self.state().wanted.clone(), Instant::now());
            match self.read(&wanted).await {
                Ok(Some(version)) => {
                    if let End::Denied(error) = self.follow(&wanted, version, &mut pause).await {
                        self.state().is_polled = Some(error);
                    }
                    if self.state().wanted != wanted {
                        continue;
                    }
                }
                Ok(None) => {}
                Err(error) => self.fail(error),
            }
            if self.state().is_polled.is_some() && self.state().trouble.is_none() {
                let _ = timeout(POLL, self.more.notified()).await;
            } else {
                pause.take(since).await;
            }
        }
    }

    /// Reads everything that is wanted, and returns the version to go on from, or `None` if it can't
    /// be listed, only asked for one by one.
    async fn read(&self, wanted: &BTreeSet<Want>) -> Result<Option<String>, ClusterError> {
        let is_wanted = |object: &Object| takers(wanted, object).next().is_some();
        let may_list = self.state().is_polled.is_none() || names(wanted).is_none();
        let (objects, version) = match may_list {
            false => (self.read_each(wanted).await?, None),
            true => {
                match self.api.list(self.topic.kind(), &self.selector(wanted), is_wanted).await {
                    Ok(listed) => (listed.objects, Some(listed.version)),
                    Err(denied @ ClusterError::Denied { .. }) if names(wanted).is_some() => {
                        let objects = self.read_each(wanted).await?;
                        self.state().is_polled = Some(denied);
                        (objects, None)
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        self.change(|state| state.replace(objects, wanted));
        Ok(version.filter(|_| self.state().is_polled.is_none()))
    }

    async fn read_each(&self, wanted: &BTreeSet<Want>) -> Result<Vec<Object>, ClusterError> {
        let names = names(wanted).unwrap_or_default();
        let found = names.into_iter().map(|name| self.api.get(self.topic.kind(), name));
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn follow(&self, wanted: &BTreeSet<Want>, mut version: String, pause: &mut Pause) -> End {
        loop {
            let since = Instant::now();
            match self.listen(wanted, &mut version).await {
                Ok(true) => {}
                Ok(false) => return End::Relist,
                Err(error @ ClusterError::Denied { .. }) => return End::Denied(error),
                Err(error) => self.fail(error),
            }
            pause.take(since).await;
        }
    }

    /// Follows one watch from `version` on until it ends, and returns whether the next one can go on
    /// from there.
    async fn listen(
        &self,
        wanted: &BTreeSet<Want>,
        version: &mut String,
    ) -> Result<bool, ClusterError> {
        let selector = self.selector(wanted);
        let mut changes = self.api.watch(self.topic.kind(), &selector, version).await?;
        if self.state().trouble.is_some() {
            self.change(|state| state.trouble = None);
        }
        loop {
            let next = tokio::select! {
                () = self.more.notified(), if self.state().wanted == *wanted => continue,
                () = std::future::ready(()), if self.state().wanted != *wanted => return Ok(false),
                next = timeout(SILENCE, changes.next()) => next,
            };
            let change = match next {
                Ok(Some(change)) => change?,
                Ok(None) => return Ok(true),
                Err(_) => return Err(self.silent()),
            };
            let newest = match &change {
                Change::Is(object) | Change::Gone(object) => {
                    object.text("/metadata/resourceVersion").unwrap_or_default()
                }
                Change::UpTo(version) => version,
                Change::TooOld => return Ok(false),
            };
            newest.clone_into(version);
            match change {
                Change::Is(object) if takers(wanted, &object).next().is_some() => {
                    self.state().put(object);
                }
                Change::Is(object) | Change::Gone(object) => {
                    self.state().remove(&object);
                }
                _ => {}
            }
        }
    }

    // One name, or one selector, is left to the API server to look for; of more it sends all, and what
    // nobody wants is dropped here.
    fn selector(&self, wanted: &BTreeSet<Want>) -> Selector {
        let fields = self.topic.fields.map(str::to_owned);
        let mut wants = wanted.iter();
        match (wants.next(), wants.next()) {
            (Some(Want::Named(name)), None) => {
                Selector { labels: None, fields: Some(format!("metadata.name={name}")) }
            }
            (Some(Want::Labelled(labels)), None) => {
                Selector { labels: Some(labels.to_string()), fields }
            }
            _ => Selector { labels: None, fields },
        }
    }

    fn silent(&self) -> ClusterError {
        let reason = format!("a watch was silent for {} s", SILENCE.as_secs());
        ClusterError::Unreachable { server: self.api.connection().server().to_owned(), reason }
    }

    fn fail(&self, error: ClusterError) {
        self.change(|state| state.trouble = Some(error));
    }

    /// Changes what concerns everybody.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        state.followers.values().for_each(|followers| notify(followers));
        drop(state);
        self.changes.send_modify(|count| *count += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with the lock")
    }
}

impl State {
    /// Returns whether nobody wanted that before.
    fn follow(&mut self, want: &Want, news: &Arc<Notify>) -> bool {
        let followers = self.followers.entry(want.clone()).or_default();
        let (known, new) = (Arc::downgrade(news), !self.wanted.contains(want));
        if !followers.iter().any(|follower| follower.ptr_eq(&known)) {
            followers.retain(|follower| follower.strong_count() > 0);
            followers.push(known);
        }
        if new {
            self.wanted.insert(want.clone());
        }
        new
    }

    fn tell(&self, object: &Object) {
        for want in takers(&self.wanted, object) {
            self.followers.get(want).into_iter().for_each(|followers| notify(followers));
        }
    }

    fn answer(&self, want: &Want) -> Option<Result<Vec<Object>, ClusterError>> {
        if let Some(trouble) = &self.trouble {
            return Some(Err(trouble.clone()));
        }
        if !self.covered.contains(want) {
            return None;
        }
        Some(Ok(match want {
            Want::Named(name) => self.held.get(name).cloned().into_iter().collect(),
            _ => self.held.values().filter(|object| want.takes(object)).cloned().collect(),
        }))
    }

    fn replace(&mut self, objects: Vec<Object>, covered: &BTreeSet<Want>) {
        self.held = objects.into_iter().map(|object| (object.name().to_owned(), object)).collect();
        self.covered.clone_from(covered);
        self.trouble = None;
    }

    // What was answered to a request may be newer than what the watch tells next.
    fn put(&mut self, object: Object) {
        let held = self.held.get(object.name());
        let is_same = |held: &&Object| held.uid() == object.uid();
        if held.filter(is_same).is_some_and(|held| version(held) > version(&object)) {
            return;
        }
        // Its labels may be others by now.
        held.into_iter().for_each(|held| self.tell(held));
        self.tell(&object);
        self.held.insert(object.name().to_owned(), object);
    }

    fn remove(&mut self, object: &Object) {
        if self.held.get(object.name()).is_some_and(|held| held.uid() == object.uid()) {
            let held = self.held.remove(object.name());
            held.iter().for_each(|held| self.tell(held));
        }
    }
}

/// Returns what of `wanted` an object is part of. Of the many that name one, that is looked up.
fn takers<'a>(wanted: &'a BTreeSet<Want>, object: &'a Object) -> impl Iterator<Item = &'a Want> {
    let named = wanted.get(&Want::Named(object.name().to_owned()));
    let others = wanted.iter().rev().take_while(|want| !matches!(want, Want::Named(_)));
    named.into_iter().chain(others.filter(|want| want.takes(object)))
}

fn notify(followers: &[Weak<Notify>]) {
    followers.iter().filter_map(Weak::upgrade).for_each(|follower| follower.notify_one());
}

fn version(object: &Object) -> Option<u64> {
    object.text("/metadata/resourceVersion")?.parse().ok()
}

/// Returns the names that are wanted, or `None` if something else is wanted too.
fn names(wanted: &BTreeSet<Want>) -> Option<Vec<&str>> {
    let names = wanted.iter().map(|want| match want {
        Want::Named(name) => Some(name.as_str()),
        Want::Labelled(_) | Want::All => None,
    });
    names.collect()
}

/// Longer and longer from failure to failure.
#[derive(Default)]
struct Pause(Option<Duration>);

impl Pause {
    async fn take(&mut self, since: Instant) {
        if since.elapsed() >= LASTS {
            self.0 = None;
            return;
        }
        let next = self.0.map_or(SHORTEST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE));
        self.0 = Some(next);
        sleep(next).await;
    }
}
