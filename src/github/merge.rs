//! Merging: at once where a pull request is ready, else by GitHub's own auto-merge or merge queue.

use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::GithubError;
use super::client::{Call, Client};
use super::slug::Slug;

/// What came of the wish to merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merging {
    /// It is merged: the commit on the base branch.
    Merged {
        /// The commit's id.
        commit: String,
    },
    /// It stands in the merge queue.
    Queued,
    /// GitHub merges it once its requirements are met.
    Enabled,
    /// Its head has changed meanwhile: somebody else takes care of it.
    Overtaken,
}

/// What GitHub says of a pull request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pull {
    id: String,
    state: String,
    is_draft: bool,
    merge_state_status: String,
    head_ref_oid: String,
    is_in_merge_queue: bool,
    auto_merge_request: Option<Value>,
    merge_commit: Option<MergeCommit>,
}

#[derive(Debug, Deserialize)]
struct MergeCommit {
    oid: String,
}

#[derive(Debug, Deserialize)]
struct Asked {
    repository: Repository,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    merge_commit_allowed: bool,
    squash_merge_allowed: bool,
    merge_queue: Option<Value>,
    pull_request: Pull,
}

impl Repository {
    /// Returns the way to merge that the repository allows; a merge commit keeps deployctl's commit
    /// and its trailers as they are.
    fn method(&self) -> &'static str {
        match (self.merge_commit_allowed, self.squash_merge_allowed) {
            (true, _) => "merge",
            (false, true) => "squash",
            (false, false) => "rebase",
        }
    }
}

const ASK: &str = "query ($owner: String!, $name: String!, $number: Int!, $base: String!) {
  repository(owner: $owner, name: $name) {
    mergeCommitAllowed
    squashMergeAllowed
    mergeQueue(branch: $base) { id }
    pullRequest(number: $number) {
      id state isDraft mergeStateStatus headRefOid isInMergeQueue
      autoMergeRequest { enabledAt }
      mergeCommit { oid }
    }
  }
}";

const ENABLE: &str = "mutation ($input: EnablePullRequestAutoMergeInput!) {
  enablePullRequestAutoMerge(input: $input) { clientMutationId }
}";

const ENQUEUE: &str = "mutation ($input: EnqueuePullRequestInput!) {
  enqueuePullRequest(input: $input) { mergeQueueEntry { id } }
}";

/// How often a merge is tried while GitHub makes up its mind or others merge before it.
const ATTEMPTS: u32 = 8;

impl Client {
    /// Has pull request `number` merged into `base` once it may be, if its head is still `head`, and returns what
    /// GitHub says of it then: a merge that was accepted is not taken for one that happened.
    ///
    /// # Errors
    ///
    /// Fails if it conflicts with `base`, if the repository does not allow auto-merge, or if GitHub is
    /// out of reach or refuses.
    pub async fn merge_when_ready(
        &self,
        (owner, repository): (&str, &str),
        number: u64,
        base: &str,
        head: &str,
    ) -> Result<Merging, GithubError> {
        let slug = Slug::new(owner, repository)?;
        let wish = Wish { client: self, slug, number, base, head };
        let mut attempt = 1;
        loop {
            let found = wish.ask().await?;
            match found.pull_request.standing(head) {
                Standing::Is(merging) => return Ok(merging),
                Standing::Refused(message) => return Err(wish.error(message)),
                Standing::Open => {}
            }
            if !wish.act(&found, attempt == ATTEMPTS).await? {
                return Ok(wish.ask().await?.pull_request.after());
            }
            self.wait("GitHub can't merge the pull request just now", pause(attempt)).await;
            attempt += 1;
        }
    }
}

fn pause(attempt: u32) -> Duration {
    Duration::from_millis(250) * 2_u32.pow(attempt.min(5)).min(16)
}

/// How a pull request stands to the wish to merge it.
enum Standing {
    /// There is nothing left to do.
    Is(Merging),
    /// It can't be merged.
    Refused(&'static str),
    /// Something is left to do.
    Open,
}

impl Pull {
    fn standing(&self, head: &str) -> Standing {
        match (&self.merge_commit, &*self.state) {
            (Some(commit), "MERGED") => {
                return Standing::Is(Merging::Merged { commit: commit.oid.clone() });
            }
            (_, "CLOSED") => return Standing::Refused("somebody has closed it"),
            _ => {}
        }
        if self.head_ref_oid != head {
            return Standing::Is(Merging::Overtaken);
        }
        match &*self.merge_state_status {
            _ if self.is_in_merge_queue => Standing::Is(Merging::Queued),
            "DIRTY" => {
                Standing::Refused("it conflicts with the branch that it is to be merged into")
            }
            _ if self.is_draft => Standing::Refused("it is a draft"),
            _ if self.auto_merge_request.is_some() => Standing::Is(Merging::Enabled),
            _ => Standing::Open,
        }
    }

