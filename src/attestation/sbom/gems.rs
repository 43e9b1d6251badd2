//! `Gemfile.lock` of bundler.

use super::package::Package;
use super::{Fault, Listed};

/// Where the gems of a section come from.
enum Section {
    Gems,
    Git {
        remote: String,
        revision: String,
    },
    /// The project's own, and what is no gem.
    Other,
}

pub(super) fn read(text: &str) -> Result<Listed, Fault> {
    let mut listed = Listed::default();
    let mut section = Section::Other;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with(['<', '=', '>']) {
            return Err(Fault::at(number + 1, "it has a merge conflict in it"));
        }
        if !line.starts_with(' ') {
            section = match line.trim_end() {
                "GEM" => Section::Gems,
                "GIT" => Section::Git { remote: String::new(), revision: String::new() },
                _ => Section::Other,
            };
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        match (&mut section, indent) {
            (Section::Git { remote, revision }, 2) => match line.trim().split_once(": ") {
                Some(("remote", value)) => value.clone_into(remote),
                Some(("revision", value)) => value.clone_into(revision),
                _ => (),
            },
            // Six spaces: what a gem depends on.
            (Section::Gems | Section::Git { .. }, 4) => {
                let gem =
                    gem(line).ok_or_else(|| Fault::at(number + 1, "expected `NAME (VERSION)`"));
                let gem = gem?;
                listed.packages.push(match &section {
                    Section::Git { remote, revision } => gem.in_vcs(remote, revision),
                    Section::Gems | Section::Other => gem,
                });
            }
            _ => (),
        }
    }
    Ok(listed)
}

fn gem(line: &str) -> Option<Package> {
    let (name, version) = line.trim().strip_suffix(')')?.split_once(" (")?;
    // A version has no hyphen: what follows one is the platform.
    let version = version.split('-').next().unwrap_or_default();
    Some(Package::new("gem", name, version))
}
