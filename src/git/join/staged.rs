//! A change as it lies in the queue: a small JSON file that names blobs of the cache.
//!
//! Whoever reads one believes nothing: it is bounded, every field is parsed, and one that does not
//! hold what it should is no change.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::PendingChange;
use crate::git::{CommitId, GitError, Identity};

/// No change replaces more files, and no commit of several changes.
pub(super) const MAX_FILES: usize = 4096;

/// A change that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Staged {
    pub(super) id: String,
    pub(super) branch: String,
    pub(super) base: CommitId,
    /// The blobs of the files that it replaces.
    pub(super) files: BTreeMap<Utf8PathBuf, git2::Oid>,
    /// What it was made from.
    pub(super) reads: BTreeSet<Utf8PathBuf>,
    pub(super) subject: String,
    pub(super) body: String,
    pub(super) trailers: Vec<(String, String)>,
    pub(super) environments: Vec<String>,
    pub(super) author: Identity,
    pub(super) time: Timestamp,
}

/// The same as text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: String,
    branch: String,
    base: String,
    files: BTreeMap<String, String>,
    reads: BTreeSet<String>,
    subject: String,
    body: String,
    trailers: Vec<(String, String)>,
    environments: Vec<String>,
    author: (String, String),
    time: i64,
}

impl Staged {
    /// Returns `change`, the files of which are written into `repository`.
    pub(super) fn new(
        repository: &git2::Repository,
        id: String,
        branch: &str,
        change: &PendingChange,
    ) -> Result<Self, GitError> {
        let blob = |(path, bytes): (&Utf8PathBuf, &Vec<u8>)| {
            let blob = repository.blob(bytes).map_err(GitError::object(format!("write `{path}`")));
            Ok((path.clone(), blob?))
        };
        Ok(Self {
            id,
            branch: branch.to_owned(),
            base: change.base.clone(),
            files: change.files.0.iter().map(blob).collect::<Result<_, GitError>>()?,
            reads: change.reads.clone(),
            subject: change.subject.clone(),
            body: change.body.clone(),
            trailers: change.trailers.clone(),
            environments: change.environments.clone(),
            author: change.authorship.author.clone(),
            time: change.time,
        })
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let files = self.files.iter().map(|(path, blob)| (path.to_string(), blob.to_string()));
        let file = File {
            id: self.id.clone(),
            branch: self.branch.clone(),
            base: self.base.to_string(),
            files: files.collect(),
            reads: self.reads.iter().map(ToString::to_string).collect(),
            subject: self.subject.clone(),
            body: self.body.clone(),
            trailers: self.trailers.clone(),
            environments: self.environments.clone(),
            author: (self.author.name.clone(), self.author.email.clone()),
            time: self.time.as_second(),
        };
        serde_json::to_vec(&file).expect("the file's keys are texts")
    }

    /// Returns the change that `bytes` are, or `None` if they are none.
    pub(super) fn from_json(bytes: &[u8]) -> Option<Self> {
        let file: File = serde_json::from_slice(bytes).ok()?;
        let blob = |(path, blob): (String, String)| {
            let whole = blob.len() == 40;
            Some((path.into(), git2::Oid::from_str(&blob).ok().filter(|_| whole)?))
        };
        let is_id = file.id.len() == 16 && file.id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id || file.files.len() > MAX_FILES {
            return None;
        }
        let (name, email) = file.author;
        Some(Self {
            id: file.id,
            branch: file.branch,
            base: file.base.parse().ok()?,
            files: file.files.into_iter().map(blob).collect::<Option<_>>()?,
            reads: file.reads.into_iter().map(Into::into).collect(),
            subject: file.subject,
            body: file.body,
            trailers: file.trailers,
            environments: file.environments,
            author: Identity { name, email },
            time: Timestamp::from_second(file.time).ok()?,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::git::join) fn staged(id: &str, path: &str) -> Staged {
        Staged {
            id: id.repeat(16),
            branch: "main".to_owned(),
            base: "a".repeat(40).parse().unwrap(),
            files: [(path.into(), git2::Oid::from_str(&"b".repeat(40)).unwrap())].into(),
            reads: ["base".into()].into(),
            subject: format!("Deploy {path} to dev"),
            body: "was 1".to_owned(),
            trailers: vec![("Deployctl-Service".to_owned(), path.to_owned())],
            environments: vec!["dev".to_owned()],
            author: Identity { name: "Ada".to_owned(), email: "ada@example.com".to_owned() },
            time: Timestamp::from_second(1_700_000_000).unwrap(),
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_nothing_else_is() {
        let staged = staged("1", "web");
        let json = staged.to_json();
        assert_eq!(Staged::from_json(&json), Some(staged));
        let text = String::from_utf8(json).unwrap();
        for (good, bad) in [
            ("1111111111111111", "../../../../etc/x"),
            (&*"a".repeat(40), "main"),
            (&*"b".repeat(40), "bb"),
            ("1700000000", "99999999999999999"),
            ("\"body\"", "\"command\""),
        ] {
            assert!(text.contains(good), "{good}");
            assert_eq!(Staged::from_json(text.replace(good, bad).as_bytes()), None, "{bad}");
        }
        assert_eq!(Staged::from_json(b""), None);
        assert_eq!(Staged::from_json(&text.as_bytes()[..text.len() / 2]), None);
    }
}
