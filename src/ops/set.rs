//! `deployctl set`: images into an environment's overlays: one commit, pushed or as a pull request.
//!
//! The change is a function of the branch's tip. A push that loses a race therefore fetches the new
//! tip and applies the change to that, until it lands or time is up.

mod api;
mod description;
mod edit;
mod effect;
mod error;
mod land;
mod message;
mod pull_request;
mod reads;
mod superseded;

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8PathBuf;
use indexmap::IndexMap;
use jiff::Timestamp;

use super::{AskedBy, Emit, Event, Manifests, Progress, SourceReports, report_sources};
use crate::config::{Environment, Service, Via};
use crate::git::{Authorship, CommitId};
use crate::github;
use crate::image::PinnedImage;
use crate::promotion::{Hold, RecordedSource, ReferenceCommit, Verdict};
use crate::render::Renderer;

pub use edit::Edited;
pub use effect::{EffectError, RenderedChange, check as check_effect, rendered_diff};
pub use error::SetError;
pub use superseded::Superseded;

/// What to write where.
#[derive(Clone)]
pub struct SetOptions<'a> {
    /// The manifests repository.
    pub manifests: &'a Manifests,
    /// The branch's tip, if it has been read for this change already.
    pub tip: Option<CommitId>,
    /// The environment.
    pub environment: &'a Environment,
    /// The image of each service.
    pub images: Vec<(&'a Service, PinnedImage)>,
    /// What happens to an overlay that states an image's digest already, under another tag.
    pub same_digest: SameDigest,
    /// The environment that the images come from, for the commit's message.
    pub promoted_from: Option<String>,
    /// The commit that the images were built from.
    pub source: Option<SourceCommit>,
    /// The commit that an image was built from, by service, where the environment that it comes from
    /// has that on record.
    pub origins: BTreeMap<String, RecordedSource>,
    /// What the environment's gates said.
    pub verdicts: Vec<Verdict>,
    /// Whether nobody looked if the images are healthy where they come from.
    pub unproven: bool,
    /// Who asks, which decides what a hold is worth.
    pub asked_by: AskedBy,
    /// The page of the run that the change is part of.
    pub run: Option<String>,
    /// Who writes the commit, and what signs it.
    pub authorship: Authorship,
    /// The commit's time.
    pub time: Timestamp,
    /// Tells whether an overlay without an entry for an image uses that image.
    pub renderer: &'a dyn Renderer,
    /// Where pull requests are opened, for an environment that is changed by them.
    pub pull_requests: Option<PullRequests<'a>>,
    /// Who tells GitHub how far source commits are.
    pub source_reports: Option<SourceReports<'a>>,
    /// Whether the rendering may change in more than the images that are asked for.
    pub allow_other_changes: bool,
    /// Whether an image may take the place of one that was built from a newer commit.
    pub allow_older: bool,
    /// Whether to say what would be written, and write nothing.
    pub dry_run: bool,
    /// How long to go on when pushes lose races.
    pub deadline: Duration,
}

/// How long a push goes on when it loses races and nobody says how long.
const DEADLINE: Duration = Duration::from_secs(120);

/// What happens to an overlay that states a digest already, under another tag. kustomize renders tag
/// and digest both, so another tag alone restarts pods (kustomize #5664).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameDigest {
    /// It gets the tag, as somebody asked for.
    Retag,
    /// It stays as it is: nothing has changed that runs.
    Leave,
}

/// The GitHub repository that pull requests are opened in.
#[derive(Clone, Copy)]
pub struct PullRequests<'a> {
    /// The client.
    pub client: &'a github::Client,
    /// Owner of the repository.
    pub owner: &'a str,
    /// Name of the repository.
    pub repository: &'a str,
    /// The services that there are, for what others have pending.
    pub services: &'a IndexMap<String, Service>,
    /// Whether they are merged as soon as GitHub and the gates allow it.
    pub auto_merge: bool,
}

/// The commit that an image was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCommit {
    /// The commit, as Argo CD is told of it.
    pub reference: ReferenceCommit,
    /// When it was committed.
    pub time: Timestamp,
    /// The root of its checkout on this machine.
    pub root: Option<Utf8PathBuf>,
}

