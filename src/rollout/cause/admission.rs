//! The API server does not admit the pods: quota, limits, pod security, an admission webhook, a
//! missing service account.

use super::{CauseKind, Evidence, Gravity, RootCause, Weight};
use crate::k8s::Object;
use crate::rollout::Workload;

/// A refusal: its words, why it stays (or not), what to do.
struct Refusal {
    words: &'static [&'static str],
    gravity: Gravity,
    because: &'static str,
    advice: &'static str,
}

/// A webhook or a quota that is just being changed refuses for a moment.
const STAYS: Gravity = Gravity::after(10);

/// The first match counts.
const REFUSALS: &[Refusal] = &[
    Refusal {
        words: &["failed calling webhook", "context deadline exceeded", "connection refused"],
        gravity: Gravity::Transient,
        because: "the webhook did not answer, and the controller tries again",
        advice: "Look at the pods behind the webhook's Service; its `failurePolicy` decides what happens while they are away",
    },
    Refusal {
        words: &["exceeded quota", "failed quota", "must specify limits", "must specify requests"],
        gravity: STAYS,
        because: "the quota stays until it is raised or something else in the namespace goes",
        advice: "Raise the ResourceQuota, lower the pods' requests and limits, or free what is used: `kubectl describe resourcequota` shows it",
    },
    Refusal {
        words: &["violates podsecurity", "podsecuritypolicy", "security context constraint"],
        gravity: STAYS,
        because: "the namespace's pod security level refuses this template each time",
        advice: "Set what the message lists in the template's `securityContext`, or the namespace's label `pod-security.kubernetes.io/enforce`",
    },
    Refusal {
        words: &["serviceaccount", "service account"],
        gravity: Gravity::after(30),
        because: "the service account comes only if somebody makes it",
        advice: "Make the ServiceAccount in the pods' namespace, or correct `serviceAccountName`",
    },
    Refusal {
        words: &["denied the request"],
        gravity: STAYS,
        because: "the webhook refuses this template each time",
        advice: "Do what the policy behind the webhook asks for, or have it make an exception",
    },
    Refusal {
        words: &["priorityclass"],
        gravity: Gravity::after(30),
        because: "the priority class comes only if somebody makes it",
        advice: "Make the PriorityClass, or correct `priorityClassName`",
    },
    Refusal {
        words: &["minimum ", "maximum ", "limitrange"],
        gravity: STAYS,
        because: "the namespace's limits stay until somebody changes them",
        advice: "Set requests and limits within the namespace's LimitRange: `kubectl describe limitrange` shows it",
    },
    Refusal {
        words: &["is invalid", "forbidden"],
        gravity: STAYS,
        because: "the API server refuses this template each time",
        advice: "Correct the field that the message names",
    },
];

pub(super) fn find(workload: &Workload<'_>) -> Option<RootCause> {
    let creator = workload.current_replica_set().unwrap_or(workload.object());
    let evidence = evidence(workload, creator)?;
    let text = evidence.message.to_ascii_lowercase();
    let known =
        REFUSALS.iter().find(|refusal| refusal.words.iter().any(|word| text.contains(word)));
    let weight = known.map_or_else(
        || {
            Weight::new(
                Gravity::Transient,
                "the controller tries again",
                "Read the message: it is the API server's own",
            )
        },
        |refusal| Weight::new(refusal.gravity, refusal.because, refusal.advice),
    );
    let summary = format!("`{}` may not create its pods: {}", creator.name(), evidence.message);
    Some(RootCause::new(CauseKind::Admission, workload.id(), &summary, weight, vec![evidence]))
}

fn evidence(workload: &Workload<'_>, creator: &Object) -> Option<Evidence> {
    let failed = |object: &Object| {
        let fails = object.conditions().find(|c| c.kind == "ReplicaFailure" && c.status == "True");
        fails.map(|condition| Evidence::of_object(object, condition.reason, condition.message))
    };
    // The Deployment repeats what its ReplicaSet says, of the old one too.
    let of_condition = failed(creator);
    // StatefulSets, DaemonSets and Jobs have no such condition, only the event.
    let lacks_pods = || (workload.current_pods().len() as i64) < workload.counts().desired;
    let snapshot = workload.snapshot();
    let of_event = || {
        let mut warnings = snapshot.warnings_about(creator);
        let event = warnings.find(|event| event.text("/reason") == Some("FailedCreate"))?;
        Some(Evidence::of_event(creator, event))
    };
    let by_event = workload.object().kind() != "Deployment" && workload.is_observed();
    of_condition.or_else(|| if by_event && lacks_pods() { of_event() } else { None })
}
