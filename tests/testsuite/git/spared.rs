//! What a cache is spared besides files: the folders of services that nobody asks about.

use std::io::Write as _;
use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::git::Push;
use deployctl::kustomize::FileTree as _;

use super::change;
use super::history::with_history;
use super::partial::{Watched, file, partial};
use crate::support::git_server::{GitServer, HttpGitServer};

/// Returns a client that knows how deep the folders of services lie.
async fn sparing(remote: impl AsRef<str>, depth: usize) -> Watched {
    let mut watched = Watched::of(remote).await;
    let repository = watched.client.repository.clone();
    watched.client.repository = repository.with_services_at(depth);
    watched
}

/// Fetches, changes an overlay of the service `s7`, pushes, and returns how many objects the cache
/// has then, and how many fetches that took.
async fn cold_change(server: &GitServer, watched: &Watched, overlay: &str) -> (usize, usize) {
    let (tip, tree) = watched.tree().await;
    let path = format!("{overlay}/kustomization.yaml");
    assert!(tree.read(Utf8Path::new(&path)).unwrap().is_some());
    for file in tree.files(Utf8Path::new(overlay).parent().unwrap()).unwrap() {
        assert!(tree.read(&file).unwrap().is_some());
    }
    let fetches = watched.runs("fetch");
    let repository = &watched.client.repository;
    let commit = change(repository, &tip, &path, "images: []\n");
    assert_eq!(repository.push(&commit, "main", Some(&tip)).await.unwrap(), Push::Pushed);
    assert_eq!(watched.runs("fetch"), 0);
    assert_eq!(server.file("main", &path), "images: []\n");
    server.git(&["fsck", "--strict"]);
    (watched.objects(), fetches)
}

#[tokio::test]
async fn a_cold_change_takes_as_much_however_many_services_there_are() {
    let mut seen = Vec::new();
    for services in [20, 200] {
        let server = partial(services);
        let watched = sparing(file(&server), 2).await;
        seen.push(cold_change(&server, &watched, "apps/s7/dev").await);
        // Another one of the service is there already, and what has changed since comes.
        let other = sparing(file(&server), 2).await;
        other.client.set("apps/s7/base/a.yaml", "new\n").await.unwrap();
        let (_, tree) = watched.tree().await;
        assert_eq!(tree.read("apps/s7/base/a.yaml".into()).unwrap().unwrap(), b"new\n");
        assert_eq!(tree.read("apps/s7/dev/b.yaml".into()).unwrap().unwrap(), b"7 dev/b.yaml\n");
        assert_eq!(watched.runs("fetch"), 2);
    }
    assert_eq!(seen[0], seen[1], "objects and fetches");
    // The commit, the root, `apps`, the service.
    assert_eq!(seen[0].1, 4);
}

/// Returns a repository with `services` services below each of two folders that are not theirs.
fn deep(services: usize) -> GitServer {
    let paths = (0..services).flat_map(|service| {
        ["clusters/dev/apps", "clusters/prod/apps"].map(|folder| {
            (format!("{folder}/s{service}/web/kustomization.yaml"), format!("# {service}\n"))
        })
    });
    let files: Vec<(String, String)> = paths.collect();
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let server = GitServer::bare(&files);
    server.git(&["config", "uploadpack.allowFilter", "true"]);
    server
}

#[tokio::test]
async fn so_it_is_wherever_services_are() {
    let mut seen = Vec::new();
    for services in [10, 100] {
        let server = deep(services);
        let watched = sparing(file(&server), 4).await;
        seen.push(cold_change(&server, &watched, "clusters/prod/apps/s7/web").await);
        // Some lie deeper than these.
        let server = partial(services);
        let watched = sparing(file(&server), 4).await;
        seen.push(cold_change(&server, &watched, "apps/s7/dev").await);
    }
    assert_eq!(seen[..2], seen[2..], "objects and fetches");
}

