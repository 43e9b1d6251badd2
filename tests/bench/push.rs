//! How long a build and its push take, and how many requests: cold, with nothing changed, and with one
//! file of 4 KB changed; beside `skopeo copy` of the finished image and `buildah` where they are
//! installed. The registry is a real one on loopback; the base has 60 MB in 3 layers, the app's layer
//! 22 MB in 201 files.
//!
//! `cargo bench --bench push` prints medians of one run, the requests out of the registry's own log,
//! and ratios.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "shared/content.rs"]
mod content;
#[path = "shared/server.rs"]
mod server;
#[path = "shared/timing.rs"]
mod timing;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

use self::content::content;
use self::server::Server;
use self::timing::{is_installed, ratio, timed};

const DEPLOYCTL: &str = env!("CARGO_BIN_EXE_deployctl");

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (samples, share) = if is_bench { (7, 1) } else { (1, 100) };
    let Some(bench) = Bench::start(share) else { return };
    let cold = bench.measure("deployctl, cold", samples.min(3), |number| bench.cold(number));
    bench.grow_old(is_bench);
    let nothing =
        bench.measure("deployctl, nothing changed", samples, |_| bench.deployctl("cold0"));
    let changed = bench.measure("deployctl, one file of 4 KB changed", samples, |number| {
        bench.change(number);
        timed(|| bench.deployctl("cold0"))
    });
    let fleet = bench.measure("deployctl, 50 services, nothing changed", samples, |_| {
        bench.deployctl("fleet");
    });
    println!("50 services take {:.1} times as long as one", ratio(fleet, nothing));
    bench.beside_skopeo(samples, [cold, nothing, changed]);
    bench.beside_buildah([cold, nothing, changed]);
}

/// A registry, the base in it, and the folders that images are built from.
struct Bench {
    temp: TempDir,
    registry: Server,
}

/// What a measured step took: the time of the part that counts, if it is not all of it.
trait Timed {
    fn time(self, whole: Duration) -> Duration;
}

impl Timed for () {
    fn time(self, whole: Duration) -> Duration {
        whole
    }
}

impl Timed for Duration {
    fn time(self, _: Duration) -> Duration {
        self
    }
}

impl Bench {
    fn start(share: usize) -> Option<Self> {
        let bench = Self { temp: TempDir::new().unwrap(), registry: Server::start()? };
        bench.write_files(share);
        let base = format!(
            "layers: [{{from: a, to: /a}}, {{from: b, to: /b}}, {{from: c, to: /c}}]}}, image: {}/base, tag: input",
            bench.registry.domain
        );
        bench.configure("base", &format!("  base: {{build: {{context: base, {base}}}\n"));
        let image = bench.run("base", &["--tag", "1"]);
        let app = |name: &str, context: &str| {
            let (domain, base) = (&bench.registry.domain, image.trim());
            format!(
                "  {name}: {{image: '{domain}/{name}', tag: input, build: {{context: {context}, base: '{base}', layers: [{{from: ., to: /app}}]}}}}\n"
            )
        };
        for number in 0..3 {
            bench.configure(&format!("cold{number}"), &app(&format!("app{number}"), "app"));
        }
        let fleet: String =
            (0..50).map(|n| app(&format!("fleet{n}"), &format!("fleet/{n}"))).collect();
        bench.configure("fleet", &fleet);
        Some(bench)
    }

    fn dir(&self) -> &Utf8Path {
        Utf8Path::from_path(self.temp.path()).unwrap()
    }

