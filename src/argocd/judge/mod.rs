//! Whether a revision is rolled out by an Application, from one version of its resource.
//!
//! The rule is a list of questions, and the first that has an answer decides. Those about the spec
//! come first, as no status can be older than it; then what may be under way; then what the last
//! comparison found. Whether the pods run the promoted image is for [`crate::rollout`] to prove.

use jiff::Timestamp;

use crate::argocd::{Application, ApplicationSet, OperationState, Phase, Project, Source};

mod comparison;
mod conditions;
mod hydration;
mod operation;
mod out_of_sync;
mod project;
mod spec;
mod sync_request;
mod within_sync;

pub use sync_request::sync_request;

pub(super) use conditions::is_out_of_reach;

/// What an Application is asked about.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// URL of the manifests repository, in any spelling; `None` takes any git repository.
    pub repo_url: Option<&'a str>,
    /// The folder of the repository that the change is in; `None` takes any.
    pub path: Option<&'a str>,
    /// The branch that the change is on; `None` takes any.
    pub branch: Option<&'a str>,
    /// The commit that must be rolled out; `None` takes what Argo CD compares to now.
    pub revision: Option<&'a str>,
    /// Since when Argo CD should know better: the push or the request for a refresh. An error that
    /// is older may be about the state before.
    pub asked_at: Option<Timestamp>,
    /// Whether the question comes from within the sync: from a hook that this very sync runs and
    /// waits for. Then the sync counts by what it has applied, and not by its end.
    pub within_sync: bool,
    /// The present.
    pub now: Timestamp,
    /// When waiting ends: what opens later than that comes too late.
    pub until: Option<Timestamp>,
    /// The AppProject, where it could be read.
    pub project: Option<Project<'a>>,
    /// The ApplicationSet that made the Application, where there is one and it could be read.
    pub application_set: Option<ApplicationSet<'a>>,
    /// What counts as done although it is not quite.
    pub accepts: Accepts,
    /// How a commit that Argo CD names relates to `revision`. Of a commit that a hydrator made the
    /// commit that it was made from counts.
    pub relation: &'a dyn Fn(&str) -> Relation,
}

/// States between done and not done that a caller may take for done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Accepts {
    /// Health `Suspended`: a paused canary, for example.
    pub suspended: bool,
    /// `OutOfSync` after a full sync to the expected revision, and objects that are left to prune.
    pub out_of_sync: bool,
}

/// How an observed commit relates to the expected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// It is the same, or renders the same.
    Same,
    /// It comes after it.
    Newer,
    /// It comes before it.
    Older,
    /// Neither contains the other.
    Diverged,
    /// Nobody knows.
    Unknown,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The revision, or a later one, is live and healthy.
    RolledOut {
        /// The commit that is live.
        revision: String,
    },
    /// Not yet, and nothing speaks against it.
    Waiting {
        /// What is missing, in a sentence.
        reason: String,
    },
    /// It went wrong.
    Failed {
        /// What went wrong and what to do about it, in a sentence.
        reason: String,
        /// Whether waiting may help.
        finality: Finality,
    },
}

/// Whether a failure may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// It stays until somebody changes something.
    Final,
    /// It may pass by itself; a caller gives it some time.
    MayRecover {
        /// Since when it is so, where Argo CD says it.
        since: Option<Timestamp>,
    },
}

/// A question about an Application; `None` hands on to the next.
type Question = fn(&Case<'_>) -> Option<Verdict>;

/// Every question, in the order in which they are asked.
const QUESTIONS: &[Question] = &[
    spec::is_being_deleted,
    spec::is_left_alone,
    spec::tracks_another_repository,
    spec::tracks_another_path,
    spec::follows_another_branch,
    spec::is_pinned_elsewhere,
    project::forbids_a_source,
    project::forbids_the_destination,
    conditions::has_a_stale_status,
    comparison::waits_for_a_refresh,
    operation::is_under_way,
    operation::has_failed,
    conditions::reports_an_error,
    hydration::has_failed,
    hydration::is_under_way,
    comparison::compared_other_sources,
    comparison::compared_another_revision,
    comparison::is_older_than_the_sync,
    out_of_sync::is_out_of_sync,
    comparison::is_not_healthy,
];

/// Those that have an answer while the sync that asks is still running. Argo CD compares and assesses
/// anew when it has ended.
const QUESTIONS_WITHIN_SYNC: &[Question] = &[
    spec::is_being_deleted,
    spec::tracks_another_repository,
    spec::tracks_another_path,
    within_sync::is_no_sync,
    within_sync::is_about_another_revision,
    within_sync::could_not_apply,
];

/// Returns whether `expected` is rolled out by `application`.
pub fn judge(application: Application<'_>, expected: &Expected<'_>) -> Verdict {
    let case = Case { application, expected };
    let questions = if expected.within_sync { QUESTIONS_WITHIN_SYNC } else { QUESTIONS };
    let decided = questions.iter().find_map(|question| question(&case));
    decided.unwrap_or_else(|| Verdict::RolledOut { revision: case.live_revision().to_owned() })
}

/// Returns whether Argo CD has compared `application` to the expected revision or a later one, by the
/// sources that the spec states now.
pub fn has_compared(application: Application<'_>, expected: &Expected<'_>) -> bool {
    let case = Case { application, expected };
    let compared = case.tracked_among(&application.sync().revisions);
    let covers = |commit: &&str| {
        expected.revision.is_none()
            || matches!(case.relation(commit), Relation::Same | Relation::Newer)
    };
    !compared.is_empty()
        && compared.len() == case.tracked().len()
        && compared.iter().all(covers)
        && application.is_compared_to_its_sources()
}

/// Returns whether the status of `application` may be from before its last sync ended, and nobody has
/// asked for a newer one. Argo CD writes whole seconds, so a comparison in the second in which the sync
/// ended may have seen the state before.
pub fn wants_refresh(application: Application<'_>) -> bool {
    let is_requested = application.requested_refresh().is_some();
    let is_at_work = application.operation().is_some()
        || matches!(
            application.operation_state().and_then(OperationState::phase),
            Some(Phase::Running | Phase::Terminating)
        );
    !is_requested && !is_at_work && comparison::is_older_than_its_sync(application)
}

/// An Application and what it is asked about.
struct Case<'a> {
    application: Application<'a>,
    expected: &'a Expected<'a>,
}

