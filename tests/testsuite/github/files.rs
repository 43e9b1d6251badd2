//! The files of a commit, read through the API.

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::github::ApiTree;
use deployctl::kustomize::FileTree as _;

use super::Shop;

const FOLDERS: &str = "query Folders";
const FILES: &str = "query Files";
const BLOB: &str = "GET /repos/{owner}/{repo}/git/blobs/{file_sha}";

/// Commits `files`, their paths, modes and bytes, to `main` and returns the tree of the commit.
fn committed(shop: &Shop, files: &[(&str, git2::FileMode, Vec<u8>)]) -> ApiTree {
    let repository = git2::Repository::open_bare(shop.git.path()).unwrap();
    let tip = repository.find_reference("refs/heads/main").unwrap().peel_to_commit().unwrap();
    let mut updates = git2::build::TreeUpdateBuilder::new();
    for (path, mode, bytes) in files {
        updates.upsert(*path, repository.blob(bytes).unwrap(), *mode);
    }
    let tree = updates.create_updated(&repository, &tip.tree().unwrap()).unwrap();
    let (tree, who) =
        (repository.find_tree(tree).unwrap(), git2::Signature::now("A", "a@b").unwrap());
    let id = repository.commit(Some("refs/heads/main"), &who, &who, "x", &tree, &[&tip]).unwrap();
    let client = Arc::new(shop.client());
    client.branches("shop", "manifests").unwrap().tree(&id.to_string())
}

fn read(tree: &ApiTree, path: &str) -> Option<Vec<u8>> {
    tree.read(Utf8Path::new(path)).unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_is_as_it_was_committed() {
    let Some(shop) = Shop::start().await else { return };
    let plain = git2::FileMode::Blob;
    let files: Vec<(&str, git2::FileMode, Vec<u8>)> = vec![
        ("a/bom.yaml", plain, b"\xef\xbb\xbfname: x\n".to_vec()),
        ("a/crlf.yaml", plain, b"a: 1\r\nb: 2\r\n".to_vec()),
        ("a/empty.yaml", plain, Vec::new()),
        ("a/emoji.yaml", plain, "k: \u{1f600} \u{a0}e\u{301}".as_bytes().to_vec()),
        ("a/latin1.yaml", plain, b"name: caf\xe9\n".to_vec()),
        ("a/long.yaml", plain, "0123456789\n".repeat(60_000).into_bytes()),
        ("a/nul.bin", plain, b"a\0b".to_vec()),
        ("a/run.sh", git2::FileMode::BlobExecutable, b"#!/bin/sh\n".to_vec()),
        ("a/utf16.yaml", plain, b"\xff\xfea\0\n\0".to_vec()),
    ];
    let tree = committed(&shop, &files);
    for (path, _, bytes) in &files {
        assert_eq!(read(&tree, path).as_ref(), Some(bytes), "{path}");
    }
    // Those that are texts came together, and each other one by itself.
    let asked = shop.github.asked();
    assert_eq!(asked, [FOLDERS, FILES, BLOB, BLOB, BLOB, BLOB]);
    assert_eq!(tree.files(Utf8Path::new("a")).unwrap().len(), files.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_files_cost_few_requests() {
    let Some(shop) = Shop::start().await else { return };
    let plain = git2::FileMode::Blob;
    let path = |n: usize| format!("apps/{n}/overlays/prod/kustomization.yaml");
    let paths: Vec<String> = (0..120).map(path).collect();
    let files: Vec<_> =
        paths.iter().map(|path| (path.as_str(), plain, path.as_bytes().to_vec())).collect();
    let tree = committed(&shop, &files);
    let folders: Vec<Utf8PathBuf> =
        paths.iter().map(|path| Utf8Path::new(path).parent().unwrap().to_owned()).collect();
    tree.prefetch(&folders[..60]).await.unwrap();
    tree.prefetch(&paths[60..].iter().map(Utf8PathBuf::from).collect::<Vec<_>>()).await.unwrap();
    let before = shop.github.asked();
    assert_eq!(before.iter().filter(|asked| *asked == FILES).count(), 4);
    assert_eq!(before.iter().filter(|asked| *asked == FOLDERS).count(), 6);
    for path in &paths {
        assert_eq!(read(&tree, path).unwrap(), path.as_bytes());
        // What is not there is known by what is beside it.
        assert_eq!(read(&tree, &format!("{path}/x")), None);
        assert_eq!(read(&tree, &path.replace("kustomization", "registry.example.com/shop")), None);
    }
    assert_eq!(shop.github.asked(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_to_where_they_would_on_a_disk() {
    let Some(shop) = Shop::start().await else { return };
    let link = git2::FileMode::Link;
    let files = [
        ("real/x.yaml", git2::FileMode::Blob, b"x".to_vec()),
        ("a/file", link, b"../real/x.yaml".to_vec()),
        ("a/folder", link, b"../real".to_vec()),
        ("a/twice", link, b"folder/x.yaml".to_vec()),
        ("a/loop", link, b"loop".to_vec()),
        ("a/out", link, b"../../etc/passwd".to_vec()),
        ("a/root", link, b"/etc/passwd".to_vec()),
    ];
    let tree = committed(&shop, &files);
    for path in ["a/file", "a/folder/x.yaml", "a/twice", "./a/file"] {
        assert_eq!(read(&tree, path), Some(b"x".to_vec()), "{path}");
    }
    assert_eq!(read(&tree, "a/folder"), None);
    assert_eq!(read(&tree, "no/such/folder/at/all"), None);
    let refused = |path: &str| tree.read(Utf8Path::new(path)).unwrap_err().to_string();
    assert_eq!(refused("a/loop"), "can't read `a/loop`: its symbolic links form a loop");
    let out = "a symbolic link leads out of the repository";
    assert_eq!(refused("a/out"), format!("can't read `a/out`: {out}"));
    assert_eq!(refused("a/root"), format!("can't read `a/root`: {out}"));
    assert_eq!(refused("a/../b"), "can't read `a/../b`: it is not a path inside the repository");
    assert_eq!(tree.files(Utf8Path::new("a")).unwrap(), ["a/file", "a/twice"]);
    assert_eq!(tree.beyond(), None);
}
