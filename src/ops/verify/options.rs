//! What is verified, and how long is waited for it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::argocd::{Accepts, Relation};
use crate::cluster::Scope;
use crate::health::Rules;
use crate::image::PinnedImage;
use crate::registry::Resolver;

/// What to verify, and how long to wait.
#[derive(Clone)]
pub struct VerifyOptions<'a> {
    /// The environment's name, for the report.
    pub environment: &'a str,
    /// The service's name, for the report.
    pub service: &'a str,
    /// The Application, the rendered objects, or both. The rendered objects win over the list that
    /// the Application keeps.
    pub scope: Scope,
    /// The image that the workloads must run, if one is expected. Without it they must state the
    /// images of the scope's objects.
    pub image: Option<PinnedImage>,
    /// The commit of the manifests repository that must be live; `None`: what Argo CD compares to.
    pub revision: Option<String>,
    /// URL of the manifests repository, in any spelling; `None` takes any.
    pub repo_url: Option<&'a str>,
    /// The overlay's folder in it; `None` takes any.
    pub path: Option<&'a str>,
    /// The branch; `None` takes any.
    pub branch: Option<&'a str>,
    /// Whether a hook of the Application's own sync asks, for which that sync waits.
    pub within_sync: bool,
    /// How a commit that Argo CD names relates to `revision`.
    pub ancestry: &'a dyn Ancestry,
    /// What the health of objects is judged by.
    pub rules: Rules,
    /// How long to wait in all.
    pub timeout: Duration,
    /// How long to wait between two looks.
    pub interval: Duration,
    /// How long everything must stay healthy, without a restart, before it counts.
    pub settle: Duration,
    /// What counts as done although it is not quite.
    pub accepts: Accepts,
    /// Whether Argo CD is asked to sync where nothing else makes it.
    pub sync: bool,
    /// Whether a cause that nothing but a change mends ends the wait; else the time is waited out.
    pub fail_fast: bool,
    /// Where to ask what the promoted image consists of; `None` asks nobody.
    pub registry: Option<&'a dyn Resolver>,
    /// When `revision` was committed, if that is known.
    pub committed: Option<Timestamp>,
}

impl<'a> VerifyOptions<'a> {
    /// Returns what waits for `scope` to be healthy, whichever commit and image that is, with the
    /// command line's defaults.
    pub fn new(environment: &'a str, service: &'a str, scope: Scope) -> Self {
        Self {
            environment,
            service,
            scope,
            image: None,
            revision: None,
            repo_url: None,
            path: None,
            branch: None,
            within_sync: false,
            ancestry: &NoHistory,
            rules: Rules::default(),
            timeout: Duration::from_mins(10),
            interval: Duration::from_secs(1),
            settle: Duration::from_secs(10),
            accepts: Accepts::default(),
            sync: false,
            fail_fast: true,
            registry: None,
            committed: None,
        }
    }
}

/// Who knows how commits of the manifests repository relate.
#[async_trait]
pub trait Ancestry: Send + Sync {
    /// Returns how the commit `observed`, which Argo CD names, relates to the expected one;
    /// [`Relation::Unknown`] if the repository can't tell.
    async fn relation(&self, observed: &str) -> Relation;
}

/// Nobody knows how commits relate, so that only the very revision that was asked for counts.
struct NoHistory;

#[async_trait]
impl Ancestry for NoHistory {
    async fn relation(&self, _: &str) -> Relation {
        Relation::Unknown
    }
}