impl<'a> Case<'a> {
    /// The sources in the manifests repository, with their positions.
    fn sources_of_the_repository(&self) -> Vec<(usize, Source<'a>)> {
        let sources = match self.application.hydrator() {
            Some(hydrator) => vec![hydrator.dry_source],
            None => self.application.sources(),
        };
        let in_repository = |(_, source): &(usize, Source<'_>)| match self.expected.repo_url {
            Some(url) => source.is_in(url),
            None => source.is_in_git(),
        };
        sources.into_iter().enumerate().filter(in_repository).collect()
    }

    /// Those of them that the change is in: all that must have it.
    fn tracked(&self) -> Vec<(usize, Source<'a>)> {
        // What others take values from may be needed whole.
        let covers = |(_, source): &(usize, Source<'_>)| {
            !source.reference().is_empty()
                || self.expected.path.is_none_or(|path| covers(source.path(), path))
        };
        self.sources_of_the_repository().into_iter().filter(covers).collect()
    }

    /// The commits of the tracked sources among the `revisions` of all sources.
    fn tracked_among(&self, revisions: &[&'a str]) -> Vec<&'a str> {
        let at = |(index, _): (usize, Source<'_>)| revisions.get(index).copied();
        let synced = self.tracked().into_iter().filter_map(at).filter(|commit| !commit.is_empty());
        match self.application.hydrator() {
            Some(_) => synced.map(|commit| self.dry_commit(commit).unwrap_or(commit)).collect(),
            None => synced.collect(),
        }
    }

    /// The commit that people made, behind the one that the hydrator made of it; `None` if the
    /// Application does not say.
    fn dry_commit(&self, hydrated: &str) -> Option<&'a str> {
        let hydrations = [self.application.last_hydration(), self.application.hydration()];
        let mut hydrations = hydrations.into_iter().flatten();
        let dry = hydrations.find(|done| done.hydrated_sha == hydrated)?.dry_sha;
        // A later commit that hydrates to the same leaves no operation behind.
        let is_done = self.application.hydration().is_some_and(|last| last.phase == "Hydrated");
        let compared = self.application.last_compared_dry_revision().filter(|_| is_done);
        Some(compared.filter(|compared| self.covers_expected(compared)).unwrap_or(dry))
    }

    fn live_revision(&self) -> &'a str {
        let revisions = match self.application.operation_state() {
            Some(sync) if self.expected.within_sync => sync.revisions(),
            _ => self.application.sync().revisions,
        };
        self.tracked_among(&revisions).first().copied().unwrap_or_default()
    }

    /// How the commit of an operation or a condition relates to the expected one.
    fn relation(&self, revision: &str) -> Relation {
        match self.expected.revision {
            Some(expected) if expected == revision => Relation::Same,
            Some(_) => (self.expected.relation)(revision),
            None if revision == self.live_revision() => Relation::Same,
            None => Relation::Unknown,
        }
    }

    fn covers_expected(&self, revision: &str) -> bool {
        matches!(self.relation(revision), Relation::Same | Relation::Newer)
    }

    /// Whether the status was written before Argo CD could know about the expected revision.
    fn is_status_outdated(&self) -> bool {
        match (self.application.reconciled_at(), self.expected.asked_at) {
            // Argo CD writes whole seconds.
            (Some(reconciled), Some(asked)) => reconciled.as_second() < asked.as_second(),
            _ => false,
        }
    }
}

/// Whether a source at `folder` has the file tree at `path`; a folder above may take it in.
fn covers(folder: &str, path: &str) -> bool {
    let (folder, path) = (plain_path(folder), plain_path(path));
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn plain_path(path: &str) -> &str {
    let path = path.trim_matches('/');
    if path == "." { "" } else { path.strip_prefix("./").unwrap_or(path) }
}

/// The start of a commit id, which is enough for people; other revisions stay whole.
fn short(revision: &str) -> &str {
    if is_commit_id(revision) { &revision[..12] } else { revision }
}

fn is_commit_id(revision: &str) -> bool {
    matches!(revision.len(), 40 | 64) && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn waiting(reason: impl Into<String>) -> Option<Verdict> {
    Some(Verdict::Waiting { reason: reason.into() })
}

fn failed(reason: impl Into<String>) -> Option<Verdict> {
    Some(Verdict::Failed { reason: reason.into(), finality: Finality::Final })
}

fn failed_since(since: Option<Timestamp>, reason: impl Into<String>) -> Option<Verdict> {
    Some(Verdict::Failed { reason: reason.into(), finality: Finality::MayRecover { since } })
}
