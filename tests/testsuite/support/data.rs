//! Files that tests read: collections of cases, and whole folders.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Returns the files below `folder` in order, links and sockets left out.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// Returns the files of the collection `tests/data/NAME`, in order.
pub(crate) fn collection(name: &str) -> Vec<PathBuf> {
    let files = files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name));
    assert!(!files.is_empty(), "`tests/data/{name}` is empty");
    files
}

/// Returns the cases of the collection `tests/data/NAME`, a YAML file each, with their names.
pub(crate) fn cases<T: DeserializeOwned>(name: &str) -> Vec<(String, T)> {
    let read = collection(name).into_iter().map(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let case = serde_yaml::from_str(&std::fs::read_to_string(path).unwrap());
        (name.clone(), case.unwrap_or_else(|error| panic!("{name}: {error}")))
    });
    read.collect()
}
