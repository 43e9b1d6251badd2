//! The cache on this machine: damaged, grown, not to be written, on a full disk.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::git::{GitError, Push, Repository};
use deployctl::kustomize::FileTree as _;
use tempfile::TempDir;

use super::partial::{file, partial};
use super::{Client, caches};
use crate::support::git_server::{GitServer, git_that, world};

/// Returns the files of `cache` that end so.
fn files(cache: &Utf8Path, end: &str) -> Vec<Utf8PathBuf> {
    let pack = cache.join("objects/pack").read_dir_utf8().unwrap();
    let files = pack.map(|entry| entry.unwrap().into_path());
    files.filter(|path| path.as_str().ends_with(end)).collect()
}

/// Puts a changed copy in the place of `path`: whoever has the file mapped into memory would be
/// ended by the system if it got shorter.
fn overwrite(path: &Utf8Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    let changed = path.with_extension("changed");
    std::fs::write(&changed, bytes).unwrap();
    std::fs::rename(changed, path).unwrap();
}

fn each(cache: &Utf8Path, end: &str, change: impl Fn(&mut Vec<u8>)) {
    let files = files(cache, end);
    assert!(!files.is_empty(), "{end}");
    files.iter().for_each(|path| overwrite(path, &change));
}

fn remove(cache: &Utf8Path, ends: &[&str]) {
    let files: Vec<_> = ends.iter().flat_map(|end| files(cache, end)).collect();
    assert!(!files.is_empty(), "{ends:?}");
    files.iter().for_each(|path| std::fs::remove_file(path).unwrap());
}

#[tokio::test]
async fn a_damaged_partial_cache_heals() {
    type Damage = fn(&Utf8Path);
    let damages: [(&str, Damage); 9] = [
        ("packs cut", |cache| each(cache, ".pack", |bytes| bytes.truncate(bytes.len() / 2))),
        ("packs overwritten", |cache| {
            each(cache, ".pack", |bytes| {
                let end = bytes.len() - 20;
                bytes[12..end].fill(0x5a);
            });
        }),
        ("indexes cut", |cache| each(cache, ".idx", |bytes| bytes.truncate(100))),
        ("packs gone", |cache| remove(cache, &[".pack"])),
        ("packs and indexes gone", |cache| remove(cache, &[".pack", ".idx", ".promisor"])),
        ("no longer told as partial", |cache| remove(cache, &[".promisor"])),
        ("references are garbage", |cache| {
            std::fs::write(cache.join("refs/deployctl/heads/main"), "garbage\n").unwrap();
        }),
        ("references to nothing", |cache| {
            let nothing = format!("{}\n", "1".repeat(40));
            std::fs::write(cache.join("refs/deployctl/heads/main"), nothing).unwrap();
        }),
        ("the end of history is garbage", |cache| {
            std::fs::write(cache.join("shallow"), "garbage\n").unwrap();
        }),
    ];
    let server = partial(14);
    for (what, damage) in damages {
        let client = Client::of(file(&server)).await;
        client.set("apps/s7/dev/c.yaml", what).await.unwrap();
        let tip = client.repository.fetch(Some("main")).await.unwrap();
        let tree = client.repository.tree(&tip).unwrap();
        assert!(tree.read("apps/s3/dev/c.yaml".into()).unwrap().is_some());
        drop(tree);
        damage(&client.cache());
        let set = async || {
            let set = client.set("apps/s8/dev/c.yaml", what).await;
            set.unwrap_or_else(|error| panic!("{what}: {error}")).1
        };
        // A push that can't read its own commit any more is a lost race, and not twice.
        assert!(set().await == Push::Pushed || set().await == Push::Pushed, "{what}");
        let tip = client.repository.fetch(Some("main")).await.unwrap();
        let tree = client.repository.tree(&tip).unwrap();
        for path in tree.files("apps".into()).unwrap() {
            let read = tree.read(&path).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(read.is_some(), "{what}: {path}");
        }
        server.git(&["fsck", "--strict"]);
    }
}

#[tokio::test]
async fn a_cache_that_breaks_while_it_is_read_is_made_anew() {
    let server = partial(30);
    let client = Client::of(file(&server)).await;
    let tip = client.repository.fetch(Some("main")).await.unwrap();
    let tree = client.repository.tree(&tip).unwrap();
    assert!(tree.read("apps/s7/dev/c.yaml".into()).unwrap().is_some());
    each(&client.cache(), ".pack", |bytes| {
        let end = bytes.len() - 20;
        bytes[12..end].fill(0x5a);
    });
    let tree = client.repository.tree(&tip);
    // The commit itself may be what is damaged.
    if let Ok(tree) = tree {
        assert_eq!(tree.read("apps/s9/dev/c.yaml".into()).unwrap().unwrap(), b"9 dev/c.yaml\n");
    }
    client.repository.fetch(Some("main")).await.unwrap();
    let tree = client.repository.tree(&tip).unwrap();
    assert_eq!(tree.read("apps/s9/dev/c.yaml".into()).unwrap().unwrap(), b"9 dev/c.yaml\n");
}