#[tokio::test]
async fn a_server_that_wants_to_send_all_folders_is_asked_for_less_once() {
    for refused in ["uploadpackfilter.tree.allow=false", "uploadpackfilter.allow=false"] {
        let server = partial(30);
        let (key, value) = refused.split_once('=').unwrap();
        server.git(&["config", key, value]);
        server.git(&["config", "uploadpackfilter.blob:none.allow", "true"]);
        server.git(&["config", "uploadpackfilter.blob:limit.allow", "true"]);
        let watched = sparing(file(&server), 2).await;
        let (_, fetches) = cold_change(&server, &watched, "apps/s7/dev").await;
        assert_eq!(fetches, 3, "{refused}");
        watched.tree().await;
        assert_eq!(watched.runs("fetch"), 1, "{refused}");
    }
}

#[tokio::test]
async fn a_server_that_comes_to_refuse_is_asked_for_more() {
    let server = partial(30);
    let watched = sparing(file(&server), 4).await;
    let (_, tree) = watched.tree().await;
    server.git(&["config", "uploadpackfilter.tree.allow", "false"]);
    assert_eq!(tree.read("apps/s7/dev/c.yaml".into()).unwrap().unwrap(), b"7 dev/c.yaml\n");
    let (_, tree) = watched.tree().await;
    assert_eq!(tree.read("apps/s8/dev/c.yaml".into()).unwrap().unwrap(), b"8 dev/c.yaml\n");
}

#[tokio::test]
async fn github_is_not_asked_for_what_it_refuses() {
    let Some(server) = HttpGitServer::start("ada", "secret") else { return };
    server.repository.git(&["config", "uploadpack.allowFilter", "true"]);
    let origin = server.url().rsplit_once('/').unwrap().0.to_owned();
    let own = [("DEPLOYCTL_GIT_USERNAME", "ada"), ("DEPLOYCTL_GIT_TOKEN", "secret")];
    for (at, filter) in [("https://github.com", "tree:0"), (origin.as_str(), "blob:none")] {
        let variables = [own[0], own[1], ("GITHUB_SERVER_URL", at)];
        let mut watched = Watched::with(server.url(), &variables).await;
        let repository = watched.client.repository.clone();
        watched.client.repository = repository.with_services_at(2);
        watched.client.repository.fetch(Some("main")).await.unwrap();
        let trace = watched.trace();
        assert!(trace.contains(&format!("--filter={filter}")), "{at}: {trace}");
    }
}

#[tokio::test]
async fn who_reads_on_and_on_is_given_all_folders_and_more_files_each_time() {
    let server = partial(300);
    let watched = sparing(file(&server), 2).await;
    let (_, tree) = watched.tree().await;
    watched.runs("fetch");
    for service in 0..300 {
        let path = format!("apps/s{service}/dev/kustomization.yaml");
        assert!(tree.read(Utf8Path::new(&path)).unwrap().is_some());
    }
    let fetches = watched.runs("fetch");
    assert!(fetches < 20, "{fetches}");

    let watched = sparing(file(&server), 2).await;
    let (_, tree) = watched.tree().await;
    assert_eq!(tree.files("".into()).unwrap().len(), 1500);
    assert_eq!((watched.runs("fetch"), watched.files()), (2, 0));
}

#[tokio::test]
async fn what_is_known_beforehand_comes_in_one_round_trip_with_its_folders() {
    let server = partial(60);
    let watched = sparing(file(&server), 2).await;
    let (_, tree) = watched.tree().await;
    let overlays = (0..20).map(|s| format!("apps/s{s}/dev/kustomization.yaml"));
    let overlays: Vec<Utf8PathBuf> = overlays.map(Into::into).collect();
    watched.runs("fetch");
    tree.prefetch(&overlays).await.unwrap();
    for overlay in &overlays {
        assert!(tree.read(overlay).unwrap().is_some());
    }
    // The root, `apps`, the services.
    assert_eq!((watched.files(), watched.runs("fetch")), (100, 3));
    tree.prefetch(&overlays).await.unwrap();
    assert_eq!(watched.runs("fetch"), 0);
}

/// Makes `count` commits on `branch`, each of which changes one file.
fn commits(server: &GitServer, count: usize, path: impl Fn(usize) -> String) {
    let mut stream = String::new();
    for number in 0..count {
        let from = if number == 0 { "from refs/heads/main^0\n" } else { "" };
        let (time, path) = (1_800_000_000 + number, path(number));
        stream.push_str(&format!(
            "commit refs/heads/main\ncommitter T <t@example.com> {time} +0000\ndata 1\nx\n\
             {from}M 100644 inline {path}\ndata <<E\n{number}\nE\n"
        ));
    }
    let mut import = Command::new("git");
    import.args(["fast-import", "--quiet"]).current_dir(server.path()).stdin(Stdio::piped());
    let mut import = import.spawn().unwrap();
    import.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(import.wait().unwrap().success());
}

