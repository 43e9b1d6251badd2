//! What a rollout did not do: a commit that restarted no pods, a tag that moved without them.
//!
//! Nothing here speaks against health; it is said so that nobody takes it for more than it is.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::VerifyOptions;
use crate::image::{Digest, ImageReference};
use crate::registry::Resolver;
use crate::rollout::{Container, ImageContent, Snapshot, running_digest};

/// A registry that does not answer must not hold up the verdict.
const PATIENCE: Duration = Duration::from_secs(10);

/// More tags than these are not looked up.
const MOST_TAGS: usize = 4;

/// Returns what did not happen, a sentence each.
pub(super) async fn unmoved(options: &VerifyOptions<'_>, snapshot: &Snapshot) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(committed) = options.committed {
        notes.extend(untouched(snapshot, committed));
    }
    // A promoted digest is proven or not; a tag alone may have moved away from what runs.
    if let (None, Some(registry)) = (&options.image, options.registry) {
        notes.extend(moved(registry, snapshot).await);
    }
    notes
}

// `Job`s and bare pods are made anew by each change, or not at all.
fn untouched(snapshot: &Snapshot, committed: Timestamp) -> Option<String> {
    let workloads = snapshot.workloads().filter(|workload| {
        matches!(workload.object().kind(), "Deployment" | "StatefulSet" | "DaemonSet")
    });
    let mut newest: Option<(Timestamp, String)> = None;
    for workload in workloads {
        for pod in workload.current_pods() {
            let made: Timestamp = pod.text("/metadata/creationTimestamp")?.parse().ok()?;
            let object = workload.object();
            let named = format!("{} `{}`", object.kind(), object.name());
            newest = newest.filter(|(known, _)| *known >= made).or(Some((made, named)));
        }
    }
    let (made, workload) = newest.filter(|(made, _)| *made < committed)?;
    Some(format!(
        "the commit restarted no pods: the newest, of {workload}, was made at {}, before it; what changed is not in a pod template (a ConfigMap that keeps its name, a tag that moved)",
        made.strftime("%Y-%m-%d %H:%M:%S UTC")
    ))
}

async fn moved(registry: &dyn Resolver, snapshot: &Snapshot) -> Vec<String> {
    let mut tags: BTreeSet<ImageReference> = BTreeSet::new();
    let containers: Vec<Container<'_>> =
        snapshot.workloads().flat_map(|workload| workload.containers()).collect();
    let stated = |container: &Container<'_>| container.image().parse::<ImageReference>().ok();
    tags.extend(containers.iter().filter_map(stated).filter(|r| r.digest.is_none()));
    let mut notes = Vec::new();
    for tag in tags.into_iter().take(MOST_TAGS) {
        let now = timeout(PATIENCE, content(registry, &tag)).await.ok().flatten();
        let Some((digest, content)) = now else { continue };
        let runs = containers.iter().filter(|c| stated(c).as_ref() == Some(&tag));
        let running: BTreeSet<Digest> =
            runs.filter_map(|container| running_digest(container.image_id())).collect();
        let is_other = |running: &&Digest| {
            **running != digest
                && !content.platforms.contains_key(*running)
                && !content.configs.contains(*running)
        };
        if let Some(running) = running.iter().find(is_other) {
            notes.push(format!(
                "`{tag}` points at {digest} now, and pods run {running}: a tag that moves deploys nothing; promote by digest"
            ));
        }
    }
    notes
}

async fn content(registry: &dyn Resolver, tag: &ImageReference) -> Option<(Digest, ImageContent)> {
    let manifest = registry.manifest(tag).await.ok()??;
    let mut content = ImageContent::of(&manifest);
    let platforms: Vec<Digest> = content.platforms.keys().take(MOST_TAGS).cloned().collect();
    for platform in platforms {
        let digest = Some(platform);
        let reference = ImageReference { name: tag.name.clone(), tag: None, digest };
        if let Ok(Some(manifest)) = registry.manifest(&reference).await {
            content.add_manifest(&manifest);
        }
    }
    Some((manifest.digest(), content))
}
