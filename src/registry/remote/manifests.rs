//! Manifests on their way into a repository, with their tags and their place among the referrers of
//! what they refer to.

use reqwest::header::{HeaderValue, IF_MATCH, LINK};
use reqwest::{Method, Response, StatusCode};
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::answer::{Refusal, read_body};
use super::call::{Call, Payload, Target};
use super::failure::Failure;
use super::transport::lead;
use super::{Remote, content_digest, pull, push, unexpected};
use crate::image::{Digest, ImageName, ImageReference, Manifest, Tag};
use crate::registry::descriptor::{MANIFEST_MAX, Mentions, OCI_INDEX, mentions};
use crate::registry::referrers::{self, Descriptor, Referrer};
use crate::registry::verified::expect;
use crate::registry::{RegistryError, RequestKind};

const OCI_TAG: &str = "oci-tag";
const OCI_SUBJECT: &str = "oci-subject";
/// How often a list of referrers is written that others write at the same time.
const LISTING_TRIES: usize = 8;
/// How many pages of referrers are read.
const PAGES_MAX: usize = 64;

/// A manifest that is being pushed.
struct Push<'a> {
    name: &'a ImageName,
    manifest: &'a Manifest,
    digest: Digest,
    mentions: Mentions,
}

impl Remote {
    pub(super) async fn push_with_tags(
        &self,
        name: &ImageName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), RegistryError> {
        let (mentions, digest) = (mentions(manifest)?, manifest.digest());
        let referrer = Referrer::of(manifest)?;
        if tags.is_empty() && self.known.has_manifest(name, &digest) {
            return Ok(());
        }
        let push = Push { name, manifest, digest, mentions };
        let listed = self.put_all(&push, tags).await?;
        if let Some(referrer) = referrer.filter(|referrer| !listed.contains(&referrer.subject)) {
            self.list_referrer(name, &referrer).await?;
        }
        self.known.pushed_manifest(name, &push.digest);
        Ok(())
    }

    /// Puts the manifest under all `tags` and returns the subjects that the registry says it has
    /// listed the manifest for.
    async fn put_all(&self, push: &Push<'_>, tags: &[Tag]) -> Result<Vec<Digest>, RegistryError> {
        let registry = push.name.domain();
        let Some((last, others)) = tags.split_last().filter(|(_, others)| !others.is_empty())
        else {
            let at = tags.first().map_or(push.digest.as_str(), Tag::as_str);
            return Ok(subject(&self.put(push, at).await?).into_iter().collect());
        };
        let mut listed = Vec::new();
        let mut missing: Vec<&Tag> = others.iter().chain([last]).collect();
        if self.known.may_tag_at_once(registry, tags.len()) {
            match self.put(push, &with_tags(&push.digest, tags)).await {
                Ok(response) => {
                    let taken = taken_tags(&response);
                    missing.retain(|tag| !taken.iter().any(|taken| taken == tag.as_str()));
                    listed.extend(subject(&response));
                }
                // The address may be too long, or its form unheard of.
                Err(RegistryError::Answer { .. }) => {}
                Err(error) => return Err(error),
            }
            self.known.tags_at_once(registry, missing.len() < tags.len());
        } else {
            self.known.tagged_singly(registry, tags.len());
        }
        for tag in missing {
            listed.extend(subject(&self.put(push, tag.as_str()).await?));
        }
        Ok(listed)
    }

    async fn put(&self, push: &Push<'_>, at: &str) -> Result<Response, RegistryError> {
        self.transport.persist(push.name, || self.try_put(push, at)).await
    }

    async fn try_put(&self, push: &Push<'_>, at: &str) -> Result<Response, Failure> {
        let response = self.send_manifest(push.name, push.manifest, at, None).await?;
        if !response.status().is_success() {
            return Err(self.refused(push, response).await);
        }
        let stored = content_digest(push.name, &response)?.unwrap_or_else(|| push.digest.clone());
        expect(&push.digest, stored).map_err(Failure::last)?;
        Ok(response)
    }

    async fn send_manifest(
        &self,
        name: &ImageName,
        manifest: &Manifest,
        at: &str,
        unless_changed: Option<HeaderValue>,
    ) -> Result<Response, Failure> {
        let target = Target::Path(format!("v2/{}/manifests/{at}", name.path()));
        let payload = Payload::Bytes(&manifest.bytes, &manifest.media_type);
        let (method, kind) = (Method::PUT, RequestKind::PutManifest);
        let header = unless_changed.map(|tag| (IF_MATCH, tag));
        let call = Call { method, kind, name, target, scope: push(name), payload, header };
        Ok(self.transport.send(&call).await?.0)
    }

    async fn refused(&self, push: &Push<'_>, response: Response) -> Failure {
        let refusal = Refusal::read(response).await;
        // "MANIFEST_BLOB_UNKNOWN": registries put the digest into different places.
        let mut parts = push.mentions.blobs.iter().chain(&push.mentions.manifests);
        match parts.find(|part| refusal.body.contains(part.digest.as_str())) {
            Some(part) => {
                self.known.lost_blob(push.name, &part.digest);
                let (manifest, missing) = (push.digest.clone(), part.digest.clone());
                Failure::last(RegistryError::Incomplete { manifest, missing })
            }
            None => Failure::answer(push.name, refusal.words),
        }
    }

