//! Waits until a rollout is live and healthy, or says why it is not.
//!
//! With an Argo CD Application two judges must agree: [`crate::argocd::judge`] about the revision
//! that Argo CD states, and the live workloads about the image and their own health. Without one the
//! objects that the overlay renders to are judged alone. What a cause is worth is
//! [`crate::rollout::diagnose`]'s to say; when to stop waiting is decided here.

mod absence;
mod digest;
mod first;
mod options;
mod patience;
mod recorded;
mod report;
mod settle;
mod standing;
mod timeline;
mod unmoved;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

pub use self::options::{Ancestry, VerifyOptions};
pub use self::recorded::{ReplayError, RulesWith, check_record, record, replay};
pub use self::report::{ObjectReport, PodReport, RolloutReport, RolloutVerdict};
pub use self::timeline::Moment;

use self::absence::Absence;
use self::digest::DigestProof;
use self::first::{First, first_look};
use self::patience::{Limits, Patience, Seen};
use self::standing::{Judge, Standing};
use self::timeline::Timeline;
use crate::argocd::{self, Application, ApplicationName};
use crate::cluster::{Cluster, ClusterError};
use crate::k8s::ObjectId;
use crate::rollout::{
    self, CauseKind, Overview, Past, Progress, RootCause, Snapshot, diagnose, short_of_time,
};

/// What a verification is doing, as it does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifyEvent {
    /// What there is to see has changed; every other event is a part of it in words.
    Seen(Overview),
    /// Argo CD was asked to compare the Application with git again.
    Refreshed(ApplicationName),
    /// Something about the rollout changed.
    Rollout(rollout::Event),
    /// What is waited for has changed.
    Waiting {
        /// In a sentence.
        reason: String,
    },
    /// A cause was found that had not been there.
    Cause(RootCause),
    /// The cause that was told last is there no more.
    CausePassed {
        /// Its kind.
        kind: CauseKind,
        /// What did not get on for it.
        workload: ObjectId,
    },
    /// All is well, and must stay so for a while.
    Settling {
        /// For how long.
        time: Duration,
    },
    /// Something that could not be seen or done, and that stops nothing.
    Note(String),
    /// The verdict is there; nothing comes after it.
    Ended {
        /// The verdict.
        verdict: RolloutVerdict,
        /// Why, in one line.
        reason: String,
    },
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The cluster did not answer.
    #[error("{0}")]
    Cluster(#[from] ClusterError),
    /// There is no such Application.
    #[error("there is no Application `{name}` in namespace `{}`{}", .name.namespace, because(why.as_deref()), name = .name.name)]
    NoApplication {
        /// Which.
        name: ApplicationName,
        /// Why not, where what should have made it shows that.
        why: Option<String>,
    },
    /// Neither an Application nor objects were named.
    #[error(
        "there is nothing to verify: there is no Application, and the overlay or file has no objects"
    )]
    NothingToVerify,
}

fn because(why: Option<&str>) -> String {
    why.map_or_else(String::new, |why| format!(": {why}"))
}

/// Returns how the rollout ended: healthy, degraded, or not done in time.
///
/// # Errors
///
/// Fails if the cluster refuses or is out of reach at the first look; later it is asked again until
/// the time is over. Fails, too, if the Application is not there and nothing is about to make it.
pub async fn verify(
    cluster: &dyn Cluster,
    options: &VerifyOptions<'_>,
    emit: &(dyn Fn(Moment) + Send + Sync),
) -> Result<RolloutReport, VerifyError> {
    let timeline = Timeline::default();
    let told = |event| emit(timeline.add(cluster.now(), event));
    let report = wait(cluster, options, &told).await?;
    let (verdict, reason) = (report.verdict, report.reason.clone());
    told(VerifyEvent::Ended { verdict, reason });
    Ok(RolloutReport { timeline: timeline.into_moments(), ..report })
}

