//! Many writers on one branch: processes that share a cache, beside the loop that people write by
//! hand: fetch, change, push, and again with jitter where somebody was faster.
//!
//! `cargo bench --bench contention` prints how many changes landed a second, and the ratio.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const DIGEST: &str = "sha256:00000000000000000000000000000000000000000000000000000000000000aa";

/// By hand: a shallow bare repository of its own, and plumbing commands.
const BY_HAND: &str = r#"
set -e
remote=$1 service=$2 tag=$3 dir=$4
export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x@example.com GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x@example.com
test -d "$dir" || git init -q --bare "$dir"
cd "$dir"
path=apps/$service/overlays/dev/kustomization.yaml
while :; do
  git fetch -q --depth 1 --no-tags "file://$remote" +refs/heads/main:refs/tip
  old=$(git rev-parse refs/tip)
  blob=$(git show "$old:$path" | sed "s/newTag: .*/newTag: $tag/" | git hash-object -w --stdin)
  export GIT_INDEX_FILE=$dir/index.$service
  git read-tree "$old"
  git update-index --cacheinfo "100644,$blob,$path"
  new=$(git commit-tree -p "$old" -m "$service $tag" "$(git write-tree)")
  if git push -q "--force-with-lease=refs/heads/main:$old" "file://$remote" "$new:refs/heads/main" 2>/dev/null
  then exit 0; fi
  sleep "0.$((RANDOM % 10))"
done
"#;

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let full = std::env::args().any(|argument| argument == "--bench");
    let (services, writers, by_hand, changes) = if full { (200, 64, 8, 3) } else { (8, 4, 2, 1) };
    let program = std::env::var("DEPLOYCTL_BENCH_PROGRAM");
    let program = program.as_deref().unwrap_or(env!("CARGO_BIN_EXE_deployctl"));
    let hand = by_hand_rate(services, by_hand, changes);
    let ours = our_rate(program, services, writers, changes);
    println!("ratio: {:.1}", ours / hand);
}

/// Returns how many changes a second land by hand.
fn by_hand_rate(services: usize, writers: usize, changes: usize) -> f64 {
    let shop = Shop::new(services);
    let script = shop.path().join("by-hand.sh");
    std::fs::write(&script, BY_HAND).unwrap();
    let (time, failed) = race(writers, changes, |writer, change| {
        let mut command = Command::new("bash");
        command.arg(&script).arg(shop.remote()).arg(format!("s{writer}"));
        command.arg(format!("t{change}")).arg(shop.path().join(format!("hand-{writer}")));
        command
    });
    shop.report("by hand", writers * changes, failed, time)
}

/// Returns how many changes a second land by deployctl.
fn our_rate(program: &str, services: usize, writers: usize, changes: usize) -> f64 {
    let shop = Shop::new(services);
    let (time, failed) = race(writers, changes, |writer, change| {
        let mut command = Command::new(program);
        let image = format!("s{}=:t{change}@{DIGEST}", writer % services);
        command.args(["set", "--env", "dev", &image]).current_dir(shop.path());
        // The renderer is another program, whose time is not this benchmark's.
        command.env("PATH", shop.path().join("bin")).env("HOME", shop.path());
        command.env("GIT_AUTHOR_NAME", "x").env("GIT_AUTHOR_EMAIL", "x@example.com");
        command.env("GIT_COMMITTER_NAME", "x").env("GIT_COMMITTER_EMAIL", "x@example.com");
        command
    });
    shop.report("deployctl set", writers * changes, failed, time)
}

/// Runs `changes` commands one after another for each of `writers` at the same time; returns how
/// long all of it took and how many failed.
fn race(
    writers: usize,
    changes: usize,
    command: impl Fn(usize, usize) -> Command + Sync,
) -> (Duration, usize) {
    let start = Instant::now();
    let failed = std::thread::scope(|scope| {
        let command = &command;
        let run = move |writer| {
            let failed = |change: &usize| {
                let mut command = command(writer, *change);
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                !command.status().unwrap().success()
            };
            (0..changes).filter(failed).count()
        };
        let threads: Vec<_> = (0..writers).map(|writer| scope.spawn(move || run(writer))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    (start.elapsed(), failed)
}

/// A manifests repository with an overlay for each service, and `deployctl.yaml`.
struct Shop(tempfile::TempDir);

impl Shop {
    fn new(services: usize) -> Self {
        let shop = Self(tempfile::TempDir::new().unwrap());
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.args(["-c", "user.name=x", "-c", "user.email=x@example.com"]);
            assert!(command.args(arguments).current_dir(shop.path()).status().unwrap().success());
        };
        git(&["init", "-q", "--bare", "-b", "main", "remote.git"]);
        git(&["-C", "remote.git", "config", "uploadpack.allowFilter", "true"]);
        git(&["init", "-q", "-b", "main", "work"]);
        let mut config = "version: 1\nmanifests: {repo: remote.git, branch: main}\n\
             environments:\n  dev: {overlay: 'apps/{service}/overlays/dev'}\nservices:\n"
            .to_owned();
        for service in (0..services).map(|number| format!("s{number}")) {
            let folder = shop.path().join(format!("work/apps/{service}/overlays/dev"));
            std::fs::create_dir_all(&folder).unwrap();
            let image = format!("registry.example.com/{service}");
            let text = format!("images:\n- name: {image}\n  newTag: old\n  digest: {DIGEST}\n");
            std::fs::write(folder.join("kustomization.yaml"), text).unwrap();
            config.push_str(&format!("  {service}: {{image: {image}}}\n"));
        }
        std::fs::write(shop.path().join("deployctl.yaml"), config).unwrap();
        git(&["-C", "work", "add", "-A"]);
        git(&["-C", "work", "commit", "-q", "-m", "first"]);
        git(&["-C", "work", "push", "-q", "../remote.git", "main"]);
        std::fs::create_dir(shop.path().join("bin")).unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let found = std::env::split_paths(&path).map(|dir| dir.join("git")).find(|p| p.is_file());
        std::os::unix::fs::symlink(found.unwrap(), shop.path().join("bin/git")).unwrap();
        shop
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remote(&self) -> std::path::PathBuf {
        self.path().join("remote.git")
    }

    /// Prints how it went and returns the rate.
    fn report(&self, who: &str, changes: usize, failed: usize, time: Duration) -> f64 {
        let mut command = Command::new("git");
        command.args(["rev-list", "--count", "main"]).current_dir(self.remote());
        let commits = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let commits = commits.trim().parse::<usize>().unwrap() - 1;
        let landed = changes - failed;
        let rate = landed as f64 / time.as_secs_f64();
        println!(
            "{who}: {landed} of {changes} changes in {commits} commits, {:.1} s, {rate:.1}/s",
            time.as_secs_f64()
        );
        assert_eq!(failed, 0, "{who}: not all changes landed");
        rate
    }
}
