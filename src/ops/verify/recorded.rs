//! A verification that can be decided again without cluster, git and network.
//!
//! What the cluster shows is [`Recorder`]'s to write; here is what else a verdict is made from: what was
//! asked for, how commits relate, and what the registry says.

use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Ancestry, Moment, RolloutReport, VerifyError, VerifyOptions, verify};
use crate::argocd::{Accepts, ApplicationName, Relation};
use crate::cluster::{Cluster, ClusterError, Recorder, Recording, Scope};
use crate::health::Rules;
use crate::image::{Digest, ImageName, ImageReference, Manifest};
use crate::k8s::{Object, ReadError};
use crate::ops::{Emit, Event, RulesError};
use crate::registry::{RegistryError, Resolver};

/// The file, in the folder of a recording, that says what was asked for.
const FILE_NAME: &str = "verification.yaml";

/// The file with what was read of the cluster's `argocd-cm`, if anything.
const ARGOCD_CM: &str = "argocd-cm.yaml";

/// A file that is larger is not read.
const MOST_BYTES: u64 = 32 << 20;

/// The questions of the journal.
const RELATION: &str = "relation";
const MANIFEST: &str = "manifest";
const REPOSITORY: &str = "repository";

/// Why a recording was not played.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// There is no recording in the folder.
    #[error("there is no recording in `{0}`: neither it nor a folder in it holds `{FILE_NAME}`")]
    None(Utf8PathBuf),
    /// A file of it can't be read.
    #[error("recording `{path}`: {reason}")]
    File {
        /// The file or folder.
        path: Utf8PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The rules to judge by can't be read.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// As the verification that was recorded.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// Returns the rules to judge by, given the `argocd-cm` of a recording.
pub type RulesWith<'a> = &'a (dyn Fn(Option<Object>) -> Result<Rules, RulesError> + Send + Sync);

/// Returns whether [`record`] could write into `dir`; leaves nothing behind.
///
/// # Errors
///
/// Fails if the folder can't be written, or holds a recording already.
pub fn check_record(dir: &Utf8Path) -> Result<(), VerifyError> {
    Ok(Recorder::check(dir)?)
}

/// As [`verify()`], and writes all that the verdict is made from into the folder `dir`.
///
/// # Errors
///
/// As [`verify()`]; also if the folder can't be written, or holds a recording already.
pub async fn record(
    cluster: &dyn Cluster,
    options: &VerifyOptions<'_>,
    dir: &Utf8Path,
    emit: &(dyn Fn(Moment) + Send + Sync),
) -> Result<RolloutReport, VerifyError> {
    let recorder = Recorder::new(cluster, dir)?;
    let text = serde_yaml::to_string(&Verification::of(options, &recorder));
    recorder.write_file(FILE_NAME, &text.expect("a verification is plain structs"))?;
    let scripts = options.rules.customizations.as_ref();
    if let Some(config_map) = scripts.and_then(|scripts| scripts.argocd_cm()) {
        let text = serde_yaml::to_string(config_map.value());
        recorder.write_file(ARGOCD_CM, &text.expect("a value is plain"))?;
    }
    let ancestry = RecordedAncestry { ancestry: options.ancestry, recorder: &recorder };
    let registry =
        options.registry.map(|registry| Manifests::Recorded { registry, recorder: &recorder });
    let options = VerifyOptions {
        ancestry: &ancestry,
        registry: registry.as_ref().map(|registry| registry as &dyn Resolver),
        ..options.clone()
    };
    let report = verify(&recorder, &options, emit).await;
    let ended = recorder.ended();
    let report = report?;
    ended?;
    Ok(report)
}

/// Returns how the verifications that are recorded in `dir`, or in folders in it, end if they are
/// decided again; no step takes longer than `pace`. The health of objects is judged by the `rules` for the
/// `argocd-cm` that was recorded, if there was one; nothing else of the rules is recorded.
///
/// # Errors
///
/// Fails if there is no recording, if it was broken off before the verdict, or if the verification that
/// it is of failed.
pub async fn replay(
    dir: &Utf8Path,
    rules: RulesWith<'_>,
    pace: Duration,
    emit: Emit<'_>,
) -> Result<Vec<RolloutReport>, ReplayError> {
    let mut reports = Vec::new();
    for dir in recordings(dir)? {
        reports.push(replay_one(&dir, rules, pace, emit).await?);
    }
    Ok(reports)
}

async fn replay_one(
    dir: &Utf8Path,
    rules: RulesWith<'_>,
    pace: Duration,
    emit: Emit<'_>,
) -> Result<RolloutReport, ReplayError> {
    let path = dir.join(FILE_NAME);
    let asked = Verification::read(&path)?;
    let unreadable = |error| match error {
        ClusterError::Recording { path, reason } => ReplayError::File { path, reason },
        error => ReplayError::Verify(error.into()),
    };
    let recording = Recording::replay(dir, asked.started).map_err(unreadable)?.paced(pace);
    let ancestry = PlayedAncestry(&recording);
    let registry = Manifests::Played(&recording);
    let options = VerifyOptions {
        ancestry: &ancestry,
        rules: rules(argocd_cm(dir)?)?,
        registry: asked.registry.then_some(&registry as &dyn Resolver),
        ..asked.options(&path)?
    };
    let service = &asked.service;
    let emit = |moment| emit(Event::Verify { service: service.clone(), moment });
    Ok(verify(&recording, &options, &emit).await?)
}

/// Returns the `argocd-cm` that was recorded, or `None` if none counted.
fn argocd_cm(dir: &Utf8Path) -> Result<Option<Object>, ReplayError> {
    let path = dir.join(ARGOCD_CM);
    if !path.exists() {
        return Ok(None);
    }
    let text = read_file(&path)?;
    let wrong = |error: ReadError| ReplayError::File { path, reason: error.to_string() };
    Object::read_first(&text).map(Some).map_err(wrong)
}

fn read_file(path: &Utf8Path) -> Result<String, ReplayError> {
    let failed = |reason: String| ReplayError::File { path: path.to_owned(), reason };
    let size = path.metadata().map_err(|error| failed(error.to_string()))?.len();
    if size > MOST_BYTES {
        return Err(failed(format!("is too large ({size} bytes)")));
    }
    std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))
}

