//! Branches and commits of a repository, read and made through the API: GitHub signs what is made
//! with the token of an App or of Actions.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::GithubError;
use super::client::Client;
use super::slug::Slug;
use super::tree::Trees;
use crate::kustomize::MemoryTree;

/// One repository, through the API.
#[derive(Debug, Clone)]
pub struct Branches {
    pub(super) client: Arc<Client>,
    pub(super) slug: Slug,
    pub(super) trees: Arc<Trees>,
}

/// A commit as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiCommit {
    /// Its id.
    pub id: String,
    /// Name and mail address of who wrote it.
    pub author: (String, String),
    /// When it was committed.
    pub time: Timestamp,
    /// The whole message.
    pub message: String,
    /// Its parents.
    pub parents: Vec<String>,
}

/// What came of the wish to move a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// The branch is at this commit.
    To(String),
    /// The branch was not where it was expected.
    Raced,
}

#[derive(Deserialize)]
struct Reference {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    sha: String,
}

const COMMIT: &str = "mutation ($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid } }
}";

const UPDATE: &str = "mutation ($input: UpdateRefsInput!) {
  updateRefs(input: $input) { clientMutationId }
}";

const REPOSITORY: &str = "query ($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) { id }
}";

/// The id that stands for no commit.
const NONE: &str = "0000000000000000000000000000000000000000";

impl Client {
    /// Returns the repository's branches.
    ///
    /// # Errors
    ///
    /// Fails if that can't be the name of a repository.
    pub fn branches(self: Arc<Self>, owner: &str, name: &str) -> Result<Branches, GithubError> {
        Ok(Branches { client: self, slug: Slug::new(owner, name)?, trees: Arc::default() })
    }
}

impl Branches {
    /// Returns the repository that a git remote's address stands for, through the same API, or `None` if
    /// it is not on this GitHub.
    pub fn beside(&self, remote: &str) -> Option<Self> {
        let (owner, name) = self.client.repository_of(remote)?;
        let (client, slug) = (self.client.clone(), Slug::new(&owner, &name).ok()?);
        Some(Self { client, slug, trees: Arc::default() })
    }

    /// Returns the name of the default branch.
    ///
    /// # Errors
    ///
    /// Fails if there is no such repository, or GitHub is out of reach or refuses.
    pub async fn default_branch(&self) -> Result<String, GithubError> {
        #[derive(Deserialize)]
        struct Repository {
            default_branch: String,
        }
        let action = format!("read the repository `{}`", self.slug);
        let path = format!("/repos/{}", self.slug);
        let found: Repository = self.client.get(&self.slug, &action, &path, &[]).await?;
        Ok(found.default_branch)
    }

