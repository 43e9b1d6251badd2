//! What a layer copies: which entries of the context, and their paths in the image.
//!
//! One file becomes the destination, or a file in it where that ends with a slash; the content of one
//! folder becomes the destination's. Of several sources, and of what matches a pattern, the
//! destination is a folder: files keep their names, and what matches a pattern keeps its path below
//! the folder in front of the first wildcard. Patterns mean what they mean in an ignore file.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::capabilities;
use crate::build::BuildError;
use crate::build::context::{Context, Entry, EntryKind};
use crate::image::ignore::{IgnoreError, IgnoreFile};
use crate::image::{Layer, Native, Platform};

/// What a layer copies.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sources {
    /// The destination, if it is a folder that the layer states.
    pub(super) folder: Option<String>,
    /// Entries, and their paths in the image without a slash in front.
    pub(super) entries: Vec<(String, Entry)>,
}

/// Returns all that the layers of an image for these platforms copy, each entry once and in order:
/// nothing else of the context decides the image.
pub(in crate::build) fn sources(
    context: &Context,
    native: &Native,
    platforms: &[Platform],
) -> Result<Vec<Entry>, BuildError> {
    let usual = [Platform::default()];
    let platforms = if platforms.is_empty() { &usual } else { platforms };
    let mut all = BTreeMap::new();
    for platform in platforms {
        for layer in &native.layers {
            let entries = of_layer(context, layer, platform)?.entries;
            all.extend(entries.into_iter().map(|(_, entry)| (entry.path.clone(), entry)));
        }
    }
    Ok(all.into_values().collect())
}

/// What decides an image about a file besides its content and mode.
pub(in crate::build) struct FileFacts {
    pub(in crate::build) path: Utf8PathBuf,
    /// The first of the files that are this one under another name.
    pub(in crate::build) same_as: Option<Utf8PathBuf>,
    /// Its extended attribute `security.capability`.
    pub(in crate::build) capabilities: Option<Vec<u8>>,
}

/// Returns what is said about those of the entries, which are sorted, that are files about which
/// there is something to say.
pub(in crate::build) fn files(
    context: &Context,
    entries: &[Entry],
) -> Result<Vec<FileFacts>, BuildError> {
    let (mut named, mut files) = (HashMap::new(), Vec::new());
    for entry in entries.iter().filter(|e| matches!(e.kind, EntryKind::File { .. })) {
        let absolute = context.root().join(&entry.path);
        let metadata =
            absolute.symlink_metadata().map_err(|error| BuildError::file(&absolute, error))?;
        let same_as = match metadata.nlink() {
            0 | 1 => None,
            _ => match named.entry((metadata.dev(), metadata.ino())) {
                MapEntry::Occupied(first) => Some(Utf8PathBuf::clone(first.get())),
                MapEntry::Vacant(vacant) => {
                    vacant.insert(entry.path.clone());
                    None
                }
            },
        };
        let capabilities = capabilities::at(&absolute)?;
        if same_as.is_some() || capabilities.is_some() {
            files.push(FileFacts { path: entry.path.clone(), same_as, capabilities });
        }
    }
    Ok(files)
}

/// Returns what `layer` copies for `platform`.
pub(super) fn of_layer(
    context: &Context,
    layer: &Layer,
    platform: &Platform,
) -> Result<Sources, BuildError> {
    let to = inside_image(&layer.to)?;
    let sources = layer.sources(platform);
    let excluded = patterns(layer, &layer.exclude)?;
    let several = sources.len() > 1 || sources.iter().any(|source| Layer::is_pattern(source));
    let (mut entries, mut folder) = (Vec::new(), several);
    for source in &sources {
        let found = match Layer::is_pattern(source) {
            true => matching(context, layer, source)?,
            false => context.entries(Utf8Path::new(source))?,
        };
        let from = below(source);
        let first = found.first().map(|entry| (entry.path == from, &entry.kind));
        let is_file = matches!(first, Some((true, kind)) if *kind != EntryKind::Folder);
        folder |= !is_file;
        let into = match is_file && (several || layer.to.as_str().ends_with('/')) {
            true => join(&to, from.file_name().unwrap_or_default()),
            false => to.clone(),
        };
        let before = entries.len();
        for entry in found {
            if is_excluded(&excluded, layer, &entry.path)? {
                continue;
            }
            let rest = entry.path.strip_prefix(&from).unwrap_or(&entry.path).as_str();
            let path = if rest == "." { into.clone() } else { join(&into, rest) };
            // The image's root is there without an entry, and the destination is stated once.
            let is_stated = path == to && entry.kind == EntryKind::Folder;
            if !path.is_empty() && !is_stated {
                entries.push((path, entry));
            }
        }
        if is_file && entries.len() == before && !layer.exclude.is_empty() {
            let reason = format!("the layer to `{}` excludes it", layer.to);
            return Err(BuildError::file(source, reason));
        }
    }
    let folder = (folder && !sources.is_empty() && !to.is_empty()).then_some(to);
    Ok(Sources { folder, entries })
}

/// Returns an absolute path of the image without slashes at its ends.
pub(super) fn inside_image(path: &Utf8Path) -> Result<String, BuildError> {
    let wrong = |reason: &str| BuildError::Recipe(format!("path `{path}` of a layer: {reason}"));
    if path.as_str().is_empty() {
        return Ok(String::new());
    }
    if !path.is_absolute() {
        return Err(wrong("expected an absolute path"));
    }
    let mut inside = Utf8PathBuf::new();
    for component in path.components() {
        match component {
            Utf8Component::Normal(name) => inside.push(name),
            Utf8Component::ParentDir => return Err(wrong("expected a path without `..`")),
            _ => {}
        }
    }
    Ok(inside.into_string())
}