async fn wait(
    cluster: &dyn Cluster,
    options: &VerifyOptions<'_>,
    emit: &(dyn Fn(VerifyEvent) + Send + Sync),
) -> Result<RolloutReport, VerifyError> {
    let start = cluster.now();
    let mut view = cluster.follow(&options.scope);
    let mut snapshot = match first_look(cluster, view.as_mut(), options, emit).await? {
        First::Seen(snapshot) => snapshot,
        First::Late { reason } => {
            let end = End { verdict: RolloutVerdict::TimedOut, reason, cause: None };
            let nothing = Known { digest: DigestProof::new(options), notes: Vec::new() };
            let snapshot = Snapshot::default();
            return Ok(report::write(options, &snapshot, end, &nothing, start, cluster.now()));
        }
    };
    let mut watch = Watch {
        cluster,
        requests: Requests::default(),
        options,
        emit,
        judge: Judge::new(options, cluster.now()),
        progress: Progress::default(),
        seen: Overview::default(),
        patience: Patience::new(start, Limits::of(options)),
        past: Past::of(&snapshot),
        known: Known { digest: DigestProof::new(options), notes: Vec::new() },
        absence: Absence::new(options),
        waiting_for: String::new(),
        cause: None,
        noted: Vec::new(),
    };
    // Said before the wait, for whoever may still choose another; the verdict is none the worse for it.
    short_of_time(&snapshot, options.timeout).iter().for_each(|doubt| watch.note(doubt));
    loop {
        if let Some(end) = watch.look(&snapshot, cluster.now()).await {
            if end.verdict != RolloutVerdict::Healthy {
                return Ok(watch.report(&snapshot, end, start, cluster.now()));
            }
            // What was told may be old news, so that good news are asked for once more.
            if let Some(confirmed) = watch.bear(view.confirm().await, cluster.now())? {
                snapshot = confirmed;
                if let Some(end) = watch.look(&snapshot, cluster.now()).await {
                    watch.conclude(&snapshot, end.verdict).await;
                    return Ok(watch.report(&snapshot, end, start, cluster.now()));
                }
            }
        }
        snapshot = loop {
            view.pause(watch.patience.rest(options.interval, cluster.now())).await;
            if let Some(next) = watch.bear(view.observe().await, cluster.now())? {
                break next;
            }
        };
    }
}

/// How a verification ended.
struct End {
    verdict: RolloutVerdict,
    reason: String,
    cause: Option<RootCause>,
}

/// Further refreshes are at least so far apart.
const REFRESHES_APART: SignedDuration = SignedDuration::from_secs(2);

/// What Argo CD was asked for.
#[derive(Debug, Default)]
struct Requests {
    refreshed_at: Option<Timestamp>,
    synced: bool,
}

impl Requests {
    fn may_refresh(&mut self, now: Timestamp) -> bool {
        let since = self.refreshed_at.map(|at| now.duration_since(at));
        let may = since.is_none_or(|since| since >= REFRESHES_APART);
        if may {
            self.refreshed_at = Some(now);
        }
        may
    }
}

/// What is known beyond the snapshot.
struct Known<'a> {
    digest: DigestProof<'a>,
    /// What has to be said about the verdict, a sentence each.
    notes: Vec<String>,
}

/// What is known between two looks.
struct Watch<'a> {
    cluster: &'a dyn Cluster,
    requests: Requests,
    options: &'a VerifyOptions<'a>,
    emit: &'a (dyn Fn(VerifyEvent) + Send + Sync),
    judge: Judge<'a>,
    progress: Progress,
    seen: Overview,
    patience: Patience,
    past: Past,
    known: Known<'a>,
    absence: Absence<'a>,
    waiting_for: String,
    cause: Option<(CauseKind, ObjectId)>,
    noted: Vec<String>,
}

