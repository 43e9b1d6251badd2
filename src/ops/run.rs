//! `deployctl run`: a pipeline's steps, one after the other.

use std::fmt;

use async_trait::async_trait;

use super::{Emit, Event};
use crate::pipeline::{Action, Pipeline};

/// Does what a step says; the command line joins it to real backends.
#[async_trait]
pub trait StepRunner: Send {
    /// What a step that fails fails with.
    type Error: fmt::Display + Send;

    /// Does the action.
    ///
    /// # Errors
    ///
    /// Fails if it can't be done, or if it was carried out and its answer is no.
    async fn step(&mut self, action: &Action) -> Result<(), Self::Error>;
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// It is done.
    Done,
    /// It failed, and the pipeline ended there.
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

/// Why a pipeline ended early.
#[derive(Debug)]
pub struct RunError<E> {
    /// The steps up to the one that failed.
    pub report: RunReport,
    /// The name of the step that failed.
    pub step: String,
    /// What it failed with.
    pub error: E,
}

/// Runs the steps in order until one fails.
///
/// # Errors
///
/// Fails where a step does.
pub async fn run<R: StepRunner>(
    pipeline: &Pipeline,
    runner: &mut R,
    emit: Emit<'_>,
) -> Result<RunReport, RunError<R::Error>> {
    let mut report = RunReport { pipeline: pipeline.name.clone(), steps: Vec::new() };
    for (index, step) in pipeline.steps.iter().enumerate() {
        let (number, of, name) = (index + 1, pipeline.steps.len(), step.name.clone());
        emit(Event::Step { number, of, name: name.clone() });
        if let Err(error) = runner.step(&step.action).await {
            let reason = error.to_string();
            report.steps.push((name.clone(), StepOutcome::Failed { reason }));
            return Err(RunError { report, step: name, error });
        }
        report.steps.push((name, StepOutcome::Done));
    }
    Ok(report)
}
