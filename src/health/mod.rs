//! Health as Argo CD decides it, from the object alone.
//!
//! [`Rules::assess`] judges one live object, [`Rules::aggregate`] all objects of an application. Status and
//! message are Argo CD's to the letter. Watching a cluster is left to [`crate::cluster`], the
//! meaning for a rollout to [`crate::rollout`].

use std::fmt;

mod aggregate;
mod assessment;
mod builtin;
mod customizations;
mod hook;
mod lua;
pub mod native;
mod rules;
mod suite;
mod version;

pub use aggregate::Managed;
pub use assessment::{Assessment, DecidedBy};
pub use customizations::{ArgoCdCmError, Customizations, Ignored};
pub use lua::Clock;
pub use rules::Rules;
pub use suite::{Outcome, SuiteCase, SuiteError, read_suite, run_case};
pub use version::{ArgoCdVersion, UnknownVersion};

/// A verdict on one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The status.
    pub status: HealthStatus,
    /// Why, in Argo CD's words; often empty.
    pub message: String,
}

/// Argo CD's health statuses, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HealthStatus {
    /// Works.
    Healthy,
    /// Waits for somebody to resume it.
    Suspended,
    /// Not there yet.
    Progressing,
    /// Is not in the cluster.
    Missing,
    /// Does not work.
    Degraded,
    /// Could not be decided.
    Unknown,
}

impl HealthStatus {
    /// Every status, from best to worst.
    pub const ALL: [Self; 6] = [
        Self::Healthy,
        Self::Suspended,
        Self::Progressing,
        Self::Missing,
        Self::Degraded,
        Self::Unknown,
    ];

    /// Returns the status that Argo CD writes as `text`, or `None` if it has no such status.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Returns the status as Argo CD writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }

    /// Returns the verdict of this status with its reason, which may be empty.
    pub fn because(self, message: impl Into<String>) -> Health {
        Health { status: self, message: message.into() }
    }
}

impl From<HealthStatus> for Health {
    fn from(status: HealthStatus) -> Self {
        status.because("")
    }
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
