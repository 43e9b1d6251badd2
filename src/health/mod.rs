//! Health as Argo CD decides it, from the object alone.
//!
//! Watching a cluster is left to [`crate::cluster`], the meaning for a rollout to
//! [`crate::rollout`].

use std::fmt;

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
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
