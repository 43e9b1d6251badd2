//! What can be wrong with a configuration, and where.

use camino::Utf8PathBuf;

use crate::yaml::{Invalid, nearest};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No file in this folder or a parent.
    #[error("no `deployctl.yaml` in `{start}` or a parent folder")]
    NotFound {
        /// Where the search began.
        start: Utf8PathBuf,
    },
    /// The file can't be read.
    #[error("can't read `{path}`")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file says something that it can't mean.
    #[error("{0}")]
    Invalid(#[from] Invalid),
}

/// A name on the command line that the configuration does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {what} `{name}` in the configuration{}", .nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
pub struct UnknownName {
    /// `environment` or `service`.
    pub what: &'static str,
    /// The name that was asked for.
    pub name: String,
    /// The name that it may have meant.
    pub nearest: Option<String>,
    /// All the names there are.
    pub known: Vec<String>,
}

impl UnknownName {
    /// Returns the error for `name`, which is none of `known`.
    pub fn new<'a>(
        what: &'static str,
        name: &str,
        known: impl Iterator<Item = &'a String>,
    ) -> Self {
        let known: Vec<String> = known.cloned().collect();
        let nearest = nearest(name, &known).map(str::to_owned);
        Self { what, name: name.to_owned(), nearest, known }
    }
}
