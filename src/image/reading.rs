//! How a text is read as an image reference, part by part, for `deployctl image parse`.

use super::{ImageReference, ReferenceError};

/// How a text is read as an image reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The text.
    pub input: String,
    /// Its parts, or why it is not a reference.
    pub outcome: Result<ReadingParts, ReferenceError>,
}

/// The parts of a reference, as texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadingParts {
    /// The whole reference with every default filled in.
    pub canonical: String,
    /// The shortest text that means the same.
    pub familiar: String,
    /// The registry's domain; `None` where the first part can't be one, as in `my_host.com/web`.
    pub domain: Option<String>,
    /// The repository path.
    pub path: String,
    /// The tag.
    pub tag: Option<String>,
    /// The digest.
    pub digest: Option<String>,
}

impl Reading {
    /// Returns how `text` is read.
    pub fn of(text: &str) -> Self {
        let outcome = text.parse().map(|reference| ReadingParts::of(&reference));
        Self { input: text.to_owned(), outcome }
    }
}

impl ReadingParts {
    fn of(reference: &ImageReference) -> Self {
        let domain = reference.name.domain();
        Self {
            canonical: reference.to_string(),
            familiar: reference.familiar(),
            domain: (!domain.is_empty()).then(|| domain.to_owned()),
            path: reference.name.path().to_owned(),
            tag: reference.tag.as_ref().map(ToString::to_string),
            digest: reference.digest.as_ref().map(ToString::to_string),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_has_the_parts_that_are_there() {
        let parts = Reading::of("nginx:1").outcome.unwrap();
        assert_eq!(parts.canonical, "docker.io/library/nginx:1");
        assert_eq!(parts.familiar, "nginx:1");
        assert_eq!((parts.tag.as_deref(), parts.digest), (Some("1"), None));
        assert_eq!(Reading::of("a_b.com/c").outcome.unwrap().domain, None);
    }

    #[test]
    fn a_reading_says_why_there_is_none() {
        assert_eq!(Reading::of("").outcome, Err(ReferenceError::Format));
    }
}