impl From<&SourceCommit> for RecordedSource {
    fn from(source: &SourceCommit) -> Self {
        let ReferenceCommit { sha, repository, .. } = source.reference.clone();
        Self { commit: sha, repository, time: Some(source.time) }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetReport {
    /// The environment.
    pub environment: String,
    /// One a service, in order.
    pub edits: Vec<Edited>,
    /// The services that were left alone, as the branch has newer images of them.
    pub superseded: Vec<Superseded>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The branch states the images already.
    Unchanged {
        /// The branch's tip.
        tip: CommitId,
    },
    /// The branch has newer images of all services.
    Superseded,
    /// Nothing was written, as asked.
    DryRun,
    /// Nothing was written: a pipeline asked, and some of what it asked for is held.
    Held {
        /// The holds.
        holds: Vec<Hold>,
    },
    /// The branch is at the new commit.
    Pushed {
        /// The commit.
        commit: CommitId,
        /// The branch.
        branch: String,
    },
    /// A pull request is open.
    PullRequest {
        /// Its number.
        number: u64,
        /// Its page.
        url: String,
        /// The branch that it merges.
        head: String,
        /// What GitHub says of merging it, where that was wanted and the gates are open.
        merging: Option<Merging>,
        /// The commit of the branch that it was merged as.
        merged: Option<CommitId>,
    },
}

/// What GitHub says of merging a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merging {
    /// It is merged.
    Merged,
    /// It stands in the merge queue.
    Queued,
    /// GitHub merges it once its requirements are met.
    Enabled,
    /// Another run has changed it meanwhile, and takes care of it.
    Overtaken,
}

impl<'a> SetOptions<'a> {
    /// Returns the options of a change of `environment` that a person asks for now, with no images
    /// yet; nothing is left out of what protects the environment.
    pub fn new(
        manifests: &'a Manifests,
        environment: &'a Environment,
        renderer: &'a dyn Renderer,
        authorship: Authorship,
        time: Timestamp,
    ) -> Self {
        Self {
            manifests,
            tip: None,
            environment,
            images: Vec::new(),
            same_digest: SameDigest::Leave,
            promoted_from: None,
            source: None,
            origins: BTreeMap::new(),
            verdicts: Vec::new(),
            unproven: false,
            asked_by: AskedBy::Person,
            run: None,
            authorship,
            time,
            renderer,
            pull_requests: None,
            source_reports: None,
            allow_other_changes: false,
            allow_older: false,
            dry_run: false,
            deadline: DEADLINE,
        }
    }
}

impl SetOptions<'_> {
    /// Returns the files and folders that state the images.
    pub(super) fn paths(&self) -> Vec<Utf8PathBuf> {
        let path =
            |(service, _): &(&Service, _)| self.environment.target(service).path().to_owned();
        self.images.iter().map(path).collect()
    }

    /// Returns whether the service is among those that are set.
    fn sets(&self, service: &str) -> bool {
        self.images.iter().any(|(set, _)| set.name == service)
    }
}

impl SetReport {
    /// Returns whether something was written.
    pub fn is_changed(&self) -> bool {
        matches!(self.outcome, Outcome::Pushed { .. } | Outcome::PullRequest { .. })
    }

    /// Returns the holds that stopped the change.
    pub fn holds(&self) -> &[Hold] {
        match &self.outcome {
            Outcome::Held { holds } => holds,
            _ => &[],
        }
    }

    /// Returns what the change does to the rendering of each overlay where that is known.
    pub fn rendered(&self) -> impl Iterator<Item = &RenderedChange> {
        self.edits.iter().filter_map(|edit| edit.rendered.as_ref())
    }

    /// Returns the commit of the branch that states the images, if there is one already.
    pub fn revision(&self) -> Option<&CommitId> {
        match &self.outcome {
            Outcome::Unchanged { tip: commit } | Outcome::Pushed { commit, .. } => Some(commit),
            Outcome::PullRequest { merged, .. } => merged.as_ref(),
            Outcome::Superseded | Outcome::DryRun | Outcome::Held { .. } => None,
        }
    }
}

/// Writes the images into the overlays and lands the change.
///
/// # Errors
///
/// Fails if an overlay can't be edited or the change does not land; then nothing was written.
pub async fn set(options: &SetOptions<'_>, emit: Emit<'_>) -> Result<SetReport, SetError> {
    let report = write(options, emit).await?;
    if let (Some(reports), true, Some(_)) =
        (&options.source_reports, report.is_changed(), report.revision())
    {
        let stated = |record| (record, Progress::Stated);
        let records: Vec<_> =
            message::records(options, &report.edits).into_iter().map(stated).collect();
        report_sources(reports, &records, emit).await;
    }
    Ok(report)
}

async fn write(options: &SetOptions<'_>, emit: Emit<'_>) -> Result<SetReport, SetError> {
    if options.manifests.api.is_none() {
        return by_git(options, emit).await;
    }
    match api::land(options, emit).await {
        Err(error @ SetError::BeyondApi { .. }) => {
            emit(Event::Warning(format!("{error}; it is made by git")));
            // What was read is not fetched.
            let (manifests, tip) = (&options.manifests.by_git(), None);
            by_git(&SetOptions { manifests, tip, ..options.clone() }, emit).await
        }
        result => result,
    }
}

async fn by_git(options: &SetOptions<'_>, emit: Emit<'_>) -> Result<SetReport, SetError> {
    match options.environment.via {
        Via::Push => land::land(options, emit).await,
        Via::PullRequest => pull_request::land(options, emit).await,
    }
}
