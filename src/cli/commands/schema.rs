//! `deployctl schema`.

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::{config, pipeline};

/// Print the JSON schema of a file that deployctl reads
#[derive(Debug, clap::Args)]
pub(crate) struct SchemaArgs {
    /// Which file
    #[arg(default_value = "config")]
    file: SchemaOf,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SchemaOf {
    /// `deployctl.yaml`
    Config,
    /// `pipelines/NAME.yaml`
    Pipeline,
}

pub(crate) fn run(args: &SchemaArgs, ui: &Ui) -> Result<Exit, CommandError> {
    let schema = match args.file {
        SchemaOf::Config => config::schema(),
        SchemaOf::Pipeline => pipeline::schema(),
    };
    ui.answer(|out| writeln!(out, "{schema:#}"))?;
    Ok(Exit::Done)
}
