//! Repositories on this machine where there is no `git` program.

use camino::{Utf8Path, Utf8PathBuf};
use std::ops::ControlFlow;

use deployctl::git::{Commit, CommitId, GitError, Identity, Push, Repository, init_bare};
use deployctl::kustomize::{FileTree as _, MemoryTree};
use deployctl::system::Environment;
use jiff::Timestamp;
use tempfile::TempDir;

/// A bare repository with one commit, and a machine without `git`.
struct World {
    home: TempDir,
    first: CommitId,
}

impl World {
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        let bare = Utf8PathBuf::from_path_buf(home.path().join("manifests.git")).unwrap();
        let first = init_bare(&bare, "main", &file("one"), "first\n", &me(), now()).unwrap();
        Self { home, first }
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.home.path()).unwrap().join(name)
    }

    async fn open(&self, cache: &str) -> Repository {
        let environment = Environment::from_iter([("PATH", "/nowhere")]);
        let remote = self.path("manifests.git");
        Repository::open(remote.as_str(), &self.path(cache), &environment).await.unwrap()
    }
}

fn me() -> Identity {
    Identity { name: "Ada".to_owned(), email: "ada@example.com".to_owned() }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn file(text: &str) -> MemoryTree {
    MemoryTree([("apps/web.yaml".into(), text.into())].into())
}

fn commit(repository: &Repository, parent: &CommitId, text: &str) -> CommitId {
    let (file, me) = (file(text), me().into());
    let made = repository.commit(parent, &file, "change\n", &me, now());
    crate::git::written(made).unwrap().unwrap()
}

#[tokio::test]
async fn fetches_and_pushes_without_git() {
    let world = World::new();
    let repository = world.open("cache").await;
    assert_eq!(repository.default_branch().await.unwrap(), "main");
    assert_eq!(repository.fetch(None).await.unwrap(), world.first);
    let second = commit(&repository, &world.first, "two");
    let push = repository.push(&second, "main", Some(&world.first)).await.unwrap();
    assert_eq!(push, Push::Pushed);
    let other = world.open("other").await;
    assert_eq!(other.fetch(Some("main")).await.unwrap(), second);
    let read = other.tree(&second).unwrap().read("apps/web.yaml".into()).unwrap();
    assert_eq!(read.as_deref(), Some(b"two".as_slice()));
    let log = other.log(&second, "apps".into(), 10).await.unwrap();
    assert_eq!(log.iter().map(|commit| &commit.id).collect::<Vec<_>>(), [&second, &world.first]);
}

#[tokio::test]
async fn a_branch_that_moved_is_a_lost_race_without_git_too() {
    let world = World::new();
    let (one, two) = (world.open("one").await, world.open("two").await);
    for repository in [&one, &two] {
        repository.fetch(None).await.unwrap();
    }
    let (mine, theirs) = (commit(&one, &world.first, "mine"), commit(&two, &world.first, "theirs"));
    assert_eq!(two.push(&theirs, "main", Some(&world.first)).await.unwrap(), Push::Pushed);
    assert_eq!(one.push(&mine, "main", Some(&world.first)).await.unwrap(), Push::Raced);
    assert_eq!(one.push(&mine, "main", None).await.unwrap(), Push::Raced);
    assert_eq!(one.push(&mine, "new", None).await.unwrap(), Push::Pushed);
    assert_eq!(one.fetch(Some("main")).await.unwrap(), theirs);
}

#[tokio::test]
async fn a_repository_whose_hooks_could_refuse_is_left_to_git() {
    let world = World::new();
    std::fs::create_dir_all(world.path("manifests.git/hooks")).unwrap();
    std::fs::write(world.path("manifests.git/hooks/update"), "#!/bin/sh\nexit 1\n").unwrap();
    let repository = world.open("cache").await;
    repository.fetch(None).await.unwrap();
    let second = commit(&repository, &world.first, "two");
    let refused = repository.push(&second, "main", Some(&world.first)).await;
    assert!(matches!(refused, Err(GitError::NotInstalled)), "{refused:?}");
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let world = World::new();
    let repository = world.open("cache").await;
    let missing = repository.fetch(Some("production")).await;
    assert!(matches!(missing, Err(GitError::NoBranch { .. })), "{missing:?}");
    std::fs::remove_dir_all(world.path("manifests.git")).unwrap();
    let gone = repository.fetch(None).await;
    assert!(matches!(gone, Err(GitError::NoRepository { .. })), "{gone:?}");
}

#[tokio::test]
async fn ledgers_without_git() {
    let world = World::new();
    let (ours, theirs) = (world.open("cache").await.ledgers(), world.open("other").await.ledgers());
    let names = ["holds/prod/web".to_owned(), "holds/prod/api".to_owned()];
    assert!(ours.newest(&names).await.unwrap().is_empty());
    for (ledgers, subject) in [(&ours, "first\n"), (&theirs, "second\n")] {
        let entry = |_: &str, _: Option<&Commit>| Some(subject.to_owned());
        assert_eq!(ledgers.append(&names, &me().into(), now(), &entry).await.unwrap(), names);
    }
    let newest = ours.newest(&["holds/prod/".to_owned()]).await.unwrap();
    assert_eq!(newest.len(), 2);
    let mut subjects = Vec::new();
    let visit = |entry: &Commit| {
        subjects.push(entry.subject().to_owned());
        ControlFlow::<()>::Continue(())
    };
    ours.walk(&newest[&names[0]].id, visit).await.unwrap();
    assert_eq!(subjects, ["second", "first"]);
    let bare = git2::Repository::open_bare(world.path("manifests.git")).unwrap();
    bare.find_reference("refs/deployctl/holds/prod/web").unwrap().delete().unwrap();
    assert_eq!(ours.newest(&names).await.unwrap().len(), 1);
}
