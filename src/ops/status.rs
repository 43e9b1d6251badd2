//! `deployctl status`: which image each environment states for each service, since when, by whom.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::history::{change, recorded as of_service};
use super::{
    Change, Emit, Manifests, StatedImage, StatedImageError, Store, StoreError, hold, stated_image,
    verified,
};
use crate::config::{Config, Environment, Service};
use crate::git::{Commit, CommitId};
use crate::promotion::ledger::{hold_ledger, verified_ledger};
use crate::promotion::{Hold, HoldEntry, Record, Verified};

/// What every environment states for every service.
#[derive(Debug)]
pub struct StatusReport {
    /// One a service and environment: services in order, and for each the environments in order.
    pub rows: Vec<StatusRow>,
}

/// What an environment states for a service.
#[derive(Debug)]
pub struct StatusRow {
    /// The service.
    pub service: String,
    /// The environment.
    pub environment: String,
    /// The image that its overlay states, or why it states none.
    pub image: Result<StatedImage, StatedImageError>,
    /// What brought the image, where that is on record; else the last change of its overlay.
    pub change: Option<Change>,
    /// What was last verified; it need not be what is stated.
    pub verified: Option<Verified>,
    /// The hold that keeps pipelines out.
    pub hold: Option<Hold>,
}

/// Returns what the environments state for `services` at the branch's tip.
///
/// # Errors
///
/// Fails if the repository can't be read; an overlay that states nothing is a row, not an error.
pub async fn status(
    manifests: &Manifests,
    config: &Config,
    services: &[&Service],
    emit: Emit<'_>,
) -> Result<StatusReport, StoreError> {
    let (tip, tree) = manifests.tree(emit).await?;
    let store = manifests.store();
    let targets = config.environments.values().flat_map(|environment| {
        services.iter().map(|service| environment.target(service).path().to_owned())
    });
    tree.prefetch(&targets.collect::<Vec<_>>()).await?;
    let asides = Asides::read(&*store, config, services).await?;
    let commits = store.since(&tip, Timestamp::MIN, MOST_COMMITS).await?;
    let recorded = recorded(&commits);
    let mut rows = Vec::new();
    for service in services {
        for environment in config.environments.values() {
            let image = stated_image(&*tree, environment, service);
            let key = (service.name.clone(), environment.name.clone());
            let change = match (&image, recorded.get(&key)) {
                (Err(_), _) => None,
                // It may have been changed by hand since.
                (Ok(image), Some((commit, record))) if record.image == image.to_string() => {
                    Some(change(commit, Some(record.clone())))
                }
                (Ok(_), _) => last_change(&*store, &tip, environment, service).await?,
            };
            let (verified, hold) = asides.of(&environment.name, &service.name);
            let (service, environment) = key;
            rows.push(StatusRow { service, environment, image, change, verified, hold });
        }
    }
    Ok(StatusReport { rows })
}

/// No more commits are looked through for what is on record, for all rows together.
const MOST_COMMITS: usize = 4096;

/// Returns the newest record of each service and environment, and its commit.
fn recorded(commits: &[Commit]) -> BTreeMap<(String, String), (&Commit, Record)> {
    let mut newest = BTreeMap::new();
    for commit in commits {
        // Of a commit's own records the last one counts.
        for record in Record::read(&commit.trailers()).into_iter().rev() {
            let key = (record.service.clone(), record.environment.clone());
            newest.entry(key).or_insert((commit, record));
        }
    }
    newest
}

async fn last_change(
    store: &dyn Store,
    tip: &CommitId,
    environment: &Environment,
    service: &Service,
) -> Result<Option<Change>, StoreError> {
    let target = environment.target(service);
    let commits = store.log(tip, target.path(), 1).await?;
    let change_of = |commit: &Commit| change(commit, of_service(commit, environment, service));
    Ok(commits.first().map(change_of))
}

/// What is remembered beside the branch.
struct Asides(BTreeMap<String, Commit>);

impl Asides {
    /// Reads all of it with one fetch.
    async fn read(
        store: &dyn Store,
        config: &Config,
        services: &[&Service],
    ) -> Result<Self, StoreError> {
        let environments = config.environments.keys();
        let names = environments.flat_map(|environment| {
            let of = move |service: &&Service| {
                [verified_ledger, hold_ledger].map(|ledger| ledger(environment, &service.name))
            };
            services.iter().flat_map(of)
        });
        let names: Vec<String> = names.collect();
        Ok(Self(store.newest(&names).await?))
    }

    fn of(&self, environment: &str, service: &str) -> (Option<Verified>, Option<Hold>) {
        let newest = |ledger: fn(&str, &str) -> String| self.0.get(&ledger(environment, service));
        let hold = match newest(hold_ledger).and_then(hold::read) {
            Some(HoldEntry::Set(hold)) => Some(hold),
            Some(HoldEntry::Released) | None => None,
        };
        (newest(verified_ledger).and_then(verified::read), hold)
    }
}
