//! Since when an environment has an image, and which commit that was built from: read from the
//! history of the file that states it.

use super::facts::reason;
use crate::config::{Environment, Service};
use crate::git::{Commit, CommitId, GitError};
use crate::image::PinnedImage;
use crate::ops::{Manifests, stated_image};
use crate::promotion::{Fact, Record, RecordedSource, Since};

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
    let mut known = Known::default();
    for &limit in CHANGES {
        known = match known_from(manifests, tip, environment, service, image, limit).await {
            Ok(known) => known,
            Err(error) => {
                let why = reason(&error);
                return Lineage { since: Err(why.clone()), source: Err(why) };
            }
        };
        if known.has_begin || (!soaks && known.source.is_some()) {
            break;
        }
    }
    let from = &environment.name;
    // Without its beginning, what is known is the least: it has been there at least so long.
    let since = known.since.ok_or_else(|| format!("no commit puts it into {from}"));
    let source = known
        .source
        .ok_or_else(|| format!("{from} has not on record which commit it was built from"));
    Lineage { since: since.map(|at| Since { at, is_verified: false }), source }
}

/// What the last changes of a file tell about an image.
#[derive(Default)]
struct Known {
    since: Option<jiff::Timestamp>,
    source: Option<RecordedSource>,
    /// Whether the change that put the image there is among them.
    has_begin: bool,
}

async fn known_from(
    manifests: &Manifests,
    tip: &CommitId,
    environment: &Environment,
    service: &Service,
    image: &PinnedImage,
    limit: usize,
) -> Result<Known, GitError> {
    let target = environment.target(service);
    let changes = manifests.repository.log(tip, target.path(), limit).await?;
    let mut known = Known { has_begin: changes.len() < limit, ..Known::default() };
    for change in &changes {
        if !states(manifests, change, environment, service, image) {
            known.has_begin = true;
            break;
        }
        known.since = Some(change.time);
        known.source = known.source.or_else(|| source(change, environment, service, image));
    }
    Ok(known)
}

/// Returns whether the environment states the digest at `change`. Where that can't be read it counts
/// as another one: the image has then been there for a shorter time, not for a longer.
fn states(
    manifests: &Manifests,
    change: &Commit,
    environment: &Environment,
    service: &Service,
    image: &PinnedImage,
) -> bool {
    let Ok(tree) = manifests.repository.tree(&change.id) else { return false };
    let stated = stated_image(&tree, environment, service);
    let stated = stated.ok().and_then(|stated| stated.pinned().ok());
    stated.is_some_and(|stated| stated.digest == image.digest)
}

/// Returns the source commit that `change` has on record for the image.
fn source(
    change: &Commit,
    environment: &Environment,
    service: &Service,
    image: &PinnedImage,
) -> Option<RecordedSource> {
    let records = Record::read(&change.trailers()).into_iter().rev();
    let is_meant = |record: &Record| {
        (&record.service, &record.environment) == (&service.name, &environment.name)
            && record.image.ends_with(image.digest.as_str())
    };
    records.filter(is_meant).find_map(|record| record.source)
}
