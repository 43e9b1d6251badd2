//! The health of an application from the health of the resources that it manages.

use crate::health::hook::{is_hook, is_skipped};
use crate::health::{ArgoCdVersion, Health, HealthStatus, Rules, builtin};
use crate::k8s::{Object, ObjectId};

const IGNORE_HEALTH: &str = "argocd.argoproj.io/ignore-healthcheck";

/// How many causes the message names before it only counts.
const NAMED_CAUSES: usize = 3;

/// A resource that an application manages: what git asks for and what the cluster has.
#[derive(Debug, Clone, Copy)]
pub struct Managed<'a> {
    /// The object as git states it, `None` if only the cluster has it.
    pub target: Option<&'a Object>,
    /// The object in the cluster, `None` if it is missing there.
    pub live: Option<&'a Object>,
}

impl Rules {
    /// Returns the worst health of the resources, with the message that names who caused it.
    ///
    /// Only the resources themselves count, never the pods that they own. Hooks, ignored resources,
    /// kinds without a rule and a single missing resource do not count; `application` is the
    /// application itself, which never decides about its own health.
    pub fn aggregate<'a>(
        &self,
        application: Option<&ObjectId>,
        resources: impl IntoIterator<Item = Managed<'a>>,
    ) -> Health {
        let mut worst = Worst::default();
        let mut has_resources = false;
        let mut has_live_resources = false;
        for resource in resources {
            if is_outside(&resource) || (self.is_before_3_4() && resource.is_ignored()) {
                continue;
            }
            has_resources = true;
            has_live_resources |= resource.live.is_some();
            if let Some((object, status)) = self.counted(application, &resource) {
                worst.count(object, status);
            }
        }
        let all_missing = has_resources && !has_live_resources && !self.is_before_3_4();
        if all_missing && worst.status < HealthStatus::Missing {
            return HealthStatus::Missing.into();
        }
        match worst.status {
            HealthStatus::Healthy => HealthStatus::Healthy.into(),
            status if self.version < ArgoCdVersion::V3_6 => status.into(),
            status => status.because(caused_by(&worst.causes)),
        }
    }

    /// Returns the status with which a resource counts, if it does.
    fn counted<'a>(
        &self,
        application: Option<&ObjectId>,
        resource: &Managed<'a>,
    ) -> Option<(&'a Object, HealthStatus)> {
        let Some(live) = resource.live else {
            let target = resource.target.filter(|_| self.is_before_3_4())?;
            let counts = self.misses(target) && !is_application(target);
            return counts.then_some((target, HealthStatus::Missing));
        };
        if resource.is_ignored() || application == Some(&live.id()) {
            return None;
        }
        let status = self.assess(live).health?.status;
        let is_missing = status == HealthStatus::Missing;
        let is_undecided = is_missing || status == HealthStatus::Unknown;
        let is_dropped = (is_undecided && is_application(live))
            || (is_missing && self.is_before_3_4() && !self.misses(live));
        (!is_dropped).then_some((live, status))
    }

    /// Until 3.3 a missing resource counted by itself, if its kind had a check in Go or an entry in
    /// `argocd-cm`, and no resource counted as live whose health was ignored.
    fn is_before_3_4(&self) -> bool {
        self.version < ArgoCdVersion::V3_4
    }

    fn misses(&self, object: &Object) -> bool {
        let customized = self.customizations.as_ref();
        builtin::knows(object) || customized.is_some_and(|scripts| scripts.names(object))
    }
}

/// The worst status so far, and who has it.
struct Worst {
    status: HealthStatus,
    causes: Vec<ObjectId>,
}

impl Default for Worst {
    fn default() -> Self {
        Self { status: HealthStatus::Healthy, causes: Vec::new() }
    }
}

impl Worst {
    fn count(&mut self, object: &Object, status: HealthStatus) {
        if status > self.status {
            self.causes.clear();
            self.status = status;
        }
        if status == self.status {
            self.causes.push(object.id());
        }
    }
}

impl Managed<'_> {
    fn is_ignored(&self) -> bool {
        self.live.is_some_and(|live| live.annotation(IGNORE_HEALTH) == Some("true"))
    }
}

/// Hooks have their say in the sync, not in the health.
fn is_outside(resource: &Managed<'_>) -> bool {
    resource.target.is_some_and(is_skipped) || resource.live.is_some_and(is_hook)
}

fn is_application(object: &Object) -> bool {
    object.group() == "argoproj.io" && object.kind() == "Application"
}

