//! Pull requests against a GitHub that fails the test on any request it was not told of.

use deployctl::github::{Client, GithubError, Opened, PullRequest};
use deployctl::system::Environment;
use serde_json::{Value, json};
use wiremock::matchers::{any, body_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

const PULLS: &str = "/api/v3/repos/shop/manifests/pulls";
const TOKEN: &str = "canary-ghs-91c2";

fn client(server: &MockServer) -> Client {
    let url = format!("{}/api/v3", server.uri());
    let variables = [("GITHUB_API_URL", url.as_str()), ("GITHUB_TOKEN", TOKEN)];
    Client::new(&variables.into_iter().collect()).unwrap()
}

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

fn pull(number: u64, head: &str, title: &str) -> Value {
    json!({
        "number": number,
        "html_url": format!("https://github.com/shop/manifests/pull/{number}"),
        "title": title,
        "body": "| service | image |",
        "head": { "ref": head, "label": format!("shop:{head}") },
        "base": { "ref": "main", "label": "shop:main" },
    })
}

/// Returns a server that answers the list of open pull requests with `open`.
async fn github(open: &[Value]) -> MockServer {
    let server = MockServer::start().await;
    let unexpected = ResponseTemplate::new(418).set_body_json(json!({"message": "unexpected"}));
    Mock::given(any()).respond_with(unexpected).with_priority(255).expect(0).mount(&server).await;
    Mock::given(method("GET"))
        .and(path(PULLS))
        .and(query_param("state", "open"))
        .and(query_param("head", "shop:deployctl/prod"))
        .and(header("authorization", format!("Bearer {TOKEN}")))
        .respond_with(ResponseTemplate::new(200).set_body_json(open))
        .expect(1..)
        .mount(&server)
        .await;
    server
}

async fn answers(server: &MockServer, verb: &str, at: &str, body: Value, answer: (u16, Value)) {
    Mock::given(method(verb))
        .and(path(at))
        .and(body_json(body))
        .respond_with(ResponseTemplate::new(answer.0).set_body_json(answer.1))
        .expect(1)
        .mount(server)
        .await;
}

fn opening() -> Value {
    json!({
        "title": "Promote ranking to prod",
        "body": "| service | image |",
        "head": "deployctl/prod",
        "base": "main",
    })
}

#[tokio::test]
async fn opens_one_where_none_is_open() {
    // One of another branch is in the answer when GitHub can't read the filter.
    let server = github(&[pull(6, "feature", "other")]).await;
    let answer = (201, pull(7, "deployctl/prod", "Promote ranking to prod"));
    answers(&server, "POST", PULLS, opening(), answer).await;
    let opened = client(&server).open_or_update_pull_request(&wanted()).await.unwrap();
    let url = "https://github.com/shop/manifests/pull/7".to_owned();
    assert_eq!(opened, Opened { number: 7, url, created: true });
}

#[tokio::test]
async fn brings_an_open_one_up_to_date_and_leaves_a_current_one_alone() {
    let server = github(&[pull(7, "deployctl/prod", "Promote search to prod")]).await;
    let change = json!({
        "title": "Promote ranking to prod",
        "body": "| service | image |",
        "base": "main",
    });
    let answer = (200, pull(7, "deployctl/prod", "Promote ranking to prod"));
    answers(&server, "PATCH", &format!("{PULLS}/7"), change, answer).await;
    let opened = client(&server).open_or_update_pull_request(&wanted()).await.unwrap();
    assert_eq!((opened.number, opened.created), (7, false));

    let server = github(&[pull(7, "deployctl/prod", "Promote ranking to prod")]).await;
    let opened = client(&server).open_or_update_pull_request(&wanted()).await.unwrap();
    assert_eq!((opened.number, opened.created), (7, false));
}

async fn refusal(status: u16, answer: Value) -> GithubError {
    let server = github(&[]).await;
    answers(&server, "POST", PULLS, opening(), (status, answer)).await;
    let error = client(&server).open_or_update_pull_request(&wanted()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    error
}

#[tokio::test]
async fn refusals_say_what_and_what_to_do() {
    let error = refusal(401, json!({"message": "Bad credentials"})).await;
    assert_eq!(error.to_string(), "GitHub refused the token: Bad credentials");

    let actions = "GitHub Actions is not permitted to create or approve pull requests.";
    let error = refusal(403, json!({"message": actions})).await;
    assert_eq!(
        error.to_string(),
        "the GitHub token may not open a pull request from `deployctl/prod` to `main` in \
         `shop/manifests`: GitHub Actions is not permitted to create or approve pull requests."
    );
    assert!(error.advice().unwrap().contains("Allow GitHub Actions"));

    let error = refusal(403, json!({"message": "API rate limit exceeded for user"})).await;
    assert!(matches!(error, GithubError::RateLimited { .. }), "{error}");

    let error = refusal(404, json!({"message": "Not Found"})).await;
    assert!(matches!(error, GithubError::NotFound { .. }), "{error}");

    let nothing = json!({
        "message": "Validation Failed",
        "errors": [{"resource": "PullRequest", "code": "custom", "message": "No commits between main and deployctl/prod"}],
    });
    assert_eq!(
        refusal(422, nothing).await.to_string(),
        "can't open a pull request from `deployctl/prod` to `main` in `shop/manifests`: \
         Validation Failed: No commits between main and deployctl/prod"
    );
    let field = json!({
        "message": "Validation Failed",
        "errors": [{"resource": "PullRequest", "code": "invalid", "field": "base"}],
    });
    assert!(
        refusal(422, field).await.to_string().ends_with("Validation Failed: `base` is invalid")
    );
}

#[tokio::test]
async fn a_request_that_can_not_be_made_says_why() {
    let client = |variables: &[(&str, &str)]| {
        Client::new(&variables.iter().copied().collect::<Environment>())
    };
    assert!(matches!(client(&[]), Err(GithubError::NoToken)));
    let error = client(&[("GH_TOKEN", TOKEN), ("GITHUB_API_URL", "nowhere")]).unwrap_err();
    assert!(matches!(error, GithubError::ApiUrl { .. }), "{error}");
    let gone = format!("http://127.0.0.1:{}", crate::support::free_port());
    let client = client(&[("GH_TOKEN", TOKEN), ("GITHUB_API_URL", &gone)]).unwrap();
    let error = client.open_or_update_pull_request(&wanted()).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, GithubError::Unreachable { .. }), "{error:?}");
    assert!(text.contains("onnect") && !text.contains('\n'), "{text}");
    let outside = PullRequest { owner: "../..".to_owned(), ..wanted() };
    let error = client.open_or_update_pull_request(&outside).await.unwrap_err();
    assert!(matches!(error, GithubError::Name { .. }), "{error}");
}

#[tokio::test]
async fn one_that_another_run_opened_meanwhile_is_taken_over() {
    let server = github(&[pull(9, "deployctl/prod", "Promote ranking to prod")]).await;
    Mock::given(method("GET"))
        .and(path(PULLS))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([])))
        .up_to_n_times(1)
        .with_priority(1)
        .mount(&server)
        .await;
    let taken = json!({
        "message": "Validation Failed",
        "errors": [{"message": "A pull request already exists for shop:deployctl/prod."}],
    });
    answers(&server, "POST", PULLS, opening(), (422, taken)).await;
    let opened = client(&server).open_or_update_pull_request(&wanted()).await.unwrap();
    assert_eq!((opened.number, opened.created), (9, false));
}
