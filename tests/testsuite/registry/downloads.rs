//! A blob on its way out of the real registry, with one thing that goes wrong at a place of the test's
//! choice.

use deployctl::image::ImageName;
use deployctl::registry::{Registry as _, Remote, Tuning};
use deployctl::system::Environment;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use super::fault_proxy::{Fault, FaultProxy};
use super::{blob, hurried};
use crate::support::{RegistryServer, World};

/// How a download went.
struct Read {
    result: std::io::Result<Vec<u8>>,
    /// The requests for the blob after the token was there: what was asked for, and what went wrong.
    asked: Vec<String>,
}

fn content() -> Vec<u8> {
    (0..50_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect()
}

/// Reads a blob; `faults` come with its requests of those numbers.
async fn read(faults: &[(usize, Fault)]) -> Option<Read> {
    let server = RegistryServer::start_plain()?;
    let blob = blob(content());
    let there = ImageName::new(server.domain(), "base/os").unwrap();
    Remote::new(&Environment::default()).unwrap().push_blob(&there, &blob).await.unwrap();
    // Two requests come before the first: one without a token, and one for it.
    let faults: Vec<_> = faults.iter().map(|(number, fault)| ("GET", number + 2, *fault)).collect();
    let proxy = FaultProxy::scripted(server.domain(), &faults).await;
    let tuning = Tuning { chunk: 1 << 20, ..hurried() };
    let remote = Remote::with_tuning(&Environment::default(), tuning).unwrap();
    let name = ImageName::new(proxy.domain(), "base/os").unwrap();
    let mut bytes = Vec::new();
    let mut reader = remote.blob(&name, &blob.digest).await.unwrap();
    let result = reader.read_to_end(&mut bytes).await.map(|_| bytes);
    let at = format!("GET /v2/base/os/blobs/{} ", blob.digest);
    let journal = proxy.journal();
    let asked = journal.iter().filter_map(|line| Some(line.strip_prefix(&at)?.to_owned()));
    Some(Read { result, asked: asked.skip(1).collect() })
}

/// Returns the first bytes that the requests asked for; 0 is the whole blob.
fn places(asked: &[String]) -> Vec<u64> {
    let place = |line: &String| {
        let range = line.strip_prefix("bytes=").and_then(|rest| rest.split_once('-'));
        range.map_or(0, |(first, _)| first.parse().unwrap())
    };
    asked.iter().map(place).collect()
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_was() {
    let Some(read) = read(&[(1, Fault::Truncated), (2, Fault::Truncated)]).await else { return };
    assert!(read.result.unwrap() == content());
    let [0, first, second] = places(&read.asked)[..] else { panic!("{:?}", read.asked) };
    assert!(0 < first && first < second && second < 50_000, "{:?}", read.asked);
}

#[tokio::test]
async fn a_registry_that_is_busy_when_a_download_goes_on_is_asked_again() {
    let faults = [(1, Fault::Truncated), (2, Fault::Status(503)), (3, Fault::Expired)];
    let Some(read) = read(&faults).await else { return };
    assert!(read.result.unwrap() == content());
    let places = places(&read.asked);
    assert_eq!(places.len(), 4, "{:?}", read.asked);
    assert!(places[1] > 0 && places[1..].iter().all(|place| *place == places[1]), "{places:?}");
}

#[tokio::test]
async fn a_registry_that_sends_the_whole_again_is_read_on_from_the_same_place() {
    let Some(read) = read(&[(1, Fault::Truncated), (2, Fault::NoRange)]).await else { return };
    assert!(read.result.unwrap() == content());
    assert_eq!(read.asked.len(), 2, "{:?}", read.asked);
}

#[tokio::test]
async fn another_part_than_the_one_asked_for_is_not_taken() {
    for fault in [Fault::OtherRange, Fault::RangeRefused] {
        let Some(read) = read(&[(1, Fault::Truncated), (2, fault)]).await else { return };
        assert!(read.result.unwrap() == content());
        // The whole is asked for then.
        let places = places(&read.asked);
        assert!(places.len() == 3 && places[1] > 0 && places[2] == 0, "{:?}", read.asked);
    }
}

#[tokio::test]
async fn a_download_that_is_cut_too_often_is_given_up() {
    let cuts: Vec<_> = (1..9).map(|number| (number, Fault::Truncated)).collect();
    let Some(read) = read(&cuts).await else { return };
    let error = read.result.unwrap_err().to_string();
    assert!(error.ends_with("(`base/os`, tried 4 times)"), "{error}");
    assert_eq!(read.asked.len(), 4, "{:?}", read.asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_of_a_base_elsewhere_is_copied_though_it_is_cut() {
    let Some(there) = RegistryServer::start_plain() else { return };
    let Some(here) = RegistryServer::start_plain() else { return };
    let world = World::new();
    let config = |domain: &str, base: &str| {
        format!(
            "version: 1\nrecordInputs: false\nenvironments: {{}}\nservices:\n  web:\n    image: {domain}/shop/web\n    tag: content\n    build: {{context: web, {base}layers: [{{from: big, to: /srv}}]}}\n"
        )
    };
    // Hardly any of it can be compressed.
    world.write("web/big", &content().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    world.write("deployctl.yaml", &config(there.domain(), ""));
    world.ok(&["build", "--tag", "base"]);
    // The token, the manifest, the config; then the layer.
    let cut: Vec<_> = (4..6).map(|number| ("GET", number, Fault::Truncated)).collect();
    let proxy = FaultProxy::scripted(there.domain(), &cut).await;
    let base = format!("base: '{}/shop/web:base', ", proxy.domain());
    world.write("deployctl.yaml", &config(here.domain(), &base));
    world.write("web/big", "another\n");
    let told = tokio::task::spawn_blocking(move || world.ok(&["build", "--output", "json"]));
    let told: Value = serde_json::from_str(&told.await.unwrap()).unwrap();
    assert_eq!(told["images"][0]["layers"][0]["transfer"], "copied", "{told}");
    let journal = proxy.journal();
    assert_eq!(journal.iter().filter(|line| line.contains(" bytes=")).count(), 2, "{journal:?}");
}
