//! The platform that an image is for.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A platform, `os/architecture[/variant]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// The operating system, as Go calls it: `linux`.
    pub os: String,
    /// The architecture, as Go calls it: `amd64`, `arm64`.
    pub architecture: String,
    /// The architecture's variant: `v7` of `arm`.
    pub variant: Option<String>,
}

/// Why a text is not a [`Platform`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("platform `{0}`: expected for example `linux/amd64` or `linux/arm/v7`")]
pub struct PlatformError(String);

/// Operating systems as Go calls them (`GOOS`), those that images are made for.
const SYSTEMS: [&str; 8] =
    ["linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "wasip1"];

/// Architectures as Go calls them (`GOARCH`).
const ARCHITECTURES: [&str; 14] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64",
    "ppc64le", "riscv64", "s390x", "wasm",
];

impl Platform {
    /// Returns the part of it that Go does not know, and the words that it knows there; `None` if it
    /// knows both. Images of others may be there, and nobody means to build one.
    pub fn unknown(&self) -> Option<(&str, &'static [&'static str])> {
        let parts =
            [(self.os.as_str(), &SYSTEMS[..]), (self.architecture.as_str(), &ARCHITECTURES[..])];
        parts.into_iter().find(|(part, known)| !known.contains(part))
    }

    /// Returns whether an image for `stated` is one for this platform. A variant that either leaves
    /// out is the architecture's usual one.
    pub fn accepts(&self, stated: &Self) -> bool {
        let variants_agree = match (&self.variant, &stated.variant) {
            (Some(wanted), Some(stated)) => wanted == stated,
            _ => true,
        };
        self.os == stated.os && self.architecture == stated.architecture && variants_agree
    }
}

impl Default for Platform {
    fn default() -> Self {
        Self { os: "linux".to_owned(), architecture: "amd64".to_owned(), variant: None }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match (parts.as_slice(), parts.iter().all(is_name)) {
            (&[os, architecture], true) => (os, architecture, None),
            (&[os, architecture, variant], true) => (os, architecture, Some(variant)),
            _ => return Err(PlatformError(text.to_owned())),
        };
        let variant = variant.map(str::to_owned);
        Ok(Self { os: os.to_owned(), architecture: architecture.to_owned(), variant })
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_does_not_know_is_told() {
        let unknown = |text: &str| {
            let platform: Platform = text.parse().unwrap();
            platform.unknown().map(|(part, _)| part.to_owned())
        };
        assert_eq!(unknown("linux/amd64"), None);
        assert_eq!(unknown("linux/arm/v7"), None);
        assert_eq!(unknown("linux/amd46").as_deref(), Some("amd46"));
        assert_eq!(unknown("linus/amd64").as_deref(), Some("linus"));
    }

    #[test]
    fn a_platform_is_two_or_three_names() {
        for text in ["linux/amd64", "linux/arm/v7", "windows/amd64"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in ["", "linux", "linux/", "linux/arm/v7/x", "linux/a b", "/amd64"] {
            let error = text.parse::<Platform>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("platform `{text}`: expected")), "{error}");
        }
    }

    #[test]
    fn a_variant_that_is_not_said_fits() {
        let accepts = |wanted: &str, stated: &str| {
            wanted.parse::<Platform>().unwrap().accepts(&stated.parse().unwrap())
        };
        assert!(accepts("linux/arm64", "linux/arm64/v8"));
        assert!(accepts("linux/arm64/v8", "linux/arm64"));
        assert!(!accepts("linux/arm/v7", "linux/arm/v6"));
        assert!(!accepts("linux/amd64", "linux/arm64"));
    }
}
