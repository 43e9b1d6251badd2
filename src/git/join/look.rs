//! A look at the remote that serves several: who asks for a branch's tip while another process
//! fetches it waits for the next fetch to begin, and takes what that one found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::GLANCE;
use super::queue::{Queue, short};
use crate::git::{CommitId, Fetched, GitError, Repository};
use crate::promotion::ledger::ALL_HOLDS;

/// What the looks at one branch have come to.
#[derive(Default, Serialize, Deserialize)]
struct Looks {
    /// How many have begun.
    begun: u64,
    /// The last one that has ended well.
    done: u64,
    /// What that one saw.
    seen: Option<Seen>,
}

/// What was fetched, as text.
#[derive(Serialize, Deserialize)]
struct Seen {
    branch: String,
    tip: String,
    holds: Option<BTreeMap<String, String>>,
}

/// The tip of a branch, and the holds that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The branch.
    pub branch: String,
    /// Its tip, which is fetched.
    pub tip: CommitId,
    /// The newest entries of all ledgers of holds, by their references' names, as they were when the
    /// tip was fetched; `None` where they would have cost a round trip of their own.
    pub holds: Option<BTreeMap<String, CommitId>>,
}

impl Repository {
    /// Returns the tip of `branch` (the remote's default branch if `None`) and the holds, fetched
    /// together by this process or by another one since the call began.
    ///
    /// # Errors
    ///
    /// As [`Repository::fetch`].
    pub async fn fetch_together(&self, branch: Option<&str>) -> Result<Look, GitError> {
        match Queue::open(&self.queue_dir()) {
            Some(queue) => self.look(&queue, branch).await,
            None => self.look_alone(branch).await,
        }
    }

    /// As [`Repository::fetch_together`].
    pub(super) async fn look(&self, queue: &Queue, branch: Option<&str>) -> Result<Look, GitError> {
        // No branch has the empty name.
        let name = |end| format!("{}.{end}", short(branch.unwrap_or_default()));
        let (file, lock) = (name("looks"), name("look"));
        let read = || -> Looks {
            let bytes = queue.read(&file).unwrap_or_default();
            serde_json::from_slice(&bytes).unwrap_or_default()
        };
        let before = read().begun;
        loop {
            let held = queue.lock(&lock)?;
            let mut looks = read();
            let named = looks.seen.as_ref().map(|seen| seen.branch.clone());
            if looks.done > before
                && let Some(look) = looks.seen.take().and_then(Seen::into_look)
                && self.has_now(&look.tip)?
            {
                self.note_default(branch, &look);
                return Ok(look);
            }
            if held.is_some() {
                // A number lower than before: somebody has removed the file.
                looks.begun = looks.begun.max(before) + 1;
                let write = |looks: &Looks| {
                    let bytes = serde_json::to_vec(looks).expect("its keys are texts");
                    queue.write(&file, &bytes)
                };
                let noted = write(&looks);
                let named = branch.map(ToOwned::to_owned).or(named).unwrap_or_default();
                let last = queue.last_tip(&named);
                let look = self.look_alone(branch).await?;
                // Somebody may have taken the branch back to where it was before the last push.
                // What has been pushed meanwhile is newer than what was seen.
                if queue.last_tip(&look.branch) == last {
                    queue.set_last_tip(&look.branch, &look.tip);
                }
                if noted.is_ok() {
                    let done = looks.begun;
                    // Without it the others look for themselves.
                    let _ = write(&Looks { begun: done, done, seen: Some(Seen::of(&look)) });
                }
                return Ok(look);
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    async fn look_alone(&self, branch: Option<&str>) -> Result<Look, GitError> {
        let holds = format!("refs/deployctl/{ALL_HOLDS}*");
        let patterns = [holds.as_str()];
        let patterns = if self.brings_along() { &patterns[..] } else { &[] };
        let Fetched { branch, tip, references } = self.fetch_with(branch, patterns).await?;
        let holds = self.brings_along().then_some(references);
        Ok(Look { branch, tip, holds })
    }

    fn note_default(&self, asked: Option<&str>, look: &Look) {
        if asked.is_none() {
            self.know_default_branch(&look.branch);
        }
    }
}

impl Seen {
    fn of(look: &Look) -> Self {
        let text = |(name, id): (&String, &CommitId)| (name.clone(), id.to_string());
        let holds = look.holds.as_ref().map(|holds| holds.iter().map(text).collect());
        Self { branch: look.branch.clone(), tip: look.tip.to_string(), holds }
    }

    /// Returns what it says, or `None` if that can't be.
    fn into_look(self) -> Option<Look> {
        let holds = match self.holds {
            None => None,
            Some(holds) => {
                let parsed = |(name, id): (String, String)| Some((name, id.parse().ok()?));
                Some(holds.into_iter().map(parsed).collect::<Option<_>>()?)
            }
        };
        Some(Look { branch: self.branch, tip: self.tip.parse().ok()?, holds })
    }
}
