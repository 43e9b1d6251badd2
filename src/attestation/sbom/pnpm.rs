//! `pnpm-lock.yaml`, from version 5 on.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::package::Package;
use super::{Fault, Listed, from_yaml};

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    resolution: Resolution,
    #[serde(default)]
    dev: bool,
}

#[derive(Default, Deserialize)]
struct Resolution {
    integrity: Option<String>,
    repo: Option<String>,
    commit: Option<String>,
    directory: Option<String>,
}

pub(super) fn read(text: &str) -> Result<Listed, Fault> {
    let lock: Lock = from_yaml(text)?;
    let mut listed = Listed::default();
    for (key, entry) in &lock.packages {
        if entry.resolution.directory.is_some() || key.starts_with("file:") {
            continue;
        }
        let stated = entry.name.as_deref().zip(entry.version.as_deref());
        let Some((name, version)) = stated.or_else(|| split(key)) else {
            listed.unread.push(Fault::new(format!("`{key}` names no version")));
            continue;
        };
        let package = Package::new("npm", name, version).dev(entry.dev);
        let package = package.integrity(entry.resolution.integrity.as_deref());
        let Resolution { repo, commit, .. } = &entry.resolution;
        listed.packages.push(match repo {
            Some(repo) => package.in_vcs(repo, commit.as_deref().unwrap_or_default()),
            None => package,
        });
    }
    Ok(listed)
}

/// Returns name and version of `NAME@VERSION(PEERS)`, `/NAME@VERSION(PEERS)`, or as version 5 has it,
/// `/NAME/VERSION_PEERS`.
fn split(key: &str) -> Option<(&str, &str)> {
    let key = key.split('(').next().unwrap_or_default();
    let path = key.strip_prefix('/').unwrap_or(key);
    let old = path.rsplit_once('/').filter(|(_, version)| is_version(version));
    if let Some((name, version)) = old.filter(|_| key.starts_with('/')) {
        return Some((name, version.split('_').next().unwrap_or_default()));
    }
    let at = path.get(1..)?.find('@')? + 1;
    let (name, version) = (&path[..at], &path[at + 1..]);
    (!version.contains(['/', ':'])).then_some((name, version))
}

fn is_version(text: &str) -> bool {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < text.len() && rest.starts_with('.')
}
