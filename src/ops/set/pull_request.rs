//! A change by a pull request: the environment's own branch, and the one that is open for it.

use super::{Outcome, PullRequests, SetError, SetOptions, message, rendered_diff};
use crate::git::{CommitId, GitError, Push};
use crate::github::PullRequest;
use crate::ops::Edited;
use crate::promotion::checklist;

/// How much of the rendered difference is shown, in bytes; GitHub takes 65,536 characters in all.
const MOST_RENDERED: usize = 48 << 10;

/// Pushes the commit to the environment's own branch and opens a pull request, or brings the one
/// that is open up to date. Returns `None` if that branch moved meanwhile.
pub(super) async fn land(
    options: &SetOptions<'_>,
    commit: &CommitId,
    base: &str,
    edits: &[Edited],
) -> Result<Option<Outcome>, SetError> {
    let no_github = || SetError::NoPullRequests {
        environment: options.environment.name.clone(),
        remote: options.manifests.remote.clone(),
    };
    let PullRequests { client, owner, repository } = options.pull_requests.ok_or_else(no_github)?;
    let head = options.environment.proposal_branch();
    let expected = match options.manifests.repository.fetch(Some(&head)).await {
        Ok(tip) => Some(tip),
        Err(GitError::NoBranch { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let pushed = options.manifests.repository.push(commit, &head, expected.as_ref()).await?;
    if pushed == Push::Raced {
        return Ok(None);
    }
    let request = PullRequest {
        owner: owner.to_owned(),
        repository: repository.to_owned(),
        head: head.clone(),
        base: base.to_owned(),
        title: message::subject(options),
        body: body(options, edits),
    };
    let opened = client.open_or_update_pull_request(&request).await;
    let opened = opened.map_err(|source| SetError::PullRequest { head: head.clone(), source })?;
    Ok(Some(Outcome::PullRequest { number: opened.number, url: opened.url, head }))
}

fn body(options: &SetOptions<'_>, edits: &[Edited]) -> String {
    let images = options
        .images
        .iter()
        .map(|(service, image)| format!("- **{}**: `{image}`\n", service.name));
    let diffs = edits.iter().filter(|edit| !edit.diff.is_empty());
    let diffs = diffs.map(|edit| format!("```diff\n{}```\n", edit.diff));
    let (images, diffs): (String, String) = (images.collect(), diffs.collect());
    let gates = match checklist(&options.verdicts) {
        gates if gates.is_empty() => gates,
        gates => format!("{gates}\n"),
    };
    let rendered = edits.iter().filter_map(|edit| edit.rendered.as_ref());
    let rendered = rendered_diff(rendered, MOST_RENDERED);
    format!("{images}\n{gates}{diffs}\n{rendered}")
}
