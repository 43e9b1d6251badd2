//! The overlays: what they say, what they are built on, and what they render to.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use futures_util::future::join_all;

use super::remote::{is_out_of_reach, own_flaw, without_credentials};
use super::{LintError, LintOptions};
use crate::config::{Environment, Service};
use crate::k8s::Object;
use crate::kustomize::{
    ChangedTree, FILE_NAMES, FileTree, FindError, Incoming, Kustomization, MemoryTree, below,
    find_kustomization, inside, without_images,
};
use crate::lint::{AbsentOverlay, BrokenOverlay, Facts, Overlay, Rendering, Stage};
use crate::promotion::Gate;
use crate::render::{RenderError, Rendered};
use crate::system;

/// How many overlays are rendered at a time.
const AT_A_TIME: usize = 4;

/// Who writes into an overlay.
#[derive(Default)]
struct Writers {
    stages: Vec<Stage>,
    managed: BTreeSet<String>,
}

/// Adds the overlays in the order of their folders, and those that are broken or not there.
pub(super) async fn gather(
    options: &LintOptions<'_>,
    facts: &mut Facts,
    unchecked: &mut Vec<String>,
) -> Result<(), LintError> {
    let folders = match &options.overlays {
        Some(overlays) => configured(overlays),
        None => roots(options)?.into_iter().map(|folder| (folder, Writers::default())).collect(),
    };
    let mut missing = BTreeSet::new();
    for (dir, writers) in folders {
        match read(options, &dir, writers) {
            Ok(overlay) => facts.overlays.push(overlay),
            Err(Unread::Missing) => drop(missing.insert(dir)),
            Err(Unread::Broken(broken)) => facts.broken.push(broken),
        }
    }
    facts.absent = absent(options.overlays.as_deref().unwrap_or_default(), &missing);
    let changes = effective(options);
    let tree = ChangedTree { base: options.tree, changes: &changes };
    for some in facts.overlays.chunks_mut(AT_A_TIME) {
        let rendered = some.iter().map(async |overlay| render(options, &tree, overlay).await);
        let rendered = join_all(rendered).await;
        for (overlay, (rendering, incoming, reason)) in some.iter_mut().zip(rendered) {
            (overlay.rendering, overlay.incoming) = (rendering, incoming);
            unchecked.extend(reason.filter(|reason| !unchecked.contains(reason)));
        }
    }
    Ok(())
}

/// Returns which of `overlays` are in no folder that is there.
fn absent(
    overlays: &[(&Environment, &Service)],
    missing: &BTreeSet<Utf8PathBuf>,
) -> Vec<AbsentOverlay> {
    let is_missing = |environment: &Environment, service: &Service| {
        let target = environment.target(service);
        target.overlay().is_some_and(|overlay| missing.contains(overlay))
    };
    let mut found = Vec::new();
    for (environment, service) in overlays {
        if !is_missing(environment, service) {
            continue;
        }
        let mut beside = overlays.iter().filter(|(other, _)| other.name == environment.name);
        let mut elsewhere = overlays
            .iter()
            .filter(|(other, of)| other.name != environment.name && of.name == service.name);
        let is_elsewhere = elsewhere.clone().any(|(other, of)| !is_missing(other, of));
        found.push(AbsentOverlay {
            dir: environment.overlay(service),
            environment: environment.name.clone(),
            service: service.name.clone(),
            is_only_here: beside.any(|(other, of)| !is_missing(other, of))
                && (is_elsewhere || elsewhere.next().is_none()),
        });
    }
    found
}

/// Returns the kustomizations that Argo CD builds with other images than they say. A source file that
/// can't be read is told by what writes it.
fn effective(options: &LintOptions<'_>) -> MemoryTree {
    let mut files = MemoryTree::default();
    for (environment, service) in options.overlays.iter().flatten() {
        if let Ok(changed) = environment.target(service).effective(options.tree) {
            files.0.extend(changed.0);
        }
    }
    files
}

fn configured(overlays: &[(&Environment, &Service)]) -> BTreeMap<Utf8PathBuf, Writers> {
    let mut folders: BTreeMap<Utf8PathBuf, Writers> = BTreeMap::new();
    for (environment, service) in overlays {
        // The folder of a chart has no kustomization.
        let target = environment.target(service);
        let Some(overlay) = target.overlay() else { continue };
        let writers = folders.entry(overlay.to_owned()).or_default();
        let stage = Stage {
            name: environment.name.clone(),
            is_promoted: environment.from.is_some(),
            is_pinned: environment.gates.gates.contains(&Gate::DigestPinned),
        };
        if !writers.stages.contains(&stage) {
            writers.stages.push(stage);
        }
        let names = [service.image_in_manifests.clone(), service.image.to_string()];
        writers.managed.extend(names);
        writers.managed.insert(service.image.familiar());
    }
    folders
}

