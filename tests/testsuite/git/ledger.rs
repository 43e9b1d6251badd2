//! Ledgers: references beside the branches, on real remotes.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use deployctl::git::{Commit, GitError, Ledgers, message};
use jiff::Timestamp;

use super::{Client, me};
use crate::support::git_server::{GitServer, HttpGitServer};

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

const WEB: &str = "verified/prod/web";

async fn ledgers(remote: impl AsRef<str>) -> (Client, Ledgers) {
    let client = Client::of(remote).await;
    let ledgers = client.repository.ledgers();
    (client, ledgers)
}

/// Appends an entry called `subject` to each of `names`.
async fn append(ledgers: &Ledgers, names: &[&str], subject: &str) -> Result<Vec<String>, GitError> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let entry = |_: &str, _: Option<&Commit>| Some(message(subject, "", &[("Deployctl-X", "y")]));
    ledgers.append(&names, &me(), now(), &entry).await
}

async fn newest(ledgers: &Ledgers, names: &[&str]) -> BTreeMap<String, String> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let newest = ledgers.newest(&names).await.unwrap();
    newest.into_iter().map(|(name, commit)| (name, commit.subject().to_owned())).collect()
}

/// Returns the subjects of a ledger's entries, newest first.
async fn walk(ledgers: &Ledgers, name: &str) -> Vec<String> {
    let tips = ledgers.newest(&[name.to_owned()]).await.unwrap();
    let mut subjects = Vec::new();
    let visit = |entry: &Commit| {
        subjects.push(entry.subject().to_owned());
        ControlFlow::<()>::Continue(())
    };
    ledgers.walk(&tips[name].id, visit).await.unwrap();
    subjects
}

async fn is_a_ledger(remote: &str, server: &GitServer) {
    let (_one, ours) = ledgers(remote).await;
    let (_two, theirs) = ledgers(remote).await;
    assert_eq!(newest(&ours, &[WEB, "holds/"]).await, BTreeMap::new());
    append(&ours, &[WEB, "verified/prod/web-2"], "first").await.unwrap();
    append(&theirs, &[WEB], "second").await.unwrap();
    let found = newest(&ours, &[WEB]).await;
    assert_eq!(found, BTreeMap::from([(WEB.to_owned(), "second".to_owned())]));
    assert_eq!(newest(&ours, &["verified/prod/"]).await.len(), 2);
    assert_eq!(newest(&ours, &["verified/prod/we", "verified/dev/"]).await.len(), 0);
    let (_three, third) = ledgers(remote).await;
    assert_eq!(walk(&third, WEB).await, ["second", "first"]);
    let listed = server.git(&["log", "--format=%s %T", &format!("refs/deployctl/{WEB}")]);
    let empty = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    assert_eq!(listed, format!("second {empty}\nfirst {empty}\n"));
    // What is taken away from the remote is forgotten.
    server.git(&["update-ref", "-d", &format!("refs/deployctl/{WEB}")]);
    assert_eq!(newest(&ours, &[WEB]).await, BTreeMap::new());
    server.git(&["fsck", "--strict"]);
}

#[tokio::test]
async fn in_a_folder() {
    let server = GitServer::bare(&[]);
    is_a_ledger(server.path().as_str(), &server).await;
}

#[tokio::test]
async fn behind_http() {
    let Some(server) = HttpGitServer::start("x-access-token", "token") else { return };
    let url = server.url().replace("http://", "http://x-access-token@");
    let client = Client::with(url, &[("DEPLOYCTL_GIT_TOKEN", "token")]).await.unwrap();
    let ledgers = client.repository.ledgers();
    append(&ledgers, &[WEB], "first").await.unwrap();
    append(&ledgers, &[WEB], "second").await.unwrap();
    assert_eq!(walk(&ledgers, WEB).await, ["second", "first"]);
    server.repository.git(&["fsck", "--strict"]);
}

#[tokio::test]
async fn a_long_ledger_is_read_to_its_end() {
    let server = GitServer::bare(&[]);
    let tree = server.git(&["hash-object", "-t", "tree", "-w", "/dev/null"]);
    let mut parent = String::new();
    for number in 0..70 {
        let subject = number.to_string();
        let mut arguments = vec!["commit-tree", tree.trim(), "-m", &subject];
        if number > 0 {
            arguments.extend(["-p", parent.trim()]);
        }
        parent = server.git(&arguments);
    }
    server.git(&["update-ref", &format!("refs/deployctl/{WEB}"), parent.trim()]);
    let (_client, theirs) = ledgers(format!("file://{}", server.path())).await;
    let entries = walk(&theirs, WEB).await;
    assert_eq!((entries.len(), entries[69].as_str()), (70, "0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_at_the_same_time_all_append_once() {
    let server = GitServer::bare(&[]);
    let tasks = (0..4).map(|writer: usize| {
        let remote = server.path();
        tokio::spawn(async move {
            let (_client, ledgers) = ledgers(remote).await;
            for number in 0..3 {
                append(&ledgers, &[WEB], &format!("{writer}-{number}")).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let (_client, ledgers) = ledgers(server.path()).await;
    let mut entries = walk(&ledgers, WEB).await;
    entries.sort();
    entries.dedup();
    assert_eq!(entries.len(), 12);
}

#[tokio::test]
async fn an_entry_that_is_not_needed_is_not_written() {
    let server = GitServer::bare(&[]);
    let (_client, ledgers) = ledgers(server.path()).await;
    append(&ledgers, &[WEB], "first").await.unwrap();
    let none = |_: &str, newest: Option<&Commit>| {
        assert_eq!(newest.unwrap().subject(), "first");
        None
    };
    let appended = ledgers.append(&[WEB.to_owned()], &me(), now(), &none).await.unwrap();
    assert_eq!(appended, [""; 0]);
}

#[tokio::test]
async fn a_server_that_wants_no_such_references_is_heard() {
    let server = GitServer::bare(&[]);
    server.hook("grep -q refs/deployctl && { echo 'branches only, please' >&2; exit 1; }; exit 0");
    let (_client, ledgers) = ledgers(server.path()).await;
    let error = append(&ledgers, &[WEB], "first").await.unwrap_err().to_string();
    assert!(error.contains("refused the push to `refs/deployctl/verified/prod/web`"), "{error}");
    assert!(error.contains("branches only, please"), "{error}");
    assert_eq!(newest(&ledgers, &[WEB]).await, BTreeMap::new());
}
