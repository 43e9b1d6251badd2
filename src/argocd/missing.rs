//! Whether an Application that is not there will ever be.
//!
//! An Application is made by an ApplicationSet, by a parent Application (app of apps), or by a person. The
//! decision, for which Argo CD has no word of its own:
//!
//! - It **comes** while something is about to make it: an ApplicationSet that lists it or whose template
//!   yields its name, and that reports no error (or only that something was out of reach); a parent that
//!   lists it and syncs by itself, is syncing, or heals itself; a parent of other Applications from the same
//!   repository that has not compared the expected commit yet. A set makes a new Application when it
//!   generates again, by default every three minutes, and says in advance in no field that it will; so a
//!   name that only fits the template of a healthy set is waited for, too.
//! - It **never** comes if there is neither, and where who should make it can't: a set with an error
//!   condition, or one that is being deleted; a parent whose sync of this very revision failed, that does
//!   not sync by itself, that is told to leave everything alone, can't render its manifests, or says that
//!   the Application is there. Somebody has to do something then, and the wait has no end that it knows.
//!
//! A parent that a person has to sync is no reason to wait: nobody says that one will.

use serde_json::{Value, json};

use crate::argocd::judge::is_out_of_reach;
use crate::argocd::source::text;
use crate::argocd::{Application, ApplicationName, ApplicationSet, Phase, Relation};
use crate::k8s::Object;

/// Whether an Application that is not there will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Something is about to make it.
    Comes {
        /// What, and what it is doing.
        reason: String,
    },
    /// Nothing will, unless somebody does something.
    Never {
        /// Why who should make it can't; `None`: there is nobody who should.
        why: Option<String>,
    },
}

/// Returns what of an ApplicationSet or an Application says whether it makes the Application `name`, or
/// `None` if it has nothing to do with it.
pub fn maker(object: &Object, name: &ApplicationName) -> Option<Object> {
    if let Some(set) = ApplicationSet::new(object) {
        return set.makes(name).then(|| bare(object, name, &["template"], &[]));
    }
    let application = Application::new(object)?;
    let concerns = application.name() == *name || children(application).next().is_some();
    let spec = ["source", "sources", "syncPolicy"];
    concerns.then(|| bare(object, name, &spec, &["sync", "operationState"]))
}

