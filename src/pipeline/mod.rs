//! The pipeline file, `pipelines/NAME.yaml`: steps that run one after the other.
//!
//! Running them is left to [`crate::ops`].

mod file;

use std::fmt;
use std::time::Duration;

use camino::Utf8Path;

pub use file::{duration, schema};

use crate::yaml::Invalid;

/// A pipeline: steps in the order they run; the first that fails ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// Its name.
    pub name: String,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// A step of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What people see.
    pub name: String,
    /// What it does.
    pub action: Action,
}

/// What a step does. An empty list of services means all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Builds images.
    Build {
        /// The services to build.
        services: Vec<String>,
    },
    /// Writes the images that the steps before have built into an environment's overlays.
    Set {
        /// The environment.
        environment: String,
        /// Whether the rendering may change in more than the images.
        allow_other_changes: bool,
    },
    /// Copies digests from one environment to the next.
    Promote(Promote),
    /// Waits until an environment is healthy at what the steps before have written.
    Verify {
        /// The services to verify.
        services: Vec<String>,
        /// The environment.
        environment: String,
        /// How long to wait.
        timeout: Duration,
    },
    /// Runs a command.
    Run(CommandLine),
}

/// What to copy from where to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promote {
    /// The services to promote.
    pub services: Vec<String>,
    /// The environment to copy from; the one that the configuration says by default.
    pub from: Option<String>,
    /// The environment to copy to.
    pub to: String,
    /// Whether the images must be healthy in the environment that they come from.
    pub verify: bool,
    /// Whether the rendering may change in more than the images.
    pub allow_other_changes: bool,
}

/// A command of the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// A program and its arguments.
    Program(Vec<String>),
    /// A text for `sh`.
    Shell(String),
}

impl Pipeline {
    /// Returns the pipeline that `text` says; `path` is for errors and for the default name.
    ///
    /// # Errors
    ///
    /// Fails if it is not YAML, or a step is not exactly one of the things that steps can be.
    pub fn parse(path: &Utf8Path, text: &str) -> Result<Self, Invalid> {
        file::read(path, text)
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(words) => f.write_str(&words.join(" ")),
            Self::Shell(text) => f.write_str(text.lines().next().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Result<Vec<(String, Action)>, String> {
        let pipeline = Pipeline::parse("pipelines/dev.yaml".into(), text);
        let pipeline = pipeline.map_err(|error| error.to_string())?;
        Ok(pipeline.steps.into_iter().map(|step| (step.name, step.action)).collect())
    }

    #[test]
    fn a_step_is_one_key_with_its_options() {
        let text = "version: 1\nsteps:\n- build: {}\n- name: roll out\n  verify: {env: dev, timeout: 90s}\n- run: [echo, hi]\n";
        let steps = steps(text).unwrap();
        let names: Vec<_> = steps.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["build", "roll out", "echo hi"]);
        let Action::Verify { timeout, environment, .. } = &steps[1].1 else { panic!("{steps:?}") };
        assert_eq!((timeout.as_secs(), environment.as_str()), (90, "dev"));
    }

    #[test]
    fn other_changes_are_allowed_only_where_a_step_says_so() {
        let check = |step: &str, expected: bool| {
            let steps = steps(&format!("version: 1\nsteps:\n- {step}\n")).unwrap();
            let allowed = match &steps[0].1 {
                Action::Set { allow_other_changes, .. } => *allow_other_changes,
                Action::Promote(promote) => promote.allow_other_changes,
                other => panic!("{other:?}"),
            };
            assert_eq!(allowed, expected, "{step}");
        };
        check("set: {env: dev}", false);
        check("set: {env: dev, allowOtherChanges: true}", true);
        check("promote: {to: prod}", false);
        check("promote: {to: prod, allowOtherChanges: true}", true);
    }

    #[test]
    fn a_step_that_is_nothing_or_two_things_is_an_error() {
        let two = steps("version: 1\nsteps:\n- build: {}\n- set: {env: dev}\n  run: x\n");
        assert_eq!(
            two.unwrap_err(),
            "pipelines/dev.yaml:4:3: a step is one of `build`, `set`, `promote`, `verify`, `run`; this one is `set` and `run`"
        );
        assert!(
            steps("version: 1\nsteps:\n- name: x\n").unwrap_err().contains("this one is nothing")
        );
        assert!(steps("version: 1\nsteps: []\n").unwrap_err().contains("no steps"));
    }

    #[test]
    fn a_wrong_time_is_told_with_its_place() {
        let error = steps("version: 1\nsteps:\n- verify: {env: dev, timeout: soon}\n").unwrap_err();
        assert!(error.starts_with("pipelines/dev.yaml:3:31: `soon` is not a time"), "{error}");
    }
}
