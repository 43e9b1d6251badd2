//! Which repository a git remote is on GitHub.

use url::Url;

/// Returns owner and name of the GitHub repository that a git remote's address stands for, or
/// `None` if it is not of the form `HOST/OWNER/NAME`.
pub fn repository_of(remote: &str) -> Option<(String, String)> {
    let path = match Url::parse(remote) {
        Ok(url) if matches!(url.scheme(), "http" | "https" | "ssh" | "git") => {
            url.host_str()?;
            url.path().to_owned()
        }
        // `user@host:owner/name`; the parser takes `host:owner/name` for a scheme and a path.
        _ if !remote.contains("://") => {
            let (host, path) = remote.split_once(':')?;
            (!host.contains('/') && !path.starts_with('/')).then(|| path.to_owned())?
        }
        _ => return None,
    };
    let path = path.trim_matches('/');
    let (owner, name) = path.strip_suffix(".git").unwrap_or(path).split_once('/')?;
    (is_name(owner) && is_name(name)).then(|| (owner.to_owned(), name.to_owned()))
}

/// Returns whether `text` can be the name of a user or a repository, and so a step of a URL.
pub(super) fn is_name(text: &str) -> bool {
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
}
