//! The first look: it refreshes the Application, and waits for one that is about to be made.
//!
//! Whether something is about to make it is [`argocd::missing()`]'s to decide.

use std::collections::BTreeMap;

use tokio::time::timeout;

use super::patience::{signed, spelled};
use super::standing::is_commit;
use super::{VerifyError, VerifyEvent, VerifyOptions, may_pass};
use crate::argocd::{self, Application, ApplicationName, Missing, Relation};
use crate::cluster::{Cluster, ClusterError, View};
use crate::rollout::Snapshot;

/// What the first look came to.
pub(super) enum First {
    /// It is there.
    Seen(Snapshot),
    /// It was not there in time.
    Late {
        /// Why, in a sentence.
        reason: String,
    },
}

type Emit<'a> = &'a (dyn Fn(VerifyEvent) + Send + Sync);

/// Returns what there is to see once there is something to see.
///
/// # Errors
///
/// Fails if there is nothing to look for, if nothing makes the Application that is looked for, or if the
/// cluster refuses or is out of reach.
pub(super) async fn first_look(
    cluster: &dyn Cluster,
    view: &mut dyn View,
    options: &VerifyOptions<'_>,
    emit: Emit<'_>,
) -> Result<First, VerifyError> {
    let Some(name) = &options.scope.application else {
        if options.scope.objects.is_empty() {
            return Err(VerifyError::NothingToVerify);
        }
        let looked = timeout(options.timeout, view.observe()).await;
        return Ok(match looked {
            Ok(snapshot) => First::Seen(snapshot?),
            Err(_) => First::Late { reason: unanswered(options) },
        });
    };
    let mut wait = Wait { cluster, options, emit, name, absence: None, relations: BTreeMap::new() };
    let looked = timeout(options.timeout, wait.look(view)).await;
    match looked {
        Ok(Ok(Some(snapshot))) => Ok(First::Seen(snapshot)),
        Ok(Err(error)) => Err(error),
        Ok(Ok(None)) | Err(_) => Ok(First::Late { reason: wait.late() }),
    }
}

fn unanswered(options: &VerifyOptions<'_>) -> String {
    format!("the cluster did not answer within {} s", options.timeout.as_secs())
}

/// The wait for an Application.
struct Wait<'a> {
    cluster: &'a dyn Cluster,
    options: &'a VerifyOptions<'a>,
    emit: Emit<'a>,
    name: &'a ApplicationName,
    /// Why it is not there, as far as it was told.
    absence: Option<String>,
    relations: BTreeMap<String, Relation>,
}

impl Wait<'_> {
    /// Returns what there is to see after a refresh, or `None` if the Application was not made in time.
    async fn look(&mut self, view: &mut dyn View) -> Result<Option<Snapshot>, VerifyError> {
        if !self.appears(view).await? {
            return Ok(None);
        }
        if !self.options.within_sync {
            match self.cluster.refresh(self.name).await {
                Ok(()) => (self.emit)(VerifyEvent::Refreshed(self.name.clone())),
                // Argo CD looks by itself every few minutes, so this only takes longer.
                Err(error) => (self.emit)(VerifyEvent::Note(error.to_string())),
            }
        }
        Ok(Some(view.observe().await?))
    }

    async fn appears(&mut self, view: &mut dyn View) -> Result<bool, VerifyError> {
        let end = self.cluster.now().saturating_add(signed(self.options.timeout));
        loop {
            let reason = match view.observe().await {
                Ok(snapshot) if snapshot.application.is_some() => return Ok(true),
                Ok(_) => self.why_absent().await?,
                Err(error) => self.bear(error)?,
            };
            if self.absence.as_ref() != Some(&reason) {
                let text = format!("application {} is not there: {reason}", self.name);
                (self.emit)(VerifyEvent::Waiting { reason: text });
                self.absence = Some(reason);
            }
            if end.as_ref().is_ok_and(|end| self.cluster.now() >= *end) {
                return Ok(false);
            }
            view.pause(self.options.interval).await;
        }
    }

    /// Returns what is about to make the Application.
    async fn why_absent(&mut self) -> Result<String, VerifyError> {
        let makers = match self.cluster.makers(self.name).await {
            Ok(makers) => makers,
            Err(error) if self.absence.is_some() => return self.bear(error),
            Err(error) => {
                return Err(
                    self.never(Some(format!("and what could make it can't be read: {error}")))
                );
            }
        };
        let parents = makers.iter().filter_map(Application::new);
        let compared = parents.flat_map(|parent| parent.sync().revisions);
        // A Helm source's revision is a chart's version.
        for revision in compared.filter(|revision| is_commit(revision)) {
            if self.options.revision.is_some() && !self.relations.contains_key(revision) {
                let relation = self.options.ancestry.relation(revision).await;
                self.relations.insert(revision.to_owned(), relation);
            }
        }
        let relation =
            |revision: &str| self.relations.get(revision).copied().unwrap_or(Relation::Unknown);
        match argocd::missing(self.name, &makers, &relation) {
            Missing::Comes { reason } => Ok(reason),
            Missing::Never { why } => Err(self.never(why)),
        }
    }

    // An API server that restarts makes nothing, and ends nothing that was waited for.
    fn bear(&self, error: ClusterError) -> Result<String, VerifyError> {
        match &self.absence {
            Some(absence) if may_pass(&error) => Ok(absence.clone()),
            _ => Err(error.into()),
        }
    }

    fn never(&self, why: Option<String>) -> VerifyError {
        VerifyError::NoApplication { name: self.name.clone(), why }
    }

    fn late(&self) -> String {
        let Some(absence) = &self.absence else { return unanswered(self.options) };
        let waited = spelled(self.options.timeout);
        format!("not done after {waited}: application {} is not there: {absence}", self.name)
    }
}
