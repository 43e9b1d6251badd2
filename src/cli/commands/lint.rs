//! `deployctl lint`.

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::place::Place;
use crate::cli::reports;
use crate::cli::ui::Ui;
use crate::config::{Config, ConfigError, Environment, Service};
use crate::github::actions::Level;
use crate::kustomize::FileTree;
use crate::lint::{Branch, RULES, Severity};
use crate::ops::{self, LintOptions, LintReport, Manifests};
use crate::registry::{Remote, Resolver};
use crate::render::DiskTree;
use crate::report::json;

/// Find what is wrong with overlays though they may render
///
/// Looks at the tip of the manifests repository's branch, or at a folder. Without a deployctl.yaml it
/// looks at every overlay of the folder. Exit code 1 if there are errors, 0 if there are only warnings.
#[derive(Debug, clap::Args)]
#[command(after_help = rules())]
pub(crate) struct LintArgs {
    /// Services whose overlays are looked at [default: all]
    services: Vec<String>,
    /// Only this environment; may be given several times
    #[arg(long = "env", value_name = "ENV")]
    environments: Vec<String>,
    /// Look at the manifests in this folder instead of the branch
    #[arg(short = 'C', long = "directory", value_name = "DIR")]
    directory: Option<Utf8PathBuf>,
    /// Reach no network: look at the branch as it was fetched last, and at what is in it alone
    ///
    /// Registries are not asked whether tags and digests agree, and overlays that need a remote base are
    /// not rendered. A manifests repository that is a folder is read as ever. Where the branch was never
    /// fetched, or not all of it, that is an error; `-C` needs neither.
    #[arg(long)]
    offline: bool,
    /// Also write the findings to this file, as SARIF 2.1.0
    #[arg(long, value_name = "FILE")]
    sarif: Option<Utf8PathBuf>,
}

fn rules() -> String {
    let longest = RULES.iter().map(|rule| rule.id.len()).max().unwrap_or_default();
    let lines = RULES.iter().map(|rule| format!("\n  {:longest$}  {}", rule.id, rule.summary));
    format!("Rules:{}", lines.collect::<String>())
}

pub(crate) async fn run(args: &LintArgs, context: &Context, ui: &Ui) -> Result<Exit, CommandError> {
    let sarif = args.sarif.as_deref().map(reports::pending).transpose()?;
    let mut report = lint(args, context, ui).await?;
    if let Some(dir) = &args.directory {
        report.move_below(dir);
    }
    if let (Some(file), Some(path)) = (sarif, &args.sarif) {
        let text = serde_json::to_vec_pretty(&json::sarif(&report)).map_err(CommandError::bug)?;
        file.finish(&text)
            .map_err(|error| CommandError::from(error).context(format!("can't write `{path}`")))?;
    }
    ui.report(&report)?;
    for finding in &report.findings {
        let level = match finding.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
        };
        let message = format!("{} ({})", finding.message, finding.rule);
        let place = Place { file: finding.file.clone(), line: finding.line, column: Some(1) };
        ui.annotate(level, &message, Some(&place));
    }
    Ok(if report.has_errors() { Exit::Failed } else { Exit::Done })
}

async fn lint(args: &LintArgs, context: &Context, ui: &Ui) -> Result<LintReport, CommandError> {
    let config = match context.config() {
        Ok(config) => Some(config),
        Err(error) if error.is::<ConfigError>(is_not_found) && selects_nothing(args) => None,
        Err(error) => return Err(error),
    };
    let registry = if args.offline { None } else { Some(context.registry()?) };
    let job = Job { args, registry: registry.as_ref(), context, ui };
    match (&config, &args.directory) {
        (_, Some(dir)) if !dir.is_dir() => {
            let hint =
                "name the folder with the manifests with -C, or leave that out for the branch";
            Err(CommandError::usage(format!("there is no folder `{dir}`"), hint))
        }
        (config, Some(dir)) => job.folder(dir, config.as_ref()).await,
        (None, None) => job.folder(&context.current_dir()?, None).await,
        (Some(config), None) => {
            let manifests = match args.offline {
                true => context.manifests_offline(config).await?,
                false => context.manifests(config).await?,
            };
            job.branch(&manifests, config).await
        }
    }
}

fn is_not_found(error: &ConfigError) -> bool {
    matches!(error, ConfigError::NotFound { .. })
}

/// Returns whether no service or environment is named, which only a configuration knows.
fn selects_nothing(args: &LintArgs) -> bool {
    args.services.is_empty() && args.environments.is_empty()
}

struct Job<'a> {
    args: &'a LintArgs,
    registry: Option<&'a Remote>,
    context: &'a Context,
    ui: &'a Ui,
}

impl Job<'_> {
    async fn folder(
        &self,
        dir: &Utf8Path,
        config: Option<&Config>,
    ) -> Result<LintReport, CommandError> {
        let overlays = config.map(|config| self.overlays(config)).transpose()?;
        self.lint(&DiskTree::new(dir), None, None, overlays).await
    }

    async fn branch(
        &self,
        manifests: &Manifests,
        config: &Config,
    ) -> Result<LintReport, CommandError> {
        let overlays = self.overlays(config)?;
        let name = match &manifests.branch {
            Some(branch) => branch.clone(),
            None => manifests.repository.default_branch().await?,
        };
        let (_, tree) = manifests.by_git().tree(&|event| self.ui.event(&event)).await?;
        tree.prefetch(&[Utf8PathBuf::new()]).await?;
        let branch = Branch { remote: manifests.remote.clone(), name };
        self.lint(&*tree, Some(branch), Some(manifests), Some(overlays)).await
    }

    /// Returns the overlays that the arguments select.
    fn overlays<'c>(
        &self,
        config: &'c Config,
    ) -> Result<Vec<(&'c Environment, &'c Service)>, CommandError> {
        let services = config.services(&self.args.services)?;
        let environments: Vec<&Environment> = match &self.args.environments[..] {
            [] => config.environments.values().collect(),
            names => names.iter().map(|name| config.environment(name)).collect::<Result<_, _>>()?,
        };
        let overlays = environments
            .into_iter()
            .flat_map(|environment| services.iter().map(move |&service| (environment, service)));
        Ok(overlays.collect())
    }

    async fn lint(
        &self,
        tree: &dyn FileTree,
        branch: Option<Branch>,
        manifests: Option<&Manifests>,
        overlays: Option<Vec<(&Environment, &Service)>>,
    ) -> Result<LintReport, CommandError> {
        let renderer = self.context.renderer();
        let renderer = if self.args.offline { renderer.offline() } else { renderer };
        let registry = self.registry.map(|registry| registry as &dyn Resolver);
        let options =
            LintOptions { tree, branch, manifests, overlays, renderer: &renderer, registry };
        Ok(ops::lint(&options, &|event| self.ui.event(&event)).await?)
    }
}
