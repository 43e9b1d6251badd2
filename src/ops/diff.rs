//! `deployctl diff`: what two environments, or two revisions, run, compared.
//!
//! Overlays are compared as they are rendered for the cluster, with the images that Argo CD's source
//! files set. Charts are not rendered; of those the values files are compared as they are.

use camino::Utf8PathBuf;
use similar::TextDiff;

use super::{Emit, Event, Manifests, RenderedError, StoreError, rendered};
use crate::config::{Environment, Service};
use crate::git::CommitId;
use crate::kustomize::{FileTree, TreeError};
use crate::render::{Rendered, Renderer, readable};
use crate::target::Target;

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffReport {
    /// One an overlay, also where nothing differs.
    pub differences: Vec<Difference>,
}

/// What differs between two renderings of an overlay, or two values files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What is compared, for people.
    pub title: String,
    /// The service.
    pub service: String,
    /// The environment whose revisions are compared; `None` where environments are.
    pub environment: Option<String>,
    /// The first environment, or the first revision's commit.
    pub from: String,
    /// The other one.
    pub to: String,
    /// A unified diff; empty where nothing differs.
    pub diff: String,
}

/// Why there is nothing to compare.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// The repository can't be read.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A file can't be read.
    #[error("{0}")]
    Tree(#[from] TreeError),
    /// An overlay does not render.
    #[error("{0}")]
    Rendered(#[from] RenderedError),
    /// There is no values file.
    #[error("there is no file `{file}`")]
    NoFile {
        /// The file.
        file: Utf8PathBuf,
    },
}

/// Returns how the services' overlays in `to` differ from those in `from`, rendered at the
/// branch's tip. A service that is a chart in one of them only is left out, with a warning.
///
/// # Errors
///
/// Fails if the repository can't be read, or an overlay does not render.
pub async fn diff_environments(
    manifests: &Manifests,
    renderer: &dyn Renderer,
    from: &Environment,
    to: &Environment,
    services: &[&Service],
    emit: Emit<'_>,
) -> Result<DiffReport, DiffError> {
    // Rendering everything takes more files than one asks GitHub's API for.
    let (_, tree) = manifests.by_git().tree(emit).await?;
    let both = |service: &&Service| [from, to].map(|it| it.target(service).path().to_owned());
    tree.prefetch(&services.iter().flat_map(both).collect::<Vec<_>>()).await?;
    let mut differences = Vec::new();
    for service in services {
        let (old, new) = tokio::try_join!(
            Side::of(renderer, &*tree, from, service),
            Side::of(renderer, &*tree, to, service),
        )?;
        let title = format!("{}: {} → {}", service.name, from.name, to.name);
        let names = [from, to].map(|environment| environment.target(service).path().to_string());
        match old.texts(&new) {
            Some((old, new)) => differences.push(Difference {
                title,
                service: service.name.clone(),
                environment: None,
                from: from.name.clone(),
                to: to.name.clone(),
                diff: between(&names[0], &old, &names[1], &new),
            }),
            None => emit(Event::Warning(format!("not compared, as only one is a chart: {title}"))),
        }
        tell_of_charts(&old, emit);
    }
    Ok(DiffReport { differences })
}

/// Returns how each overlay rendered at revision `old` differs from revision `new`; an overlay
/// that one of them does not have is empty there.
///
/// # Errors
///
/// Fails if there is no such revision, or an overlay does not render.
pub async fn diff_revisions(
    manifests: &Manifests,
    renderer: &dyn Renderer,
    (old, new): (&str, &str),
    overlays: &[(&Environment, &Service)],
    emit: Emit<'_>,
) -> Result<DiffReport, DiffError> {
    let manifests = manifests.by_git();
    manifests.fetch(emit).await?;
    let store = manifests.store();
    let ids = [store.resolve(old).await?, store.resolve(new).await?];
    let trees = [store.tree(&ids[0])?, store.tree(&ids[1])?];
    let paths = overlays.iter().map(|(it, service)| it.target(service).path().to_owned());
    let paths: Vec<Utf8PathBuf> = paths.collect();
    for tree in &trees {
        tree.prefetch(&paths).await?;
    }
    let mut differences = Vec::new();
    for (environment, service) in overlays {
        let (old, new) = tokio::try_join!(
            Side::of_revision(renderer, &*trees[0], environment, service),
            Side::of_revision(renderer, &*trees[1], environment, service),
        )?;
        let path = environment.target(service).path().to_owned();
        let short = ids.each_ref().map(CommitId::short);
        let names = short.each_ref().map(|id| format!("{path}@{id}"));
        let (service, environment) = (&service.name, &environment.name);
        let title = format!("{service} in {environment}: {} → {}", short[0], short[1]);
        let texts = old.texts(&new).expect("both are of one environment, so of one kind");
        differences.push(Difference {
            title,
            service: service.clone(),
            environment: Some(environment.clone()),
            from: ids[0].to_string(),
            to: ids[1].to_string(),
            diff: between(&names[0], &texts.0, &names[1], &texts.1),
        });
        tell_of_charts(&old, emit);
    }
    Ok(DiffReport { differences })
}

/// What one side has of a service.
enum Side {
    /// What its overlay renders to.
    Rendered(Rendered),
    /// The values file of its chart.
    Values(String),
}

impl Side {
    async fn of(
        renderer: &dyn Renderer,
        tree: &dyn FileTree,
        environment: &Environment,
        service: &Service,
    ) -> Result<Self, DiffError> {
        let target = environment.target(service);
        if is_chart(&target) {
            let file = target.path().to_owned();
            let bytes = tree.read(&file)?.ok_or(DiffError::NoFile { file })?;
            return Ok(Self::Values(String::from_utf8_lossy(&bytes).into_owned()));
        }
        Ok(Self::Rendered(rendered(renderer, tree, environment, service).await?))
    }

    /// As [`Side::of`], and empty where the service is not there.
    async fn of_revision(
        renderer: &dyn Renderer,
        tree: &dyn FileTree,
        environment: &Environment,
        service: &Service,
    ) -> Result<Self, DiffError> {
        let target = environment.target(service);
        Ok(match (is_chart(&target), is_there(tree, &target)?) {
            (_, true) => Self::of(renderer, tree, environment, service).await?,
            (true, false) => Self::Values(String::new()),
            (false, false) => Self::Rendered(Rendered::of(Vec::new())),
        })
    }

    /// Returns the texts to compare, or `None` if they are of two kinds.
    fn texts(&self, new: &Self) -> Option<(String, String)> {
        match (self, new) {
            (Self::Rendered(old), Self::Rendered(new)) => Some(readable(old, new)),
            (Self::Values(old), Self::Values(new)) => Some((old.clone(), new.clone())),
            _ => None,
        }
    }
}

fn is_chart(target: &Target) -> bool {
    target.overlay().is_none()
}

fn is_there(tree: &dyn FileTree, target: &Target) -> Result<bool, TreeError> {
    match target.overlay() {
        Some(overlay) => Ok(!tree.files(overlay)?.is_empty()),
        None => Ok(tree.read(target.path())?.is_some()),
    }
}

fn tell_of_charts(side: &Side, emit: Emit<'_>) {
    if let Side::Values(_) = side {
        let text = "charts are not rendered; their values files are compared";
        emit(Event::Warning(text.to_owned()));
    }
}

/// Returns the unified diff from `old` to `new` under their names, empty if they are the same.
pub fn between(old_name: &str, old: &str, new_name: &str, new: &str) -> String {
    TextDiff::from_lines(old, new).unified_diff().header(old_name, new_name).to_string()
}
