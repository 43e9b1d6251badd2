//! The container images that objects run.

use serde_json::Value;

use super::{Object, ObjectId};

/// A container of a pod template, and its image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodImage {
    /// The object with the template.
    pub object: ObjectId,
    /// The container's name.
    pub container: String,
    /// Whether it is one of `initContainers`.
    pub is_init: bool,
    /// Its image, as it is written.
    pub image: String,
}

/// Where kinds of objects have their pod template's `spec`; any kind may, so CRDs count too.
const TEMPLATES: [&str; 3] =
    ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec", "/template/spec"];

/// Returns the images of all containers of pods and pod templates among `objects`, in order, each
/// template's `initContainers` before its `containers`.
pub fn pod_images(objects: &[Object]) -> Vec<PodImage> {
    objects.iter().flat_map(images_of).collect()
}

fn images_of(object: &Object) -> Vec<PodImage> {
    let is_pod = object.kind() == "Pod" && object.group().is_empty();
    let places = is_pod.then_some("/spec").into_iter().chain(TEMPLATES);
    let lists = places.flat_map(|place| {
        [("initContainers", true), ("containers", false)]
            .map(|(list, is_init)| (format!("{place}/{list}"), is_init))
    });
    let mut images = Vec::new();
    for (pointer, is_init) in lists {
        images.extend(object.list(&pointer).iter().filter_map(|container| {
            let text = |key: &str| container.get(key).and_then(Value::as_str);
            Some(PodImage {
                object: object.id(),
                container: text("name").unwrap_or_default().to_owned(),
                is_init,
                image: text("image")?.to_owned(),
            })
        }));
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_pod_template_counts() {
        let yaml = "
{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: a, image: i1}]}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {template: {spec: {
  containers: [{name: b, image: i3}, {name: none}], initContainers: [{name: c, image: i2}]}}}}
---
{apiVersion: batch/v1, kind: CronJob, metadata: {name: c}, spec: {jobTemplate: {spec: {template: {spec: {
  containers: [{name: d, image: i4}]}}}}}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, spec: {containers: [{name: e, image: i5}]}}
";
        let images = pod_images(&Object::read_all(yaml).unwrap());
        let found: Vec<_> = images
            .iter()
            .map(|i| (i.object.name.as_str(), i.container.as_str(), i.image.as_str()))
            .collect();
        let expected = [("p", "a", "i1"), ("d", "c", "i2"), ("d", "b", "i3"), ("c", "d", "i4")];
        assert_eq!(found, expected);
        assert!(images[1].is_init);
    }
}
