//! `deployctl build`.

use camino::Utf8PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::config::{Config, Service};
use crate::image::{SourceFacts, Tag};
use crate::ops::{self, BuildOptions, BuildReport, Destination};
use crate::registry::Layout;

/// Build and push images, and print each pinned by digest
///
/// Files are laid onto an empty or a registry base image by deployctl itself where the service's
/// `build` section has `layers`; else its Dockerfile is built by docker or buildah.
#[derive(Debug, clap::Args)]
pub(crate) struct BuildArgs {
    /// Services to build [default: all that have a `build` section]
    services: Vec<String>,
    /// Tag to use instead of what the configuration says
    #[arg(long)]
    tag: Option<Tag>,
    /// Write images into an OCI layout directory instead of pushing them to a registry
    #[arg(long, value_name = "DIR")]
    layout: Option<Utf8PathBuf>,
    /// Build, and tell the digest, but push nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(
    args: &BuildArgs,
    context: &Context,
    ui: &Ui,
) -> Result<Exit, CommandError> {
    let config = context.config()?;
    let report = build(args, &config, context, ui).await?;
    ui.report(&report)?;
    Ok(Exit::Done)
}

/// Builds as the arguments say and returns what was built.
pub(super) async fn build(
    args: &BuildArgs,
    config: &Config,
    context: &Context,
    ui: &Ui,
) -> Result<BuildReport, CommandError> {
    let mut services = Vec::new();
    for service in self::services(config, &args.services)? {
        services.push((service, facts(service, config, context).await?));
    }
    let remote = context.registry()?;
    let layout = args.layout.as_deref().map(Layout::new);
    let destination = match &layout {
        _ if args.dry_run => Destination::Nowhere,
        Some(layout) => Destination::Push(layout),
        None => Destination::Push(&remote),
    };
    let options = BuildOptions {
        services,
        folder: config.folder(),
        tag: args.tag.clone(),
        epoch: epoch(context)?,
        destination,
        bases: &remote,
        environment: &context.environment,
    };
    Ok(ops::build(&options, &|event| ui.event(&event)).await?)
}

impl BuildArgs {
    /// Returns the arguments of a pipeline's step.
    pub(super) fn of_services(services: Vec<String>) -> Self {
        Self { services, tag: None, layout: None, dry_run: false }
    }
}

/// Returns the named services, or all that have a `build` section.
fn services<'a>(config: &'a Config, names: &[String]) -> Result<Vec<&'a Service>, CommandError> {
    let services = config.services(names)?;
    if !names.is_empty() {
        return Ok(services);
    }
    let built: Vec<_> = services.into_iter().filter(|service| service.recipe.is_some()).collect();
    if built.is_empty() {
        let message = format!("no service in `{}` has a `build` section", config.path);
        return Err(CommandError::usage(message, "add one (README, \"Configuration\")"));
    }
    Ok(built)
}

/// Returns what git knows about the files that the service is built from: what lies beside them
/// does not decide about its image.
async fn facts(
    service: &Service,
    config: &Config,
    context: &Context,
) -> Result<SourceFacts, CommandError> {
    let own = service.recipe.as_ref().map(|recipe| config.folder().join(&recipe.context));
    let folder = own.filter(|folder| folder.is_dir()).unwrap_or_else(|| config.folder().to_owned());
    let source = context.source(&folder).await?;
    Ok(SourceFacts {
        commit: source.as_ref().map(|source| source.commit.to_string()),
        dirty: source.is_some_and(|source| source.dirty),
    })
}

/// Returns the time stamp of everything in the image: `SOURCE_DATE_EPOCH`, else 1970. Never the
/// clock, and not the commit's time either: the same files give the same digest, and a digest that
/// stays rolls nothing out.
fn epoch(context: &Context) -> Result<i64, CommandError> {
    Ok(context.source_date_epoch()?.unwrap_or(0))
}
