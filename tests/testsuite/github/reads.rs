//! What the gates read: reviews of a pull request, statuses and check runs of a commit.

use deployctl::github::{Check, CheckState, GithubError};
use serde_json::json;

use super::Shop;
use crate::support::github::Pull;

const SHA: &str = "6dcb09b5b57875f334f61aebed695e2e4193db5e";

#[tokio::test]
async fn an_approval_counts_for_the_head_that_was_seen() {
    let Some(shop) = Shop::start().await else { return };
    let head = shop.git.git(&["rev-parse", "deployctl/prod"]).trim().to_owned();
    let review = |login: &str, state: &str, commit: &str| {
        (login.to_owned(), state.to_owned(), commit.to_owned())
    };
    let reviews = vec![
        review("ada", "APPROVED", &head),
        review("bob", "APPROVED", SHA),
        review("cy", "APPROVED", &head),
        review("cy", "CHANGES_REQUESTED", &head),
    ];
    shop.github.hub().pulls.push(Pull { reviews, ..Pull::open(7, "deployctl/prod") });
    let approvals = shop.client().approvals("shop", "manifests", 7).await.unwrap();
    assert_eq!(approvals.iter().map(|a| a.login.as_str()).collect::<Vec<_>>(), ["ada"]);
    let error = shop.client().approvals("shop", "manifests", 8).await.unwrap_err();
    assert!(matches!(error, GithubError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn statuses_and_check_runs_are_checks() {
    let Some(shop) = Shop::start().await else { return };
    let status = |context: &str, state: &str| json!({"context": context, "state": state});
    let run = |name: &str, status: &str, conclusion: Option<&str>| json!({"name": name, "status": status, "conclusion": conclusion});
    let statuses = vec![status("ci", "success"), status("scan", "error"), status("e2e", "pending")];
    let runs = vec![
        run("build", "completed", Some("success")),
        run("lint", "completed", Some("skipped")),
        run("test", "completed", Some("timed_out")),
        run("slow", "in_progress", None),
    ];
    shop.github.hub().statuses.insert(SHA.to_owned(), statuses);
    shop.github.hub().check_runs.insert(SHA.to_owned(), runs);
    let checks = shop.client().checks("shop", "manifests", SHA).await.unwrap();
    let states: Vec<(&str, CheckState)> =
        checks.iter().map(|Check { name, state, .. }| (name.as_str(), *state)).collect();
    use CheckState::{Failure, Pending, Success};
    assert_eq!(
        states,
        [
            ("ci", Success),
            ("scan", Failure),
            ("e2e", Pending),
            ("build", Success),
            ("lint", Success),
            ("test", Failure),
            ("slow", Pending),
        ]
    );
    let error = shop.client().checks("shop", "manifests", "main/../x").await.unwrap_err();
    assert!(matches!(error, GithubError::Invalid { .. }), "{error}");
}

#[tokio::test]
async fn the_hundred_and_thirtieth_check_counts_too() {
    let Some(shop) = Shop::start().await else { return };
    let status = |n: u32| json!({"context": format!("ci/{n}"), "state": "success"});
    let run = |n: u32| json!({"name": format!("job {n}"), "status": "completed", "conclusion": "success"});
    let mut statuses: Vec<_> = (0..129).map(status).collect();
    statuses.push(json!({"context": "last", "state": "failure"}));
    let mut runs: Vec<_> = (0..129).map(run).collect();
    runs.push(json!({"name": "last job", "status": "queued", "conclusion": null}));
    shop.github.hub().statuses.insert(SHA.to_owned(), statuses);
    shop.github.hub().check_runs.insert(SHA.to_owned(), runs);
    let checks = shop.client().checks("shop", "manifests", SHA).await.unwrap();
    let open: Vec<(&str, CheckState)> = checks
        .iter()
        .filter(|check| check.state != CheckState::Success)
        .map(|check| (check.name.as_str(), check.state))
        .collect();
    assert_eq!(checks.len(), 260);
    assert_eq!(open, [("last", CheckState::Failure), ("last job", CheckState::Pending)]);
    assert_eq!(shop.github.asked().len(), 4);
}
