//! Who has approved a pull request as it is now.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::GithubError;
use super::client::Client;
use super::slug::Slug;

/// An approval that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The login of who approved.
    pub login: String,
    /// When, as GitHub says it (RFC 3339).
    pub submitted_at: Option<String>,
    /// The page of the review.
    pub url: String,
}

impl Client {
    /// Returns who has approved the pull request's head as it is now: of each reviewer the last word
    /// counts, and an approval of an earlier head does not.
    ///
    /// # Errors
    ///
    /// Fails if there is no such pull request, or GitHub is out of reach or refuses.
    pub async fn approvals(
        &self,
        owner: &str,
        repo: &str,
        number: u64,
    ) -> Result<Vec<Approval>, GithubError> {
        let slug = Slug::new(owner, repo)?;
        let action = format!("read the reviews of pull request {number} in `{slug}`");
        let path = format!("/repos/{slug}/pulls/{number}");
        let pull: Pull = self.get(&slug, &action, &path, &[]).await?;
        let path = format!("{path}/reviews");
        let reviews: Vec<Review> = self.pages(&slug, &action, &path, &[]).await?;
        Ok(standing(reviews, &pull.head.sha))
    }
}

/// Returns the approvals of `head` that nothing has taken back, by login. GitHub lists reviews in the
/// order of time; a comment changes nothing.
fn standing(reviews: Vec<Review>, head: &str) -> Vec<Approval> {
    let mut last: BTreeMap<String, Review> = BTreeMap::new();
    let telling =
        |review: &Review| matches!(&*review.state, "APPROVED" | "CHANGES_REQUESTED" | "DISMISSED");
    for review in reviews.into_iter().filter(telling) {
        // A deleted account has no name to approve with.
        if let Some(login) = review.user.as_ref().map(|user| user.login.to_ascii_lowercase()) {
            last.insert(login, review);
        }
    }
    let approved = last
        .into_values()
        .filter(|review| review.state == "APPROVED" && review.commit_id.as_deref() == Some(head));
    let approval = |review: Review| Approval {
        login: review.user.map(|user| user.login).unwrap_or_default(),
        submitted_at: review.submitted_at,
        url: review.html_url,
    };
    approved.map(approval).collect()
}

#[derive(Deserialize)]
struct Pull {
    head: Head,
}

#[derive(Deserialize)]
struct Head {
    sha: String,
}

#[derive(Deserialize)]
struct Review {
    user: Option<User>,
    state: String,
    html_url: String,
    submitted_at: Option<String>,
    commit_id: Option<String>,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_the_current_head_counts() {
        let review = |login: &str, state: &str, commit: &str| Review {
            user: Some(User { login: login.to_owned() }),
            state: state.to_owned(),
            html_url: String::new(),
            submitted_at: None,
            commit_id: Some(commit.to_owned()),
        };
        let reviews = vec![
            review("ada", "APPROVED", "old"),
            review("bob", "APPROVED", "new"),
            review("cy", "CHANGES_REQUESTED", "new"),
            review("Bob", "COMMENTED", "new"),
            review("dan", "APPROVED", "new"),
            review("cy", "APPROVED", "new"),
            review("dan", "DISMISSED", "new"),
            Review { user: None, ..review("", "APPROVED", "new") },
        ];
        let logins: Vec<String> = standing(reviews, "new").into_iter().map(|a| a.login).collect();
        assert_eq!(logins, ["bob", "cy"]);
    }
}
