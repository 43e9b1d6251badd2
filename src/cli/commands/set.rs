//! `deployctl set`.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;

use crate::cli::context::{Context, SourceReporter};
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::passage::{OverrideArgs, Witnesses};
use crate::cli::ui::Ui;
use crate::config::{Config, Environment, Service, Via, WriteBy};
use crate::git::Source;
use crate::github::{self, GithubError};
use crate::image::{Digest, ImageReference, PinnedImage};
use crate::ops::{
    self, AskedBy, Event, GatedReport, Manifests, PullRequests, SameDigest, SetOptions,
    SourceCommit,
};
use crate::pipeline::duration;
use crate::promotion::Override;
use crate::registry::Resolver as _;
use crate::system;

/// Write images into an environment's overlays: one commit, pushed or as a pull request
///
/// Only the image's entry in the kustomization changes; a second run changes nothing. A push that
/// loses a race is applied to the new tip and tried again.
///
/// The environment's gates are judged, other than `healthy` and `soak`, which are about the environment
/// that an image comes from. If one is closed, nothing is written (exit code 3).
#[derive(Debug, clap::Args)]
pub(crate) struct SetArgs {
    /// The environment to change
    #[arg(long, value_name = "ENV")]
    env: String,
    /// What to set, for example `ranking=registry.example.com/shop/ranking:1.4@sha256:…`; of a tag
    /// without a digest the digest is read from the registry; `=:1.4` stands for the service's image
    #[arg(required = true, value_name = "SERVICE=REF")]
    images: Vec<String>,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    overrides: OverrideArgs,
}

/// What every command takes that changes overlays.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct ChangeArgs {
    /// Show what the gates say and what would change, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Write it also if more changes in the rendered manifests than the images that are asked for
    ///
    /// An image that nothing would run is refused all the same. In a pipeline's step this is
    /// `allowOtherChanges: true`.
    #[arg(long)]
    pub(super) allow_other_changes: bool,
    /// Write it also over an image that was built from a newer commit
    ///
    /// Without this, a service whose image in the environment was built from a newer commit is left
    /// alone ("superseded", exit code 0): than the commit on record for the image that is promoted, or,
    /// for `set`, than the one checked out here. Which commit is newer the history of the checkout
    /// tells; where it does not have both, their times. Of an image whose commit is not known (it is
    /// not on record, or `set` runs outside of a repository) nothing is superseded.
    #[arg(long)]
    pub(super) allow_older: bool,
    /// How long to go on when others push to the branch first [default: 2m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) timeout: Option<Duration>,
    /// Have the pull request merged as soon as GitHub and the gates allow it
    #[arg(long)]
    pub(super) auto_merge: bool,
}

/// What is to be written where.
pub(super) struct Wanted<'a> {
    pub(super) environment: &'a Environment,
    pub(super) images: Vec<(&'a Service, PinnedImage)>,
    pub(super) same_digest: SameDigest,
    pub(super) change: ChangeArgs,
    pub(super) overrides: Vec<Override>,
}

pub(crate) async fn run(args: &SetArgs, context: &Context, ui: &Ui) -> Result<Exit, CommandError> {
    let config = context.config()?;
    let environment = config.environment(&args.env)?;
    let mut images = Vec::new();
    for argument in &args.images {
        let (service, image) = image(argument, &config, context).await?;
        if image.name != service.image {
            let (name, own) = (&service.name, &service.image);
            ui.event(&Event::Warning(format!(
                "`{name}` is given `{}`, another image than its own, `{own}`",
                image.name
            )));
        }
        if images.iter().any(|(other, _): &(&Service, _)| other.name == service.name) {
            let message = format!("`{}` is given two images", service.name);
            return Err(CommandError::usage(message, "name every service once"));
        }
        images.push((service, image));
    }
    let wanted = Wanted {
        environment,
        images,
        same_digest: SameDigest::Retag,
        change: args.change,
        overrides: args.overrides.overrides(None, environment)?,
    };
    let report = set(wanted, &config, context, ui).await?;
    ui.report(&report)?;
    Ok(exit(&report))
}

/// Returns how a command ends whose change has passed the gates, or not.
pub(super) fn exit(report: &GatedReport) -> Exit {
    let is_held = report.set.as_ref().is_some_and(|set| !set.holds().is_empty());
    if report.closed().is_empty() && !is_held { Exit::Done } else { Exit::GateClosed }
}

/// Writes the images into the overlays, if the gates let them pass, and returns what came of it.
pub(super) async fn set(
    wanted: Wanted<'_>,
    config: &Config,
    context: &Context,
    ui: &Ui,
) -> Result<GatedReport, CommandError> {
    let Wanted { environment, images, same_digest, change, overrides } = wanted;
    let source = context.source(config.folder()).await?.map(source_commit);
    with_options(environment, change, config, context, async |options| {
        let remote = &options.manifests.remote;
        let witnesses = Witnesses::new(environment, remote, config, context).await?;
        let passage = witnesses.passage(None, BTreeMap::new(), overrides);
        let options = SetOptions { images, same_digest, source, ..options };
        Ok(ops::pass(&passage, options, &|event| ui.event(&event)).await?)
    })
    .await
}