/// Returns the folders that hold one verification each, in order.
fn recordings(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, ReplayError> {
    if dir.join(FILE_NAME).exists() {
        return Ok(vec![dir.to_owned()]);
    }
    let failed =
        |error: std::io::Error| ReplayError::File { path: dir.into(), reason: error.to_string() };
    let mut found = Vec::new();
    for entry in dir.read_dir_utf8().map_err(failed)? {
        let folder = entry.map_err(failed)?.into_path();
        if folder.join(FILE_NAME).exists() {
            found.push(folder);
        }
    }
    found.sort();
    if found.is_empty() { Err(ReplayError::None(dir.to_owned())) } else { Ok(found) }
}

#[derive(Serialize, Deserialize)]
enum Schema {
    #[serde(rename = "deployctl.dev/verification/v1")]
    V1,
}

/// What was asked for.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Verification {
    schema: Schema,
    /// The version of deployctl that recorded.
    deployctl: String,
    started: Timestamp,
    environment: String,
    service: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    application: Option<Name>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    objects: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    committed: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repo_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    within_sync: bool,
    timeout_seconds: f64,
    interval_seconds: f64,
    settle_seconds: f64,
    accept_suspended: bool,
    accept_out_of_sync: bool,
    sync: bool,
    fail_fast: bool,
    /// Whether a registry could be asked.
    registry: bool,
}

#[derive(Serialize, Deserialize)]
struct Name {
    namespace: String,
    name: String,
}

