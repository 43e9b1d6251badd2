//! Which services have changed since an environment was given its images: those whose inputs are not
//! those of the image that it states. No history of git is needed for that.

use std::collections::BTreeMap;

use super::ask::{Answer, Asked};
use crate::build::inputs::is_input_tag;
use crate::config::{Environment, Service};
use crate::image::Tag;
use crate::kustomize::FileTree;
use crate::ops::{Emit, Manifests, StatedImage, StoreError, stated_image};

/// What an environment states of services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Since {
    /// The environment.
    pub environment: String,
    /// What it states of each service, or why nothing.
    stated: BTreeMap<String, Result<StatedImage, String>>,
}

impl Since {
    /// Returns what `environment` states of `services` at the branch's tip.
    ///
    /// # Errors
    ///
    /// Fails if the repository can't be read; an overlay that states nothing is no error.
    pub async fn read(
        manifests: &Manifests,
        environment: &Environment,
        services: &[&Service],
        emit: Emit<'_>,
    ) -> Result<Self, StoreError> {
        let (_, tree) = manifests.tree(emit).await?;
        let targets = services.iter().map(|service| environment.target(service).path().to_owned());
        tree.prefetch(&targets.collect::<Vec<_>>()).await?;
        Ok(Self::of(&*tree, environment, services))
    }

    /// Returns what `environment` states of `services` in the files of `tree`.
    pub fn of(tree: &dyn FileTree, environment: &Environment, services: &[&Service]) -> Self {
        let stated = services.iter().map(|service| {
            let image = stated_image(tree, environment, service);
            (service.name.clone(), image.map_err(|error| error.to_string()))
        });
        Self { environment: environment.name.clone(), stated: stated.collect() }
    }

    /// Returns the image that the environment states of the service.
    pub(super) fn image(&self, service: &Service) -> Option<&StatedImage> {
        self.stated.get(&service.name)?.as_ref().ok()
    }

    /// Returns whether the environment states the image by the very input tag; then nobody need be
    /// asked.
    pub(super) fn states(&self, service: &Service, tag: &Tag) -> bool {
        self.image(service).is_some_and(|image| image.tag.as_deref() == Some(tag.as_str()))
    }

    /// Returns why the service has changed, or `None` if it has not.
    pub(super) fn change(&self, service: &Service, asked: &Asked) -> Option<String> {
        let environment = &self.environment;
        let stated = match self.stated.get(&service.name) {
            Some(Ok(stated)) => stated,
            Some(Err(reason)) => return Some(format!("{environment} states no image: {reason}")),
            None => return Some(format!("{environment} states no image")),
        };
        match &asked.answer {
            Answer::Stated => None,
            Answer::Present { digest, .. } if stated.digest.as_deref() == Some(digest.as_str()) => {
                None
            }
            Answer::Present { digest, .. } => {
                let short = digest.short();
                Some(format!("{environment} states {stated}, what is here has the image {short}"))
            }
            Answer::Unknown(reason) => {
                Some(format!("whether it has changed is not known: {reason}"))
            }
            Answer::Absent if stated.tag.as_deref().is_some_and(is_input_tag) => {
                Some(format!("{environment} states an image of other inputs, {stated}"))
            }
            Answer::Absent => {
                Some(format!("{environment} states {stated}, and what is here was never built"))
            }
        }
    }
}