/// Returns the object with these parts of its spec and status, its conditions, and of what it lists the
/// Application `name` and one more.
fn bare(object: &Object, name: &ApplicationName, spec: &[&str], status: &[&str]) -> Object {
    let value = object.value();
    let part = |of: &str, keys: &[&str]| -> Value {
        let all = value.get(of).and_then(Value::as_object).into_iter().flatten();
        all.filter(|(key, _)| keys.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let mut bare = json!({
        "apiVersion": object.api_version(), "kind": object.kind(),
        "metadata": part("metadata", &["name", "namespace", "uid", "annotations", "deletionTimestamp"]),
        "spec": part("spec", spec), "status": part("status", status),
    });
    if let Some(result) = bare.pointer_mut("/status/operationState/syncResult/resources") {
        *result = Value::Null;
    }
    bare["status"]["conditions"] = object.list("/status/conditions").into();
    for (list, key) in [("resources", "name"), ("applicationStatus", "application")] {
        let entries = object.list(&format!("/status/{list}"));
        let (own, others): (Vec<&Value>, Vec<&Value>) = entries
            .iter()
            .filter(|entry| key == "application" || text(entry, "kind") == "Application")
            .partition(|entry| text(entry, key) == name.name);
        bare["status"][list] = own.into_iter().chain(others.into_iter().take(1)).cloned().collect();
    }
    if object.at("/operation").is_some() {
        bare["operation"] = json!({});
    }
    Object::new(bare).expect("it has the kind of what it was made from")
}

/// Returns whether the Application `name`, which is not there, will be, as its `makers` show: the
/// ApplicationSets and Applications of its Argo CD that [`maker`] leaves. `relation` says how a commit that
/// a parent has compared relates to the expected one.
pub fn missing(
    name: &ApplicationName,
    makers: &[Object],
    relation: &dyn Fn(&str) -> Relation,
) -> Missing {
    let applications = || makers.iter().filter_map(Application::new);
    // It came between two questions.
    if applications().any(|application| application.name() == *name) {
        return comes("it has been made this moment".to_owned());
    }
    let sets = makers.iter().filter_map(ApplicationSet::new).filter(|set| set.makes(name));
    let of_sets = sets.map(of_set);
    let of_parents = applications().filter_map(|parent| {
        let child = children(parent).find(|entry| is(entry, name));
        child.map(|child| of_parent(parent, child))
    });
    let told: Vec<Missing> = of_sets.chain(of_parents).collect();
    let coming = told.iter().find(|missing| matches!(missing, Missing::Comes { .. }));
    if let Some(decided) = coming.or_else(|| told.first()) {
        return decided.clone();
    }
    let mut parents = applications().filter(|parent| parent.auto_sync().is_some());
    let behind = parents.find(|parent| {
        parent.sync().revisions.iter().any(|revision| relation(revision) == Relation::Older)
    });
    match behind {
        Some(parent) => comes(format!(
            "{}, which makes Applications, has not compared the expected commit yet",
            parent.name()
        )),
        None => Missing::Never { why: None },
    }
}

fn comes(reason: String) -> Missing {
    Missing::Comes { reason }
}

fn never(why: String) -> Missing {
    Missing::Never { why: Some(why) }
}

/// The Applications that a parent makes.
fn children(parent: Application<'_>) -> impl Iterator<Item = &Value> {
    let entries = parent.object().list("/status/resources").iter();
    entries.filter(|entry| {
        (text(entry, "group"), text(entry, "kind")) == ("argoproj.io", "Application")
    })
}

fn is(child: &Value, name: &ApplicationName) -> bool {
    let namespace = text(child, "namespace");
    text(child, "name") == name.name && (namespace.is_empty() || namespace == name.namespace)
}

fn of_set(set: ApplicationSet<'_>) -> Missing {
    let name = set.name();
    if set.is_being_deleted() {
        return never(format!("ApplicationSet `{name}`, which would make it, is being deleted"));
    }
    match set.error() {
        Some(error) if is_out_of_reach(error) => {
            comes(format!("ApplicationSet `{name}` tries again: {error}"))
        }
        Some(error) => never(format!("ApplicationSet `{name}` can't make it: {error}")),
        None => comes(format!("ApplicationSet `{name}` makes it, and reports no error")),
    }
}

fn of_parent(parent: Application<'_>, child: &Value) -> Missing {
    let start = format!("its parent {} has not made it", parent.name());
    if parent.is_being_deleted() {
        return never(format!("{start}: it is being deleted"));
    }
    if parent.skips_reconcile() {
        return never(format!(
            "{start}: its annotation has Argo CD leave it alone (skip-reconcile)"
        ));
    }
    let state = parent.operation_state();
    let is_running = state
        .is_some_and(|state| matches!(state.phase(), Some(Phase::Running | Phase::Terminating)));
    if parent.operation().is_some() || is_running {
        return comes(format!("{start} yet: it is syncing"));
    }
    let mut conditions = parent.conditions();
    let error = conditions.find(|c| matches!(c.kind, "ComparisonError" | "InvalidSpecError"));
    if let Some(error) = error {
        return match is_out_of_reach(error.message) {
            true => comes(format!("{start} yet: Argo CD tries again: {}", error.message)),
            false => never(format!("{start}: {}", error.message)),
        };
    }
    let auto_sync = parent.auto_sync();
    // Argo CD syncs a commit by itself once; the next one it tries anew.
    let stopped = state.filter(|state| {
        let is_bad = matches!(state.phase(), Some(Phase::Failed | Phase::Error));
        is_bad && (auto_sync.is_none() || state.revisions() == parent.sync().revisions)
    });
    match (text(child, "status"), stopped, auto_sync) {
        (_, Some(state), _) => never(format!("{start}: its last sync failed: {}", state.message())),
        ("OutOfSync", None, None) => {
            never(format!("{start}: it is out of sync, and auto-sync is off"))
        }
        ("OutOfSync", None, Some(_)) => {
            comes(format!("{start} yet: it is out of sync, and syncs by itself"))
        }
        (_, None, Some(auto)) if auto.self_heal => {
            comes(format!("{start} yet: it says that it is there, and heals itself"))
        }
        _ => never(format!(
            "its parent {} says that it is there; was it deleted just now?",
            parent.name()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> ApplicationName {
        ApplicationName { namespace: "argocd".into(), name: "ranking-prod".into() }
    }

    fn set(name: &str, rest: &str) -> String {
        format!(
            "{{apiVersion: argoproj.io/v1alpha1, kind: ApplicationSet, metadata: {{name: services{rest}}}, spec: {{template: {{metadata: {{name: '{name}'}}}}}}"
        )
    }

    fn errs(message: &str, status: &str) -> String {
        format!(
            ", status: {{conditions: [{{type: ErrorOccurred, status: '{status}', reason: R, message: {message}}}]}}}}"
        )
    }

    /// A parent whose child is `status`, with the sync policy, the phase of the last sync and more.
    fn parent(status: &str, policy: &str, phase: &str, rest: &str) -> String {
        format!(
            "{{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {{name: apps, namespace: argocd}}, spec: {{syncPolicy: {policy}}}, \
             status: {{sync: {{revision: r}}, operationState: {{phase: {phase}, message: no, syncResult: {{revision: r}}}}, {rest}resources: [\
             {{group: argoproj.io, kind: Application, name: other, status: Synced}}, {{group: argoproj.io, kind: Application, name: ranking-prod, status: {status}}}]}}}}"
        )
    }

    fn decide(makers: &[String]) -> Missing {
        let objects: Vec<Object> =
            makers.iter().flat_map(|yaml| Object::read_all(yaml).unwrap()).collect();
        let makers: Vec<Object> = objects.iter().filter_map(|o| maker(o, &name())).collect();
        let relation = |revision: &str| match revision {
            "old" => Relation::Older,
            "r" => Relation::Same,
            _ => Relation::Unknown,
        };
        missing(&name(), &makers, &relation)
    }

    #[track_caller]
    fn check(makers: &[String], expected: &str) {
        let told = match decide(makers) {
            Missing::Comes { reason } => format!("comes: {reason}"),
            Missing::Never { why } => format!("never: {}", why.unwrap_or_default()),
        };
        assert_eq!(told, expected, "{makers:?}");
    }

    const AUTO: &str = "{automated: {}}";

    #[test]
    fn a_set_makes_it_while_it_reports_no_error() {
        let fits = "{{service}}-prod";
        let makes = "comes: ApplicationSet `services` makes it, and reports no error";
        check(&[set(fits, "") + "}"], makes);
        check(&[set(fits, "") + &errs("ok", "False")], makes);
        check(
            &[set(fits, "") + &errs("'repository not found'", "True")],
            "never: ApplicationSet `services` can't make it: repository not found",
        );
        check(
            &[set(fits, "") + &errs("'dial tcp: connection refused'", "True")],
            "comes: ApplicationSet `services` tries again: dial tcp: connection refused",
        );
        check(
            &[set(fits, ", deletionTimestamp: '2026-03-01T10:00:00Z'") + "}"],
            "never: ApplicationSet `services`, which would make it, is being deleted",
        );
        check(&[set("{{service}}-dev", "") + "}"], "never: ");
        check(&[], "never: ");
    }

    #[test]
    fn a_parent_makes_it_if_it_syncs() {
        let start = "its parent argocd/apps has not made it";
        for (parent, expected) in [
            (
                parent("OutOfSync", AUTO, "Succeeded", ""),
                format!("comes: {start} yet: it is out of sync, and syncs by itself"),
            ),
            (
                parent("OutOfSync", "{}", "Succeeded", ""),
                format!("never: {start}: it is out of sync, and auto-sync is off"),
            ),
            (
                parent("OutOfSync", "{}", "Running", ""),
                format!("comes: {start} yet: it is syncing"),
            ),
            (
                parent("OutOfSync", AUTO, "Failed", ""),
                format!("never: {start}: its last sync failed: no"),
            ),
            (
                parent("OutOfSync", AUTO, "Failed", "")
                    .replace("sync: {revision: r}", "sync: {revision: s}"),
                format!("comes: {start} yet: it is out of sync, and syncs by itself"),
            ),
            (
                parent("OutOfSync", "{}", "Failed", "")
                    .replace("sync: {revision: r}", "sync: {revision: s}"),
                format!("never: {start}: its last sync failed: no"),
            ),
            (
                parent(
                    "OutOfSync",
                    AUTO,
                    "Succeeded",
                    "conditions: [{type: ComparisonError, message: no such path}], ",
                ),
                format!("never: {start}: no such path"),
            ),
            (
                parent(
                    "OutOfSync",
                    AUTO,
                    "Succeeded",
                    "conditions: [{type: ComparisonError, message: i/o timeout}], ",
                ),
                format!("comes: {start} yet: Argo CD tries again: i/o timeout"),
            ),
            (
                parent("Synced", AUTO, "Succeeded", ""),
                "never: its parent argocd/apps says that it is there; was it deleted just now?"
                    .to_owned(),
            ),
            (
                parent("Synced", "{automated: {selfHeal: true}}", "Succeeded", ""),
                format!("comes: {start} yet: it says that it is there, and heals itself"),
            ),
            (
                parent("OutOfSync", AUTO, "Succeeded", "").replace(
                    "name: apps,",
                    "name: apps, annotations: {argocd.argoproj.io/skip-reconcile: 'true'},",
                ),
                format!(
                    "never: {start}: its annotation has Argo CD leave it alone (skip-reconcile)"
                ),
            ),
            (
                parent("OutOfSync", AUTO, "Succeeded", "").replace(
                    "name: apps,",
                    "name: apps, deletionTimestamp: '2026-03-01T10:00:00Z',",
                ),
                format!("never: {start}: it is being deleted"),
            ),
        ] {
            check(&[parent], &expected);
        }
    }

    #[test]
    fn who_makes_it_counts_and_not_who_does_not() {
        let broken = set("{{service}}-prod", "") + &errs("no", "True");
        let makes = "comes: its parent argocd/apps has not made it yet: it is out of sync, and syncs by itself";
        check(&[broken, parent("OutOfSync", AUTO, "Succeeded", "")], makes);
        let there =
            parent("Synced", AUTO, "Succeeded", "").replace("name: apps,", "name: ranking-prod,");
        check(&[there], "comes: it has been made this moment");
    }

    #[test]
    fn a_parent_of_others_may_make_it_once_it_has_seen_the_commit() {
        let other = parent("OutOfSync", AUTO, "Succeeded", "")
            .replace("name: ranking-prod", "name: web-prod");
        check(std::slice::from_ref(&other), "never: ");
        let behind = other.replace("sync: {revision: r}", "sync: {revision: old}");
        check(
            std::slice::from_ref(&behind),
            "comes: argocd/apps, which makes Applications, has not compared the expected commit yet",
        );
        check(&[behind.replace("automated: {}", "")], "never: ");
        let elsewhere = other.replace("sync: {revision: r}", "sync: {revision: x}");
        check(&[elsewhere], "never: ");
    }

    #[test]
    fn a_maker_is_kept_as_small_as_it_decides_the_same() {
        let many: String = (0..500)
            .map(|n| {
                format!(
                    "{{group: argoproj.io, kind: Application, name: app-{n}, status: Synced}}, "
                )
            })
            .collect();
        let large = parent("OutOfSync", AUTO, "Succeeded", "")
            .replace("resources: [", &format!("resources: [{many}"));
        let large = Object::read_first(&large).unwrap();
        let small = maker(&large, &name()).unwrap();
        assert!(small.value().to_string().len() < 1000, "{}", small.value());
        let unconcerned =
            "{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: web}}";
        assert_eq!(maker(&Object::read_first(unconcerned).unwrap(), &name()), None);
    }
}
