//! Commits with their messages, read through the API: by their ids, and back from a commit.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::branch::{Branches, escaped};
use super::objects::By;
use super::{ApiCommit, GithubError};

/// GitHub lists no more on one page.
const PAGE: usize = 100;
/// No walk visits more commits.
const MAX_COMMITS: usize = 4096;

/// What is read of a commit.
const FIELDS: &str =
    "oid message committedDate author { name email } parents(first: 2) { nodes { oid } }";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    oid: String,
    message: String,
    committed_date: Timestamp,
    author: Option<Person>,
    parents: Parents,
    /// What is at the path that a walk is about.
    #[serde(default)]
    at: Option<Object>,
}

#[derive(Deserialize)]
struct Person {
    name: Option<String>,
    email: Option<String>,
}

#[derive(Deserialize)]
struct Parents {
    nodes: Vec<Object>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Object {
    oid: String,
}

#[derive(Deserialize)]
struct Asked {
    repository: Repository,
}

#[derive(Deserialize)]
struct Repository {
    object: Option<Start>,
}

#[derive(Deserialize)]
struct Start {
    history: Option<Page>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    page_info: PageInfo,
    nodes: Vec<Told>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

/// A walk back from a commit.
struct Walk<'a> {
    branches: &'a Branches,
    tip: &'a str,
    /// Only commits that change something there; all if empty.
    path: &'a str,
    since: Option<Timestamp>,
    /// What to tell of each commit's files, as `at`.
    at: Option<&'a str>,
    after: Option<String>,
    is_done: bool,
}

impl From<Told> for ApiCommit {
    fn from(told: Told) -> Self {
        let author = told.author.map(|author| (author.name, author.email)).unwrap_or_default();
        Self {
            id: told.oid,
            author: (author.0.unwrap_or_default(), author.1.unwrap_or_default()),
            time: told.committed_date,
            message: told.message,
            parents: told.parents.nodes.into_iter().map(|parent| parent.oid).collect(),
        }
    }
}

impl Branches {
    /// Returns the commit `id`.
    ///
    /// # Errors
    ///
    /// Fails if there is none, or GitHub is out of reach or refuses.
    pub async fn commit(&self, id: &str) -> Result<ApiCommit, GithubError> {
        let mut found = self.commits(std::slice::from_ref(&id.to_owned())).await?;
        let action = || format!("read the commit `{id}` of `{}`", self.slug);
        found.pop().flatten().ok_or_else(|| GithubError::NotFound { action: action() })
    }

    /// Returns the commits `ids`, in order; `None` where there is none.
    pub(super) async fn commits(
        &self,
        ids: &[String],
    ) -> Result<Vec<Option<ApiCommit>>, GithubError> {
        let action = format!("read commits of `{}`", self.slug);
        let fields = format!("... on Commit {{ {FIELDS} }}");
        let found: Vec<Option<Told>> =
            self.objects("Commits", &action, By::Id, &fields, ids).await?;
        Ok(found.into_iter().map(|told| told.map(ApiCommit::from)).collect())
    }

    /// Returns the commit that `revision` (id, abbreviated id, or name of a branch or tag) stands for,
    /// or `None` if there is none.
    ///
    /// # Errors
    ///
    /// Fails if GitHub is out of reach or refuses.
    pub async fn resolve(&self, revision: &str) -> Result<Option<String>, GithubError> {
        // What is more than a name says of a revision where to go from it.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+');
        if revision.is_empty() || !revision.chars().all(plain) || revision.contains("..") {
            return Ok(None);
        }
        let action = format!("find `{revision}` in `{}`", self.slug);
        // A tag's object is not the commit.
        let name = [format!("{revision}^{{commit}}")];
        let fields = "... on Commit { oid }";
        let found = self.objects("Revision", &action, By::Expression, fields, &name).await?;
        let found: Option<Object> = found.into_iter().next().flatten();
        Ok(found.map(|commit| commit.oid))
    }

