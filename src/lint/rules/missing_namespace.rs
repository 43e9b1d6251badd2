//! Objects whose namespace nobody states, or nobody makes.

use std::collections::BTreeSet;

use super::Rule;
use crate::argocd::Application;
use crate::k8s::Object;
use crate::lint::{Facts, Finding, FoundApplication, Overlay, Rendering, Severity};

pub(super) const RULE: Rule = Rule {
    id: "missing-namespace",
    summary: "Nobody states a namespace for the pods, or nobody makes it",
    find,
};

/// Namespaces that every cluster has.
const BUILT_IN: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
/// Kinds that are in a namespace, beside those with pod templates.
const NAMESPACED: [&str; 6] =
    ["ConfigMap", "Secret", "Service", "ServiceAccount", "PersistentVolumeClaim", "Ingress"];

fn find(facts: &Facts) -> Vec<Finding> {
    facts.overlays.iter().filter_map(|overlay| in_overlay(facts, overlay)).collect()
}

fn in_overlay(facts: &Facts, overlay: &Overlay) -> Option<Finding> {
    let Rendering::Objects(objects) = &overlay.rendering else { return None };
    let applications: Vec<Application<'_>> =
        facts.applications.iter().filter_map(|found| of_overlay(found, overlay)).collect();
    let destination = applications
        .iter()
        .map(|application| application.destination().namespace)
        .find(|n| !n.is_empty());
    let named: BTreeSet<&str> = objects
        .iter()
        .filter(|object| is_namespaced(object))
        .map(|object| {
            Some(object.namespace()).filter(|n| !n.is_empty()).or(destination).unwrap_or_default()
        })
        .collect();
    let found = overlay.on(RULE.id, Severity::Warning, overlay.line_of("namespace"));
    if named.contains("") {
        return Some(found.saying(
            "neither the overlay nor an Application says which namespace it goes to",
            "write `namespace:` in the kustomization, or `destination.namespace` in the Application",
        ));
    }
    let makes = |name: &str| {
        BUILT_IN.contains(&name)
            || facts.namespaces.contains(name)
            || objects.iter().any(|object| object.kind() == "Namespace" && object.name() == name)
    };
    let is_made = applications.iter().any(|application| creates_namespace(*application));
    let missing = named.into_iter().find(|name| !makes(name) && !is_made)?;
    Some(found.saying(
        format!("nothing in the repository makes the namespace `{missing}`"),
        "add a Namespace, or `CreateNamespace=true` to the Application's syncOptions",
    ))
}

fn is_namespaced(object: &Object) -> bool {
    NAMESPACED.contains(&object.kind())
        || !crate::k8s::pod_images(std::slice::from_ref(object)).is_empty()
}

fn of_overlay<'a>(found: &'a FoundApplication, overlay: &Overlay) -> Option<Application<'a>> {
    let application = Application::new(&found.object)?;
    let is_source = application.sources().iter().any(|source| {
        crate::kustomize::inside(source.path().into()).is_some_and(|path| path == overlay.dir)
    });
    is_source.then_some(application)
}

fn creates_namespace(application: Application<'_>) -> bool {
    let options = application.object().list("/spec/syncPolicy/syncOptions").iter();
    options.filter_map(serde_json::Value::as_str).any(|option| option == "CreateNamespace=true")
}
