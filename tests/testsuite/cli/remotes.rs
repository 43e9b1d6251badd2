//! Faults on the way to a real server, over HTTP with credentials and over SSH: it refuses, dies or
//! is gone in the middle of a fetch and of a push, and several runs meet there.

use std::process::{Child, Stdio};

use camino::{Utf8Path, Utf8PathBuf};

use super::shop::{DIGEST, Shop};
use crate::support::git_server::{GitServer, HttpGitServer, SshGitServer, git};
use crate::support::{Ran, Wire, World, wait_until};

enum Server {
    Http(HttpGitServer),
    Ssh(SshGitServer),
}

/// The shop's manifests on a server, behind a wire.
struct Remote {
    server: Server,
    wire: Wire,
    world: World,
}

impl Remote {
    /// Starts a server of each kind that is installed, with the shop's manifests and `services`.
    fn each() -> impl Iterator<Item = Self> {
        let http = || HttpGitServer::start("x-access-token", "canary-5d2e").map(Server::Http);
        let ssh = || SshGitServer::start().map(Server::Ssh);
        let starts: [&dyn Fn() -> Option<Server>; 2] = [&http, &ssh];
        starts.map(|start| start()).into_iter().flatten().map(Self::of)
    }

    fn of(server: Server) -> Self {
        let shop = Shop::new();
        let others: Vec<_> =
            (0..120).map(|n| (format!("apps/s{n}/k.yaml"), n.to_string())).collect();
        let others: Vec<_> =
            others.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        shop.manifests.commit("main", &others);
        let (repository, url) = match &server {
            Server::Http(server) => (&server.repository, server.url()),
            Server::Ssh(server) => (&server.repository, server.url()),
        };
        let branch = repository.path();
        git(&shop.manifests.path(), &["push", "-q", "--force", branch.as_str(), "main"]);
        repository.git(&["config", "uploadpack.allowFilter", "true"]);
        let (_, rest) = url.split_once("127.0.0.1:").unwrap();
        let (port, _) = rest.split_once('/').unwrap();
        let wire = Wire::to(port.parse().unwrap());
        shop.configure(&url.replace(&format!(":{port}/"), &format!(":{}/", wire.port())), "");
        let world = match &server {
            Server::Http(_) => shop.world.with("DEPLOYCTL_GIT_TOKEN", "canary-5d2e"),
            // The host's key is known by the server's own port.
            Server::Ssh(server) => {
                let alias = format!("-o HostKeyAlias=[127.0.0.1]:{port}");
                shop.world.with("GIT_SSH_COMMAND", &format!("{} {alias}", server.ssh_command()))
            }
        };
        Self { server, wire, world }
    }

    fn repository(&self) -> &GitServer {
        match &self.server {
            Server::Http(server) => &server.repository,
            Server::Ssh(server) => &server.repository,
        }
    }

    fn set(&self, tag: &str) -> Ran {
        self.world.run(&["set", "--env", "dev", &format!("ranking=:{tag}@{DIGEST}")])
    }

    /// Returns how many commits deployctl has made.
    fn commits(&self) -> usize {
        let count = self.repository().git(&["rev-list", "--count", "main"]);
        count.trim().parse::<usize>().unwrap() - 2
    }

    fn states(&self, tag: &str) -> bool {
        let overlay = "apps/ranking/overlays/dev/kustomization.yaml";
        self.repository().file("main", overlay).contains(&format!("newTag: {tag}\n"))
    }

    fn file(&self, name: &str) -> Utf8PathBuf {
        self.repository().path().join(name)
    }
}

/// Fails unless the run ended with this error, and said nothing else on standard output.
fn failed(ran: &Ran, told: &[&str]) {
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:#?}");
    assert!(ran.stderr.contains("error: "), "{ran:#?}");
    for text in told {
        assert!(ran.stderr.contains(text), "{text}: {ran:#?}");
    }
    assert!(!ran.stderr.contains("canary"), "{ran:#?}");
}