impl Watch<'_> {
    async fn look(&mut self, snapshot: &Snapshot, now: Timestamp) -> Option<End> {
        self.show(snapshot);
        for event in self.progress.observe(snapshot, now) {
            (self.emit)(VerifyEvent::Rollout(event));
        }
        snapshot.unread.iter().for_each(|note| self.note(note));
        let mut standing = self.judge.judge(snapshot, now).await;
        if let Some(reason) = self.request(snapshot, now).await {
            standing = Standing::Waiting { reason };
        }
        let standing = self.proven(standing, snapshot).await;
        let cause = match standing {
            Standing::Good => None,
            _ => self.diagnose(snapshot, now).await,
        };
        self.tell(&standing, cause.as_ref());
        let (restarts, last_restart) = (self.progress.restarts(), self.progress.last_restart());
        let seen = Seen { standing: &standing, cause: cause.as_ref(), restarts, last_restart };
        let (verdict, reason) = self.patience.decide(seen, now)?;
        // A container that was restarted after it was healthy may be ready again.
        let failed_in_health = verdict == RolloutVerdict::Degraded && standing == Standing::Good;
        let cause = if failed_in_health { rollout::restarted(snapshot) } else { cause };
        Some(End { verdict, reason, cause })
    }

    /// Asks Argo CD for what it does not do by itself, and returns what is to be waited for if that may
    /// turn a failure.
    async fn request(&mut self, snapshot: &Snapshot, now: Timestamp) -> Option<String> {
        let object = snapshot.application.as_ref().filter(|_| !self.options.within_sync)?;
        let application = Application::new(object)?;
        if argocd::wants_refresh(application) && self.requests.may_refresh(now) {
            // It looks by itself, too, only later.
            if let Err(error) = self.cluster.refresh(&application.name()).await {
                self.note(&error.to_string());
            }
        }
        if !self.options.sync || self.requests.synced {
            return None;
        }
        let operation = self.judge.sync_request(snapshot, now)?;
        match self.cluster.sync(object, &operation).await {
            Ok(()) => {
                self.requests.synced = true;
                let to = operation.pointer("/sync/revision").and_then(|to| to.as_str());
                let to = to.map_or_else(String::new, |revision| format!(" to {revision}"));
                self.note(&format!("asked Argo CD to sync {}{to}", application.name()));
                Some(format!("Argo CD was asked to sync {}", application.name()))
            }
            // Somebody was faster, and shows in the next look.
            Err(ClusterError::Answer(answer)) if answer.starts_with("409") => {
                Some(format!("application {} has changed", application.name()))
            }
            Err(error) => {
                self.note(&error.to_string());
                None
            }
        }
    }

    async fn diagnose(&mut self, snapshot: &Snapshot, now: Timestamp) -> Option<RootCause> {
        let mut rollout = self.judge.of_this_rollout(snapshot);
        rollout.time = Some(now);
        self.past.leave_out(&mut rollout);
        Some(self.absence.explain(diagnose(&rollout)?, snapshot).await)
    }

    // What is healthy may still be something else than what was promoted.
    async fn proven(&mut self, standing: Standing, snapshot: &Snapshot) -> Standing {
        match standing {
            Standing::Good => match self.known.digest.objection(snapshot).await {
                Some(reason) => Standing::Bad { reason, is_final: false },
                None => Standing::Good,
            },
            standing => standing,
        }
    }

    /// Adds what has to be said about a verdict.
    async fn conclude(&mut self, snapshot: &Snapshot, verdict: RolloutVerdict) {
        if verdict != RolloutVerdict::Healthy {
            return;
        }
        let mut notes = self.known.digest.notes(snapshot);
        notes.extend(unmoved::unmoved(self.options, snapshot).await);
        notes.extend(report::unjudged(self.options, snapshot));
        notes.into_iter().for_each(|note| self.remark(note));
    }

    fn report(
        &self,
        snapshot: &Snapshot,
        end: End,
        start: Timestamp,
        now: Timestamp,
    ) -> RolloutReport {
        report::write(self.options, snapshot, end, &self.known, start, now)
    }

    /// Tells something that also belongs into the report.
    fn remark(&mut self, text: String) {
        self.note(&text);
        self.known.notes.push(text);
    }

    fn show(&mut self, snapshot: &Snapshot) {
        let seen = Overview::of(snapshot);
        if seen != self.seen {
            (self.emit)(VerifyEvent::Seen(seen.clone()));
            self.seen = seen;
        }
    }

    fn tell(&mut self, standing: &Standing, cause: Option<&RootCause>) {
        match standing {
            Standing::Good if !self.patience.is_settling() => {
                (self.emit)(VerifyEvent::Settling { time: self.options.settle });
                self.waiting_for.clear();
            }
            Standing::Good => {}
            Standing::Waiting { reason } | Standing::Bad { reason, .. } => {
                if self.waiting_for != *reason {
                    (self.emit)(VerifyEvent::Waiting { reason: reason.clone() });
                    self.waiting_for.clone_from(reason);
                }
            }
        }
        let key = cause.map(|cause| (cause.kind, cause.workload.clone()));
        if let (Some(cause), true) = (cause, key != self.cause) {
            (self.emit)(VerifyEvent::Cause(cause.clone()));
        }
        if let (Some((kind, workload)), None) = (self.cause.take(), &key) {
            (self.emit)(VerifyEvent::CausePassed { kind, workload });
        }
        self.cause = key;
    }

    fn note(&mut self, note: &str) {
        if !self.noted.iter().any(|noted| noted == note) {
            (self.emit)(VerifyEvent::Note(note.to_owned()));
            self.noted.push(note.to_owned());
        }
    }

    // An API server restarts now and then, and a long wait must outlive that. What was seen before is
    // no evidence of anything meanwhile.
    fn bear(
        &mut self,
        seen: Result<Snapshot, ClusterError>,
        now: Timestamp,
    ) -> Result<Option<Snapshot>, ClusterError> {
        let error = match seen {
            Ok(snapshot) => return Ok(Some(snapshot)),
            Err(error) => error,
        };
        if !may_pass(&error) || self.patience.is_over(now) {
            return Err(error);
        }
        self.note(&error.to_string());
        self.patience.interrupt();
        Ok(None)
    }
}

/// Returns whether asking again may do better.
fn may_pass(error: &ClusterError) -> bool {
    matches!(error, ClusterError::Unreachable { .. } | ClusterError::Answer(_))
}

#[cfg(test)]
mod tests;
