//! Which gates stand before an environment.

use super::gates::{Gate, Healthy};
use super::{Facts, Override, Verdict};
use crate::yaml::nearest;

/// The gates before an environment, in the order of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The gates; of each kind at most one.
    pub gates: Vec<Gate>,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(gate: &str) -> Override {
        Override { gate: gate.to_owned(), reason: "the shop is down".to_owned() }
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
}
