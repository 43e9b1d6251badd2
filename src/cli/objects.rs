//! Objects that a user names by their files.

use std::io::{self, Read as _};

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::k8s::Object;

/// Returns the objects of `files` in order; `-` is standard input.
pub(super) fn read(files: &[Utf8PathBuf]) -> Result<Vec<Object>, CommandError> {
    let mut objects = Vec::new();
    for file in files {
        let text = text(file)
            .map_err(|error| io::Error::other(format!("can't read `{file}`: {error}")))?;
        // A pipe whose first program failed is no proof that all is well. An empty list is an answer.
        if text.trim().is_empty() {
            let error = io::Error::other(format!("there are no objects in `{file}`: it is empty"));
            return Err(CommandError::from(error).exit(Exit::Usage));
        }
        objects.extend(Object::read_all(&text).map_err(|error| {
            let error = CommandError::from(error).exit(Exit::Usage);
            error.context(format!("can't read objects from `{file}`"))
        })?);
    }
    Ok(objects)
}

fn text(file: &Utf8Path) -> io::Result<String> {
    let mut text = String::new();
    match file.as_str() {
        "-" => io::stdin().read_to_string(&mut text)?,
        _ => std::fs::File::open(file)?.read_to_string(&mut text)?,
    };
    // Editors on Windows write a byte order mark.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
