//! What a command does: options in, report out. Loops, waits and retries live here.
//!
//! An op gets its backends from the command line, returns plain data, and tells what it is doing
//! as [`Event`]s; it knows neither the command line nor how a report looks.

mod attach;
mod blob;
mod build;
mod demo;
mod deployments;
mod diff;
mod doctor;
mod edit;
mod gates;
mod health_test;
mod history;
mod hold;
mod images;
mod lint;
mod manifests;
mod promote;
mod rendered;
mod rollback;
mod rules;
mod run;
mod set;
mod status;
mod store;
mod verified;
mod verify;
mod verify_base;

pub use attach::{AttachError, Attached, Attacher, Subject, attach, attacher};
pub use build::{
    Affected, Arrival, BaseRegistry, BuildError, BuildFailed, BuildOptions, BuildReport, Built,
    Explanation, Extent, FailedBuild, FoundBy, LastImage, MoveOutcome, MovedTag, Planned, Since,
    Sources, StoredLayer, Transfer, build,
};
pub use demo::{DemoError, DemoOptions, DemoReport, Scene, demo};
pub use deployments::{Progress, SourceReports, report_sources};
pub use diff::{DiffError, DiffReport, Difference, between, diff_environments, diff_revisions};
pub use doctor::{Check, Diagnosis, DoctorOptions, DoctorReport, Finding, doctor};
pub use edit::{AddedEntry, EditFileError, EditReport, edit_images};
pub use gates::{
    GatedError, GatedReport, Passage, SourceRepositories, check_overrides, pass, proof,
};
pub use health_test::{FailedCase, HealthTestError, HealthTestReport, health_test};
pub use history::{Change, history};
pub use hold::{AskedBy, ReleaseOptions, ReleaseReport, release_hold};
pub use images::{StatedImage, StatedImageError, stated_image};
pub use lint::{LintError, LintOptions, LintReport, lint};
pub use manifests::{CommitAncestry, Manifests};
pub use promote::{PromoteError, Promotion, promote};
pub use rendered::{RenderedError, rendered};
pub use rollback::{
    Basis, PassedOver, Return, RollbackError, RollbackOptions, RollbackReport, rollback,
};
pub use rules::{RuleOptions, RulesError, rules};
pub use run::{RunError, RunReport, StepOutcome, StepRunner, run};
pub use set::{
    Edited, EffectError, Merging, Outcome, PullRequests, RenderedChange, SameDigest, SetError,
    SetOptions, SetReport, SourceCommit, Superseded, check_effect, rendered_diff, set,
};
pub use status::{StatusReport, StatusRow, status};
pub use store::{Files, Made, Put, Store, StoreError, Visit};
pub use verified::{Witness, last_verified, record_verified};
pub use verify::{
    Ancestry, Moment, ObjectReport, PodReport, ReplayError, RolloutReport, RolloutVerdict,
    RulesWith, VerifyError, VerifyEvent, VerifyOptions, check_record, record, replay, verify,
};
pub use verify_base::{BaseSigner, BaseSignerError, VerifyBaseError, verify_base};

pub use crate::build::inputs::{Change as InputChange, Difference as InputDifference};
use crate::image::Digest;
use crate::promotion::Hold;

/// What an op is doing, as it does it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A service's image is being built.
    Building {
        /// The service.
        service: String,
    },
    /// A service has changed since an environment was given its image.
    Affected {
        /// The service.
        service: String,
        /// What says so.
        reason: String,
    },
    /// No service has changed since an environment was given its images.
    NoneChanged {
        /// The environment.
        environment: String,
    },
    /// The registry has a service's image, so it is not built.
    Reusing {
        /// The service.
        service: String,
        /// The image, pinned, with the tag by which it was found.
        image: String,
    },
    /// A line that a build engine or a step's command printed.
    Line(String),
    /// A registry, or a layout, is being given what it lacks of an image.
    Storing {
        /// The image, pinned.
        image: String,
    },
    /// A layer or config is on its way to the registry.
    Sending {
        /// Its digest.
        blob: Digest,
        /// How many bytes of it were sent so far.
        sent: u64,
        /// How many there are.
        size: u64,
    },
    /// The registry has a layer or config that was on its way, or does not take it.
    Sent {
        /// Its digest.
        blob: Digest,
    },
    /// A list of packages, provenance or a signature is being attached to an image.
    Attaching {
        /// The image, pinned.
        image: String,
    },
    /// An image is going from one environment to the next.
    Promoting {
        /// The service.
        service: String,
        /// The image, pinned.
        image: String,
    },
    /// The manifests repository is being fetched.
    Fetching {
        /// The remote.
        remote: String,
    },
    /// A push lost a race and the change is applied to the new tip.
    Raced {
        /// Which attempt lost, counted from 1.
        attempt: u32,
    },
    /// A request waits, because a rate limit is used up or the other side failed.
    Waiting {
        /// Why.
        reason: String,
        /// For how long.
        time: std::time::Duration,
    },
    /// A person's change has ended a hold.
    HoldReleased {
        /// The hold.
        hold: Hold,
        /// Whether it is a dry run, so that it would have.
        dry_run: bool,
    },
    /// Something that the user should know and that stops nothing.
    Warning(String),
    /// Something about a rollout that is being watched.
    Verify {
        /// The service.
        service: String,
        /// What, and when.
        moment: Moment,
    },
    /// A pipeline's step begins.
    Step {
        /// Which, counted from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// Its name.
        name: String,
    },
}

/// Where an op's events go.
pub type Emit<'a> = &'a (dyn Fn(Event) + Send + Sync);
