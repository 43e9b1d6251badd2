//! What is known about a change when its gates are judged.

use jiff::Timestamp;

use crate::image::PinnedImage;

/// What is known about a change when its gates are judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The time.
    pub now: Timestamp,
    /// The environment that the images come from; `None` if they come from outside.
    pub from: Option<String>,
    /// The services that change.
    pub services: Vec<ServiceFacts>,
    /// The reviews of the pull request that makes the change.
    pub reviews: Fact<Reviews>,
}

/// What is known about a service that changes.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceFacts {
    /// The service.
    pub service: String,
    /// The image that it is to get.
    pub image: PinnedImage,
    /// How the image does in the environment that it comes from.
    pub health: Fact<Proof>,
    /// Since when that environment has the image.
    pub since: Fact<Since>,
    /// The checks of the commit that the image was built from.
    pub checks: Fact<Vec<Check>>,
    /// Whether that commit is on the branch that the gate names.
    pub is_on_branch: Fact<bool>,
    /// The images of the overlay's pods that have no digest.
    pub unpinned: Fact<Vec<String>>,
}

/// Something that a gate wants to know, or why it can't be known.
pub type Fact<T> = Result<T, String>;

/// What shows that an image is healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The cluster was asked now.
    Cluster {
        /// The image that was looked for, if the environment states one with a digest.
        image: Option<PinnedImage>,
        /// The digests that the pods state or run.
        running: Vec<String>,
        /// Whether all is live and healthy.
        is_healthy: bool,
        /// Why, in one line.
        why: String,
    },
    /// `verify` has recorded it.
    Verified {
        /// When.
        at: Timestamp,
    },
}

/// Since when an environment has an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// When it began.
    pub at: Timestamp,
    /// What says so.
    pub evidence: Evidence,
}

/// What says since when an environment has an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// `verify` has recorded it as healthy then.
    Verified,
    /// This commit of the branch states it since then; that it runs nobody has recorded.
    Commit(String),
}

/// A check of a commit: a status, or a check run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// What came of it.
    pub state: CheckState,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// It passed, or did not need to run.
    Passed,
    /// It has not ended.
    Pending,
    /// It failed.
    Failed,
}

/// The reviews of a pull request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reviews {
    /// The page of the pull request; `None` if none is open.
    pub url: Option<String>,
    /// Whether its last commit states the images of the change.
    pub is_current: bool,
    /// The accounts of those who approve its last commit.
    pub approved_by: Vec<String>,
}

impl Facts {
    /// Returns what is known before anything was asked.
    pub fn new(now: Timestamp, from: Option<&str>, services: Vec<ServiceFacts>) -> Self {
        Self { now, from: from.map(str::to_owned), services, reviews: Err(UNASKED.to_owned()) }
    }
}

impl ServiceFacts {
    /// Returns what is known about a service before anything was asked.
    pub fn new(service: &str, image: PinnedImage) -> Self {
        fn unasked<T>() -> Fact<T> {
            Err(UNASKED.to_owned())
        }
        Self {
            service: service.to_owned(),
            image,
            health: unasked(),
            since: unasked(),
            checks: unasked(),
            is_on_branch: unasked(),
            unpinned: unasked(),
        }
    }
}

/// Why a fact that no gate asked for is not known.
const UNASKED: &str = "nobody asked";
