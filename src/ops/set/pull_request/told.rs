//! What people read on pull requests that are closed or made anew.

use super::Update;
use crate::git::{Commit, OWN_BRANCHES};
use crate::github::{OpenPull, Opened};
use crate::ops::set::{PullRequests, SetError, description};
use crate::ops::{Emit, Event};

impl Update<'_> {
    /// Closes the environment's pull request if there is one: the base has all of it.
    pub(super) async fn close(&self, emit: Emit<'_>) -> Result<(), SetError> {
        let Some(open) = self.open() else { return Ok(()) };
        let comment = format!(
            "Nothing is pending for `{}` any more: `{}` states it already.",
            self.options.environment.name, self.base
        );
        self.close_with(open, &comment, emit).await;
        Ok(())
    }

    /// Returns the commits of others that the branch does not have any more once it is made anew: a merge
    /// is the base's news, which it has anyway.
    pub(super) fn lost(&self) -> Vec<&Commit> {
        self.above.iter().filter(|commit| !commit.is_merge).collect()
    }

    /// Says which commits of others the branch, which was made anew, does not have any more.
    pub(super) async fn tell_lost(&self, opened: &Opened, emit: Emit<'_>) {
        let lost = self.lost();
        if lost.is_empty() {
            return;
        }
        let (head, named) = (&self.head, named(&lost));
        emit(Event::Warning(format!(
            "`{head}` is made anew, without what others had pushed to it: {named}"
        )));
        // Of others' words there are none: GitHub makes links of ids, and shows who wrote them.
        let ids: Vec<&str> = lost.iter().map(|commit| commit.id.as_str()).collect();
        let comment = format!(
            "`{head}` is deployctl's own and was made anew. It does not have any more: {}. To keep \
             them, put them on a branch of your own.",
            ids.join(", ")
        );
        let PullRequests { client, owner, repository, .. } = self.on;
        if let Err(error) = client.comment(owner, repository, opened.number, &comment).await {
            emit(Event::Warning(error.to_string()));
        }
    }

    /// Closes the pull requests of other branches that deployctl has opened for the environment.
    pub(super) async fn supersede(&self, by: &Opened, emit: Emit<'_>) {
        let marker = description::marker(&self.options.environment.name);
        let other = |pull: &&OpenPull| {
            pull.head != self.head
                && pull.head.starts_with(OWN_BRANCHES)
                && pull.body.contains(&marker)
        };
        for pull in self.open.iter().filter(other) {
            let comment = format!("Superseded by #{}.", by.number);
            self.close_with(pull, &comment, emit).await;
        }
    }

    async fn close_with(&self, pull: &OpenPull, comment: &str, emit: Emit<'_>) {
        let PullRequests { client, owner, repository, .. } = self.on;
        let closed = client.close_pull_request(owner, repository, pull.number, comment).await;
        if let Err(error) = closed {
            // It says nothing that is wrong, and the next run closes it.
            emit(Event::Warning(error.to_string()));
        }
    }
}

/// Returns the commits and their authors, for people.
pub(super) fn named(commits: &[&Commit]) -> String {
    let by = |commit: &&Commit| format!("{} by {}", commit.id.short(), commit.author.name);
    commits.iter().map(by).collect::<Vec<_>>().join(", ")
}
