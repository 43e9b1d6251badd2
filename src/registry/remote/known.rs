//! What was learned about registries and repositories while this process runs, so that nothing is
//! asked or sent twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

use super::chunks::Upload;
use crate::image::{Digest, ImageName};

/// How many tags have to be at stake before a registry is asked for all of them in one request: one
/// that does not know the parameter costs a request more, and one that does saves all but one.
const TAGS_WORTH_A_TRY: usize = 3;

/// What was learned so far.
#[derive(Default)]
pub(super) struct Known(Mutex<Facts>);

#[derive(Default)]
struct Facts {
    blobs: BTreeSet<(ImageName, Digest)>,
    manifests: BTreeSet<(ImageName, Digest)>,
    uploads: BTreeMap<(ImageName, Digest), Upload>,
    registries: BTreeMap<String, Abilities>,
    listings: BTreeMap<ImageName, Arc<tokio::sync::Mutex<()>>>,
    sent: BTreeMap<Digest, Arc<AtomicU64>>,
}

/// What a registry turned out to do, beyond what every registry does.
#[derive(Default, Clone)]
struct Abilities {
    /// Whether one `POST` can be a whole upload.
    single_post: Option<bool>,
    /// Whether a manifest that is pushed by digest can bring its tags along.
    tag_parameter: Option<bool>,
    /// Tags that were put one by one in company of others.
    singly_tagged: usize,
    /// Whether it turned out not to take a blob in chunks.
    takes_no_chunks: bool,
    /// Whether it turned out to keep no lists of referrers.
    lists_nothing: bool,
}

impl Known {
    /// Returns whether the repository was seen to have the blob.
    pub(super) fn has_blob(&self, name: &ImageName, digest: &Digest) -> bool {
        self.facts().blobs.contains(&(name.clone(), digest.clone()))
    }

    /// Returns where it is kept how far into the blob a push of it is, in bytes.
    pub(super) fn sent(&self, digest: &Digest) -> Arc<AtomicU64> {
        self.facts().sent.entry(digest.clone()).or_default().clone()
    }

    /// Notes that the repository has the blob.
    pub(super) fn saw_blob(&self, name: &ImageName, digest: &Digest) {
        self.facts().blobs.insert((name.clone(), digest.clone()));
    }

    /// Notes that the repository does not have the blob after all.
    pub(super) fn lost_blob(&self, name: &ImageName, digest: &Digest) {
        self.facts().blobs.remove(&(name.clone(), digest.clone()));
    }

    /// Returns whether the manifest was pushed to the repository.
    pub(super) fn has_manifest(&self, name: &ImageName, digest: &Digest) -> bool {
        self.facts().manifests.contains(&(name.clone(), digest.clone()))
    }

    /// Notes that the manifest was pushed to the repository.
    pub(super) fn pushed_manifest(&self, name: &ImageName, digest: &Digest) {
        self.facts().manifests.insert((name.clone(), digest.clone()));
    }

    /// Keeps an upload that the registry has begun in place of a mount.
    pub(super) fn keep_upload(&self, name: &ImageName, digest: &Digest, upload: Upload) {
        self.facts().uploads.insert((name.clone(), digest.clone()), upload);
    }

    /// Returns the upload that was kept for the blob, once.
    pub(super) fn take_upload(&self, name: &ImageName, digest: &Digest) -> Option<Upload> {
        self.facts().uploads.remove(&(name.clone(), digest.clone()))
    }

    /// Returns whether a small blob may go out with one `POST`.
    pub(super) fn may_post_at_once(&self, registry: &str) -> bool {
        self.abilities(registry).single_post != Some(false)
    }

    /// Notes whether a blob that went out with one `POST` was taken.
    pub(super) fn posts_at_once(&self, registry: &str, does: bool) {
        self.learn(registry, |abilities| abilities.single_post = Some(does));
    }

    /// Returns whether a large blob may go out in chunks.
    pub(super) fn may_send_chunks(&self, registry: &str) -> bool {
        !self.abilities(registry).takes_no_chunks
    }

    /// Notes that the registry takes no chunks.
    pub(super) fn takes_no_chunks(&self, registry: &str) {
        self.learn(registry, |abilities| abilities.takes_no_chunks = true);
    }

    /// Returns whether so many tags should go out with one request.
    pub(super) fn may_tag_at_once(&self, registry: &str, tags: usize) -> bool {
        let abilities = self.abilities(registry);
        let at_stake = abilities.singly_tagged + tags;
        abilities.tag_parameter.unwrap_or(at_stake >= TAGS_WORTH_A_TRY)
    }

    /// Notes whether tags that went out with one request were taken.
    pub(super) fn tags_at_once(&self, registry: &str, does: bool) {
        self.learn(registry, |abilities| abilities.tag_parameter = Some(does));
    }

    /// Notes that so many tags went out with a request each.
    pub(super) fn tagged_singly(&self, registry: &str, tags: usize) {
        self.learn(registry, |abilities| abilities.singly_tagged += tags);
    }

    /// Returns whether the registry may keep lists of referrers itself.
    pub(super) fn may_list(&self, registry: &str) -> bool {
        !self.abilities(registry).lists_nothing
    }

    /// Notes that the registry keeps no lists of referrers.
    pub(super) fn lists_nothing(&self, registry: &str) {
        self.learn(registry, |abilities| abilities.lists_nothing = true);
    }

    /// Returns the lock that a list of referrers in the repository is written under.
    pub(super) fn listing(&self, name: &ImageName) -> Arc<tokio::sync::Mutex<()>> {
        self.facts().listings.entry(name.clone()).or_default().clone()
    }

    fn abilities(&self, registry: &str) -> Abilities {
        self.facts().registries.get(registry).cloned().unwrap_or_default()
    }

    fn learn(&self, registry: &str, note: impl FnOnce(&mut Abilities)) {
        note(self.facts().registries.entry(registry.to_owned()).or_default());
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().expect("nothing panics while it holds the lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_tags_are_tried_at_once_and_two_only_when_they_come_again() {
        let known = Known::default();
        assert!(known.may_tag_at_once("r", 3) && !known.may_tag_at_once("r", 2));
        known.tagged_singly("r", 2);
        assert!(known.may_tag_at_once("r", 2) && !known.may_tag_at_once("other", 2));
        known.tags_at_once("r", false);
        assert!(!known.may_tag_at_once("r", 9));
    }

    #[test]
    fn an_upload_is_used_once() {
        let (known, name) = (Known::default(), "r.example.com/a".parse().unwrap());
        let location = "https://r.example.com/up".parse().unwrap();
        let (digest, upload) = (Digest::of(b""), Upload { location, done: 0, chunk: 1 });
        known.keep_upload(&name, &digest, upload.clone());
        assert_eq!(known.take_upload(&name, &digest), Some(upload));
        assert_eq!(known.take_upload(&name, &digest), None);
    }
}