    /// Returns how the commit `head` stands to `base`, in GitHub's words (`ahead`, `behind`, `diverged`,
    /// `identical`), or `None` if there is no such commit.
    ///
    /// # Errors
    ///
    /// Fails if GitHub is out of reach or refuses.
    pub async fn compare(&self, base: &str, head: &str) -> Result<Option<String>, GithubError> {
        #[derive(Deserialize)]
        struct Compared {
            status: String,
        }
        let Self { client, slug, .. } = self;
        let action = format!("compare commits of `{slug}`");
        let (base, head) = (escaped(base), escaped(head));
        let path = format!("/repos/{slug}/compare/{base}...{head}");
        // What the commits are does not matter.
        let query = [("per_page", "1")];
        match client.get::<Compared>(slug, &action, &path, &query).await {
            Ok(compared) => Ok(Some(compared.status)),
            Err(GithubError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the tree of the commit.
    pub(super) async fn root_of(&self, commit: &str) -> Result<String, GithubError> {
        let action = format!("read the commit `{commit}` of `{}`", self.slug);
        let name = [format!("{commit}^{{tree}}")];
        let fields = "... on Tree { oid }";
        let found = self.objects("Root", &action, By::Expression, fields, &name).await?;
        let found: Option<Object> = found.into_iter().next().flatten();
        found.map(|tree| tree.oid).ok_or(GithubError::NotFound { action })
    }

    /// Returns the commits that the commit `tip` has in its history and that were committed since
    /// `time`, newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// Fails if GitHub is out of reach or refuses.
    pub async fn since(
        &self,
        tip: &str,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<ApiCommit>, GithubError> {
        // GitHub takes no years outside of 1970 to 2099.
        let since = Some(time).filter(|time| *time > Timestamp::UNIX_EPOCH);
        Walk { since, ..self.walk(tip, "") }.take(limit).await
    }

    /// Returns up to `limit` commits from `tip` backwards that changed something at or below `path`
    /// (everything if it is empty), newest first, as `git log -- PATH` does.
    ///
    /// # Errors
    ///
    /// Fails if GitHub is out of reach or refuses.
    pub async fn log(
        &self,
        tip: &str,
        path: &str,
        limit: usize,
    ) -> Result<Vec<ApiCommit>, GithubError> {
        self.walk(tip, path).take(limit).await
    }

    /// Returns what [`Branches::log`] does, but along the branch itself: what a merge brought is told as
    /// the merge, with its time.
    ///
    /// # Errors
    ///
    /// Fails if GitHub is out of reach or refuses.
    pub async fn landings(
        &self,
        tip: &str,
        path: &str,
        limit: usize,
    ) -> Result<Vec<ApiCommit>, GithubError> {
        let mut walk = Walk { at: Some(path), ..self.walk(tip, "") };
        let (mut seen, mut found, mut visited) = (HashMap::new(), Vec::new(), 0);
        let mut next = tip.to_owned();
        while !walk.is_done && visited < MAX_COMMITS {
            let page = walk.page(PAGE).await?;
            visited += page.len();
            seen.extend(page.into_iter().map(|told| (told.oid.clone(), told)));
            while found.len() < limit {
                let Some(here) = seen.get(&next) else { break };
                let parent = here.parents.nodes.first().map(|parent| parent.oid.clone());
                let before = match &parent {
                    Some(parent) => match seen.get(parent) {
                        Some(parent) => parent.at.as_ref(),
                        None => break,
                    },
                    None => None,
                };
                let is_changed = here.at.as_ref() != before;
                let here = seen.remove(&next).expect("it was there above");
                found.extend(is_changed.then(|| ApiCommit::from(here)));
                let Some(parent) = parent else { return Ok(found) };
                next = parent;
            }
            if found.len() >= limit {
                break;
            }
        }
        Ok(found)
    }

    fn walk<'a>(&'a self, tip: &'a str, path: &'a str) -> Walk<'a> {
        let (since, at, after) = (None, None, None);
        Walk { branches: self, tip, path, since, at, after, is_done: false }
    }
}

impl Walk<'_> {
    async fn take(mut self, limit: usize) -> Result<Vec<ApiCommit>, GithubError> {
        let limit = limit.min(MAX_COMMITS);
        let mut commits = Vec::new();
        while !self.is_done && commits.len() < limit {
            let page = self.page(PAGE.min(limit - commits.len())).await?;
            commits.extend(page.into_iter().map(ApiCommit::from));
        }
        Ok(commits)
    }

    /// Returns the next `size` commits.
    async fn page(&mut self, size: usize) -> Result<Vec<Told>, GithubError> {
        let Branches { client, slug, .. } = self.branches;
        let action = format!("read the history of `{slug}`");
        let (file, at) = match self.at {
            None => ("", ""),
            Some("") => ("", " at: tree { oid }"),
            Some(_) => (", $file: String!", " at: file(path: $file) { oid }"),
        };
        let document = format!(
            "query History($owner: String!, $name: String!, $tip: GitObjectID!, $first: Int!, \
             $after: String, $path: String, $since: GitTimestamp{file}) {{
  repository(owner: $owner, name: $name) {{ object(oid: $tip) {{ ... on Commit {{
    history(first: $first, after: $after, path: $path, since: $since) {{
      pageInfo {{ hasNextPage endCursor }}
      nodes {{ {FIELDS}{at} }}
    }}
  }} }} }}
}}"
        );
        let mut variables = json!({
            "owner": slug.owner(), "name": slug.name(), "tip": self.tip, "first": size,
            "after": self.after, "path": (!self.path.is_empty()).then_some(self.path),
            "since": self.since.map(|since| since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        });
        if let Some(path) = self.at.filter(|path| !path.is_empty()) {
            variables["file"] = path.into();
        }
        let asked: Asked = client.graphql(slug, &action, &document, variables).await?;
        let page = asked.repository.object.and_then(|start| start.history);
        let Page { page_info, nodes } = page.ok_or(GithubError::NotFound { action })?;
        self.is_done = !page_info.has_next_page;
        self.after = page_info.end_cursor;
        Ok(nodes)
    }
}
