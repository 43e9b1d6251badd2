//! `deployctl image`.

use std::io::{self, BufRead as _};

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::image::Reading;
use crate::report::json;

/// Work on image references
#[derive(Debug, clap::Args)]
pub(crate) struct ImageArgs {
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ImageCommand {
    /// Show how references are read: one line of JSON each
    Parse {
        /// References; `-` reads them from standard input, one a line
        #[arg(required = true, value_name = "REF")]
        references: Vec<String>,
    },
}

pub(crate) fn run(args: &ImageArgs, ui: &Ui) -> Result<Exit, CommandError> {
    let ImageCommand::Parse { references } = &args.command;
    ui.answer(|out| {
        let mut show = |text: &str| writeln!(out, "{}", json::v1::reading(&Reading::of(text)));
        for reference in references {
            match reference.as_str() {
                "-" => io::stdin().lock().lines().try_for_each(|line| show(&line?))?,
                text => show(text)?,
            }
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}
