//! What a project lets its Applications deploy, from where and to where.
//!
//! Says `no` only where that is certain: what an Application does not state, such as the address of
//! a cluster that it names, may fit. See `IsSourcePermitted` and `IsDestinationPermitted` in argo-cd
//! `pkg/apis/application/v1alpha1`.

use serde_json::Value;

use super::Project;
use crate::argocd::source::text;
use crate::argocd::{Destination, Source, glob, normalise_repo_url};
use crate::k8s::ObjectId;

impl Project<'_> {
    /// Returns whether the project does not let Applications deploy from `source`.
    pub fn forbids_source(self, source: Source<'_>) -> bool {
        let patterns = self.0.list("/spec/sourceRepos").iter().filter_map(Value::as_str);
        let patterns: Vec<&str> = patterns.collect();
        let is_denied = |pattern: &&str| {
            let denied = pattern.strip_prefix('!');
            denied.is_some_and(|pattern| glob(pattern, source.repo_url(), Some('/')))
        };
        let url = normalise_repo_url(source.repo_url());
        let is_allowed = |pattern: &&str| {
            *pattern == "*"
                || pattern.starts_with('!')
                || glob(pattern, source.repo_url(), Some('/'))
                || glob(&normalise_repo_url(pattern), &url, Some('/'))
        };
        patterns.iter().any(is_denied) || !patterns.iter().any(is_allowed)
    }

    /// Returns whether the project does not let Applications deploy to `destination`.
    pub fn forbids_destination(self, destination: Destination<'_>) -> bool {
        // A project may deny what others of its entries allow; Argo CD weighs that by itself.
        let may_fit = |pattern: &str, stated: &str| match (pattern, stated) {
            ("", _) => false,
            (_, "") => true,
            _ => pattern.starts_with('!') || glob(pattern, stated, None),
        };
        let mut entries = self.0.list("/spec/destinations").iter();
        let fits = |entry: &Value| {
            let is_cluster = may_fit(text(entry, "server"), destination.server)
                || may_fit(text(entry, "name"), destination.name);
            let pattern = text(entry, "namespace");
            is_cluster && (pattern.starts_with('!') || glob(pattern, destination.namespace, None))
        };
        !entries.any(fits)
    }

    /// Returns whether the project does not let Applications manage objects of the kind of `object`.
    /// One without a namespace is taken for an object of the whole cluster.
    pub fn forbids_kind(self, object: &ObjectId) -> bool {
        let lists = |list: &str| {
            let mut entries = self.0.list(&format!("/spec/{list}")).iter();
            entries.any(|entry| {
                let name = text(entry, "name");
                glob(text(entry, "group"), &object.group, None)
                    && glob(text(entry, "kind"), &object.kind, None)
                    && (name.is_empty() || glob(name, &object.name, None))
            })
        };
        match object.namespace.is_empty() {
            true => !lists("clusterResourceWhitelist") || lists("clusterResourceBlacklist"),
            false => {
                let all = self.0.at("/spec/namespaceResourceWhitelist").is_none();
                !(all || lists("namespaceResourceWhitelist")) || lists("namespaceResourceBlacklist")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::k8s::Object;

    fn project(spec: &str) -> Object {
        let text = format!("{{apiVersion: argoproj.io/v1alpha1, kind: AppProject, spec: {spec}}}");
        Object::read_all(&text).unwrap().remove(0)
    }

    #[test]
    fn a_source_has_to_fit_a_pattern_and_none_that_denies() {
        for (patterns, expected) in [
            ("['*']", false),
            ("['https://git.example.com/shop/manifests.git']", false),
            ("['https://git.example.com/*/*']", false),
            ("['https://git.example.com/**']", false),
            ("['git@git.example.com:shop/*']", false),
            ("['https://git.example.com/*']", true),
            ("['https://git.example.com/other']", true),
            ("[]", true),
            ("['*', '!https://git.example.com/shop/*']", true),
            ("['*', '!https://git.example.com/other/*']", false),
        ] {
            let project = project(&format!("{{sourceRepos: {patterns}}}"));
            let source = json!({"repoURL": "https://git.example.com/shop/manifests"});
            let forbids = Project::new(&project).unwrap().forbids_source(Source(&source));
            assert_eq!(forbids, expected, "{patterns}");
        }
    }

    #[test]
    fn a_destination_is_forbidden_only_where_nothing_may_fit() {
        let server = "https://192.0.2.1";
        for (entries, expected) in [
            ("[{server: '*', namespace: '*'}]", false),
            ("[{server: 'https://192.0.2.1', namespace: shop-*}]", false),
            ("[{server: 'https://192.0.2.1', namespace: other}]", true),
            ("[{server: 'https://192.0.2.2', namespace: '*'}]", true),
            ("[{name: prod, namespace: shop-dev}]", false),
            ("[{name: prod, namespace: other}]", true),
            ("[{server: '!https://192.0.2.2', namespace: '*'}]", false),
            ("[]", true),
        ] {
            let project = project(&format!("{{destinations: {entries}}}"));
            let destination = Destination { server, name: "", namespace: "shop-dev" };
            let forbids = Project::new(&project).unwrap().forbids_destination(destination);
            assert_eq!(forbids, expected, "{entries}");
        }
    }

    #[test]
    fn kinds_are_listed_for_namespaces_and_for_the_cluster() {
        let check = |spec: &str, group: &str, kind: &str, namespace: &str, expected: bool| {
            let project = project(spec);
            let id = ObjectId {
                group: group.into(),
                kind: kind.into(),
                namespace: namespace.into(),
                name: "x".into(),
            };
            let forbids = Project::new(&project).unwrap().forbids_kind(&id);
            assert_eq!(forbids, expected, "{spec} {kind}");
        };
        let black = "{namespaceResourceBlacklist: [{group: '', kind: ResourceQuota}]}";
        check("{}", "apps", "Deployment", "shop", false);
        check("{}", "", "Namespace", "", true);
        check(black, "", "ResourceQuota", "shop", true);
        check(black, "", "LimitRange", "shop", false);
        let white = "{namespaceResourceWhitelist: [{group: apps, kind: '*'}], clusterResourceWhitelist: [{group: '*', kind: Namespace}]}";
        check(white, "apps", "Deployment", "shop", false);
        check(white, "batch", "Job", "shop", true);
        check(white, "", "Namespace", "", false);
        check(white, "rbac.authorization.k8s.io", "ClusterRole", "", true);
        check("{namespaceResourceWhitelist: []}", "apps", "Deployment", "shop", true);
    }
}
