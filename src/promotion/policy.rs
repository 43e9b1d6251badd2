//! Which gates stand before an environment, and what they say about a change of it.

use jiff::Timestamp;

use super::Override;
use super::gates::{Gate, Healthy};
use crate::image::PinnedImage;
use crate::yaml::nearest;

/// The gates before an environment, in the order of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The gates; of each kind at most one.
    pub gates: Vec<Gate>,
}

/// What is known about a change when its gates are judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The time.
    pub now: Timestamp,
    /// The environment that the images come from; `None` if they come from outside.
    pub from: Option<String>,
    /// The services that change.
    pub services: Vec<ServiceFacts>,
    /// The reviews of the pull request that makes the change.
    pub reviews: Fact<Reviews>,
}

/// What is known about a service that changes.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceFacts {
    /// The service.
    pub service: String,
    /// The image that it is to get.
    pub image: PinnedImage,
    /// How the image does in the environment that it comes from.
    pub health: Fact<Proof>,
    /// Since when that environment has the image.
    pub since: Fact<Since>,
    /// The checks of the commit that the image was built from.
    pub checks: Fact<Vec<Check>>,
    /// Whether that commit is on the branch that the gate names.
    pub is_on_branch: Fact<bool>,
    /// The images of the overlay's pods that have no digest.
    pub unpinned: Fact<Vec<String>>,
}

/// Something that a gate wants to know, or why it can't be known.
pub type Fact<T> = Result<T, String>;

/// What shows that an image is healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The cluster was asked now.
    Cluster {
        /// The image that was looked for, if the environment states one with a digest.
        image: Option<PinnedImage>,
        /// The digests that the pods state or run.
        running: Vec<String>,
        /// Whether all is live and healthy.
        is_healthy: bool,
        /// Why, in one line.
        why: String,
    },
    /// `verify` has recorded it.
    Verified {
        /// When.
        at: Timestamp,
    },
}

/// Since when an environment has an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// When it began.
    pub at: Timestamp,
    /// What says so.
    pub evidence: Evidence,
}

/// What says since when an environment has an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// `verify` has recorded it as healthy then.
    Verified,
    /// This commit of the branch states it since then; that it runs nobody has recorded.
    Commit(String),
}

/// A check of a commit: a status, or a check run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// What came of it.
    pub state: CheckState,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// It passed, or did not need to run.
    Passed,
    /// It has not ended.
    Pending,
    /// It failed.
    Failed,
}

/// The reviews of a pull request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reviews {
    /// The page of the pull request; `None` if none is open.
    pub url: Option<String>,
    /// Whether its last commit states the images of the change.
    pub is_current: bool,
    /// The accounts of those who approve its last commit.
    pub approved_by: Vec<String>,
}

/// What a gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The gate.
    pub gate: &'static str,
    /// The service that it says it about; `None`: about the change as a whole.
    pub service: Option<String>,
    /// What it says.
    pub standing: Standing,
    /// Why, in one line.
    pub why: String,
    /// When it opens if nothing else happens, if that can be told.
    pub opens_at: Option<Timestamp>,
    /// The reason for which it was overridden.
    pub overridden: Option<String>,
}

/// How a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The change may pass.
    Open,
    /// It may not.
    Closed,
    /// What the gate asks for can't be known, so it may not either.
    Unknown,
}

/// An override of a gate that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{environment}` has no gate `{gate}` to override{}", .nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
pub struct UnknownGate {
    /// The environment.
    pub environment: String,
    /// The gate that was named.
    pub gate: String,
    /// The gate that it may have meant.
    pub nearest: Option<String>,
    /// The gates that are judged.
    pub known: Vec<&'static str>,
}

impl Policy {
    /// Returns the gates of a promotion: those of the configuration, and that the images are healthy
    /// where they come from, as far as that can be known.
    pub fn of_promotion(&self) -> Self {
        let mut gates = self.gates.clone();
        if !gates.iter().any(|gate| matches!(gate, Gate::Healthy(_))) {
            gates.insert(0, Gate::Healthy(Healthy { is_required: false }));
        }
        Self { gates }
    }

    /// Returns the gates of a change whose images come from no environment.
    pub fn of_set(&self) -> Self {
        let asks_from = |gate: &&Gate| matches!(gate, Gate::Healthy(_) | Gate::Soak(_));
        Self { gates: self.gates.iter().filter(|gate| !asks_from(gate)).cloned().collect() }
    }

    /// Returns what each gate says, in order.
    pub fn judge(&self, facts: &Facts) -> Vec<Verdict> {
        self.gates.iter().flat_map(|gate| gate.judge(facts)).collect()
    }

    /// Returns an error if an override names a gate that is not among these; `environment` is for
    /// its message.
    ///
    /// # Errors
    ///
    /// Fails at the first such override.
    pub fn check(&self, overrides: &[Override], environment: &str) -> Result<(), UnknownGate> {
        let known: Vec<&'static str> = self.gates.iter().map(Gate::name).collect();
        let unknown = overrides.iter().find(|it| !known.contains(&it.gate.as_str()));
        unknown.map_or(Ok(()), |unknown| {
            Err(UnknownGate {
                environment: environment.to_owned(),
                gate: unknown.gate.clone(),
                nearest: nearest(&unknown.gate, &known).map(str::to_owned),
                known,
            })
        })
    }
}

impl Facts {
    /// Returns what is known before anything was asked.
    pub fn new(now: Timestamp, from: Option<&str>, services: Vec<ServiceFacts>) -> Self {
        Self { now, from: from.map(str::to_owned), services, reviews: Err(UNASKED.to_owned()) }
    }
}

