//! Image references, in the grammar and normalisation of distribution/reference
//! (`ParseNormalizedNamed`): `[domain/]path[:tag][@digest]`.

use std::fmt;
use std::str::FromStr;

use super::{Digest, DigestError, Tag};

/// Where an image lives: a registry's domain and a repository path, normalised.
///
/// `nginx` is `docker.io` and `library/nginx`. [`fmt::Display`] writes the canonical form with the
/// domain; [`ImageName::familiar`] leaves out what Docker leaves out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName {
    domain: String,
    path: String,
}

/// An image reference: a name, and a tag or a digest or both or neither.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    /// Registry and repository.
    pub name: ImageName,
    /// The tag, if the text has one.
    pub tag: Option<Tag>,
    /// The digest, if the text has one.
    pub digest: Option<Digest>,
}

/// Why a text is not an [`ImageReference`]; the messages are distribution/reference's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The text does not fit the grammar.
    #[error("invalid reference format")]
    Format,
    /// The repository path has an upper-case letter.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// The digest is wrong.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl ImageName {
    /// Returns the registry's domain with its port, `docker.io` where the text named none.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Returns the repository path, without the domain.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)
    }
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(_text: &str) -> Result<Self, Self::Err> {
        Err(ReferenceError::Format)
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}
