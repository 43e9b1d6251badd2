//! The rules that deployctl ships, a file for a group, `_` in its name for `*`.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use include_dir::{Dir, include_dir};

use super::rule::{self, Pattern, RuleSet};
use crate::health::{Health, HealthStatus};
use crate::k8s::Object;
use crate::yaml::{self, Invalid};

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/health/native/rules");

static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

/// The shipped files: those of one group by its name, and those with a wildcard in order.
struct Table {
    exact: HashMap<&'static str, ShippedFile>,
    wildcards: Vec<(Pattern, ShippedFile)>,
}

/// A shipped file, parsed when it is asked for.
struct ShippedFile {
    path: &'static str,
    text: &'static str,
    sets: OnceLock<Vec<RuleSet>>,
}

/// Kinds whose controllers leave an old `observedGeneration` behind although all is done.
const OBSERVED_LATE: [(&str, &str); 2] =
    [("kafka.strimzi.io", "KafkaBridge"), ("kafka.strimzi.io", "KafkaConnector")];

/// Returns the health of `object` by the shipped rules, or `None` if none of them holds: those of
/// its very group first, then those of groups with wildcards. What a controller says about an older
/// spec is no proof that this one is healthy.
pub(super) fn assess(object: &Object) -> Option<Health> {
    let health = by_rows(object)?;
    let is_late = health.status == HealthStatus::Healthy && is_unobserved(object);
    let waiting =
        || HealthStatus::Progressing.because("Waiting for the spec update to be observed");
    Some(if is_late { waiting() } else { health })
}

/// Returns whether the status says that it is about an older spec: itself, or else all of those
/// conditions that say which one they are about.
fn is_unobserved(object: &Object) -> bool {
    if OBSERVED_LATE.contains(&(object.group(), object.kind())) {
        return false;
    }
    let conditions = object.list("/status/conditions").iter();
    let of_conditions = conditions.filter_map(|entry| entry.get("observedGeneration")?.as_i64());
    let observed = object.integer("/status/observedGeneration").or(of_conditions.max());
    observed.zip(object.integer("/metadata/generation")).is_some_and(|(old, new)| old < new)
}

fn by_rows(object: &Object) -> Option<Health> {
    let group = object.group();
    let exact = TABLE.exact.get(group);
    let wildcards = TABLE.wildcards.iter().filter(|(pattern, _)| pattern.matches(group));
    let mut files = exact.into_iter().chain(wildcards.map(|(_, file)| file));
    files.find_map(|file| rule::assess(file.sets(), object))
}

impl Table {
    fn new() -> Self {
        let mut table = Self { exact: HashMap::new(), wildcards: Vec::new() };
        for (name, file) in files() {
            match name.contains('_') {
                true => table.wildcards.push((Pattern::new(name.replace('_', "*")), file)),
                false => {
                    table.exact.insert(name, file);
                }
            }
        }
        table
    }
}

impl ShippedFile {
    fn sets(&self) -> &[RuleSet] {
        self.sets.get_or_init(|| self.parse().expect("a test parses every shipped file"))
    }

    fn parse(&self) -> Result<Vec<RuleSet>, Invalid> {
        yaml::decode(self.path.into(), self.text)
    }
}

