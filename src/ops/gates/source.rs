//! The repositories that images are built from, as far as the record of an image may send us there.

use camino::Utf8Path;

use super::facts::reason;
use crate::argocd::Relation;
use crate::git::{CommitId, GitError, Repository};
use crate::github::Branches;
use crate::ops::store;
use crate::promotion::{Fact, RecordedSource};
use crate::system::Environment;

/// Where the repositories are that images are built from.
#[derive(Debug, Clone)]
pub struct SourceRepositories<'a> {
    /// The folder of the caches.
    pub caches: &'a Utf8Path,
    /// The environment, for the credentials.
    pub environment: &'a Environment,
    /// Addresses of repositories whose servers are trusted with the credentials.
    pub trusted: Vec<String>,
}

impl SourceRepositories<'_> {
    /// Returns whether the commit is on `branch` of its repository, which `api` is asked if it is on the
    /// same GitHub.
    pub(super) async fn is_on_branch(
        &self,
        source: Fact<&RecordedSource>,
        branch: &str,
        api: Option<&Branches>,
    ) -> Fact<bool> {
        let source = source?;
        let commit: CommitId = source.commit.parse()?;
        let address = self.address(source)?;
        let relation = match api.and_then(|api| api.beside(address)) {
            Some(there) => {
                let related = store::relation(&there, commit.as_str(), branch).await;
                related.map_err(|e| reason(&e))?
            }
            None => self.relation(address, &commit, branch).await.map_err(|e| reason(&e))?,
        };
        match relation {
            Relation::Same | Relation::Newer => Ok(true),
            Relation::Older | Relation::Diverged => Ok(false),
            Relation::Unknown => {
                Err(format!("{address} does not tell how {} stands to {branch}", commit.short()))
            }
        }
    }

    async fn relation(
        &self,
        address: &str,
        commit: &CommitId,
        branch: &str,
    ) -> Result<Relation, GitError> {
        let repository = Repository::open(address, self.caches, self.environment).await?;
        let tip = repository.fetch(Some(branch)).await?;
        repository.relation(commit, tip.as_str()).await
    }

    /// Returns the address of the repository that the commit is in.
    pub(super) fn address<'s>(&self, source: &'s RecordedSource) -> Fact<&'s str> {
        let address = source.repository.as_deref().ok_or_else(|| {
            let commit = &source.commit;
            format!(
                "it is not on record which repository {commit} is in: set the image from a checkout \
                 that has a remote"
            )
        })?;
        // Whoever can write a commit message could have the credentials sent to a server of theirs.
        let is_trusted = self.trusted.iter().any(|trusted| may_follow(address, trusted));
        is_trusted.then_some(address).ok_or_else(|| {
            format!("{address} is on another server than the manifests and deployctl.yaml")
        })
    }
}

/// Returns whether what may be sent to the server of `trusted` may be sent to that of `address`, too.
fn may_follow(address: &str, trusted: &str) -> bool {
    match (server(address), server(trusted)) {
        // A path leads to no server.
        (None, _) => true,
        (Some(_), None) => false,
        (Some((scheme, host)), Some((trusted_scheme, trusted_host))) => {
            host == trusted_host && (matches!(scheme, "https" | "ssh") || scheme == trusted_scheme)
        }
    }
}

/// Returns the scheme and the host, with its port, of a remote's address; `None` for a path.
fn server(address: &str) -> Option<(&str, String)> {
    let host = |authority: &str| {
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        host.to_ascii_lowercase()
    };
    if let Some((scheme, rest)) = address.split_once("://") {
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        return (scheme != "file").then(|| (scheme, host(authority)));
    }
    let (authority, _) = address.split_once(':')?;
    (!authority.contains('/')).then(|| ("ssh", host(authority)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_to_no_server_that_only_a_commit_message_names() {
        for (address, trusted, expected) in [
            ("https://git.example.com/a.git", "https://git.example.com/b.git", true),
            ("git@git.example.com:a.git", "https://git.example.com/b.git", true),
            ("https://git.example.com/a.git", "ssh://git@git.example.com/b.git", true),
            ("http://git.example.com/a.git", "https://git.example.com/b.git", false),
            ("http://git.example.com/a.git", "http://git.example.com/b.git", true),
            ("https://git.example.com.evil.example/a", "https://git.example.com/b", false),
            ("https://git.example.com\\@evil.example/a", "https://git.example.com/b", true),
            ("https://git.example.com@evil.example/a", "https://git.example.com/b", false),
            ("https://git.example.com:8443/a", "https://git.example.com/b", false),
            ("https://git.example.com/a", "/srv/git/b.git", false),
            ("/srv/git/a.git", "https://git.example.com/b.git", true),
            ("file:///srv/git/a.git", "https://git.example.com/b.git", true),
        ] {
            assert_eq!(may_follow(address, trusted), expected, "{address} {trusted}");
        }
    }
}