    /// Lists `referrer` under the tag of its subject. The list is read again after it was written:
    /// whoever writes at the same time may not know of the new entry.
    async fn list_referrer(
        &self,
        name: &ImageName,
        referrer: &Referrer,
    ) -> Result<(), RegistryError> {
        let lock = self.known.listing(name);
        let _alone = lock.lock().await;
        let tag = referrers::tag_of(&referrer.subject);
        let reference = ImageReference { name: name.clone(), tag: Some(tag), digest: None };
        for _ in 0..LISTING_TRIES {
            let read = || self.read_manifest(&reference);
            let (index, version) = self.transport.persist(name, read).await?.unzip();
            let Some(index) = referrers::with(index.as_ref(), &referrer.descriptor)? else {
                return Ok(());
            };
            let version = version.flatten();
            let write = || self.try_put_list(&reference, &index, version.clone());
            self.transport.persist(name, write).await?;
        }
        let subject = &referrer.subject;
        let reason = format!("others keep changing the list of what refers to `{subject}`");
        Err(Failure::answer(name, reason).error)
    }

    async fn try_put_list(
        &self,
        reference: &ImageReference,
        index: &Manifest,
        version: Option<HeaderValue>,
    ) -> Result<(), Failure> {
        let (name, at) = (&reference.name, reference.tag.as_ref().map_or("", Tag::as_str));
        let response = self.send_manifest(name, index, at, version).await?;
        match response.status() {
            // Somebody else was faster: their list is read next.
            StatusCode::PRECONDITION_FAILED => Ok(()),
            status if status.is_success() => Ok(()),
            _ => Err(unexpected(name, response).await),
        }
    }

    /// Returns what refers to `digest`, by the registry's own list or else by the one under its tag.
    pub(super) async fn find_referrers(
        &self,
        name: &ImageName,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let ask = || self.try_referrers(name, digest, artifact_type);
        let mut found = match self.transport.persist(name, ask).await? {
            Some(found) => found,
            None => {
                let tag = Some(referrers::tag_of(digest));
                let reference = ImageReference { name: name.clone(), tag, digest: None };
                let index = self.transport.persist(name, || self.read_manifest(&reference)).await?;
                // A tag that holds something else says nothing about referrers.
                index.and_then(|(index, _)| referrers::listed(&index).ok()).unwrap_or_default()
            }
        };
        found.retain(|descriptor| descriptor.is_of(artifact_type));
        Ok(found)
    }

    /// Returns what the registry lists, or `None` if it keeps no such lists.
    async fn try_referrers(
        &self,
        name: &ImageName,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Option<Vec<Descriptor>>, Failure> {
        if !self.known.may_list(name.domain()) {
            return Ok(None);
        }
        let filter = artifact_type.map(|wanted| byte_serialize(wanted.as_bytes()).collect());
        let filter =
            filter.map_or_else(String::new, |wanted: String| format!("?artifactType={wanted}"));
        let path = format!("v2/{}/referrers/{digest}{filter}", name.path());
        let (mut target, mut found) = (Target::Path(path), Vec::new());
        for _ in 0..PAGES_MAX {
            let (method, kind) = (Method::GET, RequestKind::GetReferrers);
            let call = Call::nothing(method, kind, name, target, pull(name));
            let (response, url) = self.transport.send(&call).await?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::BAD_REQUEST => {
                    self.known.lists_nothing(name.domain());
                    return Ok(None);
                }
                _ => return Err(unexpected(name, response).await),
            }
            let next = next_page(name, &url, &response)?;
            let body = read_body(response, MANIFEST_MAX).await;
            let bytes = body.map_err(|error| error.into_failure(name))?;
            let page = Manifest { media_type: OCI_INDEX.to_owned(), bytes };
            found.extend(referrers::listed(&page).map_err(Failure::last)?);
            match next {
                Some(next) => target = Target::Url(next),
                None => return Ok(Some(found)),
            }
        }
        Err(Failure::answer(name, "its list of referrers does not end".to_owned()))
    }
}

/// Returns the address of a manifest that brings its tags along (distribution-spec, end-7b).
fn with_tags(digest: &Digest, tags: &[Tag]) -> String {
    let tags: Vec<_> = tags.iter().map(|tag| format!("tag={tag}")).collect();
    format!("{digest}?{}", tags.join("&"))
}

/// Returns the tags that the registry says it has set: lists with commas, in one header or several.
fn taken_tags(response: &Response) -> Vec<String> {
    let values = response.headers().get_all(OCI_TAG).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',').map(|tag| tag.trim().to_owned())).collect()
}

/// Returns the subject that the registry says it has listed the manifest for.
fn subject(response: &Response) -> Option<Digest> {
    response.headers().get(OCI_SUBJECT)?.to_str().ok()?.parse().ok()
}

/// Returns where the next page is (RFC 8288, `rel="next"`).
pub(super) fn next_page(
    name: &ImageName,
    url: &Url,
    response: &Response,
) -> Result<Option<Url>, Failure> {
    let links = response.headers().get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let link = links.filter(|link| link.contains("rel=\"next\"") || link.contains("rel=next"));
    let target = link.filter_map(|link| link.split_once('<')?.1.split_once('>')).next();
    target.map(|(target, _)| lead(name, url, target)).transpose()
}
