//! GitHub's API: pull requests, commits without a clone, deployments and commit statuses, and what
//! the gates read; and what GitHub Actions tells a step.
//!
//! What a pull request or a commit says, and when, is decided by the caller.

pub mod actions;
mod answer;
mod app;
mod check;
mod client;
mod credentials;
mod error;
mod graphql;
mod merge;
mod pull_request;
mod review;
mod slug;
mod wait;

pub use check::{Check, CheckState};
pub use client::Client;
pub use error::GithubError;
pub use merge::Merging;
pub use pull_request::{Opened, PullRequest};
pub use review::Approval;
pub use slug::repository_of;
