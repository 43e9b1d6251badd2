//! What ops return and emit, as bytes: for a terminal, as JSON, for GitHub Actions.
//!
//! Renderers get a sink; which stream or file that is, the command line knows. JSON has its own
//! structs ([`json`]), because it is a promise; the nouns do not derive `Serialize`.

mod build;
mod demo;
mod diff;
mod doctor;
mod edit;
mod events;
mod gates;
mod health;
pub mod json;
mod lint;
mod markdown;
mod rollback;
mod rollout;
mod run;
mod set;
mod status;
mod tags;
mod text;
mod tree;

use std::io;

use serde_json::Value;

pub use demo::scene;
pub use events::line as event_line;
pub use health::{AssessedObject, HealthReport};
pub use rollout::{Documents, NoVerdict, VerifyReport};
pub use run::PlannedSteps;
pub use status::History;
pub use tags::TagsReport;
pub use tree::Tree;

/// An op's report that can be shown.
pub trait Report {
    /// Writes it for people.
    ///
    /// # Errors
    ///
    /// Fails if `out` does.
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()>;

    /// Returns it as JSON; the first key says which version of which document it is.
    fn json(&self) -> Value;

    /// Returns the outputs of the GitHub Actions step, by name.
    fn outputs(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Returns what the step summary says, as Markdown; nothing if empty.
    fn summary(&self) -> String {
        String::new()
    }
}
