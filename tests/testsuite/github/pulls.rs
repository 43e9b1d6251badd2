//! Pull requests: opened, brought up to date, refused.

use deployctl::github::{Client, GithubError, PullRequest};
use deployctl::system::Environment;

use super::{Shop, ahead};
use crate::support::github::{Fault, TOKEN};

const LIST: &str = "GET /repos/{owner}/{repo}/pulls";
const OPEN: &str = "POST /repos/{owner}/{repo}/pulls";
const CHANGE: &str = "PATCH /repos/{owner}/{repo}/pulls/{pull_number}";

fn wanted() -> PullRequest {
    PullRequest {
        owner: "shop".to_owned(),
        repository: "manifests".to_owned(),
        head: "deployctl/prod".to_owned(),
        base: "main".to_owned(),
        title: "Promote ranking to prod".to_owned(),
        body: "| service | image |".to_owned(),
    }
}

#[tokio::test]
async fn one_is_opened_brought_up_to_date_and_left_alone_when_it_is_current() {
    let Some(shop) = Shop::start().await else { return };
    ahead(&shop.git, "feature");
    let client = shop.client();
    let other = PullRequest { head: "feature".to_owned(), ..wanted() };
    client.open_or_update_pull_request(&other).await.unwrap();
    shop.github.asked();

    let opened = client.open_or_update_pull_request(&wanted()).await.unwrap();
    assert_eq!((opened.number, opened.created), (8, true));
    assert!(opened.url.ends_with("/shop/manifests/pull/8"), "{}", opened.url);
    assert_eq!(shop.github.asked(), [LIST, OPEN]);

    let newer = PullRequest { title: "Promote search to prod".to_owned(), ..wanted() };
    let opened = client.open_or_update_pull_request(&newer).await.unwrap();
    assert_eq!((opened.number, opened.created), (8, false));
    assert_eq!(shop.github.hub().open_pull("deployctl/prod").unwrap().title, newer.title);
    assert_eq!(shop.github.asked(), [LIST, CHANGE]);

    client.open_or_update_pull_request(&newer).await.unwrap();
    assert_eq!(shop.github.asked(), [LIST]);
}

async fn refusal(status: u16, message: &'static str) -> Option<GithubError> {
    let shop = Shop::start().await?;
    shop.github.hub().faults.push(Fault::once(OPEN, status, message));
    let error = shop.client().open_or_update_pull_request(&wanted()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    Some(error)
}

#[tokio::test]
async fn refusals_say_what_and_what_to_do() {
    let Some(error) = refusal(401, "Bad credentials").await else { return };
    assert_eq!(error.to_string(), "GitHub refused the token: Bad credentials");

    let actions = "GitHub Actions is not permitted to create or approve pull requests.";
    let error = refusal(403, actions).await.unwrap();
    assert_eq!(
        error.to_string(),
        "the GitHub token may not open a pull request from `deployctl/prod` to `main` in \
         `shop/manifests`: GitHub Actions is not permitted to create or approve pull requests."
    );
    assert!(error.advice().unwrap().contains("Allow GitHub Actions"));

    let error = refusal(404, "Not Found").await.unwrap();
    assert!(matches!(error, GithubError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn a_branch_without_news_and_one_that_is_not_there_are_told() {
    let Some(shop) = Shop::start().await else { return };
    shop.git.git(&["update-ref", "refs/heads/deployctl/prod", "main"]);
    let error = shop.client().open_or_update_pull_request(&wanted()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "can't open a pull request from `deployctl/prod` to `main` in `shop/manifests`: \
         Validation Failed: No commits between main and deployctl/prod"
    );
    let gone = PullRequest { head: "gone".to_owned(), ..wanted() };
    let error = shop.client().open_or_update_pull_request(&gone).await.unwrap_err();
    assert!(error.to_string().ends_with("Validation Failed: `head` is invalid"), "{error}");
}

#[tokio::test]
async fn a_request_that_can_not_be_made_says_why() {
    let client = |variables: &[(&str, &str)]| {
        Client::new(&variables.iter().copied().collect::<Environment>())
    };
    assert!(matches!(client(&[]), Err(GithubError::NoToken)));
    let error = client(&[("GH_TOKEN", "canary\r\nX-Forged: 1")]).unwrap_err();
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    let error = client(&[("GH_TOKEN", TOKEN), ("GITHUB_API_URL", "nowhere")]).unwrap_err();
    assert!(matches!(error, GithubError::ApiUrl { .. }), "{error}");
    let gone = format!("http://127.0.0.1:{}", crate::support::free_port());
    let client = client(&[("GH_TOKEN", TOKEN), ("GITHUB_API_URL", &gone)]).unwrap();
    let error = client.open_or_update_pull_request(&wanted()).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, GithubError::Unreachable { .. }), "{error:?}");
    assert!(text.contains("can't connect: ") && !text.contains('\n'), "{text}");
    let outside = PullRequest { owner: "../..".to_owned(), ..wanted() };
    let error = client.open_or_update_pull_request(&outside).await.unwrap_err();
    assert!(matches!(error, GithubError::Name { .. }), "{error}");
}

#[tokio::test]
async fn one_that_got_through_unheard_is_taken_over() {
    let Some(shop) = Shop::start().await else { return };
    let lost = Fault { done: true, ..Fault::once(OPEN, 502, "Server Error") };
    shop.github.hub().faults.push(lost);
    let opened = shop.client().open_or_update_pull_request(&wanted()).await.unwrap();
    assert_eq!(opened.number, 7);
    assert_eq!(shop.github.hub().pulls.len(), 1);
    assert_eq!(shop.github.asked(), [LIST, OPEN, LIST]);
}
