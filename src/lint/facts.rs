//! What the rules look at.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;

use super::{Finding, Severity};
use crate::argocd::ApplicationName;
use crate::image::Digest;
use crate::k8s::Object;
use crate::kustomize::{Below, ImageEntry, Incoming, Kustomization, Trace, swallowed, trace};

/// What is known about a repository.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The overlays to look at.
    pub overlays: Vec<Overlay>,
    /// The overlays whose kustomization can't be read.
    pub broken: Vec<BrokenOverlay>,
    /// The overlays that the configuration has and the repository does not.
    pub absent: Vec<AbsentOverlay>,
    /// The Applications among the repository's files.
    pub applications: Vec<FoundApplication>,
    /// Whether something among them makes further Applications, such as an ApplicationSet.
    pub makes_applications: bool,
    /// The Applications that the configuration names.
    pub expected: Vec<ExpectedApplication>,
    /// The namespaces that the repository's files make.
    pub namespaces: BTreeSet<String>,
    /// Where the files are, if they are a branch.
    pub branch: Option<Branch>,
}

/// The branch that the files are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// The remote, without credentials.
    pub remote: String,
    /// The branch's name.
    pub name: String,
}

/// An overlay.
#[derive(Debug, Clone)]
pub struct Overlay {
    /// Its folder.
    pub dir: Utf8PathBuf,
    /// Its kustomization file.
    pub file: Utf8PathBuf,
    /// What that says.
    pub kustomization: Kustomization,
    /// The environments that it is for.
    pub stages: Vec<Stage>,
    /// The names of the images that deployctl writes into it.
    pub managed: BTreeSet<String>,
    /// What it is built on.
    pub below: Vec<Below>,
    /// What it renders to.
    pub rendering: Rendering,
    /// What the entries of its `images` find, where that is known.
    pub incoming: Option<Incoming>,
    /// What registries know of its entries, by `name:tag` and `name@digest`.
    pub registry: BTreeMap<String, Known>,
}

/// An overlay whose kustomization can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenOverlay {
    /// Its kustomization file.
    pub file: Utf8PathBuf,
    /// The line that is wrong, or the first.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// An overlay that the configuration has and the repository does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsentOverlay {
    /// Its folder.
    pub dir: Utf8PathBuf,
    /// The environment.
    pub environment: String,
    /// The service.
    pub service: String,
    /// Whether the environment has overlays of other services, and the service overlays in other
    /// environments, where those are looked at: a service need not be everywhere.
    pub is_only_here: bool,
}

/// An environment that an overlay is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Whether images are promoted to it, so that it is not the first.
    pub is_promoted: bool,
    /// Whether every image must have a digest there.
    pub is_pinned: bool,
}

/// What an overlay renders to.
#[derive(Debug, Clone, PartialEq)]
pub enum Rendering {
    /// These objects.
    Objects(Vec<Object>),
    /// Nothing: it is broken, in the renderer's own words.
    Broken(String),
    /// It is not known.
    Unknown,
}

/// What a registry knows of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It has it, with this digest.
    Digest(Digest),
    /// It has no such image.
    Nothing,
}

/// An Application among the repository's files.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundApplication {
    /// The file.
    pub file: Utf8PathBuf,
    /// The line that it begins on.
    pub line: usize,
    /// The Application.
    pub object: Object,
    /// Of each of its sources, whether the folder is in the repository; `None` where that is not
    /// known, as for another repository or revision.
    pub has_folder: Vec<Option<bool>>,
    /// Of each of its sources, whether the revision is in the repository.
    pub has_revision: Vec<Option<bool>>,
}

/// An Application that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedApplication {
    /// Its name.
    pub name: ApplicationName,
    /// The environment.
    pub environment: String,
    /// The service.
    pub service: String,
    /// The overlay's folder.
    pub overlay: Utf8PathBuf,
}

impl Facts {
    /// Returns whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.overlays.is_empty() && self.broken.is_empty() && self.absent.is_empty()
    }
}

