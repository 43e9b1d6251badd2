//! What a checkout is at.

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::git::{GitError, Source};
use deployctl::system::Environment;
use tempfile::TempDir;

use crate::support::git_server::{GitServer, git};

struct Checkout {
    _dir: TempDir,
    root: Utf8PathBuf,
    _server: GitServer,
}

impl Checkout {
    /// Returns a clone made with `arguments`.
    fn new(arguments: &[&str]) -> Self {
        let server =
            GitServer::bare(&[("services/web/Dockerfile", "FROM scratch\n"), ("a", "1\n")]);
        let dir = TempDir::new().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap().canonicalize_utf8().unwrap();
        let url = format!("file://{}", server.path());
        let mut clone = vec!["clone", "-q", &url, "work"];
        clone.extend(arguments);
        git(&root, &clone);
        Self { _dir: dir, root: root.join("work"), _server: server }
    }
}

async fn discover(dir: &Utf8Path) -> Result<Option<Source>, GitError> {
    Source::discover(dir, &Environment::default()).await
}

#[tokio::test]
async fn a_clean_checkout() {
    for arguments in [&[][..], &["--depth=1"]] {
        let checkout = Checkout::new(arguments);
        let source = discover(&checkout.root.join("services/web")).await.unwrap().unwrap();
        assert_eq!(source.root, checkout.root);
        assert_eq!(source.commit.as_str(), git(&checkout.root, &["rev-parse", "HEAD"]).trim());
        let time = git(&checkout.root, &["log", "-1", "--format=%ct"]);
        assert_eq!(source.time.as_second().to_string(), time.trim());
        assert_eq!((source.subject.as_str(), source.branch.as_deref()), ("first", Some("main")));
        assert!(!source.dirty);
        let author = git(&checkout.root, &["log", "-1", "--format=%an <%ae> %aI"]);
        let trailers = source.reference().trailers();
        let said = |key: &str| &trailers.iter().find(|(name, _)| name.ends_with(key)).unwrap().1;
        assert_eq!(format!("{} {}", said("-author"), said("-date")), author.trim());
        assert!(source.remote.unwrap().ends_with("manifests.git"));
    }
}

#[tokio::test]
async fn what_is_below_the_folder_makes_it_dirty() {
    let checkout = Checkout::new(&[]);
    let web = checkout.root.join("services/web");
    let is_dirty = async |dir: &Utf8Path| discover(dir).await.unwrap().unwrap().dirty;
    std::fs::write(checkout.root.join("a"), "2\n").unwrap();
    assert!(!is_dirty(&web).await);
    assert!(is_dirty(&checkout.root).await);
    std::fs::write(web.join("new"), "x").unwrap();
    assert!(is_dirty(&web).await);
    std::fs::write(checkout.root.join(".gitignore"), "new\n").unwrap();
    assert!(!is_dirty(&web).await);
    std::fs::remove_file(web.join("Dockerfile")).unwrap();
    assert!(is_dirty(&web).await);
}

#[tokio::test]
async fn a_detached_head_and_a_worktree() {
    let checkout = Checkout::new(&[]);
    git(&checkout.root, &["checkout", "-q", "--detach"]);
    assert_eq!(discover(&checkout.root).await.unwrap().unwrap().branch, None);
    git(&checkout.root, &["worktree", "add", "-q", "-b", "topic", "../tree"]);
    let tree = checkout.root.parent().unwrap().join("tree");
    let source = discover(&tree).await.unwrap().unwrap();
    assert_eq!(source.branch.as_deref(), Some("topic"));
    assert_eq!(source.root, tree);
}

#[tokio::test]
async fn the_address_of_origin_has_no_credentials() {
    let checkout = Checkout::new(&[]);
    let cases = [
        ("https://bot:canary@git.example.com/a/b.git", "https://git.example.com/a/b.git"),
        ("https://canary@git.example.com/a/b.git", "https://git.example.com/a/b.git"),
        ("git@git.example.com:a/b.git", "git@git.example.com:a/b.git"),
        ("ssh://git@git.example.com/a/b.git", "ssh://git@git.example.com/a/b.git"),
        ("ssh://git:canary@git.example.com/a/b.git", "ssh://***@git.example.com/a/b.git"),
    ];
    for (set, shown) in cases {
        git(&checkout.root, &["remote", "set-url", "origin", set]);
        let source = discover(&checkout.root).await.unwrap().unwrap();
        assert_eq!(source.remote.as_deref(), Some(shown));
    }
    git(&checkout.root, &["remote", "remove", "origin"]);
    assert_eq!(discover(&checkout.root).await.unwrap().unwrap().remote, None);
}

#[tokio::test]
async fn no_repository_and_no_commit_are_no_source() {
    let dir = TempDir::new().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    assert_eq!(discover(dir).await.unwrap(), None);
    git(dir, &["init", "-q"]);
    assert_eq!(discover(dir).await.unwrap(), None);
    let checkout = Checkout::new(&[]);
    let ceiling = [("GIT_CEILING_DIRECTORIES", checkout.root.join("services").into_string())];
    let ceiling: Environment = ceiling.into_iter().collect();
    let web = checkout.root.join("services/web");
    assert_eq!(Source::discover(&web, &ceiling).await.unwrap(), None);
}

#[tokio::test]
async fn a_repository_of_another_user_is_not_trusted() {
    let checkout = Checkout::new(&[]);
    let mut give = std::process::Command::new("chown");
    give.args(["-R", "65534:65534"]).arg(&checkout.root).stderr(std::process::Stdio::null());
    // Only root can give files away.
    if !give.status().unwrap().success() {
        return;
    }
    let error = discover(&checkout.root).await.unwrap_err();
    assert!(matches!(error, GitError::Ownership { .. }), "{error}");
    assert!(error.advice().unwrap().contains("safe.directory"));
}

#[tokio::test]
async fn what_the_author_said_goes_with_the_commit() {
    let checkout = Checkout::new(&[]);
    let message = "Rank by score\n\nIt says \"rank\".\n\nFixes #12.\n";
    let date = "--date=2025-06-09T13:50:18-04:00";
    git(&checkout.root, &["commit", "-q", "--allow-empty", "-m", message, date]);
    git(&checkout.root, &["remote", "set-url", "origin", "https://a:canary@git.example.com/x"]);
    let source = discover(&checkout.root).await.unwrap().unwrap();
    assert_eq!(source.subject, "Rank by score");
    assert_eq!(source.body, "It says \"rank\".\n\nFixes #12.");
    let told: Vec<String> =
        source.reference().trailers().into_iter().map(|(_, value)| value).collect();
    assert_eq!(
        told[3..],
        [
            r#""It says \"rank\".\n\nFixes #12.""#,
            "https://git.example.com/x",
            "2025-06-09T13:50:18-04:00"
        ]
    );
}
