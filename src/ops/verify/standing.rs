//! How a rollout stands at one look: done, on its way, or bad.

use std::collections::BTreeMap;
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::VerifyOptions;
use crate::argocd::{
    self, Application, ApplicationSet, Expected, Finality, Project, Relation, Verdict,
};
use crate::cluster::Scope;
use crate::health::{Health, HealthStatus};
use crate::image::{ImageReference, PinnedImage};
use crate::k8s::Object;
use crate::rollout::{self, ArgoRollout, Snapshot, Workload};

/// How a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Live and healthy at this look.
    Good,
    /// On its way.
    Waiting {
        /// What is missing.
        reason: String,
    },
    /// Not as it should be.
    Bad {
        /// What is wrong.
        reason: String,
        /// Whether waiting does not help.
        is_final: bool,
    },
}

/// Judges snapshots, and remembers how commits relate.
pub(super) struct Judge<'a> {
    options: &'a VerifyOptions<'a>,
    asked_at: Timestamp,
    relations: BTreeMap<String, Relation>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(options: &'a VerifyOptions<'a>, asked_at: Timestamp) -> Self {
        Self { options, asked_at, relations: BTreeMap::new() }
    }

    pub(super) async fn judge(&mut self, snapshot: &Snapshot, now: Timestamp) -> Standing {
        // What the repository could not tell at the last look it may tell now.
        self.relations.retain(|_, relation| *relation != Relation::Unknown);
        if let Some(object) = &snapshot.application {
            self.relate_compared(object).await;
            match self.application(object, snapshot, now).await {
                Some(Verdict::RolledOut { revision }) => {
                    if let Some(reason) = self.superseded(&revision, snapshot) {
                        return Standing::Bad { reason, is_final: true };
                    }
                }
                Some(Verdict::Waiting { reason }) => {
                    // Where a canary stands tells more than that the Application is Suspended.
                    let held = Self::is_suspended(object).then(|| self.pause(snapshot)).flatten();
                    return Standing::Waiting { reason: held.unwrap_or(reason) };
                }
                Some(Verdict::Failed { reason, finality }) => {
                    let is_final = finality == Finality::Final;
                    return Standing::Bad { reason, is_final };
                }
                None => return waiting("the Application is of another kind".to_owned()),
            }
        } else if self.options.scope.application.is_some() {
            return waiting("the Application is gone".to_owned());
        }
        // An Application that deploys to another cluster is judged alone, and that was told.
        if snapshot.objects.is_empty() && snapshot.application.is_some() {
            return Standing::Good;
        }
        objects(self.options, snapshot)
    }

    /// Returns the part of `snapshot` that is about this rollout: the objects that the change has
    /// reached. What ails the state before is no reason to call the change a failure.
    pub(super) fn of_this_rollout(&self, snapshot: &Snapshot) -> Snapshot {
        let application = snapshot.application.as_ref().and_then(Application::new);
        let reached = |object: &Object| {
            let workload = Workload::new(object, snapshot);
            application.is_none_or(|application| self.has_brought(application, object, snapshot))
                && workload.is_none_or(|w| not_as_stated(self.options, &w).is_none())
        };
        let objects = snapshot.objects.iter().filter(|object| reached(object)).cloned().collect();
        Snapshot { objects, ..snapshot.clone() }
    }

    fn is_suspended(application: &Object) -> bool {
        let health = Application::new(application).and_then(Application::health);
        health.is_some_and(|found| found.health.status == HealthStatus::Suspended)
    }

    fn pause(&self, snapshot: &Snapshot) -> Option<String> {
        let reached = self.of_this_rollout(snapshot);
        let mut rollouts = reached.objects.iter().filter_map(ArgoRollout::new);
        rollouts.find_map(ArgoRollout::pause).map(|pause| pause.reason)
    }

    // A later commit that is live and states another image has taken this one's place for good.
    fn superseded(&self, revision: &str, snapshot: &Snapshot) -> Option<String> {
        let is_newer = self.relations.get(revision) == Some(&Relation::Newer);
        let mut workloads = snapshot.workloads().filter(|_| is_newer);
        let reason = workloads.find_map(|workload| wrong_image(self.options, &workload))?;
        Some(format!("superseded by commit {revision}: {reason}"))
    }

    // While a sync with waves runs the Application as a whole is out of sync, so each object counts
    // by itself.
    fn has_brought(
        &self,
        application: Application<'_>,
        object: &Object,
        snapshot: &Snapshot,
    ) -> bool {
        if self.options.within_sync {
            return true;
        }
        let ask = |expected: &Expected<'_>| argocd::has_compared(application, expected);
        let (is_current, _) = self.expecting(snapshot, self.asked_at, ask);
        let id = object.id();
        let is_synced = application.resources().any(|r| r.id == id && r.status == "Synced");
        application.requested_refresh().is_none() && is_current && is_synced
    }

    async fn relate_compared(&mut self, object: &Object) {
        let compared = Application::new(object).map(|a| a.sync().revisions).unwrap_or_default();
        // A Helm source's revision is a chart's version.
        for revision in compared.into_iter().filter(|revision| is_commit(revision)) {
            self.relate(revision).await;
        }
    }

    async fn relate(&mut self, revision: &str) {
        if self.options.revision.is_some() && !self.relations.contains_key(revision) {
            let relation = self.options.ancestry.relation(revision).await;
            self.relations.insert(revision.to_owned(), relation);
        }
    }

    // Which commits the rule asks about shows when it asks; those that are not known yet are looked
    // up, and the rule is asked again.
    async fn application(
        &mut self,
        object: &Object,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Option<Verdict> {
        loop {
            let (verdict, unknown) = self.ask(object, snapshot, now)?;
            if unknown.is_empty() || self.options.revision.is_none() {
                return Some(verdict);
            }
            for revision in unknown {
                self.relate(&revision).await;
            }
        }
    }

    /// Returns the operation by which Argo CD is to be asked to sync, or `None` if there is no need.
    pub(super) fn sync_request(&self, snapshot: &Snapshot, now: Timestamp) -> Option<Value> {
        let application = Application::new(snapshot.application.as_ref()?)?;
        let ask = |expected: &Expected<'_>| argocd::sync_request(application, expected);
        self.expecting(snapshot, now, ask).0
    }

    fn ask(
        &self,
        object: &Object,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Option<(Verdict, Vec<String>)> {
        let application = Application::new(object)?;
        let ask = |expected: &Expected<'_>| argocd::judge(application, expected);
        Some(self.expecting(snapshot, now, ask))
    }

    /// Asks with what is expected, and returns the commits too whose relation is not known.
    fn expecting<T>(
        &self,
        snapshot: &Snapshot,
        now: Timestamp,
        ask: impl FnOnce(&Expected<'_>) -> T,
    ) -> (T, Vec<String>) {
        let unknown = Mutex::new(Vec::new());
        let relation = |revision: &str| {
            let known = self.relations.get(revision).copied();
            known.unwrap_or_else(|| {
                let mut unknown = unknown.lock().expect("no thread panics with the lock");
                unknown.push(revision.to_owned());
                Relation::Unknown
            })
        };
        let timeout = SignedDuration::try_from(self.options.timeout).ok();
        let expected = Expected {
            repo_url: self.options.repo_url,
            path: self.options.path,
            branch: self.options.branch,
            revision: self.options.revision.as_deref(),
            asked_at: Some(self.asked_at),
            within_sync: self.options.within_sync,
            now,
            until: timeout.and_then(|timeout| self.asked_at.checked_add(timeout).ok()),
            project: snapshot.project.as_ref().and_then(Project::new),
            application_set: snapshot.application_set.as_ref().and_then(ApplicationSet::new),
            accepts: self.options.accepts,
            relation: &relation,
        };
        let answer = ask(&expected);
        (answer, unknown.into_inner().expect("no thread panics with the lock"))
    }
}

/// Returns the scope's objects that are not in the cluster. Secrets are not looked for.
pub(super) fn missing<'a>(
    scope: &'a Scope,
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = &'a Object> {
    let is_secret = |object: &Object| object.group().is_empty() && object.kind() == "Secret";
    let is_there = |wanted: &Object| snapshot.objects.iter().any(|live| is_same(wanted, live));
    scope.objects.iter().filter(move |object| !is_secret(object) && !is_there(object))
}

fn is_same(wanted: &Object, live: &Object) -> bool {
    let (live, wanted) = (live.id(), wanted.id());
    // An overlay may leave the namespace to the context or the Application.
    let same_namespace = wanted.namespace.is_empty()
        || live.namespace.is_empty()
        || live.namespace == wanted.namespace;
    (live.group, live.kind, live.name) == (wanted.group, wanted.kind, wanted.name) && same_namespace
}

fn objects(options: &VerifyOptions<'_>, snapshot: &Snapshot) -> Standing {
    if let Some(object) = missing(&options.scope, snapshot).next() {
        let place = match object.namespace() {
            "" => "the cluster".to_owned(),
            namespace => format!("namespace `{namespace}`"),
        };
        return waiting(format!("{} is not in {place}", named(object)));
    }
    let mut runs_image = options.image.is_none();
    for workload in snapshot.workloads() {
        if let Some(reason) = not_as_stated(options, &workload) {
            return waiting(reason);
        }
        runs_image |= options.image.as_ref().is_some_and(|image| states(&workload, image));
    }
    if let (false, Some(image)) = (runs_image, &options.image) {
        return waiting(format!("no workload runs an image `{}`", image.name));
    }
    let unhealthy = snapshot.objects.iter().find_map(|object| health_of(object, options));
    // What is held on purpose, and accepted so, is not complete.
    let is_held = |workload: &Workload<'_>| {
        let health = options.rules.assess(workload.object()).health;
        options.accepts.suspended && health.is_some_and(|h| h.status == HealthStatus::Suspended)
    };
    let mut moving = snapshot.workloads().filter(|workload| !is_held(workload));
    let mut behind = || moving.find_map(|workload| is_behind(&workload, options.image.as_ref()));
    unhealthy.or_else(|| behind().map(waiting)).unwrap_or(Standing::Good)
}

