//! Registries that do what the real one here does not: tokens, redirects, failures, lies.

mod documents;

use std::time::Duration;

use deployctl::image::{BlobContent, Digest, ImageName, ImageReference};
use deployctl::registry::{Registry, RegistryError, Remote, Resolver, Tuning};
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use wiremock::matchers::{basic_auth, header, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::{CANARY, Login, blob, hurried};

struct World {
    server: MockServer,
    domain: String,
    name: ImageName,
    home: Login,
    remote: Remote,
}

impl World {
    async fn new() -> Self {
        let server = MockServer::start().await;
        let domain = server.address().to_string();
        let home = Login::new(&domain, "ci", CANARY);
        let remote = Remote::with_tuning(&home.environment(), hurried()).unwrap();
        let name = ImageName::new(&domain, "shop/web").unwrap();
        Self { server, domain, name, home, remote }
    }

    fn tagged(&self) -> ImageReference {
        format!("{}:v1", self.name).parse().unwrap()
    }

    /// Makes the registry answer a HEAD of the tag, if it has the right token.
    async fn tag_for(&self, token: &str, times: u64) {
        Mock::given(method("HEAD"))
            .and(path("/v2/shop/web/manifests/v1"))
            .and(header("authorization", format!("Bearer {token}")))
            .respond_with(found(&Digest::of(b"x")))
            .up_to_n_times(times)
            .with_priority(1)
            .mount(&self.server)
            .await;
    }

    async fn wants_token(&self) {
        let realm = format!("Bearer realm=\"{}/token\",service=\"test\"", self.server.uri());
        let answer = ResponseTemplate::new(401).insert_header("www-authenticate", realm);
        Mock::given(|request: &Request| request.url.path().starts_with("/v2/"))
            .respond_with(answer)
            .with_priority(9)
            .mount(&self.server)
            .await;
    }

    async fn gives_token(&self, token: &str) {
        Mock::given(method("GET"))
            .and(path("/token"))
            .and(query_param("service", "test"))
            .and(query_param("scope", "repository:shop/web:pull"))
            .and(basic_auth("ci", CANARY))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"token": token})))
            .up_to_n_times(1)
            .expect(1)
            .mount(&self.server)
            .await;
    }

    async fn answers(&self, verb: &str, at: &str, answer: ResponseTemplate) {
        Mock::given(method(verb)).and(path(at)).respond_with(answer).mount(&self.server).await;
    }
}

fn found(digest: &Digest) -> ResponseTemplate {
    ResponseTemplate::new(200).insert_header("docker-content-digest", digest.as_str())
}

#[tokio::test]
async fn a_token_is_fetched_once_and_again_when_it_has_run_out() {
    let world = World::new().await;
    world.wants_token().await;
    world.gives_token("one").await;
    world.tag_for("one", 2).await;
    world.gives_token("two").await;
    world.tag_for("two", 1).await;
    for _ in 0..3 {
        let digest = world.remote.resolve(&world.tagged()).await.unwrap();
        assert_eq!(digest, Some(Digest::of(b"x")));
    }
}

#[tokio::test]
async fn a_refused_token_is_a_refused_login() {
    let world = World::new().await;
    world.wants_token().await;
    let echo = format!("ci:{CANARY} and {} are wrong", world.home.encoded);
    world.answers("GET", "/token", ResponseTemplate::new(401).set_body_string(echo)).await;
    let error = world.remote.resolve(&world.tagged()).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(matches!(error, RegistryError::Denied { .. }), "{text}");
    assert!(
        text.contains(&world.home.file()) && text.contains("ci:*** and *** are wrong"),
        "{text}"
    );
    assert!(!text.contains(CANARY) && !text.contains(&world.home.encoded), "{text}");
}

#[tokio::test]
async fn a_plain_registry_that_complains_is_not_asked_over_tls() {
    let world = World::new().await;
    let errors = json!({"errors": [{"code": "TAG_INVALID", "message": "no"}]});
    let answer = ResponseTemplate::new(400).set_body_json(errors);
    world.answers("GET", "/v2/shop/web/manifests/v1", answer).await;
    let error = world.remote.manifest(&world.tagged()).await.unwrap_err().to_string();
    assert!(error.ends_with("answered: 400 Bad Request: TAG_INVALID no (`shop/web`)"), "{error}");
}

#[tokio::test]
async fn a_busy_registry_is_asked_again() {
    let world = World::new().await;
    let at = "/v2/shop/web/manifests/v1";
    for status in [503, 429] {
        let busy = ResponseTemplate::new(status).insert_header("retry-after", "0");
        let mock = Mock::given(method("HEAD")).and(path(at)).respond_with(busy);
        mock.up_to_n_times(1).with_priority(1).expect(1).mount(&world.server).await;
    }
    world.answers("HEAD", at, found(&Digest::of(b"x"))).await;
    let digest = world.remote.resolve(&world.tagged()).await.unwrap();
    assert_eq!(digest, Some(Digest::of(b"x")));
}

