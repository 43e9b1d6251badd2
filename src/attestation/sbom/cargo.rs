//! `Cargo.lock`.

use serde::Deserialize;

use super::package::Package;
use super::{Fault, Listed, from_toml_lock};

#[derive(Deserialize)]
struct Crate {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

/// Returns the crates that come from elsewhere.
pub(super) fn read(text: &str) -> Result<Listed, Fault> {
    from_toml_lock(text, package)
}

/// Returns the crate, unless it is the workspace's own.
fn package(it: &Crate) -> Option<Package> {
    let source = it.source.as_deref()?;
    let package = Package::new("cargo", &it.name, &it.version);
    let package = package.hash("SHA-256", it.checksum.as_deref());
    if let Some(git) = source.strip_prefix("git+") {
        let (address, commit) = git.rsplit_once('#').unwrap_or((git, ""));
        return Some(package.in_vcs(address, commit));
    }
    let registry = source.split_once('+').map_or(source, |(_, address)| address);
    let usual = ["https://github.com/rust-lang/crates.io-index", "https://index.crates.io/"];
    Some(if usual.contains(&registry) { package } else { package.in_registry(registry) })
}
