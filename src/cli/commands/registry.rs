//! `deployctl registry`.

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::image::{ImageName, ImageReference};
use crate::ops::{self, DoctorOptions};

/// Look at registries
#[derive(Debug, clap::Args)]
pub(crate) struct RegistryArgs {
    #[command(subcommand)]
    command: RegistryCommand,
}

#[derive(Debug, clap::Subcommand)]
enum RegistryCommand {
    /// Find out why a push is refused, and what to do about it
    ///
    /// Asks as a push would: whether the registry answers, who the credentials say you are, whether
    /// the repository is there, and whether an upload may be begun, which is then taken back. Nothing
    /// is stored. Exit code 1 if something is in the way.
    Doctor {
        /// Services of the configuration, or repositories such as `registry.example.com/shop/web`
        /// [default: all services that have a `build` section]
        names: Vec<String>,
    },
}

pub(crate) async fn run(
    args: &RegistryArgs,
    context: &Context,
    ui: &Ui,
) -> Result<Exit, CommandError> {
    let RegistryCommand::Doctor { names } = &args.command;
    let registry = context.registry()?;
    let options = DoctorOptions {
        names: repositories(names, context)?,
        registry: &registry,
        workflow_of: context.environment.get("GITHUB_REPOSITORY"),
    };
    let report = ops::doctor(&options).await;
    ui.report(&report)?;
    Ok(if report.is_healthy() { Exit::Done } else { Exit::Failed })
}

/// Returns the repositories that are meant, each once. What has a slash or a dot in it, as no
/// service's name has, is a repository, so that none needs a configuration.
fn repositories(names: &[String], context: &Context) -> Result<Vec<ImageName>, CommandError> {
    let mut repositories = Vec::new();
    let mut add = |name: ImageName| {
        if !repositories.contains(&name) {
            repositories.push(name);
        }
    };
    if names.is_empty() {
        let config = context.config()?;
        let built = config.services.values().filter(|service| service.recipe.is_some());
        built.for_each(|service| add(service.image.clone()));
    }
    for name in names {
        if name.contains(['/', '.', ':']) {
            let reference: ImageReference = name.parse().map_err(|error| {
                let message = format!("`{name}` is not a repository: {error}");
                CommandError::usage(message, "write it like `registry.example.com/shop/web`")
            })?;
            add(reference.name);
        } else {
            add(context.config()?.service(name)?.image.clone());
        }
    }
    Ok(repositories)
}
