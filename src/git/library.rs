//! What libgit2 does by itself, for machines without a `git` program: repositories on this machine
//! always, those behind HTTP and SSH where deployctl is built with the features `git-https` and
//! `git-ssh`. The default build leaves them out, because each brings an OpenSSL along.

use camino::Utf8Path;

use super::GitError;
use super::answer::Pushed;
use super::credentials::Credentials;
use super::local::Local;
#[cfg(any(feature = "git-https", feature = "git-ssh"))]
use super::network::Network;
use super::remote::Remote;
use super::transport::{Fetch, Move, Reference};
use crate::system::Environment;

/// The way to one remote.
#[derive(Debug, Clone)]
pub(super) enum Library {
    /// A folder.
    Local(Local),
    /// A server.
    #[cfg(any(feature = "git-https", feature = "git-ssh"))]
    Network(Network),
    /// There is none, which is an error for whoever goes it, and for nobody else: a forge may have an
    /// API, and the cache may have all that is needed.
    Closed {
        /// The remote, for people.
        remote: String,
        /// Why.
        reason: Reason,
    },
}

/// Why there is no way to a remote.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reason {
    /// This build does not have the feature.
    Feature(&'static str),
    /// Only the program has one.
    NoProgram,
    /// None is to be gone.
    Offline,
}

impl Library {
    /// Returns the way to `remote`.
    pub(super) fn find(
        remote: &Remote,
        credentials: Option<&Credentials>,
        environment: &Environment,
    ) -> Self {
        if let Some(path) = remote.path() {
            return Self::Local(Local::new(path));
        }
        let built = match (remote.http_origin(), remote.is_ssh()) {
            (Some(_), _) if cfg!(feature = "git-https") => Ok(()),
            (Some(_), _) => Err(Reason::Feature("git-https")),
            (None, true) if cfg!(feature = "git-ssh") => Ok(()),
            (None, true) => Err(Reason::Feature("git-ssh")),
            (None, false) => Err(Reason::NoProgram),
        };
        match built {
            Ok(()) => Self::network(remote, credentials, environment),
            Err(reason) => Self::Closed { remote: remote.as_str().to_owned(), reason },
        }
    }

    /// Fails if there is no way.
    pub(super) fn check(&self) -> Result<(), GitError> {
        match self {
            Self::Closed { remote, reason } => Err(reason.error(remote)),
            _ => Ok(()),
        }
    }

    #[cfg(any(feature = "git-https", feature = "git-ssh"))]
    fn network(
        remote: &Remote,
        credentials: Option<&Credentials>,
        environment: &Environment,
    ) -> Self {
        Self::Network(Network::new(remote.clone(), credentials.cloned(), environment))
    }

    #[cfg(not(any(feature = "git-https", feature = "git-ssh")))]
    fn network(_: &Remote, _: Option<&Credentials>, _: &Environment) -> Self {
        unreachable!("a build without a network transport has found none")
    }

    /// Fetches into the bare repository `cache`.
    pub(super) async fn fetch(&self, cache: &Utf8Path, fetch: &Fetch<'_>) -> Result<(), GitError> {
        match self {
            Self::Local(local) => local.fetch(cache, fetch.refspecs),
            #[cfg(any(feature = "git-https", feature = "git-ssh"))]
            Self::Network(network) => network.fetch(cache, fetch).await,
            Self::Closed { remote, reason } => Err(reason.error(remote)),
        }
    }

    /// Returns the references that match `patterns`; tags are resolved to their commits.
    pub(super) async fn list(&self, patterns: &[&str]) -> Result<Vec<Reference>, GitError> {
        match self {
            Self::Local(local) => local.list(patterns),
            #[cfg(any(feature = "git-https", feature = "git-ssh"))]
            Self::Network(network) => network.list(patterns).await,
            Self::Closed { remote, reason } => Err(reason.error(remote)),
        }
    }

    /// Returns the name of the branch that `HEAD` points at.
    pub(super) async fn head(&self) -> Result<Option<String>, GitError> {
        match self {
            Self::Local(local) => local.head(),
            #[cfg(any(feature = "git-https", feature = "git-ssh"))]
            Self::Network(network) => network.head().await,
            Self::Closed { remote, reason } => Err(reason.error(remote)),
        }
    }

    /// As [`super::transport::Transport::fetch_matching`].
    pub(super) async fn fetch_matching(
        &self,
        cache: &Utf8Path,
        patterns: &[String],
        local: impl Fn(&str) -> String,
    ) -> Result<(), GitError> {
        match self {
            Self::Local(remote) => remote.fetch_matching(cache, patterns, local),
            #[cfg(any(feature = "git-https", feature = "git-ssh"))]
            Self::Network(network) => {
                let refspec = |pattern: &String| format!("+{pattern}:{}", local(pattern));
                let refspecs: Vec<String> = patterns.iter().map(refspec).collect();
                let depth = super::transport::Depth::Recent;
                network.fetch(cache, &Fetch { refspecs: &refspecs, depth, prune: true }).await
            }
            Self::Closed { remote, reason } => Err(reason.error(remote)),
        }
    }

    /// Moves references to commits of `cache`, each by itself; returns what came of each, in order.
    pub(super) async fn push_all(
        &self,
        cache: &Utf8Path,
        moves: &[Move],
    ) -> Vec<Result<Pushed, GitError>> {
        let mut pushed = Vec::new();
        for moved in moves {
            pushed.push(match self {
                Self::Local(local) => local.push(cache, moved),
                #[cfg(any(feature = "git-https", feature = "git-ssh"))]
                Self::Network(network) => network.push(cache, moved).await,
                Self::Closed { remote, reason } => Err(reason.error(remote)),
            });
        }
        pushed
    }
}

impl Reason {
    /// Returns the error that there is no way to `remote`.
    fn error(self, remote: &str) -> GitError {
        let remote = remote.to_owned();
        match self {
            Self::Feature(feature) => GitError::NoTransport { remote, feature },
            Self::NoProgram => GitError::NotInstalled,
            Self::Offline => GitError::Offline { remote },
        }
    }
}
