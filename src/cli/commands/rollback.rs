//! `deployctl rollback`.

use std::time::Duration;

use super::set::{ChangeArgs, with_options};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::ops::{self, RollbackOptions};
use crate::pipeline::duration;

/// Return to the images that were last verified, and keep pipelines from undoing it
///
/// Each service returns to the last image that `deployctl verify` found healthy and that is neither
/// the one stated now nor one that a rollback has taken back since somebody put it there. Where
/// `verify` has never recorded anything of the service there, it is the last such image that the
/// environment stated with a digest, and a warning says so. Only image entries change, in one commit or
/// pull request for all services; other changes since stay. No gate is asked.
///
/// Afterwards `set` and `promote` of a pipeline (CI is set) end with exit code 3, until `deployctl
/// release-hold`, or until a person sets or promotes an image there: whichever, the one that was taken
/// back included. They are told that this releases the hold.
#[derive(Debug, clap::Args)]
pub(crate) struct RollbackArgs {
    /// Services to roll back [default: all]
    services: Vec<String>,
    /// The environment
    #[arg(long, value_name = "ENV")]
    env: String,
    /// Return to what this commit of the manifests repository states
    #[arg(long, value_name = "REV")]
    to: Option<String>,
    /// Why, for the commit and for whom the hold stops
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do not keep pipelines out afterwards
    #[arg(long)]
    no_hold: bool,
    /// Show what would change, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Write it also if more changes in the rendered manifests than the images
    #[arg(long)]
    allow_other_changes: bool,
    /// How long to go on when others push to the branch first [default: 2m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// Have the pull request merged as soon as GitHub allows it
    #[arg(long)]
    auto_merge: bool,
}

impl RollbackArgs {
    fn change(&self) -> ChangeArgs {
        let &Self { dry_run, allow_other_changes, timeout, auto_merge, .. } = self;
        // What is newer is what is taken back.
        ChangeArgs { dry_run, allow_other_changes, allow_older: true, timeout, auto_merge }
    }
}

pub(crate) async fn run(
    args: &RollbackArgs,
    context: &Context,
    ui: &Ui,
) -> Result<Exit, CommandError> {
    let config = context.config()?;
    let environment = config.environment(&args.env)?;
    let options = RollbackOptions {
        services: config.services(&args.services)?,
        to: args.to.clone(),
        reason: args.reason.clone().filter(|reason| !reason.trim().is_empty()),
        hold: !args.no_hold,
    };
    let report = with_options(environment, args.change(), &config, context, async |change| {
        Ok(ops::rollback(&options, change, &|event| ui.event(&event)).await?)
    });
    ui.report(&report.await?)?;
    Ok(Exit::Done)
}