    fn write_files(&self, share: usize) {
        let mut state = 1;
        let mut write = |path: String, size: usize| {
            let path = self.dir().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content(&mut state, size / share)).unwrap();
        };
        for layer in ["a", "b", "c"] {
            write(format!("base/{layer}/data"), 20_000_000);
        }
        for number in 0..200 {
            write(format!("app/d{}/f{number}", number % 10), 110_000);
        }
        write("app/config".to_owned(), 4096 * share);
        for number in 0..50 {
            write(format!("fleet/{number}/app"), 4096 * share);
        }
    }

    fn configure(&self, name: &str, services: &str) {
        let text =
            format!("version: 1\nrecordInputs: false\nenvironments: {{}}\nservices:\n{services}");
        fs::write(self.dir().join(format!("{name}.yaml")), text).unwrap();
    }

    /// Runs `deployctl build` with a configuration, and returns what it prints.
    fn run(&self, config: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(DEPLOYCTL);
        command.args(["build", "-q", "--config", &format!("{config}.yaml")]).args(arguments);
        command.current_dir(self.dir()).env("DEPLOYCTL_CACHE_DIR", self.dir().join("cache"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn deployctl(&self, config: &str) {
        self.run(config, &[]);
    }

    /// Builds into a repository that is not there, with nothing remembered.
    fn cold(&self, number: usize) -> Duration {
        let _ = fs::remove_dir_all(self.dir().join("cache"));
        timed(|| self.deployctl(&format!("cold{number}")))
    }

    /// Waits until what was read of the files counts the next time: those that were written seconds
    /// before they were read are read again, as git does.
    fn grow_old(&self, is_bench: bool) {
        if is_bench {
            std::thread::sleep(Duration::from_secs(5));
        }
        self.deployctl("cold0");
        self.deployctl("fleet");
    }

    fn change(&self, number: usize) {
        let mut state = 1_000_000 + number as u64;
        fs::write(self.dir().join("app/config"), content(&mut state, 4096)).unwrap();
    }

    /// Prints the median time and the requests of the last sample.
    fn measure<T: Timed>(&self, what: &str, samples: usize, work: impl Fn(usize) -> T) -> Duration {
        let mut requests = 0;
        let mut times: Vec<Duration> = (0..samples)
            .map(|number| {
                let (before, start) = (self.registry.requests(), Instant::now());
                let timed = work(number);
                let time = timed.time(start.elapsed());
                requests = self.registry.requests() - before;
                time
            })
            .collect();
        times.sort();
        let median = times[times.len() / 2];
        println!("{what}: {median:.1?}, {requests} requests");
        median
    }

    /// Copies the finished image out of an OCI layout: nothing is built, so this is a push alone.
    fn beside_skopeo(&self, samples: usize, ours: [Duration; 3]) {
        if !is_installed("skopeo") {
            return;
        }
        let layout = self.dir().join("layout");
        let copy = |from: &str, to: &str| {
            let mut skopeo = Command::new("skopeo");
            skopeo.args([
                "copy",
                "-q",
                "--src-tls-verify=false",
                "--dest-tls-verify=false",
                from,
                to,
            ]);
            assert!(skopeo.stdout(Stdio::null()).status().unwrap().success());
        };
        let image = self.run("cold0", &[]);
        let image = image.trim();
        let name = image.split('@').next().unwrap();
        copy(&format!("docker://{name}"), &format!("oci:{layout}:app"));
        let from = format!("oci:{layout}:app");
        let to = |number: usize| format!("docker://{}/skopeo{number}:1", self.registry.domain);
        let cold =
            self.measure("skopeo copy, cold", samples.min(3), |number| copy(&from, &to(number)));
        let nothing =
            self.measure("skopeo copy, nothing changed", samples, |_| copy(&from, &to(0)));
        println!(
            "cold: deployctl's build and push take {:.2} of skopeo's push",
            ratio(ours[0], cold)
        );
        println!("nothing changed: deployctl takes {:.2} of skopeo", ratio(ours[1], nothing));
        println!(
            "one file changed: {:.2} of skopeo's push with nothing changed",
            ratio(ours[2], nothing)
        );
    }

    fn beside_buildah(&self, ours: [Duration; 3]) {
        if !is_installed("buildah") {
            return;
        }
        let (root, run) = (self.dir().join("root"), self.dir().join("run"));
        let dockerfile = self.dir().join("Dockerfile");
        fs::write(&dockerfile, format!("FROM {}/base:1\nCOPY . /app\n", self.registry.domain))
            .unwrap();
        let buildah = |arguments: &[&str]| {
            let mut command = Command::new("buildah");
            command.args(["--root", root.as_str(), "--runroot", run.as_str()]).args(arguments);
            command.env("STORAGE_DRIVER", "vfs").stdout(Stdio::null()).stderr(Stdio::null());
            assert!(command.status().unwrap().success(), "buildah {arguments:?}");
        };
        let app: Utf8PathBuf = self.dir().join("app");
        let to = format!("docker://{}/buildah:1", self.registry.domain);
        let all = |_: usize| {
            let build =
                ["bud", "--isolation", "chroot", "--layers", "--tls-verify=false", "-t", "x"];
            buildah(&[&build[..], &["-f", dockerfile.as_str(), app.as_str()]].concat());
            buildah(&["push", "--tls-verify=false", "x", &to]);
        };
        let cold = self.measure("buildah (vfs) build and push, cold", 1, all);
        let nothing = self.measure("buildah (vfs), nothing changed", 1, all);
        let changed = self.measure("buildah (vfs), one file of 4 KB changed", 1, |number| {
            self.change(100 + number);
            timed(|| all(number))
        });
        let theirs = [cold, nothing, changed];
        for ((what, ours), theirs) in ["cold", "nothing", "one file"].iter().zip(ours).zip(theirs) {
            println!("{what}: deployctl takes {:.3} of buildah", ratio(ours, theirs));
        }
    }
}
