//! What the rules say about one object, and which of them spoke.

use std::fmt;

use crate::health::Health;
use crate::k8s::Object;

/// What the rules say about one object, and which of them spoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// The verdict; `None` if no rule knows the kind, and then the object does not count.
    ///
    /// A script may also decide that there is none: Argo CD calls that an empty health, which counts
    /// as little. Only [`Self::decided_by`] tells the two apart.
    pub health: Option<Health>,
    /// The rule that decided, `None` exactly if no rule knows the kind.
    pub decided_by: Option<DecidedBy>,
}

/// A rule that can decide about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecidedBy {
    /// The object waits for its deletion.
    Deletion,
    /// A row of the user's own in `deployctl.yaml`, written as in [`DecidedBy::Native`].
    Config(String),
    /// A script of the ConfigMap `argocd-cm`, under this key.
    ArgoCdCm(String),
    /// A script of this directory of a folder of customizations.
    Directory(String),
    /// A row of the native table, written as `group/Kind` or, in the core group, `Kind`.
    Native(String),
    /// Argo CD's own check of a group and kind, written as in [`DecidedBy::Native`].
    Builtin(String),
}

impl Assessment {
    /// Returns whether a rule knows the kind and gave no health, which Argo CD shows as a health
    /// without a status.
    pub fn is_empty_health(&self) -> bool {
        self.health.is_none() && self.decided_by.is_some()
    }
}

/// Returns the key that rules are filed under: `group/Kind` or, in the core group, `Kind`.
pub(super) fn group_and_kind(object: &Object) -> String {
    match object.group() {
        "" => object.kind().to_owned(),
        group => format!("{group}/{}", object.kind()),
    }
}

impl fmt::Display for DecidedBy {
    /// Writes `deletion`, `lua:argocd-cm:KEY`, `lua:customizations:DIRECTORY`, or `config:`, `native:`
    /// or `builtin:` and `group/Kind`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deletion => f.write_str("deletion"),
            Self::Config(kind) => write!(f, "config:{kind}"),
            Self::ArgoCdCm(key) => write!(f, "lua:argocd-cm:{key}"),
            Self::Directory(directory) => write!(f, "lua:customizations:{directory}"),
            Self::Native(kind) => write!(f, "native:{kind}"),
            Self::Builtin(kind) => write!(f, "builtin:{kind}"),
        }
    }
}
