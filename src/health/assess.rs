//! The order in which Argo CD asks its rules about one live object.

use std::fmt;

use crate::health::{Health, HealthStatus, builtin};
use crate::k8s::Object;

/// Argo CD sets this finalizer on hooks, whose deletion is part of the sync and not of the health.
const HOOK_FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";

/// What the rules say about one object, and which of them spoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// The verdict; `None` if no rule knows the kind, and then the object does not count.
    pub health: Option<Health>,
    /// The rule that decided, `None` exactly if there is no verdict.
    pub decided_by: Option<DecidedBy>,
}

/// A rule that can decide about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecidedBy {
    /// The object waits for its deletion.
    Deletion,
    /// Argo CD's own check of a group and kind, written as `group/Kind` or, in the core group, `Kind`.
    Builtin(String),
}

/// Returns the health of a live object. The first rule that knows the object decides:
///
/// 1. its deletion is pending,
/// 2. the built-in check of its group and kind,
/// 3. none, so it has no health.
pub fn assess(object: &Object) -> Assessment {
    if is_pending_deletion(object) {
        let health = HealthStatus::Progressing.because("Pending deletion");
        return Assessment { health: Some(health), decided_by: Some(DecidedBy::Deletion) };
    }
    assess_by_kind(object)
}

/// Returns the health of a live object by the rule of its kind, whether or not its deletion is
/// pending.
pub fn assess_by_kind(object: &Object) -> Assessment {
    // Argo CD asks its customizations here, before the built-in checks; a customization that
    // answers, even with nothing, ends the search.
    let health = builtin::assess(object);
    let decided_by = health.is_some().then(|| DecidedBy::Builtin(group_and_kind(object)));
    Assessment { health, decided_by }
}

fn is_pending_deletion(object: &Object) -> bool {
    // Argo CD takes a time that it cannot read for no time.
    let deleted = object
        .text("/metadata/deletionTimestamp")
        .is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok());
    deleted && !object.list("/metadata/finalizers").iter().any(|name| name == HOOK_FINALIZER)
}

fn group_and_kind(object: &Object) -> String {
    match object.group() {
        "" => object.kind().to_owned(),
        group => format!("{group}/{}", object.kind()),
    }
}

impl fmt::Display for DecidedBy {
    /// Writes `deletion` or `builtin:group/Kind`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deletion => f.write_str("deletion"),
            Self::Builtin(kind) => write!(f, "builtin:{kind}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(yaml: &str) -> (Option<HealthStatus>, String) {
        let object = Object::read_all(yaml).unwrap().remove(0);
        let Assessment { health, decided_by } = assess(&object);
        let rule = decided_by.map(|rule| rule.to_string()).unwrap_or_default();
        (health.map(|health| health.status), rule)
    }

    #[test]
    fn names_the_rule_that_decided() {
        let pod = "{apiVersion: v1, kind: Pod}";
        assert_eq!(decided(pod), (Some(HealthStatus::Unknown), "builtin:Pod".to_owned()));
        let daemon_set = "{apiVersion: apps/v1, kind: DaemonSet}";
        let rule = "builtin:apps/DaemonSet".to_owned();
        assert_eq!(decided(daemon_set), (Some(HealthStatus::Healthy), rule));
        let pending =
            "{apiVersion: v1, kind: Any, metadata: {deletionTimestamp: '2026-01-01T00:00:00Z'}}";
        assert_eq!(decided(pending), (Some(HealthStatus::Progressing), "deletion".to_owned()));
    }

    #[test]
    fn has_no_health_for_a_kind_without_a_rule() {
        for kind in ["v1, kind: ConfigMap", "extensions/v1beta1, kind: Deployment"] {
            assert_eq!(decided(&format!("{{apiVersion: {kind}}}")), (None, String::new()));
        }
    }
}
