//! References beside branches and tags, read and moved through the API.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::branch::{Branches, escaped, settled};
use super::client::{Call, decode};
use super::{ApiCommit, GithubError, Moved};

/// The tree without files, which every repository has.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

#[derive(Deserialize)]
struct Reference {
    #[serde(rename = "ref")]
    name: String,
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    sha: String,
}

impl Branches {
    /// Returns the commits that the references `names` (without `refs/`, such as `notes/commits`) are
    /// at, by their names, of those that are there.
    ///
    /// # Errors
    ///
    /// Fails if GitHub is out of reach or refuses.
    pub async fn at_references(
        &self,
        names: &[String],
    ) -> Result<BTreeMap<String, ApiCommit>, GithubError> {
        let mut found = BTreeMap::new();
        for prefix in prefixes(names) {
            found.extend(self.references(&prefix).await?);
        }
        found.retain(|name, _| names.contains(name));
        let (names, ids): (Vec<String>, Vec<String>) = found.into_iter().unzip();
        let commits = self.commits(&ids).await?;
        let known = names.into_iter().zip(commits).filter_map(|(name, at)| Some((name, at?)));
        Ok(known.collect())
    }

    /// Makes a commit without files after `expected`, and moves the reference `name` (without `refs/`)
    /// from there to it; `None`: the reference must be new.
    ///
    /// # Errors
    ///
    /// Fails if GitHub is out of reach or refuses: no permission, no such references.
    pub async fn append(
        &self,
        name: &str,
        expected: Option<&str>,
        message: &str,
    ) -> Result<Moved, GithubError> {
        let action = format!("write `refs/{name}` of `{}`", self.slug);
        let parents: Vec<&str> = expected.into_iter().collect();
        let body = json!({"message": message, "tree": EMPTY_TREE, "parents": parents});
        let path = format!("/repos/{}/git/commits", self.slug);
        // A commit too many that nothing leads to does no harm.
        let call =
            Call { body: Some(body), repeatable: true, ..Call::new(Method::POST, &action, &path) };
        let Object { sha } = decode(&action, &self.client.send(&self.slug, call).await?)?;
        let moved = match expected {
            None => {
                let path = format!("/repos/{}/git/refs", self.slug);
                let body = json!({"ref": format!("refs/{name}"), "sha": sha});
                self.client.post(&self.slug, &action, &path, body).await
            }
            // Only forward, so that what somebody else has appended stays.
            Some(_) => {
                let path = format!("/repos/{}/git/refs/{}", self.slug, escaped(name));
                let body = json!({"sha": sha, "force": false});
                self.client.patch(&self.slug, &action, &path, body).await
            }
        };
        match moved {
            Ok(Reference { .. }) => Ok(Moved::To(sha)),
            Err(error @ GithubError::Invalid { .. }) => {
                settled(self.reference(name).await?, expected, sha, error)
            }
            Err(error) if error.is_unclear() => {
                settled(self.reference(name).await?, expected, sha, error)
            }
            Err(error) => Err(error),
        }
    }

    async fn reference(&self, name: &str) -> Result<Option<String>, GithubError> {
        Ok(self.references(name).await?.remove(name))
    }

    /// Returns the references whose names begin with `prefix`, and where they are.
    async fn references(&self, prefix: &str) -> Result<BTreeMap<String, String>, GithubError> {
        let action = format!("read `refs/{prefix}` of `{}`", self.slug);
        // GitHub documents of this one alone that it knows every namespace.
        let path = format!("/repos/{}/git/matching-refs/{}", self.slug, escaped(prefix));
        let found: Vec<Reference> = self.client.get(&self.slug, &action, &path, &[]).await?;
        let short = |found: Reference| {
            Some((found.name.strip_prefix("refs/")?.to_owned(), found.object.sha))
        };
        Ok(found.into_iter().filter_map(short).collect())
    }
}

/// Returns what to ask for: a name that is the only one in its folder, else the folder.
fn prefixes(names: &[String]) -> BTreeSet<String> {
    let folder = |name: &str| name.rsplit_once('/').map_or(0, |(folder, _)| folder.len() + 1);
    let mut by_folder: BTreeMap<&str, BTreeSet<&String>> = BTreeMap::new();
    for name in names {
        by_folder.entry(&name[..folder(name)]).or_default().insert(name);
    }
    let prefix = |(folder, names): (&str, BTreeSet<&String>)| match names.first() {
        Some(name) if names.len() == 1 => (*name).clone(),
        _ => folder.to_owned(),
    };
    by_folder.into_iter().map(prefix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reference_is_asked_for_by_name_and_several_by_folder() {
        let names = ["holds/prod/web", "holds/prod/api", "verified/dev/web"].map(str::to_owned);
        let asked: Vec<String> = prefixes(&names).into_iter().collect();
        assert_eq!(asked, ["holds/prod/", "verified/dev/web"]);
    }
}
