//! A PersistentVolumeClaim has lost its volume, or gets none.

use super::{CauseKind, Evidence, Gravity, RootCause, Weight};
use crate::k8s::Object;
use crate::rollout::Snapshot;

pub(super) fn find(object: &Object, snapshot: &Snapshot) -> Option<RootCause> {
    if (object.group(), object.kind()) != ("", "PersistentVolumeClaim") {
        return None;
    }
    match object.text("/status/phase")? {
        "Lost" => Some(lost(object)),
        "Pending" => pending(object, snapshot),
        _ => None,
    }
}

fn lost(claim: &Object) -> RootCause {
    let volume = claim.text("/spec/volumeName").unwrap_or("?");
    let summary = format!("claim `{}` has lost its volume `{volume}`", claim.name());
    let weight = Weight::new(
        Gravity::NOW,
        "a claim whose volume is gone is never bound again",
        "Restore the data into a new claim: delete this one (its volume no longer exists) and let it be made anew",
    );
    let evidence = vec![Evidence::of_object(claim, "Lost", &format!("volume {volume}"))];
    RootCause::new(CauseKind::VolumeClaim, claim.id(), &summary, weight, evidence)
}

// A claim may wait for its first pod, which is no trouble and a Normal event.
fn pending(claim: &Object, snapshot: &Snapshot) -> Option<RootCause> {
    let event = snapshot.warnings_about(claim).next()?;
    let evidence = Evidence::of_event(claim, event);
    let missing = evidence.message.contains("not found");
    let weight = match missing {
        true => Weight::new(
            Gravity::after(60),
            "the storage class comes only if somebody makes it",
            "Correct `storageClassName`: `kubectl get storageclass` lists what there is",
        ),
        false => Weight::new(
            Gravity::Transient,
            "the provisioner tries again",
            "Look at the log of the storage class's provisioner, and at the storage's own quota",
        ),
    };
    let summary = format!("claim `{}` gets no volume: {}", claim.name(), evidence.message);
    let all = vec![evidence];
    Some(RootCause::new(CauseKind::VolumeClaim, claim.id(), &summary, weight, all))
}
