//! An object that runs pods, and which of its pods belong to the revision that is rolled out.

use serde_json::Value;

use crate::k8s::{Object, ObjectId};

use super::{ArgoRollout, Container, Snapshot};

/// A Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or Pod of a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Workload<'a> {
    object: &'a Object,
    snapshot: &'a Snapshot,
}

/// How far a workload's new revision has got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many pods there shall be.
    pub desired: i64,
    /// How many there are of the new revision.
    pub updated: i64,
    /// How many of those are available; for a Job, how many have succeeded.
    pub available: i64,
}

impl<'a> Workload<'a> {
    /// Returns `object` as a workload, or `None` if its kind runs no pods.
    pub fn new(object: &'a Object, snapshot: &'a Snapshot) -> Option<Self> {
        let runs_pods = matches!(
            (object.group(), object.kind()),
            ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
                | ("batch", "Job")
                | ("argoproj.io", "Rollout")
                | ("", "Pod")
        );
        runs_pods.then_some(Self { object, snapshot })
    }

    /// Returns the object.
    pub fn object(&self) -> &'a Object {
        self.object
    }

    /// Returns the snapshot that the workload is seen in.
    pub fn snapshot(&self) -> &'a Snapshot {
        self.snapshot
    }

    /// Returns which object it is.
    pub fn id(&self) -> ObjectId {
        self.object.id()
    }

    /// Returns whether its controller has seen the present spec. A status older than the spec tells
    /// nothing about the new revision.
    pub fn is_observed(&self) -> bool {
        if let Some(rollout) = ArgoRollout::new(self.object) {
            return rollout.is_observed();
        }
        let counts_generations = self.object.group() == "apps";
        let observed = self.object.integer("/status/observedGeneration").unwrap_or(0);
        let generation = self.object.integer("/metadata/generation").unwrap_or(0);
        !counts_generations || observed >= generation
    }

    /// Returns the ReplicaSet of the new revision, or `None` if the workload has none (yet).
    pub fn current_replica_set(&self) -> Option<&'a Object> {
        let owned = |set: &&Object| set.controller_uid() == Some(self.object.uid());
        let sets =
            self.snapshot.owned.iter().filter(owned).filter(|set| set.kind() == "ReplicaSet");
        if let Some(rollout) = ArgoRollout::new(self.object) {
            let hash = Some(rollout.current_hash()).filter(|hash| !hash.is_empty())?;
            let mut sets = sets.filter(|_| rollout.is_observed());
            return sets.find(|set| set.label("rollouts-pod-template-hash") == Some(hash));
        }
        // The deployment controller gives the ReplicaSet of the present template the highest
        // revision, after a rollback to an old template too.
        sets.max_by_key(|set| revision(set)).filter(|_| self.is_observed())
    }

    /// Returns all its pods, those of old revisions too.
    pub fn pods(&self) -> Vec<&'a Object> {
        let mut owners: Vec<&str> = vec![self.object.uid()];
        let owned = self.snapshot.owned.iter();
        owners.extend(
            owned.filter(|set| set.controller_uid() == Some(self.object.uid())).map(Object::uid),
        );
        let is_own = |pod: &&Object| {
            pod.uid() == self.object.uid()
                || pod.controller_uid().is_some_and(|uid| owners.contains(&uid))
        };
        self.snapshot.pods.iter().filter(is_own).collect()
    }

    /// Returns the pods of the new revision that are not on their way out.
    pub fn current_pods(&self) -> Vec<&'a Object> {
        let set = self.current_replica_set().map(Object::uid);
        let is_current = |pod: &&Object| match self.object.kind() {
            "Deployment" | "Rollout" => set.is_some() && pod.controller_uid() == set,
            "StatefulSet" => {
                let revision = self.object.text("/status/updateRevision");
                self.is_observed() && pod.label("controller-revision-hash") == revision
            }
            "DaemonSet" => self.is_observed() && self.is_of_current_template(pod),
            _ => true,
        };
        let stays = |pod: &&Object| pod.at("/metadata/deletionTimestamp").is_none();
        self.pods().into_iter().filter(stays).filter(is_current).collect()
    }

    /// Returns the pods that stay although they are not of the new revision.
    pub fn old_pods(&self) -> Vec<&'a Object> {
        let current = self.current_pods();
        self.pods().into_iter().filter(|pod| !current.contains(pod)).collect()
    }

    /// Returns whether it is a StatefulSet whose controller updates a pod only while all others are
    /// ready.
    pub fn goes_one_by_one(&self) -> bool {
        let text = |pointer| self.object.text(pointer);
        self.object.kind() == "StatefulSet"
            && text("/spec/podManagementPolicy") != Some("Parallel")
            && text("/spec/updateStrategy/type") != Some("OnDelete")
    }

    /// Returns the ordinal below which a StatefulSet's pods keep the old revision on purpose.
    pub fn partition(&self) -> i64 {
        self.object.integer("/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0)
    }

    /// Returns the names of the containers in its pod template and the image that each states, init
    /// containers first.
    pub fn images(&self) -> Vec<(&'a str, &'a str)> {
        let spec = if self.object.kind() == "Pod" { "/spec" } else { "/spec/template/spec" };
        // A Rollout may take its template from a Deployment; its ReplicaSet then has it.
        let is_elsewhere = self.object.at("/spec/workloadRef").is_some();
        let object = self.current_replica_set().filter(|_| is_elsewhere).unwrap_or(self.object);
        images(object, spec)
    }

    /// Returns how far the new revision has got.
    pub fn counts(&self) -> Counts {
        let number = |pointer: &str| self.object.integer(pointer).unwrap_or(0);
        let spec = |pointer: &str| self.object.integer(pointer).unwrap_or(1);
        let set = self.current_replica_set();
        let counts = match self.object.kind() {
            "Deployment" | "Rollout" => Counts {
                desired: spec("/spec/replicas"),
                updated: number("/status/updatedReplicas"),
                available: set.and_then(|s| s.integer("/status/availableReplicas")).unwrap_or(0),
            },
            "StatefulSet" => Counts {
                desired: spec("/spec/replicas"),
                updated: number("/status/updatedReplicas"),
                available: ready(&self.current_pods()),
            },
            "DaemonSet" => Counts {
                desired: number("/status/desiredNumberScheduled"),
                updated: number("/status/updatedNumberScheduled"),
                available: number("/status/numberAvailable"),
            },
            "ReplicaSet" => Counts {
                desired: spec("/spec/replicas"),
                updated: number("/status/replicas"),
                available: number("/status/availableReplicas"),
            },
            "Job" => Counts {
                desired: spec("/spec/completions"),
                updated: number("/status/active") + number("/status/succeeded"),
                available: number("/status/succeeded"),
            },
            _ => Counts { desired: 1, updated: 1, available: ready(&self.current_pods()) },
        };
        if self.is_observed() {
            counts
        } else {
            Counts { desired: counts.desired, ..<_>::default() }
        }
    }

    // Pods of a DaemonSet carry the number of the template that made them; a DaemonSet that keeps no
    // such number is told by the images.
    fn is_of_current_template(&self, pod: &Object) -> bool {
        match self.object.annotation("deprecated.daemonset.template.generation") {
            Some(generation) => pod.label("pod-template-generation") == Some(generation),
            None => images(pod, "/spec") == self.images(),
        }
    }
}

/// Returns whether the pod's condition `Ready` holds.
pub(super) fn is_ready(pod: &Object) -> bool {
    pod.conditions().any(|condition| condition.kind == "Ready" && condition.status == "True")
}

fn ready(pods: &[&Object]) -> i64 {
    i64::try_from(pods.iter().filter(|pod| is_ready(pod)).count()).unwrap_or(i64::MAX)
}

fn revision(set: &Object) -> i64 {
    let text = set.annotation("deployment.kubernetes.io/revision");
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn images<'a>(object: &'a Object, spec: &str) -> Vec<(&'a str, &'a str)> {
    let of = |key: &str| {
        let text = |value: &'a Value, key: &str| value.get(key).and_then(Value::as_str);
        let list = object.list(&format!("{spec}/{key}")).iter();
        list.filter_map(move |c| Some((text(c, "name")?, text(c, "image")?)))
    };
    of("initContainers").chain(of("containers")).collect()
}

impl<'a> Workload<'a> {
    /// Returns the containers of the new revision's pods, init containers first.
    pub fn containers(&self) -> Vec<Container<'a>> {
        self.current_pods().into_iter().flat_map(Container::of_pod).collect()
    }
}
