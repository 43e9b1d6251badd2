//! Argo Rollouts' Rollout: where a canary or a blue-green deployment stands, and what holds it.
//!
//! See argo-rollouts `pkg/apis/rollouts/v1alpha1/types.go`, `RolloutStatus`.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::k8s::Object;

/// A Rollout, read from its resource.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArgoRollout<'a>(&'a Object);

/// Why a Rollout does not go on by itself, or not now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Where and why, and how it goes on, in a sentence.
    pub reason: String,
    /// When it goes on by itself; `None`: somebody has to promote it.
    pub until: Option<Timestamp>,
}

/// An analysis that belongs to a Rollout's present step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Analysis<'a> {
    /// The AnalysisRun's name.
    pub name: &'a str,
    /// `Pending`, `Running`, `Successful`, `Failed`, `Error` or `Inconclusive`.
    pub phase: &'a str,
    /// What the controller says about it, or empty.
    pub message: &'a str,
}

/// Where the status keeps analyses.
const ANALYSES: [&str; 4] = [
    "/status/canary/currentStepAnalysisRunStatus",
    "/status/canary/currentBackgroundAnalysisRunStatus",
    "/status/blueGreen/prePromotionAnalysisRunStatus",
    "/status/blueGreen/postPromotionAnalysisRunStatus",
];

impl<'a> ArgoRollout<'a> {
    /// Returns the Rollout, or `None` if `object` is another kind.
    pub fn new(object: &'a Object) -> Option<Self> {
        let is_rollout = object.group() == "argoproj.io" && object.kind() == "Rollout";
        is_rollout.then_some(Self(object))
    }

