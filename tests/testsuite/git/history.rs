//! History in a shallow cache: what `git log` says in the whole repository.

use camino::Utf8Path;
use deployctl::argocd::Relation;
use deployctl::git::{Commit, CommitId, GitError};
use tempfile::TempDir;

use super::Client;
use crate::support::git_server::{GitServer, git};

/// Returns a repository with 150 commits on `main`, each fifth of which changes `apps/web`, and a
/// merge of a branch that changed it as well.
pub(super) fn with_history() -> GitServer {
    let server = GitServer::bare(&[("apps/web/a", "0\n")]);
    let mut stream = String::new();
    let mut commit = |branch: &str, number: usize, path: &str, extra: &str| {
        let time = 1_700_000_000 + number * 60;
        stream.push_str(&format!(
            "commit refs/heads/{branch}\ncommitter Test <t@example.com> {time} +0000\n\
             data <<E\ncommit {number}\nE\n{extra}M 644 inline {path}\ndata <<E\n{number}\nE\n\n"
        ));
    };
    commit("main", 1, "apps/web/a", "from refs/heads/main^0\n");
    commit("side", 2, "apps/web/b", "from refs/heads/main\n");
    for number in 3..150 {
        commit("main", number, if number % 5 == 0 { "apps/web/a" } else { "apps/other" }, "");
    }
    commit(
        "main",
        150,
        "apps/other",
        "merge refs/heads/side\nM 644 inline apps/web/b\ndata <<E\n2\nE\n",
    );
    let file = TempDir::new().unwrap();
    let path = file.path().join("stream");
    std::fs::write(&path, stream).unwrap();
    let import = format!("git fast-import --quiet --force <'{}'", path.display());
    let done =
        std::process::Command::new("sh").args(["-c", &import]).current_dir(server.path()).status();
    assert!(done.unwrap().success());
    server
}

fn ids(server: &GitServer, arguments: &[&str]) -> Vec<CommitId> {
    server.git(arguments).lines().map(|line| line.parse().unwrap()).collect()
}

#[tokio::test]
async fn the_log_of_a_path_is_what_git_log_says() {
    let server = with_history();
    let client = Client::of(format!("file://{}", server.path())).await;
    let tip = client.repository.fetch(Some("main")).await.unwrap();
    assert!(client.cache().join("shallow").exists());
    for path in ["apps/web", "apps/web/b", "apps", ".", "none"] {
        let expected = ids(&server, &["log", "--format=%H", "main", "--", path]);
        let log = client.repository.log(&tip, path.into(), 1000).await.unwrap();
        let found: Vec<_> = log.iter().map(|commit| commit.id.clone()).collect();
        assert_eq!(found.len(), expected.len(), "{path}");
        assert_eq!(found, expected, "{path}");
    }
    let log = client.repository.log(&tip, "apps/web".into(), 2).await.unwrap();
    let subjects: Vec<_> = log.iter().map(Commit::subject).collect();
    assert_eq!(subjects, ["commit 150", "commit 145"]);
}

#[tokio::test]
async fn commits_are_related_across_the_end_of_a_shallow_cache() {
    let server = with_history();
    let main = ids(&server, &["rev-list", "--first-parent", "main"]);
    let side = ids(&server, &["rev-list", "-1", "side"]);
    let tip = &main[0];
    let none: CommitId = "0123456789012345678901234567890123456789".parse().unwrap();
    let cases = [
        (tip, tip, Relation::Same),
        (&main[1], tip, Relation::Newer),
        (tip, &main[1], Relation::Older),
        (&main[120], tip, Relation::Newer),
        (tip, &main[149], Relation::Older),
        (&side[0], &main[3], Relation::Diverged),
        (&side[0], tip, Relation::Newer),
        (tip, &none, Relation::Unknown),
        (&none, tip, Relation::Unknown),
    ];
    for (expected, observed, relation) in cases {
        // A cache of its own: what one case fetched must not help the next.
        let client = Client::of(format!("file://{}", server.path())).await;
        client.repository.fetch(Some("main")).await.unwrap();
        let found = client.repository.relation(expected, observed.as_str()).await.unwrap();
        assert_eq!(found, relation, "{expected} {observed}");
    }
    let client = Client::of(server.path()).await;
    let odd = client.repository.relation(tip, "HEAD").await.unwrap();
    assert_eq!(odd, Relation::Unknown);
}

