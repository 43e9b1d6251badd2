//! `package-lock.json` and `npm-shrinkwrap.json`, in all three versions.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::package::Package;
use super::{Fault, Listed, from_json};

#[derive(Deserialize)]
struct Lock {
    /// From version 2 on: by path.
    packages: Option<BTreeMap<String, Entry>>,
    /// Version 1, and 2 beside the other: by name, nested.
    #[serde(default)]
    dependencies: BTreeMap<String, Dependency>,
}

#[derive(Deserialize)]
struct Entry {
    name: Option<String>,
    version: Option<String>,
    resolved: Option<String>,
    integrity: Option<String>,
    #[serde(default)]
    dev: bool,
    #[serde(default)]
    link: bool,
}

#[derive(Deserialize)]
struct Dependency {
    version: String,
    resolved: Option<String>,
    integrity: Option<String>,
    #[serde(default)]
    dev: bool,
    #[serde(default)]
    dependencies: BTreeMap<String, Dependency>,
}

pub(super) fn read(text: &str) -> Result<Listed, Fault> {
    let lock: Lock = from_json(text)?;
    let mut listed = Listed::default();
    match &lock.packages {
        Some(packages) => {
            listed.packages.extend(packages.iter().filter_map(|(path, it)| of_path(path, it)));
        }
        None => of_names(&lock.dependencies, &mut listed.packages),
    }
    Ok(listed)
}

/// Returns the package at a path, unless it is the project's own.
fn of_path(path: &str, entry: &Entry) -> Option<Package> {
    let (_, folder) = path.rsplit_once("node_modules/").filter(|_| !entry.link)?;
    let name = entry.name.as_deref().unwrap_or(folder);
    let package = Package::new("npm", name, entry.version.as_deref()?);
    Some(found(package, entry.resolved.as_deref(), entry.integrity.as_deref(), entry.dev))
}

fn of_names(dependencies: &BTreeMap<String, Dependency>, packages: &mut Vec<Package>) {
    for (name, it) in dependencies {
        of_names(&it.dependencies, packages);
        let version = it.version.as_str();
        // `npm:other@1.0.0` is another package under this name.
        let alias = version.strip_prefix("npm:").and_then(|alias| alias.rsplit_once('@'));
        let (name, version) = alias.unwrap_or((name, version));
        if version.starts_with("file:") {
            continue;
        }
        let address = it.resolved.as_deref().unwrap_or(version);
        packages.push(found(
            Package::new("npm", name, version.rsplit_once('#').map_or(version, |(_, it)| it)),
            Some(address),
            it.integrity.as_deref(),
            it.dev,
        ));
    }
}

fn found(package: Package, from: Option<&str>, integrity: Option<&str>, dev: bool) -> Package {
    let package = package.integrity(integrity).dev(dev);
    match from.filter(|from| from.starts_with("git")) {
        Some(from) => {
            let (address, commit) = from.rsplit_once('#').unwrap_or((from, ""));
            package.in_vcs(address, commit)
        }
        None => package,
    }
}
