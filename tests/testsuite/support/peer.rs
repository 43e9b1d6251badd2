//! Programs that tests run beside deployctl.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Returns the path of the program `name`, or `None` after one printed line if it is not installed.
///
/// # Panics
///
/// Panics instead of returning `None` if `DEPLOYCTL_REQUIRE_PEERS` is 1.
pub(crate) fn peer(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let folders = assets.into_iter().chain(std::env::split_paths(&path)).chain(sbin);
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    if found.is_none() {
        missing(&format!("peer `{name}` is not installed"));
    }
    found
}

/// Prints that the running test goes without what it needs, for `reason`.
///
/// # Panics
///
/// Panics instead if `DEPLOYCTL_REQUIRE_PEERS` is 1.
pub(crate) fn missing(reason: &str) {
    let required = std::env::var("DEPLOYCTL_REQUIRE_PEERS").is_ok_and(|value| value == "1");
    assert!(!required, "{reason} and DEPLOYCTL_REQUIRE_PEERS=1");
    skip(reason);
}

/// Prints that the running test is skipped, and why.
pub(crate) fn skip(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // The test harness swallows what the print macros of a passing test say, but not this.
    let _ = writeln!(std::io::stderr(), "skipped {test}: {reason}");
}

/// Returns a loopback port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Returns once `ready` says so.
///
/// # Panics
///
/// Panics after two minutes.
pub(crate) fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        let waited = start.elapsed();
        assert!(waited < Duration::from_secs(120), "{what}: not ready after 120 s");
        // Who asks all the time takes it from what is waited for.
        std::thread::sleep(
            (waited / 8).clamp(Duration::from_millis(20), Duration::from_millis(500)),
        );
    }
}

/// A program that runs until this value is dropped.
pub(crate) struct Server(Child);

impl Server {
    /// Starts `command`, its output in the file `log`.
    pub(crate) fn start(command: &mut Command, log: &std::path::Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        let command = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
