//! What an environment is verified against: the manifests repository's word about each service.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::sync::Mutex;

use super::VerifyArgs;
use super::deployed::{Deployed, Place};
use crate::argocd::ApplicationName;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::rules::RuleArgs;
use crate::cli::ui::Ui;
use crate::cluster::{Cluster, Scope};
use crate::config::{Config, Environment, Service};
use crate::git::{Commit, CommitId};
use crate::health::Rules;
use crate::kustomize::FileTree;
use crate::ops::{
    self, CommitAncestry, Event, Manifests, Progress, RolloutReport, RolloutVerdict, VerifyOptions,
    stated_image,
};
use crate::promotion::Record;
use crate::registry::Resolver;

/// So many changes of a file are looked through for what is on record for its image.
const LOOK_BACK: usize = 5;

/// What an environment is to be verified against.
pub(super) struct Expected<'a> {
    pub(super) args: &'a VerifyArgs,
    pub(super) environment: &'a Environment,
    pub(super) manifests: &'a Manifests,
    pub(super) tip: CommitId,
    pub(super) tree: Box<dyn FileTree>,
    pub(super) rules: RuleArgs,
    /// The rules with what the Argo CD of a namespace's Applications adds, which is asked once.
    pub(super) known_rules: Mutex<BTreeMap<String, Rules>>,
}

impl Expected<'_> {
    /// Returns where the manifests of the service are.
    pub(super) fn place(&self, service: &Service) -> Place {
        let path = match self.environment.target(service).overlay() {
            Some(overlay) => overlay.to_owned(),
            None => self.environment.target(service).path().to_owned(),
        };
        let (repo_url, branch) = (self.manifests.remote.clone(), self.manifests.branch.clone());
        Place { repo_url, path, branch }
    }

    pub(super) async fn verify(
        &self,
        service: &Service,
        deployed: Deployed,
        cluster: &dyn Cluster,
        context: &Context,
        ui: &Ui,
    ) -> Result<RolloutReport, CommandError> {
        let (revision, committed) = self.revision(service).await?;
        let registry = context.registry().ok();
        let tree = match &self.args.revision {
            Some(_) => &*self.manifests.store().tree(&revision)?,
            None => &*self.tree,
        };
        let stated = stated_image(tree, self.environment, service)?;
        let scope = self.scope(service, deployed.application, tree, context).await?;
        let overlay = self.environment.overlay(service);
        let target = self.environment.target(service);
        let ancestry = CommitAncestry::new(self.manifests, &revision).of_overlay(target.overlay());
        let rules = self.rules_for(scope.application.as_ref(), cluster, ui).await?;
        let options = VerifyOptions {
            image: stated.pinned().ok(),
            revision: Some(revision.to_string()),
            repo_url: Some(&self.manifests.remote),
            path: Some(overlay.as_str()),
            branch: self.manifests.branch.as_deref(),
            ancestry: &ancestry,
            rules,
            timeout: self.args.timeout,
            settle: self.args.settle,
            accepts: self.args.accepts(),
            sync: self.args.sync,
            fail_fast: self.args.fail_fast,
            registry: registry.as_ref().map(|registry| registry as &dyn Resolver),
            committed,
            ..VerifyOptions::new(&self.environment.name, &service.name, scope)
        };
        let emit = |moment| ui.event(&Event::Verify { service: deployed.label.clone(), moment });
        Ok(match &self.args.record {
            Some(dir) => ops::record(cluster, &options, &dir.join(&deployed.label), &emit).await?,
            None => ops::verify(cluster, &options, &emit).await?,
        })
    }

    /// Returns what is on record for the images that were looked at, and how they do.
    pub(super) async fn records(
        &self,
        rollouts: &[RolloutReport],
        config: &Config,
    ) -> Vec<(Record, Progress)> {
        let mut records = Vec::new();
        for rollout in rollouts {
            let Ok(service) = config.service(&rollout.service) else { continue };
            let target = self.environment.target(service);
            let log = self.manifests.store().log(&self.tip, target.path(), LOOK_BACK).await;
            let recorded = log.iter().flatten().flat_map(|commit| Record::read(&commit.trailers()));
            let image = rollout.image.as_ref().map(ToString::to_string);
            let mut meant = recorded.filter(|record| {
                (&record.service, &record.environment) == (&rollout.service, &rollout.environment)
                    && Some(&record.image) == image.as_ref()
            });
            let progress = match rollout.verdict {
                RolloutVerdict::Healthy => Progress::Healthy,
                RolloutVerdict::Degraded | RolloutVerdict::TimedOut => {
                    Progress::Failed(rollout.reason.clone())
                }
            };
            records.extend(meant.next().map(|record| (record, progress)));
        }
        records
    }

    /// Returns the commit that must be live, and when it was made: the one that was asked for, else the
    /// last one that changed where the image is stated, since Argo CD may pass over commits that do not
    /// concern an Application.
    async fn revision(
        &self,
        service: &Service,
    ) -> Result<(CommitId, Option<Timestamp>), CommandError> {
        let store = self.manifests.store();
        let path = self.environment.target(service).path().to_owned();
        if let Some(revision) = &self.args.revision {
            let revision = store.resolve(revision).await?;
            let last =
                store.log(&revision, &path, 1).await.ok().and_then(|log| log.first().cloned());
            let is_it = |commit: &Commit| commit.id == revision;
            let time = last.filter(is_it).map(|commit| commit.time);
            return Ok((revision, time));
        }
        let last = store.log(&self.tip, &path, 1).await?.into_iter().next();
        let last = last.map(|commit| (commit.id, Some(commit.time)));
        Ok(last.unwrap_or_else(|| (self.tip.clone(), None)))
    }

    /// Returns what the objects of the Application are judged by.
    async fn rules_for(
        &self,
        application: Option<&ApplicationName>,
        cluster: &dyn Cluster,
        ui: &Ui,
    ) -> Result<Rules, CommandError> {
        let namespace = application.map_or("", |name| &name.namespace);
        let mut known = self.known_rules.lock().await;
        if let Some(rules) = known.get(namespace) {
            return Ok(rules.clone());
        }
        let rules = self.rules.of_cluster(cluster, application, ui).await?;
        known.insert(namespace.to_owned(), rules.clone());
        Ok(rules)
    }

    /// Returns what to look at: the Application, which lists its objects itself, else the objects
    /// that the overlay renders to.
    async fn scope(
        &self,
        service: &Service,
        application: Option<ApplicationName>,
        tree: &dyn FileTree,
        context: &Context,
    ) -> Result<Scope, CommandError> {
        let objects = match &application {
            Some(_) => Vec::new(),
            None => {
                ops::rendered(&context.renderer(), tree, self.environment, service).await?.objects
            }
        };
        Ok(Scope { application, objects })
    }
}
