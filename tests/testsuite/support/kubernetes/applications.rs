//! Argo CD's custom resources: their definitions, and Applications as Argo CD writes them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ControlPlane;

/// Argo's kinds. Where Argo CD's own definitions are not at hand, and for Argo Rollouts', this stands for
/// them; like theirs these have no status subresource, so that each write of a status is a new generation.
const KINDS: [(&str, &str); 5] = [
    ("Application", "applications"),
    ("ApplicationSet", "applicationsets"),
    ("AppProject", "appprojects"),
    ("Rollout", "rollouts"),
    ("AnalysisRun", "analysisruns"),
];

fn definition((kind, plural): (&str, &str)) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.argoproj.io}}
spec:
  group: argoproj.io
  scope: Namespaced
  names: {{kind: {kind}, plural: {plural}}}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"
    )
}

/// Returns the files with Argo CD's own definitions, which are kept beside the shared cases, and with
/// minimal ones of what else there is, which are written to `home`.
pub(super) fn definitions(home: &Path) -> Vec<PathBuf> {
    let cases = std::env::var_os("DEPLOYCTL_CASES").map(PathBuf::from);
    let folder = cases.map(|cases| cases.join("../testbed/crds")).unwrap_or_default();
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = files.map(|file| file.path()).collect();
    let is_there = |(kind, _): &(&str, &str)| {
        let name = format!("{}-crd.yaml", kind.to_lowercase());
        files.iter().any(|file| file.file_name().is_some_and(|file| *file == *name))
    };
    let own: Vec<_> = KINDS.into_iter().filter(|kind| !is_there(kind)).collect();
    for (kind, plural) in own {
        files.push(home.join(format!("{plural}.yaml")));
        std::fs::write(files.last().unwrap(), definition((kind, plural))).unwrap();
    }
    files
}

impl ControlPlane {
    /// Writes an Application whole, its status too, as Argo CD does: the resource has no status
    /// subresource.
    ///
    /// # Panics
    ///
    /// Panics if the API server refuses it, but for a conflict.
    pub(crate) fn write_application(&self, yaml: &str) {
        let mut object: Value = serde_yaml::from_str(yaml).unwrap();
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let Some(before) = self.application(&namespace, &name) else {
            let created = self.api().create(&path(&namespace, ""), &object);
            return created.unwrap_or_else(|error| panic!("can't create {object}: {error}"));
        };
        object["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
        self.replace_application(&object);
    }

    /// Returns the Application as it is now.
    pub(crate) fn application(&self, namespace: &str, name: &str) -> Option<Value> {
        self.api().get(&path(namespace, name))
    }

    /// Writes `object` in the place of the version that it was made from, and returns whether that
    /// was still the newest.
    ///
    /// # Panics
    ///
    /// Panics if the API server refuses it for another reason.
    pub(crate) fn replace_application(&self, object: &Value) -> bool {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap();
        let path = path(text("/metadata/namespace"), text("/metadata/name"));
        match self.api().replace(&path, object) {
            Ok(()) => true,
            Err(error) if error.contains("the object has been modified") => false,
            Err(error) => panic!("can't write {object}: {error}"),
        }
    }
}

fn path(namespace: &str, name: &str) -> String {
    let all = format!("/apis/argoproj.io/v1alpha1/namespaces/{namespace}/applications");
    if name.is_empty() { all } else { format!("{all}/{name}") }
}
