//! What a cache does without: files that nobody reads, where the server allows it.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::git::{CommitId, CommitTree, GitError, Push};
use deployctl::kustomize::FileTree as _;
use tempfile::TempDir;

use super::{Client, change};
use crate::support::git_server::{GitServer, HttpGitServer, git_that};

/// Returns a repository of `services` services, five files each, whose server knows filters.
pub(super) fn partial(services: usize) -> GitServer {
    let mut files = Vec::new();
    for service in 0..services {
        for file in ["base/a.yaml", "base/kustomization.yaml", "dev/b.yaml", "dev/c.yaml"] {
            files.push((format!("apps/s{service}/{file}"), format!("{service} {file}\n")));
        }
        let overlay = format!("apps/s{service}/dev/kustomization.yaml");
        files.push((overlay, format!("resources: [../base]\n# {service}\n")));
    }
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let server = GitServer::bare(&files);
    server.git(&["config", "uploadpack.allowFilter", "true"]);
    server
}

/// A client that notes each command it has `git` run, and the remote's part too.
pub(super) struct Watched {
    pub(super) client: Client,
    trace: Utf8PathBuf,
    _dir: TempDir,
}

impl Watched {
    pub(super) async fn of(remote: impl AsRef<str>) -> Self {
        Self::with(remote, &[]).await
    }

    pub(super) async fn with(remote: impl AsRef<str>, variables: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let trace = Utf8Path::from_path(dir.path()).unwrap().join("trace");
        let own = [("GIT_TRACE", trace.as_str())];
        let variables: Vec<_> = own.into_iter().chain(variables.iter().copied()).collect();
        let client = Client::with(remote, &variables).await.unwrap();
        Self { client, trace, _dir: dir }
    }

    /// Returns how often `git ACTION` was run since the last time one asked.
    pub(super) fn runs(&self, action: &str) -> usize {
        let trace = std::fs::read_to_string(&self.trace).unwrap_or_default();
        let _ = std::fs::remove_file(&self.trace);
        let run = format!("trace: built-in: git {action} ");
        trace.lines().filter(|line| line.contains(&run)).count()
    }

    pub(super) async fn tree(&self) -> (CommitId, CommitTree) {
        let tip = self.client.repository.fetch(Some("main")).await.unwrap();
        let tree = self.client.repository.tree(&tip).unwrap();
        (tip, tree)
    }

    /// Returns the commands since the last time that one asked how many there were.
    pub(super) fn trace(&self) -> String {
        std::fs::read_to_string(&self.trace).unwrap_or_default()
    }

    /// Returns how many files the cache has.
    pub(super) fn files(&self) -> usize {
        self.count(|kind| kind == git2::ObjectType::Blob)
    }

    /// Returns how many objects the cache has.
    pub(super) fn objects(&self) -> usize {
        self.count(|_| true)
    }

    fn count(&self, counts: impl Fn(git2::ObjectType) -> bool) -> usize {
        let cache = git2::Repository::open_bare(self.client.cache()).unwrap();
        let odb = cache.odb().unwrap();
        let mut objects = BTreeSet::new();
        odb.foreach(|id| {
            if counts(odb.read_header(*id).unwrap().1) {
                objects.insert(*id);
            }
            true
        })
        .unwrap();
        objects.len()
    }
}

pub(super) fn file(server: &GitServer) -> String {
    format!("file://{}", server.path())
}

