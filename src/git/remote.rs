//! Where a remote repository is: a URL, `user@host:path`, or a path.

use camino::Utf8PathBuf;
use url::Url;

use super::GitError;
use crate::image::Digest;

/// A remote repository's address, checked, and without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remote {
    /// What `git` is given, and what people see.
    address: String,
    kind: Kind,
    /// The user name that an HTTP address named. It may be a token, so it is never shown.
    username: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// HTTP or HTTPS: `https://git.example.com:8443`.
    Http {
        origin: String,
    },
    Ssh,
    Other,
}

impl Remote {
    /// Returns the address that `text` states.
    pub(super) fn parse(text: &str) -> Result<Self, GitError> {
        let malformed =
            |reason: &str| GitError::Remote { remote: shown(text), reason: reason.to_owned() };
        if text.is_empty() || text.starts_with('-') || text.chars().any(char::is_control) {
            return Err(malformed("expected a URL, `user@host:path`, or a path"));
        }
        if text.contains("://") {
            return Self::from_url(text, malformed);
        }
        match text.split_once(':') {
            // `ext::sh -c …` would run a command.
            Some((_, path)) if path.starts_with(':') => {
                Err(malformed("remote helpers are not supported"))
            }
            Some((host, _)) if !host.contains('/') && !host.is_empty() => {
                Ok(Self { address: text.to_owned(), kind: Kind::Ssh, username: None })
            }
            _ => Self::from_path(text, malformed),
        }
    }

    fn from_url(text: &str, malformed: impl Fn(&str) -> GitError) -> Result<Self, GitError> {
        let mut url = Url::parse(text).map_err(|error| malformed(&error.to_string()))?;
        if url.password().is_some() {
            return Err(malformed("a URL must not hold a password; use `DEPLOYCTL_GIT_TOKEN`"));
        }
        let other = |kind| Self { address: text.to_owned(), kind, username: None };
        match url.scheme() {
            "http" | "https" => {
                let username = Some(url.username()).filter(|name| !name.is_empty());
                let username = username.map(ToOwned::to_owned);
                let origin = url.origin().ascii_serialization();
                url.set_username("").map_err(|()| malformed("it has no host"))?;
                Ok(Self { address: url.into(), kind: Kind::Http { origin }, username })
            }
            "ssh" | "git+ssh" | "ssh+git" => Ok(other(Kind::Ssh)),
            "git" | "file" => Ok(other(Kind::Other)),
            scheme => Err(malformed(&format!(
                "`{scheme}` is not supported; expected https, http, ssh, git or file"
            ))),
        }
    }

    fn from_path(text: &str, malformed: impl Fn(&str) -> GitError) -> Result<Self, GitError> {
        let path = std::path::absolute(text).map_err(|error| malformed(&error.to_string()))?;
        let path = Utf8PathBuf::from_path_buf(path).map_err(|_| malformed("it is not UTF-8"))?;
        Ok(Self { address: path.into_string(), kind: Kind::Other, username: None })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.address
    }

    /// Returns scheme, host and port of an HTTP or HTTPS remote.
    pub(super) fn http_origin(&self) -> Option<&str> {
        match &self.kind {
            Kind::Http { origin } => Some(origin),
            Kind::Ssh | Kind::Other => None,
        }
    }

    /// Returns the name of the host, if the remote is not on this machine.
    pub(super) fn host(&self) -> Option<&str> {
        if self.address.contains("://") {
            return host_of(&self.address);
        }
        let place = self.is_ssh().then(|| self.address.split(':').next())??;
        place.rsplit('@').next()
    }

    pub(super) fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// Returns the folder of a remote on this machine.
    pub(super) fn path(&self) -> Option<Utf8PathBuf> {
        let path = self.address.strip_prefix("file://").unwrap_or(&self.address);
        (self.kind == Kind::Other && path.starts_with('/')).then(|| path.into())
    }

    /// Returns the port of an SSH remote.
    #[cfg(any(feature = "git-https", feature = "git-ssh"))]
    pub(super) fn port(&self) -> u16 {
        Url::parse(&self.address).ok().and_then(|url| url.port()).unwrap_or(22)
    }

    pub(super) fn is_ssh(&self) -> bool {
        self.kind == Kind::Ssh
    }

