//! The example manifests repository.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use deployctl::image::PinnedImage;
use serde_yaml::Value;

use super::{at, documents, files, read, root, text, yaml_files};
use crate::support;

const SERVICES: [&str; 2] = ["ranking", "redis"];
pub(super) const ENVIRONMENTS: [&str; 2] = ["dev", "prod"];
const REPOSITORY: &str = "https://git.example.com/shop/manifests.git";

/// Returns what `kubectl` renders the folder `dir` to.
fn render(kubectl: &Path, dir: &Path) -> Vec<Value> {
    let output = Command::new(kubectl).arg("kustomize").arg(dir).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", dir.display());
    assert!(!errors.contains("Warning"), "{}: {errors}", dir.display());
    documents(&String::from_utf8(output.stdout).unwrap(), dir)
}

/// Returns the folders with a kustomization that stands on its own.
fn kustomizations() -> Vec<PathBuf> {
    let named = files("manifests").into_iter().filter(|path| path.ends_with("kustomization.yaml"));
    let whole = named.filter(|path| text(&documents(&read(path), path)[0], "kind") != "Component");
    whole.map(|path| path.parent().unwrap().to_path_buf()).collect()
}

pub(super) fn overlay(service: &str, environment: &str) -> PathBuf {
    root(&format!("manifests/apps/{service}/overlays/{environment}"))
}

/// Returns the Applications and projects below `manifests/argocd`.
fn argocd(kind: &str) -> Vec<Value> {
    let read = yaml_files("manifests/argocd").into_iter().flat_map(|it| documents(&read(&it), &it));
    read.filter(|object| text(object, "kind") == kind).collect()
}

#[test]
fn every_kustomization_renders() {
    let Some(kubectl) = support::peer("kubectl") else { return };
    for dir in kustomizations() {
        assert!(!render(&kubectl, &dir).is_empty(), "{} renders to nothing", dir.display());
    }
}

#[test]
fn every_workload_is_pinned_probed_confined_and_placed() {
    let Some(kubectl) = support::peer("kubectl") else { return };
    for (service, environment) in pairs() {
        let objects = render(&kubectl, &overlay(service, environment));
        let namespace = format!("{service}-{environment}");
        for object in &objects {
            assert_eq!(text(object, "metadata/namespace"), namespace, "{object:?}");
        }
        let workloads: Vec<_> =
            objects.iter().filter(|it| !at(it, "spec/template").is_null()).collect();
        assert_eq!(workloads.len(), 1, "{namespace}");
        check_pod(at(workloads[0], "spec/template/spec"), environment, &namespace);
    }
}

pub(super) fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    SERVICES.into_iter().flat_map(|service| ENVIRONMENTS.map(|it| (service, it)))
}

fn check_pod(pod: &Value, environment: &str, name: &str) {
    assert_eq!(at(pod, "securityContext/runAsNonRoot"), &Value::Bool(true), "{name}");
    let expression = at(
        pod,
        "affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchExpressions/0",
    );
    assert_eq!(text(expression, "key"), "node.example.com/environment", "{name}");
    assert_eq!(text(expression, "values/0"), environment, "{name}");
    assert_eq!(text(pod, "tolerations/0/value"), environment, "{name}");

    for container in at(pod, "containers").as_sequence().unwrap() {
        let image: PinnedImage = text(container, "image").parse().unwrap();
        assert!(image.tag.is_some(), "{name}: `{image}` has no tag for people");
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            assert!(at(container, probe).is_mapping(), "{name}: no {probe}");
        }
        for resource in ["resources/requests/cpu", "resources/requests/memory"] {
            assert!(!at(container, resource).is_null(), "{name}: no {resource}");
        }
        assert!(!at(container, "resources/limits/memory").is_null(), "{name}: no memory limit");
        let confined = at(container, "securityContext");
        assert_eq!(at(confined, "readOnlyRootFilesystem"), &Value::Bool(true), "{name}");
        assert_eq!(at(confined, "allowPrivilegeEscalation"), &Value::Bool(false), "{name}");
        assert_eq!(text(confined, "capabilities/drop/0"), "ALL", "{name}");
    }
}

#[test]
fn every_selector_selects_the_pods_of_its_overlay() {
    let Some(kubectl) = support::peer("kubectl") else { return };
    for (service, environment) in pairs() {
        let objects = render(&kubectl, &overlay(service, environment));
        let labels = objects.iter().map(|it| at(it, "spec/template/metadata/labels"));
        let labels = labels.filter(|it| it.is_mapping()).collect::<Vec<_>>()[0];
        let selectors = ["Service", "NetworkPolicy"].map(|kind| {
            let object = objects.iter().find(|it| text(it, "kind") == kind);
            let key =
                if kind == "Service" { "spec/selector" } else { "spec/podSelector/matchLabels" };
            object.map(|object| at(object, key))
        });
        for selector in selectors.into_iter().flatten() {
            for (key, value) in selector.as_mapping().unwrap() {
                assert_eq!(labels.get(key), Some(value), "{service} in {environment}");
            }
        }
    }
}

#[test]
fn environments_share_nothing() {
    let Some(kubectl) = support::peer("kubectl") else { return };
    for service in SERVICES {
        let rendered =
            ENVIRONMENTS.map(|environment| render(&kubectl, &overlay(service, environment)));
        for (objects, other) in rendered.iter().zip(["prod", "dev"]) {
            let text = serde_yaml::to_string(objects).unwrap();
            let leak = format!("-{other}");
            assert!(!text.contains(&leak), "{service} names something of {other}:\n{text}");
            assert!(!text.contains(".invalid"), "{service} keeps a placeholder:\n{text}");
        }
    }
}

