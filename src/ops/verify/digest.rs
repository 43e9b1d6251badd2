//! Proves that the pods run the promoted image, by what their container runtimes name.
//!
//! The registry is asked only where a runtime names something else than the promoted digest, once for
//! the image and once for each digest that is not known.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;

use super::VerifyOptions;
use crate::image::{Digest, ImageReference, Manifest, PinnedImage};
use crate::k8s::Object;
use crate::registry::Resolver;
use crate::rollout::{Container, ImageContent, Proof, Snapshot, Workload, running_digest};

/// A registry that does not answer must not hold up the verdict.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// An image of more platforms, or a rollout with more unknown digests, is not looked into further.
const MOST: usize = 16;

/// What is known about the promoted image.
pub(super) struct DigestProof<'a> {
    image: Option<&'a PinnedImage>,
    registry: Option<&'a dyn Resolver>,
    content: Result<ImageContent, String>,
    asked: BTreeSet<Digest>,
}

impl<'a> DigestProof<'a> {
    pub(super) fn new(options: &'a VerifyOptions<'_>) -> Self {
        let content = Err("the registry was not asked".to_owned());
        let (image, registry) = (options.image.as_ref(), options.registry);
        Self { image, registry, content, asked: BTreeSet::new() }
    }

    /// Returns what `container` proves, or `None` if it is not to run the promoted image.
    pub(super) fn of(&self, container: &Container<'_>) -> Option<Proof> {
        Proof::of(container, self.image?, self.content.as_ref().map_err(String::as_str))
    }

    /// Returns why what seems healthy is not what was promoted, or `None` if nothing speaks against it.
    pub(super) async fn objection(&mut self, snapshot: &Snapshot) -> Option<String> {
        self.learn(snapshot).await;
        let image = self.image?;
        let other =
            snapshot.workloads().flat_map(|workload| workload.containers()).find_map(
                |c| match self.of(&c)? {
                    Proof::Other { digest } => Some((c, digest)),
                    _ => None,
                },
            );
        if let Some((container, digest)) = other {
            return Some(format!(
                "container `{}` of pod `{}` runs {digest}, which is no part of `{image}`",
                container.name,
                container.pod.name()
            ));
        }
        let old = snapshot.workloads().find_map(|workload| self.old(&workload))?;
        Some(format!("pod `{}` of the old revision still runs `{}`", old.pod.name(), old.image()))
    }

    /// Returns what has to be said about what was proven, and what was not.
    pub(super) fn notes(&self, snapshot: &Snapshot) -> Vec<String> {
        let Some(image) = self.image else { return Vec::new() };
        let mut notes: Vec<String> = Vec::new();
        let mut is_seen = false;
        for container in snapshot.workloads().flat_map(|workload| workload.containers()) {
            let proof = self.of(&container);
            is_seen |= proof.as_ref().is_some_and(|proof| *proof != Proof::NotRunning);
            if let Some(Proof::Spec { because }) = proof {
                let named = running_digest(container.image_id());
                let named = named.map(|named| format!(" (the container runtime names {named})"));
                let note = format!(
                    "that pods run {} is proven by their spec alone{}: {because}",
                    image.digest,
                    named.unwrap_or_default()
                );
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
        }
        if !is_seen {
            let digest = &image.digest;
            notes.push(format!("no container was seen to run, so that nothing proves {digest}"));
        }
        for workload in snapshot.workloads() {
            let kept = self.kept(&workload);
            if kept > 0 {
                notes.push(format!(
                    "StatefulSet `{}` keeps {kept} pods of the old revision on purpose (partition {})",
                    workload.object().name(),
                    workload.partition()
                ));
            }
        }
        notes
    }

    // Pods on their way out have served, and one below the partition keeps its revision on purpose.
    fn old<'s>(&self, workload: &Workload<'s>) -> Option<Container<'s>> {
        let outdated = workload.old_pods().into_iter().filter(|pod| {
            !is_going(pod)
                && pod.text("/status/phase") == Some("Running")
                && !is_kept(workload, pod)
        });
        let mut containers = outdated.flat_map(Container::of_pod);
        containers.find(|container| {
            container.is_running() && self.of(container).is_some_and(|proof| !proof.is_proven())
        })
    }

    fn kept(&self, workload: &Workload<'_>) -> usize {
        let old = workload.old_pods().into_iter();
        old.filter(|pod| !is_going(pod) && is_kept(workload, pod)).count()
    }

    async fn learn(&mut self, snapshot: &Snapshot) {
        let (Some(image), Some(registry)) = (self.image, self.registry) else { return };
        let unknown: BTreeSet<Digest> = snapshot
            .workloads()
            .flat_map(|workload| workload.containers())
            .filter(|c| self.of(c).is_some_and(|proof| !proof.is_proven()))
            .filter_map(|c| running_digest(c.image_id()))
            .filter(|digest| !self.asked.contains(digest))
            .collect();
        if unknown.is_empty() {
            return;
        }
        self.asked.extend(unknown.iter().cloned());
        let mut content = self.content.as_ref().cloned().unwrap_or_default();
        let asked = timeout(PATIENCE, ask(registry, image, &mut content, unknown)).await;
        self.content = match asked {
            Ok(Ok(())) => Ok(content),
            Ok(Err(reason)) => Err(reason),
            Err(_) => Err(format!("registry `{}` did not answer in time", image.name.domain())),
        };
    }
}

