//! Commits with their messages, read through the API: the newest of a branch, and those that
//! references outside of branches and tags are at.

use jiff::Timestamp;
use serde::Deserialize;

use super::branch::{Branches, escaped};
use super::{ApiCommit, GithubError};

/// GitHub lists no more on one page.
const PAGE: usize = 100;

#[derive(Deserialize)]
struct Listed {
    sha: String,
    commit: Said,
    parents: Vec<Parent>,
}

/// What a commit says itself.
#[derive(Deserialize)]
pub(super) struct Said {
    message: String,
    author: Option<Person>,
    committer: Option<Person>,
}

#[derive(Deserialize)]
struct Person {
    name: Option<String>,
    email: Option<String>,
    date: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct Parent {
    sha: String,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(rename = "ref")]
    name: String,
    object: Parent,
}

impl ApiCommit {
    pub(super) fn of(id: String, said: Said, parents: Vec<Parent>) -> Self {
        let Said { message, author, committer } = said;
        let name = author.as_ref().and_then(|author| author.name.clone()).unwrap_or_default();
        let email = author.as_ref().and_then(|author| author.email.clone()).unwrap_or_default();
        let time = committer.or(author).and_then(|person| person.date).unwrap_or_default();
        let parents = parents.into_iter().map(|parent| parent.sha).collect();
        Self { id, author: (name, email), time, message, parents }
    }
}

impl Branches<'_> {
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
        let action = format!("read the history of `{}`", self.slug);
        let path = format!("/repos/{}/commits", self.slug);
        // GitHub takes no years outside of 1970 to 2099.
        let since = time.max(Timestamp::UNIX_EPOCH).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let size = PAGE.to_string();
        let mut commits = Vec::new();
        for page in 1.. {
            let number = page.to_string();
            let query: [(&str, &str); 4] =
                [("sha", tip), ("since", &since), ("per_page", &size), ("page", &number)];
            let listed: Vec<Listed> = self.client.get(&self.slug, &action, &path, &query).await?;
            let is_last = listed.len() < PAGE;
            let read = |listed: Listed| ApiCommit::of(listed.sha, listed.commit, listed.parents);
            commits.extend(listed.into_iter().map(read));
            if is_last || commits.len() >= limit {
                break;
            }
        }
        commits.truncate(limit);
        Ok(commits)
    }

    /// Returns the commit that the reference `name` (without `refs/`, such as `notes/commits`) is at,
    /// or `None` if there is no such reference.
    ///
    /// # Errors
    ///
    /// Fails if GitHub is out of reach or refuses.
    pub async fn at_reference(&self, name: &str) -> Result<Option<ApiCommit>, GithubError> {
        let action = format!("read `refs/{name}` of `{}`", self.slug);
        // GitHub documents of this one alone that it knows every namespace. It answers with what
        // begins with the name, sorted, so that the reference itself comes first.
        let path = format!("/repos/{}/git/matching-refs/{}", self.slug, escaped(name));
        let found: Vec<Reference> = self.client.get(&self.slug, &action, &path, &[]).await?;
        let is_it = |found: &Reference| found.name.strip_prefix("refs/") == Some(name);
        match found.into_iter().find(is_it) {
            Some(found) => self.commit(&found.object.sha).await.map(Some),
            None => Ok(None),
        }
    }
}