/// Returns the folder in front of the first wildcard, or a plain source without `.` in it.
fn below(source: &str) -> Utf8PathBuf {
    let parts = Utf8Path::new(source).components().filter(|part| *part != Utf8Component::CurDir);
    parts.take_while(|part| !Layer::is_pattern(part.as_str())).collect()
}

/// Returns what matches the pattern, and the folders between that and the first wildcard.
fn matching(context: &Context, layer: &Layer, source: &str) -> Result<Vec<Entry>, BuildError> {
    let rules = patterns(layer, &[source.to_owned()])?;
    let from = below(source);
    let all = context.entries(if from.as_str().is_empty() { ".".into() } else { &from })?;
    let mut found = BTreeMap::new();
    for entry in all {
        if !is_excluded(&rules, layer, &entry.path)? {
            continue;
        }
        let parents = entry.path.ancestors().skip(1);
        for parent in parents.take_while(|parent| *parent != from && !parent.as_str().is_empty()) {
            let folder = || Entry { path: parent.to_owned(), kind: EntryKind::Folder };
            found.entry(parent.to_owned()).or_insert_with(folder);
        }
        found.insert(entry.path.clone(), entry);
    }
    if found.is_empty() {
        return Err(BuildError::file(source, "nothing in the build context matches it"));
    }
    Ok(found.into_values().collect())
}

fn patterns(layer: &Layer, patterns: &[String]) -> Result<IgnoreFile, BuildError> {
    IgnoreFile::from_patterns(patterns).map_err(|error| bad_pattern(layer, &error))
}

fn is_excluded(rules: &IgnoreFile, layer: &Layer, path: &Utf8Path) -> Result<bool, BuildError> {
    let verdict = rules.verdict(path.as_str()).map_err(|error| bad_pattern(layer, &error))?;
    Ok(verdict.ignored)
}

fn bad_pattern(layer: &Layer, error: &IgnoreError) -> BuildError {
    BuildError::Recipe(format!("layer to `{}`: {}", layer.to, error.reason()))
}

fn join(to: &str, below: &str) -> String {
    match (to, below) {
        (to, "") => to.to_owned(),
        ("", below) => below.to_owned(),
        (to, below) => format!("{to}/{below}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const FILES: [&str; 6] =
        ["bin/amd64/app", "conf/a.yaml", "conf/b.json", "conf/sub/c.yaml", "readme.md", "x[1].js"];

    #[track_caller]
    fn check(from: &[&str], to: &str, exclude: &[&str], expected: &[&str]) {
        let found = found(from, to, exclude).unwrap();
        let mut paths: Vec<String> =
            found.folder.into_iter().map(|folder| format!("{folder}/")).collect();
        paths.extend(found.entries.into_iter().map(|(path, entry)| match entry.kind {
            EntryKind::Folder => format!("{path}/"),
            _ => path,
        }));
        assert_eq!(paths, expected);
    }

    fn found(from: &[&str], to: &str, exclude: &[&str]) -> Result<Sources, BuildError> {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(temp.path()).unwrap();
        for file in FILES {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), "").unwrap();
        }
        let list = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let layer =
            Layer { from: list(from), to: to.into(), exclude: list(exclude), ..Layer::default() };
        of_layer(&Context::open(root, None).unwrap(), &layer, &Platform::default())
    }

    #[test]
    fn one_source_becomes_the_destination() {
        check(&["readme.md"], "/a", &[], &["a"]);
        check(&["readme.md"], "/a/", &[], &["a/readme.md"]);
        check(&["conf/sub"], "/a", &[], &["a/", "a/c.yaml"]);
        check(&["./conf/sub/"], "/", &[], &["c.yaml"]);
        check(&["bin/{arch}/app"], "/app", &[], &["app"]);
    }

    #[test]
    fn several_sources_go_into_the_destination() {
        check(&["readme.md", "conf/sub"], "/a", &[], &["a/", "a/readme.md", "a/c.yaml"]);
        check(&["readme.md", "bin/amd64/app"], "/", &[], &["readme.md", "app"]);
    }

    #[test]
    fn what_matches_a_pattern_keeps_its_path_below_the_wildcard() {
        check(&["conf/*.yaml"], "/etc", &[], &["etc/", "etc/a.yaml"]);
        check(&["conf/**/*.yaml"], "/e", &[], &["e/", "e/a.yaml", "e/sub/", "e/sub/c.yaml"]);
        check(&["b*"], "/e", &[], &["e/", "e/bin/", "e/bin/amd64/", "e/bin/amd64/app"]);
        check(&["x\\[1\\].js"], "/e", &[], &["e/", "e/x[1].js"]);
    }

    #[test]
    fn what_is_excluded_is_left_out() {
        check(&["conf"], "/e", &["conf/sub", "**/*.json"], &["e/", "e/a.yaml"]);
        check(&["conf"], "/e", &["conf/*", "!conf/a.yaml"], &["e/", "e/a.yaml"]);
    }

    #[track_caller]
    fn refuses(from: &[&str], to: &str, exclude: &[&str], expected: &str) {
        assert_eq!(found(from, to, exclude).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_source_that_is_not_there_is_an_error() {
        refuses(
            &["conf/*.toml"],
            "/e",
            &[],
            "can't use `conf/*.toml`: nothing in the build context matches it",
        );
        refuses(
            &["readme.md"],
            "/e",
            &["*.md"],
            "can't use `readme.md`: the layer to `/e` excludes it",
        );
        refuses(&["["], "/e", &[], "can't build: layer to `/e`: syntax error in pattern `[`");
    }
}
