//! Who set what, when: read from the trailers of the manifests repository's commits. What was verified
//! of it is read from its ledger.

use std::ops::ControlFlow;

use jiff::Timestamp;

use super::{Emit, Event, Manifests, Store, StoreError, verified};
use crate::config::{Environment, Service};
use crate::git::Commit;
use crate::promotion::ledger::verified_ledger;
use crate::promotion::{Record, Verified};

/// A change of an environment's overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The commit in the manifests repository.
    pub commit: String,
    /// When it was made.
    pub time: Timestamp,
    /// Who made it.
    pub author: String,
    /// The first line of its message.
    pub subject: String,
    /// The image that it set, if deployctl made it.
    pub image: Option<String>,
    /// The source commit of that image, if deployctl knew it.
    pub source_commit: Option<String>,
    /// All that deployctl put on record.
    pub record: Option<Record>,
    /// What `verify` has last recorded of that image since.
    pub verified: Option<Verified>,
}

/// No more entries of the ledger are looked at.
const MOST_VERIFIED: usize = 200;

/// Returns up to `limit` changes of the service's overlay in the environment, newest first.
///
/// # Errors
///
/// Fails if the repository can't be read.
pub async fn history(
    manifests: &Manifests,
    environment: &Environment,
    service: &Service,
    limit: usize,
    emit: Emit<'_>,
) -> Result<Vec<Change>, StoreError> {
    let tip = manifests.fetch(emit).await?;
    let target = environment.target(service);
    let store = &*manifests.store();
    let commits = store.log(&tip, target.path(), limit).await?;
    let changes = commits.iter().map(|c| change(c, recorded(c, environment, service)));
    let mut changes: Vec<Change> = changes.collect();
    match proven(store, &verified_ledger(&environment.name, &service.name)).await {
        Ok(entries) => entries.into_iter().for_each(|entry| attach(entry, &mut changes)),
        Err(error) => emit(Event::Warning(format!("what was verified can't be read: {error}"))),
    }
    Ok(changes)
}

/// Returns what is on record as verified, newest first.
async fn proven(store: &dyn Store, ledger: &str) -> Result<Vec<Verified>, StoreError> {
    let mut entries = Vec::new();
    let Some(newest) = store.newest(&[ledger.to_owned()]).await?.remove(ledger) else {
        return Ok(entries);
    };
    let mut visit = |commit: &Commit| {
        entries.extend(verified::read(commit));
        match entries.len() < MOST_VERIFIED {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    };
    store.walk(&newest.id, &mut visit).await?;
    Ok(entries)
}

/// Puts an entry beside the change that had put the image there when it was made. What is put there a
/// second time has to be verified a second time.
fn attach(entry: Verified, changes: &mut [Change]) {
    // The commit that was verified says it better than times, which are full seconds of two clocks.
    let at = changes.iter().position(|change| change.commit == entry.commit);
    let before = changes[at.unwrap_or(0)..].iter_mut();
    let mut of_image = before.filter(|it| it.image.as_ref() == Some(&entry.image));
    if let Some(change) = of_image.find(|change| at.is_some() || change.time <= entry.time) {
        change.verified.get_or_insert(entry);
    }
}

/// Returns what a commit put on record for the service in the environment, if it did.
pub(super) fn recorded(
    commit: &Commit,
    environment: &Environment,
    service: &Service,
) -> Option<Record> {
    let records = Record::read(&commit.trailers()).into_iter();
    let is_meant = |r: &Record| (&r.service, &r.environment) == (&service.name, &environment.name);
    records.rev().find(is_meant)
}

/// Returns what `commit` did, as `record` says it.
pub(super) fn change(commit: &Commit, record: Option<Record>) -> Change {
    Change {
        commit: commit.id.to_string(),
        time: commit.time,
        author: commit.author.name.clone(),
        subject: commit.subject().to_owned(),
        source_commit: record.as_ref().and_then(|r| Some(r.source.as_ref()?.commit.clone())),
        image: record.as_ref().map(|record| record.image.clone()),
        record,
        verified: None,
    }
}
