//! Objects that a user names by their files.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::k8s::{Object, ReadError};
use crate::system;

/// Why there are no objects.
#[derive(Debug, thiserror::Error)]
pub(super) enum ObjectsError {
    /// A file can't be read.
    #[error("can't read `{path}`")]
    Read { path: Utf8PathBuf, source: io::Error },
    /// A file has none: a pipe whose first program failed, or asked with a wrong selector, is no proof
    /// that all is well.
    #[error("there are no objects {}, so nothing is proven", place(.path))]
    Empty { path: Utf8PathBuf },
    /// A file holds something else.
    #[error("can't read objects from `{path}`")]
    Objects { path: Utf8PathBuf, source: ReadError },
}

/// Returns the objects of `files` in order; `-` is standard input.
pub(super) fn read(files: &[Utf8PathBuf]) -> Result<Vec<Object>, ObjectsError> {
    let mut objects = Vec::new();
    for file in files {
        let path = || file.clone();
        let text = text(file).map_err(|source| ObjectsError::Read { path: path(), source })?;
        let read = Object::read_all(&text);
        let read = read.map_err(|source| ObjectsError::Objects { path: path(), source })?;
        if read.is_empty() {
            return Err(ObjectsError::Empty { path: path() });
        }
        objects.extend(read);
    }
    Ok(objects)
}

fn place(file: &Utf8Path) -> String {
    match file.as_str() {
        "-" => "on standard input".to_owned(),
        _ => format!("in `{file}`"),
    }
}

fn text(file: &Utf8Path) -> io::Result<String> {
    match file.as_str() {
        "-" => system::read_text(io::stdin().lock()),
        _ => system::read_text_file(file),
    }
}