    /// Returns the resource.
    pub fn object(self) -> &'a Object {
        self.0
    }

    /// Returns whether its controller has seen the present spec. The observed generation is a text,
    /// and one that is no number is from a controller that wrote a hash.
    pub fn is_observed(self) -> bool {
        let generation = self.0.integer("/metadata/generation").unwrap_or(0);
        match self.0.at("/status/observedGeneration") {
            Some(Value::String(text)) => {
                text.parse::<i64>().map_or(!text.is_empty(), |observed| observed >= generation)
            }
            Some(observed) => observed.as_i64().is_some_and(|observed| observed >= generation),
            None => false,
        }
    }

    /// Returns the hash of the new revision's pod template, or empty.
    pub fn current_hash(self) -> &'a str {
        self.0.text("/status/currentPodHash").unwrap_or_default()
    }

    /// Returns the hash of the revision that is known to be good, or empty.
    fn stable_hash(self) -> &'a str {
        self.0.text("/status/stableRS").unwrap_or_default()
    }

    /// Returns whether the new revision has taken the place of the one before.
    pub fn is_complete(self) -> bool {
        !self.current_hash().is_empty() && self.current_hash() == self.stable_hash()
    }

    /// Returns whether it was aborted: the stable revision serves again.
    pub fn is_aborted(self) -> bool {
        self.0.at("/status/abort") == Some(&Value::Bool(true))
    }

    /// Returns what the controller says about its phase, or empty.
    pub fn message(self) -> &'a str {
        self.0.text("/status/message").unwrap_or_default()
    }

    /// Returns the analyses of its present step.
    pub fn analyses(self) -> impl Iterator<Item = Analysis<'a>> {
        ANALYSES.into_iter().filter_map(move |pointer| {
            let analysis = self.0.at(pointer)?;
            let text = |key: &str| analysis.get(key).and_then(Value::as_str).unwrap_or_default();
            Some(Analysis { name: text("name"), phase: text("status"), message: text("message") })
        })
    }

    /// Returns when it was aborted, or empty.
    pub(super) fn aborted_at(self) -> &'a str {
        self.0.text("/status/abortedAt").unwrap_or_default()
    }

    /// Returns why its controller aborted it, or `None` if it is not aborted or somebody did it by hand.
    pub(super) fn why_aborted(self) -> Option<&'a str> {
        let mut conditions = self.0.conditions();
        let aborted = conditions.find(|condition| condition.reason == "RolloutAborted");
        let said = aborted.map_or(self.message(), |condition| condition.message);
        let said = said.strip_prefix("RolloutAborted: ").unwrap_or(said);
        // argo-rollouts `utils/conditions/conditions.go`, `RolloutAbortedMessage`; before 1.0 it was the
        // other, without a reason.
        let why = match said.strip_prefix("Rollout aborted update to revision ") {
            Some(rest) => rest.split_once(": ").map(|(_, why)| why)?,
            None => said,
        };
        let tells = !matches!(why, "" | "RolloutAborted" | "Rollout is aborted");
        Some(why).filter(|_| self.is_aborted() && tells)
    }

    /// Returns why its controller aborted it where that was an analysis.
    pub fn blames_analysis(self) -> Option<&'a str> {
        // argo-rollouts `rollout/analysis.go`, `AddAbort`, and the message of the AnalysisRun alone.
        let blames = |why: &&str| {
            ["analysis phase error/failed", " assessed Failed", " assessed Error"]
                .iter()
                .any(|words| why.contains(words))
        };
        self.why_aborted().filter(blames)
    }

    /// Returns the command of Argo Rollouts' plugin that does `what` with it.
    pub(super) fn command(self, what: &str) -> String {
        format!("kubectl argo rollouts {what} {} -n {}", self.0.name(), self.0.namespace())
    }

    /// Returns what holds it, or `None` if it is on its way or done.
    pub fn pause(self) -> Option<Pause> {
        let (name, promote) = (self.0.name(), self.command("promote"));
        let at = self.step_told();
        if let Some(condition) = self.0.list("/status/pauseConditions").first() {
            let reason = condition.get("reason").and_then(Value::as_str).unwrap_or_default();
            let until = self.pause_ends(condition);
            let what = match reason {
                "InconclusiveAnalysisRun" => "its analysis was inconclusive",
                "BlueGreenPause" => "the new revision waits beside the active one",
                _ => "it is a pause of the canary",
            };
            let on = match until {
                Some(until) => format!("goes on at {until}, or with `{promote}`"),
                None => format!("goes on with `{promote}`"),
            };
            let reason = format!("Rollout `{name}` is paused{at}: {what}; it {on}");
            return Some(Pause { reason, until });
        }
        let is_paused = self.0.at("/spec/paused") == Some(&Value::Bool(true));
        is_paused.then(|| Pause {
            reason: format!("Rollout `{name}` is paused by its spec; it goes on with `{promote}`"),
            until: None,
        })
    }

    /// Returns the step of the canary, as ` at step 2 of 5`.
    pub(super) fn step_told(self) -> String {
        let steps = self.0.list("/spec/strategy/canary/steps").len();
        match self.0.integer("/status/currentStepIndex") {
            Some(index) if steps > 0 => {
                let weight = self.weight().map(|w| format!(" ({w}% of the traffic)"));
                let step = index.saturating_add(1).clamp(1, i64::try_from(steps).unwrap_or(1));
                format!(" at step {step} of {steps}{}", weight.unwrap_or_default())
            }
            _ => String::new(),
        }
    }

    /// Returns the weight that the steps so far have set.
    fn weight(self) -> Option<i64> {
        let index = usize::try_from(self.0.integer("/status/currentStepIndex")?).ok()?;
        let steps = self.0.list("/spec/strategy/canary/steps").iter().take(index.saturating_add(1));
        steps.rev().find_map(|step| step.get("setWeight")?.as_i64())
    }

    /// Returns how long its steps pause from where it is, where they go on by themselves.
    pub(super) fn pauses_for(self) -> SignedDuration {
        let index = self.0.integer("/status/currentStepIndex").filter(|_| self.is_observed());
        let done = usize::try_from(index.unwrap_or(0)).unwrap_or(0);
        let steps = self.0.list("/spec/strategy/canary/steps").iter().skip(done);
        let pauses = steps.filter_map(|step| duration(step.pointer("/pause/duration")?));
        pauses.fold(SignedDuration::ZERO, SignedDuration::saturating_add)
    }

    /// Returns when a pause ends by itself: its start and the duration of its step.
    fn pause_ends(self, condition: &Value) -> Option<Timestamp> {
        let start: Timestamp = condition.get("startTime")?.as_str()?.parse().ok()?;
        let lasts = match condition.get("reason")?.as_str()? {
            "CanaryPauseStep" => {
                let index = usize::try_from(self.0.integer("/status/currentStepIndex")?).ok()?;
                let step = self.0.list("/spec/strategy/canary/steps").get(index)?;
                duration(step.pointer("/pause/duration")?)?
            }
            "BlueGreenPause" => {
                let seconds = self.0.integer("/spec/strategy/blueGreen/autoPromotionSeconds")?;
                Some(SignedDuration::from_secs(seconds)).filter(SignedDuration::is_positive)?
            }
            _ => return None,
        };
        start.checked_add(lasts).ok()
    }
}