#[tokio::test]
async fn the_log_of_a_path_is_what_git_says_it_is() {
    let server = partial(30);
    commits(&server, 300, |number| {
        let folder = if number % 10 == 0 { "dev" } else { "base" };
        format!("apps/s{}/{folder}/c.yaml", number % 30)
    });
    let of_git = |path: &str| -> Vec<String> {
        let log = server.git(&["log", "--format=%H", "main", "--", path]);
        log.lines().map(ToOwned::to_owned).collect()
    };
    let path = "apps/s10/dev";
    let all = of_git(path);
    assert_eq!(all.len(), 11);
    for limit in [1, 2, 5, 100] {
        let watched = sparing(file(&server), 2).await;
        let tip = watched.client.repository.fetch(Some("main")).await.unwrap();
        watched.runs("fetch");
        for _ in 0..2 {
            let log = watched.client.repository.log(&tip, path.into(), limit).await.unwrap();
            let log: Vec<String> = log.iter().map(|commit| commit.id.to_string()).collect();
            assert_eq!(log, all[..limit.min(11)], "{limit}");
        }
        let fetches = watched.runs("fetch");
        assert!(fetches <= 12, "{limit}: {fetches}");
        let landings = watched.client.repository.landings(&tip, path.into(), limit).await.unwrap();
        assert_eq!(landings.len(), limit.min(11));
        // A commit that came without its folders is read all the same.
        let oldest = landings.last().unwrap();
        let tree = watched.client.repository.tree(&oldest.id).unwrap();
        assert!(tree.read("apps/s10/dev/c.yaml".into()).unwrap().is_some());
        assert!(tree.read("apps/s9/dev/c.yaml".into()).unwrap().is_some());
    }
    let watched = sparing(file(&server), 2).await;
    let tip = watched.client.repository.fetch(Some("main")).await.unwrap();
    let log = watched.client.repository.log(&tip, "apps/none/dev".into(), 5).await.unwrap();
    assert_eq!(log.len(), 0);
    let log = watched.client.repository.log(&tip, "".into(), 70).await.unwrap();
    assert_eq!(log.len(), 70);
}

#[tokio::test]
async fn the_log_of_merges_is_the_same_without_folders() {
    let server = with_history();
    server.git(&["config", "uploadpack.allowFilter", "true"]);
    for path in ["apps/web", "apps/web/b", "apps", ".", "none"] {
        let whole = Watched::of(file(&server)).await;
        let spared = sparing(file(&server), 1).await;
        for limit in [1, 3, 1000] {
            let mut logs = Vec::new();
            for watched in [&whole, &spared] {
                let repository = &watched.client.repository;
                let tip = repository.fetch(Some("main")).await.unwrap();
                logs.push(repository.log(&tip, path.into(), limit).await.unwrap());
                logs.push(repository.landings(&tip, path.into(), limit).await.unwrap());
            }
            assert_eq!(logs[..2], logs[2..], "{path} {limit}");
        }
    }
}

#[tokio::test]
async fn a_race_is_seen_where_the_folder_was_spared() {
    let server = partial(30);
    let [a, b] = [sparing(file(&server), 2).await, sparing(file(&server), 2).await];
    let (tip, tree) = a.tree().await;
    let path = "apps/s7/dev/kustomization.yaml";
    assert!(tree.read(path.into()).unwrap().is_some());
    b.client.set("apps/s7/dev/b.yaml", "b\n").await.unwrap();
    let commit = change(&a.client.repository, &tip, path, "a\n");
    let push = a.client.repository.push(&commit, "main", Some(&tip)).await.unwrap();
    assert_eq!(push, Push::Raced);
    a.client.set(path, "a\n").await.unwrap();
    assert_eq!(server.file("main", path), "a\n");
    assert_eq!(server.file("main", "apps/s7/dev/b.yaml"), "b\n");
    server.git(&["fsck", "--strict"]);
}
