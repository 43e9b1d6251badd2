//! A change of an environment that has gates: what they want to know is gathered, they are judged,
//! and the change is made only if they let it pass.
//!
//! An environment that states the images already has nothing to pass. A pull request is opened, and
//! brought up to date, also where `approval` alone is closed: nobody could approve it otherwise.

mod facts;
mod lineage;
mod source;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::set::{SameDigest, SetError, SetOptions, SetReport, set};
use super::{Emit, Event, RolloutReport, RolloutVerdict, last_verified, stated_image};
use crate::config::{Environment, Service, Via};
use crate::github;
use crate::image::{ImageReference, PinnedImage};
use crate::kustomize::FileTree;
use crate::promotion::{
    Fact, Gate, Override, Policy, Proof, UnknownGate, Verdict, Verified, closed, overridden,
};

pub use source::SourceRepositories;

/// Whom the gates before a change can ask.
pub struct Passage<'a> {
    /// The environment that the images come from, if they come from one.
    pub from: Option<&'a Environment>,
    /// The time to judge at. To find out how the services do takes a while, and a gate may have opened.
    pub now: Timestamp,
    /// How the services do there, by name.
    pub health: BTreeMap<String, Fact<Proof>>,
    /// The gates that are not to hold this time, and why.
    pub overrides: Vec<Override>,
    /// The GitHub client, or why there is none.
    pub github: Result<&'a github::Client, String>,
    /// Where the repositories are that images are built from.
    pub sources: SourceRepositories<'a>,
}

/// What the gates said, and what came of the change.
#[derive(Debug, Clone, PartialEq)]
pub struct GatedReport {
    /// The environment that the images come from, if they come from one.
    pub from: Option<String>,
    /// The environment that was to be changed.
    pub environment: String,
    /// What its gates said; nothing where there was nothing to change.
    pub verdicts: Vec<Verdict>,
    /// What came of the change; `None` where a closed gate kept it from being made.
    pub set: Option<SetReport>,
}

/// Why a change with gates was not made, other than by a gate.
#[derive(Debug, thiserror::Error)]
pub enum GatedError {
    /// An override names no gate.
    #[error("{0}")]
    Override(#[from] UnknownGate),
    /// The change can't be made.
    #[error("{0}")]
    Set(#[from] SetError),
}

impl GatedReport {
    /// Returns the names of the gates that are closed and were not overridden, each once.
    pub fn closed(&self) -> Vec<&'static str> {
        closed(&self.verdicts)
    }
}

/// Returns an error if an override names a gate that a change of `to` does not have.
///
/// # Errors
///
/// Fails at the first such override.
pub fn check_overrides(
    from: Option<&Environment>,
    to: &Environment,
    overrides: &[Override],
) -> Result<(), UnknownGate> {
    policy(from, to).check(overrides, &to.name)
}

/// Judges the gates of the environment and makes the change if they let it pass.
///
/// # Errors
///
/// Fails if an override names no gate of the environment, or the change can't be made.
pub async fn pass(
    passage: &Passage<'_>,
    options: SetOptions<'_>,
    emit: Emit<'_>,
) -> Result<GatedReport, GatedError> {
    let policy = policy(passage.from, options.environment);
    policy.check(&passage.overrides, &options.environment.name)?;
    let options = match policy.gates.is_empty() {
        // Nobody has to know what changes.
        true => options,
        false => judged(passage, &policy, options, emit).await?,
    };
    let set = match may_begin(&options) {
        true => Some(set(&options, emit).await?),
        false => None,
    };
    Ok(GatedReport {
        from: passage.from.map(|from| from.name.clone()),
        environment: options.environment.name.clone(),
        verdicts: options.verdicts,
        set,
    })
}

/// Returns the options with what the gates say of the images that change at the branch's tip.
async fn judged<'a>(
    passage: &Passage<'_>,
    policy: &Policy,
    options: SetOptions<'a>,
    emit: Emit<'_>,
) -> Result<SetOptions<'a>, SetError> {
    let tip = match &options.tip {
        Some(tip) => tip.clone(),
        None => options.manifests.fetch(emit).await?,
    };
    let tree = options.manifests.store().tree(&tip)?;
    tree.prefetch(&options.paths()).await?;
    let options = SetOptions { tip: Some(tip.clone()), ..options };
    let (to, same_digest) = (options.environment, options.same_digest);
    let changed = changed(to, same_digest, &options.images, &*tree);
    if changed.is_empty() {
        return Ok(options);
    }
    let verified = verified(passage, policy, &options, &changed, emit).await;
    let (tip, tree, verified) = (&tip, &*tree, &verified);
    let asked = facts::Asked { passage, options: &options, tip, tree, verified };
    let (facts, origins) = asked.gather(policy, &changed).await;
    let unproven = facts.services.iter().find_map(|service| service.health.as_ref().err());
    let unproven = unproven.filter(|_| passage.from.is_some());
    if let (Some(reason), Some(from), false) = (unproven, passage.from, options.unproven) {
        let warning = format!("not checked whether {} is healthy: {reason}", from.name);
        emit(Event::Warning(warning));
    }
    let unproven = unproven.is_some();
    let verdicts = overridden(policy.judge(&facts), &passage.overrides);
    Ok(SetOptions { origins, verdicts, unproven, ..options })
}