/// Returns the shipped files in the order of their names, which are groups.
fn files() -> impl Iterator<Item = (&'static str, ShippedFile)> {
    FILES.files().filter_map(|file| {
        let path = file.path().to_str()?;
        let text = file.contents_utf8()?;
        let name = path.strip_suffix(".yaml")?;
        Some((name, ShippedFile { path, text, sets: OnceLock::new() }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is healthy as soon as it is there: kinds that no controller reports on, and schedules whose
    /// time has not come.
    const WITHOUT_STATUS: &[&str] = &[
        "_.crossplane.io/*ProviderConfig",
        "_.crossplane.io/*ProviderConfigUsage",
        "_.crossplane.io/Composition",
        "_.crossplane.io/CompositionRevision",
        "_.crossplane.io/ControllerConfig",
        "_.crossplane.io/DeploymentRuntimeConfig",
        "_.crossplane.io/EnvironmentConfig",
        "_.crossplane.io/ImageConfig",
        "_.crossplane.io/StoreConfig",
        "_.upbound.io/*ProviderConfig",
        "_.upbound.io/*ProviderConfigUsage",
        "_.upbound.io/StoreConfig",
        "argoproj.io/CronWorkflow",
        "batch/CronJob",
        "microgateway.airlock.com/*",
    ];

    #[test]
    fn every_file_parses_and_is_of_the_groups_in_its_name() {
        for (name, file) in files() {
            let group = Pattern::new(name.replace('_', "*"));
            let sets = file.parse().unwrap_or_else(|error| panic!("{error}"));
            for set in &sets {
                assert!(
                    group.matches(&set.group().to_string()),
                    "{name} has rules for another group"
                );
            }
        }
    }

    #[test]
    fn every_row_can_be_reached() {
        for (name, file) in files() {
            let sets: Vec<RuleSet> = file.parse().unwrap();
            for (index, set) in sets.iter().enumerate() {
                assert_eq!(rule::unreachable(&sets[..index], set), None, "{name}");
            }
        }
    }

    #[test]
    fn nothing_is_healthy_before_its_controller_has_spoken() {
        let mut healthy = Vec::new();
        for (name, file) in files() {
            for set in file.parse().unwrap() {
                for kind in set.kinds() {
                    let spoken = ["{}", "{conditions: [{type: Ready, status: Unknown}]}"];
                    if spoken.iter().any(|status| is_healthy(set.group(), kind, status)) {
                        healthy.push(format!("{name}/{kind}"));
                    }
                }
            }
        }
        healthy.sort();
        healthy.dedup();
        assert_eq!(healthy, WITHOUT_STATUS);
    }

    fn is_healthy(group: &Pattern, kind: &Pattern, status: &str) -> bool {
        let (group, kind) = (group.to_string(), kind.to_string());
        let [group, kind] = [group, kind].map(|pattern| pattern.replace('*', "Any"));
        let object = format!("{{apiVersion: {group}/v1, kind: {kind}, status: {status}}}");
        let health = assess(&Object::read_first(&object).unwrap());
        health.is_some_and(|health| health.status == HealthStatus::Healthy)
    }

    #[test]
    fn what_is_said_about_an_older_spec_is_no_proof_of_health() {
        let judged = |kind: &str, status: &str| {
            let metadata = "metadata: {name: x, generation: 2}";
            let yaml = format!("{{apiVersion: {kind}, {metadata}, status: {status}}}");
            assess(&Object::read_first(&yaml).unwrap()).unwrap().status
        };
        for (kind, status) in [
            (
                "addons.cluster.x-k8s.io/v1, kind: ClusterResourceSet",
                "conditions: [{type: ResourcesApplied, status: 'True'}]",
            ),
            ("beat.k8s.elastic.co/v1, kind: Beat", "health: green"),
            ("bitnami.com/v1, kind: SealedSecret", "conditions: [{type: Synced, status: 'True'}]"),
            ("cluster.x-k8s.io/v1, kind: Machine", "phase: Running"),
            ("cluster.x-k8s.io/v1, kind: MachinePool", "phase: Running"),
            ("acid.zalan.do/v1, kind: postgresql", "PostgresClusterStatus: Running"),
        ] {
            for (observed, expected) in [
                (1, HealthStatus::Progressing),
                (2, HealthStatus::Healthy),
                (3, HealthStatus::Healthy),
            ] {
                let status = format!("{{observedGeneration: {observed}, {status}}}");
                assert_eq!(judged(kind, &status), expected, "{kind} {observed}");
            }
            assert_eq!(judged(kind, &format!("{{{status}}}")), HealthStatus::Healthy, "{kind}");
        }
        let certificate = |ready: u32, other: u32| {
            let conditions = format!(
                "{{conditions: [{{type: Ready, status: 'True', observedGeneration: {ready}}}, {{type: X, status: 'False', observedGeneration: {other}}}]}}"
            );
            judged("cert-manager.io/v1, kind: Certificate", &conditions)
        };
        assert_eq!(certificate(1, 1), HealthStatus::Progressing);
        assert_eq!(certificate(1, 2), HealthStatus::Healthy);
        let connector = "{observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]}";
        let kind = "kafka.strimzi.io/v1, kind: KafkaConnector";
        assert_eq!(judged(kind, connector), HealthStatus::Healthy);
    }

    #[test]
    fn what_is_under_way_or_stuck_beside_a_good_state_is_not_healthy() {
        let judged = |kind: &str, status: &str| {
            let yaml = format!("{{apiVersion: {kind}, status: {status}}}");
            assess(&Object::read_first(&yaml).unwrap()).unwrap().status
        };
        let conditions = |entries: &[(&str, &str)]| {
            let entries = entries
                .iter()
                .map(|(kind, status)| format!("{{type: {kind}, status: '{status}'}}"));
            entries.collect::<Vec<_>>().join(", ")
        };
        let with = |more: &str, entries: &[(&str, &str)]| {
            format!("{{{more}conditions: [{}]}}", conditions(entries))
        };
        let bucket = "s3.aws.crossplane.io/v1, kind: Bucket";
        let flux = "kustomize.toolkit.fluxcd.io/v1, kind: Kustomization";
        let machine = "cluster.x-k8s.io/v1, kind: Machine";
        let confluent = "platform.confluent.io/v1, kind: Kafka";
        let binding = "work.karmada.io/v1, kind: ResourceBinding";
        let applied = "aggregatedStatus: [{applied: true, health: Healthy}], ";
        for (kind, status, expected) in [
            (
                bucket,
                with("", &[("Synced", "Unknown"), ("Ready", "True")]),
                HealthStatus::Progressing,
            ),
            (bucket, with("", &[("Synced", "True"), ("Ready", "True")]), HealthStatus::Healthy),
            (
                flux,
                with("", &[("Reconciling", "True"), ("Ready", "True")]),
                HealthStatus::Progressing,
            ),
            (flux, with("", &[("Stalled", "True"), ("Ready", "True")]), HealthStatus::Degraded),
            (
                flux,
                with("", &[("Reconciling", "True"), ("Ready", "False")]),
                HealthStatus::Degraded,
            ),
            (machine, with("phase: Running, ", &[("Ready", "Unknown")]), HealthStatus::Progressing),
            (
                machine,
                with("phase: Running, ", &[("Ready", "True"), ("NodeHealthy", "False")]),
                HealthStatus::Progressing,
            ),
            (
                confluent,
                with("phase: RUNNING, ", &[("platform.confluent.io/rolling", "True")]),
                HealthStatus::Progressing,
            ),
            (binding, with(applied, &[("FullyApplied", "Unknown")]), HealthStatus::Progressing),
            (
                "minio.min.io/v2, kind: Tenant",
                "{currentState: Initialized, healthStatus: red}".to_owned(),
                HealthStatus::Degraded,
            ),
            (
                "ceph.rook.io/v1, kind: CephCluster",
                "{state: Created, phase: Failure, ceph: {health: HEALTH_OK}}".to_owned(),
                HealthStatus::Degraded,
            ),
            (
                "apps.3scale.net/v1, kind: APIManager",
                with("", &[("Available", "True"), ("Preflights", "False")]),
                HealthStatus::Degraded,
            ),
        ] {
            assert_eq!(judged(kind, &status), expected, "{kind} {status}");
        }
    }

    #[test]
    fn a_kind_of_an_unknown_group_has_no_health() {
        let object = Object::read_first("{apiVersion: example.com/v1, kind: Any}").unwrap();
        assert_eq!(assess(&object), None);
    }
}
