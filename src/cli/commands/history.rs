//! `deployctl history`.

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::ops;
use crate::report::History;

/// Show the changes of a service's overlay in an environment, newest first
#[derive(Debug, clap::Args)]
pub(crate) struct HistoryArgs {
    /// The service
    service: String,
    /// The environment
    #[arg(long, value_name = "ENV")]
    env: String,
    /// How many changes to show
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
}

pub(crate) async fn run(
    args: &HistoryArgs,
    context: &Context,
    ui: &Ui,
) -> Result<Exit, CommandError> {
    let config = context.config()?;
    let (environment, service) = (config.environment(&args.env)?, config.service(&args.service)?);
    let manifests = context.manifests(&config).await?;
    let emit = |event| ui.event(&event);
    let changes = ops::history(&manifests, environment, service, args.limit, &emit).await?;
    ui.report(&History(changes))?;
    Ok(Exit::Done)
}