/// Returns what `verify` has on record about the services that change where their images come from, if
/// a gate needs it. A server that keeps no such record, or hides it, costs a warning.
async fn verified(
    passage: &Passage<'_>,
    policy: &Policy,
    options: &SetOptions<'_>,
    changed: &[(&Service, PinnedImage)],
    emit: Emit<'_>,
) -> BTreeMap<String, Verified> {
    let soaks = policy.gates.iter().any(|gate| matches!(gate, Gate::Soak(_)));
    let is_seen = |name: &str| passage.health.get(name).is_some_and(Result::is_ok);
    let names = changed.iter().map(|(service, _)| service.name.as_str());
    let names: Vec<&str> = names.filter(|name| soaks || !is_seen(name)).collect();
    let Some(from) = passage.from.filter(|_| !names.is_empty()) else { return BTreeMap::new() };
    match last_verified(options.manifests, &from.name, &names).await {
        Ok(verified) => verified,
        Err(error) => {
            let reason = facts::reason(&error);
            let warning = format!("what was verified in {} can't be read: {reason}", from.name);
            emit(Event::Warning(warning));
            BTreeMap::new()
        }
    }
}

/// Returns the gates before a change of `to`.
fn policy(from: Option<&Environment>, to: &Environment) -> Policy {
    if from.is_some() { to.gates.of_promotion() } else { to.gates.of_set() }
}

/// Returns those of `images` that `environment` does not state in `tree` yet.
pub(super) fn changed<'a>(
    environment: &Environment,
    same_digest: SameDigest,
    images: &[(&'a Service, PinnedImage)],
    tree: &dyn FileTree,
) -> Vec<(&'a Service, PinnedImage)> {
    let is_new = |(service, wanted): &&(&Service, PinnedImage)| {
        let stated = stated_image(tree, environment, service);
        let stated = stated.ok().and_then(|stated| stated.pinned().ok());
        stated.is_none_or(|stated| match same_digest {
            SameDigest::Retag => stated != *wanted,
            SameDigest::Leave => (&stated.name, &stated.digest) != (&wanted.name, &wanted.digest),
        })
    };
    images.iter().filter(is_new).cloned().collect()
}

/// Returns whether the change is made, or shown, or proposed.
fn may_begin(options: &SetOptions<'_>) -> bool {
    let closed = closed(&options.verdicts);
    let approval = |gate: &&str| *gate == Gate::APPROVAL;
    options.dry_run
        || closed.is_empty()
        || (options.environment.via == Via::PullRequest && closed.iter().all(approval))
}

/// Returns what a look at the cluster shows about a service.
pub fn proof(rollout: &RolloutReport) -> Proof {
    let reference = |text: &str| text.parse::<ImageReference>().ok();
    let wanted = rollout.image.as_ref();
    let of_service = |text: &&str| {
        let name = reference(text).map(|reference| reference.name);
        wanted.is_none_or(|wanted| name.as_ref() == Some(&wanted.name))
    };
    let images = rollout.pods.iter().map(|pod| pod.image.as_str()).filter(of_service);
    let mut running: Vec<String> = images.map(str::to_owned).collect();
    running.sort();
    running.dedup();
    Proof::Cluster {
        image: rollout.image.clone(),
        running,
        is_healthy: rollout.verdict == RolloutVerdict::Healthy,
        why: rollout.reason.clone(),
    }
}

#[cfg(test)]
mod tests;
