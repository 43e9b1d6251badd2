//! The health of an application from the health of the resources that it manages.

use crate::health::hook::{is_hook, is_skipped};
use crate::health::{Health, HealthStatus};
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

/// Returns the worst health of the resources, with the message that names who caused it.
///
/// Only the resources themselves count, never the pods that they own. Hooks, ignored resources,
/// kinds without a rule and a single missing resource do not count; `application` is the
/// application itself, which never decides about its own health. `assess` judges one live object
/// and is usually [`crate::health::Rules::assess`].
pub fn aggregate<'a>(
    application: Option<&ObjectId>,
    resources: impl IntoIterator<Item = Managed<'a>>,
    assess: impl Fn(&Object) -> Option<Health>,
) -> Health {
    let mut worst = HealthStatus::Healthy;
    let mut causes = Vec::new();
    let mut has_resources = false;
    let mut has_live_resources = false;
    for resource in resources {
        if is_outside(&resource) {
            continue;
        }
        has_resources = true;
        let Some(live) = resource.live else { continue };
        has_live_resources = true;
        let Some(status) = counted_health(application, live, &assess) else { continue };
        if status > worst {
            causes.clear();
            worst = status;
        }
        if status == worst {
            causes.push(live.id());
        }
    }
    if has_resources && !has_live_resources && worst < HealthStatus::Missing {
        return HealthStatus::Missing.into();
    }
    match worst {
        HealthStatus::Healthy => HealthStatus::Healthy.into(),
        _ => worst.because(caused_by(&causes)),
    }
}

/// Hooks have their say in the sync, not in the health.
fn is_outside(resource: &Managed<'_>) -> bool {
    resource.target.is_some_and(is_skipped) || resource.live.is_some_and(is_hook)
}

fn counted_health(
    application: Option<&ObjectId>,
    live: &Object,
    assess: impl Fn(&Object) -> Option<Health>,
) -> Option<HealthStatus> {
    if live.annotation(IGNORE_HEALTH) == Some("true") || application == Some(&live.id()) {
        return None;
    }
    let status = assess(live)?.status;
    let is_application = live.group() == "argoproj.io" && live.kind() == "Application";
    let undecided = matches!(status, HealthStatus::Missing | HealthStatus::Unknown);
    (!(is_application && undecided)).then_some(status)
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
    use super::*;

    fn check(yaml: &str, expected: &str) {
        let objects = Object::read_all(yaml).unwrap();
        let resources = objects.iter().map(|live| Managed { target: None, live: Some(live) });
        let application = ObjectId {
            group: "argoproj.io".to_owned(),
            kind: "Application".to_owned(),
            namespace: "argocd".to_owned(),
            name: "self".to_owned(),
        };
        let health = aggregate(Some(&application), resources, |object| {
            HealthStatus::parse(object.text("/health")?).map(Health::from)
        });
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
    fn a_missing_resource_counts_only_if_all_are_missing() {
        let yaml = object("v1, kind: Pod", "name: a", "Healthy");
        let objects = Object::read_all(&yaml).unwrap();
        let missing = Managed { target: Some(&objects[0]), live: None };
        let live = Managed { target: Some(&objects[0]), live: Some(&objects[0]) };
        let status = |resources: &[Managed<'_>]| {
            aggregate(None, resources.iter().copied(), |_| Some(HealthStatus::Healthy.into()))
                .status
        };
        assert_eq!(status(&[missing, missing]), HealthStatus::Missing);
        assert_eq!(status(&[missing, live]), HealthStatus::Healthy);
        assert_eq!(status(&[]), HealthStatus::Healthy);
    }
}
