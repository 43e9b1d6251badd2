//! A scope as somebody follows it: what is there now, and when there is something new.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::Live;
use super::look::{Look, Source};
use crate::cluster::{ClusterError, Scope, View};
use crate::rollout::Snapshot;

/// Changes come in bursts, which are looked at as one.
const BURST: Duration = Duration::from_millis(10);

/// Two looks are at least so far apart: what is asked about each of them, for example how commits
/// relate, costs something too.
const APART: Duration = Duration::from_millis(100);

/// A scope of a live cluster.
pub(super) struct LiveView<'a> {
    live: &'a Live,
    scope: &'a Scope,
    /// Has a permit when something is different.
    news: Arc<Notify>,
    /// What the last look showed; `None` if it failed, or before the first.
    last: Option<Snapshot>,
    /// What a look has shown that nobody has seen yet.
    next: Option<Result<Snapshot, ClusterError>>,
    looked_at: Instant,
}

impl<'a> LiveView<'a> {
    pub(super) fn new(live: &'a Live, scope: &'a Scope) -> Self {
        let (news, looked_at) = (Arc::default(), Instant::now());
        Self { live, scope, news, last: None, next: None, looked_at }
    }

    async fn look(&mut self, source: Source) -> Result<Snapshot, ClusterError> {
        let look = Look { live: self.live, source, news: &self.news };
        let found = look.snapshot(self.scope).await;
        self.looked_at = Instant::now();
        found
    }

    /// Looks once more, and keeps what it shows if it is something new.
    async fn is_news(&mut self) -> bool {
        let found = self.look(Source::Held).await;
        let is_news = found.as_ref().ok() != self.last.as_ref();
        if is_news {
            self.next = Some(found);
        }
        is_news
    }
}

#[async_trait]
impl View for LiveView<'_> {
    async fn observe(&mut self) -> Result<Snapshot, ClusterError> {
        let found = match self.next.take() {
            Some(next) => next,
            None => self.look(Source::Held).await,
        };
        self.last = found.as_ref().ok().cloned();
        found
    }

    async fn confirm(&mut self) -> Result<Snapshot, ClusterError> {
        self.look(Source::Direct).await
    }

    async fn pause(&mut self, interval: Duration) {
        let end = Instant::now() + interval;
        loop {
            if timeout_at(end, self.news.notified()).await.is_err() {
                return;
            }
            sleep(BURST).await;
            sleep_until(end.min(self.looked_at + APART)).await;
            if timeout_at(end + APART, self.is_news()).await.unwrap_or(true) {
                return;
            }
        }
    }
}