    /// Returns the commit that `branch` is at, or `None` if there is no such branch.
    ///
    /// # Errors
    ///
    /// Fails if GitHub is out of reach or refuses.
    pub async fn tip(&self, branch: &str) -> Result<Option<String>, GithubError> {
        let action = format!("read the branch `{branch}` of `{}`", self.slug);
        let path = format!("/repos/{}/git/ref/heads/{}", self.slug, escaped(branch));
        match self.client.get::<Reference>(&self.slug, &action, &path, &[]).await {
            Ok(found) => Ok(Some(found.object.sha)),
            Err(GithubError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a commit of `files` (whole, by path) on `branch`, which is at `expected`.
    ///
    /// # Errors
    ///
    /// Fails if GitHub is out of reach or refuses: no permission, a rule of the branch.
    pub async fn create_commit(
        &self,
        branch: &str,
        expected: &str,
        files: &MemoryTree,
        message: &str,
    ) -> Result<Moved, GithubError> {
        let action = format!("commit to `{branch}` of `{}`", self.slug);
        let additions: Vec<Value> = files
            .0
            .iter()
            .map(|(path, bytes)| json!({"path": path.as_str(), "contents": STANDARD.encode(bytes)}))
            .collect();
        let (headline, body) = message.split_once('\n').unwrap_or((message, ""));
        let input = json!({
            "branch": {"repositoryNameWithOwner": self.slug.to_string(), "branchName": branch},
            "expectedHeadOid": expected,
            "message": {"headline": headline, "body": body.trim_start_matches('\n')},
            "fileChanges": {"additions": additions},
        });
        let asked: Result<Value, GithubError> =
            self.client.graphql(&self.slug, &action, COMMIT, json!({"input": input})).await;
        match asked {
            Ok(data) => match data["createCommitOnBranch"]["commit"]["oid"].as_str() {
                Some(oid) => Ok(Moved::To(oid.to_owned())),
                None => Err(GithubError::unreachable(&action, "GitHub named no commit".to_owned())),
            },
            Err(GithubError::Stale { .. }) => Ok(Moved::Raced),
            Err(error @ GithubError::Invalid { .. }) => {
                self.raced(branch, Some(expected)).await?.ok_or(error)
            }
            Err(error) if error.is_unclear() => {
                self.found_out(branch, expected, message).await?.ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns whether the branch is elsewhere than it was expected: GitHub's refusals do not tell that
    /// apart from others everywhere.
    async fn raced(
        &self,
        branch: &str,
        expected: Option<&str>,
    ) -> Result<Option<Moved>, GithubError> {
        let tip = self.tip(branch).await?;
        Ok((tip.as_deref() != expected).then_some(Moved::Raced))
    }

    /// Returns what a commit came to whose answer was lost, or `None` if the branch has not moved.
    async fn found_out(
        &self,
        branch: &str,
        expected: &str,
        message: &str,
    ) -> Result<Option<Moved>, GithubError> {
        let tip = self.tip(branch).await?;
        let Some(tip) = tip.filter(|tip| tip != expected) else { return Ok(None) };
        let found = self.commit(&tip).await?;
        let ours = found.parents.first().is_some_and(|parent| parent == expected)
            && found.message.trim_end() == message.trim_end();
        // Somebody else's on top of ours, or instead of it: made anew, a change that is there
        // already changes nothing.
        Ok(Some(if ours { Moved::To(tip) } else { Moved::Raced }))
    }

    /// Puts `branch` from `expected` (`None`: it must be new) to a new commit of `files` on `base`. The
    /// commit is made on a branch of its own first, so that the branch is never without it: GitHub
    /// closes a pull request whose branch has no news.
    ///
    /// # Errors
    ///
    /// As [`Branches::create_commit`].
    pub async fn replace(
        &self,
        branch: &str,
        expected: Option<&str>,
        base: &str,
        files: &MemoryTree,
        message: &str,
    ) -> Result<Moved, GithubError> {
        let draft =
            format!("{branch}-draft-{}", &crate::system::random_fraction().to_string()[2..]);
        self.update(update(&draft, Some(NONE), base)).await?;
        let put = self.put(branch, expected, &draft, base, files, message).await;
        // The draft goes whatever came of it.
        if let Err(error) = self.update(update(&draft, None, NONE)).await {
            tracing::warn!(branch = %draft, %error, "a branch of deployctl's own is left over");
        }
        put
    }

    async fn put(
        &self,
        branch: &str,
        expected: Option<&str>,
        draft: &str,
        base: &str,
        files: &MemoryTree,
        message: &str,
    ) -> Result<Moved, GithubError> {
        let Moved::To(commit) = self.create_commit(draft, base, files, message).await? else {
            return Ok(Moved::Raced);
        };
        match self.update(update(branch, Some(expected.unwrap_or(NONE)), &commit)).await {
            Ok(()) => Ok(Moved::To(commit)),
            Err(error) => settled(self.tip(branch).await?, expected, commit, error),
        }
    }

    async fn update(&self, update: Value) -> Result<(), GithubError> {
        let action = format!("move a branch of `{}`", self.slug);
        let who = json!({"owner": self.slug.owner(), "name": self.slug.name()});
        let found: Value = self.client.graphql(&self.slug, &action, REPOSITORY, who).await?;
        let input = json!({"repositoryId": found["repository"]["id"], "refUpdates": [update]});
        let input = json!({"input": input});
        self.client.graphql(&self.slug, &action, UPDATE, input).await.map(|_: Value| ())
    }
}

/// Returns what a move from `expected` to `commit` came to, which ended with `error`, where the
/// reference is `at` now.
pub(super) fn settled(
    at: Option<String>,
    expected: Option<&str>,
    commit: String,
    error: GithubError,
) -> Result<Moved, GithubError> {
    match at {
        Some(at) if at == commit => Ok(Moved::To(commit)),
        at if at.as_deref() != expected => Ok(Moved::Raced),
        _ => Err(error),
    }
}

fn update(branch: &str, before: Option<&str>, after: &str) -> Value {
    let mut update =
        json!({"name": format!("refs/heads/{branch}"), "afterOid": after, "force": true});
    if let Some(before) = before {
        update["beforeOid"] = before.into();
    }
    update
}

/// Returns `name` as steps of a path; what could end a step or the path is percent-encoded.
pub(super) fn escaped(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
    name.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
