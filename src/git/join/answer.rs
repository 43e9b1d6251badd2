//! What a leader tells those whose changes it took along.

use serde::{Deserialize, Serialize};

use super::{LandError, Landing};
use crate::git::{CommitId, GitError};

/// What came of a change that another process took along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub(super) enum Answer {
    /// It is in this commit.
    Landed { commit: String },
    /// Make it anew on this tip.
    Moved { tip: String },
    /// The remote refused the joined commit, so everybody asks for his own change.
    Alone,
    /// Nobody can push now.
    Failed { kind: Failure, message: String },
}

/// What stands in the way of each who has the same remote and the same credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Failure {
    Authentication,
    Forbidden,
    HostKey,
    ChangedHostKey,
    NoRepository,
    Unreachable,
    Stuck,
}

impl Answer {
    /// Returns what `error` means for those who joined, or `None` if it is the leader's alone.
    pub(super) fn of(error: &LandError) -> Option<Self> {
        let (kind, message) = match error {
            LandError::Stuck => (Failure::Stuck, ""),
            LandError::Raced { .. } => return None,
            LandError::Git(error) => match error {
                GitError::Authentication { message, .. } => (Failure::Authentication, &**message),
                GitError::Forbidden { message, .. } => (Failure::Forbidden, &**message),
                GitError::HostKey { changed: false, .. } => (Failure::HostKey, ""),
                GitError::HostKey { changed: true, .. } => (Failure::ChangedHostKey, ""),
                GitError::NoRepository { message, .. } => (Failure::NoRepository, &**message),
                GitError::Unreachable { message, .. } => (Failure::Unreachable, &**message),
                _ => return None,
            },
        };
        Some(Self::Failed { kind, message: message.to_owned() })
    }

    /// Returns the answer that `bytes` are, or `None` if they are none.
    pub(super) fn from_json(bytes: &[u8]) -> Option<Self> {
        let answer: Self = serde_json::from_slice(bytes).ok()?;
        match &answer {
            Self::Landed { commit: id } | Self::Moved { tip: id } => {
                id.parse::<CommitId>().ok()?;
            }
            Self::Alone | Self::Failed { .. } => {}
        }
        Some(answer)
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an answer's keys are texts")
    }

    /// Returns what came of the change, or `None` if it is to go alone.
    pub(super) fn landing(self, remote: &str) -> Option<Result<Landing, LandError>> {
        let id = |text: String| text.parse().expect("ids are checked when an answer is read");
        Some(match self {
            Self::Landed { commit } => Ok(Landing::Landed { commit: id(commit) }),
            Self::Moved { tip } => Ok(Landing::Moved { tip: id(tip) }),
            Self::Failed { kind, message } => Err(kind.error(remote.to_owned(), message)),
            Self::Alone => return None,
        })
    }
}

impl Failure {
    fn error(self, remote: String, message: String) -> LandError {
        LandError::Git(match self {
            Self::Stuck => return LandError::Stuck,
            Self::Authentication => GitError::Authentication { remote, message },
            Self::Forbidden => GitError::Forbidden { remote, message },
            Self::HostKey => GitError::HostKey { remote, changed: false },
            Self::ChangedHostKey => GitError::HostKey { remote, changed: true },
            Self::NoRepository => GitError::NoRepository { remote, message },
            Self::Unreachable => GitError::Unreachable { remote, message },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let id = "a".repeat(40);
        let unreachable = GitError::Unreachable { remote: "r".into(), message: "gone".into() };
        let failed = Answer::of(&unreachable.into()).unwrap();
        let all = [
            Answer::Landed { commit: id.clone() },
            Answer::Moved { tip: id },
            Answer::Alone,
            failed.clone(),
        ];
        for answer in all {
            assert_eq!(Answer::from_json(&answer.to_json()), Some(answer));
        }
        let error = failed.landing("r").unwrap().unwrap_err();
        assert_eq!(error.to_string(), "can't reach `r`: gone");
        assert_eq!(Answer::from_json(br#"{"outcome":"landed","commit":"--force"}"#), None);
        assert_eq!(Answer::from_json(b""), None);
    }
}