fn health_of(object: &Object, options: &VerifyOptions<'_>) -> Option<Standing> {
    let Health { status, message } = options.rules.assess(object).health?;
    let why = if message.is_empty() { String::new() } else { format!(": {message}") };
    let paused = ArgoRollout::new(object).and_then(ArgoRollout::pause);
    let reason = match paused.filter(|_| status == HealthStatus::Suspended) {
        Some(pause) => pause.reason,
        None => format!("{} is {status}{why}", named(object)),
    };
    match status {
        HealthStatus::Healthy => None,
        HealthStatus::Suspended if options.accepts.suspended => None,
        HealthStatus::Degraded | HealthStatus::Unknown => {
            Some(Standing::Bad { reason, is_final: false })
        }
        _ => Some(waiting(reason)),
    }
}

/// Returns what keeps the new revision from being complete, where the kind's health does not look.
fn is_behind(workload: &Workload<'_>, image: Option<&PinnedImage>) -> Option<String> {
    let name = named(workload.object());
    if !workload.is_observed() {
        return Some(format!("the controller has not seen the new {name}"));
    }
    let partition = workload.object().integer("/spec/updateStrategy/rollingUpdate/partition");
    let counts = workload.counts();
    // Argo CD calls a StatefulSet with `OnDelete` healthy that has no updated pod at all, and never
    // compares revisions. A partition holds pods back on purpose.
    let wanted = counts.desired - partition.unwrap_or(0);
    if let Some(reason) = image.and_then(|image| other_pod(workload, image)) {
        return Some(reason);
    }
    let is_rolling =
        matches!(workload.object().kind(), "Deployment" | "StatefulSet" | "DaemonSet" | "Rollout");
    (is_rolling && counts.available < wanted)
        .then(|| format!("{} of {wanted} new pods of {name} are available", counts.available))
}

