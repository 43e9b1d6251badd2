//! How long `deployctl set` takes in a large manifests repository, beside the same by hand: plumbing
//! commands without a checkout, a shallow checkout, a clone; and in a repository ten times as large.
//!
//! `cargo bench --bench git` prints medians of one run, in which all take turns, with their ratios;
//! what of deployctl's time is spent outside of `git`; and its peak memory.
//! `DEPLOYCTL_BENCH_SERVICES` and `DEPLOYCTL_BENCH_COMMITS` say how large the repository is.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod fleet;
#[path = "../testsuite/support/git_http.rs"]
mod git_http;
#[path = "../testsuite/support/peer.rs"]
mod peer;

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use camino::{Utf8Path, Utf8PathBuf};
use fleet::{Fleet, overlay};
use git_http::HttpServer;
use peer::{Server, free_port, peer, wait_until};
use serde_json::Value;
use tempfile::TempDir;

/// Reads an overlay by plumbing commands in the bare repository here, and pushes it with another
/// image: `SCRIPT OVERLAY TAG`.
const PLUMBING: &str = r#"
old=$(git rev-parse refs/heads/main)
file=$1/kustomization.yaml
object=$(git cat-file blob "$old:$file" | sed "s/newTag: .*/newTag: $2/" | git hash-object -w --stdin)
path=$file
while :; do
  case $path in */*) dir=${path%/*}; in=$old:$dir;; *) dir=; in=$old:;; esac
  object=$(git ls-tree "$in" | awk -F'\t' -v name="${path##*/}" -v id="$object" \
    'BEGIN { OFS = "\t" } $2 == name { split($1, part, " "); $1 = part[1] " " part[2] " " id } { print }' |
    git mktree --missing)
  test -n "$dir" || break
  path=$dir
done
new=$(git commit-tree -p "$old" -m "Deploy $2" "$object")
git push -q --force-with-lease=refs/heads/main:$old "$URL" "$new:refs/heads/main"
"#;
const COLD: &str = "set -e; rm -rf hand; \
    git clone -q --bare --depth 1 --filter=blob:none --no-tags --single-branch \"$URL\" hand; cd hand\n";
const WARM: &str = "set -e; cd hand; \
    git fetch -q --no-tags --depth 1 --filter=blob:none origin +refs/heads/main:refs/heads/main\n";
const CHECKOUT: &str = r#"set -e; rm -rf work; git clone -q $DEPTH "$URL" work; cd work
sed -i "s/newTag: .*/newTag: $2/" "$1/kustomization.yaml"
git commit -qam "Deploy $2"; git push -q origin main; cd ..; rm -rf work
"#;

const USER: &str = "x-access-token";
const TOKEN: &str = "bench";

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let full = std::env::args().any(|argument| argument == "--bench");
    let number = |name: &str, default: usize| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (services, commits) = if full { (2_000, 20_000) } else { (20, 40) };
    let services = number("DEPLOYCTL_BENCH_SERVICES", services);
    let commits = number("DEPLOYCTL_BENCH_COMMITS", commits);
    let rounds = if full { 5 } else { 1 };
    let one = Bench::new(Fleet { services, commits });
    let before = one.report(rounds, None);
    one.checkouts(rounds.min(2));
    if full {
        // Each commit writes a list of all services, so ten times the commits would take hours.
        let ten = Bench::new(Fleet { services: services * 10, commits: commits / 10 });
        ten.report(rounds, Some(&before));
    }
}

/// A way to reach the repository, with a folder of its own for caches and configuration.
struct Remote {
    name: &'static str,
    url: String,
    dir: Utf8PathBuf,
}

/// The medians of one remote, each with whether the cache was there.
struct Times {
    ours: [Duration; 2],
    by_hand: [Duration; 2],
}

/// Times, and kilobytes at the peak.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cost(Duration, u64);

struct Bench {
    dir: TempDir,
    fleet: Fleet,
    used: std::cell::Cell<usize>,
    http: Option<HttpServer>,
}