/// Seconds as a number or a text, or a text with units.
fn duration(value: &Value) -> Option<SignedDuration> {
    match value {
        Value::Number(seconds) => Some(SignedDuration::from_secs(seconds.as_i64()?)),
        Value::String(text) => match text.parse() {
            Ok(seconds) => Some(SignedDuration::from_secs(seconds)),
            Err(_) => text.parse().ok(),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(rest: &str) -> Object {
        let head = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: ranking, namespace: shop, generation: 7}\n";
        Object::read_all(&format!("{head}{rest}")).unwrap().remove(0)
    }

    #[track_caller]
    fn paused(rest: &str, expected: &str) {
        let object = rollout(rest);
        let pause = ArgoRollout::new(&object).unwrap().pause();
        assert_eq!(pause.map(|pause| pause.reason).unwrap_or_default(), expected, "{rest}");
    }

    const STEPS: &str = "spec: {strategy: {canary: {steps: [{setWeight: 20}, {pause: {}}, {setWeight: 50}, {pause: {duration: 1h}}, {pause: {duration: 30}}]}}}\n";

    #[test]
    fn says_at_which_step_it_is_paused_and_how_it_goes_on() {
        let at = |index: i64, reason: &str| {
            format!(
                "{STEPS}status: {{currentStepIndex: {index}, pauseConditions: [{{reason: {reason}, startTime: '2026-03-01T10:00:00Z'}}]}}\n"
            )
        };
        let promote = "`kubectl argo rollouts promote ranking -n shop`";
        paused(
            &at(1, "CanaryPauseStep"),
            &format!(
                "Rollout `ranking` is paused at step 2 of 5 (20% of the traffic): it is a pause of the canary; it goes on with {promote}"
            ),
        );
        paused(
            &at(3, "CanaryPauseStep"),
            &format!(
                "Rollout `ranking` is paused at step 4 of 5 (50% of the traffic): it is a pause of the canary; it goes on at 2026-03-01T11:00:00Z, or with {promote}"
            ),
        );
        paused(
            &at(4, "CanaryPauseStep"),
            &format!(
                "Rollout `ranking` is paused at step 5 of 5 (50% of the traffic): it is a pause of the canary; it goes on at 2026-03-01T10:00:30Z, or with {promote}"
            ),
        );
        paused(
            &at(1, "InconclusiveAnalysisRun"),
            &format!(
                "Rollout `ranking` is paused at step 2 of 5 (20% of the traffic): its analysis was inconclusive; it goes on with {promote}"
            ),
        );
    }

    #[test]
    fn a_preview_waits_and_a_spec_may_hold_it() {
        let promote = "`kubectl argo rollouts promote ranking -n shop`";
        let green = |seconds: &str| {
            format!(
                "spec: {{strategy: {{blueGreen: {{{seconds}}}}}}}\nstatus: {{pauseConditions: [{{reason: BlueGreenPause, startTime: '2026-03-01T10:00:00Z'}}]}}\n"
            )
        };
        let waits =
            "Rollout `ranking` is paused: the new revision waits beside the active one; it goes on";
        paused(&green(""), &format!("{waits} with {promote}"));
        paused(
            &green("autoPromotionSeconds: 60"),
            &format!("{waits} at 2026-03-01T10:01:00Z, or with {promote}"),
        );
        paused(
            "spec: {paused: true}",
            &format!("Rollout `ranking` is paused by its spec; it goes on with {promote}"),
        );
        paused("spec: {}", "");
    }

    #[test]
    fn why_it_was_aborted_stands_in_its_condition() {
        let by = "Step-based analysis phase error/failed: Metric \"errors\" assessed Failed due to failed (1) > failureLimit (0)";
        let condition = |message: &str| {
            format!(
                "abort: true, conditions: [{{type: Progressing, reason: RolloutAborted, message: '{message}'}}]"
            )
        };
        let revision = "Rollout aborted update to revision 3";
        for (status, why, analysis) in [
            (condition(&format!("{revision}: {by}")), Some(by), true),
            (condition(revision), None, false),
            (condition("Rollout is aborted"), None, false),
            (format!("abort: true, message: 'RolloutAborted: {revision}: {by}'"), Some(by), true),
            (condition(&format!("{revision}: late")), Some("late"), false),
            ("abort: true".to_owned(), None, false),
            (format!("message: '{by}'"), None, false),
        ] {
            let object = rollout(&format!("status: {{{status}}}"));
            let rollout = ArgoRollout::new(&object).unwrap();
            assert_eq!(rollout.why_aborted(), why, "{status}");
            assert_eq!(rollout.blames_analysis().is_some(), analysis, "{status}");
        }
    }

    #[test]
    fn its_observed_generation_is_a_text() {
        for (observed, expected) in [
            ("'7'", true),
            ("'8'", true),
            ("'6'", false),
            ("6f4c8", true),
            ("7", true),
            ("''", false),
        ] {
            let object = rollout(&format!("status: {{observedGeneration: {observed}}}"));
            assert_eq!(ArgoRollout::new(&object).unwrap().is_observed(), expected, "{observed}");
        }
        assert!(!ArgoRollout::new(&rollout("")).unwrap().is_observed());
    }
}
