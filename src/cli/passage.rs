//! What `set` and `promote` bring along to pass the gates before an environment.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use super::context::Context;
use super::error::CommandError;
use crate::config::{Config, Environment};
use crate::github;
use crate::ops::{Passage, SourceRepositories, check_overrides};
use crate::promotion::{Fact, Gate, Override, Proof};
use crate::system;

/// Which gates are not to hold, and why.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct OverrideArgs {
    /// Pass this gate though it is closed; the commit says so (can be repeated)
    #[arg(id = "override", long, value_name = "GATE", requires = "reason")]
    gates: Vec<String>,
    /// Why the gate does not hold this time: one reason for all overrides, or one for each, in order
    #[arg(id = "reason", long, value_name = "TEXT", requires = "override")]
    reasons: Vec<String>,
}

impl OverrideArgs {
    /// Returns the overrides of a change of `to` with images from `from`.
    pub(super) fn overrides(
        &self,
        from: Option<&Environment>,
        to: &Environment,
    ) -> Result<Vec<Override>, CommandError> {
        let hint = "give one --reason for all, or one after each --override";
        if self.reasons.iter().any(|reason| reason.trim().is_empty()) {
            return Err(CommandError::usage("a reason is empty", hint));
        }
        if self.reasons.len() > 1 && self.reasons.len() != self.gates.len() {
            let (gates, reasons) = (self.gates.len(), self.reasons.len());
            let s = if gates == 1 { "" } else { "s" };
            let message = format!("there are {reasons} reasons for {gates} override{s}");
            return Err(CommandError::usage(message, hint));
        }
        let reasons = self.reasons.iter().chain(self.reasons.last().into_iter().cycle());
        let overridden = |(gate, reason): (&String, &String)| Override {
            gate: gate.clone(),
            reason: reason.clone(),
        };
        let overrides: Vec<Override> = self.gates.iter().zip(reasons).map(overridden).collect();
        check_overrides(from, to, &overrides)?;
        Ok(overrides)
    }
}

/// Whom the gates before an environment can ask.
pub(super) struct Witnesses<'a> {
    github: Result<github::Client, String>,
    caches: Utf8PathBuf,
    environment: &'a system::Environment,
    trusted: Vec<String>,
}

impl<'a> Witnesses<'a> {
    /// Returns whom the gates of `environment` can ask; `manifests` is the address of its repository.
    pub(super) async fn new(
        environment: &Environment,
        manifests: &str,
        config: &Config,
        context: &'a Context,
    ) -> Result<Self, CommandError> {
        let asks_source = |gate: &Gate| matches!(gate, Gate::Branch(_) | Gate::Checks(_));
        let mut trusted = vec![manifests.to_owned()];
        if environment.gates.gates.iter().any(asks_source) {
            let around = context.source(config.folder()).await?;
            trusted.extend(around.and_then(|source| source.remote));
        }
        Ok(Self {
            github: context.github().map_err(|error| error.to_string()),
            caches: context.git_caches()?,
            environment: &context.environment,
            trusted,
        })
    }

    /// Returns what a change brings along.
    pub(super) fn passage<'s>(
        &'s self,
        from: Option<&'s Environment>,
        health: BTreeMap<String, Fact<Proof>>,
        overrides: Vec<Override>,
    ) -> Passage<'s> {
        Passage {
            from,
            now: system::now(),
            health,
            overrides,
            github: self.github.as_ref().map_err(Clone::clone),
            sources: SourceRepositories {
                caches: &self.caches,
                environment: self.environment,
                trusted: self.trusted.clone(),
            },
        }
    }
}
