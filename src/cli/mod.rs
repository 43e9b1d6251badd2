//! The command line: arguments in, exit code out.
//!
//! A command is its arguments and some wiring (`commands`, one file each); the work is an op.
//! `error` alone turns an error into kind, exit code and hint.

mod args;
mod commands;
mod context;
mod error;
mod exit;
mod objects;
mod panic;
mod passage;
mod place;
mod reports;
mod rules;
mod source_facts;
mod ui;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::ui::Ui;
use crate::system::{self, Environment};
use args::Cli;
use context::Context;
use exit::Exit;

/// Runs deployctl on the process's arguments and returns its exit code.
pub fn main() -> ExitCode {
    panic::install_hook();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let environment = Environment::of_process();
    let ui = Ui::new(&cli.global.ui_options(), &environment);
    system::log_to_stderr(cli.global.verbose, ui::is_colored(), &environment);
    let context = Context::new(cli.global, environment, ui.clone());
    match commands::run(cli.command, &context, &ui) {
        Ok(exit) => exit.into(),
        Err(error) => {
            error::print(&error, &ui);
            error.exit.into()
        }
    }
}

/// Prints clap's error or help and returns the exit code for it.
fn usage(error: &clap::Error) -> ExitCode {
    // Nothing is left to do if the terminal is gone.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}
