//! How a registry is reached: connections that are kept, certificates of its own, proxies.

use deployctl::image::{Digest, ImageName, ImageReference};
use deployctl::registry::{Registry as _, RegistryError, Remote, Resolver as _};
use deployctl::system::Environment;
use futures_util::StreamExt as _;
use wiremock::matchers::{header_exists, method};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::{blob, hurried, push_image};
use crate::support::RegistryServer;

/// Asks for the tags of so many services, as a build of all of them does.
async fn ask_all(remote: &Remote, domain: &str, services: usize) {
    let names = (0..services).map(|n| format!("{domain}/shop/s{n}:v1").parse::<ImageReference>());
    let asked = futures_util::stream::iter(names.map(Result::unwrap));
    let asked = asked.map(async |name| remote.resolve(&name).await.unwrap()).buffered(16);
    assert!(asked.collect::<Vec<_>>().await.into_iter().all(|found| found.is_none()));
}

#[tokio::test]
async fn fifty_services_are_asked_about_on_one_connection() {
    let Some(server) = RegistryServer::start_plain() else { return };
    let remote = Remote::new(&Environment::default()).unwrap();
    ask_all(&remote, server.domain(), 50).await;
    assert_eq!(server.count_requests("\"HEAD "), 50);
    assert_eq!(server.count_requests(" HTTP/"), 50);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn over_tls_they_are_asked_about_all_at_once_on_one_connection() {
    let Some(server) = RegistryServer::start_tls() else { return };
    let authority = server.authority();
    let environment = Environment::from_iter([("SSL_CERT_FILE", authority.to_str().unwrap())]);
    let remote = Remote::new(&environment).unwrap();
    ask_all(&remote, server.domain(), 50).await;
    assert_eq!(server.count_requests("HTTP/2.0"), 50);
    // A first one, over plain HTTP, finds out that the registry speaks TLS.
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn certificates_come_from_the_registrys_folder() {
    let Some(server) = RegistryServer::start_tls_for_clients() else { return };
    let name = ImageName::new(server.domain(), "shop/web").unwrap();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/docker/certs.d").join(server.domain());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(server.authority(), folder.join("ca.crt")).unwrap();
    let environment = Environment::from_iter([("HOME", home.path().to_str().unwrap())]);
    let nobody = Remote::with_tuning(&environment, hurried()).unwrap();
    let error = nobody.has_blob(&name, &Digest::of(b"x")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("ertificate"), "{error}");
    for file in ["client.cert", "client.key"] {
        std::fs::copy(server.authority().with_file_name(file), folder.join(file)).unwrap();
    }
    let known = Remote::new(&environment).unwrap();
    push_image(&known, &name, "v1").await;
}

#[tokio::test]
async fn a_proxy_is_asked_for_registries_that_are_not_on_this_machine() {
    let proxy = MockServer::start().await;
    let seen = |request: &Request| request.headers["host"] == "registry.example.com:5000";
    let found = ResponseTemplate::new(200)
        .insert_header("docker-content-digest", Digest::of(b"x").as_str());
    Mock::given(method("HEAD")).and(seen).respond_with(found).expect(1).mount(&proxy).await;
    let environment = Environment::from_iter([
        ("http_proxy", proxy.uri().as_str()),
        ("DEPLOYCTL_INSECURE_REGISTRIES", "registry.example.com:5000"),
    ]);
    let remote = Remote::with_tuning(&environment, hurried()).unwrap();
    let reference = "registry.example.com:5000/shop/web:v1".parse().unwrap();
    assert_eq!(remote.resolve(&reference).await.unwrap(), Some(Digest::of(b"x")));
    let Some(server) = RegistryServer::start_plain() else { return };
    ask_all(&remote, server.domain(), 1).await;
}

#[tokio::test]
async fn each_cloud_is_logged_in_to_by_its_helper() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    for (helper, user) in [
        ("ecr-login", "AWS"),
        ("gcloud", "oauth2accesstoken"),
        ("acr-env", "<token>"),
        ("gh", "me"),
    ] {
        let program = home.path().join(format!("docker-credential-{helper}"));
        let script = format!(
            "#!/bin/sh\nread -r server\n[ \"$1 $server\" = \"get $EXPECTED\" ] || exit 1\n\
             echo '{{\"Username\":\"{user}\",\"Secret\":\"s\"}}'\n"
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    for (helper, basic) in [("ecr-login", true), ("gcloud", true), ("acr-env", false), ("gh", true)]
    {
        let server = MockServer::start().await;
        let domain = server.address().to_string();
        let challenge = format!("Bearer realm=\"{}/oauth2/token\",service=\"x\"", server.uri());
        let challenge = if basic { "Basic realm=x".to_owned() } else { challenge };
        let asks = ResponseTemplate::new(401).insert_header("www-authenticate", challenge);
        Mock::given(method("HEAD"))
            .respond_with(asks)
            .up_to_n_times(1)
            .expect(1)
            .mount(&server)
            .await;
        let token =
            ResponseTemplate::new(200).set_body_json(serde_json::json!({"access_token": "t"}));
        let exchanges = Mock::given(method("POST")).respond_with(token);
        exchanges.expect(u64::from(!basic)).mount(&server).await;
        let in_now = Mock::given(method("HEAD")).and(header_exists("authorization"));
        in_now.respond_with(ResponseTemplate::new(404)).expect(1).mount(&server).await;
        let config = serde_json::json!({"credHelpers": {&domain: helper}, "credsStore": "nobody"});
        std::fs::write(home.path().join("config.json"), config.to_string()).unwrap();
        let folder = home.path().to_str().unwrap();
        let path = format!("{folder}:/usr/bin:/bin");
        let environment = [("DOCKER_CONFIG", folder), ("PATH", &path), ("EXPECTED", &domain)];
        let remote = Remote::with_tuning(&Environment::from_iter(environment), hurried()).unwrap();
        let name = ImageName::new(&domain, "shop/web").unwrap();
        assert!(!remote.has_blob(&name, &blob(b"x".to_vec()).digest).await.unwrap(), "{helper}");
    }
}
