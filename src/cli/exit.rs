//! How deployctl ends.

use std::process::ExitCode;

/// Exit codes; they are a promise (README, "Exit codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// A gate is closed: not now, and nothing is broken.
    GateClosed = 3,
    /// The rollout is degraded.
    Degraded = 4,
    /// Timed out.
    TimedOut = 5,
    /// A step of a pipeline failed.
    StepFailed = 6,
    /// A bug in deployctl.
    Bug = 70,
    /// Interrupted by Ctrl-C, as a shell counts it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
