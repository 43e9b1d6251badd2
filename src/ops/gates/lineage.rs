//! Since when an environment has an image, and which commit that was built from: read from the
//! history of the file that states it.

use super::facts::reason;
use crate::config::{Environment, Service};
use crate::git::{Commit, CommitId};
use crate::image::PinnedImage;
use crate::ops::{Manifests, Store, StoreError, stated_image};
use crate::promotion::{Evidence, Fact, Record, RecordedSource, Since};

/// Where an image comes from.
pub(super) struct Lineage {
    /// Since when the environment has it.
    pub(super) since: Fact<Since>,
    /// The commit that it was built from.
    pub(super) source: Fact<RecordedSource>,
}

/// How many changes of the file are looked at, more each time the beginning was not among them: each
/// may have to be fetched.
const CHANGES: &[usize] = &[1, 8, 64];

/// An image of a service in an environment, and the repository that says so.
struct Stated<'a> {
    store: &'a dyn Store,
    tip: &'a CommitId,
    environment: &'a Environment,
    service: &'a Service,
    image: &'a PinnedImage,
}

/// Returns where `image`, which `environment` states at `tip`, comes from; how long it has been
/// there is found out only if `soaks`.
pub(super) async fn lineage(
    manifests: &Manifests,
    tip: &CommitId,
    environment: &Environment,
    service: &Service,
    image: &PinnedImage,
    soaks: bool,
) -> Lineage {
    let store = &*manifests.store();
    let stated = Stated { store, tip, environment, service, image };
    let from = &environment.name;
    let source = stated.source().await.map_err(|error| reason(&error)).and_then(|source| {
        source.ok_or_else(|| format!("{from} has not on record which commit it was built from"))
    });
    if !soaks {
        return Lineage { since: Err("nobody asked".to_owned()), source };
    }
    let since = stated.since().await.map_err(|error| reason(&error));
    let since = since.and_then(|at| at.ok_or_else(|| format!("no commit puts it into {from}")));
    Lineage { since, source }
}

impl Stated<'_> {
    /// Returns the commit that the image was built from, as the changes that state it have it on record.
    async fn source(&self) -> Result<Option<RecordedSource>, StoreError> {
        let target = self.environment.target(self.service);
        for &limit in CHANGES {
            let changes = self.store.log(self.tip, target.path(), limit).await?;
            let of_image = changes.iter().take_while(|change| self.is_stated_at(change));
            let states: Vec<&Commit> = of_image.collect();
            let source = states.iter().find_map(|change| self.recorded_by(change));
            if source.is_some() || states.len() < limit {
                return Ok(source);
            }
        }
        Ok(None)
    }

    /// Returns since when the branch has stated the image without a break. Where the beginning is too
    /// far back it is the oldest change that was looked at: the image has been there at least so long.
    async fn since(&self) -> Result<Option<Since>, StoreError> {
        let target = self.environment.target(self.service);
        let mut since = None;
        for &limit in CHANGES {
            let changes = self.store.landings(self.tip, target.path(), limit).await?;
            let of_image = changes.iter().take_while(|change| self.is_stated_at(change));
            let states: Vec<&Commit> = of_image.collect();
            since = states.last().map(|change| Since {
                at: change.time,
                evidence: Evidence::Commit(change.id.short().to_owned()),
            });
            if states.len() < limit {
                break;
            }
        }
        Ok(since)
    }

    /// Returns whether the environment states the digest at `change`. Where that can't be read it
    /// counts as another one: the image has then been there for a shorter time, not for a longer.
    fn is_stated_at(&self, change: &Commit) -> bool {
        let Ok(tree) = self.store.tree(&change.id) else { return false };
        let stated = stated_image(&*tree, self.environment, self.service);
        let stated = stated.ok().and_then(|stated| stated.pinned().ok());
        stated.is_some_and(|stated| stated.digest == self.image.digest)
    }

    /// Returns the source commit that `change` has on record for the image.
    fn recorded_by(&self, change: &Commit) -> Option<RecordedSource> {
        let records = Record::read(&change.trailers()).into_iter().rev();
        let is_meant = |record: &Record| {
            (&record.service, &record.environment) == (&self.service.name, &self.environment.name)
                && record.image.ends_with(self.image.digest.as_str())
        };
        records.filter(is_meant).find_map(|record| record.source)
    }
}
