//! Ctrl-C and SIGTERM while deployctl is at work: one message, exit code 130, nothing half-written,
//! and a second run does the job.

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

use super::shop::{DIGEST, Shop};
use crate::support::{Ran, World, wait_until};

/// Who is told to stop.
#[derive(Clone, Copy)]
enum Stop {
    /// Everybody in the foreground, as a terminal does at Ctrl-C.
    CtrlC,
    /// deployctl alone, as a supervisor does.
    Terminate,
}

/// Runs deployctl, stops it as soon as `busy` says so, and returns how it ended.
fn stopped(world: &World, arguments: &[&str], stop: Stop, busy: impl FnMut() -> bool) -> Ran {
    use std::os::unix::process::CommandExt as _;
    let mut command = world.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().unwrap();
    wait_until("deployctl at work", busy);
    assert!(child.try_wait().unwrap().is_none(), "it ended before it was stopped");
    let kill = match stop {
        Stop::CtrlC => format!("kill -s INT -- -{}", child.id()),
        Stop::Terminate => format!("kill -s TERM {}", child.id()),
    };
    let told = Instant::now();
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert!(told.elapsed() < Duration::from_secs(5), "it took {:?} to stop", told.elapsed());
    let (mut stdout, mut stderr) = (String::new(), String::new());
    child.stdout.unwrap().read_to_string(&mut stdout).unwrap();
    child.stderr.unwrap().read_to_string(&mut stderr).unwrap();
    Ran { code: status.code().unwrap_or(-1), stdout, stderr }
}

#[track_caller]
fn interrupted(world: &World, ran: &Ran) {
    assert_eq!((ran.code, ran.stdout.as_str()), (130, ""), "{ran:#?}");
    let messages: Vec<&str> = ran.stderr.lines().filter(|l| l.starts_with("error")).collect();
    assert_eq!(messages, ["error: interrupted"], "{}", ran.stderr);
    assert!(ran.stderr.contains("\nhint: "), "{}", ran.stderr);
    assert_eq!(files(&world.path().join("tmp")), Vec::<Utf8PathBuf>::new());
}

/// Returns everything below `folder`.
fn files(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    let below = entries.flat_map(|entry| {
        let mut below = files(entry.path());
        below.push(entry.path().to_owned());
        below
    });
    below.collect()
}

/// Returns a shop whose temporary files have a folder of their own.
fn shop() -> Shop {
    let mut shop = Shop::new();
    let tmp = shop.world.path().join("tmp");
    std::fs::create_dir(&tmp).unwrap();
    shop.world = shop.world.with("TMPDIR", tmp.as_str());
    shop
}

fn image() -> String {
    format!("ranking=:1.4@{DIGEST}")
}

/// Listens, and never says a word to whoever calls.
fn silence() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// Returns whether some process has the file open.
fn is_open(path: &Utf8Path) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let opened = processes.filter_map(|process| std::fs::read_dir(process.path().join("fd")).ok());
    let mut targets = opened.flat_map(|files| files.flatten().map(|file| file.path().read_link()));
    targets.any(|target| target.is_ok_and(|target| target == path.as_std_path()))
}

/// Stops a build of a file of `size` bytes once it is `busy`; the closure gets the file, and the
/// folder of temporary files.
fn a_build_of(size: u64, busy: impl Fn(&Utf8Path, &Utf8Path) -> bool) {
    for stop in [Stop::CtrlC, Stop::Terminate] {
        let shop = shop();
        let config = shop.world.read("deployctl.yaml");
        let build = "    build: {context: files, layers: [{from: large, to: /large}]}\n";
        shop.world.write("deployctl.yaml", &format!("{config}{build}"));
        let large = shop.world.write("files/large", "");
        std::fs::File::options().write(true).open(&large).unwrap().set_len(size).unwrap();
        let tmp = shop.world.path().join("tmp");
        let busy = || busy(&large, &tmp);
        let ran = stopped(&shop.world, &["build", "--layout", "layout"], stop, busy);
        interrupted(&shop.world, &ran);
        assert_eq!(files(&shop.world.path().join("layout")), Vec::<Utf8PathBuf>::new());
        shop.world.write("files/large", "small");
        shop.world.ok(&["build", "--layout", "layout"]);
    }
}

