//! `deployctl lint`: what is wrong with the overlays of a repository though they may render.
//!
//! Here the facts are gathered; the rules are in [`crate::lint`].

mod applications;
mod overlays;
mod registries;
mod remote;

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Emit, Manifests};
use crate::config::{Environment, Service};
use crate::kustomize::{FileTree, TreeError};
use crate::lint::{Branch, ExpectedApplication, Facts, Finding, Severity, lint as apply_rules};
use crate::registry::Resolver;
use crate::render::Renderer;

/// What to look at.
pub struct LintOptions<'a> {
    /// The repository's files.
    pub tree: &'a dyn FileTree,
    /// The branch that they are of, if they are not a folder.
    pub branch: Option<Branch>,
    /// Tells whether revisions that Applications follow are there; only of a branch.
    pub manifests: Option<&'a Manifests>,
    /// The environments and services whose overlays are looked at; all overlays of the tree if
    /// `None`.
    pub overlays: Option<Vec<(&'a Environment, &'a Service)>>,
    /// Shows which images there are.
    pub renderer: &'a dyn Renderer,
    /// Tells whether tags and digests agree; not asked if `None`.
    pub registry: Option<&'a dyn Resolver>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LintReport {
    /// What was found, by file and line.
    pub findings: Vec<Finding>,
    /// The files that it was found in, to show the lines.
    pub texts: BTreeMap<Utf8PathBuf, String>,
    /// How many overlays were looked at.
    pub overlays: usize,
    /// What could not be looked at, and why.
    pub unchecked: Vec<String>,
}

/// Why the repository can't be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LintError {
    /// A file can't be read.
    #[error("{0}")]
    Tree(#[from] TreeError),
    /// There is nothing to look at.
    #[error("there is no overlay to look at")]
    NoOverlays,
}

impl LintReport {
    /// Makes the files be told as those of the folder `dir`.
    pub fn move_below(&mut self, dir: &Utf8Path) {
        self.findings.iter_mut().for_each(|finding| finding.file = dir.join(&finding.file));
        let texts = std::mem::take(&mut self.texts).into_iter();
        self.texts = texts.map(|(file, text)| (dir.join(file), text)).collect();
    }

    /// Returns whether an error is among the findings.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// Returns how many findings are as bad as `severity`.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Returns what the rules find in the repository.
///
/// # Errors
///
/// Fails if the repository can't be read, or has no overlays.
pub async fn lint(options: &LintOptions<'_>, emit: Emit<'_>) -> Result<LintReport, LintError> {
    let mut unchecked = Vec::new();
    let mut facts =
        Facts { expected: expected(options), branch: options.branch.clone(), ..Facts::default() };
    overlays::gather(options, &mut facts, &mut unchecked).await?;
    if facts.is_empty() {
        return Err(LintError::NoOverlays);
    }
    applications::gather(options, &mut facts).await?;
    registries::ask(options, &mut facts, &mut unchecked).await;
    for text in &unchecked {
        emit(super::Event::Warning(text.clone()));
    }
    let findings = apply_rules(&facts);
    let mut texts = BTreeMap::new();
    for finding in &findings {
        if !texts.contains_key(&finding.file)
            && let Ok(Some(bytes)) = options.tree.read(&finding.file)
        {
            // A text in another encoding has no lines to show.
            let text = Some(String::from_utf8_lossy(&bytes)).filter(|text| !text.contains('\0'));
            let text = text.map(|text| remote::without_credentials(&text)).unwrap_or_default();
            texts.insert(finding.file.clone(), text);
        }
    }
    Ok(LintReport { findings, texts, overlays: facts.overlays.len(), unchecked })
}

fn expected(options: &LintOptions<'_>) -> Vec<ExpectedApplication> {
    let overlays = options.overlays.iter().flatten();
    let expected = overlays.filter_map(|(environment, service)| {
        Some(ExpectedApplication {
            name: environment.application(service)?,
            environment: environment.name.clone(),
            service: service.name.clone(),
            overlay: environment.overlay(service),
        })
    });
    expected.collect()
}