#[test]
fn what_a_protected_branch_says_is_shown_and_it_is_asked_once() {
    for remote in Remote::each() {
        let script = "echo x >>pushes; echo 'GH006: Protected branch update failed' >&2; exit 1";
        remote.repository().hook(script);
        failed(&remote.set("new"), &["refused the push to `main`", "GH006: Protected branch"]);
        assert_eq!(std::fs::read_to_string(remote.file("pushes")).unwrap(), "x\n");
        assert_eq!(remote.commits(), 0);
        remote.repository().hook_named("update", "echo \"$1 is frozen\" >&2; exit 1");
        remote.repository().hook("");
        failed(&remote.set("new"), &["hint: deploy by pull request", "refs/heads/main is frozen"]);
        assert_eq!(remote.commits(), 0);
    }
}

#[test]
fn a_server_that_dies_before_it_answers_has_the_push_all_the_same() {
    for remote in Remote::each() {
        let script = "test $1 != committed || test -e died || { touch died; kill -9 $PPID; }";
        remote.repository().hook_named("reference-transaction", script);
        let ran = remote.set("new");
        assert!(remote.file("died").exists());
        assert_eq!((ran.code, remote.commits()), (0, 1), "{ran:#?}");
        assert!(ran.stdout.starts_with("dev states "), "{ran:#?}");
        assert!(remote.states("new"));
    }
}

#[test]
fn a_server_that_dies_before_it_takes_a_push_gets_it_again() {
    for remote in Remote::each() {
        let script = "echo x >>deaths; test $(wc -l <deaths) -gt 2 || kill -9 $PPID";
        remote.repository().hook(script);
        let ran = remote.set("new");
        assert_eq!((ran.code, remote.commits()), (0, 1), "{ran:#?}");
        assert_eq!(std::fs::read_to_string(remote.file("deaths")).unwrap(), "x\nx\nx\n");
    }
}

/// The hook tells where the push is, and the wire is cut there; the server goes on by itself.
#[test]
fn a_remote_that_is_gone_in_the_middle_of_a_push_is_told_and_a_rerun_converges() {
    for remote in Remote::each() {
        for (end, commits) in [("exit 1", 0), ("exit 0", 1)] {
            let (here, gone) = (remote.file("here"), remote.file("gone"));
            remote.repository().hook(&format!("{}; {end}", wait_for(&here, &gone)));
            let mut run = run(&remote.world, &["set", "--env", "dev", &image("ranking", "new")]);
            wait_until("the push", || here.exists() || run.try_wait().unwrap().is_some());
            assert!(here.exists(), "{:#?}", ended(run));
            remote.wire.cut();
            let ran = ended(run);
            failed(&ran, &["can't reach `", "whether the push has landed is not known"]);
            std::fs::write(&gone, "").unwrap();
            wait_until("the server", || remote.commits() == commits);
            remote.wire.mend();
            remote.repository().hook("");
            assert_eq!(remote.set("new").code, 0);
            assert_eq!(remote.commits(), 1);
            for file in [here, gone] {
                std::fs::remove_file(file).unwrap();
            }
            remote.repository().git(&["update-ref", "refs/heads/main", "main^"]);
        }
    }
}

#[test]
fn a_remote_that_is_gone_in_the_middle_of_a_fetch_is_told_and_the_next_run_works() {
    for remote in Remote::each() {
        let plan = ["set", "--dry-run", "--env", "dev", &image("ranking", "new")];
        let before = remote.wire.carried();
        remote.world.ok(&plan);
        let all = remote.wire.carried() - before;
        for part in [1, 3, 5, 7, 9, 11, 13, 15] {
            let cache = remote.world.path().join(format!("cache-{part}"));
            let plan = || {
                let mut command = remote.world.command(&plan);
                command.env("DEPLOYCTL_CACHE_DIR", &cache).stdout(Stdio::piped());
                ended(command.stderr(Stdio::piped()).spawn().unwrap())
            };
            remote.wire.break_after(all * part / 16);
            failed(&plan(), &["can't reach `"]);
            remote.wire.mend();
            let ran = plan();
            assert_eq!(ran.code, 0, "{ran:#?}");
            assert_eq!(half_packs(&cache), Vec::<Utf8PathBuf>::new());
        }
        assert_eq!(remote.commits(), 0);
    }
}

