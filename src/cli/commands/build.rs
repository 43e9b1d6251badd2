//! `deployctl build`.

use async_trait::async_trait;
use camino::Utf8PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::reports;
use crate::cli::source_facts::source_facts;
use crate::cli::ui::Ui;
use crate::config::{Config, Service, SignBy};
use crate::git::{GitError, Source};
use crate::image::{SourceFacts, Tag};
use crate::kustomize::FileTree;
use crate::ops::{
    self, Attacher, BaseRegistry, BaseSigner, BuildFailed, BuildOptions, BuildReport, Extent,
    Since, Sources,
};
use crate::registry::{Layout, Registry};
use crate::render::DiskTree;
use crate::report::Report as _;
use crate::system::Environment;

/// Build and push images, and print each pinned by digest
///
/// Files are laid onto an empty or a registry base image by deployctl itself where the service's
/// `build` section has `layers`; else its Dockerfile is built by docker, buildah or podman.
///
/// Before anything is built the registry is asked, with one request a service, for an image that was
/// made of the same: the files that the build sees, the recipe, build arguments, base images by their
/// digests, platforms and builder. Where there is one, its digest is told and nothing is built.
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
    /// Say what the registry has and what would be built, and build nothing
    #[arg(long)]
    dry_run: bool,
    /// Build what the registry has all the same
    #[arg(long, visible_alias = "force")]
    rebuild: bool,
    /// Build only the services that have changed since ENV was given its images
    ///
    /// Those are the ones whose files, recipe, base and so on are not those that the image was made of
    /// which the overlay of ENV states. The history of git does not matter. With `--dry-run --output
    /// json` they are listed, in `changedSince.services`.
    #[arg(long, value_name = "ENV")]
    changed_since_env: Option<String>,
    /// Say what differs from what the last image was made of
    ///
    /// That is the image that ENV of `--changed-since-env` states; else the last one that was built on
    /// this machine; else the one that the service's moving tags name in the registry; else one that an
    /// environment states, as far as its overlay is here without the network.
    #[arg(long)]
    explain: bool,
    /// Write what `--output json` prints into FILE as well
    ///
    /// It is written when a service fails, too, with the images of the others, which are pushed by
    /// then, and with the reason in `failed`: a later step that needs all of them goes by the exit
    /// code. Where nothing was begun, as with a mistake in the configuration, there is no file, and
    /// none of an earlier build either. (`docker buildx build --metadata-file`, which makes one image,
    /// writes on success alone.)
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<Utf8PathBuf>,
    /// Push what is built, or with `--push=false` only tell its digest, whatever `push` in the services'
    /// `build` sections says
    #[arg(
        long, value_name = "BOOL", num_args = 0..=1,
        default_missing_value = "true", action = clap::ArgAction::Set
    )]
    push: Option<bool>,
    /// Build only on images that SIGNER has signed: the file of a public key, or
    /// `identity=IDENTITY,issuer=ISSUER` of a keyless signature, which `cosign` verifies; given more
    /// than once, one is enough [default: `attestations.verifyBase`]
    #[arg(long, value_name = "SIGNER")]
    verify_base: Vec<String>,
    /// Load images into the local docker daemon as well, so that `docker run` finds them
    #[arg(long)]
    load: bool,
}

pub(crate) async fn run(
    args: &BuildArgs,
    context: &Context,
    ui: &Ui,
) -> Result<Exit, CommandError> {
    // That it can be written is known before anything is built.
    let metadata = args.metadata_file.as_deref().map(reports::pending).transpose()?;
    if let Some(file) = &metadata {
        file.clear();
    }
    let config = context.config()?;
    let built = try_build(args, &config, context, ui).await?;
    let report = built.as_ref().unwrap_or_else(|failed| &failed.report);
    let written = metadata.map(|file| file.finish(format!("{}\n", report.json()).as_bytes()));
    let reported = ui.report(report);
    // Why an image is missing matters more than that nobody could be told of the others.
    if let Err(failed) = built {
        return Err(failed.error.into());
    }
    written.transpose()?;
    reported?;
    Ok(Exit::Done)
}

/// Builds as the arguments say and returns what was built. Where that is not all, what was built all
/// the same is reported before the error is returned.
pub(super) async fn build(
    args: &BuildArgs,
    config: &Config,
    context: &Context,
    ui: &Ui,
) -> Result<BuildReport, CommandError> {
    match try_build(args, config, context, ui).await? {
        Ok(report) => Ok(report),
        Err(failed) => {
            ui.report(&failed.report)?;
            Err(failed.error.into())
        }
    }
}