/// Returns the folders of the tree with a kustomization that no other one is built on.
fn roots(options: &LintOptions<'_>) -> Result<Vec<Utf8PathBuf>, LintError> {
    let mut folders = BTreeSet::new();
    let mut used = BTreeSet::new();
    for file in options.tree.files(Utf8Path::new(""))? {
        let dir = file.parent().unwrap_or(Utf8Path::new("")).to_owned();
        if !file.file_name().is_some_and(|name| FILE_NAMES.contains(&name)) {
            continue;
        }
        let read = options.tree.read(&file).ok().flatten();
        if let Some(Ok(kustomization)) = read.map(|bytes| Kustomization::parse(&bytes)) {
            let lists =
                [kustomization.resources(), kustomization.bases(), kustomization.components()];
            used.extend(lists.concat().into_iter().filter_map(|path| inside(&dir.join(path))));
            if kustomization.is_component() {
                continue;
            }
        }
        folders.insert(dir);
    }
    Ok(folders.into_iter().filter(|folder| !used.contains(folder)).collect())
}

/// Why an overlay can't be looked at.
enum Unread {
    Missing,
    Broken(BrokenOverlay),
}

impl Unread {
    fn broken(file: Utf8PathBuf, line: usize, reason: String) -> Self {
        Self::Broken(BrokenOverlay { file, line, reason })
    }
}

impl From<FindError> for Unread {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Missing { .. } => Self::Missing,
            FindError::Several { ref dir, second, .. } => {
                Self::broken(dir.join(second), 1, error.to_string())
            }
            FindError::Tree(error) => Self::broken(error.path, 1, error.reason),
        }
    }
}

fn read(options: &LintOptions<'_>, dir: &Utf8Path, writers: Writers) -> Result<Overlay, Unread> {
    let (file, bytes) = find_kustomization(options.tree, dir)?;
    let kustomization = Kustomization::parse(&bytes).map_err(|error| {
        let line = error.line().unwrap_or(1);
        // That it is in another encoding says more than where that begins.
        let reason = match (&error, system::read_text(bytes.as_slice())) {
            (_, Err(other)) if other.to_string().contains("save it as") => other.to_string(),
            _ => error.to_string(),
        };
        Unread::broken(file.clone(), line, reason)
    })?;
    Ok(Overlay {
        dir: dir.to_owned(),
        below: below(options.tree, dir, &kustomization),
        file,
        kustomization,
        stages: writers.stages,
        managed: writers.managed,
        rendering: Rendering::Unknown,
        incoming: None,
        registry: BTreeMap::new(),
    })
}

/// Returns what the overlay renders to, what its entries find, and why that is not known.
async fn render(
    options: &LintOptions<'_>,
    tree: &dyn FileTree,
    overlay: &Overlay,
) -> (Rendering, Option<Incoming>, Option<String>) {
    let entries = overlay.kustomization.images();
    let bare = async {
        let text = without_images(&overlay.kustomization)?;
        let changes = MemoryTree([(overlay.file.clone(), text.into_bytes())].into());
        let tree = ChangedTree { base: options.tree, changes: &changes };
        Some(options.renderer.render(&tree, &overlay.dir).await.ok()?.objects)
    };
    let (rendered, bare) = tokio::join!(options.renderer.render(tree, &overlay.dir), bare);
    let incoming = |with: &[Object]| match &bare {
        // Its entries act where it is used.
        _ if overlay.kustomization.is_component() => None,
        Some(bare) => Some(Incoming::of(entries, bare, with)),
        None => entries.is_empty().then(|| Incoming::seen_in(with)),
    };
    match rendered {
        Ok(Rendered { objects, .. }) => {
            let incoming = incoming(&objects);
            (Rendering::Objects(objects), incoming, None)
        }
        Err(RenderError::Failed { reason, .. }) if !is_out_of_reach(overlay, &reason) => {
            (Rendering::Broken(without_credentials(&reason)), incoming(&[]), None)
        }
        Err(RenderError::NoRenderer { .. }) => {
            let reason =
                "what renders is not checked: neither `kustomize` nor `kubectl` is on PATH";
            (Rendering::Unknown, None, Some(reason.to_owned()))
        }
        Err(error) => {
            if let Some(reason) = own_flaw(options, tree, overlay).await {
                return (Rendering::Broken(without_credentials(&reason)), incoming(&[]), None);
            }
            let text = without_credentials(&error.to_string());
            let first = text.lines().next().unwrap_or_default();
            let reason = format!("what `{}` renders to is not checked: {first}", overlay.dir);
            (Rendering::Unknown, incoming(&[]), Some(reason))
        }
    }
}