impl ServiceFacts {
    /// Returns what is known about a service before anything was asked.
    pub fn new(service: &str, image: PinnedImage) -> Self {
        fn unasked<T>() -> Fact<T> {
            Err(UNASKED.to_owned())
        }
        Self {
            service: service.to_owned(),
            image,
            health: unasked(),
            since: unasked(),
            checks: unasked(),
            is_on_branch: unasked(),
            unpinned: unasked(),
        }
    }
}

/// Why a fact that no gate asked for is not known.
const UNASKED: &str = "nobody asked";

impl Verdict {
    /// Returns whether the gate keeps the change from being made.
    pub fn is_closed(&self) -> bool {
        self.standing != Standing::Open && self.overridden.is_none()
    }
}

impl Standing {
    /// Returns the word for it in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        }
    }
}

/// Returns `verdicts` with the reasons of `overrides` beside those that are not open.
pub fn overridden(verdicts: Vec<Verdict>, overrides: &[Override]) -> Vec<Verdict> {
    let with = |verdict: Verdict| {
        let reason = overrides.iter().find(|it| it.gate == verdict.gate);
        let reason = reason.filter(|_| verdict.standing != Standing::Open);
        Verdict { overridden: reason.map(|it| it.reason.clone()), ..verdict }
    };
    verdicts.into_iter().map(with).collect()
}

/// Returns the overrides that the verdicts needed, each gate once, in order.
pub fn overrides(verdicts: &[Verdict]) -> Vec<Override> {
    let mut needed: Vec<Override> = Vec::new();
    for verdict in verdicts {
        if let Some(reason) = &verdict.overridden
            && !needed.iter().any(|it| it.gate == verdict.gate)
        {
            needed.push(Override { gate: verdict.gate.to_owned(), reason: reason.clone() });
        }
    }
    needed
}

/// Returns the names of the gates that keep the change from being made, each once, in order.
pub fn closed(verdicts: &[Verdict]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for verdict in verdicts.iter().filter(|verdict| verdict.is_closed()) {
        if !names.contains(&verdict.gate) {
            names.push(verdict.gate);
        }
    }
    names
}

/// Returns the verdicts as a Markdown checklist, for the body of a pull request; nothing if there
/// are none.
pub fn checklist(verdicts: &[Verdict]) -> String {
    let line = |verdict: &Verdict| {
        let mark = if verdict.is_closed() { ' ' } else { 'x' };
        let service = verdict.service.as_ref().map(|name| format!(" ({name})"));
        let mut line = format!("- [{mark}] **{}**{}: ", verdict.gate, service.unwrap_or_default());
        line.push_str(&one_line(&verdict.why));
        if let Some(opens_at) = verdict.opens_at {
            line.push_str(&format!("; opens at {}", next_minute(opens_at)));
        }
        if let Some(reason) = &verdict.overridden {
            line.push_str(&format!("; overridden: {}", one_line(reason)));
        }
        line + "\n"
    };
    verdicts.iter().map(line).collect()
}

/// Returns the minute that `at` is in.
pub fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Returns the first minute that begins at `at` or later: whoever comes then finds the gate open.
pub fn next_minute(at: Timestamp) -> String {
    let second = at.as_second() + i64::from(at.subsec_nanosecond() > 0);
    let next = second.div_euclid(60) + i64::from(second.rem_euclid(60) > 0);
    minute(Timestamp::from_second(next.saturating_mul(60)).unwrap_or(at))
}

/// Returns `text`, which others may have written, as a line that Markdown takes for text.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ").replace('<', "&lt;").replace("![", "!&#91;").replace("](", "]&#40;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(gate: &'static str, standing: Standing) -> Verdict {
        let why = format!("because of\n<{gate}>");
        Verdict { gate, service: None, standing, why, opens_at: None, overridden: None }
    }

    fn reason(gate: &str) -> Override {
        Override { gate: gate.to_owned(), reason: "the shop is down".to_owned() }
    }

    #[test]
    fn an_override_is_used_only_where_a_gate_is_not_open() {
        let overrides = [reason("soak"), reason("freeze")];
        let verdicts = [
            verdict("soak", Standing::Closed),
            verdict("freeze", Standing::Open),
            verdict("checks", Standing::Unknown),
        ];
        let verdicts = overridden(verdicts.to_vec(), &overrides);
        assert_eq!(closed(&verdicts), ["checks"]);
        assert_eq!(super::overrides(&verdicts), overrides[..1]);
    }

    #[test]
    fn only_gates_that_are_judged_can_be_overridden() {
        let policy = Policy { gates: vec![Gate::DigestPinned] };
        let check = |gate: &str| policy.of_promotion().check(&[reason(gate)], "prod");
        assert_eq!((check("healthy"), check("digest-pinned")), (Ok(()), Ok(())));
        insta::assert_snapshot!(
            check("digest-pin").unwrap_err(),
            @"`prod` has no gate `digest-pin` to override; did you mean `digest-pinned`?"
        );
        assert!(policy.of_set().check(&[reason("healthy")], "prod").is_err());
    }

    #[test]
    fn the_checklist_says_what_is_missing_and_is_only_text() {
        let opens_at = Some("2026-11-22T14:31:01Z".parse().unwrap());
        let soak = Verdict {
            service: Some("web".to_owned()),
            opens_at,
            ..verdict("soak", Standing::Closed)
        };
        let freeze =
            Verdict { overridden: Some("fire".to_owned()), ..verdict("freeze", Standing::Closed) };
        insta::assert_snapshot!(checklist(&[verdict("branch", Standing::Open), soak, freeze]), @r"
        - [x] **branch**: because of &lt;branch>
        - [ ] **soak** (web): because of &lt;soak>; opens at 2026-11-22 14:32 UTC
        - [x] **freeze**: because of &lt;freeze>; overridden: fire
        ");
        assert_eq!(checklist(&[]), "");
    }
}
