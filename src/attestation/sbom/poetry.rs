//! `poetry.lock`.

use serde::Deserialize;

use super::package::Package;
use super::{Fault, Listed, from_toml_lock};

#[derive(Deserialize)]
struct Entry {
    name: String,
    version: String,
    /// Until poetry 1.5.
    category: Option<String>,
    /// From poetry 2.0 on.
    groups: Option<Vec<String>>,
    source: Option<Source>,
}

#[derive(Deserialize)]
struct Source {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    url: String,
    resolved_reference: Option<String>,
}

pub(super) fn read(text: &str) -> Result<Listed, Fault> {
    from_toml_lock(text, package)
}

fn package(it: &Entry) -> Option<Package> {
    let by_group = it.groups.as_ref().map(|groups| !groups.iter().any(|group| group == "main"));
    let dev = by_group.unwrap_or_else(|| it.category.as_deref() == Some("dev"));
    let package = Package::new("pypi", &it.name, &it.version).dev(dev);
    let Some(source) = &it.source else { return Some(package) };
    match source.kind.as_deref() {
        Some("directory" | "file") => None,
        Some("git") => {
            let commit = source.resolved_reference.as_deref().unwrap_or_default();
            Some(package.in_vcs(&source.url, commit))
        }
        Some("url") => Some(package),
        _ => Some(package.in_registry(&source.url)),
    }
}
