//! `deployctl completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::args::Cli;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;

/// Print a script that completes deployctl's commands and flags in a shell
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, ui: &Ui) -> Result<Exit, CommandError> {
    // clap_complete panics where its writer fails, so it writes into memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "deployctl", &mut script);
    ui.answer(|out| out.write_all(&script))?;
    Ok(Exit::Done)
}
