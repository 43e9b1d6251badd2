//! `deployctl status`.

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::ops;

/// Show which image every environment states, since when, by whom, whether it is verified, and held
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// Services to show [default: all]
    services: Vec<String>,
}

pub(crate) async fn run(
    args: &StatusArgs,
    context: &Context,
    ui: &Ui,
) -> Result<Exit, CommandError> {
    let config = context.config()?;
    let services = config.services(&args.services)?;
    let manifests = context.manifests(&config).await?;
    let report = ops::status(&manifests, &config, &services, &|event| ui.event(&event)).await?;
    ui.report(&report)?;
    Ok(Exit::Done)
}
