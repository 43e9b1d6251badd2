//! What to return to.

use std::ops::ControlFlow;

use super::{Basis, PassedOver, Return, RollbackError, RollbackOptions};
use crate::config::{Environment, Service};
use crate::git::{Commit, CommitId};
use crate::image::PinnedImage;
use crate::ops::history::recorded;
use crate::ops::hold::{self, taken_back};
use crate::ops::{
    Emit, Event, SetOptions, StatedImage, StatedImageError, Store, StoreError, stated_image,
    verified,
};
use crate::promotion::ledger::{hold_ledger, verified_ledger};
use crate::promotion::{HoldEntry, Record};

/// No more commits of an overlay are looked at.
const MOST_CHANGES: usize = 100;

/// Returns what each of the services returns to, in order.
pub(super) async fn find(
    options: &RollbackOptions<'_>,
    change: &SetOptions<'_>,
    emit: Emit<'_>,
) -> Result<Vec<Return>, RollbackError> {
    let (tip, tree) = change.manifests.tree(emit).await?;
    let mut services = Vec::new();
    for &service in &options.services {
        let stated = stated_image(&*tree, change.environment, service)
            .map_err(|source| stated_error(change, service, None, source))?;
        services.push((service, stated));
    }
    match &options.to {
        Some(revision) => at_revision(&services, revision, change).await,
        None => before(&services, &tip, change, emit).await,
    }
}

fn stated_error(
    change: &SetOptions<'_>,
    service: &Service,
    revision: Option<&str>,
    source: StatedImageError,
) -> RollbackError {
    RollbackError::Stated {
        service: service.name.clone(),
        environment: change.environment.name.clone(),
        revision: revision.map(ToOwned::to_owned),
        source: Box::new(source),
    }
}

/// Returns what the environment states at `revision`.
async fn at_revision(
    services: &[(&Service, StatedImage)],
    revision: &str,
    change: &SetOptions<'_>,
) -> Result<Vec<Return>, RollbackError> {
    let store = change.manifests.store();
    let commit = store.resolve(revision).await?;
    let tree = store.tree(&commit)?;
    let found = services.iter().map(|(service, stated)| {
        let image = stated_image(&*tree, change.environment, service);
        let image = image.and_then(|image| image.pinned());
        Ok(Return {
            service: service.name.clone(),
            from: stated.to_string(),
            image: image.map_err(|e| stated_error(change, service, Some(revision), e))?,
            basis: Basis::Revision { commit: commit.to_string() },
        })
    });
    found.collect()
}

/// Returns the last other image of each service that nobody has taken back: that was verified, or,
/// where nothing ever was, that was stated.
async fn before(
    services: &[(&Service, StatedImage)],
    tip: &CommitId,
    change: &SetOptions<'_>,
    emit: Emit<'_>,
) -> Result<Vec<Return>, RollbackError> {
    let environment = &change.environment.name;
    let store = change.manifests.store();
    let of = |ledger: fn(&str, &str) -> String| {
        services.iter().map(move |(service, _)| ledger(environment, &service.name))
    };
    let names: Vec<String> = of(verified_ledger).chain(of(hold_ledger)).collect();
    let newest = store.newest(&names).await?;
    let (mut found, mut unverified, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    let mut passed_over = Vec::new();
    for (service, stated) in services {
        let path = change.environment.target(service).path().to_owned();
        let commits = store.log(tip, &path, MOST_CHANGES).await?;
        let past = Past { store: &*store, environment: change.environment, service, commits };
        let mut taken_back = past.taken_back()?;
        taken_back.extend(
            held_back(&*store, newest.get(&hold_ledger(environment, &service.name))).await?,
        );
        let mut search = Search { stated, taken_back, passed_over: Vec::new() };
        let ledger = newest.get(&verified_ledger(environment, &service.name));
        let (basis, missing) = match ledger {
            Some(ledger) => (search.verified(&*store, ledger).await?, &mut unverified),
            None => (search.history(&past, emit)?, &mut alone),
        };
        if basis.is_none() {
            passed_over.extend(search.passed_over);
        }
        match basis {
            Some((image, basis)) => {
                let (service, from) = (service.name.clone(), stated.to_string());
                found.push(Return { service, from, image, basis });
            }
            None => missing.push(service.name.clone()),
        }
    }
    let environment = environment.clone();
    match (unverified.is_empty(), alone.is_empty()) {
        (false, _) => {
            Err(RollbackError::NothingVerified { services: unverified, environment, passed_over })
        }
        (true, false) => {
            Err(RollbackError::NothingBefore { services: alone, environment, passed_over })
        }
        (true, true) => Ok(found),
    }
}

/// Returns the images that the hold in force keeps away, those of earlier ones included.
async fn held_back(store: &dyn Store, newest: Option<&Commit>) -> Result<Vec<String>, StoreError> {
    match newest.map(|commit| (commit, hold::read(commit))) {
        Some((commit, Some(HoldEntry::Set(_)))) => taken_back(store, commit).await,
        _ => Ok(Vec::new()),
    }
}

/// What an environment has stated of a service.
struct Past<'a> {
    store: &'a dyn Store,
    environment: &'a Environment,
    service: &'a Service,
    /// The commits that changed the file, newest first.
    commits: Vec<Commit>,
}