#[test]
fn a_build_that_reads_a_large_file() {
    // No disk holds it, and no machine reads it in the time of the test.
    a_build_of(1 << 40, |large, _| is_open(large));
}

#[test]
fn a_build_that_compresses_a_large_file() {
    a_build_of(32 << 20, |_, tmp| files(tmp).iter().any(|path| path.is_file()));
}

#[test]
fn a_push_that_a_hook_holds_up() {
    for stop in [Stop::CtrlC, Stop::Terminate] {
        let shop = shop();
        let (started, done) = (shop.world.path().join("started"), shop.world.path().join("done"));
        // The hook runs on the server in real life, where the signal does not reach.
        shop.manifests.hook(&format!("trap '' INT; touch {started}; sleep 1; touch {done}"));
        let before = count(&shop);
        let set = ["set", "--env", "dev", &image()];
        let ran = stopped(&shop.world, &set, stop, || started.exists());
        interrupted(&shop.world, &ran);
        wait_until("the hook's end", || done.exists());
        std::thread::sleep(Duration::from_millis(300));
        assert!(count(&shop) <= before + 1);
        shop.manifests.hook("exit 0");
        shop.world.ok(&set);
        assert_eq!(count(&shop), before + 1);
        assert!(shop.overlay("dev").contains(DIGEST));
    }
}

fn count(shop: &Shop) -> usize {
    shop.manifests.git(&["rev-list", "--count", "main"]).trim().parse().unwrap()
}

#[test]
fn a_fetch_from_a_server_that_hangs() {
    for stop in [Stop::CtrlC, Stop::Terminate] {
        let shop = shop();
        let (listener, address) = silence();
        let mut calls = Vec::new();
        let mut called = || {
            calls.extend(listener.accept());
            !calls.is_empty()
        };
        shop.configure(&format!("http://{address}/shop/manifests.git"), "");
        let ran = stopped(&shop.world, &["set", "--env", "dev", &image()], stop, &mut called);
        interrupted(&shop.world, &ran);
        // Nobody holds the cache's lock any more.
        shop.configure(shop.manifests.path().as_str(), "");
        shop.world.ok(&["set", "--env", "dev", &image()]);
    }
}

#[test]
fn a_registry_that_hangs() {
    let shop = shop();
    let (listener, address) = silence();
    let mut calls = Vec::new();
    let called = || {
        calls.extend(listener.accept());
        !calls.is_empty()
    };
    let image = format!("ranking={address}/shop/ranking:1");
    let ran = stopped(&shop.world, &["set", "--env", "dev", &image], Stop::CtrlC, called);
    interrupted(&shop.world, &ran);
}

#[test]
fn a_verify_that_waits() {
    let mut shop = shop();
    let (listener, address) = silence();
    let mut calls = Vec::new();
    let called = || {
        calls.extend(listener.accept());
        !calls.is_empty()
    };
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters: [{{name: c, cluster: {{server: 'http://{address}'}}}}]\n\
         users: [{{name: u, user: {{token: t}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
    );
    let file = shop.world.write("kubeconfig", &kubeconfig);
    shop.world = shop.world.with("KUBECONFIG", file.as_str());
    let ran = stopped(&shop.world, &["verify", "--env", "dev"], Stop::Terminate, called);
    interrupted(&shop.world, &ran);
}

#[test]
fn a_step_of_a_pipeline() {
    for stop in [Stop::CtrlC, Stop::Terminate] {
        let shop = shop();
        let started = shop.world.path().join("started");
        let steps =
            "version: 1\nsteps:\n- run: touch started; sleep 60; touch never\n- run: touch never\n";
        shop.world.write("pipelines/wait.yaml", steps);
        let ran = stopped(&shop.world, &["run", "wait"], stop, || started.exists());
        interrupted(&shop.world, &ran);
        std::thread::sleep(Duration::from_millis(100));
        assert!(!shop.world.path().join("never").exists());
    }
}
