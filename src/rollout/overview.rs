//! A rollout at one look, as small as a person can take it in.

use crate::k8s::{Object, ObjectId};

use super::{Container, Counts, Snapshot, Workload};

/// What of a rollout is worth showing while it goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// What Argo CD says, where it is asked.
    pub application: Option<ApplicationOverview>,
    /// The scope's workloads, in order.
    pub workloads: Vec<WorkloadOverview>,
}

/// What Argo CD says about an Application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationOverview {
    /// Which.
    pub application: ObjectId,
    /// `Synced`, `OutOfSync`, `Unknown`; empty before the first comparison.
    pub sync: String,
    /// The revision that live objects were compared with; the first one of several.
    pub revision: String,
    /// The health that Argo CD states.
    pub health: String,
}

/// How far a workload has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadOverview {
    /// Which.
    pub workload: ObjectId,
    /// How far.
    pub counts: Counts,
    /// The containers of the new revision that wait for something or were restarted.
    pub troubled: Vec<ContainerOverview>,
}

/// A container that does not simply run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerOverview {
    /// Its pod's name.
    pub pod: String,
    /// Its name.
    pub container: String,
    /// What it waits for, for example `ImagePullBackOff`; empty if it runs.
    pub waiting: String,
    /// How often it was restarted.
    pub restarts: i64,
}

impl WorkloadOverview {
    /// Returns whether all of the new revision is there.
    pub fn is_complete(&self) -> bool {
        self.counts.available >= self.counts.desired && self.counts.updated >= self.counts.desired
    }
}

impl Overview {
    /// Returns what is worth showing of `snapshot`.
    pub fn of(snapshot: &Snapshot) -> Self {
        Self {
            application: snapshot.application.as_ref().map(application),
            workloads: snapshot.workloads().map(|workload| overview(&workload)).collect(),
        }
    }
}

fn application(object: &Object) -> ApplicationOverview {
    let text = |pointer| object.text(pointer).unwrap_or_default().to_owned();
    let of_several = || text("/status/sync/revisions/0");
    let revision = Some(text("/status/sync/revision")).filter(|revision| !revision.is_empty());
    ApplicationOverview {
        application: object.id(),
        sync: text("/status/sync/status"),
        revision: revision.unwrap_or_else(of_several),
        health: text("/status/health/status"),
    }
}

fn overview(workload: &Workload<'_>) -> WorkloadOverview {
    let containers = workload.containers();
    WorkloadOverview {
        workload: workload.id(),
        counts: workload.counts(),
        troubled: containers.iter().filter_map(troubled).collect(),
    }
}

fn troubled(container: &Container<'_>) -> Option<ContainerOverview> {
    let waiting = container.waiting().map(|(reason, _)| reason.to_owned()).unwrap_or_default();
    let restarts = container.restarts();
    let (pod, name) = (container.pod.name().to_owned(), container.name.to_owned());
    (restarts > 0 || !waiting.is_empty()).then_some(ContainerOverview {
        pod,
        container: name,
        waiting,
        restarts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_only_the_containers_that_do_not_simply_run() {
        let yaml = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db, generation: 1, uid: u}\nspec: {replicas: 2}\n\
             status: {observedGeneration: 1, updateRevision: r1, updatedReplicas: 2}\n---\n\
             apiVersion: v1\nkind: Pod\nmetadata: {name: db-0, uid: p, labels: {controller-revision-hash: r1}, ownerReferences: [{uid: u, controller: true}]}\n\
             status: {containerStatuses: [{name: db, restartCount: 0, state: {running: {}}}, {name: log, restartCount: 3, state: {waiting: {reason: CrashLoopBackOff}}}]}\n";
        let mut objects = Object::read_all(yaml).unwrap();
        let pods = objects.split_off(1);
        let overview = Overview::of(&Snapshot { objects, pods, ..Snapshot::default() });
        let [db] = &*overview.workloads else { panic!("{overview:#?}") };
        assert!(!db.is_complete());
        let [log] = &*db.troubled else { panic!("{overview:#?}") };
        assert_eq!((log.container.as_str(), log.restarts), ("log", 3));
        assert_eq!(log.waiting, "CrashLoopBackOff");
    }
}
