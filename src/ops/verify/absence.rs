//! What an image lacks that a node did not find, the tag or the whole repository: container runtimes
//! do not tell the two apart, the registry does.

use std::collections::BTreeMap;

use tokio::time::timeout;

use super::VerifyOptions;
use super::digest::PATIENCE;
use crate::image::ImageName;
use crate::registry::Resolver;
use crate::rollout::{RootCause, Snapshot, located, not_found};

/// What is known of the registry's repositories; `None` where it did not say.
pub(super) struct Absence<'a> {
    registry: Option<&'a dyn Resolver>,
    known: BTreeMap<ImageName, Option<bool>>,
}

impl<'a> Absence<'a> {
    pub(super) fn new(options: &VerifyOptions<'a>) -> Self {
        Self { registry: options.registry, known: BTreeMap::new() }
    }

    /// Returns `cause`, and says in it what the registry lacks, if it is about that.
    pub(super) async fn explain(&mut self, cause: RootCause, snapshot: &Snapshot) -> RootCause {
        let image = not_found(&cause, snapshot);
        let (Some(image), Some(registry)) = (image, self.registry) else { return cause };
        if !self.known.contains_key(&image.name) {
            let asked = timeout(PATIENCE, registry.has_repository(&image.name)).await;
            // Who may not look, or waits too long, knows as much as the node.
            let is_there = asked.ok().and_then(Result::ok);
            self.known.insert(image.name.clone(), is_there);
        }
        match self.known[&image.name] {
            Some(has_repository) => located(cause, has_repository),
            None => cause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Scope;
    use crate::image::{Blob, BlobContent, Digest, ImageReference};
    use crate::k8s::Object;
    use crate::registry::{Memory, Registry as _};
    use crate::rollout::diagnose;

    const IMAGE: &str = "registry.example.com/shop/ranking:1";

    async fn told(registry: Option<&Memory>) -> String {
        let pod = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: web, uid: p}}, spec: {{containers: [{{name: web, image: '{IMAGE}'}}]}}, \
             status: {{containerStatuses: [{{name: web, state: {{waiting: {{reason: ErrImagePull, message: '{IMAGE}: not found'}}}}}}]}}}}"
        );
        let objects = Object::read_all(&pod).unwrap();
        let snapshot = Snapshot { pods: objects.clone(), objects, ..Snapshot::default() };
        let options = VerifyOptions {
            registry: registry.map(|registry| registry as &dyn Resolver),
            ..VerifyOptions::new("dev", "web", Scope::default())
        };
        let cause = diagnose(&snapshot).unwrap();
        let cause = Absence::new(&options).explain(cause, &snapshot).await;
        format!("{} {}", cause.summary, cause.advice)
    }

    #[tokio::test]
    async fn the_registry_tells_whether_it_lacks_the_tag_or_the_repository() {
        let registry = Memory::new();
        let summary = told(Some(&registry)).await;
        assert!(
            summary.contains("no such repository") && summary.contains("misspelling"),
            "{summary}"
        );
        let (digest, content) = (Digest::of(b""), BlobContent::Bytes(Default::default()));
        let name = IMAGE.parse::<ImageReference>().unwrap().name;
        registry.push_blob(&name, &Blob { digest, size: 0, content }).await.unwrap();
        let summary = told(Some(&registry)).await;
        assert!(
            summary.contains("no such tag") && summary.contains("pushed this very tag"),
            "{summary}"
        );
        let summary = told(None).await;
        assert!(summary.contains("the registry has no such image Check name"), "{summary}");
    }
}
