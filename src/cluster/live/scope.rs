//! Which objects belong to a rollout: those of the rendered overlay, or those that the Application
//! lists.

use serde_json::Value;

use crate::cluster::Scope;
use crate::k8s::Object;

/// More objects than this in one Application are not looked at.
const MOST: usize = 2000;

/// An object to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// Returns the objects to look for on the cluster at `server`.
///
/// # Errors
///
/// Fails with a sentence for people if the Application deploys to another cluster.
pub(super) fn wanted(
    scope: &Scope,
    application: Option<&Object>,
    server: &str,
    default_namespace: &str,
) -> Result<Vec<Wanted>, String> {
    if let Some(application) = application {
        is_on_this_cluster(application, server)?;
    }
    let destination = application.and_then(|a| a.text("/spec/destination/namespace"));
    let namespace = destination.unwrap_or(default_namespace);
    let of_scope = scope.objects.iter().map(|object| Wanted {
        api_version: object.api_version().to_owned(),
        kind: object.kind().to_owned(),
        namespace: or(object.namespace(), namespace),
        name: object.name().to_owned(),
    });
    let mut wanted: Vec<_> = of_scope.collect();
    if let (true, Some(application)) = (wanted.is_empty(), application) {
        let listed = application.list("/status/resources").iter();
        wanted = listed.take(MOST).filter_map(|entry| listed_object(entry, namespace)).collect();
    }
    // Whatever a Secret holds, no verdict needs it.
    wanted.retain(|object| !(object.api_version == "v1" && object.kind == "Secret"));
    Ok(wanted)
}

fn listed_object(entry: &Value, namespace: &str) -> Option<Wanted> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let is = |key: &str| entry.get(key).and_then(Value::as_bool).unwrap_or(false);
    // Hooks come and go, and what is to be pruned is no part of the new state.
    if is("hook") || is("requiresPruning") || text("name").is_empty() {
        return None;
    }
    let api_version = match (text("group"), text("version")) {
        ("", version) => version.to_owned(),
        (group, version) => format!("{group}/{version}"),
    };
    let (kind, name) = (text("kind").to_owned(), text("name").to_owned());
    Some(Wanted { api_version, kind, namespace: or(text("namespace"), namespace), name })
}

pub(super) fn or(text: &str, default: &str) -> String {
    if text.is_empty() { default.to_owned() } else { text.to_owned() }
}

fn is_on_this_cluster(application: &Object, server: &str) -> Result<(), String> {
    let url = application.text("/spec/destination/server").unwrap_or_default();
    let name = application.text("/spec/destination/name").unwrap_or_default();
    let bare = |url: &str| url.trim_end_matches('/').to_owned();
    let here = ["https://kubernetes.default.svc", server].map(bare);
    match (url, name) {
        ("", "" | "in-cluster") => Ok(()),
        (url, _) if here.contains(&bare(url)) => Ok(()),
        (url, name) => {
            let other = if url.is_empty() { name } else { url };
            Err(format!(
                "Application `{}` deploys to `{other}`, another cluster than its own, so its live objects can't be read; the Application alone is judged",
                application.name()
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(destination: &str) -> Object {
        let yaml = format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: ranking-dev}}\nspec: {{destination: {destination}}}\n\
             status:\n  resources:\n  - {{group: apps, version: v1, kind: Deployment, name: ranking, namespace: shop}}\n  - {{version: v1, kind: Secret, name: s}}\n  - {{version: v1, kind: Service, name: ranking}}\n  - {{group: batch, version: v1, kind: Job, name: hook, hook: true}}\n"
        );
        Object::read_all(&yaml).unwrap().remove(0)
    }

    #[test]
    fn an_application_lists_its_objects_and_secrets_are_left_alone() {
        let application =
            application("{server: 'https://kubernetes.default.svc', namespace: dest}");
        let wanted =
            wanted(&Scope::default(), Some(&application), "https://192.0.2.1", "d").unwrap();
        let named: Vec<_> =
            wanted.iter().map(|w| (&*w.api_version, &*w.namespace, &*w.name)).collect();
        assert_eq!(named, [("apps/v1", "shop", "ranking"), ("v1", "dest", "ranking")]);
    }

    #[test]
    fn another_cluster_is_said_to_be_one() {
        for here in ["{name: in-cluster}", "{server: 'https://192.0.2.1/'}", "{}"] {
            let found =
                wanted(&Scope::default(), Some(&application(here)), "https://192.0.2.1", "d");
            assert!(found.is_ok(), "{here}");
        }
        let there = application("{server: 'https://192.0.2.9'}");
        let error = wanted(&Scope::default(), Some(&there), "https://192.0.2.1", "d").unwrap_err();
        assert!(error.contains("deploys to `https://192.0.2.9`"), "{error}");
    }
}
