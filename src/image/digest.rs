//! Content digests, as the OCI image specification defines them ("Digests").

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// A content digest, `sha256:` followed by 64 lower-case hexadecimal characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

/// Why a text is not a [`Digest`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no `algorithm:hex` shape at all.
    #[error("`{0}` is not a digest; expected `sha256:` and 64 hexadecimal characters")]
    Format(String),
    /// The algorithm is not `sha256`.
    #[error("digest algorithm `{0}` is not supported; expected `sha256`")]
    Unsupported(String),
    /// The hexadecimal part has the wrong length for its algorithm.
    #[error("digest has {found} hexadecimal characters; expected 64")]
    Length {
        /// How many there are.
        found: usize,
    },
}

impl Digest {
    /// Returns the sha256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_sha256(Sha256::digest(bytes).into())
    }

    /// Returns the digest whose 32 raw bytes are `sum`.
    pub fn from_sha256(sum: [u8; 32]) -> Self {
        use fmt::Write as _;
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        for byte in sum {
            write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        }
        Self(text)
    }

    /// Returns the 64 hexadecimal characters after `sha256:`.
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }

    /// Returns the first 12 hexadecimal characters, for people to read.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }

    /// Returns the whole digest, `sha256:…`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let format = || DigestError::Format(text.to_owned());
        let (algorithm, hex) = text.split_once(':').ok_or_else(format)?;
        if algorithm != "sha256" {
            return Err(DigestError::Unsupported(algorithm.to_owned()));
        }
        if hex.len() != 64 {
            return Err(DigestError::Length { found: hex.len() });
        }
        if !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(format());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_nothing_is_well_known() {
        let digest = Digest::of(b"");
        assert_eq!(
            digest.as_str(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(digest.short(), "e3b0c44298fc");
        assert_eq!(digest.as_str().parse(), Ok(digest));
    }

    #[test]
    fn says_what_is_wrong_with_a_digest() {
        assert_eq!("abc".parse::<Digest>(), Err(DigestError::Format("abc".into())));
        assert_eq!("md5:00".parse::<Digest>(), Err(DigestError::Unsupported("md5".into())));
        assert_eq!("sha256:00".parse::<Digest>(), Err(DigestError::Length { found: 2 }));
    }
}