/// Calls `work` with the options of a change of `environment` that has no images yet.
pub(super) async fn with_options<T>(
    environment: &Environment,
    change: ChangeArgs,
    config: &Config,
    context: &Context,
    work: impl AsyncFnOnce(SetOptions<'_>) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    if change.auto_merge && environment.via != Via::PullRequest {
        return Err(CommandError::usage(
            format!(
                "`{}` is changed by pushes, so --auto-merge has nothing to merge",
                environment.name
            ),
            "leave it out, or write `via: pull-request` in the environment",
        ));
    }
    let manifests = context.manifests(config).await?;
    let renderer = context.renderer();
    let github = OnGithub::of(environment, &manifests, config, context, change.dry_run)?;
    let auto_merge = change.auto_merge || environment.auto_merge;
    let pull_requests = github.as_ref().filter(|_| environment.via == Via::PullRequest);
    let pull_requests =
        pull_requests.map(|github| github.pull_requests(&config.services, auto_merge));
    let reporter = context.source_reporter(config)?;
    let authorship = context.authorship(config).await?;
    let options = SetOptions::new(&manifests, environment, &renderer, authorship, system::now());
    work(SetOptions {
        asked_by: match context.environment.is_ci() {
            true => AskedBy::Pipeline,
            false => AskedBy::Person,
        },
        run: context.environment.run_url(),
        pull_requests,
        source_reports: reporter.as_ref().map(SourceReporter::reports),
        allow_other_changes: change.allow_other_changes,
        allow_older: change.allow_older,
        dry_run: change.dry_run,
        deadline: change.timeout.unwrap_or(options.deadline),
        ..options
    })
    .await
}

/// The manifests repository on GitHub.
struct OnGithub {
    client: github::Client,
    owner: String,
    name: String,
}

impl OnGithub {
    /// Returns it where the environment is changed by pull requests, or changes are written by GitHub's
    /// API.
    fn of(
        environment: &Environment,
        manifests: &Manifests,
        config: &Config,
        context: &Context,
        dry_run: bool,
    ) -> Result<Option<Self>, CommandError> {
        let by_api = config.manifests.write == WriteBy::Api;
        let is_asked = by_api || environment.via == Via::PullRequest;
        if !is_asked || github::repository_of(&manifests.remote).is_none() {
            return Ok(None);
        }
        // Of another forge, the address looks the same; the token must not go there for it.
        let client = match context.github() {
            Err(error) if dry_run && error.is(|e| matches!(e, GithubError::NoToken)) => {
                return Ok(None);
            }
            client => client?,
        };
        let found = client.repository_of(&manifests.remote);
        Ok(found.map(|(owner, name)| Self { client, owner, name }))
    }

    fn pull_requests<'a>(
        &'a self,
        services: &'a IndexMap<String, Service>,
        auto_merge: bool,
    ) -> PullRequests<'a> {
        let Self { client, owner, name: repository } = self;
        PullRequests { client, owner, repository, services, auto_merge }
    }
}

fn source_commit(source: Source) -> SourceCommit {
    SourceCommit { reference: source.reference(), time: source.time, root: Some(source.root) }
}

/// Returns the service and the pinned image that `SERVICE=REF` says.
async fn image<'a>(
    argument: &str,
    config: &'a Config,
    context: &Context,
) -> Result<(&'a Service, PinnedImage), CommandError> {
    let Some((name, text)) = argument.split_once('=') else {
        return Err(CommandError::usage(
            format!("`{argument}` is not SERVICE=REF"),
            "write for example `ranking=registry.example.com/shop/ranking:1.4`",
        ));
    };
    let service = config.service(name)?;
    let short = text.starts_with([':', '@']);
    let text = if short { format!("{}{text}", service.image) } else { text.to_owned() };
    let reference: ImageReference = text.parse().map_err(|error| {
        CommandError::usage(format!("`{text}`: {error}"), "write it as name:tag@sha256:…")
    })?;
    let is_word = !text.contains(['/', ':', '@']);
    if is_word && reference.name != service.image {
        return Err(CommandError::usage(
            format!("`{text}` would be the image `{}`", reference.name),
            format!("for a tag of `{name}`'s image write `{name}=:{text}`"),
        ));
    }
    let image = pin(reference, context).await?;
    refuse_unpushed(service, &image, context).await?;
    Ok((service, image))
}

/// Fails if the image is one that is built and not pushed. Somebody may have pushed it all the same, with
/// `build --push`, so the registry decides.
async fn refuse_unpushed(
    service: &Service,
    image: &PinnedImage,
    context: &Context,
) -> Result<(), CommandError> {
    if service.push || image.name != service.image {
        return Ok(());
    }
    let (name, tag, digest) = (image.name.clone(), None, Some(image.digest.clone()));
    if context.registry()?.resolve(&ImageReference { name, tag, digest }).await?.is_some() {
        return Ok(());
    }
    let name = &service.name;
    Err(CommandError::usage(
        format!("`{name}` is built with `push: false`, and the registry has no `{image}`"),
        format!(
            "push it: `deployctl build {name} --push`, or without `push: false` in its `build` section"
        ),
    ))
}

/// Returns the reference with the digest that it says, or that the registry says it has.
async fn pin(reference: ImageReference, context: &Context) -> Result<PinnedImage, CommandError> {
    let digest = match &reference.digest {
        Some(digest) => digest.clone(),
        None => resolve(&reference, context).await?,
    };
    Ok(PinnedImage { name: reference.name, tag: reference.tag, digest })
}

async fn resolve(reference: &ImageReference, context: &Context) -> Result<Digest, CommandError> {
    let found = context.registry()?.resolve(reference).await.map_err(|error| {
        CommandError::from(error).context(format!("can't read the digest of `{reference}`"))
    })?;
    found.ok_or_else(|| {
        let hint = "check the tag, or give the digest that `deployctl build` printed";
        CommandError::usage(format!("there is no image `{reference}`"), hint).exit(Exit::Failed)
    })
}
