//! An init container does not get through, so the pod's own containers never start.

use super::crash_loop::Crash;
use super::{CauseKind, RootCause, Suspect};

pub(super) fn find(suspect: &Suspect<'_>) -> Option<RootCause> {
    let crash = Crash::of(suspect, true)?;
    Some(crash.cause(suspect, CauseKind::InitContainer))
}
