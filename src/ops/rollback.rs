//! `deployctl rollback`: the images that were last proven healthy, written as any other change, and
//! a hold, so that the next run of a pipeline does not undo it.
//!
//! The hold comes first: a pipeline that has fetched before it loses the race for the branch, or is
//! overwritten, and one that fetches after it stops.

mod target;

use jiff::Timestamp;

use super::hold::{release, set_holds};
use super::{
    AskedBy, Edited, Emit, Event, Manifests, Outcome, SetError, SetOptions, SetReport,
    StatedImageError, StoreError, set, stated_image,
};
use crate::config::Service;
use crate::image::PinnedImage;
use crate::promotion::Hold;

/// What to roll back. The rest of the options are those of the change that it makes.
pub struct RollbackOptions<'a> {
    /// The services.
    pub services: Vec<&'a Service>,
    /// The commit of the manifests repository whose images to return to; `None`: to those that were
    /// last verified.
    pub to: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Whether pipelines are kept out afterwards.
    pub hold: bool,
}

/// What was rolled back.
#[derive(Debug, Clone, PartialEq)]
pub struct RollbackReport {
    /// What was written.
    pub set: SetReport,
    /// One a service, in order.
    pub returns: Vec<Return>,
    /// The holds that are set now, or would be.
    pub holds: Vec<Hold>,
}

/// What a service returns to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return {
    /// The service.
    pub service: String,
    /// The image that was stated.
    pub from: String,
    /// The image to return to.
    pub image: PinnedImage,
    /// Why that one.
    pub basis: Basis,
}

/// Why an image is one to return to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Basis {
    /// `verify` found it healthy.
    Verified {
        /// When.
        time: Timestamp,
        /// Who ran it.
        by: String,
    },
    /// Nothing was ever verified here; the environment stated it before.
    History {
        /// The last commit of the manifests repository that did.
        commit: String,
    },
    /// Somebody named this commit of the manifests repository.
    Revision {
        /// The commit.
        commit: String,
    },
}

/// An image that a rollback does not return to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// The image.
    pub image: String,
    /// Why not.
    pub why: &'static str,
}

/// Why nothing was rolled back.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// What is stated can't be read, now or at the revision.
    #[error("can't roll back `{service}` in `{environment}`{}", at(.revision))]
    Stated {
        /// The service.
        service: String,
        /// The environment.
        environment: String,
        /// The commit, if it was asked for.
        revision: Option<String>,
        /// The cause.
        #[source]
        source: Box<StatedImageError>,
    },
    /// There is no other image that is known to be good.
    #[error(
        "can't roll back `{environment}`: `verify` has found no other image of {} healthy there{}",
        quoted(.services), passed(.passed_over)
    )]
    NothingVerified {
        /// The services.
        services: Vec<String>,
        /// The environment.
        environment: String,
        /// What there was, and is not returned to.
        passed_over: Vec<PassedOver>,
    },
    /// There never was another image.
    #[error(
        "can't roll back `{environment}`: it has stated no other image of {}{}",
        quoted(.services), passed(.passed_over)
    )]
    NothingBefore {
        /// The services.
        services: Vec<String>,
        /// The environment.
        environment: String,
        /// What there was, and is not returned to.
        passed_over: Vec<PassedOver>,
    },
    /// The repository can't be read.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The environment can't be written.
    #[error("{0}")]
    Set(#[from] SetError),
}

