//! `composer.lock` of PHP's composer.

use serde::Deserialize;

use super::package::Package;
use super::{Fault, Listed, from_json};

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: Vec<Entry>,
    #[serde(default, rename = "packages-dev")]
    dev: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    version: String,
    dist: Option<Dist>,
}

#[derive(Deserialize)]
struct Dist {
    shasum: Option<String>,
    #[serde(rename = "type", default)]
    kind: String,
}

pub(super) fn read(text: &str) -> Result<Listed, Fault> {
    let lock: Lock = from_json(text)?;
    let both = [(&lock.packages, false), (&lock.dev, true)];
    let packages = both.into_iter().flat_map(|(entries, dev)| {
        let installed = entries.iter().filter(|entry| {
            // A path is a folder of the project.
            entry.dist.as_ref().is_none_or(|dist| dist.kind != "path")
        });
        installed.map(move |entry| {
            let hash = entry.dist.as_ref().and_then(|dist| dist.shasum.as_deref());
            Package::new("composer", &entry.name, &entry.version).hash("SHA-1", hash).dev(dev)
        })
    });
    Ok(Listed { packages: packages.collect(), unread: Vec::new() })
}
