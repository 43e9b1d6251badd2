//! What is known of the source that an image is built from: by git, and by the pipeline.

use camino::Utf8Path;
use jiff::Timestamp;

use crate::git::{GitError, Source};
use crate::image::SourceFacts;
use crate::system::Environment;

/// The variables by which pipelines name a branch, and the commit of it that they have checked out:
/// most check out no branch.
const BRANCHES: &[(&str, &str)] = &[
    ("GITHUB_REF", "GITHUB_SHA"),
    ("CI_COMMIT_BRANCH", "CI_COMMIT_SHA"),
    ("BUILDKITE_BRANCH", "BUILDKITE_COMMIT"),
    ("CIRCLE_BRANCH", "CIRCLE_SHA1"),
];

/// Returns what git and the pipeline know of the files in `folder`.
///
/// # Errors
///
/// Fails if the repository that they are in can't be read.
pub(super) async fn source_facts(
    folder: &Utf8Path,
    environment: &Environment,
) -> Result<SourceFacts, GitError> {
    let stated = environment.get("SOURCE_DATE_EPOCH").and_then(|text| text.parse().ok());
    let stated = stated.and_then(|seconds| Timestamp::from_second(seconds).ok());
    let Some(source) = Source::discover(folder, environment).await? else {
        return Ok(SourceFacts { time: stated, ..SourceFacts::default() });
    };
    let names = source.names().await;
    let commit = source.commit.to_string();
    let branch = source.branch.or_else(|| pipeline_branch(&commit, environment));
    Ok(SourceFacts {
        dirty: source.dirty,
        branch,
        default_branch: names.default_branch,
        tags: names.tags,
        // Files that differ from the commit were not made when it was.
        time: stated.or((!source.dirty).then_some(source.time)),
        committed: Some(source.time),
        root: Some(source.root),
        is_shallow: names.is_shallow,
        commit: Some(commit),
        input: None,
    })
}

/// Returns the branch that a pipeline says `commit` is in.
fn pipeline_branch(commit: &str, environment: &Environment) -> Option<String> {
    let named = BRANCHES.iter().find(|(_, id)| environment.get(id) == Some(commit));
    let text = environment.get(named?.0)?;
    // GitHub names refs; one of a tag or of a pull request is no branch.
    let is_ref = text.starts_with("refs/");
    let branch = if is_ref { text.strip_prefix("refs/heads/")? } else { text };
    Some(branch.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_names_the_branch_of_its_own_commit_only() {
        let branch = |variables: &[(&str, &str)]| {
            pipeline_branch("abc", &variables.iter().copied().collect::<Environment>())
        };
        let github = |reference| branch(&[("GITHUB_REF", reference), ("GITHUB_SHA", "abc")]);
        assert_eq!(github("refs/heads/feature/x").as_deref(), Some("feature/x"));
        assert_eq!(github("refs/tags/v1"), None);
        assert_eq!(github("refs/pull/1/merge"), None);
        assert_eq!(branch(&[("GITHUB_REF", "refs/heads/main"), ("GITHUB_SHA", "other")]), None);
        let gitlab = [("CI_COMMIT_BRANCH", "main"), ("CI_COMMIT_SHA", "abc")];
        assert_eq!(branch(&gitlab).as_deref(), Some("main"));
        assert_eq!(branch(&[]), None);
    }
}
