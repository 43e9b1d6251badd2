//! What goes wrong: remotes that refuse or are not there, damaged caches, lost answers.

use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;
use deployctl::git::{GitError, Push, Repository};
use tempfile::TempDir;

use super::{Client, caches, change};
use crate::support::git_server::{GitServer, git_that, world};

#[tokio::test]
async fn a_hook_is_heard() {
    let server = GitServer::bare(&[("a", "1\n")]);
    server.hook("echo 'prod is frozen until monday' >&2; echo 'ask ops' >&2; exit 1");
    let error = Client::of(server.path()).await.set("a", "2\n").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "`{}` refused the push to `main`: pre-receive hook declined\n  \
             prod is frozen until monday\n  ask ops",
            server.path()
        )
    );
    assert!(error.advice().unwrap().contains("pull request"));
    assert_eq!(server.file("main", "a"), "1\n");
}

#[tokio::test]
async fn a_protected_branch_refuses_while_others_do_not() {
    let server = GitServer::bare(&[("a", "1\n")]);
    server.hook(
        "while read old new ref; do if test $ref = refs/heads/main; then\n\
         echo 'GH006: Protected branch update failed for refs/heads/main.' >&2; exit 1; fi; done",
    );
    let client = Client::of(server.path()).await;
    let error = client.set("a", "2\n").await.unwrap_err();
    assert!(error.to_string().contains("GH006: Protected branch"), "{error}");
    let tip = client.repository.fetch(None).await.unwrap();
    let commit = change(&client.repository, &tip, "a", "2\n");
    let push = client.repository.push(&commit, "deployctl/prod", None).await.unwrap();
    assert_eq!(push, Push::Pushed);
}

#[tokio::test]
async fn a_remote_without_what_is_wanted_says_what_it_has() {
    let empty = GitServer::empty();
    let client = Client::of(empty.path()).await;
    for branch in [None, Some("main")] {
        let error = client.repository.fetch(branch).await.unwrap_err();
        assert!(matches!(error, GitError::Empty { .. }), "{error}");
    }
    assert!(matches!(client.repository.default_branch().await, Err(GitError::Empty { .. })));
    let server = GitServer::bare(&[("a", "1\n")]);
    server.git(&["branch", "release"]);
    let client = Client::of(server.path()).await;
    assert_eq!(client.repository.default_branch().await.unwrap(), "main");
    let error = client.repository.fetch(Some("master")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`{}` has no branch `master`; it has `main`, `release`", server.path())
    );
    let error = client.repository.fetch(Some("a:b")).await.unwrap_err();
    assert!(matches!(error, GitError::BranchName(_)), "{error}");
    let error =
        Client::of("/nowhere/manifests.git").await.repository.fetch(None).await.unwrap_err();
    assert!(matches!(error, GitError::NoRepository { .. }), "{error}");
    let port = crate::support::free_port();
    for scheme in ["http", "git", "ssh"] {
        let client = Client::of(format!("{scheme}://127.0.0.1:{port}/x.git")).await;
        let error = client.repository.fetch(None).await.unwrap_err();
        assert!(matches!(error, GitError::Unreachable { .. }), "{error}");
    }
}

#[tokio::test]
async fn git_that_is_not_there_is_missed_at_once() {
    let home = TempDir::new().unwrap();
    let environment = world(home.path(), &[("PATH", "/nowhere")]);
    let remote = "git://git.example.com/shop/manifests.git";
    let error = Repository::open(remote, &caches(&home), &environment).await.unwrap_err();
    assert!(matches!(error, GitError::NotInstalled), "{error}");
}

#[tokio::test]
async fn a_cache_folder_that_can_not_be_made_says_so() {
    let home = TempDir::new().unwrap();
    std::fs::write(caches(&home), "a file").unwrap();
    let environment = world(home.path(), &[]);
    let error = Repository::open("/x", &caches(&home), &environment).await.unwrap_err();
    assert!(matches!(error, GitError::Cache { .. }), "{error}");
    assert!(error.advice().unwrap().contains("DEPLOYCTL_CACHE_DIR"));
}

fn empty_every_file(dir: &Utf8Path) {
    for entry in dir.read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        if path.is_dir() {
            empty_every_file(&path);
        } else {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            std::fs::write(&path, "").unwrap();
        }
    }
}

#[tokio::test]
async fn a_damaged_cache_is_made_anew() {
    type Damage = fn(&Utf8Path);
    let damages: [(&str, Damage); 6] = [
        ("objects emptied", |cache| empty_every_file(&cache.join("objects"))),
        ("objects gone", |cache| std::fs::remove_dir_all(cache.join("objects")).unwrap()),
        ("HEAD broken", |cache| std::fs::write(cache.join("HEAD"), "\0\u{1}").unwrap()),
        ("config broken", |cache| std::fs::write(cache.join("config"), "[core").unwrap()),
        ("a lock left behind", |cache| std::fs::write(cache.join("shallow.lock"), "").unwrap()),
        ("a file instead", |cache| {
            std::fs::remove_dir_all(cache).unwrap();
            std::fs::write(cache, "").unwrap();
        }),
    ];
    let server = GitServer::bare(&[("a", "1\n")]);
    for (what, damage) in damages {
        let client = Client::of(format!("file://{}", server.path())).await;
        client.set("b", what).await.unwrap();
        let cache = client.cache();
        damage(&cache);
        let (_, push) = client.set("a", what).await.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(push, Push::Pushed, "{what}");
        assert_eq!(server.file("main", "a"), what);
        assert_eq!(caches(&client.home).read_dir_utf8().unwrap().count(), 2, "{what}");
    }
}

