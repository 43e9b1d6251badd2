//! How long `deployctl set` takes in a large manifests repository, beside the same by hand: plumbing
//! commands without a checkout, a shallow checkout, a clone; and in a repository ten times as large.
//!
//! `cargo bench --bench git` prints medians of one run, in which all take turns, with their ratios.
//! `DEPLOYCTL_BENCH_SERVICES` and `DEPLOYCTL_BENCH_COMMITS` say how large the repository is.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod fleet;

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use fleet::{Fleet, overlay};
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
    let times = one.all(rounds);
    if full {
        // Each commit writes a list of all services, so ten times the commits would take hours.
        let ten = Bench::new(Fleet { services: services * 10, commits: commits / 10 });
        ten.grown(rounds, times);
    }
}

struct Bench {
    dir: TempDir,
    fleet: Fleet,
    used: std::cell::Cell<usize>,
}

impl Bench {
    fn new(fleet: Fleet) -> Self {
        let bench = Self { dir: TempDir::new().unwrap(), fleet, used: std::cell::Cell::new(0) };
        fleet.generate(&bench.path().join("fleet.git"));
        let mut config = format!(
            "version: 1\nmanifests: {{repo: '{}', branch: main}}\n\
             environments:\n  dev: {{overlay: 'apps/{{service}}/overlays/dev'}}\nservices:\n",
            bench.url()
        );
        for service in 0..100.min(fleet.services) {
            let name = format!("s{service:05}");
            writeln!(config, "  {name}: {{image: registry.example.com/shop/{name}}}").unwrap();
        }
        std::fs::write(bench.path().join("deployctl.yaml"), config).unwrap();
        // What `git` itself needs, and no renderer.
        std::fs::create_dir(bench.path().join("bin")).unwrap();
        for program in ["git", "sh"] {
            let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
            let found = String::from_utf8(found.unwrap().stdout).unwrap();
            std::os::unix::fs::symlink(found.trim(), bench.path().join("bin").join(program))
                .unwrap();
        }
        bench
    }

    /// Prints the times of all ways, and returns deployctl's, cold and warm.
    fn all(&self, rounds: usize) -> [Duration; 2] {
        let Fleet { services, commits } = self.fleet;
        println!("{services} services, {} files, {commits} commits", services * 7);
        let bin = self.path().join("bin");
        let mut rows: [(&str, Vec<Duration>); 8] = [
            ("cold: deployctl set", Vec::new()),
            ("cold: plumbing by hand", Vec::new()),
            ("warm: deployctl set", Vec::new()),
            ("warm: plumbing by hand", Vec::new()),
            ("cold: deployctl set, rendered", Vec::new()),
            ("warm: deployctl set, rendered", Vec::new()),
            ("depth-1 checkout", Vec::new()),
            ("clone", Vec::new()),
        ];
        for round in 0..rounds {
            rows[0].1.push(self.deployctl(true, Some(&bin)));
            rows[1].1.push(self.script(&format!("{COLD}{PLUMBING}"), ""));
            rows[2].1.push(self.deployctl(false, Some(&bin)));
            rows[3].1.push(self.script(&format!("{WARM}{PLUMBING}"), ""));
            rows[4].1.push(self.deployctl(true, None));
            rows[5].1.push(self.deployctl(false, None));
            if round < 2 {
                rows[6].1.push(self.script(CHECKOUT, "--depth=1"));
                rows[7].1.push(self.script(CHECKOUT, ""));
            }
        }
        let times = rows.map(|(name, mut times)| {
            times.sort();
            (name, times[times.len() / 2])
        });
        for (name, time) in times {
            let ours = if name.starts_with("warm") { times[2].1 } else { times[0].1 };
            println!("{name}: {time:.1?}, {:.2} times", time.as_secs_f64() / ours.as_secs_f64());
        }
        [times[0].1, times[2].1]
    }

    /// Prints deployctl's times, and how they compare to those in a smaller repository.
    fn grown(&self, rounds: usize, before: [Duration; 2]) {
        let Fleet { services, commits } = self.fleet;
        println!("{services} services, {} files, {commits} commits", services * 7);
        let bin = self.path().join("bin");
        for (number, name) in ["cold", "warm"].into_iter().enumerate() {
            let mut times: Vec<_> =
                (0..rounds).map(|_| self.deployctl(number == 0, Some(&bin))).collect();
            times.sort();
            let time = times[times.len() / 2];
            let ratio = time.as_secs_f64() / before[number].as_secs_f64();
            println!("{name}: deployctl set: {time:.1?}, {ratio:.2} times the smaller one's");
        }
    }

    /// Returns the service and the tag of the next change, which nobody has made before.
    fn next(&self) -> (usize, String) {
        let number = self.used.replace(self.used.get() + 1);
        (number % self.fleet.services.min(100), format!("b{number}"))
    }

    fn deployctl(&self, cold: bool, path: Option<&Utf8Path>) -> Duration {
        let cache = self.path().join("cache");
        if cold {
            let _ = std::fs::remove_dir_all(&cache);
        }
        let (service, tag) = self.next();
        let image = format!("s{service:05}=:{tag}@sha256:{}", "a".repeat(64));
        let mut command = Command::new(env!("CARGO_BIN_EXE_deployctl"));
        command.args(["--quiet", "set", "--env", "dev", &image]);
        if let Some(path) = path {
            command.env("PATH", path);
        }
        self.time(command.env("DEPLOYCTL_CACHE_DIR", &cache))
    }

    fn script(&self, script: &str, depth: &str) -> Duration {
        let (service, tag) = self.next();
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", &overlay(service, "dev"), &tag]).env("DEPTH", depth);
        self.time(&mut command)
    }

    fn time(&self, command: &mut Command) -> Duration {
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Ada");
            command.env(format!("GIT_{role}_EMAIL"), "ada@example.com");
        }
        command.env("URL", self.url()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.current_dir(self.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let start = Instant::now();
        let output = command.stderr(Stdio::piped()).output().unwrap();
        let time = start.elapsed();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {stderr}");
        time
    }

    fn url(&self) -> String {
        format!("file://{}/fleet.git", self.path())
    }

    fn path(&self) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.dir.path().to_owned()).unwrap()
    }
}