impl Past<'_> {
    fn recorded(&self, commit: &Commit) -> Option<Record> {
        recorded(commit, self.environment, self.service)
    }

    /// Returns what the environment states at `commit`.
    fn stated_at(&self, commit: &Commit) -> Result<Option<StatedImage>, StoreError> {
        let tree = self.store.tree(&commit.id)?;
        Ok(self.environment.target(self.service).read(&*tree).ok())
    }

    /// Returns the images that rollbacks took back and that nobody has put there since. Whether there
    /// is a hold says nothing about that: it is about pipelines, and is released.
    fn taken_back(&self) -> Result<Vec<String>, StoreError> {
        let records: Vec<_> = self.commits.iter().map(|commit| self.recorded(commit)).collect();
        let is_rollback =
            |record: &Option<Record>| record.as_ref().is_some_and(|r| !r.rollback_of.is_empty());
        let Some(first) = records.iter().rposition(is_rollback) else { return Ok(Vec::new()) };
        let (mut taken_back, mut put_there) = (Vec::<String>::new(), Vec::<String>::new());
        for (commit, record) in self.commits.iter().zip(records).take(first + 1) {
            let (image, rollback_of) = match record {
                Some(record) => (Some(record.image), record.rollback_of),
                // Somebody has edited the file by hand.
                None => (self.stated_at(commit)?.map(|stated| stated.to_string()), Vec::new()),
            };
            // The newest word about an image counts.
            let is_known = |image: &String, of: &[String]| of.iter().any(|it| is_same(it, image));
            put_there.extend(image.filter(|image| !is_known(image, &taken_back)));
            taken_back.extend(rollback_of.into_iter().filter(|it| !is_known(it, &put_there)));
        }
        Ok(taken_back)
    }
}

/// A look for the last image that is another one.
struct Search<'a> {
    stated: &'a StatedImage,
    /// Images that earlier rollbacks took back, and that a further one must not return to.
    taken_back: Vec<String>,
    /// The images that it does not return to though they are others.
    passed_over: Vec<PassedOver>,
}

impl Search<'_> {
    async fn verified(
        &mut self,
        store: &dyn Store,
        newest: &Commit,
    ) -> Result<Option<(PinnedImage, Basis)>, StoreError> {
        let mut found = None;
        let mut visit = |commit: &Commit| {
            let entry = verified::read(commit);
            let image = entry.as_ref().and_then(|entry| self.usable(&entry.image));
            match image.zip(entry) {
                Some((image, entry)) => {
                    let basis = Basis::Verified { time: entry.time, by: entry.by };
                    found = Some((image, basis));
                    ControlFlow::Break(())
                }
                None => ControlFlow::Continue(()),
            }
        };
        store.walk(&newest.id, &mut visit).await?;
        Ok(found)
    }

    fn history(
        &mut self,
        past: &Past<'_>,
        emit: Emit<'_>,
    ) -> Result<Option<(PinnedImage, Basis)>, StoreError> {
        for commit in &past.commits {
            let recorded = past.recorded(commit).filter(|record| pinned(&record.image).is_some());
            let image = match recorded {
                Some(record) => Some(record.image),
                // Somebody has edited the file by hand.
                None => past.stated_at(commit)?.map(|stated| stated.to_string()),
            };
            if let Some(image) = image.and_then(|image| self.usable(&image)) {
                emit(Event::Warning(format!(
                    "nothing of {} was ever verified in {}; it returns to {image}, which {} stated",
                    past.service.name,
                    past.environment.name,
                    commit.id.short()
                )));
                return Ok(Some((image, Basis::History { commit: commit.id.to_string() })));
            }
        }
        Ok(None)
    }

    /// Returns `image` if one can return to it: it is pinned, and neither the one that is stated nor
    /// one that was taken back. It is the digest that makes the difference.
    fn usable(&mut self, image: &str) -> Option<PinnedImage> {
        if is_same(&self.stated.to_string(), image) {
            return None;
        }
        let is_back = self.taken_back.iter().any(|known| is_same(known, image));
        let why = match pinned(image) {
            Some(image) if !is_back => return Some(image),
            Some(_) => "was taken back",
            None => "has no digest",
        };
        let passed_over = PassedOver { image: image.to_owned(), why };
        if !self.passed_over.contains(&passed_over) {
            self.passed_over.push(passed_over);
        }
        None
    }
}

/// Returns whether two images are the same by their digest.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    match (pinned(one), pinned(other)) {
        (Some(one), Some(other)) => (one.name, one.digest) == (other.name, other.digest),
        _ => one == other,
    }
}

/// Returns the image that a record states, if it is pinned.
fn pinned(image: &str) -> Option<PinnedImage> {
    image.parse().ok()
}