/// Returns what a hook does that makes the one file and waits for the other.
fn wait_for(here: &Utf8Path, there: &Utf8Path) -> String {
    format!("touch {here}; for _ in $(seq 3000); do test -e {there} && break; sleep 0.02; done")
}

fn half_packs(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut files = below(folder);
    files.retain(|path| path.file_name().is_some_and(|name| name.starts_with("tmp_")));
    files
}

fn below(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let Ok(entries) = folder.read_dir_utf8() else { return Vec::new() };
    let paths = entries.flatten().map(camino::Utf8DirEntry::into_path);
    let files = paths.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] });
    files.collect()
}

fn image(service: &str, tag: &str) -> String {
    format!("{service}=:{tag}@{DIGEST}")
}

fn run(world: &World, arguments: &[&str]) -> Child {
    let mut command = world.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child) -> Ran {
    child.wait_with_output().unwrap().into()
}

const SERVICES: [&str; 5] = ["cart", "mail", "pay", "search", "stock"];

#[test]
fn runs_that_share_a_cache_go_together_in_fewer_commits_than_changes() {
    for remote in Remote::each() {
        let overlay = |service: &str| format!("apps/{service}/dev/kustomization.yaml");
        let files = SERVICES.iter().flat_map(|service| {
            let image = format!("registry.example.com/{service}");
            let entry = format!("resources: [pod.yaml]\nimages:\n- name: {image}\n  newTag: old\n");
            let pod = format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: {service}}}\n\
                 spec: {{containers: [{{name: {service}, image: {image}}}]}}\n"
            );
            [(overlay(service), entry), (format!("apps/{service}/dev/pod.yaml"), pod)]
        });
        let files: Vec<(String, String)> = files.collect();
        let files: Vec<_> = files.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        remote.repository().commit("main", &files);
        let config = remote.world.read("deployctl.yaml");
        let config = config.split_once("environments:").unwrap().0;
        let services =
            SERVICES.map(|name| format!("  {name}: {{image: registry.example.com/{name}}}\n"));
        let more = "environments:\n  dev: {overlay: 'apps/{service}/dev'}\nservices:\n";
        remote.world.write("deployctl.yaml", &format!("{config}{more}{}", services.concat()));

        // The first push waits until all others have handed in their changes.
        let (here, open) = (remote.file("here"), remote.file("open"));
        remote.repository().hook(&wait_for(&here, &open));
        let set = |service| run(&remote.world, &["set", "--env", "dev", &image(service, "new")]);
        let mut first = set(SERVICES[0]);
        wait_until("the first push", || here.exists() || first.try_wait().unwrap().is_some());
        assert!(here.exists(), "{:#?}", ended(first));
        let mut runs = vec![first];
        runs.extend(SERVICES[1..].iter().map(|service| set(service)));
        let home = remote.world.path().join("home");
        let handed_in =
            || below(&home).iter().filter(|path| path.extension() == Some("change")).count();
        wait_until("the others", || handed_in() == SERVICES.len());
        std::fs::write(open, "").unwrap();
        for run in runs {
            let ran = ended(run);
            assert_eq!(ran.code, 0, "{ran:#?}");
        }
        // One of them is that of the files above.
        assert_eq!(remote.commits() - 1, 2);
        let log = remote.repository().git(&["log", "--format=%b", "main"]);
        for service in SERVICES {
            let record = format!("Deployctl-Service: {service}");
            assert_eq!(log.lines().filter(|line| *line == record).count(), 1, "{log}");
            let text = remote.repository().file("main", &overlay(service));
            assert!(text.contains("newTag: new\n") && text.contains(DIGEST), "{text}");
        }
        remote.repository().git(&["fsck", "--strict"]);
    }
}
