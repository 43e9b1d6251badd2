//! Which repository a git remote is on GitHub.

use std::fmt;

use url::Url;

use super::GithubError;

/// Owner and name of a repository, of which a path can be made: `owner/name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slug {
    owner: String,
    name: String,
}

impl Slug {
    pub(super) fn new(owner: &str, name: &str) -> Result<Self, GithubError> {
        let (owner, name) = (owner.to_owned(), name.to_owned());
        match is_name(&owner) && is_name(&name) {
            true => Ok(Self { owner, name }),
            false => Err(GithubError::Name { owner, repository: name }),
        }
    }

    pub(super) fn owner(&self) -> &str {
        &self.owner
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// Returns owner and name of the GitHub repository that a git remote's address stands for, or
/// `None` if it is not of the form `HOST/OWNER/NAME`. Whether HOST is GitHub is told by
/// [`Client::repository_of`](super::Client::repository_of).
pub fn repository_of(remote: &str) -> Option<(String, String)> {
    let (_, path) = host_and_path(remote)?;
    let path = path.trim_matches('/');
    let (owner, name) = path.strip_suffix(".git").unwrap_or(path).split_once('/')?;
    (is_name(owner) && is_name(name)).then(|| (owner.to_owned(), name.to_owned()))
}

/// Returns the page of the repository that a git remote's address stands for, or `None` if it is not
/// of the form `HOST/OWNER/NAME`.
pub fn page_of(remote: &str) -> Option<String> {
    let ((host, _), (owner, name)) = (host_and_path(remote)?, repository_of(remote)?);
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    let host = host.strip_prefix("ssh.").unwrap_or(&host);
    host.bytes().all(plain).then(|| format!("https://{host}/{owner}/{name}"))
}

/// Returns whether the API at `api` is that of the host that `remote` is on.
pub(super) fn is_served_by(remote: &str, api: &Url) -> bool {
    let (Some((host, _)), Some(api)) = (host_and_path(remote), api.host_str()) else {
        return false;
    };
    // GitHub answers SSH on port 443 under another name, and the API of github.com and of a
    // tenant of ghe.com has one of its own; an Enterprise server has one name for all.
    let host = host.to_ascii_lowercase();
    let host = host.strip_prefix("ssh.").unwrap_or(&host);
    api == host || api.strip_prefix("api.") == Some(host)
}

fn host_and_path(remote: &str) -> Option<(String, String)> {
    match Url::parse(remote) {
        Ok(url) if matches!(url.scheme(), "http" | "https" | "ssh" | "git") => {
            Some((url.host_str()?.to_owned(), url.path().to_owned()))
        }
        // `user@host:owner/name`; the parser takes `host:owner/name` for a scheme and a path.
        _ if !remote.contains("://") => {
            let (host, path) = remote.split_once(':')?;
            let host = host.rsplit('@').next()?;
            (!host.contains('/') && !path.starts_with('/')).then(|| (host.into(), path.into()))
        }
        _ => None,
    }
}

/// Returns whether `text` can be the name of a user or a repository, and so a step of a URL.
fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= 100 && text != "." && text != ".." && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_owner_and_name() {
        for remote in [
            "https://github.com/shop/manifests.git",
            "https://github.com/shop/manifests",
            "https://github.com/shop/manifests/",
            "https://me@git.example.com:8443/shop/manifests.git",
            "git@github.com:shop/manifests.git",
            "ssh://git@github.com/shop/manifests.git",
            "ssh://git@ssh.github.com:443/shop/manifests.git",
        ] {
            let found = repository_of(remote);
            assert_eq!(found, Some(("shop".to_owned(), "manifests".to_owned())), "{remote}");
        }
    }

    #[test]
    fn a_repository_has_a_page() {
        let page = Some("https://github.com/shop/web".to_owned());
        assert_eq!(page_of("git@github.com:shop/web.git"), page);
        assert_eq!(page_of("ssh://git@ssh.github.com:443/shop/web"), page);
        assert_eq!(page_of("https://me@github.com/shop/web/"), page);
        assert_eq!(page_of("/srv/shop/web"), None);
        assert_eq!(page_of("git@a b:shop/web"), None);
    }

    #[test]
    fn other_addresses_are_no_repository() {
        for remote in [
            "",
            "/srv/git/manifests.git",
            "../shop/manifests",
            "file:///shop/manifests.git",
            "https://github.com/manifests",
            "https://github.com/a/b/c",
            "https://github.com/../b",
            "https://github.com/a/b%2Fc",
            "git@github.com:/srv/shop/manifests.git",
        ] {
            assert_eq!(repository_of(remote), None, "{remote}");
        }
    }

    #[test]
    fn a_repository_elsewhere_is_not_looked_for_on_github() {
        let served = |remote, api| is_served_by(remote, &Url::parse(api).unwrap());
        let github = "https://api.github.com";
        assert!(served("https://github.com/a/b", github));
        assert!(served("git@github.com:a/b.git", github));
        assert!(served("ssh://git@ssh.github.com:443/a/b.git", github));
        assert!(served("https://git.example.com:8443/a/b", "https://git.example.com/api/v3"));
        assert!(served("git@shop.ghe.com:a/b.git", "https://api.shop.ghe.com"));
        assert!(!served("https://gitlab.example.com/a/b", github));
        assert!(!served("git@gitlab.example.com:a/b", github));
        assert!(!served("/srv/git/a/b", github));
    }
}