#[tokio::test]
async fn a_broken_registry_is_asked_four_times() {
    let world = World::new().await;
    let answer = ResponseTemplate::new(500).set_body_json(json!({"errors": [
        {"code": "UNKNOWN", "message": "the disk is full"}]}));
    let mock = Mock::given(method("GET")).respond_with(answer);
    mock.expect(4).mount(&world.server).await;
    let error = world.remote.manifest(&world.tagged()).await.unwrap_err().to_string();
    let domain = &world.domain;
    let words = "500 Internal Server Error: UNKNOWN the disk is full";
    let tried = "(`shop/web`, tried 4 times)";
    assert_eq!(error, format!("registry `{domain}` answered: {words} {tried}"));
}

#[tokio::test]
async fn a_registry_that_wants_a_long_rest_is_not_asked_again() {
    let world = World::new().await;
    let busy = ResponseTemplate::new(429)
        .insert_header("retry-after", "7200")
        .insert_header("ratelimit-limit", "100;w=21600")
        .insert_header("ratelimit-remaining", "0;w=21600")
        .set_body_json(json!({"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}));
    let mock = Mock::given(method("GET")).respond_with(busy);
    mock.expect(1).mount(&world.server).await;
    let error = world.remote.manifest(&world.tagged()).await.unwrap_err().to_string();
    let expected = "429 Too Many Requests: TOOMANYREQUESTS slow down; 0 of 100 pulls in 6 hours are \
                    left; a login raises the limit (`shop/web`)";
    assert!(error.ends_with(expected), "{error}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_to_an_end_is_given_up() {
    let mut world = World::new().await;
    let hurried = Tuning { answer: Duration::from_millis(50), ..hurried() };
    world.remote = Remote::with_tuning(&world.home.environment(), hurried).unwrap();
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
    world.answers("HEAD", "/v2/shop/web/manifests/v1", slow).await;
    let error = world.remote.resolve(&world.tagged()).await.unwrap_err().to_string();
    assert!(error.ends_with("no answer in time (`shop/web`, tried 4 times)"), "{error}");
}

#[tokio::test]
async fn what_is_sent_may_take_longer_than_an_answer() {
    let mut world = World::new().await;
    // At this rate the blob may take a minute and the answer to it a moment.
    let hurried = Tuning { answer: Duration::from_millis(50), slowest: 1, tries: 1, ..hurried() };
    world.remote = Remote::with_tuning(&world.home.environment(), hurried).unwrap();
    let slow = ResponseTemplate::new(201).set_delay(Duration::from_millis(200));
    world.answers("POST", "/v2/shop/web/blobs/uploads/", slow).await;
    world.remote.push_blob(&world.name, &blob(vec![0; 60])).await.unwrap();
}

#[tokio::test]
async fn everything_has_a_deadline() {
    let mut world = World::new().await;
    let hurried = Tuning {
        tries: 1000,
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(20),
        deadline: Duration::from_millis(150),
        ..hurried()
    };
    world.remote = Remote::with_tuning(&world.home.environment(), hurried).unwrap();
    world.answers("HEAD", "/v2/shop/web/manifests/v1", ResponseTemplate::new(503)).await;
    let error = world.remote.resolve(&world.tagged()).await.unwrap_err().to_string();
    assert!(error.contains("503 Service Unavailable") && error.contains("tried"), "{error}");
}

#[tokio::test]
async fn a_refused_head_is_asked_as_a_get() {
    let world = World::new().await;
    let at = "/v2/shop/web/manifests/v1";
    world.answers("HEAD", at, ResponseTemplate::new(403)).await;
    let missing = Mock::given(method("GET")).and(path(at)).respond_with(ResponseTemplate::new(404));
    missing.up_to_n_times(1).mount(&world.server).await;
    assert_eq!(world.remote.resolve(&world.tagged()).await.unwrap(), None);
    let errors = json!({"errors": [{"code": "DENIED", "message": "not yours"}]});
    world.answers("GET", at, ResponseTemplate::new(403).set_body_json(errors)).await;
    let error = world.remote.resolve(&world.tagged()).await.unwrap_err();
    assert!(matches!(error, RegistryError::Denied { .. }), "{error:?}");
    assert!(error.to_string().contains("DENIED not yours"), "{error}");
}

#[tokio::test]
async fn many_that_need_the_same_token_fetch_it_once() {
    let world = World::new().await;
    world.wants_token().await;
    world.gives_token("one").await;
    world.tag_for("one", 100).await;
    let tagged = world.tagged();
    let asked = (0..12).map(|_| world.remote.resolve(&tagged));
    for found in futures_util::future::join_all(asked).await {
        assert_eq!(found.unwrap(), Some(Digest::of(b"x")));
    }
}

#[tokio::test]
async fn a_token_for_a_mount_is_asked_with_the_push_first_and_serves_the_push() {
    let world = World::new().await;
    world.wants_token().await;
    let mounts = |request: &Request| {
        let pairs: Vec<_> = request.url.query_pairs().filter(|(key, _)| key == "scope").collect();
        let scopes: Vec<_> = pairs.iter().map(|(_, scope)| scope.as_ref()).collect();
        scopes == ["repository:shop/web:pull,push", "repository:base/os:pull"]
    };
    Mock::given(method("GET"))
        .and(path("/token"))
        .and(mounts)
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"token": "t"})))
        .expect(1)
        .mount(&world.server)
        .await;
    let let_in = || header("authorization", "Bearer t");
    let location = ResponseTemplate::new(202).insert_header("location", "/v2/upload/1");
    Mock::given(method("POST")).and(let_in()).respond_with(location).mount(&world.server).await;
    let taken = Mock::given(method("PUT")).and(let_in()).respond_with(ResponseTemplate::new(201));
    taken.mount(&world.server).await;
    let (from, blob) = (ImageName::new(&world.domain, "base/os").unwrap(), blob(b"x".to_vec()));
    assert!(!world.remote.mount_blob(&world.name, &blob.digest, &from).await.unwrap());
    world.remote.push_blob(&world.name, &blob).await.unwrap();
}

