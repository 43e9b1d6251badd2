//! Every feed of a cluster, begun when somebody first asks for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::api::{Api, Kind};
use super::feed::{Feed, Topic};
use super::selector::Want;
use crate::cluster::ClusterError;
use crate::k8s::Object;

/// What is followed of a cluster, for all who follow something of it.
pub(super) struct Feeds {
    api: Arc<Api>,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    feeds: BTreeMap<Topic, Arc<Feed>>,
    tasks: JoinSet<()>,
}

/// What a feed answered.
pub(super) struct Answer {
    pub(super) objects: Vec<Object>,
    /// What else there is to say, in a sentence.
    pub(super) note: Option<String>,
}

impl Feeds {
    pub(super) fn new(api: Arc<Api>) -> Self {
        Self { api, running: Mutex::default() }
    }

    /// Returns what `want` is about of a kind; of Events, and whatever else is plenty, only those with
    /// `fields`. Whenever that changes, `news` is notified.
    ///
    /// # Errors
    ///
    /// Fails if it is not known, or only as it was some time ago.
    pub(super) async fn ask(
        &self,
        kind: Kind<'_>,
        fields: Option<&'static str>,
        want: Want,
        news: &Arc<Notify>,
    ) -> Result<Answer, ClusterError> {
        let feed = self.feed(self.topic(kind, fields, &want).await?);
        let objects = feed.ask(&want, news).await?;
        let note = feed.is_polled().map(|why| {
            format!("{} is asked for every second, as it can't be watched: {why}", kind.kind)
        });
        Ok(Answer { objects, note })
    }

    /// Takes note of a version of an object that the API server answered to a request.
    pub(super) async fn put(&self, kind: Kind<'_>, object: Object) {
        let want = Want::Named(object.name().to_owned());
        if let Ok(topic) = self.topic(kind, None, &want).await {
            self.feed(topic).put(object);
        }
    }

    // Of the kinds that belong to the whole cluster there may be very many very large ones (CRDs), so
    // that each object is followed by itself.
    async fn topic(
        &self,
        kind: Kind<'_>,
        fields: Option<&'static str>,
        want: &Want,
    ) -> Result<Topic, ClusterError> {
        let (api_version, name) = (kind.api_version.to_owned(), kind.kind.to_owned());
        let (namespace, alone) = match (self.api.is_namespaced(kind).await?, want) {
            (true, _) => (kind.namespace.to_owned(), None),
            (false, Want::Named(name)) => (String::new(), Some(name.clone())),
            (false, _) => (String::new(), None),
        };
        Ok(Topic { api_version, kind: name, namespace, alone, fields })
    }

    fn feed(&self, topic: Topic) -> Arc<Feed> {
        let mut running = self.running.lock().expect("no thread panics with the lock");
        let Running { feeds, tasks } = &mut *running;
        let key = topic.clone();
        let begin = || {
            let feed = Feed::new(topic, Arc::clone(&self.api));
            let feed = Arc::new(feed);
            let followed = Arc::clone(&feed);
            tasks.spawn(async move { followed.run().await });
            feed
        };
        Arc::clone(feeds.entry(key).or_insert_with(begin))
    }
}