async fn ask(
    registry: &dyn Resolver,
    image: &PinnedImage,
    content: &mut ImageContent,
    unknown: BTreeSet<Digest>,
) -> Result<(), String> {
    if *content == ImageContent::default() {
        let missing = || format!("the registry does not have `{image}` any more");
        let manifest = read(registry, image, &image.digest).await?.ok_or_else(missing)?;
        *content = ImageContent::of(&manifest);
    }
    for digest in unknown.into_iter().take(MOST) {
        if content.platforms.contains_key(&digest) || content.configs.contains(&digest) {
            continue;
        }
        // A runtime that goes by the config may name it, or another manifest of the same config.
        let platforms: Vec<Digest> = content.platforms.keys().take(MOST).cloned().collect();
        for platform in platforms {
            if let Some(manifest) = read(registry, image, &platform).await? {
                content.add_manifest(&manifest);
            }
        }
        if let Some(manifest) = read(registry, image, &digest).await? {
            let other = ImageContent::of(&manifest);
            let shares_platform = other.platforms.keys().any(|p| content.platforms.contains_key(p));
            let shares_config = !other.configs.is_disjoint(&content.configs);
            // The index that the promoted manifest is part of.
            let holds = other.platforms.contains_key(&image.digest);
            if shares_platform || shares_config || holds {
                content.equivalents.insert(digest);
            }
        }
    }
    Ok(())
}

async fn read(
    registry: &dyn Resolver,
    image: &PinnedImage,
    digest: &Digest,
) -> Result<Option<Manifest>, String> {
    let reference =
        ImageReference { name: image.name.clone(), tag: None, digest: Some(digest.clone()) };
    registry.manifest(&reference).await.map_err(|error| error.to_string())
}

fn is_going(pod: &Object) -> bool {
    pod.at("/metadata/deletionTimestamp").is_some()
}