/// Builds as the arguments say and returns what was built, and the error where that is not all; fails
/// itself where nothing was begun.
async fn try_build(
    args: &BuildArgs,
    config: &Config,
    context: &Context,
    ui: &Ui,
) -> Result<Result<BuildReport, Box<BuildFailed>>, CommandError> {
    if args.layout.is_some() && args.push == Some(false) {
        return Err(CommandError::usage(
            "a layout is where the image goes, and `--push=false` says that it goes nowhere",
            "leave out one of the two",
        ));
    }
    let remote = context.registry()?;
    let layout = args.layout.as_deref().map(Layout::new);
    let registry: &dyn Registry = layout.as_ref().map_or(&remote, |layout| layout);
    // The folder stands for a registry, of which nothing is remembered: it may be another one tomorrow.
    let cache = context.environment.cache_dir().filter(|_| layout.is_none());
    let sources = Checkout { config, environment: &context.environment };
    let base_signers = base_signers(args, config, context)?;
    let services = services(config, &args.services)?;
    let extent =
        Extent { rebuild: args.rebuild, dry_run: args.dry_run, push: args.push, load: args.load };
    let pushes = services.iter().any(|service| extent.pushes(service));
    let attacher = if pushes { attacher(args, config, context)? } else { None };
    let bases = BaseRegistry::new(&remote, config.folder(), &services);
    let since = match &args.changed_since_env {
        None => None,
        Some(name) => {
            let environment = config.environment(name)?;
            let manifests = context.manifests(config).await?;
            let emit = |event| ui.event(&event);
            Some(Since::read(&manifests, environment, &services, &emit).await?)
        }
    };
    let nearby = match args.explain && since.is_none() {
        true => nearby(config, &services, context).await,
        false => Vec::new(),
    };
    let options = BuildOptions {
        services,
        sources: &sources,
        folder: config.folder(),
        tag: args.tag.clone(),
        epoch: epoch(context)?,
        registry,
        bases: &bases,
        extent,
        since: since.as_ref(),
        explain: args.explain,
        nearby,
        record: config.record_inputs && layout.is_none(),
        cache: cache.as_deref(),
        attacher: attacher.as_ref(),
        base_signers: &base_signers,
        environment: &context.environment,
    };
    Ok(ops::build(&options, &|event| ui.event(&event)).await)
}

impl BuildArgs {
    /// Returns the arguments of a pipeline's step.
    pub(super) fn of_services(services: Vec<String>) -> Self {
        Self {
            services,
            tag: None,
            layout: None,
            dry_run: false,
            rebuild: false,
            changed_since_env: None,
            explain: false,
            metadata_file: None,
            push: None,
            verify_base: Vec::new(),
            load: false,
        }
    }
}

/// Returns what environments state of the services in files that are here: in the checkout where the
/// overlays lie beside the configuration, else in the manifests repository as it was fetched last. What is
/// not here, or can't be read, is nothing to compare with.
async fn nearby(config: &Config, services: &[&Service], context: &Context) -> Vec<Since> {
    let environments = config.environments.values();
    let since = |tree: &dyn FileTree| {
        environments.map(|environment| Since::of(tree, environment, services)).collect()
    };
    if config.manifests.repo.is_none() {
        let source = context.source(config.folder()).await;
        let source = source.ok().flatten();
        return source.map_or_else(Vec::new, |source| since(&DiskTree::new(source.root)));
    }
    let Ok(manifests) = context.manifests_offline(config).await else { return Vec::new() };
    let tree = manifests.tree(&|_| {}).await;
    tree.map_or_else(|_| Vec::new(), |(_, tree)| since(&*tree))
}

/// The checkout that the services' files are in.
struct Checkout<'a> {
    config: &'a Config,
    environment: &'a Environment,
}

#[async_trait]
impl Sources for Checkout<'_> {
    /// Returns what git knows about the files that the service is built from: what lies beside them
    /// does not decide about its image.
    async fn facts(&self, service: &Service) -> Result<SourceFacts, GitError> {
        source_facts(&self.files(service), self.environment).await
    }

    async fn repository(&self, service: &Service) -> Result<Option<String>, GitError> {
        let source = Source::discover(&self.files(service), self.environment).await?;
        Ok(source.and_then(|source| source.remote))
    }
}

impl Checkout<'_> {
    /// Returns the folder with the service's files.
    fn files(&self, service: &Service) -> Utf8PathBuf {
        let root = self.config.folder();
        let own = service.recipe.as_ref().map(|recipe| root.join(&recipe.context));
        own.filter(|folder| folder.is_dir()).unwrap_or_else(|| root.to_owned())
    }
}

/// Returns what attaches what the configuration says to images that are pushed.
fn attacher(
    args: &BuildArgs,
    config: &Config,
    context: &Context,
) -> Result<Option<Attacher>, CommandError> {
    if args.dry_run {
        return Ok(None);
    }
    let sign = config.attestations.sign.as_ref();
    if args.layout.is_some() && matches!(sign, Some(SignBy::Keyless)) {
        return Err(CommandError::usage(
            "a keyless signature is put into a registry by `cosign`, and not into a layout",
            "leave out --layout, or sign with a key (`attestations.sign.key`)",
        ));
    }
    Ok(ops::attacher(&config.attestations, config.folder(), &context.environment)?)
}

/// Returns who must have signed base images: what the arguments say, else the configuration.
fn base_signers(
    args: &BuildArgs,
    config: &Config,
    context: &Context,
) -> Result<Vec<BaseSigner>, CommandError> {
    let (texts, folder) = match args.verify_base.as_slice() {
        [] => (config.attestations.verify_base.as_slice(), config.folder().to_owned()),
        given => (given, context.current_dir()?),
    };
    let signers = texts.iter().map(|text| BaseSigner::parse(text, &folder));
    Ok(signers.collect::<Result<_, _>>()?)
}

/// Returns the named services, or all that have a `build` section.
fn services<'a>(config: &'a Config, names: &[String]) -> Result<Vec<&'a Service>, CommandError> {
    if !names.is_empty() {
        return Ok(config.services(names)?);
    }
    let built: Vec<_> =
        config.services.values().filter(|service| service.recipe.is_some()).collect();
    if built.is_empty() {
        let message = format!("no service in `{}` has a `build` section", config.path);
        return Err(CommandError::usage(message, "add one (README, \"Configuration\")"));
    }
    Ok(built)
}

/// Returns the time stamp of everything in the image: `SOURCE_DATE_EPOCH`, else 1970. Never the
/// clock, and not the commit's time either: the same files give the same digest, and a digest that
/// stays rolls nothing out.
fn epoch(context: &Context) -> Result<i64, CommandError> {
    Ok(context.source_date_epoch()?.unwrap_or(0))
}
