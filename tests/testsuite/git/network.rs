//! Remotes behind HTTP and SSH on a machine without a `git` program.

use camino::Utf8Path;
use deployctl::argocd::Relation;
use deployctl::git::{Commit, GitError, Push, Repository, message};
use tempfile::TempDir;

use super::{Client, change};
use crate::support::git_server::{GitServer, HttpGitServer, SshGitServer, world};
use crate::support::peer;

const TOKEN: &str = "canary-2b7c";

/// Where no program is.
const NO_PROGRAMS: (&str, &str) = ("PATH", "/nonexistent");

async fn client(server: &HttpGitServer, token: &str) -> Client {
    let variables =
        [NO_PROGRAMS, ("DEPLOYCTL_GIT_TOKEN", token), ("DEPLOYCTL_GIT_USERNAME", "bot")];
    Client::with(server.url(), &variables).await.unwrap()
}

#[tokio::test]
async fn http_is_fetched_and_pushed() {
    let Some(server) = HttpGitServer::start("bot", TOKEN) else { return };
    let client = client(&server, TOKEN).await;
    let repository = &client.repository;
    assert_eq!(repository.default_branch().await.unwrap(), "main");
    let first = repository.fetch(None).await.unwrap();
    let (second, push) = client.set("a", "1\n").await.unwrap();
    assert_eq!(push, Push::Pushed);
    assert_eq!(server.repository.file("main", "a"), "1\n");
    // The answer may get lost, and the push be made again.
    let again = repository.push(&second, "main", Some(&first)).await.unwrap();
    assert_eq!(again, Push::Pushed);
    let late = change(repository, &first, "a", "late\n");
    for expected in [Some(&first), None] {
        assert_eq!(repository.push(&late, "main", expected).await.unwrap(), Push::Raced);
    }
    assert_eq!(client.set("a", "2\n").await.unwrap().1, Push::Pushed);
    assert_eq!(repository.push(&late, "deployctl/dev", None).await.unwrap(), Push::Pushed);
    let replaced = repository.push(&second, "deployctl/dev", Some(&late)).await.unwrap();
    assert_eq!(replaced, Push::Pushed);
    let gone = repository.push(&late, "deployctl/dev", Some(&late)).await.unwrap();
    assert_eq!(gone, Push::Raced);
    assert_eq!(server.repository.file("deployctl/dev", "a"), "1\n");
    server.repository.git(&["fsck", "--strict"]);
    clean(client.home.path());
}

/// Fails if a file below `folder` holds the token.
fn clean(folder: &std::path::Path) {
    let found = std::process::Command::new("grep").args(["-rla", TOKEN]).arg(folder).output();
    assert_eq!(String::from_utf8(found.unwrap().stdout).unwrap(), "");
}

#[tokio::test]
async fn a_branch_that_moves_during_the_push_is_a_lost_race() {
    let Some(server) = HttpGitServer::start("bot", TOKEN) else { return };
    let client = client(&server, TOKEN).await;
    let first = client.repository.fetch(None).await.unwrap();
    client.set("a", "theirs\n").await.unwrap();
    let theirs = server.repository.git(&["rev-parse", "main"]);
    server.repository.git(&["update-ref", "refs/heads/main", first.as_str()]);
    // The server has told where the branch is, and has not moved it yet.
    server.repository.hook(&format!(
        "unset GIT_QUARANTINE_PATH; git update-ref refs/heads/main {}",
        theirs.trim()
    ));
    let ours = change(&client.repository, &first, "a", "ours\n");
    let push = client.repository.push(&ours, "main", Some(&first)).await.unwrap();
    assert_eq!(push, Push::Raced);
    assert_eq!(server.repository.file("main", "a"), "theirs\n");
}

