//! Lists that GitHub tells page by page.

use serde::de::DeserializeOwned;

use super::GithubError;
use super::client::Client;
use super::slug::Slug;

/// GitHub tells no more on one page.
const PAGE: usize = 100;
/// So many pages are read of anything.
const MAX_PAGES: usize = 50;

impl Client {
    /// Returns all that is listed at `path`.
    ///
    /// # Errors
    ///
    /// Fails if GitHub is out of reach or refuses, or there is more than can be meant.
    pub(super) async fn pages<R: DeserializeOwned>(
        &self,
        slug: &Slug,
        action: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<R>, GithubError> {
        self.pages_of(slug, action, path, query, |page: Vec<R>| page).await
    }

    /// As [`Client::pages`], where `items` are what is listed on a page.
    pub(super) async fn pages_of<P: DeserializeOwned, R>(
        &self,
        slug: &Slug,
        action: &str,
        path: &str,
        query: &[(&str, &str)],
        items: impl Fn(P) -> Vec<R>,
    ) -> Result<Vec<R>, GithubError> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let (number, size) = (page.to_string(), PAGE.to_string());
            let paging = [("per_page", size.as_str()), ("page", number.as_str())];
            let query = [query, &paging].concat();
            let found = items(self.get(slug, action, path, &query).await?);
            let is_last = found.len() < PAGE;
            all.extend(found);
            if is_last {
                return Ok(all);
            }
        }
        // What is left out could be what matters.
        let message = format!("there are {} or more, which is too many to read", PAGE * MAX_PAGES);
        Err(GithubError::Invalid { action: action.to_owned(), message })
    }
}