// An admission webhook may give pods another image than their template's. The digest that runs is no
// evidence against a pod: the runtime may name the platform's manifest instead of the index.
fn other_pod(workload: &Workload<'_>, image: &PinnedImage) -> Option<String> {
    let containers = workload.containers();
    let other = containers.iter().find(|container| is_other_version(image, container.image()))?;
    let (pod, runs) = (other.pod.name(), other.image());
    Some(format!("pod `{pod}` runs `{runs}`, not `{image}`"))
}

/// Returns what is wrong with the images that the workload's template and its ready pods state.
fn wrong_image(options: &VerifyOptions<'_>, workload: &Workload<'_>) -> Option<String> {
    let stated = workload.images();
    let name = named(workload.object());
    if let Some(image) = &options.image {
        let wrong = stated.iter().find(|(_, text)| is_other_version(image, text));
        if let Some((_, text)) = wrong {
            return Some(format!("{name} states `{text}`, not `{image}`"));
        }
    }
    let rendered = rendered(options, workload)?;
    let nothing = Snapshot::default();
    let rendered = Workload::new(rendered, &nothing)?.images();
    // Containers that only the live object has were put in by somebody: a service mesh, for example.
    let wrong = rendered.iter().find_map(|(container, image)| {
        let live = stated.iter().find(|(name, _)| name == container).map(|(_, image)| *image);
        (live != Some(*image)).then(|| (live.unwrap_or("no such container"), *image))
    });
    wrong.map(|(live, image)| format!("{name} states `{live}`, not `{image}`"))
}

/// Returns what the overlay renders for the workload, where it was rendered.
fn rendered<'a>(options: &'a VerifyOptions<'_>, workload: &Workload<'_>) -> Option<&'a Object> {
    options.scope.objects.iter().find(|object| is_same(object, workload.object()))
}

/// Returns what of the workload's pod template is not as the overlay states it: the change has not reached
/// it, whatever its controller has seen.
fn not_as_stated(options: &VerifyOptions<'_>, workload: &Workload<'_>) -> Option<String> {
    wrong_image(options, workload).or_else(|| {
        let what = rollout::stray(rendered(options, workload)?, workload.object())?;
        let name = named(workload.object());
        Some(format!("{name} is not as the overlay states it: {what} differs"))
    })
}

fn states(workload: &Workload<'_>, image: &PinnedImage) -> bool {
    workload.images().iter().any(|(_, text)| {
        let reference: Option<ImageReference> = text.parse().ok();
        reference.is_some_and(|reference| {
            reference.name == image.name && reference.digest.as_ref() == Some(&image.digest)
        })
    })
}

fn is_other_version(image: &PinnedImage, text: &str) -> bool {
    let Ok(reference) = text.parse::<ImageReference>() else { return false };
    reference.name == image.name && reference.digest.as_ref() != Some(&image.digest)
}

/// Returns whether a revision is a commit: a Helm source's is a chart's version.
pub(super) fn is_commit(revision: &str) -> bool {
    matches!(revision.len(), 40 | 64) && revision.bytes().all(|b| b.is_ascii_hexdigit())
}

fn named(object: &Object) -> String {
    format!("{} `{}`", object.kind(), object.name())
}

fn waiting(reason: String) -> Standing {
    Standing::Waiting { reason }
}