fn is_kept(workload: &Workload<'_>, pod: &Object) -> bool {
    let ordinal = || pod.name().rsplit_once('-')?.1.parse::<i64>().ok();
    workload.object().kind() == "StatefulSet"
        && ordinal().is_some_and(|ordinal| ordinal < workload.partition())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::image::{Blob, BlobContent};
    use crate::registry::{Memory, Registry as _};

    const NAME: &str = "registry.example.com/shop/ranking";
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    async fn push_config(registry: &Memory, text: &str) -> Value {
        let (digest, size) = (Digest::of(text.as_bytes()), text.len() as u64);
        let content = BlobContent::Bytes(text.to_owned().into());
        let name = NAME.parse::<ImageReference>().unwrap().name;
        let descriptor = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest.as_str(), "size": size});
        registry.push_blob(&name, &Blob { digest, size, content }).await.unwrap();
        descriptor
    }

    async fn push(registry: &Memory, media_type: &str, mut document: Value) -> Manifest {
        document["schemaVersion"] = 2.into();
        document["mediaType"] = media_type.into();
        let bytes = document.to_string().into();
        let manifest = Manifest { media_type: media_type.to_owned(), bytes };
        let name = NAME.parse::<ImageReference>().unwrap().name;
        registry.push_manifest(&name, &manifest, &[]).await.unwrap();
        manifest
    }

    fn entry(manifest: &Manifest, architecture: &str) -> Value {
        let (digest, size) = (manifest.digest().to_string(), manifest.bytes.len());
        json!({"mediaType": MANIFEST, "digest": digest, "size": size, "platform": {"os": "linux", "architecture": architecture}})
    }

    fn snapshot(image: &str, image_id: &str) -> Snapshot {
        let yaml = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: web, uid: p}}, spec: {{containers: [{{name: web, image: '{image}'}}]}}, \
             status: {{containerStatuses: [{{name: web, ready: true, imageID: '{image_id}', state: {{running: {{}}}}}}]}}}}"
        );
        let objects = Object::read_all(&yaml).unwrap();
        Snapshot { pods: objects.clone(), objects, ..Snapshot::default() }
    }

    async fn judged(
        registry: Option<&Memory>,
        promoted: &Digest,
        image_id: &str,
    ) -> (Option<String>, Vec<String>, Option<Proof>) {
        let image: PinnedImage = format!("{NAME}@{promoted}").parse().unwrap();
        let snapshot = snapshot(&image.to_string(), image_id);
        let mut proof = DigestProof {
            image: Some(&image),
            registry: registry.map(|registry| registry as &dyn Resolver),
            content: Err("the registry was not asked".to_owned()),
            asked: BTreeSet::new(),
        };
        let objection = proof.objection(&snapshot).await;
        let container = Container::of_pod(&snapshot.pods[0])[0];
        (objection, proof.notes(&snapshot), proof.of(&container))
    }

    #[tokio::test]
    async fn what_the_registry_says_decides_what_is_part_of_the_image() {
        let registry = Memory::default();
        let config = push_config(&registry, "{\"a\":1}").await;
        let amd64 = push(&registry, MANIFEST, json!({"config": config, "layers": []})).await;
        let index = push(&registry, INDEX, json!({"manifests": [entry(&amd64, "amd64")]})).await;
        // The same content under another manifest, and another content.
        let again =
            push(&registry, MANIFEST, json!({"config": config, "layers": [], "annotations": {}}))
                .await;
        let config_digest = config["digest"].as_str().unwrap().to_owned();
        let other_config = push_config(&registry, "{\"a\":2}").await;
        let other = push(&registry, MANIFEST, json!({"config": other_config, "layers": []})).await;
        let [index, amd64, again] = [index, amd64, again].map(|manifest| manifest.digest());
        for (runs, by) in [
            (format!("{NAME}@{index}"), "digest"),
            (format!("docker-pullable://{NAME}@{amd64}"), "platform-manifest"),
            (format!("{NAME}@{again}"), "config"),
            (config_digest, "config"),
        ] {
            let (objection, notes, proof) = judged(Some(&registry), &index, &runs).await;
            assert_eq!((objection, notes), (None, Vec::new()), "{runs}");
            assert_eq!(proof.unwrap().as_str(), by, "{runs}");
        }
        let other = other.digest();
        let (objection, ..) = judged(Some(&registry), &index, &format!("{NAME}@{other}")).await;
        let expected = format!(
            "container `web` of pod `web` runs {other}, which is no part of `{NAME}@{index}`"
        );
        assert_eq!(objection, Some(expected));
    }

    #[tokio::test]
    async fn without_the_registry_s_word_the_spec_is_all_there_is_and_that_is_said() {
        let (promoted, runs) = (Digest::of(b"1"), format!("{NAME}@{}", Digest::of(b"2")));
        let (objection, notes, _) = judged(None, &promoted, &runs).await;
        assert_eq!(objection, None);
        let expected = format!(
            "that pods run {promoted} is proven by their spec alone (the container runtime names {}): \
             the registry was not asked",
            Digest::of(b"2")
        );
        assert_eq!(notes, [expected]);
        let (objection, notes, _) = judged(Some(&Memory::default()), &promoted, &runs).await;
        assert_eq!(objection, None);
        let end = format!("the registry does not have `{NAME}@{promoted}` any more");
        assert!(notes[0].ends_with(&end), "{notes:?}");
    }

    #[tokio::test]
    async fn where_nothing_runs_nothing_is_proven_and_that_is_said() {
        let image: PinnedImage = format!("{NAME}@{}", Digest::of(b"1")).parse().unwrap();
        let mut snapshot = snapshot(&image.to_string(), "");
        snapshot.pods.clear();
        let proof = DigestProof {
            image: Some(&image),
            registry: None,
            content: Err("the registry was not asked".to_owned()),
            asked: BTreeSet::new(),
        };
        let expected =
            format!("no container was seen to run, so that nothing proves {}", image.digest);
        assert_eq!(proof.notes(&snapshot), [expected]);
    }
}
