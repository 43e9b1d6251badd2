//! The manifests repository on real remotes: a path, HTTP, SSH.

mod cache;
mod credentials;
mod faults;
mod history;
mod join;
mod ledger;
#[cfg(all(feature = "git-https", feature = "git-ssh"))]
mod network;
mod partial;
mod race;
mod signing;
mod source;
mod spared;
mod tree;

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::git::{Authorship, CommitId, GitError, Identity, Push, Repository};
use deployctl::kustomize::{FileTree as _, MemoryTree};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::support::git_server::{GitServer, git, world};

/// A home folder with caches, and a repository opened from it.
struct Client {
    home: TempDir,
    repository: Repository,
}

impl Client {
    async fn of(remote: impl AsRef<str>) -> Self {
        Self::with(remote, &[]).await.unwrap()
    }

    async fn with(remote: impl AsRef<str>, variables: &[(&str, &str)]) -> Result<Self, GitError> {
        let home = TempDir::new().unwrap();
        let environment = world(home.path(), variables);
        let repository = Repository::open(remote.as_ref(), &caches(&home), &environment).await?;
        Ok(Self { home, repository })
    }

    /// Returns the folder of its bare cache.
    fn cache(&self) -> Utf8PathBuf {
        let entries = caches(&self.home).read_dir_utf8().unwrap();
        let mut dirs = entries.map(|entry| entry.unwrap().into_path()).filter(|path| path.is_dir());
        dirs.next().unwrap()
    }

    /// Writes `text` to `path` on `main`, once.
    async fn set(&self, path: &str, text: &str) -> Result<(CommitId, Push), GitError> {
        let tip = self.repository.fetch(Some("main")).await?;
        let (changes, time) = (files(&[(path, text)]), Timestamp::UNIX_EPOCH);
        let commit =
            self.repository.commit(&tip, &changes, "change\n", &me(), time).await?.unwrap();
        let push = self.repository.push(&commit, "main", Some(&tip)).await?;
        Ok((commit, push))
    }
}

fn caches(home: &TempDir) -> Utf8PathBuf {
    Utf8Path::from_path(home.path()).unwrap().join("cache")
}

fn me() -> Authorship {
    Identity { name: "Ada".to_owned(), email: "ada@example.com".to_owned() }.into()
}

/// Returns what comes of a commit that nobody has to sign, and that waits for nothing.
pub(crate) fn written<T>(commit: impl Future<Output = T>) -> T {
    futures_util::FutureExt::now_or_never(commit).expect("nothing is waited for")
}

fn files(files: &[(&str, &str)]) -> MemoryTree {
    MemoryTree(files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect())
}

fn change(repository: &Repository, parent: &CommitId, path: &str, text: &str) -> CommitId {
    let (changes, time) = (files(&[(path, text)]), Timestamp::from_second(1_700_000_000).unwrap());
    let message = format!("{path}: change\n");
    written(repository.commit(parent, &changes, &message, &me(), time)).unwrap().unwrap()
}

