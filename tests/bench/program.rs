//! How long the program takes to start and to give its demo, beside the programs that people call
//! today, and how large it is.
//!
//! `cargo bench --bench program` prints medians of one run, with their ratios.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const DEPLOYCTL: &str = env!("CARGO_BIN_EXE_deployctl");

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let samples = if std::env::args().any(|argument| argument == "--bench") { 21 } else { 1 };
    let size = std::fs::metadata(DEPLOYCTL).unwrap().len();
    println!("binary: {:.1} MB", size as f64 / 1e6);
    let version = median(samples, DEPLOYCTL, &["--version"]).unwrap();
    println!("deployctl --version: {version:.1?}");
    beside("kubectl", &["version", "--client"], samples, version);
    beside("git", &["--version"], samples, version);
    println!("deployctl demo: {:.1?}", median(samples.min(5), DEPLOYCTL, &["demo"]).unwrap());
    println!("deployctl schema: {:.1?}", median(samples, DEPLOYCTL, &["schema"]).unwrap());
}

/// Prints how much longer another program takes; nothing if it is not installed.
fn beside(program: &str, arguments: &[&str], samples: usize, ours: Duration) {
    let Some(theirs) = median(samples, program, arguments) else { return };
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    println!("{program} {}: {theirs:.1?}, {ratio:.1} times as long", arguments.join(" "));
}

/// Returns the median time of a run, or `None` if the program is not installed.
fn median(samples: usize, program: &str, arguments: &[&str]) -> Option<Duration> {
    let mut times = (0..samples).map(|_| time(program, arguments)).collect::<Option<Vec<_>>>()?;
    times.sort();
    Some(times[times.len() / 2])
}

fn time(program: &str, arguments: &[&str]) -> Option<Duration> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().ok()?;
    let time = start.elapsed();
    assert!(status.success(), "{program} {arguments:?}: {status}");
    Some(time)
}
