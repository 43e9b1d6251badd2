//! `deployctl promote`.

use super::set::{ChangeArgs, with_options};
use super::verify::{self, VerifyArgs};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::config::{Config, Environment};
use crate::ops::{self, Event, PromoteOptions, PromoteReport};
use crate::report::ClosedGate;

/// Copy the digests that one environment states to the next
///
/// With a cluster at hand, the images must be healthy in the first environment; if they are not,
/// nothing is written (exit code 3).
#[derive(Debug, clap::Args)]
pub(crate) struct PromoteArgs {
    /// Services to promote [default: all]
    services: Vec<String>,
    /// The environment to copy from [default: what `from` of the other one says]
    #[arg(long, value_name = "ENV")]
    from: Option<String>,
    /// The environment to copy to
    #[arg(long, value_name = "ENV")]
    to: String,
    /// Do not look whether the images are healthy in the first environment
    #[arg(long)]
    no_verify: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

/// What came of a promotion.
pub(super) enum Promoted {
    /// It was written, or was there already.
    Written(PromoteReport),
    /// The images are not healthy where they come from.
    Blocked(ClosedGate),
}

impl PromoteArgs {
    /// Returns the arguments of a pipeline's step.
    pub(super) fn of_step(
        services: Vec<String>,
        from: Option<String>,
        to: String,
        verify: bool,
    ) -> Self {
        Self { services, from, to, no_verify: !verify, change: ChangeArgs::default() }
    }
}

pub(crate) async fn run(
    args: &PromoteArgs,
    context: &Context,
    ui: &Ui,
) -> Result<Exit, CommandError> {
    let config = context.config()?;
    match promote(args, &config, context, ui).await? {
        Promoted::Written(report) => {
            ui.report(&report)?;
            Ok(Exit::Done)
        }
        Promoted::Blocked(gate) => {
            ui.report(&gate)?;
            Ok(Exit::GateClosed)
        }
    }
}

/// Promotes as the arguments say and returns what came of it.
pub(super) async fn promote(
    args: &PromoteArgs,
    config: &Config,
    context: &Context,
    ui: &Ui,
) -> Result<Promoted, CommandError> {
    let to = config.environment(&args.to)?;
    let from = source(args, to, config)?;
    let services = config.services(&args.services)?;
    if let Some(gate) = closed_gate(args, from, config, context, ui).await? {
        return Ok(Promoted::Blocked(gate));
    }
    with_options(to, args.change, config, context, async |options| {
        let promotion = PromoteOptions { from, services };
        let report = ops::promote(&promotion, options, &|event| ui.event(&event)).await?;
        Ok(Promoted::Written(report))
    })
    .await
}

/// Returns the environment to copy from.
fn source<'a>(
    args: &PromoteArgs,
    to: &Environment,
    config: &'a Config,
) -> Result<&'a Environment, CommandError> {
    let from = args.from.as_ref().or(to.from.as_ref()).ok_or_else(|| {
        let message = format!("`{}` has no `from`, so there is nothing to promote from", to.name);
        CommandError::usage(message, "say it with --from, or in deployctl.yaml")
    })?;
    if *from == to.name {
        let message = format!("`{from}` can't be promoted to itself");
        return Err(CommandError::usage(message, "name two environments"));
    }
    Ok(config.environment(from)?)
}

/// Returns why the images may not leave the environment, or `None` if they may: they are healthy,
/// or there is no cluster to ask.
async fn closed_gate(
    args: &PromoteArgs,
    from: &Environment,
    config: &Config,
    context: &Context,
    ui: &Ui,
) -> Result<Option<ClosedGate>, CommandError> {
    if args.no_verify {
        return Ok(None);
    }
    let unproven = |error: CommandError| {
        let context = format!("can't check whether `{}` is healthy", from.name);
        error
            .context(context)
            .or_hint("promote without looking: --no-verify, or `verify: false` in a pipeline")
    };
    match context.cluster(from).await {
        Ok(_) => {}
        Err(error) if error.is_no_cluster() => {
            let warning = format!("not checked whether {} is healthy: {error}", from.name);
            ui.event(&Event::Warning(warning));
            return Ok(None);
        }
        // A context that is misspelt must not pass for a cluster that is not there.
        Err(error) => return Err(unproven(error)),
    }
    let proof = VerifyArgs::of_proof(&from.name, args.services.clone());
    let report = verify::verify(&proof, config, context, ui).await.map_err(unproven)?;
    Ok(report.failure().map(|reason| ClosedGate { from: from.name.clone(), reason }))
}