    /// Returns what GitHub says after something was done that it accepted.
    fn after(&self) -> Merging {
        match &self.merge_commit {
            Some(commit) if self.state == "MERGED" => {
                Merging::Merged { commit: commit.oid.clone() }
            }
            _ if self.is_in_merge_queue => Merging::Queued,
            _ => Merging::Enabled,
        }
    }

    /// Returns whether nothing is in the way of a merge. What is unstable has failing checks that
    /// nobody requires.
    fn is_ready(&self) -> bool {
        matches!(&*self.merge_state_status, "CLEAN" | "HAS_HOOKS" | "UNSTABLE")
    }
}

/// The wish to merge a pull request at a head.
struct Wish<'a> {
    client: &'a Client,
    slug: Slug,
    number: u64,
    base: &'a str,
    head: &'a str,
}

impl Wish<'_> {
    fn action(&self) -> String {
        format!("merge pull request {} into `{}` of `{}`", self.number, self.base, self.slug)
    }

    fn error(&self, message: &str) -> GithubError {
        GithubError::Invalid { action: self.action(), message: message.to_owned() }
    }

    async fn ask(&self) -> Result<Repository, GithubError> {
        let variables = json!({
            "owner": self.slug.owner(), "name": self.slug.name(),
            "number": self.number, "base": self.base,
        });
        let asked: Asked = self.client.graphql(&self.slug, &self.action(), ASK, variables).await?;
        Ok(asked.repository)
    }

    /// Does the next thing, and returns whether to look and try again. `last`: there is no next time.
    async fn act(&self, found: &Repository, last: bool) -> Result<bool, GithubError> {
        let pull = &found.pull_request;
        let acted = match (pull.is_ready(), found.merge_queue.is_some()) {
            // GitHub is still computing; auto-merge is right whatever comes of it.
            _ if pull.merge_state_status == "UNKNOWN" && !last => return Ok(true),
            (true, true) => self.mutate(&pull.id, ENQUEUE, json!({})).await,
            (true, false) => self.merge(found.method()).await,
            (false, true) => self.mutate(&pull.id, ENABLE, json!({})).await,
            (false, false) => {
                let method = found.method().to_uppercase();
                self.mutate(&pull.id, ENABLE, json!({"mergeMethod": method})).await
            }
        };
        match acted {
            Ok(()) => Ok(false),
            Err(error) if !last && may_pass(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn mutate(&self, id: &str, document: &str, more: Value) -> Result<(), GithubError> {
        let mut input = json!({"pullRequestId": id, "expectedHeadOid": self.head});
        if let (Some(input), Some(more)) = (input.as_object_mut(), more.as_object()) {
            input.extend(more.clone());
        }
        let variables = json!({"input": input});
        let done = self.client.graphql(&self.slug, &self.action(), document, variables).await;
        done.map(|_: Value| ())
    }

    async fn merge(&self, method: &str) -> Result<(), GithubError> {
        let (action, path) =
            (self.action(), format!("/repos/{}/pulls/{}/merge", self.slug, self.number));
        let call = Call {
            body: Some(json!({"sha": self.head, "merge_method": method})),
            ..Call::new(Method::PUT, &action, &path)
        };
        self.client.send(&self.slug, call).await.map(|_| ())
    }
}

/// Returns whether the next look may find it otherwise: somebody else merged first, the state that
/// GitHub told is outdated, or nobody knows what came of it.
fn may_pass(error: &GithubError) -> bool {
    match error {
        // "Base branch was modified. Review and try the merge again."
        GithubError::Status { status: 405 | 409, .. } => true,
        GithubError::Invalid { message, .. } => {
            let message = message.to_ascii_lowercase();
            ["clean status", "was modified", "unstable status", "try again"]
                .iter()
                .any(|known| message.contains(known))
        }
        GithubError::Stale { .. } => true,
        error => error.is_unclear(),
    }
}
