//! The files that are shipped for others to copy: `manifests/`, `pipelines/` and `.github/`.

mod actions;
mod dry_run;
mod manifests;

use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde_yaml::Value;

use crate::support::data::files_below;

/// Returns the path of `relative` in this repository.
fn root(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// Returns the files below the folder `relative`, in order.
fn files(relative: &str) -> Vec<PathBuf> {
    let found = files_below(&root(relative));
    assert!(!found.is_empty(), "`{relative}` is empty");
    found
}

/// Returns the YAML files below the folder `relative`.
fn yaml_files(relative: &str) -> Vec<PathBuf> {
    let yaml = |path: &PathBuf| path.extension().is_some_and(|it| it == "yaml" || it == "yml");
    files(relative).into_iter().filter(yaml).collect()
}

/// Returns the documents of `text`.
fn documents(text: &str, name: &Path) -> Vec<Value> {
    let read = serde_yaml::Deserializer::from_str(text).map(Value::deserialize);
    read.map(|document| document.unwrap_or_else(|error| panic!("{}: {error}", name.display())))
        .collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns what `pointer`, for example `spec/template/0`, leads to.
fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    pointer.split('/').fold(value, |value, step| match step.parse::<usize>() {
        Ok(index) => value.get(index).unwrap_or(&Value::Null),
        Err(_) => value.get(step).unwrap_or(&Value::Null),
    })
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).as_str().unwrap_or_default()
}

#[test]
fn every_yaml_file_parses() {
    for folder in ["manifests", "pipelines", ".github"] {
        for path in yaml_files(folder) {
            let documents = documents(&read(&path), &path);
            assert!(documents.iter().all(Value::is_mapping), "{}: not a mapping", path.display());
        }
    }
}

#[test]
fn every_text_file_is_tidy() {
    for folder in ["manifests", "pipelines", ".github", ".ci"] {
        for path in files(folder) {
            let text = read(&path);
            let tidy = text.ends_with('\n')
                && !text.contains('\r')
                && text.lines().all(|line| line.trim_end() == line && !line.contains('\t'));
            assert!(tidy, "{}: tab, carriage return or blank at a line's end", path.display());
        }
    }
}
