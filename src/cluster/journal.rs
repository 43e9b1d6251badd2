//! The journal of a recording, `journal.jsonl`: in order, each look, and each other answer that the
//! verdict was made from.

use std::fs::File;
use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ClusterError;

/// The file's name in the folder of a recording.
pub(super) const FILE_NAME: &str = "journal.jsonl";

/// Of looks that show nothing new no more than this are written; a journal with more is not read.
pub(super) const MOST_ENTRIES: usize = 200_000;

/// Something that came to light, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    #[serde(flatten)]
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "camelCase")]
pub(super) enum What {
    /// A look showed the version of that number; `confirms`: it was asked for to confirm the look before.
    Look { version: usize, confirms: bool },
    /// A look failed.
    Failed { error: Failure, confirms: bool },
    /// Argo CD was asked to compare the Application with git again.
    Refreshed { error: Option<Failure> },
    /// Argo CD was asked to sync the Application.
    Synced { error: Option<Failure> },
    /// Somebody else than the cluster answered a question.
    Answered { question: String, of: String, answer: Value },
    /// The recording is as large as it may be; what comes after is not in it.
    Full,
    /// The verification came to its end, with a verdict or with an error; nothing comes after it.
    Ended,
}

/// Why the cluster did not answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(super) enum Failure {
    Unreachable {
        server: String,
        reason: String,
    },
    Denied {
        verb: String,
        reason: String,
    },
    Answer {
        reason: String,
    },
    /// One that ends every verification, as it was said.
    Other {
        reason: String,
    },
}

impl From<&ClusterError> for Failure {
    fn from(error: &ClusterError) -> Self {
        match error.clone() {
            ClusterError::Unreachable { server, reason } => Self::Unreachable { server, reason },
            ClusterError::Denied { verb, reason } => Self::Denied { verb, reason },
            ClusterError::Answer(reason) => Self::Answer { reason },
            error => Self::Other { reason: error.to_string() },
        }
    }
}

impl Failure {
    /// Returns the error that it was, as far as that decides anything.
    pub(super) fn into_error(self, path: &Utf8Path) -> ClusterError {
        match self {
            Self::Unreachable { server, reason } => ClusterError::Unreachable { server, reason },
            Self::Denied { verb, reason } => ClusterError::Denied { verb, reason },
            Self::Answer { reason } => ClusterError::Answer(reason),
            Self::Other { reason } => {
                let reason = format!("that verification failed: {reason}");
                ClusterError::Recording { path: path.to_owned(), reason }
            }
        }
    }
}

/// A journal that is being written. Each entry is there as soon as it is written, so that a verification
/// that is broken off leaves what it has seen.
#[derive(Debug)]
pub(super) struct Journal {
    path: Utf8PathBuf,
    file: File,
    entries: usize,
}

impl Journal {
    pub(super) fn create(dir: &Utf8Path) -> std::io::Result<Self> {
        let path = dir.join(FILE_NAME);
        Ok(Self { file: File::create_new(&path)?, path, entries: 0 })
    }

    /// Writes what came to light at `at`.
    pub(super) fn write(&mut self, at: Timestamp, what: What) -> Result<(), ClusterError> {
        if self.entries >= MOST_ENTRIES {
            return Ok(());
        }
        self.entries += 1;
        let what = if self.entries == MOST_ENTRIES { What::Full } else { what };
        let line = serde_json::to_string(&Entry { at, what }).expect("entries are plain structs");
        let written = self.file.write_all(format!("{line}\n").as_bytes());
        written.map_err(|error| ClusterError::Recording {
            path: self.path.clone(),
            reason: error.to_string(),
        })
    }
}

/// Returns what the journal `text` holds. The last line may be cut off, as by a process that was killed.
pub(super) fn read(text: &str) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    let count = text.lines().count();
    for (number, line) in text.lines().enumerate() {
        match serde_json::from_str(line) {
            Ok(entry) => entries.push(entry),
            Err(_) if number + 1 == count && !text.ends_with('\n') => {}
            Err(error) => return Err(format!("line {}: {error}", number + 1)),
        }
        if entries.len() > MOST_ENTRIES {
            return Err(format!("it has more than {MOST_ENTRIES} lines"));
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_was_cut_off_is_read_up_to_there() {
        let whole = "{\"at\":\"2026-01-01T00:00:00Z\",\"what\":\"look\",\"version\":1,\"confirms\":false}\n";
        assert_eq!(read(&format!("{whole}{{\"at\":\"20")).unwrap().len(), 1);
        let error = read(&format!("{{\"at\":\"20\n{whole}")).unwrap_err();
        assert!(error.starts_with("line 1: "), "{error}");
    }
}