impl Overlay {
    /// Returns whether images are promoted to one of its environments, or need a digest there.
    pub fn is_guarded(&self) -> bool {
        self.stages.iter().any(|stage| stage.is_promoted || stage.is_pinned)
    }

    /// Returns what the entries make of each image, where that is known.
    pub fn traces(&self) -> Option<Vec<Trace>> {
        let images = self.incoming.as_ref()?.images.iter();
        Some(images.map(|image| trace(self.kustomization.images(), image)).collect())
    }

    /// Returns the images of its containers as they are rendered, each with the line of the entry
    /// that states it, or of `images`, or the first.
    pub fn images(&self) -> Vec<(String, usize)> {
        let Rendering::Objects(objects) = &self.rendering else { return Vec::new() };
        let traces = self.traces().unwrap_or_default();
        let entries = self.kustomization.images();
        let line = |image: &str| {
            let trace = traces.iter().find(|trace| trace.result() == image)?;
            let (entry, _) = trace.steps.last()?;
            Some(self.kustomization.line(&entries[*entry]))
        };
        let images = crate::kustomize::images(objects).into_iter();
        images.map(|image| (image.clone(), line(&image).unwrap_or(self.images_line()))).collect()
    }

    /// Returns the line of the first entry of `images`, or of the first key.
    fn images_line(&self) -> usize {
        let entry = self.kustomization.images().first();
        entry.map_or_else(|| self.line_of(""), |entry| self.kustomization.line(entry))
    }

    /// Returns the line of the kustomization's `key`, or of its first key: not of a comment above.
    pub fn line_of(&self, key: &str) -> usize {
        let document = self.kustomization.document();
        let entry = document.root().get(key).or(document.root().entries().first());
        entry.map_or(1, |entry| document.position(entry.key.span.start).line)
    }

    /// Returns the line of the text that `reason`, a renderer's words, is about: the longest of the
    /// kustomization's paths in it; else of the first key.
    pub fn line_about(&self, reason: &str) -> usize {
        let document = self.kustomization.document();
        let texts = document.root().walk().filter_map(|node| Some((node.as_str()?, node.start())));
        let is_path = |text: &str| text.len() > 2 && text.contains(['/', '.']);
        let told = texts.filter(|(text, _)| is_path(text) && reason.contains(text));
        let longest = told.max_by_key(|(text, _)| text.len());
        longest.map_or_else(|| self.line_of(""), |(_, start)| document.position(start).line)
    }

    /// Returns what `rule` found at an entry.
    pub fn at(&self, rule: &'static str, severity: Severity, entry: &ImageEntry) -> Finding {
        self.on(rule, severity, self.kustomization.line(entry))
    }

    /// Returns what `rule` found on a line.
    pub fn on(&self, rule: &'static str, severity: Severity, line: usize) -> Finding {
        Finding::at(rule, severity, &self.file, line)
    }

    /// Returns what `rule` found at the entry number `index` without effect: which rule of kustomize
    /// swallows it.
    pub fn swallowed(&self, rule: &'static str, index: usize) -> Option<Finding> {
        let incoming = self.incoming.as_ref()?;
        let found = swallowed(&self.file, &self.kustomization, index, incoming, &self.below)?;
        let message = format!("the entry `{}` changes nothing: {}", found.name, found.rule);
        let at = self.on(rule, Severity::Error, found.line);
        Some(at.saying(message, &found.instead().unwrap_or_default()))
    }

    /// Returns the names of its environments, for people.
    pub fn stage_names(&self) -> String {
        let names: Vec<String> =
            self.stages.iter().map(|stage| format!("`{}`", stage.name)).collect();
        names.join(", ")
    }
}

impl FoundApplication {
    /// Returns what `rule` found at the Application.
    pub fn at(&self, rule: &'static str, severity: Severity) -> Finding {
        Finding::at(rule, severity, &self.file, self.line)
    }
}