impl Verification {
    fn of(options: &VerifyOptions<'_>, recorder: &Recorder<'_>) -> Self {
        let name = |ApplicationName { namespace, name }: &ApplicationName| Name {
            namespace: namespace.clone(),
            name: name.clone(),
        };
        Self {
            schema: Schema::V1,
            deployctl: env!("CARGO_PKG_VERSION").to_owned(),
            started: recorder.now(),
            environment: options.environment.to_owned(),
            service: options.service.to_owned(),
            application: options.scope.application.as_ref().map(name),
            objects: options.scope.objects.iter().map(|object| recorder.redacted(object)).collect(),
            image: options.image.as_ref().map(ToString::to_string),
            revision: options.revision.clone(),
            committed: options.committed,
            repo_url: options.repo_url.map(Recorder::redacted_url),
            path: options.path.map(str::to_owned),
            branch: options.branch.map(str::to_owned),
            within_sync: options.within_sync,
            timeout_seconds: options.timeout.as_secs_f64(),
            interval_seconds: options.interval.as_secs_f64(),
            settle_seconds: options.settle.as_secs_f64(),
            accept_suspended: options.accepts.suspended,
            accept_out_of_sync: options.accepts.out_of_sync,
            sync: options.sync,
            fail_fast: options.fail_fast,
            registry: options.registry.is_some(),
        }
    }

    fn read(path: &Utf8Path) -> Result<Self, ReplayError> {
        let failed = |error: serde_yaml::Error| ReplayError::File {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        serde_yaml::from_str(&read_file(path)?).map_err(failed)
    }

    /// Returns the options, with nobody to ask.
    fn options(&self, path: &Utf8Path) -> Result<VerifyOptions<'_>, ReplayError> {
        let failed = |reason: String| ReplayError::File { path: path.to_owned(), reason };
        let time = |seconds: f64| {
            Duration::try_from_secs_f64(seconds).map_err(|error| failed(error.to_string()))
        };
        let object = |value: &Value| Object::new(value.clone());
        let objects: Option<Vec<Object>> = self.objects.iter().map(object).collect();
        let none = || failed("an object has no `apiVersion` or no `kind`".to_owned());
        let application = self.application.as_ref().map(|Name { namespace, name }| {
            ApplicationName { namespace: namespace.clone(), name: name.clone() }
        });
        let image = self.image.as_ref().map(|image| image.parse()).transpose();
        let scope = Scope { application, objects: objects.ok_or_else(none)? };
        Ok(VerifyOptions {
            image: image.map_err(|_| failed("`image` is not pinned by a digest".to_owned()))?,
            revision: self.revision.clone(),
            repo_url: self.repo_url.as_deref(),
            path: self.path.as_deref(),
            branch: self.branch.as_deref(),
            within_sync: self.within_sync,
            timeout: time(self.timeout_seconds)?,
            interval: time(self.interval_seconds)?,
            settle: time(self.settle_seconds)?,
            accepts: Accepts {
                suspended: self.accept_suspended,
                out_of_sync: self.accept_out_of_sync,
            },
            sync: self.sync,
            fail_fast: self.fail_fast,
            committed: self.committed,
            ..VerifyOptions::new(&self.environment, &self.service, scope)
        })
    }
}

struct RecordedAncestry<'a> {
    ancestry: &'a dyn Ancestry,
    recorder: &'a Recorder<'a>,
}

#[async_trait]
impl Ancestry for RecordedAncestry<'_> {
    async fn relation(&self, observed: &str) -> Relation {
        let relation = self.ancestry.relation(observed).await;
        // A disk that is full is told at the next look.
        let _ = self.recorder.answered(RELATION, observed, name(relation).into());
        relation
    }
}

struct PlayedAncestry<'a>(&'a Recording);

#[async_trait]
impl Ancestry for PlayedAncestry<'_> {
    async fn relation(&self, observed: &str) -> Relation {
        let answer = self.0.answer(RELATION, observed);
        let said = answer.as_ref().and_then(Value::as_str).unwrap_or_default();
        let known = RELATIONS.into_iter().find(|relation| name(*relation) == said);
        known.unwrap_or(Relation::Unknown)
    }
}

