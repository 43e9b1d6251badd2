//! Many writers on one branch.

use std::io::Write as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::git::{Push, Repository};
use tempfile::TempDir;

use super::{caches, change};
use crate::support::git_server::{GitServer, world};
use crate::support::wait_until;

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

/// What the processes of the test below are told by.
const WRITER: &str = "DEPLOYCTL_TEST_WRITER";

/// In the process of a writer: writes files until it is killed, and a line to its log for each that
/// has landed. In any other: nothing.
#[tokio::test]
async fn writer() {
    let Ok(told) = std::env::var(WRITER) else { return };
    let [remote, home, name] = told.split('|').collect::<Vec<_>>()[..] else { panic!("{told}") };
    let home = Utf8Path::new(home);
    let environment = world(home.as_std_path(), &[]);
    let opened = Repository::open(remote, &home.join("cache"), &environment).await.unwrap();
    let log = std::fs::File::options().append(true).create(true).open(home.join(name));
    let mut log = log.unwrap();
    for number in 0.. {
        let path = format!("apps/{name}-{number}");
        write(&opened, &path, number).await;
        log.write_all(format!("{path}\n").as_bytes()).unwrap();
    }
}

fn start_writer(server: &GitServer, home: &Utf8Path, name: &str) -> std::process::Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "git::race::writer", "--nocapture"])
        .env(WRITER, format!("{}|{home}|{name}", server.path()))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// Returns the paths that the writers have been told are on the branch.
fn told(home: &Utf8Path) -> Vec<String> {
    let entries = home.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path());
    let logs = entries.filter(|path| path.is_file());
    let lines = logs.map(|path| std::fs::read_to_string(path).unwrap());
    lines.flat_map(|log| log.lines().map(ToOwned::to_owned).collect::<Vec<_>>()).collect()
}

#[tokio::test]
async fn what_killed_processes_have_been_told_has_landed() {
    let server = GitServer::bare(&[("README.md", "manifests\n")]);
    let dir = TempDir::new().unwrap();
    let home = Utf8Path::from_path(dir.path()).unwrap();
    for round in 0_u64..6 {
        let before = told(home).len();
        let names = [0, 1, 2].map(|writer| format!("{round}-{writer}"));
        let mut writers = names.each_ref().map(|name| start_writer(&server, home, name));
        wait_until("a writer", || told(home).len() > before + 1);
        for (writer, number) in writers.iter_mut().zip(0..) {
            // At odd points of fetching, writing and pushing; the children of git die later.
            tokio::time::sleep(Duration::from_millis((round * 53 + number * 29) % 90)).await;
            writer.kill().unwrap();
            writer.wait().unwrap();
        }
    }
    let commits = server.git(&["log", "--format=", "--name-only", "main", "--", "apps"]);
    for path in told(home) {
        assert_eq!(commits.lines().filter(|line| *line == path).count(), 1, "{path}");
    }
    server.fsck_at_rest();
    let (environment, caches) = (world(dir.path(), &[]), home.join("cache"));
    let after = Repository::open(server.path().as_str(), &caches, &environment).await.unwrap();
    write(&after, "apps/after", 0).await;
    assert_eq!(server.file("main", "apps/after"), "landed\n");
}
