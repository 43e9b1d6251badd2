//! The grammar of image references, as distribution/reference writes it in `regexp.go`.
//!
//! A text is taken apart and checked here; what its parts mean once Docker's defaults are filled
//! in is left to [`super::ImageReference`].

use super::{Digest, ReferenceError, Tag};

/// The longest repository path that a reference may have (`RepositoryNameTotalLengthMax`).
const PATH_MAX: usize = 255;

/// A reference as it is written, before any default is filled in: `[domain/]path[:tag][@digest]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenReference<'a> {
    /// The first component, where it can be a domain and a path follows.
    pub domain: Option<&'a str>,
    /// The repository path.
    pub path: &'a str,
    /// The tag, if the text has one.
    pub tag: Option<Tag>,
    /// The digest, if the text has one.
    pub digest: Option<Digest>,
}

impl<'a> WrittenReference<'a> {
    /// Returns the parts of `text`.
    ///
    /// # Errors
    ///
    /// Fails if the text does not fit the grammar, or its digest is wrong.
    pub fn parse(text: &'a str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        let Some(parts) = Parts::of(text) else {
            let lower = text.to_lowercase();
            let only_case = Parts::of(&lower).is_some();
            return Err(if only_case {
                ReferenceError::AnyUppercase
            } else {
                ReferenceError::Format
            });
        };
        if parts.path.len() > PATH_MAX {
            return Err(ReferenceError::TooLong);
        }
        let tag = parts.tag.map(|tag| tag.parse().expect("the grammar's tag is a tag"));
        let digest = parts.digest.map(str::parse).transpose().map_err(ReferenceError::Digest)?;
        Ok(Self { domain: parts.domain, path: parts.path, tag, digest })
    }
}

/// What `ReferenceRegexp` captures.
struct Parts<'a> {
    domain: Option<&'a str>,
    path: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return None;
        }
        // A colon before the last slash belongs to a port, or to an IPv6 address.
        let last = named.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match named[last..].split_once(':') {
            Some((component, tag)) => (&named[..last + component.len()], Some(tag)),
            None => (named, None),
        };
        if tag.is_some_and(|tag| tag.parse::<Tag>().is_err()) {
            return None;
        }
        let (domain, path) = match name.split_once('/') {
            Some((first, rest)) if is_domain(first) => (Some(first), rest),
            _ => (None, name),
        };
        path.split('/').all(is_path_component).then_some(Self { domain, path, tag, digest })
    }
}

/// `host[:port]`, the host being a name, an IPv4 address, or an IPv6 address in brackets.
fn is_domain(text: &str) -> bool {
    let (host, port) = match text.rfind(']') {
        Some(end) => text.split_at(end + 1),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port_ok = match port.strip_prefix(':') {
        Some(digits) => !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()),
        None => port.is_empty(),
    };
    port_ok && (is_ipv6(host) || host.split('.').all(is_domain_component))
}

fn is_ipv6(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inner.is_some_and(|inner| {
        !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
    })
}

fn is_domain_component(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !text.is_empty() && text.bytes().all(inside) && !text.starts_with('-') && !text.ends_with('-')
}

/// Lower-case words, and between them one `.`, one or two `_`, or any number of `-`.
fn is_path_component(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let separator =
        |run: &[u8]| matches!(run, b"." | b"_" | b"__") || run.iter().all(|b| *b == b'-');
    let mut runs = text.as_bytes().chunk_by(|a, b| word(*a) == word(*b)).peekable();
    let begins_with_word = runs.peek().is_some_and(|run| word(run[0]));
    let ends_with_word = text.bytes().last().is_some_and(word);
    begins_with_word && ends_with_word && runs.all(|run| word(run[0]) || separator(run))
}

/// The shape `algorithm:hex`; whether the algorithm is known is asked later.
fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let component = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(component)
        && hex.len() >= 32
        && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_component_is_a_domain_where_it_can_be_one() {
        let domain = |text| WrittenReference::parse(text).unwrap().domain;
        assert_eq!(domain("a/b"), Some("a"));
        assert_eq!(domain("a_b/c"), None);
        assert_eq!(domain("[::1]:5000/b"), Some("[::1]:5000"));
        assert_eq!(domain("host:5000"), None);
    }

    #[test]
    fn separators_stand_between_words() {
        for good in ["a", "a.b", "a_b", "a__b", "a---b", "1"] {
            assert!(is_path_component(good), "{good}");
        }
        for bad in ["", ".", "a.", "-a", "a..b", "a___b", "a._b", "a-.b", "A", "é"] {
            assert!(!is_path_component(bad), "{bad}");
        }
    }
}
