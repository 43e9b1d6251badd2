//! The order in which Argo CD asks its rules about one live object.

use std::sync::Arc;

use super::assessment::{Assessment, DecidedBy, group_and_kind};
use crate::health::{ArgoCdVersion, Customizations, Health, HealthStatus, builtin, native};
use crate::k8s::Object;

/// Argo CD sets this finalizer on hooks, whose deletion is part of the sync and not of the health.
const HOOK_FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";

/// Kinds of Kubernetes' own that Argo CD has a script for since a version that can be asked for.
const SINCE: [(&str, &str, ArgoCdVersion); 2] = [
    ("apiextensions.k8s.io", "CustomResourceDefinition", ArgoCdVersion::V3_1),
    ("batch", "CronJob", ArgoCdVersion::V3_2),
];

/// The rules that objects are judged by.
///
/// [`Rules::default`] holds what Argo CD knows by itself in its newest version.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The user's scripts.
    pub customizations: Option<Arc<Customizations>>,
    /// The version of Argo CD whose verdicts are given.
    pub version: ArgoCdVersion,
    /// Rows for kinds of custom resources: the user's own, and those that stand where Argo CD has the
    /// scripts that it brings.
    pub native: native::Table,
}

impl Rules {
    /// Returns the rules with rows of the user's own for custom resources, which are asked behind those
    /// of the user's own that are there.
    pub fn with_own(mut self, own: Vec<native::RuleSet>) -> Self {
        self.native.extend(own);
        self
    }

    /// Returns the health of a live object. The first rule that knows the object decides:
    ///
    /// 1. its deletion is pending,
    /// 2. the user's script of its group and kind, from `argocd-cm` before a folder, one that names
    ///    both before one with wildcards; it ends the search even if it returns nothing,
    /// 3. a row of the user's own,
    /// 4. a row of the native table,
    /// 5. the built-in check of its group and kind,
    /// 6. none, so it has no health.
    pub fn assess(&self, object: &Object) -> Assessment {
        if is_pending_deletion(object) {
            let health = HealthStatus::Progressing.because("Pending deletion");
            return Assessment { health: Some(health), decided_by: Some(DecidedBy::Deletion) };
        }
        self.assess_by_kind(object)
    }

    /// Returns the health of a live object by the rule of its kind, whether or not its deletion is
    /// pending.
    pub fn assess_by_kind(&self, object: &Object) -> Assessment {
        let script = self.customizations.as_ref().and_then(|scripts| scripts.assess(object));
        // Argo CD asks its scripts before its built-in checks.
        let own = || by(self.native.own(object), DecidedBy::Config, object);
        let shipped = || by(self.shipped(object), DecidedBy::Native, object);
        let builtin = || by(builtin::assess(object, self.version), DecidedBy::Builtin, object);
        let none = Assessment { health: None, decided_by: None };
        script.or_else(own).or_else(shipped).or_else(builtin).unwrap_or(none)
    }

    /// Returns what the native table says, if Argo CD had a script for the kind in this version.
    fn shipped(&self, object: &Object) -> Option<Health> {
        let since = SINCE
            .iter()
            .find(|(group, kind, _)| *group == object.group() && *kind == object.kind());
        let is_later = since.is_some_and(|(_, _, since)| self.version < *since);
        if is_later { None } else { self.native.shipped(object) }
    }
}

fn by(
    health: Option<Health>,
    rule: fn(String) -> DecidedBy,
    object: &Object,
) -> Option<Assessment> {
    health.map(|health| Assessment {
        health: Some(health),
        decided_by: Some(rule(group_and_kind(object))),
    })
}

fn is_pending_deletion(object: &Object) -> bool {
    // Argo CD takes a time that it cannot read for no time.
    let deleted = object
        .text("/metadata/deletionTimestamp")
        .is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok());
    deleted && !object.list("/metadata/finalizers").iter().any(|name| name == HOOK_FINALIZER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(yaml: &str) -> (Option<HealthStatus>, String) {
        let object = Object::read_all(yaml).unwrap().remove(0);
        let Assessment { health, decided_by } = Rules::default().assess(&object);
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
    fn a_row_of_the_user_s_own_precedes_the_shipped_ones() {
        let text = "[{group: bitnami.com, kinds: ['*'], rows: [{if: {spec.own: true}, health: Degraded}]}]";
        let own = crate::yaml::decode("deployctl.yaml".into(), text).unwrap();
        let rules = Rules::default().with_own(own);
        let decided = |spec: &str| {
            let yaml = format!("{{apiVersion: bitnami.com/v1, kind: SealedSecret, spec: {spec}}}");
            let assessment = rules.assess(&Object::read_first(&yaml).unwrap());
            (assessment.health.unwrap().status, assessment.decided_by.unwrap().to_string())
        };
        let config = "config:bitnami.com/SealedSecret".to_owned();
        assert_eq!(decided("{own: true}"), (HealthStatus::Degraded, config));
        let native = "native:bitnami.com/SealedSecret".to_owned();
        assert_eq!(decided("{}"), (HealthStatus::Progressing, native));
    }

    #[test]
    fn has_no_health_for_a_kind_without_a_rule() {
        for kind in ["v1, kind: ConfigMap", "extensions/v1beta1, kind: Deployment"] {
            assert_eq!(decided(&format!("{{apiVersion: {kind}}}")), (None, String::new()));
        }
    }
}
