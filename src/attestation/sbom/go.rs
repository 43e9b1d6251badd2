//! `go.mod` and `go.sum`.
//!
//! From Go 1.17 on `go.mod` lists every module that takes part. Before, it lists those that are named,
//! and `go.sum` has the others too, and versions that lost.

use std::collections::BTreeMap;

use super::package::Package;
use super::{Fault, Listed, LockFile};

/// Returns whether another of `files` tells better what `file` tells.
pub(super) fn is_told_by_sibling(file: &LockFile, files: &[LockFile]) -> bool {
    let sibling = |name: &str| {
        let path = file.path.with_file_name(name);
        files.iter().find(|other| other.path == path)
    };
    match file.path.file_name() {
        Some("go.sum") => sibling("go.mod").is_some_and(|module| lists_all(&module.text)),
        Some("go.mod") => !lists_all(&file.text) && sibling("go.sum").is_some(),
        _ => false,
    }
}

/// Returns the modules that a `go.mod` requires, as it replaces them.
pub(super) fn read_mod(text: &str) -> Result<Listed, Fault> {
    let mut required: BTreeMap<String, String> = BTreeMap::new();
    let mut replaced = Vec::new();
    for (number, verb, words) in statements(text) {
        match (verb, words.as_slice()) {
            ("require", [module, version]) => {
                required.insert((*module).to_owned(), (*version).to_owned());
            }
            ("require", _) => return Err(Fault::at(number, "expected `require MODULE VERSION`")),
            ("replace", words) => replaced.push((number, words.to_vec())),
            _ => (),
        }
    }
    for (number, words) in replaced {
        replace(&mut required, &words)
            .ok_or_else(|| Fault::at(number, "expected `replace MODULE => MODULE VERSION`"))?;
    }
    let packages = required.iter().map(|(module, version)| Package::new("golang", module, version));
    Ok(Listed { packages: packages.collect(), unread: Vec::new() })
}

/// Returns the modules whose content a `go.sum` knows.
pub(super) fn read_sum(text: &str) -> Result<Listed, Fault> {
    let mut listed = Listed::default();
    for (number, line) in text.lines().enumerate() {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            [] => (),
            [_, version, _] if version.ends_with("/go.mod") => (),
            [module, version, _] => listed.packages.push(Package::new("golang", module, version)),
            _ => return Err(Fault::at(number + 1, "expected `MODULE VERSION HASH`")),
        }
    }
    Ok(listed)
}

/// Replaces a module by another, or by a folder, which is the project's own.
fn replace(required: &mut BTreeMap<String, String>, words: &[&str]) -> Option<()> {
    let arrow = words.iter().position(|word| *word == "=>")?;
    let (module, of_version) = match &words[..arrow] {
        [module] => (*module, None),
        [module, version] => (*module, Some(*version)),
        _ => return None,
    };
    let applies = |version: &String| of_version.is_none_or(|of| of == version);
    if required.get(module).is_some_and(applies) {
        required.remove(module);
        if let [other, version] = &words[arrow + 1..] {
            required.insert((*other).to_owned(), (*version).to_owned());
        }
    }
    Some(())
}

fn lists_all(text: &str) -> bool {
    let version = statements(text).into_iter().find_map(|(_, verb, words)| {
        let (major, rest) = words.first().filter(|_| verb == "go")?.split_once('.')?;
        let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    version.is_some_and(|version| version >= (1, 17))
}

/// Returns line, verb and words of each statement; those in parentheses have the verb before them.
fn statements(text: &str) -> Vec<(usize, &str, Vec<&str>)> {
    let mut statements = Vec::new();
    let mut block = None;
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let words: Vec<_> = code.split_ascii_whitespace().map(|it| it.trim_matches('"')).collect();
        match (block, words.as_slice()) {
            (_, []) => (),
            (Some(_), [")"]) => block = None,
            (None, [verb, "("]) => block = Some(*verb),
            (Some(verb), words) => statements.push((number + 1, verb, words.to_vec())),
            (None, [verb, words @ ..]) => statements.push((number + 1, *verb, words.to_vec())),
        }
    }
    statements
}
