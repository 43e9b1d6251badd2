//! What was there before anybody looked.

use std::collections::BTreeSet;

use crate::k8s::Object;

use super::Snapshot;

/// The events that were there when a verification began.
///
/// A Deployment or a StatefulSet outlives its revisions, so that an old event about it may be about an
/// old one. Pods and ReplicaSets belong to one revision, and events about them always count.
#[derive(Debug, Clone, Default)]
pub struct Past(BTreeSet<(String, i64, String)>);

impl Past {
    /// Returns the events of the first look.
    pub fn of(first: &Snapshot) -> Self {
        Self(first.events.iter().map(said).collect())
    }

    /// Takes out of `snapshot` what is older than the first look. An event that was repeated since is
    /// new.
    pub fn leave_out(&self, snapshot: &mut Snapshot) {
        let lasting = snapshot.objects.iter().filter(|object| object.kind() != "Pod");
        let lasting: BTreeSet<String> = lasting.map(|object| object.uid().to_owned()).collect();
        snapshot.events.retain(|event| {
            let about = event.text("/involvedObject/uid").unwrap_or_default();
            !lasting.contains(about) || !self.0.contains(&said(event))
        });
    }
}

fn said(event: &Object) -> (String, i64, String) {
    let count = event.integer("/series/count").or_else(|| event.integer("/count"));
    let last = event.text("/series/lastObservedTime").or_else(|| event.text("/lastTimestamp"));
    (event.uid().to_owned(), count.unwrap_or(1), last.unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_event_about_what_lasts_counts_once_it_is_repeated() {
        let event = |uid: &str, about: &str, count: u32| {
            format!(
                "---\n{{apiVersion: v1, kind: Event, metadata: {{uid: {uid}}}, count: {count}, involvedObject: {{uid: {about}}}}}\n"
            )
        };
        let snapshot = |events: &str| Snapshot {
            objects: Object::read_all(
                "{apiVersion: apps/v1, kind: StatefulSet, metadata: {uid: s}}",
            )
            .unwrap(),
            events: Object::read_all(events).unwrap(),
            ..Snapshot::default()
        };
        let first = event("a", "s", 3) + &event("b", "s", 1) + &event("c", "pod", 1);
        let past = Past::of(&snapshot(&first));
        let mut now = snapshot(&(event("a", "s", 3) + &event("b", "s", 2) + &event("c", "pod", 1)));
        past.leave_out(&mut now);
        let left: Vec<_> = now.events.iter().map(Object::uid).collect();
        assert_eq!(left, ["b", "c"]);
    }
}
