//! A Service selects no pod, or waits for the address of a load balancer.

use serde_json::{Map, Value};

use super::{CauseKind, Evidence, Gravity, RootCause, Weight};
use crate::k8s::Object;
use crate::rollout::Snapshot;

pub(super) fn find(object: &Object, snapshot: &Snapshot) -> Option<RootCause> {
    if (object.group(), object.kind()) != ("", "Service") {
        return None;
    }
    unselective(object, snapshot).or_else(|| without_address(object, snapshot))
}

// A Service may well select pods of somebody else, so the template that it nearly fits has to be here:
// one that has a key of the selector, with another value.
fn unselective(service: &Object, snapshot: &Snapshot) -> Option<RootCause> {
    let selector = service.at("/spec/selector")?.as_object().filter(|map| !map.is_empty())?;
    let neighbours: Vec<&Object> = snapshot
        .workloads()
        .map(|workload| workload.object())
        .filter(|workload| workload.namespace() == service.namespace())
        .collect();
    if neighbours.iter().any(|workload| labels(workload).is_some_and(|l| fits(selector, l))) {
        return None;
    }
    let (workload, key, wanted, found) = neighbours.iter().find_map(|workload| {
        let labels = labels(workload)?;
        let (key, wanted) = selector.iter().find(|(key, _)| labels.contains_key(*key))?;
        let differs = labels.get(key) != Some(wanted);
        let (key, wanted) = match differs {
            true => (key, wanted),
            false => selector.iter().find(|(key, value)| labels.get(*key) != Some(value))?,
        };
        Some((workload, key, wanted, labels.get(key)))
    })?;
    let (kind, name) = (workload.kind(), workload.name());
    let wanted = wanted.as_str().unwrap_or_default();
    let has = match found.and_then(Value::as_str) {
        Some(value) => format!("`{key}={value}`"),
        None => format!("no label `{key}`"),
    };
    let summary = format!(
        "Service `{}` selects `{key}={wanted}`, and the pods of {kind} `{name}` have {has}",
        service.name()
    );
    let weight = Weight::new(
        Gravity::Transient,
        "pods of another application may have these labels",
        "Let the Service's `selector` and the labels of the pod template agree: as it is, nothing answers behind the Service",
    );
    let evidence = vec![
        Evidence::of_object(service, "Selector", &format!("{key}={wanted}")),
        Evidence::of_object(workload, "Labels", &has),
    ];
    Some(RootCause::new(CauseKind::Service, service.id(), &summary, weight, evidence))
}

fn labels(workload: &Object) -> Option<&Map<String, Value>> {
    let place = if workload.kind() == "Pod" {
        "/metadata/labels"
    } else {
        "/spec/template/metadata/labels"
    };
    workload.at(place)?.as_object()
}

fn fits(selector: &Map<String, Value>, labels: &Map<String, Value>) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

fn without_address(service: &Object, snapshot: &Snapshot) -> Option<RootCause> {
    let waits = service.text("/spec/type") == Some("LoadBalancer")
        && service.list("/status/loadBalancer/ingress").is_empty()
        && service.list("/spec/externalIPs").is_empty();
    waits.then(|| {
        let mut evidence = vec![Evidence::of_object(service, "NoAddress", "status.loadBalancer is empty")];
        evidence.extend(Evidence::of_warnings(snapshot, service));
        let said = evidence.get(1).map(|event| format!(": {}", event.message)).unwrap_or_default();
        let summary = format!("load balancer of Service `{}` has no address{said}", service.name());
        let weight = Weight::new(
            Gravity::Transient,
            "a load balancer takes minutes to come",
            "Look whether the cluster has a controller for Services of type LoadBalancer, and at its events; Argo CD waits for the address for ever",
        );
        RootCause::new(CauseKind::Service, service.id(), &summary, weight, evidence)
    })
}
