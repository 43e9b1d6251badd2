//! `registry doctor`: what is in the way of a push, and what to do about it.

use base64::Engine as _;
use serde_json::{Value, json};
use wiremock::matchers::{header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{Ran, RegistryServer, World, free_port};

const CANARY: &str = "canary-5b7e21d4";

fn world(domain: &str, password: Option<&str>) -> World {
    let world = World::new();
    let encoded =
        |password| base64::engine::general_purpose::STANDARD.encode(format!("ci:{password}"));
    let auths =
        password.map_or(json!({}), |password| json!({ domain: {"auth": encoded(password)} }));
    world.write("docker/config.json", &json!({ "auths": auths }).to_string());
    let folder = world.path().join("docker");
    world.with("DOCKER_CONFIG", folder.as_str())
}

fn examine(world: &World, repository: &str) -> Ran {
    let ran = world.run(&["registry", "doctor", repository]);
    assert!(!ran.stdout.contains(CANARY) && !ran.stderr.contains(CANARY), "{ran:#?}");
    ran
}

#[test]
fn a_registry_that_lets_push_is_healthy_and_keeps_nothing() {
    let Some(server) = RegistryServer::start_htpasswd("ci", CANARY) else { return };
    let world = world(server.domain(), Some(CANARY));
    let ran = examine(&world, &format!("{}/shop/web", server.domain()));
    assert_eq!(ran.code, 0, "{ran:#?}");
    for line in [
        "  ok   reach      `",
        "  ok   login      `ci`, from `",
        "  -    repository there is no `shop/web` yet",
        "  ok   push       an upload may be begun",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {ran:#?}");
    }
    assert_eq!(server.count_requests("\"DELETE /v2/shop/web/blobs/uploads/"), 1);
}

#[test]
fn a_login_that_is_missing_or_wrong_is_told_from_a_right_one() {
    let Some(server) = RegistryServer::start_htpasswd("ci", "the right one") else { return };
    let repository = format!("{}/shop/web", server.domain());
    let nobody = examine(&world(server.domain(), None), &repository);
    assert_eq!(nobody.code, 1, "{nobody:#?}");
    assert!(nobody.stdout.contains("FAIL login      no credentials in `"), "{nobody:#?}");
    let advice = format!("do         `docker login {}`", server.domain());
    assert!(nobody.stdout.contains(&advice), "{nobody:#?}");
    let wrong = examine(&world(server.domain(), Some(CANARY)), &repository);
    assert_eq!(wrong.code, 1, "{wrong:#?}");
    assert!(wrong.stdout.contains("FAIL login      `ci`, from `"), "{wrong:#?}");
    assert!(wrong.stdout.contains("are wrong or have run out; log in again"), "{wrong:#?}");
}

#[test]
fn a_registry_that_is_not_there_is_out_of_reach() {
    let domain = format!("127.0.0.1:{}", free_port());
    let ran = examine(&world(&domain, None), &format!("{domain}/web"));
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stdout.contains("FAIL reach      ") && ran.stdout.contains("NO_PROXY"), "{ran:#?}");
}

/// No registry to be had here refuses pushes alone, so a stand-in does, with a token of the
/// distribution project's kind.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_allows_pulls_only_is_read_out() {
    let server = MockServer::start().await;
    let domain = server.address().to_string();
    let claims =
        json!({"access": [{"type": "repository", "name": "shop/web", "actions": ["pull"]}]});
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims.to_string());
    let challenge = format!("Bearer realm=\"http://{domain}/token\",service=\"{domain}\"");
    let answer = |status| ResponseTemplate::new(status);
    let denied = json!({"errors": [{"code": "DENIED", "message": "requested access is denied"}]});
    for (verb, at, reply) in [
        (
            "GET",
            "/token",
            answer(200).set_body_json(json!({"token": format!("e30.{claims}.{CANARY}")})),
        ),
        ("GET", "/v2/", answer(200)),
        ("GET", "/v2/shop/web/tags/list", answer(200).set_body_json(json!({"tags": ["1"]}))),
        ("POST", "/v2/shop/web/blobs/uploads/", answer(403).set_body_json(denied)),
    ] {
        let mock = Mock::given(method(verb)).and(path(at));
        let mock = if at == "/token" { mock } else { mock.and(header_exists("authorization")) };
        mock.respond_with(reply).mount(&server).await;
    }
    let unauthorized = answer(401).insert_header("www-authenticate", challenge);
    Mock::given(wiremock::matchers::any()).respond_with(unauthorized).mount(&server).await;
    let world = world(&domain, Some(CANARY));
    let arguments = ["registry", "doctor", &format!("{domain}/shop/web"), "--output", "json"];
    let ran = world.run(&arguments);
    assert!(!ran.stdout.contains(CANARY), "{ran:#?}");
    assert_eq!(ran.code, 1, "{ran:#?}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&report["schema"], &report["healthy"]),
        (&json!("deployctl.dev/registry-doctor/v1"), &json!(false))
    );
    let findings = report["repositories"][0]["findings"].as_array().unwrap();
    let passed: Vec<&Value> = findings.iter().map(|finding| &finding["passed"]).collect();
    assert_eq!(passed, [true, true, true, false]);
    let says = findings[3]["says"].as_str().unwrap();
    assert!(
        says.contains("DENIED requested access") && says.ends_with("the token allows pull there"),
        "{says}"
    );
    assert_eq!(findings[3]["advice"], "give the account the right to push to `shop/web`");
}
