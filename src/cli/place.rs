//! The place in a file that an error is about, for those who show it there.

use std::error::Error;

use camino::{Utf8Path, Utf8PathBuf};

use super::error::found;
use crate::ops::{EditFileError, EffectError, StatedImageError};
use crate::system;
use crate::target::TargetError;
use crate::yaml::Invalid;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file: of this machine, or from the root of the manifests repository.
    pub(crate) file: Utf8PathBuf,
    /// The line, counted from 1.
    pub(crate) line: usize,
    /// The column in characters, counted from 1, where it is known.
    pub(crate) column: Option<usize>,
}

impl Place {
    /// Returns the place that `error` itself, not its causes, is about.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(Invalid { path, line, column, .. }) = found(error) {
            return Some(Self { file: path.clone(), line: *line, column: Some(*column) });
        }
        let (file, line) = None
            .or_else(|| found(error).and_then(edited))
            .or_else(|| found(error).and_then(target))
            .or_else(|| found(error).and_then(effect))
            .or_else(|| found(error).and_then(stated))?;
        Some(Self { file, line, column: None })
    }
}

fn edited(error: &EditFileError) -> Option<(Utf8PathBuf, usize)> {
    let EditFileError::Edit { file, source } = error else { return None };
    // A relative path is one from the working folder, which need not be the workspace's root.
    Some((absolute(file), source.line()?))
}

fn absolute(file: &Utf8Path) -> Utf8PathBuf {
    let file = system::current_dir().map_or_else(|_| file.to_owned(), |folder| folder.join(file));
    // Without `.` in between.
    file.components().collect()
}

fn target(error: &TargetError) -> Option<(Utf8PathBuf, usize)> {
    match error {
        TargetError::Kustomization { file, source } => Some((file.clone(), source.line()?)),
        TargetError::Yaml { file, source } => Some((file.clone(), source.line()?)),
        _ => None,
    }
}

fn effect(error: &EffectError) -> Option<(Utf8PathBuf, usize)> {
    match error {
        EffectError::NoEffect(swallowed) => Some((swallowed.file.clone(), swallowed.line)),
        _ => None,
    }
}

fn stated(error: &StatedImageError) -> Option<(Utf8PathBuf, usize)> {
    match error {
        StatedImageError::Read { file, source } => Some((file.clone(), source.line()?)),
        StatedImageError::Broken { file, source } => Some((file.clone(), source.line()?)),
        _ => None,
    }
}
