//! The arrows between the rooms of `src`, held by reading the paths that the sources name.
//!
//! A violation is reported as `file:line: what it says`, so an arrow that is turned round is found
//! where it was drawn.

mod paths;

use std::fmt::Write as _;
use std::path::Path;

use paths::paths;

use crate::support::data::files_below;

const BACKENDS: &[&str] = &["registry", "git", "github", "build", "cluster", "render", "config"];
const NOUNS: &[&str] = &[
    "image",
    "tags",
    "attestation",
    "kustomize",
    "k8s",
    "lint",
    "health",
    "argocd",
    "rollout",
    "promotion",
    "pipeline",
    "target",
];
const GROUND: &[&str] = &["yaml", "system"];

/// Returns the rooms that `room` may name besides itself.
fn allowed(room: &str) -> Vec<&'static str> {
    match room {
        "cli" => [&["report", "ops"], BACKENDS, NOUNS, GROUND].concat(),
        "report" => [&["ops"], NOUNS, GROUND].concat(),
        "ops" => [BACKENDS, NOUNS, GROUND].concat(),
        _ if BACKENDS.contains(&room) => [NOUNS, GROUND].concat(),
        _ if NOUNS.contains(&room) => [NOUNS, &["yaml"]].concat(),
        _ if GROUND.contains(&room) => Vec::new(),
        _ => panic!("`src/{room}` is in no layer; add it to this test and to src/lib.rs"),
    }
}

/// A source file below `src`.
struct Source {
    /// `src/image/tag.rs`
    file: String,
    /// `image`; empty for `src/main.rs` and `src/lib.rs`.
    room: String,
    /// How many modules deep it is: 1 for `src/image/mod.rs`, 2 for `src/image/tag.rs`.
    depth: usize,
    text: String,
}

impl Source {
    fn new(file: &str, text: &str) -> Self {
        let inside = file.strip_prefix("src/").unwrap();
        let parts: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
        let modules = parts.iter().filter(|part| !["mod", "lib", "main"].contains(*part)).count();
        let room = if modules == 0 { "" } else { parts[0] };
        Self { file: file.into(), room: room.into(), depth: modules, text: text.into() }
    }

    /// The line from which on the file is tests.
    fn tests_from(&self) -> usize {
        let lines: Vec<&str> = self.text.lines().collect();
        let module = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ");
        lines.windows(2).position(module).map_or(usize::MAX, |at| at + 1)
    }

    /// Returns the rooms that this file names from the crate's root, with the line of each.
    fn rooms_named(&self) -> Vec<(usize, String)> {
        let tests = self.tests_from();
        let named = paths(&self.text).into_iter().filter_map(|path| {
            let depth = self.depth + usize::from(path.line >= tests);
            let supers = path.segments.iter().take_while(|segment| *segment == "super").count();
            let room = match path.segments.first()?.as_str() {
                "crate" => path.segments.get(1)?,
                "super" if supers >= depth => path.segments.get(supers)?,
                _ => return None,
            };
            Some((path.line, room.clone()))
        });
        named.collect()
    }

    /// Returns where code, tests aside, names a path that has `forbidden` in it.
    fn naming(&self, forbidden: &[&str]) -> Vec<String> {
        let tests = self.tests_from();
        let code = paths(&self.text).into_iter().filter(|path| path.line < tests);
        let bad = code.filter_map(|path| {
            let name = path.segments.join("::");
            let around = format!("::{name}::");
            let hit = forbidden.iter().any(|it| around.contains(&format!("::{it}::")));
            hit.then(|| format!("{}:{}: names `{name}`", self.file, path.line))
        });
        bad.collect()
    }
}

