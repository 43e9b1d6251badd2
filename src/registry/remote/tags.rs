//! The tags of a repository, page by page.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::answer::read_body;
use super::call::{Call, Target};
use super::failure::Failure;
use super::manifests::next_page;
use super::{Remote, pull, unexpected};
use crate::image::{ImageName, Tag};
use crate::registry::RequestKind;

/// The longest page that is read: some registries send all tags in one.
const PAGE_MAX: usize = 16 << 20;
/// How many pages are read.
const PAGES_MAX: usize = 256;

/// A page of the list (distribution-spec, "Listing Tags").
#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

impl Remote {
    pub(super) async fn try_tags(&self, name: &ImageName) -> Result<Vec<Tag>, Failure> {
        let mut target = Target::Path(format!("v2/{}/tags/list?n=1000", name.path()));
        let mut tags = BTreeSet::new();
        for _ in 0..PAGES_MAX {
            let call = Call::nothing(Method::GET, RequestKind::GetTags, name, target, pull(name));
            let (response, url) = self.transport.send(&call).await?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Ok(Vec::new()),
                _ => return Err(unexpected(name, response).await),
            }
            let next = next_page(name, &url, &response)?;
            let body = read_body(response, PAGE_MAX).await;
            let bytes = body.map_err(|error| error.into_failure(name))?;
            let page: Page = serde_json::from_slice(&bytes)
                .map_err(|error| Failure::answer(name, format!("its list of tags: {error}")))?;
            tags.extend(page.tags.unwrap_or_default().iter().filter_map(|tag| tag.parse().ok()));
            match next {
                Some(next) => target = Target::Url(next),
                None => return Ok(tags.into_iter().collect()),
            }
        }
        Err(Failure::answer(name, "its list of tags does not end".to_owned()))
    }
}
