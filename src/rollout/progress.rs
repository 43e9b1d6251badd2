//! What changed between two looks at a rollout.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::k8s::{Object, ObjectId};

use super::{Container, Counts, Snapshot, without_account};

/// A change worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it was seen.
    pub at: Timestamp,
    /// What changed.
    pub change: Change,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The Application's sync status, health or revision.
    Application {
        /// `Synced`, `OutOfSync`, `Unknown`.
        sync: String,
        /// The revision that live objects were compared with.
        revision: String,
        /// The health that Argo CD states.
        health: String,
    },
    /// How far a workload has got.
    Workload {
        /// Which.
        workload: ObjectId,
        /// How far.
        counts: Counts,
    },
    /// A container of the new revision waits for something that is no part of a normal start.
    Waiting {
        /// Its pod.
        pod: ObjectId,
        /// Its name.
        container: String,
        /// For example `ErrImagePull`.
        reason: String,
        /// The kubelet's words.
        message: String,
    },
    /// A container of the new revision was restarted.
    Restarted {
        /// Its pod.
        pod: ObjectId,
        /// Its name.
        container: String,
        /// How often by now.
        restarts: i64,
        /// How it ended the last time.
        exit_code: Option<i64>,
    },
}

/// What was told so far, so that it is not told again.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    application: Option<Change>,
    workloads: BTreeMap<ObjectId, Counts>,
    waiting: BTreeMap<(ObjectId, String), String>,
    restarts: BTreeMap<(ObjectId, String), i64>,
    last_restart: Option<String>,
}

impl Progress {
    /// Returns what is new in `snapshot`, seen at `now`.
    pub fn observe(&mut self, snapshot: &Snapshot, now: Timestamp) -> Vec<Event> {
        let mut changes = Vec::new();
        if let Some(change) = snapshot.application.as_ref().map(application)
            && self.application.as_ref() != Some(&change)
        {
            self.application = Some(change.clone());
            changes.push(change);
        }
        for workload in snapshot.workloads() {
            let (id, counts) = (workload.id(), workload.counts());
            if self.workloads.insert(id.clone(), counts) != Some(counts) {
                changes.push(Change::Workload { workload: id, counts });
            }
            let containers = workload.containers();
            changes.extend(containers.iter().filter_map(|container| self.restart(container)));
            changes.extend(containers.iter().filter_map(|container| self.wait(container)));
        }
        changes.into_iter().map(|change| Event { at: now, change }).collect()
    }

    /// Returns how often containers of the new revision were restarted, by what was seen last.
    pub fn restarts(&self) -> i64 {
        self.restarts.values().sum()
    }

    /// Returns the last restart that was seen, in words.
    pub fn last_restart(&self) -> Option<&str> {
        self.last_restart.as_deref()
    }

    fn restart(&mut self, container: &Container<'_>) -> Option<Change> {
        let (pod, restarts) = (container.pod.id(), container.restarts());
        let before = self.restarts.insert((pod.clone(), container.name.to_owned()), restarts);
        let is_new = restarts > before.unwrap_or(0);
        is_new.then(|| {
            let exit_code = container.terminated().map(|ended| ended.exit_code);
            let code = exit_code.map(|code| format!(" after exit code {code}")).unwrap_or_default();
            let (pod_name, name) = (&pod.name, container.name);
            self.last_restart =
                Some(format!("container `{name}` of pod `{pod_name}` was restarted{code}"));
            Change::Restarted { pod, container: name.to_owned(), restarts, exit_code }
        })
    }

    fn wait(&mut self, container: &Container<'_>) -> Option<Change> {
        let key = (container.pod.id(), container.name.to_owned());
        let waiting = container.waiting().filter(|(reason, _)| !is_normal(reason));
        let Some((reason, message)) = waiting else {
            self.waiting.remove(&key);
            return None;
        };
        if self.waiting.get(&key).is_some_and(|told| told == reason) {
            return None;
        }
        self.waiting.insert(key.clone(), reason.to_owned());
        let (pod, container) = key;
        let (reason, message) = (reason.to_owned(), without_account(message));
        Some(Change::Waiting { pod, container, reason, message })
    }
}

fn is_normal(reason: &str) -> bool {
    matches!(reason, "" | "ContainerCreating" | "PodInitializing")
}

fn application(application: &Object) -> Change {
    let text = |pointer| application.text(pointer).unwrap_or_default().to_owned();
    Change::Application {
        sync: text("/status/sync/status"),
        revision: text("/status/sync/revision"),
        health: text("/status/health/status"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(yaml: &str) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for object in Object::read_all(yaml).unwrap() {
            match object.kind() {
                "Pod" => snapshot.pods.push(object),
                "ReplicaSet" => snapshot.owned.push(object),
                _ => snapshot.objects.push(object),
            }
        }
        snapshot
    }

    #[test]
    fn tells_each_change_once() {
        let before = snapshot(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db, generation: 1, uid: u}\nspec: {replicas: 2}\n\
             status: {observedGeneration: 1, updateRevision: r1, updatedReplicas: 1}\n---\n\
             apiVersion: v1\nkind: Pod\nmetadata: {name: db-0, uid: p, labels: {controller-revision-hash: r1}, ownerReferences: [{uid: u, controller: true}]}\n\
             status: {containerStatuses: [{name: db, restartCount: 1, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 3}}}]}\n",
        );
        let mut progress = Progress::default();
        let told: Vec<_> = progress.observe(&before, Timestamp::UNIX_EPOCH);
        assert_eq!(told.len(), 3, "{told:#?}");
        assert!(matches!(
            told[0].change,
            Change::Workload { counts: Counts { desired: 2, updated: 1, available: 0 }, .. }
        ));
        assert!(matches!(
            told[1].change,
            Change::Restarted { restarts: 1, exit_code: Some(3), .. }
        ));
        assert!(
            matches!(&told[2].change, Change::Waiting { reason, .. } if reason == "CrashLoopBackOff")
        );
        assert_eq!(progress.observe(&before, Timestamp::UNIX_EPOCH), []);
        assert_eq!(progress.restarts(), 1);
    }
}
