//! By which Applications a service is deployed: the one that is configured, else those that deploy its
//! manifests, found by repository, path and branch.

use std::time::Duration;

use camino::Utf8PathBuf;
use tokio::time::timeout;

use crate::argocd::{Application, ApplicationName, deploys};
use crate::cli::error::CommandError;
use crate::cli::ui::Ui;
use crate::cluster::{Cluster, ClusterError};
use crate::config::{Environment, Service};
use crate::k8s::Object;
use crate::ops::{Event, RolloutReport, RolloutVerdict, VerifyError};

/// Where Applications are by default.
const NAMESPACE: &str = "argocd";

/// Where the manifests of a service are.
pub(super) struct Place {
    pub(super) repo_url: String,
    pub(super) path: Utf8PathBuf,
    pub(super) branch: Option<String>,
}

/// By what a service is deployed.
pub(super) struct Deployed {
    /// The Application; `None`: by none, so that the rendered objects are judged.
    pub(super) application: Option<ApplicationName>,
    /// What the rollout is called: the service, and the Application where there are several.
    pub(super) label: String,
}

/// Returns the Applications of the cluster, if one of the services has none configured. Without Argo CD,
/// and where a role leaves Applications out, there are none. A cluster that has said nothing for `patience`
/// is left to the wait to judge.
pub(super) async fn applications(
    services: &[&Service],
    environment: &Environment,
    cluster: &dyn Cluster,
    patience: Duration,
    ui: &Ui,
) -> Result<Vec<Object>, CommandError> {
    if services.iter().all(|service| environment.application(service).is_some()) {
        return Ok(Vec::new());
    }
    let found = async {
        match cluster.argo_cd(None).await {
            // A role may be for one namespace only.
            Err(ClusterError::Denied { .. }) => cluster.argo_cd(Some(NAMESPACE)).await,
            found => found,
        }
    };
    let Ok(found) = timeout(patience, found).await else { return Ok(Vec::new()) };
    match found {
        Ok(objects) => Ok(objects),
        Err(ClusterError::UnknownKind { .. }) => Ok(Vec::new()),
        Err(error @ ClusterError::Denied { .. }) => {
            let text =
                format!("Applications are not looked for, objects are judged alone: {error}");
            ui.event(&Event::Warning(text));
            Ok(Vec::new())
        }
        Err(error) => Err(VerifyError::Cluster(error).into()),
    }
}

/// Returns by what `service` is deployed, at least one.
pub(super) fn of(
    objects: &[Object],
    environment: &Environment,
    service: &Service,
    place: &Place,
) -> Vec<Deployed> {
    let label = service.name.clone();
    if let Some(application) = environment.application(service) {
        return vec![Deployed { application: Some(application), label }];
    }
    let applications = objects.iter().filter_map(Application::new);
    let (path, branch) = (place.path.as_str(), place.branch.as_deref());
    let deploying = applications.filter(|a| deploys(*a, &place.repo_url, path, branch));
    let names: Vec<ApplicationName> = deploying.map(Application::name).collect();
    match names.as_slice() {
        [] => vec![Deployed { application: None, label }],
        [one] => vec![Deployed { application: Some(one.clone()), label }],
        _ => names.into_iter().map(|name| Deployed::one_of(&label, name)).collect(),
    }
}

impl Deployed {
    fn one_of(service: &str, application: ApplicationName) -> Self {
        Self { label: format!("{service}.{}", application.name), application: Some(application) }
    }
}

/// Returns one rollout for each service: the first that is not healthy, for a service is only as well
/// as all its Applications are.
pub(super) fn decisive(rollouts: &[RolloutReport]) -> Vec<RolloutReport> {
    let mut decisive: Vec<RolloutReport> = Vec::new();
    for rollout in rollouts {
        match decisive.iter_mut().find(|known| known.service == rollout.service) {
            None => decisive.push(rollout.clone()),
            Some(known) if known.verdict == RolloutVerdict::Healthy => *known = rollout.clone(),
            Some(_) => {}
        }
    }
    decisive
}
