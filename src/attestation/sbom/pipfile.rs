//! `Pipfile.lock`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::package::Package;
use super::{Fault, Listed, from_json};

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    default: BTreeMap<String, Entry>,
    #[serde(default)]
    develop: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    version: Option<String>,
    git: Option<String>,
    #[serde(rename = "ref")]
    commit: Option<String>,
    path: Option<String>,
}

pub(super) fn read(text: &str) -> Result<Listed, Fault> {
    let lock: Lock = from_json(text)?;
    let mut listed = Listed::default();
    for (entries, dev) in [(&lock.default, false), (&lock.develop, true)] {
        for (name, entry) in entries.iter().filter(|(_, entry)| entry.path.is_none()) {
            match package(name, entry) {
                Some(package) => listed.packages.push(package.dev(dev)),
                None => listed.unread.push(Fault::new(format!("`{name}` is not pinned"))),
            }
        }
    }
    Ok(listed)
}

fn package(name: &str, entry: &Entry) -> Option<Package> {
    if let Some((git, commit)) = entry.git.as_deref().zip(entry.commit.as_deref()) {
        return Some(Package::new("pypi", name, commit).in_vcs(git, commit));
    }
    let version = entry.version.as_deref()?.strip_prefix("==")?;
    Some(Package::new("pypi", name, version.trim_start_matches('=')))
}
