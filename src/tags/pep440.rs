//! Python's versions (PEP 440, appendix B), and how they are written when they are normalised.

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// A version of a Python package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pep440 {
    epoch: String,
    release: Vec<String>,
    pre: Option<String>,
    post: Option<String>,
    dev: Option<String>,
    local: Option<String>,
}

static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    let parts = [
        r"^v?(?:(?<epoch>[0-9]+)!)?(?<release>[0-9]+(?:\.[0-9]+)*)",
        r"(?:[-_.]?(?<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?<pre_n>[0-9]+)?)?",
        r"(?:-(?<post_n1>[0-9]+)|[-_.]?(?<post>post|rev|r)[-_.]?(?<post_n2>[0-9]+)?)?",
        r"(?:[-_.]?(?<dev>dev)[-_.]?(?<dev_n>[0-9]+)?)?",
        r"(?:\+(?<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?$",
    ];
    let pattern = format!("(?i){}", parts.concat());
    Regex::new(&pattern).expect("the pattern is a constant that the tests compile")
});

impl Pep440 {
    /// Returns the version that `text` is, or `None` if it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let found = PATTERN.captures(text)?;
        let part = |name: &str| found.name(name).map(|part| part.as_str());
        let post = part("post_n1").map(|number| format!("post{}", plain(number)));
        Some(Self {
            epoch: plain(part("epoch").unwrap_or("0")),
            release: part("release")?.split('.').map(plain).collect(),
            pre: labelled(&found, "pre", "pre_n"),
            post: post.or_else(|| labelled(&found, "post", "post_n2")),
            dev: labelled(&found, "dev", "dev_n"),
            local: part("local").map(local),
        })
    }

    /// Returns whether it is a release as such: not one before it, after it, or of its development.
    pub(super) fn is_stable(&self) -> bool {
        self.pre.is_none() && self.post.is_none() && self.dev.is_none()
    }

    /// Returns whether it is a version before a release.
    pub(super) fn is_prerelease(&self) -> bool {
        self.pre.is_some() || self.dev.is_some()
    }

    /// Returns the number of the release at `index`, or 0.
    pub(super) fn release(&self, index: usize) -> &str {
        self.release.get(index).map_or("0", String::as_str)
    }

    /// Returns it as everyone writes it.
    pub(super) fn normalised(&self) -> String {
        let mut text = String::new();
        if self.epoch != "0" {
            let _ = write!(text, "{}!", self.epoch);
        }
        text.push_str(&self.release.join("."));
        text.push_str(self.pre.as_deref().unwrap_or_default());
        for (separator, part) in [(".", &self.post), (".", &self.dev), ("+", &self.local)] {
            if let Some(part) = part {
                let _ = write!(text, "{separator}{part}");
            }
        }
        text
    }
}

fn labelled(found: &Captures<'_>, label: &str, number: &str) -> Option<String> {
    let label = match found.name(label)?.as_str().to_lowercase().as_str() {
        "alpha" => "a".to_owned(),
        "beta" => "b".to_owned(),
        "c" | "pre" | "preview" => "rc".to_owned(),
        "rev" | "r" => "post".to_owned(),
        label => label.to_owned(),
    };
    // One without a number is the one with 0.
    let number = found.name(number).map_or_else(|| "0".to_owned(), |it| plain(it.as_str()));
    Some(label + &number)
}

/// Returns a number without leading zeros.
fn plain(number: &str) -> String {
    match number.trim_start_matches('0') {
        "" => "0".to_owned(),
        number => number.to_owned(),
    }
}

/// The action's library writes commas between the parts, which no tag can have, so they end as `-`.
fn local(text: &str) -> String {
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let part = |part: &str| if is_number(part) { plain(part) } else { part.to_lowercase() };
    let parts: Vec<String> = text.split(['-', '_', '.']).map(part).collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_normalised() {
        for (text, expected, is_stable) in [
            ("v1.1.1", "1.1.1", true),
            ("1.2", "1.2", true),
            ("1.1beta2", "1.1b2", false),
            ("1.0dev4", "1.0.dev4", false),
            ("1.2post1", "1.2.post1", false),
            ("1.2-1", "1.2.post1", false),
            ("1.2.3RC2", "1.2.3rc2", false),
            ("1.2-preview", "1.2rc0", false),
            ("1!2.03_a.1-r4.dev+Ubuntu_01", "1!2.3a1.post4.dev0+ubuntu,1", false),
        ] {
            let version = Pep440::parse(text).unwrap();
            assert_eq!((version.normalised().as_str(), version.is_stable()), (expected, is_stable));
        }
        for bad in ["", "x1", "1.2-beta.67.8", "1..2", "1.2+"] {
            assert_eq!(Pep440::parse(bad), None, "{bad}");
        }
        let version = Pep440::parse("v1.2").unwrap();
        assert_eq!([0, 1, 2].map(|index| version.release(index)), ["1", "2", "0"]);
    }
}
