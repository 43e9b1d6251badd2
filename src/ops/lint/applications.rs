//! The Applications and namespaces among the repository's files.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::{LintError, LintOptions};
use crate::argocd::{Application, Source, normalise_repo_url};
use crate::git::GitError;
use crate::k8s::Object;
use crate::kustomize::{FileTree, inside};
use crate::lint::{Facts, FoundApplication};

/// How many files are read at most, and how large they are.
const MOST_FILES: usize = 20_000;
const LARGEST: usize = 1 << 20;

/// Adds what the files of the tree make to `facts`.
pub(super) async fn gather(options: &LintOptions<'_>, facts: &mut Facts) -> Result<(), LintError> {
    let files = options.tree.files(Utf8Path::new(""))?;
    let is_yaml = |file: &&Utf8PathBuf| matches!(file.extension(), Some("yaml" | "yml"));
    for file in files.iter().filter(is_yaml).take(MOST_FILES) {
        // What can't be read is told where an overlay is built on it.
        let Ok(Some(bytes)) = options.tree.read(file) else { continue };
        if bytes.len() > LARGEST {
            continue;
        }
        let Ok(text) = std::str::from_utf8(&bytes) else { continue };
        if !text.contains("argoproj.io/") && !text.contains("Namespace") {
            continue;
        }
        for (line, document) in documents(text) {
            // What is no manifest, a Helm template for example, makes nothing that can be told.
            for object in Object::read_all(document).unwrap_or_default() {
                add(object, file, line, facts);
            }
        }
    }
    let here = here(options, facts);
    let mut applications = std::mem::take(&mut facts.applications);
    for found in &mut applications {
        let Some(application) = Application::new(&found.object) else { continue };
        let (mut folders, mut revisions) = (Vec::new(), Vec::new());
        for source in application.sources() {
            let (has_folder, has_revision) = look(options, &files, &here, source).await;
            folders.push(has_folder);
            revisions.push(has_revision);
        }
        (found.has_folder, found.has_revision) = (folders, revisions);
    }
    facts.applications = applications;
    Ok(())
}

fn add(object: Object, file: &Utf8Path, line: usize, facts: &mut Facts) {
    match (object.group(), object.kind()) {
        ("argoproj.io", "Application") => facts.applications.push(FoundApplication {
            file: file.to_owned(),
            line,
            object,
            has_folder: Vec::new(),
            has_revision: Vec::new(),
        }),
        ("argoproj.io", "ApplicationSet") => facts.makes_applications = true,
        ("", "Namespace") => {
            facts.namespaces.insert(object.name().to_owned());
        }
        _ => {}
    }
}

/// Returns the documents of `text`, each with the line that its first key is on.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut first, mut at) = (0, None, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.starts_with("---") {
            documents.extend(first.map(|first| (first, &text[start..at])));
            (start, first) = (at + line.len(), None);
        } else if first.is_none() && !line.trim().is_empty() && !line.starts_with('#') {
            first = Some(index + 1);
        }
        at += line.len();
    }
    documents.extend(first.map(|first| (first, &text[start..])));
    documents
}

/// Returns the URLs that mean this repository: the remote's, and where that is a path, those whose
/// Applications have a folder here.
fn here(options: &LintOptions<'_>, facts: &Facts) -> BTreeSet<String> {
    let remote = options.branch.as_ref().map(|branch| branch.remote.as_str());
    let is_url = |remote: &&str| {
        remote.contains("://") && !remote.starts_with("file://") || remote.contains('@')
    };
    if let Some(remote) = remote.filter(is_url) {
        return BTreeSet::from([normalise_repo_url(remote)]);
    }
    let applications =
        facts.applications.iter().filter_map(|found| Application::new(&found.object));
    let sources = applications.flat_map(Application::sources);
    let has_folder = |source: &Source<'_>| {
        let folder = inside(source.path().into());
        folder.is_some_and(|folder| !folder.as_str().is_empty() && is_folder(options.tree, &folder))
    };
    sources.filter(has_folder).map(|source| normalise_repo_url(source.repo_url())).collect()
}

fn is_folder(tree: &dyn FileTree, folder: &Utf8Path) -> bool {
    tree.files(folder).is_ok_and(|files| !files.is_empty())
}

/// Returns whether the source's folder and revision are in the repository, where that is known.
async fn look(
    options: &LintOptions<'_>,
    files: &[Utf8PathBuf],
    here: &BTreeSet<String>,
    source: Source<'_>,
) -> (Option<bool>, Option<bool>) {
    if !source.chart().is_empty() || !here.contains(&normalise_repo_url(source.repo_url())) {
        return (None, None);
    }
    let revision = source.target_revision();
    let is_ours = match &options.branch {
        Some(branch) => revision == branch.name,
        None => false,
    };
    if is_ours || matches!(revision, "" | "HEAD") {
        let has = |folder: Utf8PathBuf| files.iter().any(|file| file.starts_with(&folder));
        return (Some(inside(source.path().into()).is_some_and(has)), Some(true));
    }
    let Some(manifests) = options.manifests else { return (None, None) };
    match manifests.repository.resolve(revision).await {
        Ok(_) => (None, Some(true)),
        Err(GitError::NoCommit { .. } | GitError::NoBranch { .. }) => (None, Some(false)),
        Err(_) => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_begin_at_their_first_key() {
        let found = documents("# c\n\na: 1\n---\n# d\n---\nb: 2\nc: 3\n--- # e\n\nd: 4");
        assert_eq!(found, [(3, "# c\n\na: 1\n"), (7, "b: 2\nc: 3\n"), (11, "\nd: 4")]);
    }
}
