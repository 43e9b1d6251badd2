//! Argo CD's AppProject: when its Applications may sync, and what they may deploy from where to
//! where.
//!
//! What Argo CD itself has said about an Application goes before what is read here: it knows its
//! clusters by name and by address, an Application states one of them.

mod permitted;
mod schedule;
mod sync_window;
mod window;

pub use schedule::{Schedule, ScheduleError};
pub use sync_window::ClosedWindow;
pub use window::{UnknownTimeZone, Window, time_zone};

use crate::k8s::Object;

/// An AppProject, read from its resource.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Project<'a>(&'a Object);

impl<'a> Project<'a> {
    /// Returns the project, or `None` if `object` is another kind.
    pub fn new(object: &'a Object) -> Option<Self> {
        let is_project = object.group() == "argoproj.io" && object.kind() == "AppProject";
        is_project.then_some(Self(object))
    }

    /// Returns its name.
    pub fn name(self) -> &'a str {
        self.0.name()
    }
}
