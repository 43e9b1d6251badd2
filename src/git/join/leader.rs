//! What a leader does: one commit of all that fit, one push, an answer for each.

use super::answer::Answer;
use super::pace::{LandError, Pace};
use super::queue::{Lead, Queue, Ticket};
use super::staged::Staged;
use super::{Landing, fit, words};
use crate::git::answer::Pushed;
use crate::git::{Authorship, CommitId, GitError, Push, Repository};

/// So often a push whose answer is lost is looked up before that is an error.
const LOOKUPS: u32 = 4;

/// The turn of one leader, which ends when its own change has an answer.
pub(super) struct Round<'a> {
    repository: &'a Repository,
    /// `None`: the change goes alone.
    queue: Option<&'a Queue>,
    /// The leader's own change first.
    changes: Vec<Change>,
    branch: String,
    /// Who commits, and whose change comes first.
    authorship: &'a Authorship,
    _lead: Option<&'a Lead>,
}

struct Change {
    staged: Staged,
    /// Set if the change may have been pushed onto a commit that follows this one, without an
    /// answer: what it is looked up from.
    unsure_since: Option<CommitId>,
}

/// How a push went.
enum Went {
    Landed,
    Late,
    Unclear(GitError),
    /// The joined commit was refused, and now the leader's own change is alone.
    Alone,
}

impl<'a> Round<'a> {
    /// Returns the turn of a change that goes alone.
    pub(super) fn alone(
        repository: &'a Repository,
        own: Staged,
        authorship: &'a Authorship,
    ) -> Self {
        let branch = own.branch.clone();
        let changes = vec![Change { staged: own, unsure_since: None }];
        Self { repository, queue: None, changes, branch, authorship, _lead: None }
    }

    /// Returns the turn of one who leads, with all who wait.
    pub(super) fn joined(mut self, queue: &'a Queue, lead: &'a Lead, ticket: &Ticket) -> Self {
        let own = &mut self.changes[0];
        own.unsure_since = ticket.may_be_pushed().then(|| own.staged.base.clone());
        self.queue = Some(queue);
        self._lead = Some(lead);
        self.gather();
        self
    }

    /// Lands the leader's own change and all that fit beside it, and returns what came of its own.
    pub(super) async fn run(
        mut self,
        pace: &mut Pace,
        tell: &(dyn Fn(u32) + Send + Sync),
    ) -> Result<Landing, LandError> {
        let result = self.go_on(pace, tell).await;
        if let Err(error) = &result {
            match Answer::of(error) {
                Some(answer) => self.answer_others(&answer),
                None => self.put_back(),
            }
        }
        result
    }

    async fn go_on(
        &mut self,
        pace: &mut Pace,
        tell: &(dyn Fn(u32) + Send + Sync),
    ) -> Result<Landing, LandError> {
        let mut tip = self.first_tip().await?;
        let mut lookups = 0;
        loop {
            if let Some(landing) = self.look_up(&tip).await? {
                return Ok(landing);
            }
            if !self.keep_fitting(&tip)? {
                return Ok(Landing::Moved { tip });
            }
            let Some(commit) = self.commit(&tip).await? else {
                self.answer_others(&Answer::Moved { tip: tip.to_string() });
                return Ok(Landing::Unchanged { tip });
            };
            let pause = match self.push(&commit, &tip).await? {
                Went::Landed => return Ok(self.landed(&commit)),
                Went::Alone => continue,
                Went::Late => {
                    self.put_back();
                    pace.lost(&tip)?
                }
                Went::Unclear(error) if lookups == LOOKUPS || pace.is_over() => {
                    return Err(unknown(error).into());
                }
                Went::Unclear(_) => {
                    lookups += 1;
                    self.changes.iter_mut().for_each(|change| {
                        change.unsure_since.get_or_insert(tip.clone());
                    });
                    pace.unclear()
                }
            };
            tell(pace.attempts());
            tokio::time::sleep(pause).await;
            tip = self.next_tip(&commit, &tip, pace, &mut lookups).await?;
            if self.is_in(&commit, &tip)? {
                return Ok(self.landed(&commit));
            }
            self.gather();
        }
    }

    /// Returns the newest tip that is known; where it is not plain which one that is, or whether
    /// what a dead leader pushed has landed, the remote is asked.
    async fn first_tip(&self) -> Result<CommitId, GitError> {
        let known = match self.changes.iter().any(|change| change.unsure_since.is_some()) {
            true => None,
            false => self.newest_known()?,
        };
        match known {
            Some(tip) => Ok(tip),
            None => self.fetch().await,
        }
    }

    fn newest_known(&self) -> Result<Option<CommitId>, GitError> {
        let cache = self.repository.objects()?;
        let mut newest = self.changes[0].staged.base.clone();
        let last = self.queue.and_then(|queue| queue.last_tip(&self.branch));
        let bases = self.changes.iter().map(|change| change.staged.base.clone());
        for tip in bases.chain(last) {
            if fit::is_near_ancestor(&cache, &newest, &tip) {
                newest = tip;
            } else if !fit::is_near_ancestor(&cache, &tip, &newest) {
                return Ok(None);
            }
        }
        Ok(self.repository.has_now(&newest)?.then_some(newest))
    }

    async fn fetch(&self) -> Result<CommitId, GitError> {
        match self.queue {
            Some(queue) => Ok(self.repository.look(queue, Some(&self.branch)).await?.tip),
            None => self.repository.fetch(Some(&self.branch)).await,
        }
    }

