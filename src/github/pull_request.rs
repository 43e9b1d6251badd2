//! One pull request for each branch that asks to be merged, opened or brought up to date.

use serde::Deserialize;
use serde_json::json;

use super::slug::Slug;
use super::{Client, GithubError};

/// What a pull request is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The owner of the repository.
    pub owner: String,
    /// The name of the repository.
    pub repository: String,
    /// The branch to merge, in the same repository.
    pub head: String,
    /// The branch to merge into.
    pub base: String,
    /// Title.
    pub title: String,
    /// Body, in GitHub's Markdown. What exceeds GitHub's limit is cut off.
    pub body: String,
}

/// An open pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
    /// Whether it was not open before.
    pub created: bool,
}

/// An open pull request as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPull {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
    /// The branch to merge.
    pub head: String,
    /// Its body.
    pub body: String,
}

impl Client {
    /// Returns the open pull requests whose branches are in the repository itself: one from a fork is
    /// somebody else's.
    ///
    /// # Errors
    ///
    /// Fails if GitHub is out of reach or refuses.
    pub async fn open_pull_requests(
        &self,
        owner: &str,
        repository: &str,
    ) -> Result<Vec<OpenPull>, GithubError> {
        let slug = Slug::new(owner, repository)?;
        let action = format!("list the pull requests of `{slug}`");
        let found: Vec<Pull> =
            self.pages(&slug, &action, &pulls(&slug), &[("state", "open")]).await?;
        let own = |pull: &Pull| {
            let (from, _) = pull.head.label.split_once(':').unwrap_or_default();
            from.eq_ignore_ascii_case(owner)
        };
        let open = found.into_iter().filter(own).map(|pull| OpenPull {
            number: pull.number,
            url: pull.html_url,
            head: pull.head.name,
            body: pull.body.unwrap_or_default(),
        });
        Ok(open.collect())
    }

    /// Closes the pull request, after a comment that says why.
    ///
    /// # Errors
    ///
    /// Fails if there is none, or GitHub is out of reach or refuses.
    pub async fn close_pull_request(
        &self,
        owner: &str,
        repository: &str,
        number: u64,
        comment: &str,
    ) -> Result<(), GithubError> {
        self.comment(owner, repository, number, comment).await?;
        let slug = Slug::new(owner, repository)?;
        let action = format!("close pull request {number} in `{slug}`");
        let path = format!("{}/{number}", pulls(&slug));
        let _: Pull = self.patch(&slug, &action, &path, json!({"state": "closed"})).await?;
        Ok(())
    }

    /// Comments on the pull request.
    ///
    /// # Errors
    ///
    /// As [`Client::close_pull_request`].
    pub async fn comment(
        &self,
        owner: &str,
        repository: &str,
        number: u64,
        comment: &str,
    ) -> Result<(), GithubError> {
        let slug = Slug::new(owner, repository)?;
        let action = format!("comment on pull request {number} in `{slug}`");
        let path = format!("/repos/{slug}/issues/{number}/comments");
        let body = json!({"body": comment});
        self.post(&slug, &action, &path, body).await.map(|_: serde_json::Value| ())
    }

    /// Returns the open pull request from `wanted.head`, saying what is wanted: the one that is open
    /// already is updated in place, else one is opened.
    ///
    /// # Errors
    ///
    /// Fails if there is no token, if GitHub is out of reach or refuses, or if the branches do not
    /// differ.
    pub async fn open_or_update_pull_request(
        &self,
        wanted: &PullRequest,
    ) -> Result<Opened, GithubError> {
        let slug = Slug::new(&wanted.owner, &wanted.repository)?;
        if let Some(open) = self.find(&slug, wanted).await? {
            return self.update(&slug, wanted, &open).await;
        }
        match self.open(&slug, wanted).await {
            // Another run was quicker, or this one got through unheard.
            Err(error) if is_taken(&error) || error.is_unclear() => {
                let open = self.find(&slug, wanted).await?.ok_or(error)?;
                self.update(&slug, wanted, &open).await
            }
            result => result,
        }
    }

