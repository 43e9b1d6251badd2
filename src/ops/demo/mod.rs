//! `deployctl demo`: the main job on parts that the binary brings along.
//!
//! Everything is done by the ops that do the real thing, except that the cluster is a recording of a
//! real one, replayed. It touches nothing outside of its own folder.

mod parts;

use std::collections::BTreeMap;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;

use super::verify::Ancestry;
use super::{
    BuildError, BuildOptions, BuildReport, Change, CommitAncestry, Emit, Extent, GatedReport,
    Manifests, Passage, PromoteError, Promotion, RolloutReport, RolloutVerdict, SetError,
    SetOptions, SetReport, SourceRepositories, Sources, StoreError, VerifyError, VerifyOptions,
    build, history, promote, proof, set, verify,
};
use crate::cluster::{ClusterError, Scope};
use crate::config::{Config, ConfigError, Service};
use crate::git::{self, CommitId, GitError, Identity, Repository};
use crate::image::{PinnedImage, SourceFacts};
use crate::registry::Layout;
use crate::render::Renderer;
use crate::system::Environment;
use parts::Rollout;

/// The sample service's files are in no repository.
struct NoRepository;

#[async_trait]
impl Sources for NoRepository {
    async fn facts(&self, _: &Service) -> Result<SourceFacts, GitError> {
        Ok(SourceFacts::default())
    }
}

/// How to give the demo.
pub struct DemoOptions<'a> {
    /// An empty folder; everything is made in it.
    pub home: &'a Utf8Path,
    /// Whether the folder stays.
    pub is_kept: bool,
    /// Whether the rollout in dev breaks.
    pub fail: bool,
    /// The longest that a step of a rollout is on stage.
    pub pace: std::time::Duration,
    /// Environment variables.
    pub environment: &'a Environment,
    /// Looks up what an overlay uses; need not be able to render.
    pub renderer: &'a dyn Renderer,
    /// The time of the commits.
    pub time: Timestamp,
}