    /// Returns the name of the cache's folder: a readable part, and what tells remotes apart.
    pub(super) fn folder(&self) -> String {
        let path = self.address.trim_end_matches('/').trim_end_matches(".git");
        let words: Vec<&str> = path.rsplit(['/', ':', '\\']).take(2).collect();
        let slug = words.iter().rev().flat_map(|word| word.chars().take(32).chain(['-']));
        let slug: String = slug.filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        // `..` leaves nothing but its dash.
        let slug = slug.trim_start_matches('-');
        format!("{slug}{}", Digest::of(self.address.as_bytes()).short()).to_lowercase()
    }
}

/// Returns the name of the host in `url`.
pub(super) fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split('/').next()?.rsplit('@').next()?;
    host.split(':').next().filter(|host| !host.is_empty())
}

/// Returns `text` with the user part of every URL in it replaced, for messages.
pub(super) fn shown(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = after.find(|c: char| c == '/' || c.is_whitespace() || c == '\'' || c == '"');
        let authority = &after[..end.unwrap_or(after.len())];
        rest = match authority.rfind('@') {
            Some(user) => {
                clean.push_str("***");
                &after[user..]
            }
            None => after,
        };
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_host() {
        let host = |text: &str| Remote::parse(text).unwrap().host().map(ToOwned::to_owned);
        for text in [
            "https://github.com/shop/manifests.git",
            "https://token@github.com:443/shop/manifests.git",
            "ssh://git@github.com:22/shop/manifests.git",
            "git@github.com:shop/manifests.git",
            "github.com:shop/manifests.git",
        ] {
            assert_eq!(host(text).as_deref(), Some("github.com"), "{text}");
        }
        for text in ["/srv/github.com:x/manifests.git", "file:///srv/manifests.git"] {
            assert_eq!(host(text), None, "{text}");
        }
    }

    #[test]
    fn tells_the_kinds_of_address_apart() {
        let http = Remote::parse("https://git.example.com:8443/shop/manifests.git").unwrap();
        assert_eq!(http.http_origin(), Some("https://git.example.com:8443"));
        assert!(Remote::parse("git@git.example.com:shop/manifests.git").unwrap().is_ssh());
        assert!(Remote::parse("ssh://git@git.example.com:2222/shop").unwrap().is_ssh());
        assert!(!Remote::parse("/srv/git/a:b.git").unwrap().is_ssh());
        assert!(Remote::parse("sub/folder").unwrap().as_str().starts_with('/'));
        assert!(!Remote::parse("file:///srv/git/a.git").unwrap().is_ssh());
    }

    #[test]
    fn refuses_what_could_run_a_command_or_holds_a_password() {
        let refused = [
            ("", "expected a URL, `user@host:path`, or a path"),
            ("--upload-pack=/bin/sh", "expected a URL, `user@host:path`, or a path"),
            ("ext::sh -c id", "remote helpers are not supported"),
            ("ext::https://git.example.com", "`ext` is not supported"),
            ("ftp://git.example.com/x", "`ftp` is not supported"),
            ("https://me:canary@git.example.com/x", "a URL must not hold a password"),
        ];
        for (text, reason) in refused {
            let error = Remote::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_user_name_in_an_http_address_is_taken_out_of_it() {
        let remote = Remote::parse("https://canary@git.example.com/shop/manifests.git").unwrap();
        assert_eq!(remote.as_str(), "https://git.example.com/shop/manifests.git");
        assert_eq!(remote.username(), Some("canary"));
    }

    #[test]
    fn the_cache_folder_is_readable_and_tells_remotes_apart() {
        let folder = |text| Remote::parse(text).unwrap().folder();
        assert!(folder("/srv/shop/../manifests.git").starts_with("manifests-"));
        let one = folder("https://git.example.com/Shop/manifests.git");
        assert!(one.starts_with("shop-manifests-"), "{one}");
        assert_ne!(one, folder("https://git.example.org/Shop/manifests.git"));
        assert!(folder("git@git.example.com:shop/manifests.git").starts_with("shop-manifests-"));
    }

    #[test]
    fn messages_show_no_user_part() {
        assert_eq!(
            shown("fatal: 'https://a:b@c.example.com/x' and ssh://git@h/y, but not http://h/a@b"),
            "fatal: 'https://***@c.example.com/x' and ssh://***@h/y, but not http://h/a@b"
        );
    }
}
