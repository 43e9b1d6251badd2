//! The arguments that say by which rules objects are judged.

use camino::Utf8PathBuf;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::health::{ArgoCdVersion, Rules};
use crate::ops::{self, RuleOptions};

/// Which rules decide about the health of objects.
#[derive(Debug, Default, Clone, clap::Args)]
pub(super) struct RuleArgs {
    /// Manifest of the ConfigMap `argocd-cm`, for its health scripts
    #[arg(long, value_name = "FILE")]
    argocd_cm: Option<Utf8PathBuf>,
    /// Folder of health scripts laid out like Argo CD's `resource_customizations`
    #[arg(long, value_name = "DIR")]
    customizations: Option<Utf8PathBuf>,
    /// Run no health script, whatever else is given
    #[arg(long)]
    native_only: bool,
    /// Version of Argo CD whose verdicts to give: 2.14, 3.0 to 3.6 [default: the newest]
    #[arg(long, value_name = "VERSION")]
    argocd_version: Option<ArgoCdVersion>,
}

impl RuleArgs {
    /// Returns the rules, read from where the arguments say.
    pub(super) fn rules(&self) -> Result<Rules, CommandError> {
        let rules = ops::rules(&RuleOptions {
            argocd_cm: self.argocd_cm.clone(),
            customizations: self.customizations.clone(),
            native_only: self.native_only,
            version: self.argocd_version.unwrap_or_default(),
        });
        rules.map_err(|error| CommandError::from(error).exit(Exit::Usage))
    }
}
