//! Rate limits and failures: what is waited for, made again, or given up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use deployctl::github::GithubError;

use super::Shop;
use crate::support::github::Fault;

const STATUS: &str = "GET /repos/{owner}/{repo}/commits/{ref}/status";
const SHA: &str = "6dcb09b5b57875f334f61aebed695e2e4193db5e";

#[tokio::test]
async fn a_secondary_limit_is_waited_for_and_told() {
    let Some(shop) = Shop::start().await else { return };
    let limit = "You have exceeded a secondary rate limit.";
    let fault =
        Fault { headers: vec![("retry-after", "0".to_owned())], ..Fault::once(STATUS, 403, limit) };
    shop.github.hub().faults.push(fault);
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    let client = shop.client().telling(move |reason, time| {
        heard.lock().unwrap().push(format!("{reason} {}", time.as_secs()));
    });
    client.checks("shop", "manifests", SHA).await.unwrap();
    let told = told.lock().unwrap().clone();
    assert_eq!(told, [format!("GitHub's rate limit is used up: {limit} 1")]);
}

#[tokio::test]
async fn a_limit_that_holds_longer_than_one_waits_is_an_error_that_says_until_when() {
    let Some(shop) = Shop::start().await else { return };
    let reset = jiff::Timestamp::now().as_second() + 1800;
    let headers =
        vec![("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", reset.to_string())];
    let fault = Fault { headers, ..Fault::once(STATUS, 403, "API rate limit exceeded for user") };
    shop.github.hub().faults.push(fault);
    let client = shop.client().with_patience(Duration::from_secs(60));
    let error = client.checks("shop", "manifests", SHA).await.unwrap_err();
    assert!(matches!(error, GithubError::RateLimited { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("user; it hears again in 3") && text.ends_with(" minutes"), "{text}");
}

#[tokio::test]
async fn github_s_own_failures_are_tried_again_where_that_can_do_no_harm() {
    let Some(shop) = Shop::start().await else { return };
    let fault = |operation| Fault { times: 2, ..Fault::once(operation, 502, "Server Error") };
    shop.github.hub().faults.push(fault(STATUS));
    shop.client().checks("shop", "manifests", SHA).await.unwrap();
    assert_eq!(shop.github.asked()[..3], [STATUS; 3]);
}
