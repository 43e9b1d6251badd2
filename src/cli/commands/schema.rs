//! `deployctl schema`.

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::json;
use crate::{config, pipeline};

/// Print the JSON schema of a file that deployctl reads, or of a report that it writes
#[derive(Debug, clap::Args)]
pub(crate) struct SchemaArgs {
    /// Which one
    #[arg(default_value = "config")]
    file: SchemaOf,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SchemaOf {
    /// `deployctl.yaml`
    Config,
    /// `pipelines/NAME.yaml`
    Pipeline,
    /// What `verify --output json` answers (`deployctl.dev/rollout/v1`)
    Rollout,
    /// A line that `verify --output json` writes on standard error (`deployctl.dev/event/v1`)
    Event,
    /// What `verify --report json=FILE` writes where there is no verdict (`deployctl.dev/error/v1`)
    Error,
    /// What `health --output json` answers (`deployctl.dev/health/v1`)
    Health,
    /// What `tags --output json` answers (`deployctl.dev/tags/v1`)
    Tags,
}

pub(crate) fn run(args: &SchemaArgs, ui: &Ui) -> Result<Exit, CommandError> {
    let schema = match args.file {
        SchemaOf::Config => config::schema(),
        SchemaOf::Pipeline => pipeline::schema(),
        SchemaOf::Rollout => json::v1::rollout_schema(),
        SchemaOf::Event => json::v1::event_schema(),
        SchemaOf::Error => json::v1::error_schema(),
        SchemaOf::Health => json::v1::health_schema(),
        SchemaOf::Tags => json::v1::tags_schema(),
    };
    ui.answer(|out| writeln!(out, "{schema:#}"))?;
    Ok(Exit::Done)
}
