//! `requirements*.txt` of pip: a lock file as far as it pins versions.

use super::package::Package;
use super::{Fault, Listed};

pub(super) fn read(text: &str) -> Result<Listed, Fault> {
    let mut listed = Listed::default();
    for (number, line) in logical_lines(text) {
        match requirement(&line) {
            Requirement::None => (),
            Requirement::Pinned(package) => listed.packages.push(package),
            Requirement::Unread(reason) => listed.unread.push(Fault::at(number, reason)),
        }
    }
    Ok(listed)
}

enum Requirement {
    None,
    Pinned(Package),
    Unread(String),
}

/// Returns lines without comments, those that end with a backslash joined; each with its number.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in text.lines().enumerate() {
        let is_comment = line.trim_start().starts_with('#');
        let code = line.split(" #").next().filter(|_| !is_comment).unwrap_or_default();
        let (code, more) = match code.trim_end().strip_suffix('\\') {
            Some(code) => (code, true),
            None => (code, false),
        };
        match lines.last_mut().filter(|_| goes_on) {
            Some((_, last)) => last.push_str(code),
            None => lines.push((number + 1, code.to_owned())),
        }
        goes_on = more;
    }
    lines
}

fn requirement(line: &str) -> Requirement {
    let line = line.trim();
    if line.starts_with('-') {
        return option(line);
    }
    let Some(what) = line.split(" --").next().and_then(|it| it.split(';').next()) else {
        return Requirement::None;
    };
    let what = what.trim();
    if what.is_empty() {
        return Requirement::None;
    }
    if let Some((name, address)) = what.split_once(" @ ") {
        return of_address(name, address.trim());
    }
    let Some((name, version)) = what.split_once("==") else {
        return Requirement::Unread(format!("`{what}` is not pinned; expected `NAME==VERSION`"));
    };
    let version = version.trim_start_matches('=').trim();
    if version.is_empty() || version.contains(['*', ',', '<', '>', '!', '~', ' ']) {
        return Requirement::Unread(format!("`{what}` is not pinned to one version"));
    }
    Requirement::Pinned(Package::new("pypi", without_extras(name), version))
}

fn option(line: &str) -> Requirement {
    let word = line.split([' ', '=']).next().unwrap_or_default();
    match word {
        "-e" | "--editable" => Requirement::Unread("an editable package is not read".to_owned()),
        // The other file is read by its own name, if it is in the context.
        _ => Requirement::None,
    }
}

fn of_address(name: &str, address: &str) -> Requirement {
    let name = without_extras(name);
    let Some(git) = address.strip_prefix("git+") else {
        return Requirement::Unread(format!("`{name}` comes from an address, not by its version"));
    };
    let git = git.split('#').next().unwrap_or_default();
    // The first `@` may be that of a user.
    match git.rsplit_once('@').filter(|(_, commit)| !commit.contains('/')) {
        Some((address, commit)) => {
            Requirement::Pinned(Package::new("pypi", name, commit).in_vcs(address, commit))
        }
        None => Requirement::Unread(format!("`{name}` is pinned to no commit")),
    }
}

fn without_extras(name: &str) -> &str {
    name.split('[').next().unwrap_or_default().trim()
}