#[test]
fn every_overlay_has_its_namespace_and_its_application() {
    let Some(kubectl) = support::peer("kubectl") else { return };
    let namespaces: BTreeSet<String> = ENVIRONMENTS
        .iter()
        .flat_map(|it| render(&kubectl, &root(&format!("manifests/environments/{it}/namespaces"))))
        .map(|object| text(&object, "metadata/name").to_owned())
        .collect();
    let applications = argocd("Application");
    for (service, environment) in pairs() {
        let name = format!("{service}-{environment}");
        assert!(namespaces.contains(&name), "no namespace `{name}`");
        let application = applications.iter().find(|it| text(it, "metadata/name") == name);
        let application = application.unwrap_or_else(|| panic!("no application `{name}`"));
        assert_eq!(text(application, "spec/destination/namespace"), name);
        let path = format!("apps/{service}/overlays/{environment}");
        assert_eq!(text(application, "spec/source/path"), path);
    }
}

#[test]
fn applications_watch_folders_that_are_there_in_projects_that_allow_it() {
    let projects = argocd("AppProject");
    for application in argocd("Application") {
        let name = text(&application, "metadata/name");
        let path = text(&application, "spec/source/path");
        assert!(root("manifests").join(path).is_dir(), "{name} watches `{path}`");
        assert_eq!(text(&application, "spec/source/repoURL"), REPOSITORY, "{name}");
        assert_eq!(at(&application, "spec/syncPolicy/automated/selfHeal"), &Value::Bool(true));
        let project = text(&application, "spec/project");
        if project == "default" {
            continue;
        }
        let project = projects.iter().find(|it| text(it, "metadata/name") == project).unwrap();
        let namespace = text(&application, "spec/destination/namespace");
        let destinations = at(project, "spec/destinations").as_sequence().unwrap();
        let allowed = |it: &Value| {
            let pattern = text(it, "namespace");
            pattern.strip_suffix('*').map_or(pattern == namespace, |it| namespace.starts_with(it))
        };
        assert!(destinations.iter().any(allowed), "{name} may not go to `{namespace}`");
    }
}

#[test]
fn projects_allow_what_the_overlays_render_to() {
    let Some(kubectl) = support::peer("kubectl") else { return };
    let projects = argocd("AppProject");
    let shop = projects.iter().find(|it| text(it, "metadata/name") == "shop").unwrap();
    let allowed = at(shop, "spec/namespaceResourceWhitelist").as_sequence().unwrap();
    for (service, environment) in pairs() {
        for object in render(&kubectl, &overlay(service, environment)) {
            let group = text(&object, "apiVersion").rsplit_once('/').map_or("", |it| it.0);
            let kind = text(&object, "kind");
            let listed = |it: &Value| text(it, "group") == group && text(it, "kind") == kind;
            assert!(allowed.iter().any(listed), "`shop` does not allow {kind} of {group:?}");
        }
    }
}

/// Argo CD's own definitions of its kinds lie beside the case collections.
#[test]
fn argocd_objects_are_what_its_definitions_ask_for() {
    let cases =
        std::env::var_os("DEPLOYCTL_CASES").map_or_else(|| root("../shared/cases"), PathBuf::from);
    let folder = cases.join("../testbed/crds");
    if !folder.is_dir() {
        support::skip("Argo CD's definitions are not beside the case collections");
        return;
    }
    for kind in ["Application", "AppProject"] {
        let path = folder.join(format!("{}-crd.yaml", kind.to_lowercase()));
        let definition = &documents(&read(&path), &path)[0];
        let schema = at(definition, "spec/versions/0/schema/openAPIV3Schema");
        let schema = serde_json::to_value(schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for object in argocd(kind) {
            let name = text(&object, "metadata/name");
            let value = serde_json::to_value(&object).unwrap();
            let errors: Vec<_> = validator.iter_errors(&value).map(|it| it.to_string()).collect();
            assert!(errors.is_empty(), "{kind} `{name}`: {errors:?}");
            known_fields(&value, &schema, &format!("{kind} `{name}`"));
        }
    }
}

/// Fails on a field that `schema` does not know; the API server would drop it without a word.
fn known_fields(value: &serde_json::Value, schema: &serde_json::Value, place: &str) {
    if let (Some(fields), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for (field, value) in fields {
            let open = known.is_empty() || place.ends_with(".metadata");
            let schema = known.get(field);
            assert!(open || schema.is_some(), "{place} has no field `{field}`");
            known_fields(value, schema.unwrap_or_default(), &format!("{place}.{field}"));
        }
    }
    for item in value.as_array().into_iter().flatten() {
        known_fields(item, &schema["items"], place);
    }
}

#[test]
fn the_dockerfile_and_the_recipe_start_the_same_program() {
    let path = root("manifests/deployctl.yaml");
    let config = &documents(&read(&path), &path)[0];
    let recipe = at(config, "services/ranking/build/entrypoint").as_sequence().unwrap();
    let dockerfile = read(&root("tests/data/services/ranking/Dockerfile"));
    let line = dockerfile.lines().find_map(|it| it.strip_prefix("ENTRYPOINT ")).unwrap();
    let entrypoint: Vec<Value> = serde_json::from_str(line).unwrap();
    assert_eq!(recipe, &entrypoint);
}
