//! `uv.lock`.

use serde::Deserialize;

use super::package::Package;
use super::{Fault, Listed, from_toml_lock};

#[derive(Deserialize)]
struct Entry {
    name: String,
    version: Option<String>,
    #[serde(default)]
    source: Source,
}

/// Where a package comes from; what is none of these is a folder of the project.
#[derive(Default, Deserialize)]
struct Source {
    registry: Option<String>,
    git: Option<String>,
    url: Option<String>,
}

pub(super) fn read(text: &str) -> Result<Listed, Fault> {
    from_toml_lock(text, package)
}

fn package(it: &Entry) -> Option<Package> {
    let package = Package::new("pypi", &it.name, it.version.as_deref()?);
    let Source { registry, git, url } = &it.source;
    if let Some(git) = git {
        let (address, commit) = git.rsplit_once('#').unwrap_or((git, ""));
        return Some(package.in_vcs(address, commit));
    }
    match registry.as_deref() {
        Some("https://pypi.org/simple") => Some(package),
        // A folder with packages is on the machine of who locked it only.
        Some(registry) if registry.contains("://") => Some(package.in_registry(registry)),
        Some(_) => Some(package),
        None => url.as_ref().map(|_| package),
    }
}
