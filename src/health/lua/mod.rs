//! Health scripts in Lua, run as Argo CD runs them.
//!
//! Argo CD's interpreter is Lua 5.1 with `goto`; ours is Luau, a descendant that can be stopped at any
//! time, without its additions. A script gets the same libraries and the same second as there, and a
//! memory limit besides. It reaches no file, process or environment variable, not even with open
//! libraries: those functions are there and fail when they are called.

mod answer;
mod interpreter;
mod jumps;
mod values;

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::health::{Health, HealthStatus};
use crate::k8s::Object;
use interpreter::Interpreter;

/// How long a script may run, as in Argo CD.
const TIME: Duration = Duration::from_secs(1);

/// How much memory a script may have, the object included.
const MEMORY: usize = 128 << 20;

/// How long a script may be. A ConfigMap holds no more.
const SOURCE: usize = 1 << 20;

/// Where scripts learn the time from; nothing here reads a clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// The time now.
    pub now: fn() -> Timestamp,
    /// How long ago a fixed moment is. It never goes back.
    pub elapsed: fn() -> Duration,
}

/// A health script.
#[derive(Debug)]
pub(super) struct Script {
    source: String,
    has_open_libraries: bool,
    bytecode: OnceLock<Result<Vec<u8>, String>>,
}

impl Script {
    /// Returns the script, which gets all libraries if `has_open_libraries`.
    pub(super) fn new(source: String, has_open_libraries: bool) -> Self {
        Self { source, has_open_libraries, bytecode: OnceLock::new() }
    }

    fn bytecode(&self) -> Result<&[u8], String> {
        let compiled = self.bytecode.get_or_init(|| interpreter::compile(&self.source));
        compiled.as_deref().map_err(String::clone)
    }
}

/// Runs scripts, one at a time.
pub(super) struct Engine {
    clock: Clock,
    /// Kept from run to run, because to make one takes longer than most scripts.
    interpreter: Mutex<Option<Interpreter>>,
}

impl Engine {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, interpreter: Mutex::new(None) }
    }

    /// Returns the health that `script` gives the object. A script that fails, or that takes too
    /// long or too much, leaves the object Unknown with the reason; `None` is an empty health.
    pub(super) fn assess(&self, script: &Script, object: &Object) -> Option<Health> {
        let outcome = script.bytecode().and_then(|bytecode| {
            let mut kept = self.interpreter.lock().unwrap_or_else(PoisonError::into_inner);
            // One whose script failed is not used again: it may be out of memory.
            let interpreter = match kept.take() {
                Some(interpreter) => interpreter,
                None => Interpreter::new(self.clock)?,
            };
            let result = interpreter.run(bytecode, script.has_open_libraries, object)?;
            let health = answer::health(&result)?;
            drop(result);
            *kept = Some(interpreter);
            Ok(health)
        });
        outcome.unwrap_or_else(|error| Some(HealthStatus::Unknown.because(error)))
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