impl Bench {
    fn new(fleet: Fleet) -> Self {
        let dir = TempDir::new().unwrap();
        fleet.generate(&Utf8Path::from_path(dir.path()).unwrap().join("fleet.git"));
        let http = HttpServer::start(dir.path(), USER, TOKEN, None);
        let bench = Self { dir, fleet, used: std::cell::Cell::new(0), http };
        bench.git(&["config", "http.receivepack", "true"]);
        // What `git` itself needs, and no renderer: that is another program, whose time is its own.
        std::fs::create_dir(bench.path().join("bin")).unwrap();
        for program in ["git", "sh"] {
            let found = peer(program).unwrap();
            std::os::unix::fs::symlink(found, bench.path().join("bin").join(program)).unwrap();
        }
        for remote in bench.remotes() {
            bench.configure(&remote);
        }
        bench
    }

    fn configure(&self, remote: &Remote) {
        let mut config = format!(
            "version: 1\nmanifests: {{repo: '{}', branch: main}}\n\
             environments:\n  dev: {{overlay: 'apps/{{service}}/overlays/dev'}}\nservices:\n",
            remote.url
        );
        for service in 0..100.min(self.fleet.services) {
            let name = format!("s{service:05}");
            writeln!(config, "  {name}: {{image: registry.example.com/shop/{name}}}").unwrap();
        }
        std::fs::create_dir(&remote.dir).unwrap();
        std::fs::write(remote.dir.join("deployctl.yaml"), config).unwrap();
    }

    fn remotes(&self) -> Vec<Remote> {
        let file = format!("file://{}/fleet.git", self.path());
        let http = self.http.as_ref().map(|server| ("http", server.url("fleet.git")));
        let all = std::iter::once(("file", file)).chain(http);
        all.map(|(name, url)| Remote { name, url, dir: self.path().join(name) }).collect()
    }

    /// Prints the times of deployctl and by hand for each remote, and how they compare to `before`,
    /// in a smaller repository. Returns them.
    fn report(&self, rounds: usize, before: Option<&Vec<Times>>) -> Vec<Times> {
        let Fleet { services, commits } = self.fleet;
        println!("{services} services, {} files, {commits} commits", services * 7);
        let mut all = Vec::new();
        for (number, remote) in self.remotes().iter().enumerate() {
            let times = self.compare(remote, rounds);
            if let Some(before) = before.and_then(|all| all.get(number)) {
                for (warm, cache) in ["cold", "warm"].into_iter().enumerate() {
                    let ours = ratio(times.ours[warm], before.ours[warm]);
                    let hand = ratio(times.by_hand[warm], before.by_hand[warm]);
                    let name = remote.name;
                    println!(
                        "{name}, {cache}: {ours:.2} times the smaller one's; by hand {hand:.2}"
                    );
                }
            }
            all.push(times);
        }
        all
    }

