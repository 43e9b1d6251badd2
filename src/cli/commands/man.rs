//! `deployctl man`.

use camino::{Utf8Path, Utf8PathBuf};
use clap::CommandFactory as _;

use crate::cli::args::Cli;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;

/// Print deployctl's manual page, or write one a command into a folder
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Folder to write `deployctl.1`, `deployctl-build.1` … into
    #[arg(long, value_name = "DIR")]
    out: Option<Utf8PathBuf>,
}

pub(crate) fn run(args: &ManArgs, ui: &Ui) -> Result<Exit, CommandError> {
    let command = Cli::command();
    match &args.out {
        Some(folder) => pages(command, folder).map_err(|error| {
            let message = format!("can't write into `{folder}`: {error}");
            CommandError::usage(message, "name a folder that can be made or written")
        })?,
        None => ui.answer(|out| clap_mangen::Man::new(command).render(&mut &mut *out))?,
    }
    Ok(Exit::Done)
}

fn pages(command: clap::Command, folder: &Utf8Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command, folder)
}