#[tokio::test]
async fn history_is_deepened_as_needed() {
    let Some(server) = HttpGitServer::start("bot", TOKEN) else { return };
    let writer = Client::of(server.repository.path()).await;
    let mut commits = Vec::new();
    for number in 0..80 {
        let (commit, _) = writer.set("a", &format!("{number}\n")).await.unwrap();
        commits.push(commit);
    }
    let client = client(&server, TOKEN).await;
    let repository = &client.repository;
    let tip = repository.fetch(Some("main")).await.unwrap();
    assert_eq!(Some(&tip), commits.last());
    let log = repository.log(&tip, Utf8Path::new("a"), 75).await.unwrap();
    assert_eq!(log.len(), 75);
    assert!(log.iter().map(|commit| &commit.id).eq(commits.iter().rev().take(75)));
    let older = repository.relation(&tip, commits[0].as_str()).await.unwrap();
    assert_eq!(older, Relation::Older);
    assert_eq!(repository.resolve(commits[3].short()).await.unwrap(), commits[3]);
    assert_eq!(client.set("a", "last\n").await.unwrap().1, Push::Pushed);
}

#[tokio::test]
async fn what_http_refuses_has_the_kind_that_git_gives_it() {
    let Some(server) = HttpGitServer::start("bot", TOKEN) else { return };
    for token in ["canary-wrong", ""] {
        let error = client(&server, token).await.repository.fetch(None).await.unwrap_err();
        assert!(matches!(error, GitError::Authentication { .. }), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    let client = client(&server, TOKEN).await;
    let error = client.repository.fetch(Some("none")).await.unwrap_err();
    assert!(error.to_string().ends_with("has no branch `none`; it has `main`"), "{error}");
    server.repository.hook("echo not on a friday >&2; exit 1");
    let error = client.set("a", "1\n").await.unwrap_err();
    assert!(matches!(error, GitError::Refused { .. }), "{error}");
    assert!(error.to_string().ends_with("pre-receive hook declined\n  not on a friday"), "{error}");
    server.repository.git(&["config", "http.receivepack", "false"]);
    let error = client.set("a", "1\n").await.unwrap_err();
    assert!(matches!(error, GitError::Forbidden { .. }), "{error}");
    let own = [NO_PROGRAMS, ("DEPLOYCTL_GIT_TOKEN", TOKEN), ("DEPLOYCTL_GIT_USERNAME", "bot")];
    let elsewhere = Client::with(server.url().replace("manifests", "none"), &own).await.unwrap();
    let error = elsewhere.repository.fetch(None).await.unwrap_err();
    assert!(matches!(error, GitError::NoRepository { .. }), "{error}");
    let nobody = format!("http://127.0.0.1:{}/x.git", crate::support::free_port());
    let error = Client::with(nobody, &own).await.unwrap().repository.fetch(None).await.unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn ledgers_are_kept() {
    let Some(server) = HttpGitServer::start("bot", TOKEN) else { return };
    let (one, two) = (client(&server, TOKEN).await, client(&server, TOKEN).await);
    let (ours, theirs) = (one.repository.ledgers(), two.repository.ledgers());
    let names = ["verified/prod/web".to_owned(), "holds/prod/web".to_owned()];
    assert!(ours.newest(&names).await.unwrap().is_empty());
    for (ledgers, subject) in [(&ours, "first"), (&theirs, "second")] {
        let entry = |_: &str, _: Option<&Commit>| Some(message(subject, "", &[]));
        let time = jiff::Timestamp::UNIX_EPOCH;
        ledgers.append(&names, &super::me(), time, &entry).await.unwrap();
    }
    let found = ours.newest(&names).await.unwrap();
    assert!(found.len() == 2 && found.values().all(|entry| entry.subject() == "second"));
    server.repository.git(&["update-ref", "-d", "refs/deployctl/holds/prod/web"]);
    assert_eq!(ours.newest(&names).await.unwrap().len(), 1);
}

/// A person with a key and a list of known hosts.
struct Person(TempDir);

impl Person {
    fn new(key: Option<&Utf8Path>, known_hosts: &str) -> Self {
        let home = TempDir::new().unwrap();
        let ssh = home.path().join(".ssh");
        std::fs::create_dir(&ssh).unwrap();
        std::fs::write(ssh.join("known_hosts"), known_hosts).unwrap();
        if let Some(key) = key {
            std::fs::copy(key, ssh.join("id_ed25519")).unwrap();
        }
        Self(home)
    }

    async fn open(&self, url: &str) -> Repository {
        let environment = world(self.0.path(), &[NO_PROGRAMS]);
        let caches = Utf8Path::from_path(self.0.path()).unwrap().join("cache");
        Repository::open(url, &caches, &environment).await.unwrap()
    }

    async fn fetch(&self, url: &str) -> Result<(), GitError> {
        self.open(url).await.fetch(Some("main")).await.map(drop)
    }
}

#[tokio::test]
async fn ssh_is_fetched_and_pushed() {
    let Some(server) = SshGitServer::start() else { return };
    let person = Person::new(Some(&server.key()), &server.known_host());
    let repository = person.open(&server.url()).await;
    let tip = repository.fetch(None).await.unwrap();
    let commit = change(&repository, &tip, "a", "1\n");
    assert_eq!(repository.push(&commit, "main", Some(&tip)).await.unwrap(), Push::Pushed);
    assert_eq!(repository.push(&commit, "main", None).await.unwrap(), Push::Pushed);
    assert_eq!(server.repository.file("main", "a"), "1\n");
    server.repository.hook("echo not on a friday >&2; exit 1");
    let next = change(&repository, &commit, "a", "2\n");
    let error = repository.push(&next, "main", Some(&commit)).await.unwrap_err();
    assert!(error.to_string().contains("not on a friday"), "{error}");
    let elsewhere = server.url().replace("manifests", "none");
    let error = person.fetch(&elsewhere).await.unwrap_err();
    assert!(matches!(error, GitError::NoRepository { .. }), "{error}");
}

#[tokio::test]
async fn ssh_refuses_a_host_that_is_not_known_and_a_person_without_a_key() {
    let Some(server) = SshGitServer::start() else { return };
    let (url, key, known) = (server.url(), server.key(), server.known_host());
    let error = Person::new(None, &known).fetch(&url).await.unwrap_err();
    assert!(matches!(error, GitError::Authentication { .. }), "{error}");
    let error = Person::new(Some(&key), "").fetch(&url).await.unwrap_err();
    assert!(matches!(error, GitError::HostKey { changed: false, .. }), "{error}");
    let other = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let names = known.split(' ').next().unwrap();
    let error = Person::new(Some(&key), &format!("{names} {other}")).fetch(&url).await.unwrap_err();
    assert!(matches!(error, GitError::HostKey { changed: true, .. }), "{error}");
    assert!(error.to_string().ends_with("is not the one in `known_hosts`"), "{error}");
    let revoked = Person::new(Some(&key), &format!("@revoked {known}{known}"));
    let error = revoked.fetch(&url).await.unwrap_err();
    assert!(matches!(error, GitError::HostKey { changed: true, .. }), "{error}");
    let Some(keygen) = peer("ssh-keygen") else { return };
    let hashed = Person::new(Some(&key), &known);
    let file = hashed.0.path().join(".ssh/known_hosts");
    let made = std::process::Command::new(keygen).args(["-q", "-H", "-f"]).arg(&file).output();
    assert!(made.unwrap().status.success());
    assert!(std::fs::read_to_string(file).unwrap().starts_with("|1|"));
    hashed.fetch(&url).await.unwrap();
}

#[tokio::test]
async fn a_repository_in_a_folder_still_works() {
    let server = GitServer::bare(&[("a", "1\n")]);
    let client = Client::with(server.path(), &[NO_PROGRAMS]).await.unwrap();
    assert_eq!(client.set("a", "2\n").await.unwrap().1, Push::Pushed);
}
