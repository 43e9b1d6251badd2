//! A panic is a bug: say so, and exit as documented.

use std::io::Write as _;

use super::exit::Exit;
use crate::system;

/// Makes a panic anywhere end the process with the exit code for a bug, after one message.
pub(super) fn install_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = place.unwrap_or_default();
        system::restore_terminal();
        // A panic in here would abort, and nothing can be told where nobody can be written to.
        let mut out = anstream::stderr();
        let _ = writeln!(out, "error: deployctl has a bug{place}: {message}");
        let _ = writeln!(out, "hint: please report it with the command that you ran");
        std::process::exit(Exit::Bug as i32);
    }));
}