fn caused_by(causes: &[ObjectId]) -> String {
    let named: Vec<_> = causes.iter().take(NAMED_CAUSES).map(ToString::to_string).collect();
    let mut message = format!("Caused by {}", named.join(", "));
    if causes.len() > NAMED_CAUSES {
        message.push_str(&format!(" and {} more", causes.len() - NAMED_CAUSES));
    }
    message
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::health::{Clock, Customizations};

    /// Rules by which every object of the group `example.com`, and every Application, has the health
    /// that it states itself.
    fn rules(version: ArgoCdVersion) -> Rules {
        let clock =
            Clock { now: || jiff::Timestamp::UNIX_EPOCH, elapsed: || std::time::Duration::ZERO };
        let script = "return {status = obj.health}";
        let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {
            "resource.customizations": format!("'*': {{health.lua: '{script}'}}"),
            "resource.customizations.ignoreDifferences.example.com_Named": "{}",
        }});
        let mut customizations = Customizations::new(clock);
        customizations.add_argocd_cm(&Object::new(config_map).unwrap()).unwrap();
        let customizations = Some(Arc::new(customizations));
        Rules { customizations, version, ..Rules::default() }
    }

    fn check(yaml: &str, expected: &str) {
        let objects = Object::read_all(yaml).unwrap();
        let resources = objects.iter().map(|live| Managed { target: None, live: Some(live) });
        let application = ObjectId {
            group: "argoproj.io".to_owned(),
            kind: "Application".to_owned(),
            namespace: "argocd".to_owned(),
            name: "self".to_owned(),
        };
        let health = rules(ArgoCdVersion::default()).aggregate(Some(&application), resources);
        assert_eq!(format!("{} {}", health.status, health.message), expected, "{yaml}");
    }

    fn object(kind: &str, name: &str, health: &str) -> String {
        format!("---\n{{apiVersion: {kind}, metadata: {{{name}}}, health: {health}}}\n")
    }

    #[test]
    fn names_three_causes_and_counts_the_others() {
        let mut yaml = object("v1, kind: Pod", "name: a, namespace: n", "Degraded");
        check(&yaml, "Degraded Caused by Pod:n/a");
        yaml += &object("v1, kind: Node", "name: b", "Degraded");
        yaml += &object("g.io/v1, kind: K", "name: c, namespace: n", "Degraded");
        yaml += &object("v1, kind: Pod", "name: d", "Progressing");
        check(&yaml, "Degraded Caused by Pod:n/a, Node:b, g.io/K:n/c");
        yaml += &object("v1, kind: Pod", "name: e", "Degraded");
        yaml += &object("v1, kind: Pod", "name: f", "Degraded");
        check(&yaml, "Degraded Caused by Pod:n/a, Node:b, g.io/K:n/c and 2 more");
    }

    #[test]
    fn counts_no_undecided_application_and_never_itself() {
        let application = "argoproj.io/v1alpha1, kind: Application";
        check(&object(application, "name: child, namespace: argocd", "Unknown"), "Healthy ");
        check(&object(application, "name: self, namespace: argocd", "Degraded"), "Healthy ");
        let degraded = object(application, "name: child, namespace: argocd", "Degraded");
        check(&degraded, "Degraded Caused by argoproj.io/Application:argocd/child");
    }

    #[test]
    fn a_missing_resource_counts_only_if_all_are_missing_or_by_itself_until_3_3() {
        let check = |kind: &str, with_live: bool, since_3_4: &str, before: &str| {
            let objects = Object::read_all(&format!(
                "{}{}",
                object(kind, "name: a", "Healthy"),
                object("v1, kind: Node", "name: b", "Healthy")
            ))
            .unwrap();
            let missing = Managed { target: Some(&objects[0]), live: None };
            let live = Managed { target: Some(&objects[1]), live: Some(&objects[1]) };
            let resources = if with_live { vec![missing, live] } else { vec![missing, missing] };
            for (version, expected) in [
                (ArgoCdVersion::V3_6, since_3_4),
                (ArgoCdVersion::V3_4, since_3_4),
                (ArgoCdVersion::V3_3, before),
            ] {
                let health = rules(version).aggregate(None, resources.iter().copied());
                assert_eq!(health.status.as_str(), expected, "{kind} {version}");
            }
        };
        check("v1, kind: Pod", false, "Missing", "Missing");
        check("v1, kind: Pod", true, "Healthy", "Missing");
        check("v1, kind: Secret", false, "Missing", "Healthy");
        check("v1, kind: Secret", true, "Healthy", "Healthy");
        check("example.com/v1, kind: Named", true, "Healthy", "Missing");
        check("argoproj.io/v1, kind: Application", true, "Healthy", "Healthy");
        let none = rules(ArgoCdVersion::default()).aggregate(None, []);
        assert_eq!(none.status, HealthStatus::Healthy);
    }

    #[test]
    fn an_ignored_resource_counts_as_live_since_3_4() {
        let ignored = "name: b, annotations: {argocd.argoproj.io/ignore-healthcheck: 'true'}";
        let yaml = object("v1, kind: Secret", "name: a", "Healthy")
            + &object("v1, kind: Pod", ignored, "Degraded");
        let objects = Object::read_all(&yaml).unwrap();
        let resources = [
            Managed { target: Some(&objects[0]), live: None },
            Managed { target: Some(&objects[1]), live: Some(&objects[1]) },
        ];
        for version in ArgoCdVersion::ALL {
            let health = rules(version).aggregate(None, resources);
            assert_eq!(health.status, HealthStatus::Healthy, "{version}");
        }
    }

    #[test]
    fn causes_are_named_since_3_6() {
        let objects = Object::read_all(&object("v1, kind: Pod", "name: a", "Degraded")).unwrap();
        let resource = Managed { target: None, live: Some(&objects[0]) };
        let before = rules(ArgoCdVersion::V3_5).aggregate(None, [resource]);
        assert_eq!(before, HealthStatus::Degraded.into());
    }
}