fn at(revision: &Option<String>) -> String {
    revision.as_ref().map(|revision| format!(" to `{revision}`")).unwrap_or_default()
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn passed(over: &[PassedOver]) -> String {
    let said: Vec<String> = over.iter().map(|it| format!("{} {}", it.image, it.why)).collect();
    if said.is_empty() {
        String::new()
    } else {
        format!(" that it can return to: {}", said.join("; "))
    }
}

/// Returns the services to the images that were last verified, or that a revision states, in one
/// commit or pull request, and sets holds. For all services an image is found, or nothing is
/// written.
///
/// # Errors
///
/// Fails if there is no image to return to, or the environment can't be written.
pub async fn rollback(
    options: &RollbackOptions<'_>,
    set_options: SetOptions<'_>,
    emit: Emit<'_>,
) -> Result<RollbackReport, RollbackError> {
    let mut returns = target::find(options, &set_options, emit).await?;
    let images = options.services.iter().zip(&returns);
    let images = images.map(|(service, found)| (*service, found.image.clone())).collect();
    let seen = returns.iter().map(|found| (found.service.clone(), found.from.clone())).collect();
    let asked_by = AskedBy::Rollback { reason: options.reason.clone(), seen };
    let same_digest = super::SameDigest::Retag;
    // What is newer is what is taken back.
    let change = SetOptions { images, asked_by, same_digest, allow_older: true, ..set_options };
    let mut holds = holds(options, &change, &returns);
    let is_held = change.dry_run || hold(&change, &holds, emit).await;
    if !is_held {
        holds.clear();
    }
    let set = match set(&change, emit).await {
        Ok(set) => set,
        Err(error) => {
            undo(change.manifests, &change, &holds, emit).await;
            return Err(error.into());
        }
    };
    let overtaken = overtaken(&mut returns, &set.edits, emit);
    if is_held && !overtaken.is_empty() {
        let anew = self::holds(options, &change, &overtaken);
        holds = again(&change, holds, anew, &set.outcome, emit).await;
    }
    Ok(RollbackReport { set, returns, holds })
}

/// Puts into `returns` what the services stated where the change landed, and returns those where that
/// is not what they stated at first: somebody was faster. What of theirs is undone is told.
fn overtaken(returns: &mut [Return], edits: &[Edited], emit: Emit<'_>) -> Vec<Return> {
    let mut overtaken = Vec::new();
    for found in returns {
        let edit = edits.iter().find(|edit| edit.service == found.service);
        let Some(before) = edit.and_then(|edit| edit.before.as_ref()) else { continue };
        let seen = std::mem::replace(&mut found.from, before.to_string());
        if found.from == seen {
            continue;
        }
        if !target::is_same(&found.from, &found.image.to_string()) {
            emit(Event::Warning(format!(
                "{} is taken back with it, which {} got meanwhile: it was {seen} when the rollback \
                 began",
                found.from, found.service
            )));
        }
        overtaken.push(found.clone());
    }
    overtaken
}

/// Sets `anew` in place of those of `holds` on the same services, and returns what is held then. Whoever
/// was faster may have released a hold on the way; who has set another image since has done so rightly.
async fn again(
    change: &SetOptions<'_>,
    mut holds: Vec<Hold>,
    mut anew: Vec<Hold>,
    outcome: &Outcome,
    emit: Emit<'_>,
) -> Vec<Hold> {
    if matches!(outcome, Outcome::Pushed { .. }) {
        match change.manifests.tree(emit).await {
            Ok((_, tree)) => anew.retain(|hold| {
                let services = change.images.iter().map(|(service, _)| *service);
                let service = services.into_iter().find(|service| service.name == hold.service);
                let stated = service.map(|it| stated_image(&*tree, change.environment, it));
                stated.is_some_and(|it| {
                    it.is_ok_and(|it| target::is_same(&it.to_string(), &hold.image))
                })
            }),
            Err(error) => tracing::debug!(%error, "not checked whether it is stated still"),
        }
    }
    if !change.dry_run && !anew.is_empty() && !hold(change, &anew, emit).await {
        return holds;
    }
    for hold in anew {
        holds.retain(|other| other.service != hold.service);
        holds.push(hold);
    }
    holds
}

/// Returns the holds to set: on each service that gets another image.
fn holds(options: &RollbackOptions<'_>, change: &SetOptions<'_>, returns: &[Return]) -> Vec<Hold> {
    let changed =
        returns.iter().filter(|found| !target::is_same(&found.from, &found.image.to_string()));
    let hold = |found: &Return| Hold {
        service: found.service.clone(),
        environment: change.environment.name.clone(),
        image: found.image.to_string(),
        taken_back: Some(found.from.clone()),
        reason: options.reason.clone(),
        run: change.run.clone(),
        by: change.authorship.author.name.clone(),
        since: change.time,
    };
    changed.filter(|_| options.hold).map(hold).collect()
}

/// Sets the holds, and returns whether they are set; that they are not is told, and stops nothing.
async fn hold(change: &SetOptions<'_>, holds: &[Hold], emit: Emit<'_>) -> bool {
    let store = change.manifests.store();
    match set_holds(&*store, holds, &change.authorship, change.time).await {
        Ok(()) => true,
        Err(error) => {
            let environment = &change.environment.name;
            emit(Event::Warning(format!(
                "no hold is set, so that the next run of a pipeline may change {environment} \
                 again: {error}"
            )));
            false
        }
    }
}

/// Releases the holds of a rollback that did not land.
async fn undo(manifests: &Manifests, change: &SetOptions<'_>, holds: &[Hold], emit: Emit<'_>) {
    let store = manifests.store();
    let run = change.run.as_deref();
    let released = release(&*store, holds, &change.authorship, change.time, run).await;
    if let (Err(error), false) = (released, holds.is_empty()) {
        let environment = &change.environment.name;
        emit(Event::Warning(format!(
            "{environment} is held, but not rolled back; `deployctl release-hold --env \
             {environment}` releases it: {error}"
        )));
    }
}
