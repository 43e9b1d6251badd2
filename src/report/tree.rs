//! The rollouts of an environment while they go on, as a block of lines that fits on a terminal.
//!
//! Drawing it again and again is left to the command line.

use anstyle::{AnsiColor, Style};
use console::{measure_text_width, truncate_str};

use super::text::one_line;
use crate::ops::{Moment, RolloutVerdict, VerifyEvent};
use crate::rollout::{ApplicationOverview, ContainerOverview, Overview, WorkloadOverview};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const LATE: Style = AnsiColor::Yellow.on_default();
const BUSY: Style = AnsiColor::Cyan.on_default();
const NAME: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Rollouts, each with what there is to see of it.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    branches: Vec<Branch>,
}

/// A service's rollout.
#[derive(Debug, Clone, Default)]
struct Branch {
    service: String,
    seen: Overview,
    state: State,
    cause: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum State {
    #[default]
    Begun,
    Waiting(String),
    Settling,
    Ended(RolloutVerdict, String),
}

impl Tree {
    /// Takes in what happened to a service's rollout.
    pub fn observe(&mut self, service: &str, moment: &Moment) {
        let known = self.branches.iter().position(|branch| branch.service == service);
        let at = known.unwrap_or_else(|| {
            let service = service.to_owned();
            self.branches.push(Branch { service, ..Branch::default() });
            self.branches.len() - 1
        });
        self.branches[at].observe(&moment.event);
    }

    /// Returns whether nothing has happened yet.
    pub fn is_empty(&self) -> bool {
        self.branches.is_empty()
    }

    /// Returns the line of each rollout that has ended.
    pub fn verdicts(&self) -> Vec<String> {
        let ended = self.branches.iter().filter(|branch| branch.is_over());
        ended.map(Branch::head).collect()
    }

    /// Returns at most `height` lines, none of them wider than `width` columns, with colours.
    pub fn lines(&self, width: usize, height: usize) -> Vec<String> {
        let mut heads: Vec<usize> = (0..self.branches.len()).collect();
        let hidden = self.branches.len() > height;
        if hidden {
            // What needs attention stays.
            heads.sort_by_key(|at| self.branches[*at].rank());
            heads.truncate(height.saturating_sub(1));
            heads.sort_unstable();
        }
        let spare = height.saturating_sub(heads.len() + usize::from(hidden));
        let details = self.details(&heads, spare);
        let mut lines = Vec::new();
        for (at, details) in heads.iter().zip(details) {
            lines.push(self.branches[*at].head());
            lines.extend(details);
        }
        if hidden && height > 0 {
            lines.push(self.rest(&heads));
        }
        lines.iter().map(|line| truncate_str(line, width, "…").into_owned()).collect()
    }

    /// Returns what is shown below each of `heads`, `spare` lines in all.
    fn details(&self, heads: &[usize], spare: usize) -> Vec<Vec<String>> {
        let mut order: Vec<usize> = (0..heads.len()).collect();
        order.sort_by_key(|place| self.branches[heads[*place]].rank());
        let mut details = vec![Vec::new(); heads.len()];
        let mut spare = spare;
        for place in order {
            let mut lines = self.branches[heads[place]].details();
            lines.truncate(spare);
            spare -= lines.len();
            details[place] = lines;
        }
        details
    }

    fn rest(&self, shown: &[usize]) -> String {
        let rest = self.branches.iter().enumerate().filter(|(at, _)| !shown.contains(at));
        let (mut ended, mut waiting) = (0, 0);
        for (_, branch) in rest {
            if branch.is_over() { ended += 1 } else { waiting += 1 }
        }
        format!("{DIM}… and {waiting} that go on, {ended} that ended{DIM:#}")
    }
}

impl Branch {
    fn observe(&mut self, event: &VerifyEvent) {
        match event {
            VerifyEvent::Seen(overview) => self.seen = overview.clone(),
            VerifyEvent::Waiting { reason } => self.state = State::Waiting(one_line(reason)),
            VerifyEvent::Settling { .. } => self.state = State::Settling,
            VerifyEvent::Cause(cause) => self.cause = Some(one_line(&cause.summary)),
            VerifyEvent::CausePassed { .. } => self.cause = None,
            VerifyEvent::Ended { verdict, reason } => {
                self.state = State::Ended(*verdict, one_line(reason));
            }
            VerifyEvent::Refreshed(_) | VerifyEvent::Rollout(_) | VerifyEvent::Note(_) => {}
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Ended(..))
    }

