//! A large blob on its way to the real registry, with one thing that goes wrong at a place of the
//! test's choice.

use deployctl::image::{Blob, BlobContent, ImageName};
use deployctl::registry::{Registry as _, RegistryError, Remote, Tuning};
use deployctl::system::Environment;

use super::fault_proxy::{Fault, FaultProxy};
use super::{blob, hurried};
use crate::support::RegistryServer;

/// How a push went.
struct Pushed {
    result: Result<(), RegistryError>,
    /// Whether the registry has the blob, whose digest it has compared.
    is_whole: bool,
    journal: Vec<String>,
}

impl Pushed {
    fn count(&self, verb: &str) -> usize {
        self.journal.iter().filter(|line| line.starts_with(verb)).count()
    }
}

/// Pushes a blob of five chunks; `faults` come with the requests of those methods and numbers.
async fn push(faults: &[(&'static str, usize, Fault)]) -> Option<Pushed> {
    let server = RegistryServer::start_plain()?;
    let proxy = FaultProxy::scripted(server.domain(), faults).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layer");
    let bytes: Vec<u8> = (0..50_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    std::fs::write(&path, &bytes).unwrap();
    let blob = Blob { content: BlobContent::File(path.try_into().unwrap()), ..blob(bytes) };
    let tuning = Tuning { whole_up_to: 20_000, chunk: 10_000, ..hurried() };
    let remote = Remote::with_tuning(&Environment::default(), tuning).unwrap();
    let name = ImageName::new(proxy.domain(), "shop/web").unwrap();
    let result = remote.push_blob(&name, &blob).await;
    let there = ImageName::new(server.domain(), "shop/web").unwrap();
    let clean = Remote::new(&Environment::default()).unwrap();
    let is_whole = clean.has_blob(&there, &blob.digest).await.unwrap();
    Some(Pushed { result, is_whole, journal: proxy.journal() })
}

#[tokio::test]
async fn a_large_blob_goes_in_chunks() {
    let Some(pushed) = push(&[]).await else { return };
    pushed.result.as_ref().unwrap();
    assert!(pushed.is_whole);
    assert_eq!(["POST", "PATCH", "PUT"].map(|verb| pushed.count(verb)), [2, 5, 1]);
}

#[tokio::test]
async fn a_cut_upload_goes_on_where_the_registry_is() {
    let Some(pushed) = push(&[("PATCH", 3, Fault::CutAndKept)]).await else { return };
    pushed.result.as_ref().unwrap();
    assert!(pushed.is_whole);
    // One upload: a challenge and a start. The chunk that was cut, and the one from there on.
    assert_eq!(["POST", "PUT"].map(|verb| pushed.count(verb)), [2, 1]);
    assert_eq!(pushed.count("GET /v2/shop/web/blobs/uploads/"), 1);
    assert_eq!(pushed.count("PATCH"), 6);
}

#[tokio::test]
async fn an_upload_that_was_never_reached_goes_on() {
    let Some(pushed) = push(&[("PATCH", 2, Fault::Reset), ("PATCH", 4, Fault::OutOfStep)]).await
    else {
        return;
    };
    pushed.result.as_ref().unwrap();
    assert!(pushed.is_whole);
    assert_eq!(["POST", "PATCH", "PUT"].map(|verb| pushed.count(verb)), [2, 7, 1]);
}

#[tokio::test]
async fn an_upload_that_the_registry_lost_begins_anew() {
    // The real registry forgets an upload whose chunk was cut.
    let Some(pushed) = push(&[("PATCH", 3, Fault::Cut)]).await else { return };
    pushed.result.as_ref().unwrap();
    assert!(pushed.is_whole);
    assert!(pushed.count("POST") > 2 && pushed.count("PATCH") > 5, "{:?}", pushed.journal);
}

#[tokio::test]
async fn a_registry_that_says_it_has_more_than_was_sent_is_not_believed() {
    let Some(pushed) = push(&[("PATCH", 2, Fault::TooMuch)]).await else { return };
    pushed.result.as_ref().unwrap();
    assert!(pushed.is_whole);
    assert_eq!(["POST", "PATCH", "PUT"].map(|verb| pushed.count(verb)), [3, 7, 1]);
}

#[tokio::test]
async fn a_token_that_runs_out_between_chunks_is_fetched_once() {
    let Some(pushed) = push(&[("PATCH", 3, Fault::Expired)]).await else { return };
    pushed.result.as_ref().unwrap();
    assert!(pushed.is_whole);
    assert_eq!([pushed.count("GET /token"), pushed.count("PATCH")], [2, 6]);
}

#[tokio::test]
async fn a_lost_last_answer_does_not_send_the_blob_again() {
    let Some(pushed) = push(&[("PUT", 1, Fault::Lost)]).await else { return };
    pushed.result.as_ref().unwrap();
    assert!(pushed.is_whole);
    assert_eq!(["POST", "PATCH", "HEAD"].map(|verb| pushed.count(verb)), [2, 5, 1]);
}

#[tokio::test]
async fn a_registry_that_takes_no_chunks_gets_the_blob_whole() {
    let Some(pushed) = push(&[("PATCH", 1, Fault::Status(405))]).await else { return };
    pushed.result.as_ref().unwrap();
    assert!(pushed.is_whole);
    assert_eq!(["PATCH", "PUT"].map(|verb| pushed.count(verb)), [1, 1]);
}

#[tokio::test]
async fn a_registry_may_want_larger_chunks() {
    let Some(pushed) = push(&[("POST", 2, Fault::ChunkMinLength)]).await else { return };
    pushed.result.as_ref().unwrap();
    assert!(pushed.is_whole);
    assert_eq!(pushed.count("PATCH"), 2);
}