/// Returns the arrows of `source` that run upwards or sideways.
fn reversed_arrows(source: &Source) -> Vec<String> {
    if source.room.is_empty() {
        return Vec::new();
    }
    let allowed = allowed(&source.room);
    let all: Vec<&str> = [&["cli", "report", "ops"], BACKENDS, NOUNS, GROUND].concat();
    let named = source.rooms_named().into_iter();
    let bad = named.filter(|(_, room)| {
        *room != source.room && all.contains(&room.as_str()) && !allowed.contains(&room.as_str())
    });
    let told = bad
        .map(|(line, to)| format!("{}:{line}: `{}` may not know `{to}`", source.file, source.room));
    told.collect()
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = files_below(&root.join("src"));
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    assert!(files.len() > 20, "the sources are not where this test looks");
    let read = files.iter().map(|path| {
        let file = path.strip_prefix(root).unwrap().to_str().unwrap();
        Source::new(file, &std::fs::read_to_string(path).unwrap())
    });
    read.collect()
}

/// Fails with every violation that `check` finds in the sources.
fn hold(rule: &str, check: impl Fn(&Source) -> Vec<String>) {
    let mut told = String::new();
    for violation in sources().iter().flat_map(check) {
        let _ = writeln!(told, "{violation}");
    }
    assert!(told.is_empty(), "{rule}:\n{told}");
}

#[test]
fn arrows_run_one_way() {
    hold("an arrow is turned round", reversed_arrows);
}

#[test]
fn only_system_sees_environment_processes_and_the_clock() {
    let forbidden = [
        "std::env",
        "std::process::Command",
        "tokio::process",
        "Timestamp::now",
        "Zoned::now",
        "SystemTime::now",
    ];
    hold("only `system` may ask for these", |source| match source.room.as_str() {
        "system" | "" => Vec::new(),
        _ => source.naming(&forbidden),
    });
}

#[test]
fn nouns_do_no_io_and_read_no_clock() {
    let forbidden = [
        "std::fs",
        "std::net",
        "std::process",
        "std::thread",
        "Instant::now",
        "tokio",
        "kube",
        "git2",
        "reqwest",
        "oci_client",
    ];
    hold("nouns are functions over values", |source| {
        let noun = NOUNS.contains(&source.room.as_str()) || source.room == "yaml";
        if noun { source.naming(&forbidden) } else { Vec::new() }
    });
}

#[test]
fn nothing_prints_past_the_reports() {
    let forbidden = ["println!", "print!", "eprintln!", "eprint!", "dbg!"];
    // The streams themselves, and the last words of a bug.
    let streams = ["src/cli/ui.rs", "src/cli/panic.rs"];
    hold("output goes through `cli/ui.rs` or the log", |source| {
        if streams.contains(&source.file.as_str()) { Vec::new() } else { source.naming(&forbidden) }
    });
}

#[test]
fn a_reversed_arrow_is_found_in_every_spelling() {
    let arrows = |file: &str, text: &str| reversed_arrows(&Source::new(file, text));
    let spellings = [
        "use crate::ops;",
        "use crate::ops::set::run;",
        "use crate::{image::Tag, ops::set};",
        "use crate::{\n    image::{Digest, Tag},\n    ops,\n};",
        "fn f() { crate::ops::run(); }",
        "use super::super::ops;",
        "use super::super::{image, ops};",
        "#[cfg(test)]\nmod tests {\n    use crate::ops;\n}",
        "const Q: char = '\"'; use crate::ops;",
        "const R: &str = r#\"\"\"#; use crate::ops;",
    ];
    for text in spellings {
        let found = arrows("src/registry/remote.rs", text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].ends_with("`registry` may not know `ops`"), "{found:?}");
    }
    let lines = arrows("src/git/mod.rs", "//! Docs.\n\nuse crate::github::Token;\n");
    assert_eq!(lines, ["src/git/mod.rs:3: `git` may not know `github`"]);
}

#[test]
fn an_arrow_that_runs_downwards_is_no_finding() {
    let texts = [
        "//! See crate::ops.",
        "/* crate::ops */",
        "const S: &str = \"crate::ops\";",
        "const E: &str = \"\\\"crate::ops\"; fn f<'a>(it: &'a str) -> &'a str { it }",
        "use super::ops;",
        "use crate::image::ops;",
        "#[cfg(test)]\nmod tests {\n    use super::super::ops;\n}",
    ];
    for text in texts {
        let found = reversed_arrows(&Source::new("src/registry/remote.rs", text));
        assert_eq!(found, Vec::<String>::new(), "{text}");
    }
}