#[tokio::test]
async fn a_later_fetch_makes_the_cache_shallow_again_and_history_still_works() {
    let server = with_history();
    let client = Client::of(format!("file://{}", server.path())).await;
    let tip = client.repository.fetch(Some("main")).await.unwrap();
    let before = client.repository.log(&tip, "apps/web".into(), 1000).await.unwrap();
    client.set("apps/web/a", "new\n").await.unwrap();
    let tip = client.repository.fetch(Some("main")).await.unwrap();
    let after = client.repository.log(&tip, "apps/web".into(), 1000).await.unwrap();
    assert_eq!(after[1..], before);
}

#[tokio::test]
async fn a_revision_is_an_id_a_beginning_of_one_a_branch_or_a_tag() {
    let server = with_history();
    server.git(&["tag", "-a", "-m", "release", "v1", "main~3"]);
    server.git(&["branch", "nested/side", "side"]);
    let main = ids(&server, &["rev-list", "--first-parent", "main"]);
    let side = ids(&server, &["rev-list", "-1", "side"]);
    let client = Client::of(format!("file://{}", server.path())).await;
    let cases = [
        ("main", &main[0]),
        ("side", &side[0]),
        ("v1", &main[3]),
        (main[20].as_str(), &main[20]),
        (&main[100].as_str()[..9], &main[100]),
    ];
    for (revision, id) in cases {
        assert_eq!(client.repository.resolve(revision).await.unwrap(), *id, "{revision}");
    }
    let missing = "0123456789012345678901234567890123456789";
    for revision in ["none", "", "ide", "../x", "0123456", missing, "main~1", "a:b"] {
        let error = client.repository.resolve(revision).await.unwrap_err();
        assert!(matches!(error, GitError::NoCommit { .. }), "{revision}: {error}");
    }
}

#[tokio::test]
async fn a_shallow_checkout_is_a_remote_with_as_much_history_as_it_has() {
    let server = with_history();
    let home = TempDir::new().unwrap();
    let work = Utf8Path::from_path(home.path()).unwrap().join("work");
    let url = format!("file://{}", server.path());
    git(work.parent().unwrap(), &["clone", "-q", "--depth=3", &url, "work"]);
    let client = Client::of(&work).await;
    let tip = client.repository.fetch(None).await.unwrap();
    assert_eq!(tip, ids(&server, &["rev-parse", "main"])[0]);
    client.repository.log(&tip, Utf8Path::new(""), 100).await.unwrap();
}

#[tokio::test]
async fn the_recent_commits_come_with_the_tip() {
    let server = with_history();
    server.git(&["config", "uploadpack.allowFilter", "true"]);
    let client = Client::of(format!("file://{}", server.path())).await;
    let tip = client.repository.fetch(Some("main")).await.unwrap();
    let recent = client.repository.recent(&tip, 60).unwrap();
    let found: Vec<_> = recent.into_iter().map(|commit| commit.id).collect();
    assert_eq!(found, ids(&server, &["log", "--first-parent", "-60", "--format=%H", "main"]));
    assert_eq!(client.repository.recent(&tip, 1000).unwrap().len(), 64);
}

#[tokio::test]
async fn other_references_come_with_the_branch_and_go_with_the_remotes() {
    let server = GitServer::bare(&[("a", "1\n")]);
    let id = server.git(&["rev-parse", "main"]).trim().to_owned();
    for name in ["holds/prod/web", "holds/prod/shop", "holds/dev/web"] {
        server.git(&["update-ref", &format!("refs/deployctl/{name}"), "main"]);
    }
    let client = Client::of(server.path()).await;
    let fetch = || client.repository.fetch_with(None, &["refs/deployctl/holds/prod/*"]);
    let fetched = fetch().await.unwrap();
    assert_eq!((fetched.branch.as_str(), fetched.tip.as_str()), ("main", id.as_str()));
    let names: Vec<_> = fetched.references.keys().map(String::as_str).collect();
    assert_eq!(names, ["refs/deployctl/holds/prod/shop", "refs/deployctl/holds/prod/web"]);
    server.git(&["update-ref", "-d", "refs/deployctl/holds/prod/web"]);
    assert_eq!(fetch().await.unwrap().references.len(), 1);
    server.git(&["update-ref", "-d", "refs/deployctl/holds/prod/shop"]);
    let fetched = client.repository.fetch_with(Some("main"), &["refs/deployctl/holds/prod/*"]);
    assert!(fetched.await.unwrap().references.is_empty());
}
