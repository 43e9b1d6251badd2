//! `deployctl promote`.

use std::collections::BTreeMap;

use super::set::{ChangeArgs, exit, with_options};
use super::verify::{self, VerifyArgs};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::passage::{OverrideArgs, Witnesses};
use crate::cli::ui::Ui;
use crate::config::{Config, Environment, Service};
use crate::ops::{self, GatedReport, Promotion};
use crate::pipeline::Promote;
use crate::promotion::{Fact, Gate, Proof};

/// Copy the digests that one environment states, and runs, to the next
///
/// Every gate of the other environment is judged and shown; if one is closed, nothing is written (exit
/// code 3). Each promotion has the gate `healthy`: the first environment runs the digests and is
/// healthy, as its cluster says now or, where there is none to ask, as `deployctl verify` has recorded.
/// It is given up to 30 seconds to become that. What nobody can know lets pass with a warning, unless
/// deployctl.yaml asks for `healthy`.
///
/// With `via: pull-request` the pull request is opened, and brought up to date, also where `approval`
/// alone is closed.
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
    /// Do not ask the cluster whether the images are healthy in the first environment; unless `verify`
    /// has recorded it, the commit says so
    #[arg(long, alias = "no-verify")]
    unproven: bool,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    overrides: OverrideArgs,
}

impl PromoteArgs {
    /// Returns the arguments of a pipeline's step.
    pub(super) fn of_step(step: &Promote) -> Self {
        let Promote { services, from, to, verify, allow_other_changes } = step.clone();
        let change = ChangeArgs { allow_other_changes, ..ChangeArgs::default() };
        let overrides = OverrideArgs::default();
        Self { services, from, to, unproven: !verify, change, overrides }
    }
}

pub(crate) async fn run(
    args: &PromoteArgs,
    context: &Context,
    ui: &Ui,
) -> Result<Exit, CommandError> {
    let config = context.config()?;
    let report = promote(args, &config, context, ui).await?;
    ui.report(&report)?;
    Ok(exit(&report))
}

/// Promotes as the arguments say and returns what came of it.
pub(super) async fn promote(
    args: &PromoteArgs,
    config: &Config,
    context: &Context,
    ui: &Ui,
) -> Result<GatedReport, CommandError> {
    let to = config.environment(&args.to)?;
    let from = source(args, to, config)?;
    let services = config.services(&args.services)?;
    services.iter().try_for_each(|service| refuse_unpushed(service))?;
    let overrides = args.overrides.overrides(Some(from), to)?;
    let emit = |event| ui.event(&event);
    with_options(to, args.change, config, context, async |options| {
        let promotion = Promotion::read(from, services, &options, &emit).await?;
        let health = match args.unproven {
            true => BTreeMap::new(),
            false => health(from, to, &promotion.changed, config, context, ui).await?,
        };
        let witnesses = Witnesses::new(to, &options.manifests.remote, config, context).await?;
        let passage = witnesses.passage(Some(from), health, overrides);
        let options = ops::SetOptions { unproven: args.unproven, ..options };
        Ok(ops::promote(promotion, &passage, options, &emit).await?)
    })
    .await
}

/// Fails if the service's image is in no registry.
fn refuse_unpushed(service: &Service) -> Result<(), CommandError> {
    if service.push {
        return Ok(());
    }
    let name = &service.name;
    Err(CommandError::usage(
        format!("`{name}` is built with `push: false`, so no registry has an image to promote"),
        format!("leave that out in the `build` section of `{name}`, or name other services"),
    ))
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

/// Returns how the services do in `from`, by name, as its cluster says.
async fn health(
    from: &Environment,
    to: &Environment,
    services: &[&Service],
    config: &Config,
    context: &Context,
    ui: &Ui,
) -> Result<BTreeMap<String, Fact<Proof>>, CommandError> {
    if services.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: Vec<String> = services.iter().map(|service| service.name.clone()).collect();
    let unknown = |why: String| names.iter().map(move |name| (name.clone(), Err(why.clone())));
    let is_required = to.gates.gates.iter().any(|gate| matches!(gate, Gate::Healthy(_)));
    let looked = match context.cluster(from).await {
        // To leave it at that is allowed, but a context that is misspelt must not pass for it.
        Err(error) if error.is_no_cluster() => return Ok(unknown(error.to_string()).collect()),
        Err(error) => Err(error),
        Ok(_) => {
            let proof = VerifyArgs::of_proof(&from.name, names.clone());
            verify::verify(&proof, config, context, ui).await
        }
    };
    match looked {
        Ok(report) => {
            let of =
                |rollout: &ops::RolloutReport| (rollout.service.clone(), Ok(ops::proof(rollout)));
            Ok(report.rollouts.iter().map(of).collect())
        }
        Err(error) if is_required => Ok(unknown(error.in_one_line()).collect()),
        Err(error) => {
            let context = format!("can't check whether `{}` is healthy", from.name);
            let way_out = "promote without looking: --unproven, or `verify: false` in a pipeline";
            Err(error.context(context).or_hint(way_out))
        }
    }
}
