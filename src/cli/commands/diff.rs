//! `deployctl diff`.

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::config::Config;
use crate::ops::{self, DiffReport};

/// Show how two environments, or two revisions of the manifests, differ once rendered
///
/// Either `--from ENV --to ENV`, or `REV..REV`. A revision is a branch, a tag or a commit id of the
/// manifests repository; git's `~` and `^` are not read.
#[derive(Debug, clap::Args)]
pub(crate) struct DiffArgs {
    /// Two revisions of the manifests repository, `REV..REV`
    #[arg(value_name = "REV..REV", conflicts_with_all = ["from", "to"])]
    revisions: Option<String>,
    /// The environment to compare
    #[arg(long, value_name = "ENV")]
    from: Option<String>,
    /// The environment to compare it with
    #[arg(long, value_name = "ENV")]
    to: Option<String>,
    /// Only this service; may be given several times
    #[arg(long = "service", value_name = "SERVICE")]
    services: Vec<String>,
}

pub(crate) async fn run(args: &DiffArgs, context: &Context, ui: &Ui) -> Result<Exit, CommandError> {
    let config = context.config()?;
    let report = match (&args.from, &args.to, &args.revisions) {
        (Some(from), Some(to), _) => environments(args, (from, to), &config, context, ui).await?,
        (_, _, Some(revisions)) => self::revisions(args, revisions, &config, context, ui).await?,
        (from, to, _) => return Err(incomplete(from.as_deref(), to.as_deref())),
    };
    ui.report(&report)?;
    Ok(Exit::Done)
}

/// Returns the error for less than two environments and no revisions.
fn incomplete(from: Option<&str>, to: Option<&str>) -> CommandError {
    let (message, from, to) = match (from, to) {
        (Some(from), _) => ("there is no environment to compare it with", from, "ENV"),
        (_, Some(to)) => ("there is no environment to compare with it", "ENV", to),
        _ => ("there is nothing to compare", "dev", "prod"),
    };
    let hint = format!(
        "write `--from {from} --to {to}` for environments, or two revisions, for example `3f2a91c..main`"
    );
    CommandError::usage(message, hint)
}

async fn environments(
    args: &DiffArgs,
    (from, to): (&str, &str),
    config: &Config,
    context: &Context,
    ui: &Ui,
) -> Result<DiffReport, CommandError> {
    let (from, to) = (config.environment(from)?, config.environment(to)?);
    let services = config.services(&args.services)?;
    let manifests = context.manifests(config).await?;
    let (renderer, emit) = (context.renderer(), |event| ui.event(&event));
    Ok(ops::diff_environments(&manifests, &renderer, from, to, &services, &emit).await?)
}

async fn revisions(
    args: &DiffArgs,
    revisions: &str,
    config: &Config,
    context: &Context,
    ui: &Ui,
) -> Result<DiffReport, CommandError> {
    let Some(pair) = revisions.split_once("..").filter(|(a, b)| !a.is_empty() && !b.is_empty())
    else {
        let message = format!("`{revisions}` is not REV..REV");
        return Err(CommandError::usage(message, "write for example `3f2a91c..main`"));
    };
    let services = config.services(&args.services)?;
    let overlays: Vec<_> = services
        .iter()
        .flat_map(|&service| config.environments.values().map(move |env| (env, service)))
        .collect();
    let manifests = context.manifests(config).await?;
    let (renderer, emit) = (context.renderer(), |event| ui.event(&event));
    Ok(ops::diff_revisions(&manifests, &renderer, pair, &overlays, &emit).await?)
}
