//! A child and all that it starts in turn, stopped together.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How long a child has to tidy up.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process group of a child that leads it; it is stopped when this value is dropped.
///
/// A terminal's Ctrl-C does not reach such a group, so whether deployctl was interrupted or the
/// child failed is never a matter of who was faster.
#[derive(Debug)]
pub(super) struct Group(Option<Pid>);

impl Group {
    /// Returns the group that the child with this process id leads.
    pub(super) fn of(child: Option<u32>) -> Self {
        Self(child.and_then(|id| Pid::from_raw(id.try_into().ok()?)))
    }

    /// The child has ended by itself: what it left running is meant to run.
    pub(super) fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    /// Asks all of it to end, waits a while for the child, then ends it.
    fn drop(&mut self) {
        let Some(pid) = self.0 else { return };
        // A group that is gone already needs no stopping.
        let _ = kill_process_group(pid, Signal::TERM);
        let start = Instant::now();
        while start.elapsed() < PATIENCE && !has_ended(pid) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

fn has_ended(pid: Pid) -> bool {
    // The child stays for tokio to reap.
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), look), Ok(None))
}
