//! The machine: environment variables, child processes, the clock. Nothing else in deployctl asks
//! for them.

mod cache;
mod command;
mod environment;
mod file;
mod group;
mod terminal;
mod text;

pub use cache::keep_in_cache;
pub use command::{Command, CommandError, Output};
pub use environment::Environment;
pub use file::{PendingFile, check_folder, is_private_folder, replace_file};
pub use terminal::{quiet_terminal, restore_terminal};
pub use text::{EncodingError, read_text, read_text_file};

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use jiff::Timestamp;

/// Returns the time now.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Returns how long ago the first call was. Unlike the time, it never goes back.
pub fn elapsed() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Returns the folder that the process was started in.
///
/// # Errors
///
/// Fails if it is gone, may not be read, or its path is not UTF-8.
pub fn current_dir() -> std::io::Result<Utf8PathBuf> {
    let path = std::env::current_dir()?;
    Utf8PathBuf::from_path_buf(path)
        .map_err(|path| std::io::Error::other(format!("`{}` is not UTF-8", path.display())))
}

/// Returns when the user or a supervisor asks the process to stop: Ctrl-C, SIGTERM, or a terminal
/// that goes away.
pub async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let both = (signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    let (Ok(mut terminate), Ok(mut hangup)) = both else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => (),
        _ = terminate.recv() => (),
        _ = hangup.recv() => (),
    }
}

/// Returns a number from 0 up to but not including 1, different each time.
///
/// For jitter only: the standard library's hash seed is random, and not secret.
pub fn random_fraction() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    let bits = RandomState::new().hash_one(()) >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
    let fraction = bits as f64 / (1_u64 << 53) as f64;
    fraction
}

/// Returns 16 hexadecimal digits that nobody else gets; they are no secret.
pub fn random_id() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let time = now().as_nanosecond();
    format!("{:016x}", RandomState::new().hash_one((time, std::process::id())))
}

/// Sends what happens inside to standard error: warnings, with `verbose` more, or what
/// `DEPLOYCTL_LOG` says (in the syntax of `tracing_subscriber`'s `EnvFilter`). kube logs whole
/// answers that it can't read, so it is heard only where it is asked for by name.
pub fn log_to_stderr(verbose: u8, colored: bool, environment: &Environment) {
    use tracing_subscriber::EnvFilter;
    let default = match verbose {
        0 => "off",
        1 => "deployctl=info",
        2 => "deployctl=debug,info,kube_client=off",
        _ => "debug,kube_client=off",
    };
    let filter = EnvFilter::new(environment.get("DEPLOYCTL_LOG").unwrap_or(default));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let subscriber = subscriber.with_ansi(colored);
    // A second call, in a test, keeps the first subscriber.
    let _ = subscriber.without_time().try_init();
}
