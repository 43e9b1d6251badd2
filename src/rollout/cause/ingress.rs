//! An Ingress has no address: no controller feels responsible for it.

use super::{CauseKind, Evidence, Gravity, RootCause, Weight};
use crate::k8s::Object;
use crate::rollout::Snapshot;

pub(super) fn find(object: &Object, snapshot: &Snapshot) -> Option<RootCause> {
    let is_ingress =
        matches!((object.group(), object.kind()), ("networking.k8s.io" | "extensions", "Ingress"));
    if !is_ingress || !object.list("/status/loadBalancer/ingress").is_empty() {
        return None;
    }
    let class = object
        .text("/spec/ingressClassName")
        .or_else(|| object.annotation("kubernetes.io/ingress.class"));
    let of_class =
        class.map_or("it names no class".to_owned(), |class| format!("its class is `{class}`"));
    let summary = format!("Ingress `{}` has no address ({of_class})", object.name());
    let mut evidence =
        vec![Evidence::of_object(object, "NoAddress", "status.loadBalancer is empty")];
    evidence.extend(Evidence::of_warnings(snapshot, object));
    let weight = Weight::new(
        Gravity::Transient,
        "its controller may still give it one",
        "Check that a controller serves that class (`kubectl get ingressclass`) and publishes its address; Argo CD waits for the address for ever",
    );
    Some(RootCause::new(CauseKind::Ingress, object.id(), &summary, weight, evidence))
}
