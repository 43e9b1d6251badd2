//! The gates: what must hold before an environment is changed. One file a gate, one visible list.
//!
//! A gate judges facts and knows nothing of where they come from; a fact that can't be known keeps
//! it shut.

mod approval;
mod branch;
mod checks;
mod digest_pinned;
mod freeze;
mod healthy;
mod soak;

use jiff::{SignedDuration, Timestamp};

pub use approval::Approval;
pub use branch::Branch;
pub use checks::Checks;
pub use freeze::{Freeze, Schedule, ScheduleError, UnknownTimeZone, Window, time_zone};
pub use healthy::Healthy;
pub use soak::Soak;

use super::facts::{Facts, ServiceFacts};
use super::verdict::{Standing, Verdict};

/// A gate of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// The image is healthy in the environment that it comes from.
    Healthy(Healthy),
    /// That environment has had the image for a while.
    Soak(Soak),
    /// The time is right.
    Freeze(Freeze),
    /// Named people have approved the pull request.
    Approval(Approval),
    /// Checks of the commit that the image was built from have passed.
    Checks(Checks),
    /// Every image of the overlay's pods has a digest.
    DigestPinned,
    /// That commit is on a branch.
    Branch(Branch),
}

impl Gate {
    /// The name of the gate that people open by approving.
    pub const APPROVAL: &'static str = "approval";

    /// Returns the name that configuration, reports and overrides call it by.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Healthy(_) => "healthy",
            Self::Soak(_) => "soak",
            Self::Freeze(_) => "freeze",
            Self::Approval(_) => Self::APPROVAL,
            Self::Checks(_) => "checks",
            Self::DigestPinned => "digest-pinned",
            Self::Branch(_) => "branch",
        }
    }

    /// Returns what the gate says: once, or for each service.
    pub fn judge(&self, facts: &Facts) -> Vec<Verdict> {
        let each = |judge: &dyn Fn(&ServiceFacts) -> Said| {
            let said = |service: &ServiceFacts| {
                judge(service).verdict(self.name(), Some(service.service.clone()))
            };
            facts.services.iter().map(said).collect()
        };
        match self {
            Self::Healthy(gate) => each(&|service| gate.judge(service, facts)),
            Self::Soak(gate) => each(&|service| gate.judge(service, facts)),
            Self::Freeze(gate) => vec![gate.judge(facts.now).verdict(self.name(), None)],
            Self::Approval(gate) => vec![gate.judge(&facts.reviews).verdict(self.name(), None)],
            Self::Checks(gate) => each(&|service| gate.judge(service)),
            Self::DigestPinned => each(&digest_pinned::judge),
            Self::Branch(gate) => each(&|service| gate.judge(service)),
        }
    }
}

/// What a gate says, before it is known about what.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    standing: Standing,
    why: String,
    opens_at: Option<Timestamp>,
}

impl Said {
    fn open(why: impl Into<String>) -> Self {
        Self { standing: Standing::Open, why: why.into(), opens_at: None }
    }

    fn closed(why: impl Into<String>) -> Self {
        Self { standing: Standing::Closed, why: why.into(), opens_at: None }
    }

    fn unknown(why: &str) -> Self {
        Self { standing: Standing::Unknown, why: why.to_owned(), opens_at: None }
    }

    fn verdict(self, gate: &'static str, service: Option<String>) -> Verdict {
        let Self { standing, why, opens_at } = self;
        Verdict { gate, service, standing, why, opens_at, overridden: None }
    }
}

/// Returns a time as people say it, for example `1h 30m`; seconds only below ten minutes.
fn said(time: SignedDuration) -> String {
    let seconds = time.as_secs();
    let whole = if seconds >= 600 { seconds - seconds % 60 } else { seconds };
    format!("{:#}", SignedDuration::from_secs(whole))
}

#[cfg(test)]
pub(super) mod facts {
    use super::*;

    /// Returns what is known about `web` before anything was asked.
    pub(crate) fn service() -> ServiceFacts {
        ServiceFacts::new("web", image('a'))
    }

    /// Returns an image whose digest is `digit`, 64 times.
    pub(crate) fn image(digit: char) -> crate::image::PinnedImage {
        let digest = digit.to_string().repeat(64);
        let text = format!("registry.example.com/web:1@sha256:{digest}");
        let reference: crate::image::ImageReference = text.parse().unwrap();
        let digest = reference.digest.unwrap();
        crate::image::PinnedImage { name: reference.name, tag: reference.tag, digest }
    }

    /// Returns the line that a table of expectations has for what `gate` says about `facts`.
    pub(crate) fn line(gate: &Gate, facts: &Facts) -> String {
        let verdicts = gate.judge(facts);
        let line = |verdict: &Verdict| {
            let opens = verdict.opens_at.map(|at| format!(" [{at}]")).unwrap_or_default();
            format!("{}: {}{opens}", verdict.standing.as_str(), verdict.why)
        };
        verdicts.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_as_exactly_as_it_matters() {
        let cases = [(0, "0s"), (59, "59s"), (599, "9m 59s"), (725, "12m"), (5430, "1h 30m")];
        for (seconds, expected) in cases {
            assert_eq!(said(SignedDuration::from_secs(seconds)), expected);
        }
    }
}
