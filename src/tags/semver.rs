//! Semantic versions, as npm's `semver` reads them strictly: `v` is allowed, a part left out is not.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A semantic version. Its order is that of precedence; build metadata has no part in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SemVer {
    /// As it was written.
    pub raw: String,
    /// The first number.
    pub major: u64,
    /// The second number.
    pub minor: u64,
    /// The third number.
    pub patch: u64,
    /// What stands behind `-`, by its dots.
    pub prerelease: Vec<String>,
    /// What stands behind `+`, by its dots.
    pub build: Vec<String>,
}

/// A text is not a semantic version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a semantic version")]
pub struct NoSemVer(pub String);

/// JavaScript's largest exact integer, which no number of a version may exceed.
const LARGEST: u64 = (1 << 53) - 1;

const LONGEST: usize = 256;

impl SemVer {
    /// Returns whether it is a version before a release.
    pub fn is_prerelease(&self) -> bool {
        !self.prerelease.is_empty()
    }

    fn read(text: &str) -> Option<Self> {
        let trimmed = text.trim();
        if text.len() > LONGEST {
            return None;
        }
        let rest = trimmed.strip_prefix('v').unwrap_or(trimmed);
        let (rest, build) = match rest.split_once('+') {
            Some((rest, build)) => (rest, identifiers(build, |_| true)?),
            None => (rest, Vec::new()),
        };
        let (rest, prerelease) = match rest.split_once('-') {
            Some((rest, prerelease)) => (rest, identifiers(prerelease, has_no_leading_zero)?),
            None => (rest, Vec::new()),
        };
        let mut numbers = rest.split('.').map(number);
        let (major, minor, patch) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let raw = text.to_owned();
        let version = Self { raw, major, minor, patch, prerelease, build };
        numbers.next().is_none().then_some(version)
    }
}

impl FromStr for SemVer {
    type Err = NoSemVer;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text).ok_or_else(|| NoSemVer(text.to_owned()))
    }
}

impl fmt::Display for SemVer {
    /// Writes it without `v` and without build metadata.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if self.is_prerelease() { write!(f, "-{}", self.prerelease.join(".")) } else { Ok(()) }
    }
}

impl SemVer {
    /// Returns which of two versions comes first.
    pub fn precedence(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| {
            match (self.is_prerelease(), other.is_prerelease()) {
                (false, true) => Ordering::Greater,
                (true, false) => Ordering::Less,
                _ => by_identifiers(&self.prerelease, &other.prerelease),
            }
        })
    }
}

fn by_identifiers(a: &[String], b: &[String]) -> Ordering {
    let differing = a.iter().zip(b).map(|(a, b)| match (is_number(a), is_number(b)) {
        (true, true) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    });
    let mut differing = differing.filter(|order| order.is_ne());
    differing.next().unwrap_or_else(|| a.len().cmp(&b.len()))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn has_no_leading_zero(text: &str) -> bool {
    text == "0" || !text.starts_with('0') || !is_number(text)
}

fn number(text: &str) -> Option<u64> {
    let fits = is_number(text) && has_no_leading_zero(text);
    text.parse().ok().filter(|number| fits && *number <= LARGEST)
}

fn identifiers(text: &str, fits: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
    parts.iter().all(|part| plain(part) && fits(part)).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        text.parse().ok().map(|version: SemVer| version.to_string())
    }

    #[test]
    fn versions_are_read_strictly() {
        assert_eq!(read("v1.2.3").as_deref(), Some("1.2.3"));
        assert_eq!(read("1.2.3-beta.67+b-1.02").as_deref(), Some("1.2.3-beta.67"));
        assert_eq!(read("1.0.0--x.0").as_deref(), Some("1.0.0--x.0"));
        for bad in [
            "1.2",
            "1.2.3.4",
            "01.2.3",
            "1.2.3-01",
            "=1.2.3",
            "1.2.3-",
            "1.2.3+",
            "a",
            "",
            "1.2.9007199254740992",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn versions_are_ordered_as_the_specification_says() {
        let order = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 1.2.0 2.0.0";
        let versions: Vec<SemVer> = order.split(' ').map(|text| text.parse().unwrap()).collect();
        for pair in versions.windows(2) {
            assert_eq!(pair[0].precedence(&pair[1]), Ordering::Less, "{pair:?}");
        }
        let build = |text: &str| text.parse::<SemVer>().unwrap();
        assert_eq!(build("1.0.0+a").precedence(&build("1.0.0+b")), Ordering::Equal);
    }
}
