//! An Application as one version of its resource states it.

use jiff::Timestamp;
use serde_json::Value;

use crate::argocd::operation::{object_id, revisions};
use crate::argocd::source::text;
use crate::argocd::{
    ApplicationCondition, ApplicationHealth, ApplicationName, AutoSync, Destination, HistoryEntry,
    HydrateOperation, Hydrator, Operation, OperationState, ResourceStatus, Source, SyncCode,
    SyncStatus,
};
use crate::health::{Health, HealthStatus};
use crate::k8s::Object;

const REFRESH: &str = "argocd.argoproj.io/refresh";
const SKIP_RECONCILE: &str = "argocd.argoproj.io/skip-reconcile";

/// An Application, read from its resource. Everything it says belongs to one resource version.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Application<'a>(&'a Object);

impl<'a> Application<'a> {
    /// Returns the Application, or `None` if `object` is another kind.
    pub fn new(object: &'a Object) -> Option<Self> {
        let is_application = object.group() == "argoproj.io" && object.kind() == "Application";
        is_application.then_some(Self(object))
    }

    /// Returns the resource.
    pub fn object(self) -> &'a Object {
        self.0
    }

    /// Returns its namespace and name.
    pub fn name(self) -> ApplicationName {
        ApplicationName { namespace: self.0.namespace().to_owned(), name: self.0.name().to_owned() }
    }

    /// Returns `spec.project`.
    pub fn project(self) -> &'a str {
        self.0.text("/spec/project").unwrap_or_default()
    }

    /// Returns the sources that Argo CD syncs from, in order. With a hydrator it is what
    /// [`Self::hydrator`] says instead, and there are none here.
    pub fn sources(self) -> Vec<Source<'a>> {
        sources(self.0, "/spec")
    }

    /// Returns the hydrator, or `None` if manifests are synced as they are.
    pub fn hydrator(self) -> Option<Hydrator<'a>> {
        let hydrator = self.0.at("/spec/sourceHydrator")?;
        Some(Hydrator {
            dry_source: Source(hydrator.get("drySource")?),
            sync_branch: hydrator.get("syncSource").map_or("", |s| text(s, "targetBranch")),
            sync_path: hydrator.get("syncSource").map_or("", |s| text(s, "path")),
            staging_branch: hydrator.get("hydrateTo").map_or("", |s| text(s, "targetBranch")),
        })
    }

    /// Returns where the manifests go.
    pub fn destination(self) -> Destination<'a> {
        let field = |name: &str| match self.0.at("/spec/destination") {
            Some(destination) => text(destination, name),
            None => "",
        };
        Destination { server: field("server"), name: field("name"), namespace: field("namespace") }
    }

    /// Returns how it syncs by itself, or `None` if somebody has to ask.
    pub fn auto_sync(self) -> Option<AutoSync> {
        let automated = self.0.at("/spec/syncPolicy/automated")?;
        let flag = |name: &str| automated.get(name).and_then(Value::as_bool);
        (flag("enabled") != Some(false)).then_some(AutoSync {
            prune: flag("prune").unwrap_or_default(),
            self_heal: flag("selfHeal").unwrap_or_default(),
        })
    }

    /// Returns how the live state compares to the sources.
    pub fn sync(self) -> SyncStatus<'a> {
        let code = match self.0.text("/status/sync/status") {
            Some("Synced") => SyncCode::Synced,
            Some("OutOfSync") => SyncCode::OutOfSync,
            _ => SyncCode::Unknown,
        };
        SyncStatus { code, revisions: self.0.at("/status/sync").map(revisions).unwrap_or_default() }
    }

    /// Returns whether the sources and the destination of the last comparison are those that the spec
    /// states now.
    pub fn is_compared_to_its_sources(self) -> bool {
        let compared = sources(self.0, "/status/sync/comparedTo");
        let same_sources = match self.hydrator() {
            // What is compared is made up from the hydrator: its branch, and a path in it.
            Some(hydrator) => compared.iter().all(|source| {
                source.target_revision() == hydrator.sync_branch
                    && source.path() == hydrator.sync_path
            }),
            None => {
                let stated = self.sources();
                stated.len() == compared.len()
                    && stated
                        .iter()
                        .zip(&compared)
                        .all(|(left, right)| left.states_the_same(*right))
            }
        };
        same_sources && self.is_compared_to_its_destination()
    }

    // A cluster may be written down by its name where the spec states the address, or by both.
    fn is_compared_to_its_destination(self) -> bool {
        let Some(compared) = self.0.at("/status/sync/comparedTo/destination") else { return true };
        let stated = self.destination();
        let agrees = |key: &str, stated: &str| {
            let compared = text(compared, key);
            compared.is_empty() || stated.is_empty() || compared == stated
        };
        text(compared, "namespace") == stated.namespace
            && agrees("server", stated.server)
            && agrees("name", stated.name)
    }

    /// Returns the operation that was asked for and has not ended, or `None`.
    pub fn operation(self) -> Option<Operation<'a>> {
        self.0.at("/operation").map(Operation)
    }

    /// Returns the state of the operation that runs or ran last, or `None` if there was none.
    pub fn operation_state(self) -> Option<OperationState<'a>> {
        self.0.at("/status/operationState").map(OperationState)
    }

    /// Returns its health, or `None` if Argo CD has not assessed it.
    pub fn health(self) -> Option<ApplicationHealth> {
        let health = read_health(self.0.at("/status/health")?)?;
        let since = self.0.text("/status/health/lastTransitionTime");
        Some(ApplicationHealth { health, since: since.and_then(|time| time.parse().ok()) })
    }

    /// Returns its conditions in order.
    pub fn conditions(self) -> impl Iterator<Item = ApplicationCondition<'a>> {
        self.0.list("/status/conditions").iter().map(|entry| ApplicationCondition {
            kind: text(entry, "type"),
            message: text(entry, "message"),
            since: text(entry, "lastTransitionTime").parse().ok(),
        })
    }

    /// Returns the objects that it manages.
    pub fn resources(self) -> impl Iterator<Item = ResourceStatus<'a>> {
        let flag = |entry: &Value, key: &str| entry.get(key) == Some(&Value::Bool(true));
        self.0.list("/status/resources").iter().map(move |entry| ResourceStatus {
            id: object_id(entry),
            status: text(entry, "status"),
            health: entry.get("health").and_then(read_health),
            requires_pruning: flag(entry, "requiresPruning"),
            is_hook: flag(entry, "hook"),
        })
    }

    /// Returns its full syncs, oldest first.
    pub fn history(self) -> impl Iterator<Item = HistoryEntry<'a>> {
        self.0.list("/status/history").iter().map(|entry| HistoryEntry {
            id: entry.get("id").and_then(Value::as_i64).unwrap_or_default(),
            revisions: revisions(entry),
            deployed_at: text(entry, "deployedAt").parse().ok(),
            initiator: Operation(entry).initiator(),
        })
    }

    /// Returns when the last comparison started, in whole seconds.
    pub fn reconciled_at(self) -> Option<Timestamp> {
        self.0.text("/status/reconciledAt")?.parse().ok()
    }

    /// Returns the refresh that somebody asked for, `normal` or `hard`, until Argo CD has served it.
    pub fn requested_refresh(self) -> Option<&'a str> {
        self.0.annotation(REFRESH)
    }

    /// Returns whether Argo CD is told to leave it alone, so that its status stays as it is.
    pub fn skips_reconcile(self) -> bool {
        self.0.annotation(SKIP_RECONCILE) == Some("true")
    }

    /// Returns whether its deletion has begun.
    pub fn is_being_deleted(self) -> bool {
        self.0.text("/metadata/deletionTimestamp").is_some()
    }

    /// Returns the hydration that runs or ran last, or `None`.
    pub fn hydration(self) -> Option<HydrateOperation<'a>> {
        self.0.at("/status/sourceHydrator/currentOperation").map(hydrate_operation)
    }

    /// Returns the last commit of the dry source that Argo CD has compared, where it writes it down.
    pub fn last_compared_dry_revision(self) -> Option<&'a str> {
        self.0.text("/status/sourceHydrator/lastComparedDryRevision").filter(|sha| !sha.is_empty())
    }

    /// Returns the namespace that its project and Argo CD's settings are in, where Argo CD says it, else
    /// its own.
    pub fn controller_namespace(self) -> &'a str {
        let stated = self.0.text("/status/controllerNamespace").filter(|name| !name.is_empty());
        stated.unwrap_or_else(|| self.0.namespace())
    }

    /// Returns the name of the object of `kind` that made it, such as an ApplicationSet, or `None`.
    pub fn owner(self, kind: &str) -> Option<&'a str> {
        let mut owners = self.0.list("/metadata/ownerReferences").iter();
        owners.find(|owner| text(owner, "kind") == kind).map(|owner| text(owner, "name"))
    }

    /// Returns the last hydration that ended well, or `None`.
    pub fn last_hydration(self) -> Option<HydrateOperation<'a>> {
        self.0.at("/status/sourceHydrator/lastSuccessfulOperation").map(hydrate_operation)
    }
}

