//! What came of a pipeline.

use std::io;

use serde_json::Value;

use super::{Report, json};
use crate::ops::{RunReport, StepOutcome};
use crate::pipeline::Pipeline;

/// The steps that a pipeline would take.
pub struct PlannedSteps<'a>(
    /// The pipeline.
    pub &'a Pipeline,
);

impl Report for PlannedSteps<'_> {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut steps = self.0.steps.iter().enumerate();
        steps.try_for_each(|(index, step)| writeln!(out, "{}. {}", index + 1, step.name))
    }

    fn json(&self) -> Value {
        json::v1::plan(self.0)
    }
}

impl Report for RunReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        for (name, outcome) in &self.steps {
            match outcome {
                StepOutcome::Done => writeln!(out, "done    {name}")?,
                StepOutcome::Failed { reason } => writeln!(out, "failed  {name}: {reason}")?,
            }
        }
        Ok(())
    }

    fn json(&self) -> Value {
        json::v1::run(self)
    }

    fn summary(&self) -> String {
        let rows = self.steps.iter().map(|(name, outcome)| match outcome {
            StepOutcome::Done => format!("| {name} | done |\n"),
            StepOutcome::Failed { reason } => format!("| {name} | failed: {reason} |\n"),
        });
        let rows: String = rows.collect();
        format!("### Pipeline {}\n\n| step | outcome |\n|---|---|\n{rows}\n", self.pipeline)
    }
}
