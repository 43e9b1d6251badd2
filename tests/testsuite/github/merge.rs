//! Merging by GitHub's own means: at once, by auto-merge, by a merge queue.

use deployctl::github::{GithubError, Merging};

use super::Shop;
use crate::support::github::{Fault, Pull};

const MERGE: &str = "PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge";

/// Returns a shop with an open pull request in the state `merge_state`.
async fn shop(merge_state: &'static str) -> Option<(Shop, String)> {
    let shop = Shop::start().await?;
    let pull = Pull { merge_state, ..Pull::open(7, "deployctl/prod") };
    shop.github.hub().pulls.push(pull);
    let head = shop.git.git(&["rev-parse", "deployctl/prod"]).trim().to_owned();
    Some((shop, head))
}

async fn merge(shop: &Shop, head: &str) -> Result<Merging, GithubError> {
    shop.client().merge_when_ready(("shop", "manifests"), 7, "main", head).await
}

#[tokio::test]
async fn what_is_ready_is_merged_at_once_and_looked_at_afterwards() {
    let Some((shop, head)) = shop("CLEAN").await else { return };
    let modified = "Base branch was modified. Review and try the merge again.";
    shop.github.hub().faults.push(Fault { times: 2, ..Fault::once(MERGE, 405, modified) });
    let merged = merge(&shop, &head).await.unwrap();
    let commit = shop.git.git(&["rev-parse", "main"]).trim().to_owned();
    assert_eq!(merged, Merging::Merged { commit: commit.clone() });
    assert_eq!(shop.github.asked(), ["query", MERGE, "query", MERGE, "query", MERGE, "query"]);
    assert_eq!(merge(&shop, &head).await.unwrap(), Merging::Merged { commit });
}

#[tokio::test]
async fn a_merge_whose_answer_is_lost_is_found_out() {
    let Some((shop, head)) = shop("CLEAN").await else { return };
    shop.github.hub().faults.push(Fault { done: true, ..Fault::once(MERGE, 502, "Server Error") });
    assert!(matches!(merge(&shop, &head).await.unwrap(), Merging::Merged { .. }));
    assert_eq!(shop.github.asked().iter().filter(|name| *name == MERGE).count(), 1);
}

#[tokio::test]
async fn what_waits_for_others_merges_itself_later() {
    let Some((shop, head)) = shop("BLOCKED").await else { return };
    assert_eq!(merge(&shop, &head).await.unwrap(), Merging::Enabled);
    assert_eq!(merge(&shop, &head).await.unwrap(), Merging::Enabled);
    let asked = shop.github.asked();
    let mutations = asked.iter().filter(|name| name.starts_with("mutation"));
    assert_eq!(mutations.collect::<Vec<_>>(), ["mutation enablePullRequestAutoMerge"]);
    shop.github.hub().all_is_well();
    assert!(matches!(merge(&shop, &head).await.unwrap(), Merging::Merged { .. }));
}

#[tokio::test]
async fn a_merge_queue_is_joined() {
    let Some((shop, head)) = shop("CLEAN").await else { return };
    shop.github.hub().merge_queue = true;
    assert_eq!(merge(&shop, &head).await.unwrap(), Merging::Queued);
    assert_eq!(shop.github.asked(), ["query", "mutation enqueuePullRequest", "query"]);
    assert_eq!(merge(&shop, &head).await.unwrap(), Merging::Queued);
    let Some((shop, head)) = self::shop("BLOCKED").await else { return };
    shop.github.hub().merge_queue = true;
    assert_eq!(merge(&shop, &head).await.unwrap(), Merging::Enabled);
}

#[tokio::test]
async fn what_can_not_be_merged_says_why() {
    let Some((shop, head)) = shop("DIRTY").await else { return };
    let error = merge(&shop, &head).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "can't merge pull request 7 into `main` of `shop/manifests`: \
         it conflicts with the branch that it is to be merged into"
    );
    let Some((shop, head)) = self::shop("BLOCKED").await else { return };
    shop.github.hub().allows_auto_merge = false;
    let error = merge(&shop, &head).await.unwrap_err();
    assert!(error.to_string().ends_with("Auto merge is not allowed for this repository"));
    assert!(error.advice().unwrap().contains("Allow auto-merge"), "{error}");
    let other = "6dcb09b5b57875f334f61aebed695e2e4193db5e";
    assert_eq!(merge(&shop, other).await.unwrap(), Merging::Overtaken);
}
