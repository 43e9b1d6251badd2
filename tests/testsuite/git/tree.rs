//! The files of a commit, as a disk would show them, and within bounds.

use std::os::unix::fs::symlink;

use camino::Utf8Path;
use deployctl::git::CommitTree;
use deployctl::kustomize::FileTree as _;
use tempfile::TempDir;

use super::Client;
use crate::support::git_server::{GitServer, git};

/// Returns the tree of a commit of the folder that `fill` fills, and who holds its cache.
async fn tree_of(fill: impl FnOnce(&Utf8Path)) -> (Client, CommitTree) {
    let server = GitServer::empty();
    let work = TempDir::new().unwrap();
    let work = Utf8Path::from_path(work.path()).unwrap();
    git(work, &["init", "-q", "-b", "main", "."]);
    fill(work);
    git(work, &["add", "-A"]);
    git(work, &["commit", "-qm", "first"]);
    git(work, &["push", "-q", server.path().as_str(), "main"]);
    let client = Client::of(server.path()).await;
    let tip = client.repository.fetch(None).await.unwrap();
    let tree = client.repository.tree(&tip).unwrap();
    (client, tree)
}

#[tokio::test]
async fn links_are_followed_within_the_tree_only() {
    let (_client, tree) = tree_of(|work| {
        std::fs::create_dir_all(work.join("base/deep")).unwrap();
        std::fs::write(work.join("base/deep/a.yaml"), "a").unwrap();
        std::fs::create_dir(work.join("overlay")).unwrap();
        for (target, link) in [
            ("../base/deep/a.yaml", "overlay/file"),
            ("../base", "overlay/folder"),
            ("folder/deep", "overlay/twice"),
            ("../../outside", "overlay/out"),
            ("/etc/passwd", "overlay/absolute"),
            ("loop", "overlay/loop"),
            ("none", "overlay/broken"),
        ] {
            symlink(target, work.join(link)).unwrap();
        }
    })
    .await;
    let read = |path: &str| match tree.read(path.into()) {
        Ok(Some(bytes)) => String::from_utf8(bytes).unwrap(),
        Ok(None) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    };
    assert_eq!(read("overlay/file"), "a");
    assert_eq!(read("overlay/folder/deep/a.yaml"), "a");
    assert_eq!(read("./overlay/twice/a.yaml"), "a");
    assert_eq!(read("overlay/broken"), "nothing");
    assert_eq!(read("overlay"), "nothing");
    assert_eq!(read("base/deep/a.yaml/x"), "nothing");
    let out = "a symbolic link leads out of the repository";
    assert_eq!(read("overlay/out"), format!("can't read `overlay/out`: {out}"));
    assert_eq!(read("overlay/absolute"), format!("can't read `overlay/absolute`: {out}"));
    assert_eq!(read("overlay/loop"), "can't read `overlay/loop`: its symbolic links form a loop");
    let inside = "it is not a path inside the repository";
    assert_eq!(read("../base/a"), format!("can't read `../base/a`: {inside}"));
    assert_eq!(read("/base/a"), format!("can't read `/base/a`: {inside}"));
    assert_eq!(tree.files("overlay".into()).unwrap(), ["overlay/file"]);
    assert_eq!(tree.files(".".into()).unwrap(), ["base/deep/a.yaml", "overlay/file"]);
    assert_eq!(tree.files("overlay/twice".into()).unwrap(), ["overlay/twice/a.yaml"]);
    assert!(tree.files("none".into()).unwrap().is_empty());
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_before_it_is_read() {
    let (_client, tree) = tree_of(|work| {
        let file = std::fs::File::create(work.join("large")).unwrap();
        file.set_len((32 << 20) + 1).unwrap();
        std::fs::write(work.join("small"), "x").unwrap();
    })
    .await;
    let error = tree.read("large".into()).unwrap_err().to_string();
    assert_eq!(error, "can't read `large`: it has 33554433 bytes; more than 33554432 are not read");
    assert_eq!(tree.read("small".into()).unwrap().unwrap(), b"x");
}

#[tokio::test]
async fn a_submodule_is_an_empty_folder() {
    let (_client, tree) = tree_of(|work| {
        let id = "0123456789012345678901234567890123456789";
        std::fs::write(work.join("a"), "x").unwrap();
        git(work, &["update-index", "--add", "--cacheinfo", &format!("160000,{id},module")]);
        std::fs::create_dir(work.join("module")).unwrap();
    })
    .await;
    assert_eq!(tree.read("module/x".into()).unwrap(), None);
    assert_eq!(tree.files("".into()).unwrap(), ["a"]);
}

#[tokio::test]
async fn a_folder_of_too_many_files_is_refused() {
    let server = GitServer::bare(&[("a", "1\n")]);
    let blob = server.git(&["rev-parse", "main:a"]);
    let entries = (0..200_001).map(|n| format!("100644 blob {}\t{n:06}\n", blob.trim()));
    let list = TempDir::new().unwrap();
    std::fs::write(list.path().join("list"), entries.collect::<String>()).unwrap();
    let script = format!(
        "tree=$(git mktree <'{}') && commit=$(git -c user.name=x -c user.email=x \
         commit-tree -m x $tree) && git update-ref refs/heads/main $commit",
        list.path().join("list").display()
    );
    let mut made = std::process::Command::new("sh");
    assert!(made.args(["-c", &script]).current_dir(server.path()).status().unwrap().success());
    let client = Client::of(server.path()).await;
    let tip = client.repository.fetch(None).await.unwrap();
    let tree = client.repository.tree(&tip).unwrap();
    let error = tree.files("".into()).unwrap_err().to_string();
    assert_eq!(error, "can't read ``: it has more than 200000 files");
    assert_eq!(tree.read("123456".into()).unwrap().unwrap(), b"1\n");
}
