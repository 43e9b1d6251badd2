//! The rules that deployctl ships, a file for a group, `_` in its name for `*`.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use include_dir::{Dir, include_dir};

use super::rule::{self, Pattern, RuleSet};
use crate::health::Health;
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

/// Returns the health of `object` by the shipped rules, or `None` if none of them holds: those of
/// its very group first, then those of groups with wildcards.
pub(super) fn assess(object: &Object) -> Option<Health> {
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
    use crate::health::HealthStatus;

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
            let unreachable = rule::unreachable(&file.parse().unwrap());
            assert!(unreachable.is_empty(), "{name}: {unreachable:?}");
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
    fn a_kind_of_an_unknown_group_has_no_health() {
        let object = Object::read_first("{apiVersion: example.com/v1, kind: Any}").unwrap();
        assert_eq!(assess(&object), None);
    }
}
