//! Whether two URLs mean the same repository.

/// Returns the URL as `host/path`, or as the path alone for a repository on disk.
///
/// Scheme, user, password, port, a final `.git` or `/` and the case of letters tell no repositories
/// apart: the same one is written as `https://git.example.com/shop/manifests`,
/// `git@git.example.com:Shop/manifests.git` and `ssh://git@git.example.com:22/shop/manifests`. As
/// the password is gone, the result may be shown.
pub fn normalise_repo_url(url: &str) -> String {
    let url = url.trim().to_lowercase();
    let normalised = match url.split_once("://") {
        Some(("file", path)) => path.to_owned(),
        Some((_, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            join(host(authority), path)
        }
        None => match scp_like(&url) {
            Some((authority, path)) => join(host(authority), path),
            None => url,
        },
    };
    let trimmed = normalised.trim_end_matches('/');
    let trimmed = trimmed.strip_suffix(".git").unwrap_or(trimmed).trim_end_matches('/');
    trimmed.to_owned()
}

/// `user@host:path`, which git tells from a path by the colon before the first slash.
fn scp_like(url: &str) -> Option<(&str, &str)> {
    let (authority, path) = url.split_once(':')?;
    (!authority.contains('/')).then_some((authority, path))
}

fn host(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rsplit_once(':') {
        // An address of version 6 has colons of its own and stands in brackets.
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

fn join(host: &str, path: &str) -> String {
    format!("{host}/{}", path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_same_repository_the_same_way() {
        for url in [
            "https://git.example.com/shop/manifests",
            "https://git.example.com/shop/manifests.git",
            "https://git.example.com/shop/manifests.git/",
            "http://GIT.example.com:8080/shop/manifests/",
            "https://bot:s3cret@git.example.com/shop/manifests",
            "ssh://git@git.example.com:22/Shop/manifests.git",
            "git@git.example.com:shop/manifests.git",
            "git.example.com:/shop/manifests",
            " git://git.example.com/shop/manifests\n",
        ] {
            assert_eq!(normalise_repo_url(url), "git.example.com/shop/manifests", "{url}");
        }
    }

    #[test]
    fn keeps_different_repositories_apart() {
        for (url, expected) in [
            ("file:///srv/git/shop.git", "/srv/git/shop"),
            ("/srv/git/shop.git", "/srv/git/shop"),
            ("https://git.example.com", "git.example.com"),
            ("https://[2001:db8::1]:8443/shop", "[2001:db8::1]/shop"),
            ("https://git.example.com/shop.git.git", "git.example.com/shop.git"),
            ("", ""),
        ] {
            assert_eq!(normalise_repo_url(url), expected, "{url}");
        }
    }
}