/// What is on stage. Each part of the demo is shown as soon as it is over.
#[derive(Debug)]
pub enum Scene<'a> {
    /// The folder was furnished.
    Home(&'a Utf8Path),
    /// The sample service was built.
    Built(&'a BuildReport),
    /// Dev states the image.
    Set(&'a SetReport),
    /// A recorded rollout is about to be replayed in an environment.
    Replay(&'a str),
    /// A rollout ended.
    Verified(&'a RolloutReport),
    /// Prod states the image.
    Promoted(&'a GatedReport),
    /// What happened to prod's overlay.
    History(&'a [Change]),
}

/// What the demo came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoReport {
    /// The folder that everything is in.
    pub home: Utf8PathBuf,
    /// Whether it is the caller's to keep.
    pub is_kept: bool,
    /// The image that was carried down the road.
    pub image: PinnedImage,
    /// The last rollout's verdict.
    pub verdict: RolloutVerdict,
    /// Why, in one line.
    pub reason: String,
    /// The commits of the manifests repository that the demo pushed, oldest first.
    pub commits: Vec<CommitId>,
}

/// Why the demo broke off.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum DemoError {
    /// The folder can't be furnished.
    #[error("can't write `{path}`: {source}")]
    Write {
        /// The file or folder.
        path: Utf8PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A part that the binary brings along is broken.
    Config(#[from] ConfigError),
    /// As [`build()`].
    Build(#[from] BuildError),
    /// As [`set`].
    Set(#[from] SetError),
    /// As [`promote`].
    Promote(#[from] PromoteError),
    /// As [`verify()`].
    Verify(#[from] VerifyError),
    /// The recording can't be read.
    Recording(#[from] ClusterError),
    /// The repository can't be made.
    Git(#[from] GitError),
    /// The repository can't be read.
    Store(#[from] StoreError),
}

/// Builds the sample service, sets dev, verifies it, promotes to prod, verifies that, and shows the
/// history; stops after dev if that does not become healthy.
///
/// # Errors
///
/// Fails if the folder can't be written.
pub async fn demo(
    options: &DemoOptions<'_>,
    show: &(dyn Fn(Scene<'_>) + Send + Sync),
    emit: Emit<'_>,
) -> Result<DemoReport, DemoError> {
    let stage = Stage::furnish(options).await?;
    show(Scene::Home(options.home));
    let service = stage.service();
    let built = stage.build(service, emit).await?;
    show(Scene::Built(&built));
    let image = built.images[0].image.clone();

    let set = stage.set(service, &image, emit).await?;
    show(Scene::Set(&set));
    let mut commits: Vec<CommitId> = set.revision().cloned().into_iter().collect();
    let recorded = if options.fail { Rollout::BrokenDev } else { Rollout::HealthyDev };
    show(Scene::Replay("dev"));
    let mut rollout = stage.verify(recorded, "dev", &commits[0], service, &image, emit).await?;
    show(Scene::Verified(&rollout));

    if rollout.verdict == RolloutVerdict::Healthy {
        let promoted = stage.promote(service, &rollout, emit).await?;
        show(Scene::Promoted(&promoted));
        commits.extend(promoted.set.as_ref().and_then(SetReport::revision).cloned());
        let last = commits.last().expect("dev was set above");
        show(Scene::Replay("prod"));
        rollout = stage.verify(Rollout::HealthyProd, "prod", last, service, &image, emit).await?;
        show(Scene::Verified(&rollout));
        let prod = &stage.config.environments["prod"];
        show(Scene::History(&history(&stage.manifests, prod, service, 10, emit).await?));
    }
    let (verdict, reason) = (rollout.verdict, rollout.reason);
    let (home, is_kept) = (options.home.to_owned(), options.is_kept);
    Ok(DemoReport { home, is_kept, image, verdict, reason, commits })
}

/// The furnished folder, and what is in it.
struct Stage<'a> {
    options: &'a DemoOptions<'a>,
    config: Config,
    manifests: Manifests,
    layout: Layout,
}

impl<'a> Stage<'a> {
    async fn furnish(options: &'a DemoOptions<'a>) -> Result<Self, DemoError> {
        let home = options.home;
        let config_path = parts::furnish(home)?;
        let text = std::fs::read_to_string(&config_path)
            .map_err(|source| DemoError::Write { path: config_path.clone(), source })?;
        let config = Config::parse(&config_path, &text)?;
        let remote = home.join("manifests.git");
        let (files, message) = (parts::manifests(), "Example manifests\n");
        git::init_bare(&remote, "main", &files, message, &author(), options.time)?;
        let cache = home.join("cache");
        let repository = Repository::open(remote.as_str(), &cache, options.environment).await?;
        let manifests = Manifests {
            repository,
            remote: remote.into_string(),
            branch: Some("main".to_owned()),
            api: None,
        };
        Ok(Self { options, config, manifests, layout: Layout::new(home.join("images")) })
    }

    fn service(&self) -> &Service {
        &self.config.services["ranking"]
    }

    async fn build(&self, service: &Service, emit: Emit<'_>) -> Result<BuildReport, DemoError> {
        let options = BuildOptions {
            services: vec![service],
            sources: &NoRepository,
            folder: self.config.folder(),
            tag: None,
            epoch: 0,
            registry: &self.layout,
            bases: &self.layout,
            extent: Extent::default(),
            since: None,
            explain: false,
            nearby: Vec::new(),
            record: false,
            cache: None,
            attacher: None,
            base_signers: &[],
            environment: self.options.environment,
        };
        Ok(build(&options, emit).await.map_err(|failed| failed.error)?)
    }

    fn change(&self, environment: &str) -> SetOptions<'_> {
        let environment = &self.config.environments[environment];
        let DemoOptions { renderer, time, .. } = self.options;
        SetOptions::new(&self.manifests, environment, *renderer, author().into(), *time)
    }

    async fn set(
        &self,
        service: &Service,
        image: &PinnedImage,
        emit: Emit<'_>,
    ) -> Result<SetReport, DemoError> {
        let images = vec![(service, image.clone())];
        Ok(set(&SetOptions { images, ..self.change("dev") }, emit).await?)
    }

    /// Promotes what `rollout` shows of dev.
    async fn promote(
        &self,
        service: &Service,
        rollout: &RolloutReport,
        emit: Emit<'_>,
    ) -> Result<GatedReport, DemoError> {
        let (from, options) = (&self.config.environments["dev"], self.change("prod"));
        let promotion = Promotion::read(from, vec![service], &options, emit).await?;
        let passage = Passage {
            from: Some(from),
            now: options.time,
            health: BTreeMap::from([(service.name.clone(), Ok(proof(rollout)))]),
            overrides: Vec::new(),
            github: Err("the demo has none".to_owned()),
            sources: SourceRepositories {
                caches: &self.options.home.join("cache"),
                environment: self.options.environment,
                trusted: Vec::new(),
            },
        };
        Ok(promote(promotion, &passage, options, emit).await?)
    }

    /// Verifies a recorded rollout of `image` at `revision`.
    async fn verify(
        &self,
        rollout: Rollout,
        environment: &str,
        revision: &CommitId,
        service: &Service,
        image: &PinnedImage,
        emit: Emit<'_>,
    ) -> Result<RolloutReport, DemoError> {
        let environment = &self.config.environments[environment];
        let overlay = environment.overlay(service);
        let recording = rollout.recording(image, revision, &self.manifests.remote)?;
        let recording = recording.paced(self.options.pace);
        let ancestry = CommitAncestry::new(&self.manifests, revision);
        let scope = Scope { application: environment.application(service), objects: Vec::new() };
        let options = VerifyOptions {
            image: Some(image.clone()),
            revision: Some(revision.to_string()),
            repo_url: Some(&self.manifests.remote),
            path: Some(overlay.as_str()),
            branch: self.manifests.branch.as_deref(),
            ancestry: &ancestry as &dyn Ancestry,
            timeout: std::time::Duration::from_secs(600),
            settle: std::time::Duration::from_secs(5),
            ..VerifyOptions::new(&environment.name, &service.name, scope)
        };
        let service = service.name.clone();
        let emit = |moment| emit(super::Event::Verify { service: service.clone(), moment });
        Ok(verify(&recording, &options, &emit).await?)
    }
}

fn author() -> Identity {
    Identity { name: "deployctl demo".to_owned(), email: "demo@example.com".to_owned() }
}
