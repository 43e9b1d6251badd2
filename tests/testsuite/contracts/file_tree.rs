//! What every tree of files does: on a disk, in a commit, in memory, and with changes on top.

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::git::{Identity, Repository, init_bare};
use deployctl::kustomize::{ChangedTree, FileTree, FindError, MemoryTree, find_kustomization};
use deployctl::render::DiskTree;
use deployctl::system::Environment;
use jiff::Timestamp;
use tempfile::TempDir;

fn files() -> MemoryTree {
    let paths = [
        "a.yaml",
        "a/b/x",
        "a/kustomization.yaml",
        "a-b",
        "both/Kustomization",
        "both/kustomization.yml",
    ];
    MemoryTree(paths.into_iter().map(|path| (path.into(), path.into())).collect())
}

fn check(tree: &dyn FileTree) {
    let read = |path: &str| tree.read(Utf8Path::new(path)).unwrap();
    assert_eq!(read("a/b/x").unwrap(), b"a/b/x");
    for nothing in ["b", "a/b", "a/b/y", "a.yaml/x", "a/b/x/y"] {
        assert_eq!(read(nothing), None, "{nothing}");
    }
    let list = |dir: &str| tree.files(Utf8Path::new(dir)).unwrap();
    assert_eq!(list("a"), ["a/b/x", "a/kustomization.yaml"]);
    assert_eq!(list("a/b"), ["a/b/x"]);
    assert!(list("none").is_empty());
    let all: Vec<Utf8PathBuf> = files().0.into_keys().collect();
    assert_eq!(list(""), all);
    let find = |dir: &str| find_kustomization(tree, Utf8Path::new(dir));
    assert_eq!(
        find("a").unwrap(),
        ("a/kustomization.yaml".into(), b"a/kustomization.yaml".to_vec())
    );
    assert!(matches!(find("both"), Err(FindError::Several { .. })));
    assert!(matches!(find("none"), Err(FindError::Missing { .. })));
}

#[test]
fn in_memory() {
    check(&files());
}

#[test]
fn with_changes_on_top() {
    let (mut base, mut changes) = (files(), MemoryTree::default());
    base.0.remove(Utf8Path::new("a-b"));
    base.0.insert("a/b/x".into(), b"old".to_vec());
    for path in ["a-b", "a/b/x"] {
        changes.0.insert(path.into(), path.into());
    }
    check(&ChangedTree { base: &base, changes: &changes });
}

#[test]
fn on_a_disk() {
    let folder = TempDir::new().unwrap();
    let root = Utf8Path::from_path(folder.path()).unwrap();
    for (path, bytes) in files().0 {
        std::fs::create_dir_all(root.join(&path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), bytes).unwrap();
    }
    check(&DiskTree::new(root));
}

#[tokio::test]
async fn in_a_commit() {
    let folder = TempDir::new().unwrap();
    let root = Utf8Path::from_path(folder.path()).unwrap();
    let ada = Identity { name: "Ada".to_owned(), email: "ada@example.com".to_owned() };
    let bare = root.join("bare.git");
    let commit =
        init_bare(&bare, "main", &files(), "first\n", &ada, Timestamp::UNIX_EPOCH).unwrap();
    let environment = Environment::from_iter([("PATH", "/nowhere")]);
    let repository =
        Repository::open(bare.as_str(), &root.join("cache"), &environment).await.unwrap();
    repository.fetch(None).await.unwrap();
    check(&repository.tree(&commit).unwrap());
}