#[tokio::test]
async fn reads_edits_and_pushes_a_path_remote() {
    let server =
        GitServer::bare(&[("apps/web/kustomization.yaml", "images: []\n"), ("run.sh", "#!")]);
    let client = Client::of(server.path()).await;
    let tip = client.repository.fetch(None).await.unwrap();
    assert_eq!(tip.as_str(), server.git(&["rev-parse", "main"]).trim());
    let tree = client.repository.tree(&tip).unwrap();
    let path = Utf8Path::new("apps/web/kustomization.yaml");
    assert_eq!(tree.read(path).unwrap().unwrap(), b"images: []\n");
    assert_eq!(tree.files("apps".into()).unwrap(), [path]);
    assert_eq!(tree.read("apps/none".into()).unwrap(), None);

    let commit = change(&client.repository, &tip, path.as_str(), "images: [web]\n");
    let push = client.repository.push(&commit, "main", Some(&tip)).await.unwrap();
    assert_eq!(push, Push::Pushed);
    assert_eq!(server.file("main", path.as_str()), "images: [web]\n");
    let shown = server.git(&["log", "-1", "--format=%an <%ae> %cn %at %P", "main"]);
    assert_eq!(shown.trim(), format!("Ada <ada@example.com> Ada 1700000000 {tip}"));
    server.git(&["fsck", "--strict"]);
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_no_commit() {
    let server = GitServer::bare(&[("a", "1\n")]);
    let client = Client::of(server.path()).await;
    let tip = client.repository.fetch(Some("main")).await.unwrap();
    let same = files(&[("a", "1\n")]);
    let made =
        client.repository.commit(&tip, &same, "x", &me(), Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(made, None);
}

#[tokio::test]
async fn a_branch_that_moved_is_a_lost_race() {
    let server = GitServer::bare(&[("a", "1\n")]);
    let (one, two) = (Client::of(server.path()).await, Client::of(server.path()).await);
    let tip = one.repository.fetch(Some("main")).await.unwrap();
    two.set("b", "theirs\n").await.unwrap();
    let commit = change(&one.repository, &tip, "a", "ours\n");
    assert_eq!(one.repository.push(&commit, "main", Some(&tip)).await.unwrap(), Push::Raced);
    assert_eq!(one.repository.push(&commit, "main", None).await.unwrap(), Push::Raced);
    assert_eq!(one.set("a", "ours\n").await.unwrap().1, Push::Pushed);
    assert_eq!(server.file("main", "b"), "theirs\n");
    assert_eq!(server.file("main", "a"), "ours\n");
}

#[tokio::test]
async fn a_new_branch_is_made_and_only_an_own_one_is_replaced() {
    let server = GitServer::bare(&[("a", "1\n")]);
    let client = Client::of(server.path()).await;
    let repository = &client.repository;
    let tip = repository.fetch(Some("main")).await.unwrap();
    let (one, two) = (change(repository, &tip, "a", "2\n"), change(repository, &tip, "a", "3\n"));
    for branch in ["deployctl/prod", "release"] {
        assert_eq!(repository.push(&one, branch, None).await.unwrap(), Push::Pushed);
    }
    let replaced = repository.push(&two, "deployctl/prod", Some(&one)).await.unwrap();
    assert_eq!(replaced, Push::Pushed);
    assert_eq!(server.file("deployctl/prod", "a"), "3\n");
    let error = repository.push(&two, "release", Some(&one)).await.unwrap_err();
    assert!(matches!(error, GitError::NotFastForward { .. }), "{error}");
    assert_eq!(server.file("release", "a"), "2\n");
}

#[tokio::test]
async fn a_checkout_is_a_remote_too() {
    let home = TempDir::new().unwrap();
    let work = Utf8Path::from_path(home.path()).unwrap();
    git(work, &["init", "-q", "-b", "main"]);
    std::fs::write(work.join("a"), "1\n").unwrap();
    git(work, &["add", "a"]);
    git(work, &["commit", "-qm", "first"]);
    for remote in [work.to_owned(), work.join(".git"), format!("file://{work}").into()] {
        let client = Client::of(remote).await;
        let tip = client.repository.fetch(None).await.unwrap();
        let commit = change(&client.repository, &tip, "a", "2\n");
        let error = client.repository.push(&commit, "main", Some(&tip)).await.unwrap_err();
        assert!(error.to_string().contains("branch is currently checked out"), "{error}");
        let push = client.repository.push(&commit, "deployctl/dev", None).await.unwrap();
        assert_eq!(push, Push::Pushed);
        git(work, &["branch", "-qD", "deployctl/dev"]);
    }
}

#[tokio::test]
async fn file_modes_are_kept_and_only_files_are_written() {
    let server = GitServer::bare(&[("run.sh", "1\n"), ("dir/a", "1\n")]);
    let client = Client::of(server.path()).await;
    let tip = client.repository.fetch(None).await.unwrap();
    let work = TempDir::new().unwrap();
    let work = Utf8Path::from_path(work.path()).unwrap();
    git(work, &["clone", "-q", server.path().as_str(), "."]);
    git(work, &["update-index", "--chmod=+x", "run.sh"]);
    std::os::unix::fs::symlink("dir/a", work.join("link")).unwrap();
    git(work, &["add", "link"]);
    git(work, &["commit", "-qm", "modes"]);
    git(work, &["push", "-q", "origin", "main"]);
    let _ = tip;
    client.set("run.sh", "2\n").await.unwrap();
    assert!(server.git(&["ls-tree", "main", "run.sh"]).starts_with("100755 blob"));
    let tip = client.repository.fetch(None).await.unwrap();
    let refused = [
        ("link", "it is a symbolic link"),
        ("dir", "it is a folder"),
        ("link/b", "`link` on the way is not a folder"),
        ("../a", "it is not a path inside the repository"),
        ("/a", "it is not a path inside the repository"),
        ("a/.git/hooks/x", "it is not a path inside the repository"),
        ("a\0b", "it is not a path inside the repository"),
        ("", "it names no file"),
    ];
    for (path, reason) in refused {
        let (changes, time) = (files(&[(path, "x")]), Timestamp::UNIX_EPOCH);
        let error = client.repository.commit(&tip, &changes, "x", &me(), time).await.unwrap_err();
        assert_eq!(error.to_string(), format!("can't commit `{path}`: {reason}"));
    }
}

#[test]
fn what_the_operations_return_can_be_sent_to_another_thread() {
    fn is_send<T: Send>(_: impl FnOnce() -> T) {}
    fn any<T>() -> T {
        unreachable!("never called")
    }
    type Tell = dyn Fn(u32) + Send + Sync;
    is_send(|| any::<&Repository>().fetch(None));
    is_send(|| any::<&Repository>().resolve(""));
    is_send(|| any::<&Repository>().commit(any(), any(), "", any(), any()));
    is_send(|| any::<&Repository>().push(any(), "", None));
    is_send(|| any::<&Repository>().fetch_together(None));
    is_send(|| any::<&Repository>().land(any(), "", any(), any::<&'static Tell>()));
    is_send(|| any::<&Repository>().log(any(), Utf8Path::new(""), 1));
    is_send(|| any::<&Repository>().relation(any(), ""));
}
