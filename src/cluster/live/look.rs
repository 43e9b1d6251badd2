//! One look at a cluster: from a scope to its objects, and from them to their pods and events.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::{join_all, try_join, try_join_all};
use tokio::sync::Notify;

use super::Live;
use super::api::{Kind, Selector};
use super::feeds::Answer;
use super::scope::{Wanted, or, wanted};
use super::selector::{LabelSelector, Want};
use crate::argocd::{Application, SyncCode};
use crate::cluster::{ClusterError, Scope};
use crate::k8s::Object;
use crate::rollout::{ArgoRollout, Snapshot};

/// Where a look gets its objects from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// From what the watches hold.
    Held,
    /// From the API server, which answers with its newest.
    Direct,
}

/// One look.
pub(super) struct Look<'a> {
    pub(super) live: &'a Live,
    pub(super) source: Source,
    /// Whom to tell when what was seen changes.
    pub(super) news: &'a Arc<Notify>,
}

/// Of the events that are no warnings only the autoscaler's tell something.
const EVENTS: [&str; 2] = ["type=Warning", "reason=TriggeredScaleUp"];

impl Look<'_> {
    /// Returns what of `scope` is there.
    ///
    /// # Errors
    ///
    /// Fails if something of it can't be known now.
    pub(super) async fn snapshot(&self, scope: &Scope) -> Result<Snapshot, ClusterError> {
        let mut snapshot = Snapshot::default();
        if let Some(name) = &scope.application {
            let answer = self.ask(name.into(), Want::Named(name.name.clone())).await?;
            snapshot.application = answer.objects.into_iter().next();
            snapshot.unread.extend(answer.note);
            self.around_application(&mut snapshot).await?;
        }
        let (application, live) = (snapshot.application.as_ref(), self.live);
        match wanted(scope, application, live.server(), live.namespace()) {
            Ok(wanted) => {
                self.objects(&wanted, &mut snapshot).await?;
                self.below(&mut snapshot).await?;
            }
            Err(elsewhere) => snapshot.unread.push(elsewhere),
        }
        // A role that may not read events is no reason not to judge the objects.
        match self.events(&mut snapshot).await {
            Err(error @ ClusterError::Denied { .. }) => snapshot.unread.push(error.to_string()),
            result => result?,
        }
        live.logs.add(&live.api, &mut snapshot).await;
        let mut told = BTreeSet::new();
        snapshot.unread.retain(|note| told.insert(note.clone()));
        Ok(snapshot)
    }

    /// Reads what says whether an Application that is not in sync will ever be: its project and, if
    /// nothing else syncs it, the ApplicationSet that made it.
    async fn around_application(&self, snapshot: &mut Snapshot) -> Result<(), ClusterError> {
        let Some(object) = snapshot.application.clone() else { return Ok(()) };
        let Some(application) = Application::new(&object) else { return Ok(()) };
        if application.sync().code == SyncCode::Synced {
            return Ok(());
        }
        let project = or(application.project(), "default");
        let namespace = application.controller_namespace();
        let unread = &mut snapshot.unread;
        let project = Want::Named(project);
        let found = self.if_allowed("AppProject", namespace, project, unread).await?;
        snapshot.project = found.into_iter().next();
        let set = application.owner("ApplicationSet");
        if let (Some(set), None) = (set, application.auto_sync()) {
            let namespace = application.object().namespace();
            let set = Want::Named(set.to_owned());
            let found = self.if_allowed("ApplicationSet", namespace, set, unread).await?;
            snapshot.application_set = found.into_iter().next();
        }
        Ok(())
    }

    /// Returns objects of Argo's, or none if they are not there or a role leaves them out.
    async fn if_allowed(
        &self,
        kind: &str,
        namespace: &str,
        want: Want,
        unread: &mut Vec<String>,
    ) -> Result<Vec<Object>, ClusterError> {
        let kind = Kind { api_version: "argoproj.io/v1alpha1", kind, namespace };
        match self.ask(kind, want).await {
            Ok(answer) => Ok(answer.objects),
            Err(error @ (ClusterError::Denied { .. } | ClusterError::UnknownKind { .. })) => {
                unread.push(error.to_string());
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    // A kind that the cluster does not know is told and passed over: its CRD may come with this very
    // rollout.
    async fn objects(
        &self,
        wanted: &[Wanted],
        snapshot: &mut Snapshot,
    ) -> Result<(), ClusterError> {
        let find = |wanted: &Wanted| {
            let Wanted { api_version, kind, namespace, name } = wanted.clone();
            async move {
                let kind = Kind { api_version: &api_version, kind: &kind, namespace: &namespace };
                self.ask(kind, Want::Named(name)).await
            }
        };
        let found: Vec<_> = wanted.iter().map(find).collect();
        for answer in join_all(found).await {
            match answer {
                Ok(answer) => {
                    snapshot.objects.extend(answer.objects);
                    snapshot.unread.extend(answer.note);
                }
                Err(unknown @ ClusterError::UnknownKind { .. }) => {
                    snapshot.unread.push(unknown.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn below(&self, snapshot: &mut Snapshot) -> Result<(), ClusterError> {
        let workloads: Vec<_> = snapshot.objects.iter().filter(|o| runs_pods(o)).collect();
        let found = try_join_all(workloads.into_iter().map(|workload| self.pods(workload))).await?;
        let runs = self.analyses(snapshot).await?;
        snapshot.owned.extend(runs);
        for (sets, pods) in found {
            snapshot.owned.extend(sets);
            snapshot.pods.extend(pods);
        }
        let bare = snapshot.objects.iter().filter(|o| o.kind() == "Pod" && o.group().is_empty());
        snapshot.pods.extend(bare.cloned());
        Ok(())
    }

    /// Returns the AnalysisRuns that Rollouts name in their status, and those that one was aborted for,
    /// which a canary's status names no more.
    async fn analyses(&self, snapshot: &mut Snapshot) -> Result<Vec<Object>, ClusterError> {
        let rollouts = snapshot.objects.iter().filter_map(ArgoRollout::new);
        let wanted: Vec<(String, Want)> = rollouts
            .flat_map(|rollout| {
                let mut wanted: Vec<_> =
                    rollout.analyses().map(|run| Want::Named(run.name.to_owned())).collect();
                let labels = format!("rollouts-pod-template-hash={}", rollout.current_hash());
                let of_revision = LabelSelector::parse(&labels)
                    .filter(|_| wanted.is_empty() && rollout.blames_analysis().is_some());
                wanted.extend(of_revision.map(Want::Labelled));
                let namespace = rollout.object().namespace();
                wanted.into_iter().map(|want| (namespace.to_owned(), want))
            })
            .collect();
        let mut runs = Vec::new();
        for (namespace, want) in wanted {
            let unread = &mut snapshot.unread;
            runs.extend(self.if_allowed("AnalysisRun", &namespace, want, unread).await?);
        }
        Ok(runs)
    }

    /// Returns the ReplicaSets of a workload, if it has such, and its pods.
    async fn pods(&self, workload: &Object) -> Result<(Vec<Object>, Vec<Object>), ClusterError> {
        let sets = async {
            match workload.kind() {
                "Deployment" | "Rollout" => self.selected(workload, "apps/v1", "ReplicaSet").await,
                _ => Ok(Vec::new()),
            }
        };
        let (mut sets, mut pods) = try_join(sets, self.selected(workload, "v1", "Pod")).await?;
        sets.retain(|set| set.controller_uid() == Some(workload.uid()));
        let mut owners = BTreeSet::from([workload.uid()]);
        owners.extend(sets.iter().map(Object::uid));
        pods.retain(|pod| pod.controller_uid().is_some_and(|uid| owners.contains(uid)));
        Ok((sets, pods))
    }

    async fn selected(
        &self,
        workload: &Object,
        api_version: &str,
        kind: &str,
    ) -> Result<Vec<Object>, ClusterError> {
        let stated = workload.at("/spec/selector").and_then(LabelSelector::read);
        // A Rollout that takes its template from elsewhere has its selector in its status.
        let own = || workload.text("/status/selector").and_then(LabelSelector::parse);
        let Some(labels) = stated.or_else(own) else { return Ok(Vec::new()) };
        let kind = Kind { api_version, kind, namespace: workload.namespace() };
        Ok(self.ask(kind, Want::Labelled(labels)).await?.objects)
    }

    async fn events(&self, snapshot: &mut Snapshot) -> Result<(), ClusterError> {
        let all = || snapshot.objects.iter().chain(&snapshot.owned).chain(&snapshot.pods);
        let uids: BTreeSet<_> = all().map(Object::uid).collect();
        let namespaces: BTreeSet<_> =
            all().map(Object::namespace).filter(|namespace| !namespace.is_empty()).collect();
        let of = |namespace, fields| {
            let kind = Kind { api_version: "v1", kind: "Event", namespace };
            self.live.feeds.ask(kind, Some(fields), Want::All, self.news)
        };
        let topics = namespaces.iter().flat_map(|namespace| EVENTS.map(|f| of(*namespace, f)));
        let answers = try_join_all(topics).await?;
        let mut events: Vec<_> = answers.into_iter().flat_map(|answer| answer.objects).collect();
        events.retain(|event| {
            event.text("/involvedObject/uid").is_some_and(|uid| uids.contains(uid))
        });
        events.sort_by(|a, b| last_seen(a).cmp(last_seen(b)));
        snapshot.events = events;
        Ok(())
    }

    async fn ask(&self, kind: Kind<'_>, want: Want) -> Result<Answer, ClusterError> {
        let api = &self.live.api;
        let objects = match (self.source, want) {
            (Source::Held, want) => return self.live.feeds.ask(kind, None, want, self.news).await,
            (Source::Direct, Want::Named(name)) => {
                api.get(kind, &name).await?.into_iter().collect()
            }
            (Source::Direct, want) => {
                let labels = match &want {
                    Want::Labelled(selector) => Some(selector.to_string()),
                    _ => None,
                };
                api.list(kind, &Selector { labels, fields: None }, |_| true).await?.objects
            }
        };
        Ok(Answer { objects, note: None })
    }
}

fn runs_pods(object: &Object) -> bool {
    matches!(
        (object.group(), object.kind()),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
            | ("batch", "Job")
            | ("argoproj.io", "Rollout")
    )
}

// RFC 3339 in UTC, as the API server writes it, sorts as text.
fn last_seen(event: &Object) -> &str {
    let fields = ["/lastTimestamp", "/series/lastObservedTime", "/eventTime"];
    let seen = fields.into_iter().find_map(|field| event.text(field));
    seen.or_else(|| event.text("/metadata/creationTimestamp")).unwrap_or_default()
}
