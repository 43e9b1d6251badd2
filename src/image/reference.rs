//! Image references, in the grammar and normalisation of distribution/reference
//! (`ParseNormalizedNamed`): `[domain/]path[:tag][@digest]`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::{Digest, DigestError, Tag, WrittenReference};

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
const OFFICIAL: &str = "library/";

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

/// What a text that may also be a bare image id stands for (`ParseAnyReference`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyReference {
    /// 64 hexadecimal characters, with or without `sha256:` before them.
    Id(Digest),
    /// Everything else.
    Reference(ImageReference),
}

/// Why a text is not an [`ImageReference`]; the messages are distribution/reference's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The text does not fit the grammar.
    #[error("invalid reference format")]
    Format,
    /// There is no text.
    #[error("repository name must have at least one component")]
    Empty,
    /// The repository path has an upper-case letter.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// The text would fit if it were in lower case; only asked where no default is filled in.
    #[error("repository name must be lowercase")]
    AnyUppercase,
    /// The repository path has more than 255 characters.
    #[error("repository name must not be more than 255 characters")]
    TooLong,
    /// The text could as well be an image's id.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Identifier(String),
    /// The digest is wrong.
    #[error("{}", upstream_words(.0))]
    Digest(DigestError),
}

impl ImageName {
    /// Returns the name of the repository `path` at the registry `domain`.
    ///
    /// # Errors
    ///
    /// Fails if they don't make a name together.
    pub fn new(domain: &str, path: &str) -> Result<Self, ReferenceError> {
        format!("{domain}/{path}").parse()
    }

    /// Returns the registry's domain with its port, `docker.io` where the text named none; empty
    /// for a text like `my_host.com/web`, whose first part can't be a domain.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Returns the repository path, without the domain.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the shortest text that means this name: without `docker.io/` and `library/`.
    pub fn familiar(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.to_string();
        }
        match self.path.strip_prefix(OFFICIAL) {
            Some(official) if !official.contains('/') => official.to_owned(),
            _ => self.path.clone(),
        }
    }
}

impl FromStr for ImageName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ImageReference { name, tag: None, digest: None } = text.parse()? else {
            return Err(ReferenceError::Format);
        };
        Ok(name)
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.domain.is_empty() {
            return f.write_str(&self.path);
        }
        write!(f, "{}/{}", self.domain, self.path)
    }
}

impl ImageReference {
    /// Returns the shortest text that means this reference: its [`ImageName::familiar`] name, tag
    /// and digest.
    pub fn familiar(&self) -> String {
        self.with_name(self.name.familiar())
    }

    /// Returns the reference itself, or with the tag `latest` if it has neither tag nor digest
    /// (`TagNameOnly`).
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".parse().expect("`latest` is a tag"));
        }
        self
    }

    /// Returns what a container runtime looks up: the digest and no tag if there is a digest,
    /// else the tag, `latest` by default (`ParseDockerRef`).
    pub fn looked_up(mut self) -> Self {
        if self.digest.is_some() {
            self.tag = None;
        }
        self.or_latest()
    }

    fn with_name(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag.as_str());
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
        text
    }
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_identifier(text) {
            return Err(ReferenceError::Identifier(text.to_owned()));
        }
        let (domain, rest) = split_domain(text);
        let path = rest.split(':').next().unwrap_or_default();
        if path.to_lowercase() != path {
            return Err(ReferenceError::Uppercase(path.to_owned()));
        }
        let full = format!("{domain}/{rest}");
        let written = WrittenReference::parse(&full)?;
        // distribution/reference takes `my_host.com/web` for a path without a domain, because `_`
        // can't be in one; no registry can be asked for it.
        let domain = written.domain.unwrap_or_default().to_owned();
        let name = ImageName { domain, path: written.path.to_owned() };
        Ok(Self { name, tag: written.tag, digest: written.digest })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_name(self.name.to_string()))
    }
}

impl Serialize for ImageReference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for AnyReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_identifier(text) {
            let digest = format!("sha256:{text}").parse().map_err(ReferenceError::Digest)?;
            return Ok(Self::Id(digest));
        }
        text.parse().map(Self::Id).or_else(|_| text.parse().map(Self::Reference))
    }
}

impl fmt::Display for AnyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(digest) => digest.fmt(f),
            Self::Reference(reference) => reference.fmt(f),
        }
    }
}

/// Returns domain and rest of `text` with Docker's defaults filled in (`splitDockerDomain`).
fn split_domain(text: &str) -> (&str, String) {
    let Some((first, rest)) = text.split_once('/') else {
        return (DEFAULT_DOMAIN, format!("{OFFICIAL}{text}"));
    };
    let is_domain =
        first == "localhost" || first.contains(['.', ':']) || first.to_lowercase() != first;
    let (domain, rest) = match first {
        LEGACY_DEFAULT_DOMAIN => (DEFAULT_DOMAIN, rest),
        _ if is_domain => (first, rest),
        _ => (DEFAULT_DOMAIN, text),
    };
    if domain == DEFAULT_DOMAIN && !rest.contains('/') {
        return (domain, format!("{OFFICIAL}{rest}"));
    }
    (domain, rest.to_owned())
}

fn is_identifier(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn upstream_words(error: &DigestError) -> &'static str {
    match error {
        DigestError::Format(_) => "invalid checksum digest format",
        DigestError::Unsupported(_) => "unsupported digest algorithm",
        DigestError::Length { .. } => "invalid checksum digest length",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        text.parse::<ImageReference>().map_or_else(|e| e.to_string(), |r| r.to_string())
    }

    #[test]
    fn fills_in_what_docker_fills_in() {
        assert_eq!(canonical("nginx"), "docker.io/library/nginx");
        assert_eq!(canonical("index.docker.io/shop/web:1"), "docker.io/shop/web:1");
        assert_eq!(canonical("localhost/web"), "localhost/web");
        assert_eq!(canonical("registry.example.com:5000/web"), "registry.example.com:5000/web");
    }

    #[test]
    fn says_what_distribution_says() {
        assert_eq!(
            canonical("Web"),
            "invalid reference format: repository name (library/Web) must be lowercase"
        );
        assert_eq!(canonical("a//b"), "invalid reference format");
        assert_eq!(
            canonical(&"a".repeat(64)),
            format!(
                "invalid repository name ({}), cannot specify 64-byte hexadecimal strings",
                "a".repeat(64)
            )
        );
    }

    #[test]
    fn a_name_has_neither_tag_nor_digest() {
        let name = "shop/web".parse::<ImageName>().unwrap();
        assert_eq!(Ok(&name), ImageName::new("docker.io", "shop/web").as_ref());
        assert_eq!("shop/web:1".parse::<ImageName>(), Err(ReferenceError::Format));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_a_canonical_one_stays(text in "[a-zA-Z0-9._:/@\\[\\]é-]{0,40}") {
            if let Ok(reference) = text.parse::<ImageReference>() {
                let canonical = reference.to_string();
                proptest::prop_assert_eq!(canonical.parse(), Ok(reference.clone()));
                proptest::prop_assert_eq!(reference.familiar().parse(), Ok(reference));
            }
        }
    }
}