    /// Returns the tip after a push that did not win.
    async fn next_tip(
        &self,
        commit: &CommitId,
        tip: &CommitId,
        pace: &mut Pace,
        lookups: &mut u32,
    ) -> Result<CommitId, LandError> {
        loop {
            match self.fetch().await {
                Ok(next) => return Ok(next),
                Err(error @ GitError::Unreachable { .. }) => {
                    let unclear = self.changes.iter().any(|change| change.unsure_since.is_some());
                    if *lookups == LOOKUPS || pace.is_over() {
                        return Err(if unclear { unknown(error) } else { error }.into());
                    }
                    tracing::debug!(%commit, %tip, %error, "can't see where the branch is");
                    *lookups += 1;
                    tokio::time::sleep(pace.unclear()).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Adds those who wait and are not there yet.
    fn gather(&mut self) {
        let Some(queue) = self.queue else { return };
        for waiting in queue.waiting(&self.branch, &self.changes[0].staged.id) {
            let staged = waiting.staged;
            if self.changes.iter().all(|change| change.staged.id != staged.id) {
                let unsure_since = waiting.taken.then(|| staged.base.clone());
                self.changes.push(Change { staged, unsure_since });
            }
        }
    }

    /// Looks up those changes that may be in the history of `tip` already, and answers those that
    /// are; returns the answer for the leader's own.
    async fn look_up(&mut self, tip: &CommitId) -> Result<Option<Landing>, LandError> {
        let mut own = None;
        let mut number = 0;
        while let Some(change) = self.changes.get_mut(number) {
            match &change.unsure_since {
                // The push may still be under way. If it lands before the next one, that one is late.
                Some(since) if since == tip => number += 1,
                None => number += 1,
                Some(since) => {
                    let id = &change.staged.id;
                    match self.repository.landed_in(id, since, tip).await? {
                        Some(commit) if number == 0 => {
                            own = Some(Landing::Landed { commit });
                            number += 1;
                        }
                        Some(commit) => {
                            let answer = Answer::Landed { commit: commit.to_string() };
                            let landed = self.changes.remove(number);
                            self.answer(&landed.staged, &answer);
                        }
                        None => {
                            change.unsure_since = None;
                            number += 1;
                        }
                    }
                }
            }
        }
        Ok(own)
    }

    /// Answers those changes whose files have moved, takes the others, and returns whether the
    /// leader's own is among them.
    fn keep_fitting(&mut self, tip: &CommitId) -> Result<bool, GitError> {
        let staged: Vec<&Staged> = self.changes.iter().map(|change| &change.staged).collect();
        let fitting = fit::fitting(&*self.repository.objects()?, tip, &staged)?;
        let own = fitting.first() == Some(&true);
        let mut kept = Vec::new();
        for (number, (change, fits)) in self.changes.drain(..).zip(fitting).enumerate() {
            match (number, self.queue) {
                (0, _) => kept.push(change),
                // What can't be joined with the leader's own may fit alone, later.
                _ if !own => {}
                (_, Some(queue)) if fits => {
                    if queue.take(&change.staged) {
                        kept.push(change);
                    }
                }
                (_, Some(queue)) => {
                    let tip = tip.to_string();
                    queue.answer(&change.staged, &Answer::Moved { tip });
                }
                (_, None) => {}
            }
        }
        self.changes = kept;
        Ok(own)
    }

    async fn commit(&self, tip: &CommitId) -> Result<Option<CommitId>, GitError> {
        let staged: Vec<&Staged> = self.changes.iter().map(|change| &change.staged).collect();
        let cache = self.repository.objects()?;
        let files = fit::files(&cache, &staged)?;
        let time = staged.iter().map(|staged| staged.time).max().unwrap_or_default();
        let message = words::commit_message(&staged);
        self.repository.commit(tip, &files, &message, self.authorship, time).await
    }

    async fn push(&mut self, commit: &CommitId, tip: &CommitId) -> Result<Went, GitError> {
        match self.repository.push_once(commit, &self.branch, Some(tip)).await {
            Ok(Pushed::Told(Push::Pushed)) => Ok(Went::Landed),
            Ok(Pushed::Told(Push::Raced)) => Ok(Went::Late),
            Ok(Pushed::Unclear(error)) => Ok(Went::Unclear(error)),
            Err(GitError::Refused { .. }) if self.changes.len() > 1 => {
                self.answer_others(&Answer::Alone);
                self.changes.truncate(1);
                self.queue = None;
                Ok(Went::Alone)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns whether `tip` is `commit`, or was made on it: some proxies send a request again, and
    /// what then comes too late is the commit's own second push.
    fn is_in(&self, commit: &CommitId, tip: &CommitId) -> Result<bool, GitError> {
        Ok(fit::is_near_ancestor(&*self.repository.objects()?, commit, tip))
    }

    /// Answers all who are in `commit`.
    fn landed(&self, commit: &CommitId) -> Landing {
        if let Some(queue) = self.queue {
            queue.set_last_tip(&self.branch, commit);
        }
        self.answer_others(&Answer::Landed { commit: commit.to_string() });
        Landing::Landed { commit: commit.clone() }
    }

    fn answer_others(&self, answer: &Answer) {
        self.changes[1..].iter().for_each(|change| self.answer(&change.staged, answer));
    }

    fn answer(&self, staged: &Staged, answer: &Answer) {
        if let Some(queue) = self.queue {
            queue.answer(staged, answer);
        }
    }

    fn put_back(&self) {
        let Some(queue) = self.queue else { return };
        let sure = self.changes[1..].iter().filter(|change| change.unsure_since.is_none());
        sure.for_each(|change| queue.put_back(&change.staged));
    }
}

/// Returns the error for a push that may have landed or not.
fn unknown(error: GitError) -> GitError {
    match error {
        GitError::Unreachable { remote, message } => {
            let message = format!("{message}; whether the push has landed is not known");
            GitError::Unreachable { remote, message }
        }
        error => error,
    }
}
