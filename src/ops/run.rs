//! `deployctl run`: a pipeline's steps, one after the other.

use async_trait::async_trait;

use super::{Emit, Event};
use crate::pipeline::{Action, Pipeline};

/// Does what a step says; the command line joins it to real backends.
#[async_trait]
pub trait StepRunner: Send {
    /// What a step that could not be done fails with.
    type Error: Send;

    /// Does the action and returns what came of it.
    ///
    /// # Errors
    ///
    /// Fails if it can't be done.
    async fn step(&mut self, action: &Action) -> Result<StepOutcome, Self::Error>;
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// It is done; the pipeline goes on.
    Done,
    /// It was carried out and its answer is no; the pipeline ends here.
    Failed {
        /// Why, in one line.
        reason: String,
    },
}

/// What came of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// The pipeline's name.
    pub pipeline: String,
    /// The steps that ran, in order, and what came of each; only the last can have failed.
    pub steps: Vec<(String, StepOutcome)>,
}

impl RunReport {
    /// Returns the step that ended the pipeline early, and why.
    pub fn failure(&self) -> Option<(&str, &str)> {
        match self.steps.last() {
            Some((name, StepOutcome::Failed { reason })) => Some((name, reason)),
            _ => None,
        }
    }
}

/// Why a pipeline ended early.
#[derive(Debug)]
pub struct RunError<E> {
    /// The step that failed.
    pub step: String,
    /// The cause.
    pub error: E,
}

/// Runs the steps in order until one fails.
///
/// # Errors
///
/// Fails where a step can't be carried out at all.
pub async fn run<R: StepRunner>(
    pipeline: &Pipeline,
    runner: &mut R,
    emit: Emit<'_>,
) -> Result<RunReport, RunError<R::Error>> {
    let mut steps = Vec::new();
    for (index, step) in pipeline.steps.iter().enumerate() {
        let (number, of, name) = (index + 1, pipeline.steps.len(), step.name.clone());
        emit(Event::Step { number, of, name: name.clone() });
        let outcome = runner.step(&step.action).await;
        let outcome = outcome.map_err(|error| RunError { step: name.clone(), error })?;
        let ends = matches!(outcome, StepOutcome::Failed { .. });
        steps.push((name, outcome));
        if ends {
            break;
        }
    }
    Ok(RunReport { pipeline: pipeline.name.clone(), steps })
}
