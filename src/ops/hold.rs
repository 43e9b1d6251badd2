//! Holds: what keeps pipelines from putting back what a rollback took away.
//!
//! A hold is an entry of a ledger (see [`crate::git::Ledgers`]); only its newest entry counts.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use jiff::Timestamp;

use super::{Edited, Emit, Event, Manifests, SetOptions, Store, StoreError};
use crate::git::{self, Authorship, Commit, CommitId};
use crate::promotion::ledger::hold_ledger;
use crate::promotion::{Hold, HoldEntry, Record};

/// Who asks for a change, which decides what a hold is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedBy {
    /// A person: what they set releases the hold.
    Person,
    /// A pipeline: it stops at a hold.
    Pipeline,
    /// A rollback, which sets a hold itself.
    Rollback {
        /// Why.
        reason: Option<String>,
        /// What the services stated when it began, by name.
        seen: BTreeMap<String, String>,
    },
}

/// What to release.
pub struct ReleaseOptions<'a> {
    /// The manifests repository.
    pub manifests: &'a Manifests,
    /// The environment's name.
    pub environment: &'a str,
    /// The services' names.
    pub services: Vec<&'a str>,
    /// Who releases.
    pub authorship: &'a Authorship,
    /// When.
    pub time: Timestamp,
    /// The page of the run that releases.
    pub run: Option<String>,
    /// Whether to say what would be released, and release nothing.
    pub dry_run: bool,
}

/// What was released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseReport {
    /// The environment.
    pub environment: String,
    /// The holds that were in force.
    pub released: Vec<Hold>,
    /// Whether nothing was released, as asked.
    pub dry_run: bool,
}

/// Releases the holds on the services.
///
/// # Errors
///
/// Fails if the repository is out of reach or refuses.
pub async fn release_hold(options: &ReleaseOptions<'_>) -> Result<ReleaseReport, StoreError> {
    let store = options.manifests.store();
    let held = in_force(&*store, options.environment, &options.services).await?;
    let released: Vec<Hold> = held.into_values().collect();
    if !options.dry_run {
        let run = options.run.as_deref();
        release(&*store, &released, options.authorship, options.time, run).await?;
    }
    let environment = options.environment.to_owned();
    Ok(ReleaseReport { environment, released, dry_run: options.dry_run })
}

/// Returns the holds on `services` that are in force, by service.
pub(super) async fn in_force(
    store: &dyn Store,
    environment: &str,
    services: &[&str],
) -> Result<BTreeMap<String, Hold>, StoreError> {
    let names: Vec<_> = services.iter().map(|service| hold_ledger(environment, service)).collect();
    let newest = store.newest(&names).await?;
    let holds = newest.values().filter_map(|commit| match read(commit)? {
        HoldEntry::Set(hold) => Some((hold.service.clone(), hold)),
        HoldEntry::Released => None,
    });
    Ok(holds.collect())
}

/// Returns the holds on the services of a change, as [`of_change`] does. That they can't be read is only
/// told to a person, whose change goes on whatever is held.
pub(super) async fn or_told(
    options: &SetOptions<'_>,
    emit: Emit<'_>,
) -> Result<Vec<Hold>, StoreError> {
    match of_change(options, None).await {
        Err(error) if options.asked_by == AskedBy::Person => {
            emit(Event::Warning(format!("not checked whether a hold stands: {error}")));
            Ok(Vec::new())
        }
        result => result,
    }
}

/// What came with a branch's tip.
#[derive(Clone, Copy)]
pub(super) struct Came<'a> {
    /// The tip.
    pub(super) tip: &'a CommitId,
    /// The newest entries of all ledgers of holds, by their references' names.
    pub(super) references: &'a BTreeMap<String, CommitId>,
}

/// Returns the holds on the services of a change, for which a pipeline stops and a person's change
/// releases them. A rollback asks for none. Where those that came with the tip tell, the remote is
/// not asked again.
pub(super) async fn of_change(
    options: &SetOptions<'_>,
    came: Option<Came<'_>>,
) -> Result<Vec<Hold>, StoreError> {
    let services = asked_about(options);
    if services.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(came) = came
        && let Some(holds) = came.told(options, &services)?
    {
        return Ok(holds);
    }
    let store = options.manifests.store();
    let held = in_force(&*store, &options.environment.name, &services).await?;
    Ok(held.into_values().collect())
}

/// Returns the services whose holds matter to a change.
pub(super) fn asked_about<'a>(options: &SetOptions<'a>) -> Vec<&'a str> {
    match options.asked_by {
        AskedBy::Rollback { .. } => Vec::new(),
        _ => options.images.iter().map(|(service, _)| service.name.as_str()).collect(),
    }
}

impl Came<'_> {
    /// Returns the holds on `services` that are in force; `None` if the tip knows of a rollback whose
    /// hold is not there: a server lists its references one after the other, and the hold may have
    /// been set and the rollback have landed in between.
    fn told(
        &self,
        options: &SetOptions<'_>,
        services: &[&str],
    ) -> Result<Option<Vec<Hold>>, StoreError> {
        let repository = &options.manifests.repository;
        let environment = &options.environment.name;
        let mut holds = Vec::new();
        let mut free = Vec::new();
        for service in services {
            let name = format!("refs/deployctl/{}", hold_ledger(environment, service));
            let entry = match self.references.get(&name) {
                Some(id) => repository.recent(id, 1)?.pop(),
                None => None,
            };
            match entry.as_ref().and_then(read) {
                Some(HoldEntry::Set(hold)) => holds.push(hold),
                Some(HoldEntry::Released) | None => free.push(*service),
            }
        }
        let recent = repository.recent(self.tip, RECENT)?;
        let records: Vec<_> =
            recent.iter().map(|commit| Record::read(&commit.trailers())).collect();
        let is_back = |service: &&str| {
            let mut records = records.iter().flat_map(|records| records.iter().rev());
            let newest = records.find(|r| r.service == **service && r.environment == *environment);
            newest.is_some_and(|record| !record.rollback_of.is_empty())
        };
        Ok((!free.iter().any(is_back)).then_some(holds))
    }
}

