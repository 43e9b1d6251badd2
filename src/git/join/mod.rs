//! Changes of several processes, joined: those that share a cache put their changes into a queue
//! beside it, and one of them, the leader, brings all that fit into one commit and one push.
//!
//! A change is joined at the level of files: whole new files, for as long as those at the tip are
//! what they were where the change was made. One whose files moved goes back to its process, which
//! makes it anew on the new tip. What the change is about is the caller's business.
//!
//! History holds each change at most once. A commit is only pushed onto a tip whose history is known
//! to be without the changes in it: a change has a random id in the commit's trailers, is marked
//! before it is pushed, and one that is marked and has no answer, as the leader died, is looked up
//! by its id before anybody pushes it again. The remote's compare and swap does the rest.

mod answer;
mod fit;
mod leader;
mod look;
mod pace;
mod queue;
mod staged;
mod words;

use std::collections::BTreeSet;
use std::time::Duration;

use camino::Utf8PathBuf;
use jiff::Timestamp;

use super::{Authorship, CommitId, Repository};
use crate::kustomize::MemoryTree;
use crate::system;
pub use look::Look;
pub use pace::{LandError, Pace};
use queue::{Queue, Ticket};
use staged::Staged;

/// A change that is to get into a branch.
#[derive(Debug, Clone)]
pub struct PendingChange {
    /// The commit that it was made on.
    pub base: CommitId,
    /// The files that it replaces, whole.
    pub files: MemoryTree,
    /// The files and folders that it was made from: where one of them has moved, it is made anew.
    pub reads: BTreeSet<Utf8PathBuf>,
    /// What the commit says of it, if it is alone in there.
    pub subject: String,
    /// The paragraphs that follow.
    pub body: String,
    /// The trailers, in order.
    pub trailers: Vec<(String, String)>,
    /// The environments that it changes, for the subject of a commit of several changes.
    pub environments: Vec<String>,
    /// Who makes it. Who leads commits and signs for all.
    pub authorship: Authorship,
    /// When it was made.
    pub time: Timestamp,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landing {
    /// It is in the branch.
    Landed {
        /// The commit that it is in.
        commit: CommitId,
    },
    /// One of its files is not what it was: make it anew on `tip`, which is fetched already.
    Moved {
        /// The branch's tip.
        tip: CommitId,
    },
    /// It changes nothing.
    Unchanged {
        /// The branch's tip.
        tip: CommitId,
    },
}

/// How often one who waits looks whether it is done.
const GLANCE: Duration = Duration::from_millis(5);

impl Repository {
    /// Gets `change` into `branch`, joined with what other processes have at the same time, and
    /// returns what came of it. Pushes that lose a race are made anew until `pace` says that time
    /// is up; `tell` hears of each.
    ///
    /// # Errors
    ///
    /// Fails if the remote is out of reach or refuses, or if time is up; then the branch is without
    /// the change, unless the error says that this is not known.
    pub async fn land(
        &self,
        change: &PendingChange,
        branch: &str,
        pace: &mut Pace,
        tell: &(dyn Fn(u32) + Send + Sync),
    ) -> Result<Landing, LandError> {
        let id = system::random_id();
        let cache = self.objects()?;
        let own = Staged::new(&cache, id, branch, change)?;
        let queue = Queue::open(&self.queue_dir());
        let ticket = queue.as_ref().and_then(|queue| queue.stage(&own));
        let (Some(queue), Some(ticket)) = (queue, ticket) else {
            tracing::debug!("no queue beside the cache; the change goes alone");
            return leader::Round::alone(self, own, &change.authorship).run(pace, tell).await;
        };
        self.take_part(&queue, ticket, own, &change.authorship, pace, tell).await
    }

    /// Waits until another process has landed the change, or leads.
    async fn take_part(
        &self,
        queue: &Queue,
        ticket: Ticket,
        own: Staged,
        authorship: &Authorship,
        pace: &mut Pace,
        tell: &(dyn Fn(u32) + Send + Sync),
    ) -> Result<Landing, LandError> {
        let mut ticket = Some(ticket);
        loop {
            // The right to lead comes first: a leader writes its answers before it gives it up.
            let lead = queue.lead(&own.branch)?;
            let answer = ticket.as_ref().and_then(Ticket::answer);
            match (answer, lead) {
                (Some(answer), _) => match answer.landing(self.remote()) {
                    Some(result) => return result,
                    // The push of all was refused, perhaps because of another's change.
                    None => ticket = None,
                },
                (None, Some(lead)) => {
                    let round = leader::Round::alone(self, own, authorship);
                    return match &ticket {
                        Some(ticket) => round.joined(queue, &lead, ticket).run(pace, tell).await,
                        None => round.run(pace, tell).await,
                    };
                }
                (None, None) => {}
            }
            if pace.is_over() && ticket.as_ref().is_none_or(Ticket::withdraw) {
                return Err(pace.raced());
            }
            tokio::time::sleep(GLANCE).await;
        }
    }
}
