//! Argo CD's Application resource, read as data: sources, revisions, sync and operation state.

use std::fmt;

/// Which Argo CD Application.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApplicationName {
    /// The namespace that the resource is in, `argocd` unless configured.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ApplicationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