/// `sources` win over `source`, as in Argo CD.
fn sources<'a>(object: &'a Object, below: &str) -> Vec<Source<'a>> {
    match object.list(&format!("{below}/sources")) {
        [] => object.at(&format!("{below}/source")).map(Source).into_iter().collect(),
        several => several.iter().map(Source).collect(),
    }
}

fn read_health(value: &Value) -> Option<Health> {
    HealthStatus::parse(text(value, "status")).map(|status| status.because(text(value, "message")))
}

fn hydrate_operation(value: &Value) -> HydrateOperation<'_> {
    HydrateOperation {
        phase: text(value, "phase"),
        dry_sha: text(value, "drySHA"),
        hydrated_sha: text(value, "hydratedSHA"),
        message: text(value, "message"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(yaml: &str) -> Object {
        let head = "apiVersion: argoproj.io/v1alpha1\nkind: Application\n";
        Object::read_all(&format!("{head}{yaml}")).unwrap().remove(0)
    }

    #[test]
    fn auto_sync_is_off_when_it_is_disabled() {
        let check = |policy: &str, expected: Option<AutoSync>| {
            let object = object(&format!("spec: {{syncPolicy: {policy}}}"));
            assert_eq!(Application::new(&object).unwrap().auto_sync(), expected, "{policy}");
        };
        check("{}", None);
        check("{automated: {enabled: false, prune: true}}", None);
        check("{automated: {}}", Some(AutoSync { prune: false, self_heal: false }));
        check(
            "{automated: {prune: true, selfHeal: true}}",
            Some(AutoSync { prune: true, self_heal: true }),
        );
    }

    #[test]
    fn reads_one_source_and_several() {
        let one = object("spec: {source: {repoURL: a}}\nstatus: {sync: {revision: r}}");
        let one = Application::new(&one).unwrap();
        assert_eq!((one.sources().len(), one.sync().revisions), (1, vec!["r"]));
        let several = object(
            "spec: {sources: [{repoURL: a}, {repoURL: b}]}\nstatus: {sync: {revisions: [r, s]}}",
        );
        let several = Application::new(&several).unwrap();
        assert_eq!((several.sources().len(), several.sync().revisions), (2, vec!["r", "s"]));
    }

    #[test]
    fn is_no_other_kind() {
        let pod = Object::read_all("{apiVersion: v1, kind: Application}").unwrap().remove(0);
        assert!(Application::new(&pod).is_none());
    }
}