fn inode(path: &Utf8Path) -> u64 {
    path.metadata().unwrap().ino()
}

#[tokio::test]
async fn a_cache_that_has_grown_is_made_anew_unless_somebody_works_with_it() {
    let server = GitServer::bare(&[("a", "1\n")]);
    let client = Client::of(server.path()).await;
    client.set("a", "2\n").await.unwrap();
    let cache = client.cache();
    let first = inode(&cache);
    for number in 0..400 {
        std::fs::write(cache.join(format!("objects/pack/pack-{number}.keep")), "").unwrap();
    }
    std::fs::write(cache.join("objects/pack/tmp_pack_XYZ"), "").unwrap();
    let environment = world(client.home.path(), &[]);
    let remote = server.path();
    let open = || Repository::open(remote.as_str(), cache.parent().unwrap(), &environment);
    open().await.unwrap();
    assert_eq!(inode(&cache), first);
    assert!(cache.join("objects/pack/tmp_pack_XYZ").exists());
    let Client { home, repository } = client;
    drop(repository);
    let repository = open().await.unwrap();
    assert_ne!(inode(&cache), first);
    let client = Client { home, repository };
    assert_eq!(client.set("a", "3\n").await.unwrap().1, Push::Pushed);
    let [left, written] =
        ["XYZ", "UVW"].map(|end| cache.join(format!("objects/pack/tmp_pack_{end}")));
    std::fs::write(&written, "").unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    std::fs::File::create(&left).unwrap().set_modified(old).unwrap();
    let Client { home, repository } = client;
    drop(repository);
    open().await.unwrap();
    assert!(!left.exists());
    assert!(written.exists(), "the child of a killed process, or another process, may be at it");
    drop(home);
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_cache_works_again_afterwards() {
    let dir = TempDir::new().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let server = partial(100);
    let path = git_that(dir, "fetch", "");
    let client = Client::with(file(&server), &[("PATH", &path)]).await.unwrap();
    let tip = client.repository.fetch(Some("main")).await.unwrap();
    let other = Client::of(file(&server)).await;
    other.set("apps/new", &"new\n".repeat(9000)).await.unwrap();
    // A limit on the size of files stands for the disk's.
    git_that(dir, "fetch", "trap '' XFSZ; ulimit -f 0");
    let cache = client.cache();
    let before = inode(&cache);
    let error = client.repository.fetch(Some("main")).await.unwrap_err();
    assert!(matches!(error, GitError::Full { .. }), "{error}");
    assert!(error.advice().unwrap().contains("space"));
    let tree = client.repository.tree(&tip).unwrap();
    let error = tree.read("apps/s7/dev/c.yaml".into()).unwrap_err().to_string();
    assert!(error.contains("there is no room for the git cache"), "{error}");
    assert!(files(&cache, "").iter().all(|path| !path.as_str().contains("tmp_")));
    git_that(dir, "fetch", "");
    assert_eq!(tree.read("apps/s7/dev/c.yaml".into()).unwrap().unwrap(), b"7 dev/c.yaml\n");
    assert_eq!(client.set("apps/s7/dev/c.yaml", "2\n").await.unwrap().1, Push::Pushed);
    assert_eq!(inode(&cache), before);
}

#[tokio::test]
async fn where_nobody_may_write_a_temporary_cache_does() {
    let server = GitServer::bare(&[("a", "1\n")]);
    let home = TempDir::new().unwrap();
    std::fs::create_dir(caches(&home)).unwrap();
    std::fs::set_permissions(caches(&home), std::fs::Permissions::from_mode(0o500)).unwrap();
    // Root may write there all the same, but nobody makes files in `/proc`.
    let written = std::fs::write(caches(&home).join("x"), "").is_ok();
    let read_only = if written { "/proc/sys/cache".into() } else { caches(&home) };
    let environment = world(home.path(), &[]);
    let repository =
        Repository::open(server.path().as_str(), &read_only, &environment).await.unwrap();
    let client = Client { home, repository };
    assert_eq!(client.set("a", "2\n").await.unwrap().1, Push::Pushed);
}
