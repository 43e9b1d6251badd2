//! The manifests repository: read and edit trees without a checkout, commit, push.
//!
//! Objects are handled by libgit2 in a bare repository; the transport is the `git` program, so that
//! people's SSH configuration and credential helpers work. Where there is none, libgit2 reaches
//! folders by itself, and servers with the features `git-https` and `git-ssh`. What to change is
//! decided by the caller.

mod answer;
mod attributes;
mod cache;
mod clean;
mod commit;
mod credentials;
mod error;
mod history;
mod identity;
mod index_file;
mod init;
mod join;
#[cfg(any(feature = "git-https", feature = "git-ssh"))]
mod known_hosts;
mod ledger;
mod library;
mod local;
mod message;
#[cfg(any(feature = "git-https", feature = "git-ssh"))]
mod network;
mod opened;
mod partial;
mod place;
mod program;
mod relation;
mod remote;
mod repository;
mod signer;
mod source;
mod transport;
mod tree;
mod user_config;
mod write;

pub use clean::Checkouts;
pub use commit::{Commit, CommitId};
pub use error::GitError;
pub use identity::{Authorship, Identity, authorship};
pub use index_file::BlobId;
pub use init::init_bare;
pub use join::{LandError, Landing, Look, Pace, PendingChange};
pub use ledger::{Ledgers, NextEntry};
pub use message::{message, trailers};
pub use repository::{Fetched, OWN_BRANCHES, Repository};
pub use signer::Signer;
pub use source::Source;
pub use tree::CommitTree;

/// What a push came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// The branch is at the commit now.
    Pushed,
    /// The branch is not where it was expected: fetch, and apply the change to the new tip.
    Raced,
}
