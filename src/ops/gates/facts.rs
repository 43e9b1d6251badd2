//! The facts that gates ask for, each gathered only if a gate does.

use std::collections::BTreeMap;
use std::error::Error;

use jiff::Timestamp;

use super::Passage;
use super::lineage::{Lineage, lineage};
use crate::config::Service;
use crate::git::CommitId;
use crate::github;
use crate::image::PinnedImage;
use crate::k8s::pod_images;
use crate::kustomize::FileTree;
use crate::ops::{SameDigest, SetOptions, StoreError, rendered};
use crate::promotion::{
    Check, CheckState, Evidence, Fact, Facts, Gate, Policy, Proof, RecordedSource, Reviews,
    ServiceFacts, Since, Verified,
};

/// Where the facts about a change come from.
pub(super) struct Asked<'a> {
    pub(super) passage: &'a Passage<'a>,
    pub(super) options: &'a SetOptions<'a>,
    /// The branch's tip, and its files.
    pub(super) tip: &'a CommitId,
    pub(super) tree: &'a dyn FileTree,
    /// What was last verified where the images come from, by service.
    pub(super) verified: &'a BTreeMap<String, Verified>,
}

impl Asked<'_> {
    /// Returns what the gates of `policy` ask for about the images that change, and the commits that
    /// those were built from as the environment that they come from has them on record.
    pub(super) async fn gather(
        &self,
        policy: &Policy,
        changed: &[(&Service, PinnedImage)],
    ) -> (Facts, BTreeMap<String, RecordedSource>) {
        let (mut services, mut origins) = (Vec::new(), BTreeMap::new());
        for (service, image) in changed {
            let lineage = self.lineage(policy, service, image).await;
            services.push(self.service(policy, service, image, &lineage).await);
            origins.extend(lineage.source.ok().map(|source| (service.name.clone(), source)));
        }
        let from = self.passage.from.map(|from| from.name.as_str());
        let mut facts = Facts::new(self.passage.now, from, services);
        if policy.gates.iter().any(|gate| matches!(gate, Gate::Approval(_))) {
            facts.reviews = self.reviews(changed).await;
        }
        (facts, origins)
    }

    async fn service(
        &self,
        policy: &Policy,
        service: &Service,
        image: &PinnedImage,
        lineage: &Lineage,
    ) -> ServiceFacts {
        let mut facts = ServiceFacts::new(&service.name, image.clone());
        let source = lineage.source.as_ref().map_err(Clone::clone);
        for gate in &policy.gates {
            match gate {
                Gate::Healthy(_) => facts.health = self.health(service, image),
                Gate::Soak(_) => facts.since = self.since(lineage, service, image),
                Gate::Checks(_) => facts.checks = self.checks(source.clone()).await,
                Gate::DigestPinned => facts.unpinned = self.unpinned(service, image).await,
                Gate::Branch(branch) => {
                    let sources = &self.passage.sources;
                    let api = self.options.manifests.api.as_ref();
                    facts.is_on_branch =
                        sources.is_on_branch(source.clone(), &branch.name, api).await;
                }
                // They are not about a single service.
                Gate::Freeze(_) | Gate::Approval(_) => {}
            }
        }
        facts
    }

    /// Returns what the cluster says, or, where none could be asked, what is on record.
    fn health(&self, service: &Service, image: &PinnedImage) -> Fact<Proof> {
        let unasked = || Err("no cluster was asked".to_owned());
        let asked = self.passage.health.get(&service.name).cloned().unwrap_or_else(unasked);
        asked.or_else(|reason| match self.verified_at(service, image) {
            Some(at) => Ok(Proof::Verified { at }),
            None => Err(reason),
        })
    }

    /// Returns since when the image was verified; before it was, since when it is stated. A
    /// verification from before it was stated is of another time that the image was there.
    fn since(&self, lineage: &Lineage, service: &Service, image: &PinnedImage) -> Fact<Since> {
        let verified = self.verified_at(service, image);
        let verified = verified.map(|at| Since { at, evidence: Evidence::Verified });
        match (lineage.since.clone(), verified) {
            (Ok(stated), Some(verified)) if verified.at >= stated.at => Ok(verified),
            (Err(_), Some(verified)) => Ok(verified),
            (stated, _) => stated,
        }
    }

    /// Returns when the image was verified, if that was the last that was verified of the service.
    fn verified_at(&self, service: &Service, image: &PinnedImage) -> Option<Timestamp> {
        let verified = self.verified.get(&service.name)?;
        verified.image.ends_with(image.digest.as_str()).then_some(verified.time)
    }

    /// Returns where the image comes from and since when that place has it.
    async fn lineage(&self, policy: &Policy, service: &Service, image: &PinnedImage) -> Lineage {
        let Some(from) = self.passage.from else {
            let source = self.options.source.as_ref().map(RecordedSource::from);
            let source = source.ok_or_else(|| {
                "there is no git repository around deployctl.yaml that it was built from".to_owned()
            });
            return Lineage { since: Err("it comes from no environment".to_owned()), source };
        };
        let soaks = policy.gates.iter().any(|gate| matches!(gate, Gate::Soak(_)));
        lineage(self.options.manifests, self.tip, from, service, image, soaks).await
    }

    /// Returns the checks of the commit that an image was built from.
    async fn checks(&self, source: Fact<&RecordedSource>) -> Fact<Vec<Check>> {
        let source = source?;
        let address = self.passage.sources.address(source)?;
        let client = self.passage.github.clone()?;
        let found = client.repository_of(address);
        let (owner, name) = found.ok_or_else(|| format!("{address} is not on GitHub"))?;
        let checks = client.checks(&owner, &name, &source.commit).await;
        let checks = checks.map_err(|error| reason(&error))?;
        Ok(checks.into_iter().map(check).collect())
    }

    /// Returns the reviews of the environment's pull request.
    async fn reviews(&self, changed: &[(&Service, PinnedImage)]) -> Fact<Reviews> {
        let client = self.passage.github.clone()?;
        let remote = &self.options.manifests.remote;
        let found = client.repository_of(remote);
        let (owner, name) = found.ok_or_else(|| format!("{remote} is not on GitHub"))?;
        let head = self.options.environment.proposal_branch();
        let open = client.open_pull_request(&owner, &name, &head).await;
        let Some(open) = open.map_err(|error| reason(&error))? else {
            return Ok(Reviews::default());
        };
        let is_current = self.proposes(&head, changed).await.map_err(|error| reason(&error))?;
        let approvals = client.approvals(&owner, &name, open.number).await;
        let approvals = approvals.map_err(|error| reason(&error))?;
        let approved_by = approvals.into_iter().map(|approval| approval.login).collect();
        Ok(Reviews { url: Some(open.url), is_current, approved_by })
    }

    /// Returns whether the branch `head` states the images.
    async fn proposes(
        &self,
        head: &str,
        changed: &[(&Service, PinnedImage)],
    ) -> Result<bool, StoreError> {
        let store = self.options.manifests.store();
        let Some(tip) = store.tip(head).await? else { return Ok(false) };
        let tree = store.tree(&tip)?;
        let environment = self.options.environment;
        Ok(super::changed(environment, SameDigest::Leave, changed, &*tree).is_empty())
    }

    /// Returns the images of the overlay's pods that have no digest, other than the one that gets one.
    async fn unpinned(&self, service: &Service, image: &PinnedImage) -> Fact<Vec<String>> {
        let (renderer, environment) = (self.options.renderer, self.options.environment);
        let rendered = rendered(renderer, self.tree, environment, service).await;
        let rendered = rendered.map_err(|error| reason(&error))?;
        let name = image.name.to_string();
        let changes = |text: &str| {
            [&service.image_in_manifests, &name].into_iter().any(|name| {
                let rest = text.strip_prefix(name.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']))
            })
        };
        let images = pod_images(&rendered.objects).into_iter().map(|container| container.image);
        let mut unpinned: Vec<String> =
            images.filter(|image| !image.contains("@sha256:") && !changes(image)).collect();
        unpinned.sort();
        unpinned.dedup();
        Ok(unpinned)
    }
}

fn check(check: github::Check) -> Check {
    let state = match check.state {
        github::CheckState::Success => CheckState::Passed,
        github::CheckState::Pending => CheckState::Pending,
        github::CheckState::Failure => CheckState::Failed,
    };
    Check { name: check.name, state }
}

/// Returns the error and its causes in one line.
pub(super) fn reason(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string)
    {
        if !texts.last().is_some_and(|last| last.contains(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}
