//! Which Applications deploy an overlay, told from their sources.

use serde_json::Value;

use crate::argocd::{Application, Source};

/// Returns whether `application` deploys what is at `path` of the repository at `repo_url`: the
/// folder that it syncs from, or a values file that it gives to a chart. A `branch` that is named must
/// be the one that it follows; which one the repository's default branch is, an Application does not
/// say, and one that is pinned to a commit counts too.
pub fn deploys(
    application: Application<'_>,
    repo_url: &str,
    path: &str,
    branch: Option<&str>,
) -> bool {
    let sources = match application.hydrator() {
        Some(hydrator) => vec![hydrator.dry_source],
        None => application.sources(),
    };
    let follows = |source: &Source<'_>| {
        source.is_in(repo_url) && branch.is_none_or(|branch| source.may_follow(branch))
    };
    sources.iter().filter(|source| follows(source)).any(|source| {
        let is_folder = source.reference().is_empty() && plain(source.path()) == plain(path);
        is_folder || sources.iter().any(|chart| takes_values(*chart, *source, path))
    })
}

/// `$REF/PATH` in a chart's value files is a file of the source that is called REF.
fn takes_values(chart: Source<'_>, source: Source<'_>, path: &str) -> bool {
    let files = chart.0.pointer("/helm/valueFiles").and_then(Value::as_array);
    let mut files = files.into_iter().flatten().filter_map(Value::as_str);
    files.any(|file| {
        let parts = file.strip_prefix('$').and_then(|file| file.split_once('/'));
        parts.is_some_and(|(reference, file)| {
            reference == source.reference() && plain(file) == plain(path)
        })
    })
}

fn plain(path: &str) -> &str {
    let path = path.trim_matches('/');
    if path == "." { "" } else { path.strip_prefix("./").unwrap_or(path) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k8s::Object;

    #[test]
    fn by_repository_path_and_branch() {
        let git = "repoURL: 'git@git.example.com:shop/manifests.git'";
        let chart = "{repoURL: 'https://charts.example.com', chart: web, helm: {valueFiles: [$v/apps/web/prod.yaml]}}";
        for (spec, path, expected) in [
            (format!("source: {{{git}, path: apps/web/prod}}"), "apps/web/prod", true),
            (format!("source: {{{git}, path: ./apps/web/prod/}}"), "apps/web/prod", true),
            (format!("source: {{{git}, path: apps/web}}"), "apps/web/prod", false),
            (format!("source: {{{git}, path: a, targetRevision: main}}"), "a", true),
            (format!("source: {{{git}, path: a, targetRevision: refs/heads/main}}"), "a", true),
            (format!("source: {{{git}, path: a, targetRevision: HEAD}}"), "a", true),
            (format!("source: {{{git}, path: a, targetRevision: {}}}", "a".repeat(40)), "a", true),
            (format!("source: {{{git}, path: a, targetRevision: release}}"), "a", false),
            ("source: {repoURL: 'https://git.example.com/other', path: a}".into(), "a", false),
            (format!("sources: [{chart}, {{{git}, ref: v}}]"), "apps/web/prod.yaml", true),
            (format!("sources: [{chart}, {{{git}, ref: w}}]"), "apps/web/prod.yaml", false),
            (format!("sources: [{chart}, {{{git}, ref: v}}]"), "apps/web/dev.yaml", false),
            (
                format!("sourceHydrator: {{drySource: {{{git}, path: a, targetRevision: main}}}}"),
                "a",
                true,
            ),
        ] {
            let yaml = format!(
                "{{apiVersion: argoproj.io/v1alpha1, kind: Application, spec: {{{spec}}}}}"
            );
            let object = Object::read_all(&yaml).unwrap().remove(0);
            let application = Application::new(&object).unwrap();
            let url = "https://git.example.com/shop/manifests";
            assert_eq!(deploys(application, url, path, Some("main")), expected, "{spec} {path}");
        }
    }
}
