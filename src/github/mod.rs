//! Pull requests on GitHub, and what GitHub Actions tells a step.
//!
//! What a pull request says, and when one is opened, is decided by the caller; the branch it is
//! about is pushed by [`crate::git`].

pub mod actions;
mod client;
mod error;
mod pull_request;
mod slug;

pub use client::Client;
pub use error::GithubError;
pub use pull_request::{Opened, PullRequest};
pub use slug::repository_of;
