//! Many writers on one branch.

use std::time::Duration;

use camino::Utf8PathBuf;
use deployctl::git::{Push, Repository};
use tempfile::TempDir;

use super::{caches, change};
use crate::support::git_server::{GitServer, world};

/// Writes one file, again and again until it has landed.
async fn write(repository: &Repository, path: &str, writer: usize) {
    for attempt in 0..200_u64 {
        let tip = repository.fetch(Some("main")).await.unwrap();
        let commit = change(repository, &tip, path, "landed\n");
        if repository.push(&commit, "main", Some(&tip)).await.unwrap() == Push::Pushed {
            return;
        }
        // Spread without a random number, so that a failure repeats itself.
        let pause = (attempt * 37 + writer as u64 * 101) % 150;
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    panic!("{path} has not landed");
}

async fn all_land(writers: usize, changes: usize, shared: bool) {
    let server = GitServer::bare(&[("README.md", "manifests\n")]);
    let homes: Vec<TempDir> = (0..writers).map(|_| TempDir::new().unwrap()).collect();
    let tasks = (0..writers).map(|writer| {
        let home = &homes[if shared { 0 } else { writer }];
        let (remote, caches, environment) = (server.path(), caches(home), world(home.path(), &[]));
        tokio::spawn(async move {
            let opened = Repository::open(remote.as_str(), &caches, &environment).await.unwrap();
            for number in 0..changes {
                write(&opened, &format!("apps/{writer}-{number}"), writer).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let listed = server.git(&["ls-tree", "-r", "--name-only", "main", "apps/"]);
    assert_eq!(listed.lines().count(), writers * changes);
    // Each commit adds one file, and none is there twice.
    let commits = server.git(&["log", "--format=", "--name-only", "main", "--", "apps"]);
    let mut paths: Vec<Utf8PathBuf> =
        commits.lines().filter(|line| !line.is_empty()).map(Into::into).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), writers * changes);
    assert_eq!(server.git(&["rev-list", "--count", "main"]).trim(), (paths.len() + 1).to_string());
    server.git(&["fsck", "--strict"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_changes_of_writers_with_one_cache_land_once() {
    all_land(8, 3, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_changes_of_writers_with_a_cache_each_land_once() {
    all_land(4, 3, false).await;
}