/// So many commits back a rollback is looked for: those that come with the tip.
const RECENT: usize = 64;

/// Returns those of `holds` that stop the change: it is a pipeline's, and would change what is held.
pub(super) fn stopping(options: &SetOptions<'_>, holds: &[Hold], edits: &[Edited]) -> Vec<Hold> {
    match options.asked_by {
        AskedBy::Pipeline => touched(holds, edits),
        AskedBy::Person | AskedBy::Rollback { .. } => Vec::new(),
    }
}

/// Releases those of `holds` that a person's change, which has landed, was about, and says so; of a dry
/// run it says that they would be. The change is there whatever comes of this, so that a failure is
/// only told.
pub(super) async fn release_after(
    options: &SetOptions<'_>,
    holds: &[Hold],
    edits: &[Edited],
    emit: Emit<'_>,
) {
    let holds = touched(holds, edits);
    if holds.is_empty() {
        return;
    }
    if options.dry_run {
        let would = |hold: Hold| Event::HoldReleased { hold, dry_run: true };
        return holds.into_iter().map(would).for_each(emit);
    }
    let store = options.manifests.store();
    let released =
        release(&*store, &holds, &options.authorship, options.time, options.run.as_deref()).await;
    for hold in &holds {
        let (service, environment) = (&hold.service, &hold.environment);
        emit(match &released {
            Ok(()) => Event::HoldReleased { hold: hold.clone(), dry_run: false },
            Err(error) => Event::Warning(format!(
                "{service} is still held in {environment}: {error}; `deployctl release-hold \
                 {service} --env {environment}` releases it"
            )),
        });
    }
}

fn touched(holds: &[Hold], edits: &[Edited]) -> Vec<Hold> {
    let is_touched = |hold: &&Hold| {
        let mut edits = edits.iter().filter(|edit| !edit.diff.is_empty());
        edits.any(|edit| edit.service == hold.service)
    };
    holds.iter().filter(is_touched).cloned().collect()
}

/// Sets holds; one that is in force is replaced.
pub(super) async fn set_holds(
    store: &dyn Store,
    holds: &[Hold],
    authorship: &Authorship,
    time: Timestamp,
) -> Result<(), StoreError> {
    let entry = |hold: &Hold, _: Option<&Commit>| Some(text(&hold.subject(), &hold.trailers()));
    append(store, holds, authorship, time, &entry).await
}

/// Releases holds; one that is not in force any more is left alone.
pub(super) async fn release(
    store: &dyn Store,
    holds: &[Hold],
    authorship: &Authorship,
    time: Timestamp,
    run: Option<&str>,
) -> Result<(), StoreError> {
    let entry = |hold: &Hold, newest: Option<&Commit>| match read(newest?)? {
        HoldEntry::Set(_) => Some(text(&hold.release_subject(), &hold.release_trailers(run))),
        HoldEntry::Released => None,
    };
    append(store, holds, authorship, time, &entry).await
}

async fn append(
    store: &dyn Store,
    holds: &[Hold],
    authorship: &Authorship,
    time: Timestamp,
    entry: &(dyn Fn(&Hold, Option<&Commit>) -> Option<String> + Send + Sync),
) -> Result<(), StoreError> {
    let name = |hold: &Hold| hold_ledger(&hold.environment, &hold.service);
    let by_name: BTreeMap<String, &Hold> = holds.iter().map(|hold| (name(hold), hold)).collect();
    let names: Vec<String> = by_name.keys().cloned().collect();
    let entry = |name: &str, newest: Option<&Commit>| entry(by_name.get(name)?, newest);
    store.append(&names, authorship, time, &entry).await.map(drop)
}

/// Returns the images that were taken back since the service was last free.
pub(super) async fn taken_back(
    store: &dyn Store,
    newest: &Commit,
) -> Result<Vec<String>, StoreError> {
    let mut images = Vec::new();
    let mut visit = |commit: &Commit| match read(commit) {
        Some(HoldEntry::Set(hold)) => {
            images.extend(hold.taken_back);
            ControlFlow::Continue(())
        }
        Some(HoldEntry::Released) | None => ControlFlow::Break(()),
    };
    store.walk(&newest.id, &mut visit).await?;
    Ok(images)
}

/// Returns what an entry of a ledger of holds says.
pub(super) fn read(commit: &Commit) -> Option<HoldEntry> {
    HoldEntry::read(&commit.trailers(), &commit.author.name, commit.time)
}

/// Returns the message of an entry.
pub(super) fn text(subject: &str, trailers: &[(&'static str, String)]) -> String {
    let trailers: Vec<_> = trailers.iter().map(|(key, value)| (*key, value.as_str())).collect();
    git::message(subject, "", &trailers)
}
