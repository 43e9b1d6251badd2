//! What to return to.

use std::ops::ControlFlow;

use super::{Basis, Return, RollbackError, RollbackOptions};
use crate::config::Service;
use crate::git::{Commit, CommitId};
use crate::image::PinnedImage;
use crate::ops::history::recorded;
use crate::ops::hold::{self, taken_back};
use crate::ops::{
    Emit, Event, SetOptions, StatedImage, StatedImageError, Store, StoreError, stated_image,
    verified,
};
use crate::promotion::HoldEntry;
use crate::promotion::ledger::{hold_ledger, verified_ledger};

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

/// Returns the last other image of each service: that was verified, or, where nothing ever was, that
/// was stated.
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
    for (service, stated) in services {
        let hold = newest.get(&hold_ledger(environment, &service.name));
        let search = Search { stated, taken_back: taken(&*store, hold).await? };
        let ledger = newest.get(&verified_ledger(environment, &service.name));
        let (basis, missing) = match ledger {
            Some(ledger) => (search.verified(&*store, ledger).await?, &mut unverified),
            None => (search.history(service, tip, change, emit).await?, &mut alone),
        };
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
        (false, _) => Err(RollbackError::NothingVerified { services: unverified, environment }),
        (true, false) => Err(RollbackError::NothingBefore { services: alone, environment }),
        (true, true) => Ok(found),
    }
}

/// Returns the images that the hold in force keeps away, those of earlier ones included.
async fn taken(store: &dyn Store, newest: Option<&Commit>) -> Result<Vec<String>, StoreError> {
    match newest.map(|commit| (commit, hold::read(commit))) {
        Some((commit, Some(HoldEntry::Set(_)))) => taken_back(store, commit).await,
        _ => Ok(Vec::new()),
    }
}

/// A look for the last image that is another one.
struct Search<'a> {
    stated: &'a StatedImage,
    /// Images that earlier rollbacks took back, and that a further one must not return to.
    taken_back: Vec<String>,
}

impl Search<'_> {
    async fn verified(
        &self,
        store: &dyn Store,
        newest: &Commit,
    ) -> Result<Option<(PinnedImage, Basis)>, StoreError> {
        let mut found = None;
        let mut visit = |commit: &Commit| {
            let entry = verified::read(commit).filter(|entry| self.is_other(&entry.image));
            match entry.and_then(|entry| Some((pinned(&entry.image)?, entry))) {
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

    async fn history(
        &self,
        service: &Service,
        tip: &CommitId,
        change: &SetOptions<'_>,
        emit: Emit<'_>,
    ) -> Result<Option<(PinnedImage, Basis)>, StoreError> {
        let store = change.manifests.store();
        let environment = change.environment;
        let target = environment.target(service);
        for commit in store.log(tip, target.path(), MOST_CHANGES).await? {
            let recorded = recorded(&commit, environment, service);
            let image = match recorded.and_then(|record| pinned(&record.image)) {
                Some(image) => Some(image),
                // Somebody has edited the file by hand.
                None => {
                    let stated = target.read(&*store.tree(&commit.id)?).ok();
                    stated.and_then(|stated| stated.pinned().ok())
                }
            };
            if let Some(image) = image.filter(|image| self.is_other(&image.to_string())) {
                emit(Event::Warning(format!(
                    "nothing of {} was ever verified in {}; it returns to {image}, which {} stated",
                    service.name,
                    environment.name,
                    commit.id.short()
                )));
                return Ok(Some((image, Basis::History { commit: commit.id.to_string() })));
            }
        }
        Ok(None)
    }

    /// Returns whether `image` is neither the one that is stated nor one that was taken back: it is
    /// the digest that makes the difference.
    fn is_other(&self, image: &str) -> bool {
        let stated = self.stated.to_string();
        let known = self.taken_back.iter().chain([&stated]);
        !known.into_iter().any(|known| is_same(known, image))
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
