//! An App: its proof, its installation, its token.

use deployctl::github::{Client, GithubError};
use deployctl::system::Environment;
use secrecy::ExposeSecret as _;

use super::Shop;
use crate::support::github::{TOKEN, app_key};

const SHA: &str = "6dcb09b5b57875f334f61aebed695e2e4193db5e";

#[tokio::test]
async fn an_app_gets_itself_a_token_once() {
    let (Some(shop), Some((pem, public))) = (Shop::start().await, app_key()) else { return };
    shop.github.hub().app = Some(public);
    let one_line = pem.replace('\n', "\\n");
    for key in [pem, one_line] {
        let variables =
            [("DEPLOYCTL_GITHUB_APP_ID", "1234"), ("DEPLOYCTL_GITHUB_APP_PRIVATE_KEY", &*key)];
        let client = shop.client_with(&variables);
        client.checks("shop", "manifests", SHA).await.unwrap();
        assert_eq!(
            shop.github.asked(),
            [
                "GET /repos/{owner}/{repo}/installation",
                "POST /app/installations/{installation_id}/access_tokens",
                "GET /repos/{owner}/{repo}/commits/{ref}/status",
                "GET /repos/{owner}/{repo}/commits/{ref}/check-runs",
            ]
        );
        let token = client.git_token("shop", "manifests").await.unwrap();
        assert_eq!(token.expose_secret(), TOKEN);
        let error = client.checks("shop", "elsewhere", SHA).await.unwrap_err();
        assert!(matches!(error, GithubError::NotInstalled { .. }), "{error}");
        assert!(!format!("{client:?} {error:?}").contains("PRIVATE KEY"));
        shop.github.asked();
    }
}

#[tokio::test]
async fn an_app_without_a_key_or_with_a_wrong_one_says_so() {
    let refused = |variables: &[(&str, &str)]| {
        let environment: Environment = variables.iter().copied().collect();
        Client::new(&environment).unwrap_err().to_string()
    };
    let id = ("DEPLOYCTL_GITHUB_APP_ID", "1234");
    let key = |text| ("DEPLOYCTL_GITHUB_APP_PRIVATE_KEY", text);
    assert!(refused(&[id]).ends_with("`DEPLOYCTL_GITHUB_APP_PRIVATE_KEY` is not"));
    assert!(refused(&[key("x")]).ends_with("`DEPLOYCTL_GITHUB_APP_ID` is not"));
    assert!(refused(&[id, key("/nowhere/key.pem")]).contains("can't read the file"));
    let broken = "-----BEGIN RSA PRIVATE KEY-----\nY2FuYXJ5\n-----END RSA PRIVATE KEY-----\n";
    let text = refused(&[id, key(broken)]);
    assert!(text.ends_with("holds no RSA private key in PEM"), "{text}");
}
