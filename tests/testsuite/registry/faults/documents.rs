//! Manifests, tags and referrers, with registries that do it their own way.

use deployctl::image::{Digest, Manifest};
use deployctl::registry::Registry as _;
use serde_json::json;
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, Request, ResponseTemplate};

use super::World;

#[tokio::test]
async fn tags_count_only_where_they_are_echoed() {
    let world = World::new().await;
    let (manifest, tags) = (document(), ["1", "1.4", "latest"].map(|tag| tag.parse().unwrap()));
    let taken = ResponseTemplate::new(201).append_header("oci-tag", "1, 1.4");
    Mock::given(method("PUT"))
        .and(path(format!("/v2/shop/web/manifests/{}", manifest.digest())))
        .and(|request: &Request| request.url.query() == Some("tag=1&tag=1.4&tag=latest"))
        .respond_with(taken)
        .expect(1)
        .mount(&world.server)
        .await;
    let one = Mock::given(method("PUT")).and(path("/v2/shop/web/manifests/latest"));
    one.respond_with(ResponseTemplate::new(201)).expect(1).mount(&world.server).await;
    world.remote.push_manifest(&world.name, &manifest, &tags).await.unwrap();
}

#[tokio::test]
async fn a_subject_that_the_registry_takes_note_of_needs_no_list() {
    let world = World::new().await;
    let image = Digest::of(b"image");
    let manifest = referrer(&image);
    let at = format!("/v2/shop/web/manifests/{}", manifest.digest());
    let noted = ResponseTemplate::new(201).insert_header("oci-subject", image.as_str());
    let put = Mock::given(method("PUT")).and(path(at)).respond_with(noted);
    put.expect(1).mount(&world.server).await;
    world.remote.push_manifest(&world.name, &manifest, &[]).await.unwrap();
    assert_eq!(world.server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_that_others_write_over_is_written_again() {
    let world = World::new().await;
    let image = Digest::of(b"image");
    let manifest = referrer(&image);
    let put = Mock::given(method("PUT")).respond_with(ResponseTemplate::new(201));
    put.with_priority(9).mount(&world.server).await;
    let list = format!("/v2/shop/web/manifests/sha256-{}", image.hex());
    let index = |entries: serde_json::Value, version: &str| {
        let text = json!({"schemaVersion": 2, "manifests": entries}).to_string();
        let answer = ResponseTemplate::new(200).insert_header("etag", version);
        answer.set_body_raw(text, "application/vnd.oci.image.index.v1+json")
    };
    let entry = json!({"digest": manifest.digest().as_str()});
    // Not there yet; then without the new entry, by somebody else's hand, twice; then with it.
    for (priority, answer) in [
        (1, ResponseTemplate::new(404)),
        (2, index(json!([]), "\"2\"")),
        (3, index(json!([]), "\"3\"")),
        (4, index(json!([entry]), "\"4\"")),
    ] {
        let once = Mock::given(method("GET")).and(path(&list)).respond_with(answer);
        once.up_to_n_times(1).with_priority(priority).expect(1).mount(&world.server).await;
    }
    let changed = Mock::given(method("PUT")).and(path(&list)).and(header("if-match", "\"2\""));
    let changed = changed.respond_with(ResponseTemplate::new(412)).expect(1);
    changed.with_priority(1).mount(&world.server).await;
    let again = Mock::given(method("PUT")).and(path(&list)).and(header("if-match", "\"3\""));
    let again = again.respond_with(ResponseTemplate::new(201)).expect(1);
    again.with_priority(1).mount(&world.server).await;
    world.remote.push_manifest(&world.name, &manifest, &[]).await.unwrap();
}

#[tokio::test]
async fn referrers_come_in_pages() {
    let world = World::new().await;
    let image = Digest::of(b"image");
    let at = format!("/v2/shop/web/referrers/{image}");
    let page = |text: &str| {
        let entry = json!({"mediaType": "m", "digest": Digest::of(text.as_bytes()).as_str(),
            "size": 1, "artifactType": "a/b+c"});
        ResponseTemplate::new(200).set_body_json(json!({"manifests": [entry]}))
    };
    let next = format!("<{at}?page=2>; rel=\"next\"");
    let first = Mock::given(method("GET")).and(path(&at)).and(query_param("artifactType", "a/b+c"));
    let first = first.respond_with(page("1").insert_header("link", next)).expect(1);
    first.mount(&world.server).await;
    let second = Mock::given(method("GET")).and(path(&at)).and(query_param("page", "2"));
    second.respond_with(page("2")).expect(1).mount(&world.server).await;
    let found = world.remote.referrers(&world.name, &image, Some("a/b+c")).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|found| found.digest).collect();
    assert_eq!(found, [Digest::of(b"1"), Digest::of(b"2")]);
}

/// A manifest without layers.
fn document() -> Manifest {
    manifest(json!({}))
}

/// A manifest that refers to `image`.
fn referrer(image: &Digest) -> Manifest {
    manifest(json!({"subject": {"mediaType": "m", "digest": image.as_str(), "size": 5}}))
}

fn manifest(mut text: serde_json::Value) -> Manifest {
    let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
    text["schemaVersion"] = 2.into();
    text["config"] = json!({"mediaType": "m", "digest": Digest::of(b"{}").as_str(), "size": 2});
    Manifest { media_type, bytes: text.to_string().into() }
}
