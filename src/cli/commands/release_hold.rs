//! `deployctl release-hold`.

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::ops::{self, ReleaseOptions};
use crate::system;

/// Let pipelines change again what a rollback holds
#[derive(Debug, clap::Args)]
pub(crate) struct ReleaseHoldArgs {
    /// Services to release [default: all]
    services: Vec<String>,
    /// The environment
    #[arg(long, value_name = "ENV")]
    env: String,
    /// Show what would be released, and release nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(
    args: &ReleaseHoldArgs,
    context: &Context,
    ui: &Ui,
) -> Result<Exit, CommandError> {
    let config = context.config()?;
    let environment = &config.environment(&args.env)?.name;
    let services = config.services(&args.services)?;
    let manifests = context.manifests(&config).await?;
    let authorship = context.authorship(&config).await?;
    let options = ReleaseOptions {
        manifests: &manifests,
        environment,
        services: services.iter().map(|service| service.name.as_str()).collect(),
        authorship: &authorship,
        time: system::now(),
        run: context.environment.run_url(),
        dry_run: args.dry_run,
    };
    ui.report(&ops::release_hold(&options).await?)?;
    Ok(Exit::Done)
}