const RELATIONS: [Relation; 4] =
    [Relation::Same, Relation::Newer, Relation::Older, Relation::Diverged];

fn name(relation: Relation) -> &'static str {
    match relation {
        Relation::Same => "same",
        Relation::Newer => "newer",
        Relation::Older => "older",
        Relation::Diverged => "diverged",
        Relation::Unknown => "unknown",
    }
}

/// A registry that is asked for manifests, and which repositories it has.
enum Manifests<'a> {
    Recorded { registry: &'a dyn Resolver, recorder: &'a Recorder<'a> },
    Played(&'a Recording),
}

#[async_trait]
impl Resolver for Manifests<'_> {
    async fn manifest(
        &self,
        reference: &ImageReference,
    ) -> Result<Option<Manifest>, RegistryError> {
        match self {
            Self::Recorded { registry, recorder } => {
                let manifest = registry.manifest(reference).await;
                let answer = match &manifest {
                    Ok(None) => Value::Null,
                    Ok(Some(manifest)) => written(manifest),
                    Err(error) => failure(error),
                };
                let _ = recorder.answered(MANIFEST, &reference.to_string(), answer);
                manifest
            }
            Self::Played(recording) => {
                let answer = recording.answer(MANIFEST, &reference.to_string());
                played(answer, reference)
            }
        }
    }

    async fn resolve(&self, reference: &ImageReference) -> Result<Option<Digest>, RegistryError> {
        Ok(self.manifest(reference).await?.map(|manifest| manifest.digest()))
    }

    async fn has_repository(&self, name: &ImageName) -> Result<bool, RegistryError> {
        match self {
            Self::Recorded { registry, recorder } => {
                let is_there = registry.has_repository(name).await;
                let answer = is_there.as_ref().map_or_else(failure, |is_there| json!(is_there));
                let _ = recorder.answered(REPOSITORY, &name.to_string(), answer);
                is_there
            }
            Self::Played(recording) => {
                let answer = recording.answer(REPOSITORY, &name.to_string());
                let is_there = answer.and_then(|answer| answer.as_bool());
                is_there.ok_or_else(|| RegistryError::NotFound(name.to_string()))
            }
        }
    }
}

fn written(manifest: &Manifest) -> Value {
    let text = String::from_utf8_lossy(&manifest.bytes);
    json!({ "mediaType": manifest.media_type, "text": text })
}

// The kinds that a reason quotes as they are.
fn failure(error: &RegistryError) -> Value {
    match error {
        RegistryError::Unreachable { registry, reason } => {
            json!({ "unreachable": registry, "reason": reason })
        }
        RegistryError::Denied { registry, repository, reason } => {
            json!({ "denied": registry, "repository": repository, "reason": reason })
        }
        RegistryError::Answer { registry, reason } => {
            json!({ "answered": registry, "reason": reason })
        }
        error => json!({ "failed": error.to_string() }),
    }
}

fn played(
    answer: Option<Value>,
    reference: &ImageReference,
) -> Result<Option<Manifest>, RegistryError> {
    let Some(answer) = answer else {
        return Err(RegistryError::NotFound(reference.to_string()));
    };
    let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
    let reason = text("reason").unwrap_or_default();
    if let (Some(media_type), Some(bytes)) = (text("mediaType"), text("text")) {
        return Ok(Some(Manifest { media_type, bytes: bytes.into() }));
    }
    if let Some(registry) = text("unreachable") {
        return Err(RegistryError::Unreachable { registry, reason });
    }
    if let (Some(registry), Some(repository)) = (text("denied"), text("repository")) {
        return Err(RegistryError::Denied { registry, repository, reason });
    }
    if let Some(registry) = text("answered") {
        return Err(RegistryError::Answer { registry, reason });
    }
    match text("failed") {
        Some(failed) => Err(RegistryError::NotFound(failed)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
