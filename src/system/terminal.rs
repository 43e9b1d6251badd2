//! The terminal while something is drawn on it again and again.
//!
//! What is typed would show in the middle of it, and Enter would move it; and at Ctrl-C a terminal drops
//! what it was not yet read of a drawing, so that nobody knows any more where on the screen it is.

use std::io;
use std::sync::{Mutex, PoisonError};

use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// What the terminal was like before.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Lets the terminal of standard error show nothing of what is typed, and drop nothing of what is
/// written. Ctrl-C does what it does. Without a terminal it does nothing.
pub fn quiet_terminal() {
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    let terminal = io::stderr();
    let Ok(modes) = tcgetattr(&terminal) else { return };
    if before.is_some() || !is_in_front() {
        return;
    }
    let mut quiet = modes.clone();
    quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
    quiet.local_modes.insert(LocalModes::NOFLSH);
    if tcsetattr(&terminal, OptionalActions::Drain, &quiet).is_ok() {
        *before = Some(modes);
    }
}

/// Makes the terminal what it was before [`quiet_terminal`].
pub fn restore_terminal() {
    // A panic may be the reason, and may have happened in here.
    let Ok(mut before) = BEFORE.try_lock() else { return };
    if let Some(modes) = before.take().filter(|_| is_in_front()) {
        // Where the terminal is gone there is nothing to restore.
        let _ = tcsetattr(io::stderr(), OptionalActions::Drain, &modes);
    }
}

/// Returns whether the terminal is this process's to change: one in the background would be stopped for
/// it, and its shell has restored the terminal long ago.
fn is_in_front() -> bool {
    tcgetpgrp(io::stderr()).is_ok_and(|group| group == getpgrp())
}
