//! The manifests repository on real remotes: a path, HTTP, SSH.

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::git::{CommitId, GitError, Identity, Push, Repository};
use deployctl::kustomize::{FileTree as _, MemoryTree};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::support::git_server::{GitServer, HttpGitServer, SshGitServer, world};

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

    fn cache(&self) -> Utf8PathBuf {
        let entries = caches(&self.home).read_dir_utf8().unwrap();
        let mut dirs = entries.map(|entry| entry.unwrap().into_path()).filter(|path| path.is_dir());
        dirs.next().unwrap()
    }

    async fn set(&self, path: &str, text: &str) -> Result<(CommitId, Push), GitError> {
        let tip = self.repository.fetch(Some("main")).await?;
        let commit = change(&self.repository, &tip, path, text);
        let push = self.repository.push(&commit, "main", Some(&tip)).await?;
        Ok((commit, push))
    }
}

fn caches(home: &TempDir) -> Utf8PathBuf {
    Utf8Path::from_path(home.path()).unwrap().join("cache")
}

fn me() -> Identity {
    Identity { name: "Ada".to_owned(), email: "ada@example.com".to_owned() }
}

fn files(files: &[(&str, &str)]) -> MemoryTree {
    MemoryTree(files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect())
}

fn change(repository: &Repository, parent: &CommitId, path: &str, text: &str) -> CommitId {
    let (changes, time) = (files(&[(path, text)]), Timestamp::from_second(1_700_000_000).unwrap());
    let message = format!("{path}: change\n");
    repository.commit(parent, &changes, &message, &me(), time).unwrap().unwrap()
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
    let made = client.repository.commit(&tip, &same, "x", &me(), Timestamp::UNIX_EPOCH).unwrap();
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
async fn http_lets_in_who_has_the_password() {
    let Some(server) = HttpGitServer::start("bot", "canary-7f3a") else { return };
    let own = [("DEPLOYCTL_GIT_TOKEN", "canary-7f3a"), ("DEPLOYCTL_GIT_USERNAME", "bot")];
    let client = Client::with(server.url(), &own).await.unwrap();
    assert_eq!(client.set("a", "1\n").await.unwrap().1, Push::Pushed);
    assert_eq!(server.repository.file("main", "a"), "1\n");
    let wrong = [("DEPLOYCTL_GIT_TOKEN", "canary-wrong"), own[1]];
    for variables in [&wrong[..], &[]] {
        let client = Client::with(server.url(), variables).await.unwrap();
        let error = client.repository.fetch(Some("main")).await.unwrap_err();
        assert!(matches!(error, GitError::Authentication { .. }), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn ssh_lets_in_who_has_the_key() {
    let Some(server) = SshGitServer::start() else { return };
    let ssh = server.ssh_command();
    let client = Client::with(server.url(), &[("GIT_SSH_COMMAND", &ssh)]).await.unwrap();
    assert_eq!(client.set("a", "1\n").await.unwrap().1, Push::Pushed);
    assert_eq!(server.repository.file("main", "a"), "1\n");
    let stranger = server.stranger();
    let client = Client::with(server.url(), &[("GIT_SSH_COMMAND", &stranger)]).await.unwrap();
    let error = client.repository.fetch(Some("main")).await.unwrap_err();
    assert!(matches!(error, GitError::Authentication { .. }), "{error}");
    let client = Client::with(server.url(), &[]).await.unwrap();
    let error = client.repository.fetch(Some("main")).await.unwrap_err();
    assert!(matches!(error, GitError::HostKey { .. }), "{error}");
}