#[tokio::test]
async fn another_host_gets_no_credentials() {
    let (world, elsewhere) = (World::new().await, MockServer::start().await);
    let challenge = ResponseTemplate::new(401).insert_header("www-authenticate", "Basic realm=x");
    Mock::given(|request: &Request| !request.headers.contains_key("authorization"))
        .respond_with(challenge)
        .with_priority(1)
        .mount(&world.server)
        .await;
    let blob = blob(b"a layer".to_vec());
    let stored = format!("{}/store?signature=1", elsewhere.uri());
    let uploads = "/v2/shop/web/blobs/uploads/";
    let location = ResponseTemplate::new(202).insert_header("location", stored.as_str());
    world.answers("POST", uploads, location).await;
    let at = format!("/v2/shop/web/blobs/{}", blob.digest);
    let redirect = ResponseTemplate::new(307).insert_header("location", stored.as_str());
    world.answers("GET", &at, redirect).await;
    for (verb, answer) in [
        ("PUT", ResponseTemplate::new(201)),
        ("GET", ResponseTemplate::new(200).set_body_bytes("a layer")),
    ] {
        Mock::given(method(verb))
            .and(path("/store"))
            .and(query_param("signature", "1"))
            .and(|request: &Request| !request.headers.contains_key("authorization"))
            .respond_with(answer)
            .expect(1)
            .mount(&elsewhere)
            .await;
    }
    world.remote.push_blob(&world.name, &blob).await.unwrap();
    let mut text = String::new();
    let mut reader = world.remote.blob(&world.name, &blob.digest).await.unwrap();
    reader.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "a layer");
}

#[tokio::test]
async fn an_upload_that_the_registry_forgot_begins_anew() {
    let world = World::new().await;
    let location = ResponseTemplate::new(202).insert_header("location", "/upload/1?_state=a%2Bb");
    let mock = Mock::given(method("POST")).respond_with(location);
    mock.expect(2).mount(&world.server).await;
    let blob = blob(b"a layer".to_vec());
    for (status, priority) in [(404, 1), (201, 2)] {
        Mock::given(method("PUT"))
            .and(path("/upload/1"))
            .and(query_param("_state", "a+b"))
            .and(query_param("digest", blob.digest.as_str()))
            .respond_with(ResponseTemplate::new(status))
            .up_to_n_times(1)
            .with_priority(priority)
            .expect(1)
            .mount(&world.server)
            .await;
    }
    world.remote.push_blob(&world.name, &blob).await.unwrap();
}

