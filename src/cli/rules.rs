//! The arguments that say by which rules objects are judged.

use camino::Utf8PathBuf;

use crate::argocd::ApplicationName;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::ui::Ui;
use crate::cluster::Cluster;
use crate::config::{Config, ConfigError};
use crate::health::native::RuleSet;
use crate::health::{ArgoCdVersion, Rules};
use crate::k8s::Object;
use crate::ops::{self, Event, RuleOptions, RulesError};

/// Which rules decide about the health of objects.
#[derive(Debug, Default, Clone, clap::Args)]
pub(super) struct RuleArgs {
    /// Rows of your own for custom resources, a list as under `health: rules:` in deployctl.yaml
    #[arg(long, value_name = "FILE")]
    rules: Option<Utf8PathBuf>,
    /// Manifest of the ConfigMap `argocd-cm`, for its health scripts
    #[arg(long, value_name = "FILE")]
    argocd_cm: Option<Utf8PathBuf>,
    /// Folder of health scripts laid out like Argo CD's `resource_customizations`
    #[arg(long, value_name = "DIR")]
    customizations: Option<Utf8PathBuf>,
    /// Run no health script
    #[arg(long, conflicts_with_all = ["argocd_cm", "customizations"])]
    native_only: bool,
    /// Version of Argo CD whose verdicts to give: 2.14, 3.0 to 3.6 [default: `argocdVersion` of
    /// deployctl.yaml, else the newest]
    #[arg(long, value_name = "VERSION")]
    argocd_version: Option<ArgoCdVersion>,
    /// What the configuration says.
    #[arg(skip)]
    configured: Configured,
}

/// What a configuration says about rules.
#[derive(Debug, Default, Clone)]
struct Configured {
    rows: Vec<RuleSet>,
    version: Option<ArgoCdVersion>,
}

impl RuleArgs {
    /// Returns the arguments with what `config` says where they do not: its rows are asked behind those
    /// of `--rules`.
    pub(super) fn beside(&self, config: &Config) -> Self {
        let (rows, version) = (config.health_rules.clone(), config.argocd_version);
        Self { configured: Configured { rows, version }, ..self.clone() }
    }

    /// Returns the rules, read from where the arguments say, and tells what has no effect there.
    pub(super) fn rules(&self, ui: &Ui) -> Result<Rules, CommandError> {
        let rules = self.rules_with(None)?;
        warn_of_ignored(&rules, ui);
        Ok(rules)
    }

    /// Returns the arguments with what the configuration says, if there is one here.
    pub(super) fn configured(&self, context: &Context) -> Result<Self, CommandError> {
        let is_absent = |error: &ConfigError| matches!(error, ConfigError::NotFound { .. });
        match context.config() {
            Ok(config) => Ok(self.beside(&config)),
            Err(error) if error.is(is_absent) => Ok(self.clone()),
            Err(error) => Err(error),
        }
    }

    /// Returns the rules with the scripts of this `argocd-cm`, if no manifest of it is named.
    pub(super) fn rules_with(&self, argocd_cm: Option<Object>) -> Result<Rules, RulesError> {
        let rules = ops::rules(&RuleOptions { cluster: argocd_cm, ..self.options() })?;
        Ok(rules.with_own(self.configured.rows.clone()))
    }

    /// Returns the rules with the scripts that the cluster's Argo CD has, if there is an Application
    /// and no manifest of `argocd-cm` is named. Without the right to read them it goes on, and says so.
    pub(super) async fn of_cluster(
        &self,
        cluster: &dyn Cluster,
        application: Option<&ApplicationName>,
        ui: &Ui,
    ) -> Result<Rules, CommandError> {
        let asked = application.filter(|_| self.argocd_cm.is_none() && !self.native_only);
        // What has no effect in a manifest that is named is told when that is read first.
        let Some(application) = asked else { return Ok(self.rules_with(None)?) };
        let unknown = |error: CommandError| {
            let error = error.in_one_line();
            let text = format!("judging without the health scripts of argocd-cm: {error}");
            ui.event(&Event::Warning(text));
        };
        match cluster.argocd_cm(application).await {
            Ok(found) => match self.rules_with(found) {
                Ok(rules) => {
                    warn_of_ignored(&rules, ui);
                    return Ok(rules);
                }
                Err(error) => unknown(error.into()),
            },
            Err(error) => unknown(error.into()),
        }
        self.rules(ui)
    }

    fn options(&self) -> RuleOptions {
        RuleOptions {
            own: self.rules.clone(),
            argocd_cm: self.argocd_cm.clone(),
            cluster: None,
            customizations: self.customizations.clone(),
            native_only: self.native_only,
            version: self.argocd_version.or(self.configured.version).unwrap_or_default(),
        }
    }
}

fn warn_of_ignored(rules: &Rules, ui: &Ui) {
    for ignored in rules.customizations.iter().flat_map(|scripts| scripts.ignored()) {
        ui.event(&Event::Warning(ignored.to_string()));
    }
}
