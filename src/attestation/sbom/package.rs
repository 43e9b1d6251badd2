//! A package, by the name that it has everywhere: its package URL. See
//! <https://github.com/package-url/purl-spec>.

use std::cmp::Ordering;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A package that a lock file pins. It is known by its package URL alone.
#[derive(Debug, Clone)]
pub(super) struct Package {
    /// What stands before its name: the scope, the vendor, the path.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) purl: String,
    /// Algorithm and hexadecimal digits of the digest of what is downloaded.
    pub(super) hash: Option<(&'static str, String)>,
    /// Whether only development needs it.
    pub(super) dev: bool,
}

impl Package {
    /// Returns the package `name`, of which all up to the last slash is the namespace.
    pub(super) fn new(kind: &'static str, name: &str, version: &str) -> Self {
        let (namespace, name) = match name.rsplit_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, name),
        };
        let purl = purl(kind, namespace, name, version);
        let namespace = namespace.map(ToOwned::to_owned);
        let (name, version) = (name.to_owned(), version.to_owned());
        Self { namespace, name, version, purl, hash: None, dev: false }
    }

    /// Returns the same, needed for development only if `dev`.
    pub(super) fn dev(self, dev: bool) -> Self {
        Self { dev, ..self }
    }

    /// Returns the same with the SHA-1 or SHA-256 of what is downloaded, if it is one in hexadecimal.
    pub(super) fn hash(self, algorithm: &'static str, hex: Option<&str>) -> Self {
        let length = if algorithm == "SHA-1" { 40 } else { 64 };
        let is_hex = |hex: &&str| hex.len() == length && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let hash = hex.filter(is_hex).map(|hex| (algorithm, hex.to_ascii_lowercase()));
        Self { hash, ..self }
    }

    /// Returns the same with the digest in a "subresource integrity" such as `sha512-…`.
    pub(super) fn integrity(self, text: Option<&str>) -> Self {
        let known =
            [("sha512-", "SHA-512", 64), ("sha256-", "SHA-256", 32), ("sha1-", "SHA-1", 20)];
        let found = known.iter().find_map(|(prefix, algorithm, length)| {
            let encoded = text?.split_ascii_whitespace().find_map(|it| it.strip_prefix(prefix))?;
            let bytes = STANDARD.decode(encoded).ok().filter(|bytes| bytes.len() == *length)?;
            let mut hex = String::new();
            for byte in bytes {
                write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
            }
            Some((*algorithm, hex))
        });
        Self { hash: found, ..self }
    }

    /// Returns the same as it comes from a version control system: `git+https://…@COMMIT`.
    pub(super) fn in_vcs(mut self, address: &str, commit: &str) -> Self {
        let address = without_credentials(address.strip_prefix("git+").unwrap_or(address));
        let at = if commit.is_empty() { String::new() } else { format!("@{commit}") };
        let _ = write!(self.purl, "?vcs_url={}", encoded(&format!("git+{address}{at}"), b":/"));
        self
    }

    /// Returns the same as it comes from another registry than the ecosystem's own.
    pub(super) fn in_registry(mut self, address: &str) -> Self {
        let address = without_credentials(address);
        let _ = write!(self.purl, "?repository_url={}", encoded(&address, b":/"));
        self
    }
}

impl PartialEq for Package {
    fn eq(&self, other: &Self) -> bool {
        self.purl == other.purl
    }
}

impl Eq for Package {}

impl PartialOrd for Package {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Package {
    fn cmp(&self, other: &Self) -> Ordering {
        self.purl.cmp(&other.purl)
    }
}

fn purl(kind: &str, namespace: Option<&str>, name: &str, version: &str) -> String {
    let (mut namespace, mut name) = (namespace.map(ToOwned::to_owned), name.to_owned());
    if matches!(kind, "composer" | "golang" | "pypi") {
        namespace = namespace.map(|it| it.to_lowercase());
        name = name.to_lowercase();
    }
    if kind == "pypi" {
        name = name.replace('_', "-");
    }
    let mut purl = format!("pkg:{kind}/");
    for part in namespace.iter().flat_map(|namespace| namespace.split('/')) {
        let _ = write!(purl, "{}/", encoded(part, b":"));
    }
    let _ = write!(purl, "{}@{}", encoded(&name, b":"), encoded(version, b":"));
    purl
}

/// Returns `text` with all but letters, digits, `.-_~` and `also` as `%XX`.
pub(super) fn encoded(text: &str, also: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~".contains(&byte) || also.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Returns `address` without a user and a password, a query and a fragment.
fn without_credentials(address: &str) -> String {
    let Ok(mut url) = url::Url::parse(address) else { return address.to_owned() };
    let is_http = matches!(url.scheme(), "http" | "https");
    let cleared = url.set_password(None).is_ok() && (!is_http || url.set_username("").is_ok());
    url.set_query(None);
    url.set_fragment(None);
    if cleared || url.password().is_none() { url.into() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_those_of_the_specification() {
        // From the specification's own test suite.
        for (kind, name, version, expected) in [
            ("composer", "laravel/Laravel", "5.5.0", "pkg:composer/laravel/laravel@5.5.0"),
            ("gem", "ruby-advisory-db-check", "0.12.4", "pkg:gem/ruby-advisory-db-check@0.12.4"),
            (
                "golang",
                "google.golang.org/genproto",
                "v0.0.1",
                "pkg:golang/google.golang.org/genproto@v0.0.1",
            ),
            ("npm", "@angular/animation", "12.3.1", "pkg:npm/%40angular/animation@12.3.1"),
            ("pypi", "Django_package", "1.11.1.dev1", "pkg:pypi/django-package@1.11.1.dev1"),
            ("cargo", "rand", "0.7.2+x", "pkg:cargo/rand@0.7.2%2Bx"),
        ] {
            assert_eq!(Package::new(kind, name, version).purl, expected);
        }
    }

    #[test]
    fn a_repository_is_named_without_what_may_be_secret() {
        let package = Package::new("cargo", "a", "1.0.0");
        let from = |address: &str| package.clone().in_vcs(address, "abc").purl;
        let expected = "pkg:cargo/a@1.0.0?vcs_url=git%2Bhttps://git.example.com/a%40abc";
        assert_eq!(from("https://user:token@git.example.com/a?rev=x#y"), expected);
        assert_eq!(from("git+https://token@git.example.com/a"), expected);
    }

    #[test]
    fn an_integrity_is_a_hash_if_it_is_one() {
        let hash = |text: &str| Package::new("npm", "a", "1").integrity(Some(text)).hash;
        let sha1 = hash("sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=").unwrap();
        assert_eq!(sha1, ("SHA-1", "da39a3ee5e6b4b0d3255bfef95601890afd80709".to_owned()));
        assert_eq!(hash("sha512-AA=="), None);
        assert_eq!(hash(""), None);
    }
}
