//! What a promotion is on record as, and what is decided from that.
//!
//! The record is the trailers of commits in the manifests repository, so that history needs no
//! database. Reading commits and writing them is left to [`crate::git`]; gathering what a decision
//! is about is left to the ops.

mod facts;
mod gates;
mod hold;
pub mod ledger;
mod policy;
mod record;
mod reference;
mod supersede;
mod verdict;
mod verified;

pub use facts::{Check, CheckState, Evidence, Fact, Facts, Proof, Reviews, ServiceFacts, Since};
pub use gates::{
    Approval, Branch, Checks, Freeze, Gate, Healthy, Schedule, ScheduleError, Soak,
    UnknownTimeZone, Window, time_zone,
};
pub use hold::{Hold, HoldEntry};
pub use policy::{Policy, UnknownGate};
pub use record::{Override, Record, RecordedSource, change_ids, key};
pub use reference::ReferenceCommit;
pub use supersede::{StandingRecord, is_superseded};
pub use verdict::{
    Standing, Verdict, checklist, closed, minute, next_minute, obstacles, overridden, overrides,
};
pub use verified::Verified;
