//! A look at the remote that serves several: who asks for a branch's tip while another process
//! fetches it waits for the next fetch to begin, and takes what that one found.

use serde::{Deserialize, Serialize};

use super::GLANCE;
use super::queue::{Queue, short};
use crate::git::{CommitId, GitError, Repository};

/// What the looks at one branch have come to.
#[derive(Default, Serialize, Deserialize)]
struct Looks {
    /// How many have begun.
    begun: u64,
    /// The last one that has ended well.
    done: u64,
    /// What that one saw.
    tip: String,
}

impl Repository {
    /// Returns the tip of `branch`, fetched by this process or by another one since the call began.
    ///
    /// # Errors
    ///
    /// As [`Repository::fetch`].
    pub async fn fetch_together(&self, branch: &str) -> Result<CommitId, GitError> {
        match Queue::open(&self.queue_dir()) {
            Some(queue) => self.look(&queue, branch).await,
            None => self.fetch(Some(branch)).await,
        }
    }

    /// As [`Repository::fetch_together`].
    pub(super) async fn look(&self, queue: &Queue, branch: &str) -> Result<CommitId, GitError> {
        let name = |end| format!("{}.{end}", short(branch));
        let (file, lock) = (name("looks"), name("look"));
        let read = || -> Looks {
            let bytes = queue.read(&file).unwrap_or_default();
            serde_json::from_slice(&bytes).unwrap_or_default()
        };
        let before = read().begun;
        loop {
            let held = queue.lock(&lock)?;
            let mut looks = read();
            if looks.done > before
                && let Ok(tip) = looks.tip.parse()
                && self.has_now(&tip)?
            {
                return Ok(tip);
            }
            if held.is_some() {
                // A number lower than before: somebody has removed the file.
                looks.begun = looks.begun.max(before) + 1;
                let write = |looks: &Looks| {
                    let bytes = serde_json::to_vec(looks).expect("its keys are texts");
                    queue.write(&file, &bytes)
                };
                let noted = write(&looks);
                let tip = self.fetch(Some(branch)).await?;
                if noted.is_ok() {
                    let done = looks.begun;
                    // Without it the others look for themselves.
                    let _ = write(&Looks { begun: done, done, tip: tip.to_string() });
                }
                return Ok(tip);
            }
            tokio::time::sleep(GLANCE).await;
        }
    }
}