    /// Returns the open pull request from the branch `head` of the repository, or `None`.
    ///
    /// # Errors
    ///
    /// Fails if there is no token, or if GitHub is out of reach or refuses.
    pub async fn open_pull_request(
        &self,
        owner: &str,
        repository: &str,
        head: &str,
    ) -> Result<Option<Opened>, GithubError> {
        let slug = Slug::new(owner, repository)?;
        let action = format!("list the pull requests from `{head}` in `{slug}`");
        let open = self.find_from(&slug, &action, &format!("{owner}:{head}")).await?;
        Ok(open.map(|open| Opened { number: open.number, url: open.html_url, created: false }))
    }

    async fn find(&self, slug: &Slug, wanted: &PullRequest) -> Result<Option<Pull>, GithubError> {
        let head = format!("{}:{}", wanted.owner, wanted.head);
        self.find_from(slug, &action("list the pull requests", wanted), &head).await
    }

    async fn find_from(
        &self,
        slug: &Slug,
        action: &str,
        head: &str,
    ) -> Result<Option<Pull>, GithubError> {
        let query = [("state", "open"), ("head", head), ("per_page", "100")];
        let pulls: Vec<Pull> = self.get(slug, action, &pulls(slug), &query).await?;
        // GitHub ignores a filter that it can't read, and then lists all.
        Ok(pulls.into_iter().find(|pull| pull.head.label.eq_ignore_ascii_case(head)))
    }

    async fn open(&self, slug: &Slug, wanted: &PullRequest) -> Result<Opened, GithubError> {
        let PullRequest { title, head, base, .. } = wanted;
        let body =
            json!({"title": title, "body": limited(&wanted.body), "head": head, "base": base});
        let action = action("open a pull request", wanted);
        let pull: Pull = self.post(slug, &action, &pulls(slug), body).await?;
        Ok(Opened { number: pull.number, url: pull.html_url, created: true })
    }

    async fn update(
        &self,
        slug: &Slug,
        wanted: &PullRequest,
        open: &Pull,
    ) -> Result<Opened, GithubError> {
        let PullRequest { title, base, .. } = wanted;
        let body = limited(&wanted.body);
        let same_text = open.title == *title && open.body.as_deref() == Some(&body);
        if !(same_text && open.base.name == *base) {
            let change = json!({"title": title, "body": body, "base": base});
            let action = action(&format!("update pull request {}", open.number), wanted);
            let path = format!("{}/{}", pulls(slug), open.number);
            let _: Pull = self.patch(slug, &action, &path, change).await?;
        }
        Ok(Opened { number: open.number, url: open.html_url.clone(), created: false })
    }
}

fn is_taken(error: &GithubError) -> bool {
    matches!(error, GithubError::Invalid { message, .. } if message.contains("already exists"))
}

fn pulls(slug: &Slug) -> String {
    format!("/repos/{slug}/pulls")
}

fn action(what: &str, wanted: &PullRequest) -> String {
    let PullRequest { owner, repository, head, base, .. } = wanted;
    format!("{what} from `{head}` to `{base}` in `{owner}/{repository}`")
}

/// GitHub refuses a body of more than 65,536 characters.
const MAX_BODY: usize = 65_536;

fn limited(body: &str) -> String {
    const CUT: &str = "\n\n*… cut: GitHub allows no more.*\n";
    if body.chars().count() <= MAX_BODY {
        return body.to_owned();
    }
    let kept = body.chars().take(MAX_BODY - CUT.chars().count());
    kept.chain(CUT.chars()).collect()
}

/// What is read of GitHub's answers, and nothing more: GitHub Enterprise of some versions leaves
/// fields out.
#[derive(Deserialize)]
struct Pull {
    number: u64,
    html_url: String,
    title: String,
    body: Option<String>,
    head: Branch,
    base: Branch,
}

#[derive(Deserialize)]
struct Branch {
    /// `OWNER:BRANCH`.
    label: String,
    #[serde(rename = "ref")]
    name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_fits_in() {
        assert_eq!(limited("short"), "short");
        let long = limited(&"ü".repeat(MAX_BODY + 1));
        assert_eq!(long.chars().count(), MAX_BODY);
        assert!(long.ends_with("no more.*\n"));
    }
}
