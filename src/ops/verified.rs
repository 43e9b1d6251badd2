//! What `verify` proved, on record: an entry of a ledger for each service and environment.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::hold::text;
use super::{Manifests, RolloutReport, Store, StoreError};
use crate::git::{Authorship, Commit};
use crate::promotion::Verified;
use crate::promotion::ledger::verified_ledger;

/// Who puts what was proven on record, and when.
pub struct Witness<'a> {
    /// Who.
    pub authorship: &'a Authorship,
    /// When.
    pub time: Timestamp,
    /// The page of the run that they are part of.
    pub run: Option<String>,
}

/// Puts on record which of the rollouts are proven healthy, and returns what was new.
///
/// # Errors
///
/// Fails if the repository is out of reach or refuses, as without permission to push.
pub async fn record_verified(
    manifests: &Manifests,
    rollouts: &[RolloutReport],
    witness: &Witness<'_>,
) -> Result<Vec<Verified>, StoreError> {
    let proven = rollouts.iter().filter_map(|rollout| verified(rollout, witness));
    let name = |entry: &Verified| verified_ledger(&entry.environment, &entry.service);
    let proven: BTreeMap<String, Verified> = proven.map(|entry| (name(&entry), entry)).collect();
    let names: Vec<String> = proven.keys().cloned().collect();
    let entry = |name: &str, newest: Option<&Commit>| {
        let proven = proven.get(name)?;
        let is_known =
            newest.and_then(read).is_some_and(|newest| newest.proves_the_same_as(proven));
        (!is_known).then(|| text(&proven.subject(), &proven.trailers()))
    };
    let store = manifests.store();
    let appended = store.append(&names, witness.authorship, witness.time, &entry).await?;
    Ok(proven.into_iter().filter(|(name, _)| appended.contains(name)).map(|(_, v)| v).collect())
}

/// Returns what was last verified of `services` in `environment`, by service.
///
/// # Errors
///
/// Fails if the repository is out of reach.
pub async fn last_verified(
    manifests: &Manifests,
    environment: &str,
    services: &[&str],
) -> Result<BTreeMap<String, Verified>, StoreError> {
    let names: Vec<_> =
        services.iter().map(|service| verified_ledger(environment, service)).collect();
    let newest = newest(&*manifests.store(), &names).await?;
    Ok(newest.into_values().map(|(_, entry)| (entry.service.clone(), entry)).collect())
}

/// Returns the newest entries of ledgers of what was verified, by their names.
pub(super) async fn newest(
    store: &dyn Store,
    names: &[String],
) -> Result<BTreeMap<String, (Commit, Verified)>, StoreError> {
    let newest = store.newest(names).await?.into_iter();
    let read = |(name, commit): (String, Commit)| {
        let verified = read(&commit)?;
        Some((name, (commit, verified)))
    };
    Ok(newest.filter_map(read).collect())
}

/// Returns what an entry of a ledger of what was verified says.
pub(super) fn read(commit: &Commit) -> Option<Verified> {
    Verified::read(&commit.trailers(), &commit.author.name, commit.time)
}

/// Returns what the rollout proves, if it does: an image by its digest, at a commit.
fn verified(rollout: &RolloutReport, witness: &Witness<'_>) -> Option<Verified> {
    Some(Verified {
        service: rollout.service.clone(),
        environment: rollout.environment.clone(),
        image: rollout.proven()?.to_string(),
        commit: rollout.revision.clone()?,
        run: witness.run.clone(),
        by: witness.authorship.author.name.clone(),
        time: witness.time,
    })
}
