//! GitHub's API: pull requests, commits without a clone, deployments and commit statuses, and what
//! the gates read; and what GitHub Actions tells a step.
//!
//! What a pull request or a commit says, and when, is decided by the caller.

pub mod actions;
mod answer;
mod app;
mod branch;
mod check;
mod client;
mod credentials;
mod deployment;
mod error;
mod graphql;
mod history;
mod ledger;
mod merge;
mod objects;
mod pages;
mod pull_request;
mod review;
mod slug;
mod tree;
mod wait;

pub use branch::{ApiCommit, Branches, Moved};
pub use check::{Check, CheckState};
pub use client::Client;
pub use deployment::{Deployment, DeploymentState};
pub use error::GithubError;
pub use merge::Merging;
pub use pull_request::{OpenPull, Opened, PullRequest};
pub use review::Approval;
pub use slug::{page_of, repository_of};
pub use tree::ApiTree;
