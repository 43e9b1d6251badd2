//! Commits: their ids, and what a history shows of them.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use super::{Identity, history};

/// A commit's full object id, 40 hexadecimal characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(String);

impl CommitId {
    /// Returns the 40 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first 12 characters, for people and tags.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }

    pub(super) fn oid(&self) -> git2::Oid {
        git2::Oid::from_str(&self.0).expect("a commit id is 40 hexadecimal characters")
    }
}

impl FromStr for CommitId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{text}` is not a commit id; expected 40 hexadecimal characters"))
        }
    }
}

impl From<git2::Oid> for CommitId {
    fn from(oid: git2::Oid) -> Self {
        Self(oid.to_string())
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A commit, as the history shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: CommitId,
    /// Who wrote it.
    pub author: Identity,
    /// When it was committed.
    pub time: Timestamp,
    /// The whole message.
    pub message: String,
    /// Whether it has several parents.
    pub is_merge: bool,
}

impl Commit {
    /// Returns the first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// Returns the message's trailers in order, as `git interpret-trailers --parse` reads them.
    pub fn trailers(&self) -> Vec<(String, String)> {
        super::message::trailers(&self.message)
    }

    pub(super) fn read(commit: &git2::Commit<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            id: commit.id().into(),
            author: Identity::of(&commit.author()),
            // A forged time may lie outside what a timestamp holds.
            time: Timestamp::from_second(commit.time().seconds()).unwrap_or_default(),
            message: text(commit.message_bytes()),
            is_merge: history::parents(commit).len() > 1,
        }
    }
}