    /// Returns how soon it gives up its place: what needs attention last.
    fn rank(&self) -> u8 {
        match (&self.state, &self.cause) {
            (State::Ended(RolloutVerdict::Healthy, _), _) => 3,
            (State::Ended(..), _) => 1,
            (_, Some(_)) => 0,
            _ => 2,
        }
    }

    fn head(&self) -> String {
        let (style, sign, says) = match &self.state {
            State::Ended(RolloutVerdict::Healthy, reason) => (GOOD, "✔", ended("healthy", reason)),
            State::Ended(RolloutVerdict::Degraded, reason) => (BAD, "✘", ended("degraded", reason)),
            State::Ended(RolloutVerdict::TimedOut, reason) => {
                (LATE, "✘", ended("timed-out", reason))
            }
            State::Settling => (GOOD, "●", "healthy; watching whether it stays so".to_owned()),
            State::Waiting(reason) => (BUSY, "●", reason.clone()),
            State::Begun => (BUSY, "●", "looking".to_owned()),
        };
        format!("{style}{sign}{style:#} {NAME}{}{NAME:#} {says}", self.service)
    }

    fn details(&self) -> Vec<String> {
        if self.is_over() {
            return Vec::new();
        }
        let mut lines: Vec<String> = self.seen.application.iter().map(application).collect();
        lines.extend(self.seen.workloads.iter().flat_map(workload));
        // Last, so that it is the nearest to where people look.
        lines.extend(self.cause.iter().map(|cause| format!("  {BAD}!{BAD:#} {cause}")));
        lines
    }
}

fn ended(verdict: &str, reason: &str) -> String {
    format!("{verdict}: {reason}")
}

fn application(overview: &ApplicationOverview) -> String {
    let ApplicationOverview { application, sync, revision, health } = overview;
    let known = |text: &str| if text.is_empty() { "unknown".to_owned() } else { one_line(text) };
    let revision = revision.get(..12).unwrap_or(revision);
    let at =
        if revision.is_empty() { String::new() } else { format!(" at {}", one_line(revision)) };
    let sync = in_style(if sync == "Synced" { GOOD } else { LATE }, &known(sync));
    let health = in_style(style_of_health(health), &known(health));
    format!("  {} {sync}{at}, {health}", padded("Application", &application.name))
}

fn style_of_health(health: &str) -> Style {
    match health {
        "Healthy" => GOOD,
        "Degraded" | "Missing" => BAD,
        _ => LATE,
    }
}

fn workload(overview: &WorkloadOverview) -> Vec<String> {
    let WorkloadOverview { workload, counts, troubled } = overview;
    let style = if overview.is_complete() { GOOD } else { LATE };
    let says =
        format!("{} of {} updated, {} available", counts.updated, counts.desired, counts.available);
    let name = padded(&one_line(&workload.kind), &one_line(&workload.name));
    let mut lines = vec![format!("  {name} {}", in_style(style, &says))];
    lines.extend(alike(troubled).into_iter().map(container));
    lines
}

/// Returns the containers with how many others do the same.
fn alike(troubled: &[ContainerOverview]) -> Vec<(&ContainerOverview, usize)> {
    let mut groups: Vec<(&ContainerOverview, usize)> = Vec::new();
    for one in troubled {
        let same = |(other, _): &&mut (&ContainerOverview, usize)| {
            (&other.container, &other.waiting) == (&one.container, &one.waiting)
        };
        match groups.iter_mut().find(same) {
            Some((most, count)) => {
                *count += 1;
                if one.restarts > most.restarts {
                    *most = one;
                }
            }
            None => groups.push((one, 1)),
        }
    }
    groups
}

fn container((one, count): (&ContainerOverview, usize)) -> String {
    let starts = matches!(one.waiting.as_str(), "ContainerCreating" | "PodInitializing");
    let waiting = match one.waiting.as_str() {
        "" => String::new(),
        _ if starts => in_style(DIM, "starting"),
        reason => in_style(BAD, &one_line(reason)),
    };
    let restarts = match one.restarts {
        0 => String::new(),
        1 => in_style(LATE, "1 restart"),
        restarts => in_style(LATE, &format!("{restarts} restarts")),
    };
    let says: Vec<_> = [waiting, restarts].into_iter().filter(|text| !text.is_empty()).collect();
    let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
    let (pod, name) = (one_line(&one.pod), one_line(&one.container));
    format!("    {DIM}{pod} ({name}){more}{DIM:#} {}", says.join(", "))
}

/// Returns kind and name, as wide as most of them.
fn padded(kind: &str, name: &str) -> String {
    let text = format!("{DIM}{kind}{DIM:#} {name}");
    let missing = 32_usize.saturating_sub(measure_text_width(&text));
    text + &" ".repeat(missing)
}

fn in_style(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests;
