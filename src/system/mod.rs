//! The machine: environment variables, child processes, the clock. Nothing else in deployctl asks
//! for them.

mod command;
mod environment;

pub use command::{Command, CommandError, Output};
pub use environment::Environment;

use jiff::Timestamp;

/// Returns the time now.
pub fn now() -> Timestamp {
    Timestamp::now()
}
