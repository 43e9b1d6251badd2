//! What a pipeline file may say, key by key; the JSON schema is made from these types.

use std::time::Duration;

use camino::Utf8Path;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Action, CommandLine, Pipeline, Promote, Step};
use crate::yaml::{self, Invalid};

/// How long a `verify` step waits that does not say it.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Returns the JSON schema of a pipeline file.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(File).to_value();
    schema["$id"] = "https://deployctl.dev/schema/v1/pipeline.json".into();
    schema
}

/// A pipeline: what `deployctl run NAME` does, step by step.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "pipelines/NAME.yaml")]
struct File {
    /// Version of this file's format: 1.
    #[schemars(extend("const" = 1))]
    version: u32,
    /// Name for people; the file's name by default.
    name: Option<String>,
    /// Steps in order; the first that fails ends the pipeline.
    steps: Vec<FileStep>,
}

/// A step: exactly one of `build`, `set`, `promote`, `verify`, `run`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FileStep {
    /// Name for people.
    name: Option<String>,
    /// Builds and pushes images.
    build: Option<FileBuild>,
    /// Writes the images built so far into an environment's overlays.
    set: Option<FileSet>,
    /// Copies digests from one environment to the next.
    promote: Option<FilePromote>,
    /// Waits until an environment is healthy at what was written.
    verify: Option<FileVerify>,
    /// Runs a command: a list of words, or a text for `sh`. It sees DEPLOYCTL_IMAGES (a line an
    /// image, `service=reference`) and DEPLOYCTL_COMMIT.
    run: Option<FileRun>,
}

/// Options of `build`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FileBuild {
    /// Services to build; all that have a `build` section by default.
    #[serde(default)]
    services: Vec<String>,
}

/// Options of `set`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct FileSet {
    /// The environment.
    env: String,
    /// Whether the rendered manifests may change in more than the images, as with
    /// `--allow-other-changes`.
    #[serde(default)]
    allow_other_changes: bool,
}

/// Options of `promote`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct FilePromote {
    /// Services to promote; all by default.
    #[serde(default)]
    services: Vec<String>,
    /// The environment to copy from; the `from` of the other one by default.
    from: Option<String>,
    /// The environment to copy to.
    to: String,
    /// Whether the images must be healthy in the environment that they come from (the default), where
    /// there is a cluster to ask.
    #[serde(default = "yes")]
    verify: bool,
    /// Whether the rendered manifests may change in more than the images, as with
    /// `--allow-other-changes`.
    #[serde(default)]
    allow_other_changes: bool,
}

fn yes() -> bool {
    true
}

impl From<FilePromote> for Promote {
    fn from(step: FilePromote) -> Self {
        let FilePromote { services, from, to, verify, allow_other_changes } = step;
        Self { services, from, to, verify, allow_other_changes }
    }
}

/// Options of `verify`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FileVerify {
    /// The environment.
    env: String,
    /// Services to verify; all by default.
    #[serde(default)]
    services: Vec<String>,
    /// How long to wait, for example `90s` or `10m` (the default).
    timeout: Option<String>,
}

/// A command of the user's own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a list of words, or a text for `sh`")]
enum FileRun {
    /// A program and its arguments.
    Program(Vec<String>),
    /// A text for `sh`.
    Shell(String),
}

pub(super) fn read(path: &Utf8Path, text: &str) -> Result<Pipeline, Invalid> {
    let flaw = |keys: &[&str], message: String| {
        let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        yaml::flaw(path, text, &keys, message)
    };
    let file: File = yaml::decode(path, text)?;
    if file.version != 1 {
        return Err(flaw(
            &["version"],
            format!("version {} is not known; expected 1", file.version),
        ));
    }
    if file.steps.is_empty() {
        return Err(flaw(&["steps"], "there are no steps".to_owned()));
    }
    let steps = file.steps.into_iter().enumerate().map(|(index, step)| {
        let index = index.to_string();
        self::step(step)
            .map_err(|(keys, message)| flaw(&[&["steps", index.as_str()], keys].concat(), message))
    });
    let name = file.name.unwrap_or_else(|| path.file_stem().unwrap_or_default().to_owned());
    Ok(Pipeline { name, steps: steps.collect::<Result<_, _>>()? })
}

/// Returns the step, or where in it what is wrong.
fn step(file: FileStep) -> Result<Step, (&'static [&'static str], String)> {
    let FileStep { name, build, set, promote, verify, run } = file;
    let mut actions = Vec::new();
    actions.extend(build.map(|FileBuild { services }| ("build", Action::Build { services })));
    actions.extend(set.map(|FileSet { env, allow_other_changes }| {
        ("set", Action::Set { environment: env, allow_other_changes })
    }));
    actions.extend(promote.map(|step| ("promote", Action::Promote(step.into()))));
    if let Some(FileVerify { env, services, timeout }) = verify {
        let timeout = timeout.map_or(Ok(TIMEOUT), |text| duration(&text));
        let timeout = timeout.map_err(|message| (["verify", "timeout"].as_slice(), message))?;
        actions.push(("verify", Action::Verify { services, environment: env, timeout }));
    }
    if let Some(run) = run {
        let line = command_line(run).map_err(|message| (["run"].as_slice(), message))?;
        actions.push(("run", Action::Run(line)));
    }
    let keys: Vec<_> = actions.iter().map(|(key, _)| format!("`{key}`")).collect();
    match <[_; 1]>::try_from(actions) {
        Ok([(key, action)]) => {
            let name = name.unwrap_or_else(|| default_name(key, &action));
            Ok(Step { name, action })
        }
        Err(_) => {
            let found = if keys.is_empty() { "nothing".to_owned() } else { keys.join(" and ") };
            let expected = "a step is one of `build`, `set`, `promote`, `verify`, `run`";
            Err((&[], format!("{expected}; this one is {found}")))
        }
    }
}

fn default_name(key: &str, action: &Action) -> String {
    match action {
        Action::Build { .. } => key.to_owned(),
        Action::Set { environment, .. } | Action::Verify { environment, .. } => {
            format!("{key} {environment}")
        }
        Action::Promote(promote) => format!("{key} to {}", promote.to),
        Action::Run(line) => line.to_string(),
    }
}

fn command_line(run: FileRun) -> Result<CommandLine, String> {
    match run {
        FileRun::Program(words) if words.is_empty() => Err("there is no command".to_owned()),
        FileRun::Program(words) => Ok(CommandLine::Program(words)),
        FileRun::Shell(text) if text.trim().is_empty() => Err("there is no command".to_owned()),
        FileRun::Shell(text) => Ok(CommandLine::Shell(text)),
    }
}

/// Returns the time that a text such as `90s`, `10m` or `1h 30m` says.
///
/// # Errors
///
/// Fails with a sentence if it says none.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || {
        format!(
            "`{text}` is not a time; expected hours, minutes and seconds, for example `90s`, `10m` or `1h 30m`"
        )
    };
    let span: jiff::SignedDuration = text.parse().map_err(|_| expected())?;
    Duration::try_from(span).map_err(|_| expected())
}