#[tokio::test]
async fn bytes_that_are_not_what_was_asked_for_are_refused() {
    let world = World::new().await;
    let (asked, other) = (Digest::of(b"asked"), Digest::of(b"other"));
    let manifest = format!("/v2/shop/web/manifests/{asked}");
    world.answers("GET", &manifest, ResponseTemplate::new(200).set_body_bytes("other")).await;
    world.answers("HEAD", &manifest, found(&other)).await;
    let blob = format!("/v2/shop/web/blobs/{asked}");
    world.answers("GET", &blob, ResponseTemplate::new(200).set_body_bytes("other")).await;
    let pinned = format!("{}@{asked}", world.name).parse::<ImageReference>().unwrap();
    for error in [
        world.remote.manifest(&pinned).await.unwrap_err(),
        world.remote.resolve(&pinned).await.unwrap_err(),
    ] {
        let RegistryError::Corrupt { expected, found } = &error else { panic!("{error:?}") };
        assert_eq!((expected, found), (&asked, &other));
    }
    let mut reader = world.remote.blob(&world.name, &asked).await.unwrap();
    let error = reader.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn answers_have_an_end() {
    let world = World::new().await;
    let at = "/v2/shop/web/manifests/v1";
    let long = ResponseTemplate::new(200).set_body_bytes(vec![b' '; (4 << 20) + 1]);
    world.answers("GET", at, long).await;
    world.answers("HEAD", at, ResponseTemplate::new(302).insert_header("location", at)).await;
    let error = world.remote.manifest(&world.tagged()).await.unwrap_err().to_string();
    assert!(error.contains("longer than 4194304 bytes"), "{error}");
    let error = world.remote.resolve(&world.tagged()).await.unwrap_err().to_string();
    assert!(error.contains("without end"), "{error}");
}

#[tokio::test]
async fn an_upload_that_takes_the_place_of_a_mount_is_used() {
    let world = World::new().await;
    let blob = blob(b"x".to_vec());
    let location = ResponseTemplate::new(202).insert_header("location", "/upload/1");
    Mock::given(method("POST"))
        .and(query_param("mount", blob.digest.as_str()))
        .and(query_param("from", "base/os"))
        .respond_with(location)
        .expect(1)
        .mount(&world.server)
        .await;
    Mock::given(method("PUT"))
        .and(path("/upload/1"))
        .and(query_param("digest", blob.digest.as_str()))
        .respond_with(ResponseTemplate::new(201))
        .expect(1)
        .mount(&world.server)
        .await;
    let foreign = ImageName::new("registry.example.com", "base/os").unwrap();
    let mounted = world.remote.mount_blob(&world.name, &blob.digest, &foreign).await;
    assert!(!mounted.unwrap());
    let from = ImageName::new(&world.domain, "base/os").unwrap();
    assert!(!world.remote.mount_blob(&world.name, &blob.digest, &from).await.unwrap());
    world.remote.push_blob(&world.name, &blob).await.unwrap();
    assert!(world.remote.mount_blob(&world.name, &blob.digest, &from).await.unwrap());
}

#[tokio::test]
async fn a_small_blob_goes_out_with_one_request_where_that_is_taken() {
    let world = World::new().await;
    let uploads = "/v2/shop/web/blobs/uploads/";
    let blobs = [blob(b"one".to_vec()), blob(b"two".to_vec())];
    for blob in &blobs {
        Mock::given(method("POST"))
            .and(path(uploads))
            .and(query_param("digest", blob.digest.as_str()))
            .respond_with(ResponseTemplate::new(201))
            .expect(1)
            .mount(&world.server)
            .await;
        world.remote.push_blob(&world.name, blob).await.unwrap();
    }
}

#[tokio::test]
async fn a_registry_that_refuses_a_post_with_a_blob_is_asked_without() {
    let world = World::new().await;
    let uploads = "/v2/shop/web/blobs/uploads/";
    let refused = Mock::given(method("POST")).and(|request: &Request| !request.body.is_empty());
    let refused = refused.respond_with(ResponseTemplate::new(405)).with_priority(1);
    refused.expect(1).mount(&world.server).await;
    let location = ResponseTemplate::new(202).insert_header("location", "/upload/1");
    let begun = Mock::given(method("POST")).and(path(uploads)).respond_with(location);
    begun.expect(2).mount(&world.server).await;
    world.answers("PUT", "/upload/1", ResponseTemplate::new(201)).await;
    for text in ["one", "two"] {
        world.remote.push_blob(&world.name, &blob(text.into())).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_shrank_is_not_pushed() {
    let world = World::new().await;
    let location = ResponseTemplate::new(202).insert_header("location", "/upload/1");
    world.answers("POST", "/v2/shop/web/blobs/uploads/", location).await;
    world.answers("PUT", "/upload/1", ResponseTemplate::new(201)).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("layer");
    std::fs::write(&file, b"short").unwrap();
    let mut blob = blob(b"much longer".to_vec());
    blob.content = BlobContent::File(file.try_into().unwrap());
    let error = world.remote.push_blob(&world.name, &blob).await.unwrap_err();
    assert!(matches!(error, RegistryError::Corrupt { .. }), "{error:?}");
}