#[tokio::test]
async fn a_push_whose_answer_is_lost_is_looked_up() {
    let lost = "echo 'fatal: the remote end hung up unexpectedly' >&2; exit 128";
    let landed = format!("$git \"$@\" >/dev/null 2>&1; {lost}");
    let dir = TempDir::new().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let server = GitServer::bare(&[("a", "1\n")]);

    let path = git_that(dir, "push", &landed);
    let client = Client::with(server.path(), &[("PATH", &path)]).await.unwrap();
    assert_eq!(client.set("a", "2\n").await.unwrap().1, Push::Pushed);
    assert_eq!(server.file("main", "a"), "2\n");

    git_that(dir, "push", lost);
    let error = client.set("a", "3\n").await.unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error}");
    assert_eq!(server.file("main", "a"), "2\n");

    // Somebody else pushes before the lookup: on top of ours, or instead of it.
    let other = Client::of(server.path()).await;
    let tip = other.repository.fetch(None).await.unwrap();
    let theirs = change(&other.repository, &tip, "b", "theirs\n");
    let instead = format!(
        "$git --git-dir={} push -q {} {theirs}:refs/heads/main; {lost}",
        other.cache(),
        server.path()
    );
    git_that(dir, "push", &instead);
    assert_eq!(client.set("a", "3\n").await.unwrap().1, Push::Raced);
    let on_top = format!(
        "$git \"$@\" >/dev/null 2>&1; cd {} && new=$($git -c user.name=x -c user.email=x \
         commit-tree -p main -m x main^{{tree}}) && $git update-ref refs/heads/main $new; {lost}",
        server.path()
    );
    git_that(dir, "push", &on_top);
    assert_eq!(client.set("a", "4\n").await.unwrap().1, Push::Pushed);
}

#[tokio::test]
async fn the_callers_repository_and_hooks_stay_out_of_it() {
    let server = GitServer::bare(&[("a", "1\n")]);
    server.git(&["tag", "v1"]);
    let elsewhere = GitServer::bare(&[("x", "1\n")]);
    let dir = TempDir::new().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    for hook in ["pre-push", "post-commit", "post-rewrite"] {
        std::fs::write(dir.join(hook), "#!/bin/sh\nexit 1\n").unwrap();
        std::fs::set_permissions(dir.join(hook), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let config = dir.join("gitconfig");
    let text = format!(
        "[core]\nhooksPath = {dir}\n[push]\nfollowTags = true\ndefault = nothing\n\
         recurseSubmodules = check\n[fetch]\nprune = true\npruneTags = true\n[init]\n\
         defaultBranch = trunk\n[color]\nui = always\n[transfer]\nfsckObjects = true\n"
    );
    std::fs::write(&config, text).unwrap();
    let variables = [
        ("GIT_CONFIG_GLOBAL", config.as_str()),
        ("GIT_DIR", elsewhere.path().as_str()),
        ("GIT_WORK_TREE", "/nowhere"),
        ("GIT_INDEX_FILE", "/nowhere/index"),
        ("GIT_OBJECT_DIRECTORY", "/nowhere"),
        ("LANGUAGE", "de"),
        ("LC_ALL", "de_DE.UTF-8"),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let client = Client::with(server.path(), &variables).await.unwrap();
    assert_eq!(client.set("a", "2\n").await.unwrap().1, Push::Pushed);
    assert_eq!(server.file("main", "a"), "2\n");
    assert_eq!(elsewhere.git(&["for-each-ref", "--format=%(refname)"]).trim(), "refs/heads/main");
}

#[tokio::test]
async fn a_folder_of_another_user_is_not_trusted() {
    let server = GitServer::bare(&[("a", "1\n")]);
    let mut give = std::process::Command::new("chown");
    give.args(["-R", "65534:65534"]).arg(server.path()).stderr(std::process::Stdio::null());
    // Only root can give files away.
    if !give.status().unwrap().success() {
        return;
    }
    let error = Client::of(server.path()).await.repository.fetch(None).await.unwrap_err();
    assert!(matches!(error, GitError::Ownership { .. }), "{error}");
    let trusting = Client::of(server.path()).await;
    std::fs::write(trusting.home.path().join(".gitconfig"), "[safe]\ndirectory = *\n").unwrap();
    trusting.repository.fetch(None).await.unwrap();
}
