//! Where an Application's manifests come from, and where they go.

use serde_json::Value;

use crate::argocd::normalise_repo_url;

/// An entry of `spec.source` or `spec.sources`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Source<'a>(pub(super) &'a Value);

/// `spec.destination`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination<'a> {
    /// The cluster's API address, or empty if it is named.
    pub server: &'a str,
    /// The cluster's name in Argo CD, or empty if it is addressed.
    pub name: &'a str,
    /// The namespace for objects that state none.
    pub namespace: &'a str,
}

/// `spec.sourceHydrator`: manifests are rendered from a dry source to a branch, and synced from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hydrator<'a> {
    /// What people commit to.
    pub dry_source: Source<'a>,
    /// The branch that Argo CD syncs from.
    pub sync_branch: &'a str,
    /// The folder in it.
    pub sync_path: &'a str,
    /// The branch that hydrated manifests are pushed to, if it is another one: somebody has to move
    /// them to `sync_branch`. Else empty.
    pub staging_branch: &'a str,
}

impl<'a> Source<'a> {
    /// Returns the repository's URL, which may hold credentials.
    pub fn repo_url(self) -> &'a str {
        text(self.0, "repoURL")
    }

    /// Returns the folder in the repository, or empty.
    pub fn path(self) -> &'a str {
        text(self.0, "path")
    }

    /// Returns the chart, or empty; then revisions are chart versions and not commits.
    pub fn chart(self) -> &'a str {
        text(self.0, "chart")
    }

    /// Returns the branch, tag, commit or version to follow; empty and `HEAD` mean the default branch.
    pub fn target_revision(self) -> &'a str {
        text(self.0, "targetRevision")
    }

    /// Returns whether it follows `branch`, as far as its target revision tells: the default branch and
    /// a commit may be of any.
    pub fn may_follow(self, branch: &str) -> bool {
        let target = self.target_revision();
        let target = target.strip_prefix("refs/heads/").unwrap_or(target);
        let is_commit =
            matches!(target.len(), 40 | 64) && target.bytes().all(|byte| byte.is_ascii_hexdigit());
        matches!(target, "" | "HEAD") || target == branch || is_commit
    }

    /// Returns the name by which other sources take values from this one, or empty.
    pub fn reference(self) -> &'a str {
        text(self.0, "ref")
    }

    /// Returns whether this source is in the git repository at `url`.
    pub fn is_in(self, url: &str) -> bool {
        self.is_in_git() && normalise_repo_url(self.repo_url()) == normalise_repo_url(url)
    }

    /// Returns whether it is a folder of a git repository, and neither a chart nor an OCI artifact.
    pub fn is_in_git(self) -> bool {
        self.chart().is_empty() && !self.repo_url().starts_with("oci://")
    }

    /// Returns whether both state the same, fields without a value left aside.
    pub(super) fn states_the_same(self, other: Self) -> bool {
        same(Some(self.0), Some(other.0))
    }
}

/// Argo CD leaves out fields that are empty when it writes down what it compared to.
fn same(left: Option<&Value>, right: Option<&Value>) -> bool {
    let stated = |value: &&Value| !is_empty(value);
    match (left.filter(stated), right.filter(stated)) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            left.iter().all(|(key, value)| same(Some(value), right.get(key)))
                && right.iter().all(|(key, value)| left.contains_key(key) || is_empty(value))
        }
        (left, right) => left == right,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(entries) => entries.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
    }
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn states_the_same_whatever_is_left_empty() {
        let check = |left: Value, right: Value, expected: bool| {
            assert_eq!(Source(&left).states_the_same(Source(&right)), expected, "{left} {right}");
            assert_eq!(Source(&right).states_the_same(Source(&left)), expected, "{right} {left}");
        };
        let plain = json!({"repoURL": "r", "path": "a"});
        check(plain.clone(), plain.clone(), true);
        check(json!({"path": "a", "repoURL": "r", "targetRevision": ""}), plain.clone(), true);
        check(
            json!({"repoURL": "r", "path": "a", "directory": {"recurse": false}}),
            plain.clone(),
            true,
        );
        check(
            json!({"repoURL": "r", "path": "a", "directory": {"recurse": true}}),
            plain.clone(),
            false,
        );
        check(json!({"repoURL": "r", "path": "b"}), plain, false);
    }
}