    fn compare(&self, remote: &Remote, rounds: usize) -> Times {
        let bin = self.path().join("bin");
        let mut ours = [Vec::new(), Vec::new()];
        let mut by_hand = [Vec::new(), Vec::new()];
        let mut rendered = [Vec::new(), Vec::new()];
        let mut own = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (warm, prepare) in [COLD, WARM].into_iter().enumerate() {
                let cold = warm == 0;
                ours[warm].push(self.deployctl(remote, cold, Some(&bin), None));
                by_hand[warm].push(self.script(remote, &format!("{prepare}{PLUMBING}"), ""));
                rendered[warm].push(self.deployctl(remote, cold, None, None));
                own[warm].push(self.own_part(remote, cold, &bin));
            }
        }
        for (warm, cache) in ["cold", "warm"].into_iter().enumerate() {
            let (Cost(time, memory), Cost(hand, _)) = (median(&ours[warm]), median(&by_hand[warm]));
            println!(
                "{}, {cache}: deployctl {time:.1?}, by hand {hand:.1?}: {:.2} of it; own part {:.1?}, \
                 peak {:.1} MB; with a renderer {:.1?}",
                remote.name,
                ratio(time, hand),
                median(&own[warm]),
                memory as f64 / 1024.0,
                median(&rendered[warm]).0,
            );
        }
        let times = |costs: &[Vec<Cost>; 2]| costs.each_ref().map(|costs| median(costs).0);
        Times { ours: times(&ours), by_hand: times(&by_hand) }
    }

    /// Prints how long it takes with a working tree.
    fn checkouts(&self, rounds: usize) {
        let remote = &self.remotes()[0];
        for (name, depth) in [("depth-1 checkout", "--depth=1"), ("clone", "")] {
            let times = (0..rounds).map(|_| self.script(remote, CHECKOUT, depth).0);
            println!("{}, {name}: {:.1?}", remote.name, median(&times.collect::<Vec<_>>()));
        }
    }

    /// Returns the service and the tag of the next change, which nobody has made before.
    fn next(&self) -> (usize, String) {
        let number = self.used.replace(self.used.get() + 1);
        (number % self.fleet.services.min(100), format!("b{number}"))
    }

    /// Runs deployctl with a cache of its own, which is `cold` if it is thrown away first.
    fn deployctl(
        &self,
        remote: &Remote,
        cold: bool,
        path: Option<&Utf8Path>,
        trace: Option<&Utf8Path>,
    ) -> Cost {
        let cache = remote.dir.join("cache");
        if cold {
            let _ = std::fs::remove_dir_all(&cache);
        }
        let (service, tag) = self.next();
        let image = format!("s{service:05}=:{tag}@sha256:{}", "a".repeat(64));
        let mut command = Command::new(env!("CARGO_BIN_EXE_deployctl"));
        command.args(["--quiet", "set", "--env", "dev", &image]);
        command.env("DEPLOYCTL_GIT_TOKEN", TOKEN).env("DEPLOYCTL_CACHE_DIR", &cache);
        if let Some(path) = path {
            command.env("PATH", path);
        }
        if let Some(trace) = trace {
            command.env("GIT_TRACE2_EVENT", trace);
        }
        self.measure(remote, &mut command)
    }

    /// Returns how long a run takes less the time in which a `git` of it runs.
    fn own_part(&self, remote: &Remote, cold: bool, path: &Utf8Path) -> Duration {
        let trace = remote.dir.join("trace");
        let _ = std::fs::remove_file(&trace);
        let Cost(whole, _) = self.deployctl(remote, cold, Some(path), Some(&trace));
        let text = std::fs::read_to_string(&trace).unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        // The programs that a `git` starts have its id before their own.
        let ends = events.filter(|event| {
            event["event"] == "atexit" && !event["sid"].as_str().unwrap().contains('/')
        });
        let inside: f64 = ends.map(|event| event["t_abs"].as_f64().unwrap()).sum();
        whole.saturating_sub(Duration::from_secs_f64(inside))
    }

    fn script(&self, remote: &Remote, script: &str, depth: &str) -> Cost {
        let (service, tag) = self.next();
        let basic = base64::prelude::BASE64_STANDARD.encode(format!("{USER}:{TOKEN}"));
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", &overlay(service, "dev"), &tag]).env("DEPTH", depth);
        command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "http.extraHeader");
        command.env("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {basic}"));
        self.measure(remote, &mut command)
    }

    fn measure(&self, remote: &Remote, command: &mut Command) -> Cost {
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Ada");
            command.env(format!("GIT_{role}_EMAIL"), "ada@example.com");
        }
        command.env("URL", &remote.url).env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.current_dir(&remote.dir).stdin(Stdio::null()).stdout(Stdio::null());
        let start = Instant::now();
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let watch = watch_memory(&child);
        let output = child.wait_with_output().unwrap();
        let time = start.elapsed();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {stderr}");
        Cost(time, watch.join().unwrap())
    }

    fn git(&self, arguments: &[&str]) {
        let mut command = Command::new("git");
        let command = command.args(arguments).current_dir(self.path().join("fleet.git"));
        assert!(command.status().unwrap().success(), "git {arguments:?}");
    }

    fn path(&self) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.dir.path().to_owned()).unwrap()
    }
}

/// Returns the most memory that `child` itself has taken, in kilobytes, once it is gone; 0 where the
/// system does not tell.
fn watch_memory(child: &Child) -> std::thread::JoinHandle<u64> {
    let status = format!("/proc/{}/status", child.id());
    std::thread::spawn(move || {
        let mut peak = 0;
        while let Ok(text) = std::fs::read_to_string(&status) {
            // One that has ended, and is not waited for yet, has no memory.
            let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:")) else {
                break;
            };
            let number = line.trim().split(' ').next().and_then(|text| text.parse().ok());
            peak = peak.max(number.unwrap_or(0));
            std::thread::sleep(Duration::from_millis(2));
        }
        peak
    })
}

fn median<T: Ord + Copy>(all: &[T]) -> T {
    let mut all = all.to_vec();
    all.sort();
    all[all.len() / 2]
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