#[tokio::test]
async fn a_fetch_brings_no_files_and_a_read_those_of_one_service() {
    let server = partial(30);
    let watched = Watched::of(file(&server)).await;
    let (tip, tree) = watched.tree().await;
    assert_eq!((watched.files(), watched.runs("fetch")), (0, 1));
    let read = |path: &str| tree.read(path.into()).unwrap();
    assert_eq!(read("apps/s7/dev/c.yaml").unwrap(), b"7 dev/c.yaml\n");
    assert_eq!(read("apps/s7/base/a.yaml").unwrap(), b"7 base/a.yaml\n");
    assert_eq!(read("apps/s7/dev/none"), None);
    assert_eq!(tree.files("apps/s7/base".into()).unwrap().len(), 2);
    assert_eq!((watched.files(), watched.runs("fetch")), (5, 1));

    let path = "apps/s7/dev/kustomization.yaml";
    let commit = change(&watched.client.repository, &tip, path, "images: []\n");
    let push = watched.client.repository.push(&commit, "main", Some(&tip)).await.unwrap();
    assert_eq!((push, watched.runs("fetch")), (Push::Pushed, 0));
    assert_eq!(server.file("main", path), "images: []\n");
    server.git(&["fsck", "--strict"]);
    // What one has written oneself is not fetched.
    let (_, tree) = watched.tree().await;
    assert_eq!(tree.read(path.into()).unwrap().unwrap(), b"images: []\n");
    assert_eq!((watched.files(), watched.runs("fetch")), (6, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_beforehand_comes_in_one_round_trip() {
    let server = partial(200);
    let watched = Watched::of(file(&server)).await;
    let (_, tree) = watched.tree().await;
    let overlays: Vec<Utf8PathBuf> = (0..40).map(|s| format!("apps/s{s}/dev").into()).collect();
    let nothing = ["apps/none/dev".into(), "apps/s3/dev/none".into(), "".into()];
    watched.runs("fetch");
    tree.prefetch(&[&overlays[..], &nothing].concat()).await.unwrap();
    assert_eq!((watched.files(), watched.runs("fetch")), (200, 1));
    for overlay in &overlays {
        assert!(tree.read(&overlay.join("kustomization.yaml")).unwrap().is_some());
    }
    tree.prefetch(&overlays).await.unwrap();
    assert_eq!(watched.runs("fetch"), 0);
}

#[tokio::test]
async fn who_reads_on_and_on_is_given_more_each_time() {
    let server = partial(300);
    let watched = Watched::of(file(&server)).await;
    let (_, tree) = watched.tree().await;
    watched.runs("fetch");
    for path in tree.files("".into()).unwrap() {
        assert!(tree.read(&path).unwrap().is_some());
    }
    assert_eq!(watched.files(), 1500);
    let fetches = watched.runs("fetch");
    assert!(fetches < 40, "{fetches}");
}

#[tokio::test]
async fn a_server_without_filters_sends_everything_once() {
    let server = partial(30);
    server.git(&["config", "uploadpack.allowFilter", "false"]);
    let watched = Watched::of(server.path()).await;
    let (_, tree) = watched.tree().await;
    assert_eq!(watched.files(), 150);
    assert!(tree.read("apps/s7/dev/c.yaml".into()).unwrap().is_some());
    assert_eq!(watched.runs("fetch"), 1);
    watched.client.set("apps/s7/dev/c.yaml", "2\n").await.unwrap();
    assert_eq!(watched.runs("fetch"), 1);
}

#[tokio::test]
async fn an_old_git_fetches_as_it_can() {
    let dir = TempDir::new().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let old = |option: &str| {
        format!(
            "case \" $* \" in *' --{option}'*)\n\
             echo \"error: unknown option \\`{option}'\" >&2; exit 129;; esac"
        )
    };
    for (option, files) in [("filter=", 150), ("refetch", 0)] {
        let server = partial(30);
        let path = git_that(dir, "fetch", &old(option));
        let watched = Watched::with(file(&server), &[("PATH", &path)]).await;
        let (_, tree) = watched.tree().await;
        assert_eq!(watched.files(), files, "{option}");
        let read = tree.read("apps/s7/dev/c.yaml".into()).unwrap();
        assert_eq!(read.unwrap(), b"7 dev/c.yaml\n", "{option}");
        assert_eq!(watched.files(), files.max(5), "{option}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_a_filter_is_asked_without() {
    let server = partial(30);
    server.git(&["config", "uploadpackfilter.allow", "false"]);
    let watched = Watched::of(file(&server)).await;
    let (_, tree) = watched.tree().await;
    assert_eq!((watched.files(), watched.runs("fetch")), (150, 2));
    assert!(tree.read("apps/s7/dev/c.yaml".into()).unwrap().is_some());
    watched.tree().await;
    assert_eq!(watched.runs("fetch"), 1);
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_before_it_is_fetched() {
    let server = partial(3);
    let large = format!(
        "head -c {} /dev/zero | git hash-object -w --stdin >large; \
         head -c 2000000 /dev/zero | git hash-object -w --stdin >medium; \
         git read-tree main; git update-index --add \
         --cacheinfo 100644,$(cat large),apps/s1/dev/large.yaml \
         --cacheinfo 100644,$(cat medium),apps/s1/dev/medium.yaml; \
         git update-ref refs/heads/main $(git -c user.name=x -c user.email=x commit-tree \
         -p main -m large $(git write-tree))",
        200 << 20
    );
    let mut made = std::process::Command::new("sh");
    made.args(["-c", &large]).current_dir(server.path()).env("GIT_DIR", ".");
    assert!(made.status().unwrap().success());
    let watched = Watched::of(file(&server)).await;
    let (_, tree) = watched.tree().await;
    let small = tree.read("apps/s1/dev/kustomization.yaml".into()).unwrap();
    assert!(small.unwrap().starts_with(b"resources"));
    assert_eq!(watched.files(), 15);
    let medium = tree.read("apps/s1/dev/medium.yaml".into()).unwrap();
    assert_eq!(medium.unwrap().len(), 2_000_000);
    let error = tree.read("apps/s1/dev/large.yaml".into()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "can't read `apps/s1/dev/large.yaml`: it has more than 33554432 bytes, which are not read"
    );
    assert_eq!(watched.files(), 16);
}

#[tokio::test]
async fn a_link_comes_before_what_it_leads_to() {
    let server = partial(100);
    let link = "git read-tree main; git update-index --add \
         --cacheinfo 120000,$(printf ../s9/dev | git hash-object -w --stdin),apps/s1/link; \
         git update-ref refs/heads/main $(git -c user.name=x -c user.email=x commit-tree \
         -p main -m link $(git write-tree))";
    let mut made = std::process::Command::new("sh");
    made.args(["-c", link]).current_dir(server.path()).env("GIT_DIR", ".");
    assert!(made.status().unwrap().success());
    let watched = Watched::of(file(&server)).await;
    let (_, tree) = watched.tree().await;
    let read = tree.read("apps/s1/link/c.yaml".into()).unwrap();
    assert_eq!(read.unwrap(), b"9 dev/c.yaml\n");
}

/// Forwards connections to `port`, each only so far as `bytes` says, and returns its own port.
fn cutting_proxy(port: u16, bytes: Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let copy = |mut from: TcpStream, mut to: TcpStream, mut left: usize| {
        let mut buffer = [0; 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer[..left.min(1024)]) {
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
            left -= read;
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    };
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
            let left = bytes.load(Ordering::Relaxed);
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || copy(from, to, usize::MAX));
            std::thread::spawn(move || copy(server, client, left));
        }
    });
    own
}

#[tokio::test]
async fn a_remote_that_goes_in_the_middle_of_a_fetch_costs_the_cache_nothing() {
    let Some(server) = HttpGitServer::start("ada", "secret") else { return };
    let files: Vec<_> = (0..300).map(|n| format!("apps/s{n}/dev/k.yaml")).collect();
    let add: String =
        files.iter().map(|path| format!("M 100644 inline {path}\ndata <<E\n{path}\nE\n")).collect();
    let stream = format!(
        "commit refs/heads/main\ncommitter T <t@example.com> 1700000000 +0000\ndata 1\nx\n\
         from refs/heads/main^0\n{add}"
    );
    let mut import = std::process::Command::new("git");
    import.args(["fast-import", "--quiet"]).current_dir(server.repository.path());
    let mut import = import.stdin(std::process::Stdio::piped()).spawn().unwrap();
    import.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(import.wait().unwrap().success());
    server.repository.git(&["config", "uploadpack.allowFilter", "true"]);

    let port = server.url()["http://127.0.0.1:".len()..].split('/').next().unwrap().to_owned();
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let proxy = cutting_proxy(port.parse().unwrap(), left.clone());
    let url = format!("http://127.0.0.1:{proxy}/manifests.git");
    let token = [("DEPLOYCTL_GIT_USERNAME", "ada"), ("DEPLOYCTL_GIT_TOKEN", "secret")];
    let client = Client::with(&url, &token).await.unwrap();
    let tip = client.repository.fetch(Some("main")).await.unwrap();
    let before = std::fs::metadata(client.cache()).unwrap().ino();
    let tree = client.repository.tree(&tip).unwrap();
    left.store(0, Ordering::Relaxed);
    let error = client.repository.fetch(Some("main")).await.unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error:?}");
    let error = tree.read("apps/s7/dev/k.yaml".into()).unwrap_err().to_string();
    assert!(error.contains("can't reach"), "{error}");
    // A first fetch, cut in the middle of its pack.
    for bytes in [2_500, 6_000] {
        let client = Client::with(&url, &token).await.unwrap();
        left.store(bytes, Ordering::Relaxed);
        let error = client.repository.fetch(Some("main")).await.unwrap_err();
        assert!(matches!(error, GitError::Unreachable { .. }), "{bytes}: {error:?}");
        left.store(usize::MAX, Ordering::Relaxed);
        assert_eq!(client.repository.fetch(Some("main")).await.unwrap(), tip);
    }
    let read = tree.read("apps/s7/dev/k.yaml".into()).unwrap();
    assert_eq!(read.unwrap(), b"apps/s7/dev/k.yaml\n");
    assert_eq!(std::fs::metadata(client.cache()).unwrap().ino(), before);
}

#[tokio::test]
async fn a_million_files_are_refused_in_one_folder_or_nested_and_the_rest_is_read() {
    let server = partial(3);
    // A folder that has the same folder a thousand times is a million files in two objects.
    let bomb = "blob=$(echo x | git hash-object -w --stdin); \
        tree=$(seq -w 0 999 | sed \"s/.*/100644 blob $blob\tf&/\" | git mktree); \
        nested=$(seq -w 0 999 | sed \"s/.*/040000 tree $tree\td&/\" | git mktree); \
        flat=$(seq -w 0 999999 | sed \"s/.*/100644 blob $blob\tf&/\" | git mktree); \
        new=$( (git ls-tree main; printf \"040000 tree $nested\tnested\n040000 tree $flat\tflat\n\") \
          | git mktree); \
        git update-ref refs/heads/main $(git -c user.name=x -c user.email=x commit-tree -p main -m x $new)";
    let mut made = std::process::Command::new("bash");
    made.args(["-c", bomb]).current_dir(server.path()).env("GIT_DIR", ".");
    assert!(made.status().unwrap().success());
    let watched = Watched::of(file(&server)).await;
    let (_, tree) = watched.tree().await;
    for folder in ["flat", "nested", ""] {
        let error = tree.files(folder.into()).unwrap_err().to_string();
        assert!(error.contains("more than 200000 files"), "{error}");
    }
    assert_eq!(tree.read("nested/d500/f500".into()).unwrap().unwrap(), b"x\n");
    assert_eq!(tree.read("flat/f500000".into()).unwrap().unwrap(), b"x\n");
    let read = tree.read("apps/s1/dev/c.yaml".into()).unwrap();
    assert_eq!(read.unwrap(), b"1 dev/c.yaml\n");
    let set = watched.client.set("apps/s1/dev/c.yaml", "2\n").await.unwrap();
    assert_eq!(set.1, Push::Pushed);
}
