//! `yarn.lock`: the form of yarn 1, which is yarn's own, and that of yarn 2 and later, which is YAML.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::package::Package;
use super::{Fault, Listed, from_yaml};

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    #[serde(rename_all = "camelCase")]
    Resolved {
        version: String,
        resolution: String,
    },
    Other(serde::de::IgnoredAny),
}

pub(super) fn read(text: &str) -> Result<Listed, Fault> {
    let is_yaml = text.lines().any(|line| line.starts_with("__metadata:"));
    if is_yaml { read_yaml(text) } else { read_classic(text) }
}

fn read_yaml(text: &str) -> Result<Listed, Fault> {
    let entries: BTreeMap<String, Entry> = from_yaml(text)?;
    let mut packages = Vec::new();
    for entry in entries.values() {
        let Entry::Resolved { version, resolution } = entry else { continue };
        let Some((name, from)) = split(resolution) else { continue };
        let package = Package::new("npm", name, version);
        // A workspace is the project's own, a link is a folder.
        match from.split_once(':') {
            Some(("workspace" | "link" | "portal" | "file", _)) => (),
            Some(("npm" | "patch", _)) | None => packages.push(package),
            Some(_) => {
                let (address, commit) = from.rsplit_once("#commit=").unwrap_or((from, ""));
                packages.push(package.in_vcs(address, commit));
            }
        }
    }
    Ok(Listed { packages, unread: Vec::new() })
}

fn read_classic(text: &str) -> Result<Listed, Fault> {
    let mut listed = Listed::default();
    let mut name: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if !line.starts_with(' ') {
            let first = line.trim_end_matches(':').split(',').next().unwrap_or_default();
            let parts = split(first.trim_matches('"'));
            let (own, range) =
                parts.ok_or_else(|| Fault::at(number + 1, "expected `NAME@RANGE:`"))?;
            let alias = range.strip_prefix("npm:").and_then(split).map(|(name, _)| name);
            name = Some(alias.unwrap_or(own).to_owned());
            continue;
        }
        // Two spaces: what is said about the package; more: what it depends on.
        let said = line.strip_prefix("  ").filter(|said| !said.starts_with(' '));
        let Some((key, value)) = said.and_then(|said| said.split_once(' ')) else { continue };
        let value = value.trim_matches('"');
        match key {
            "version" => {
                let no_name = || Fault::at(number + 1, "a version stands without a package");
                let name = name.take().ok_or_else(no_name)?;
                listed.packages.push(Package::new("npm", &name, value));
            }
            "resolved" if value.starts_with("git") => {
                let (address, commit) = value.rsplit_once('#').unwrap_or((value, ""));
                replace_last(&mut listed, |package| package.in_vcs(address, commit));
            }
            "integrity" => replace_last(&mut listed, |package| package.integrity(Some(value))),
            _ => (),
        }
    }
    Ok(listed)
}

fn replace_last(listed: &mut Listed, change: impl FnOnce(Package) -> Package) {
    if let Some(package) = listed.packages.pop() {
        listed.packages.push(change(package));
    }
}

/// Returns name and range of `NAME@RANGE`; a name may begin with `@`.
fn split(descriptor: &str) -> Option<(&str, &str)> {
    let at = descriptor.get(1..)?.find('@')? + 1;
    Some((&descriptor[..at], &descriptor[at + 1..]))
}
