//! Walks over the history that the cache has. A shallow cache ends somewhere; each walk says
//! whether it came to that end, so that the caller can fetch more and walk again.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use camino::Utf8Path;
use git2::{Oid, Repository};

use super::place::{Gap, Place};
use super::{Commit, CommitId, GitError};
use crate::argocd::Relation;
use crate::promotion;

/// No walk visits more commits.
const MAX_COMMITS: usize = 200_000;

/// What a walk found, and whether it saw all that there is.
#[derive(Debug)]
pub(super) struct Walked<T> {
    pub(super) found: T,
    pub(super) complete: bool,
}

/// Returns the parents that `commit` states, whether or not the cache has them: libgit2 hides those
/// that a shallow repository cuts off.
pub(super) fn parents(commit: &git2::Commit<'_>) -> Vec<Oid> {
    let header = String::from_utf8_lossy(commit.raw_header_bytes());
    let lines = header.lines().take_while(|line| !line.starts_with("author "));
    lines.filter_map(|line| Oid::from_str(line.strip_prefix("parent ")?).ok()).collect()
}

/// Which parents of a merge a walk follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// All of them.
    All,
    /// The first: what a merge brings is a change of its own, made when it was merged.
    First,
}

/// Which commits changed something, as far as that can be told.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) found: Vec<Commit>,
    /// Folders that the cache does not have, and that have to be compared. Where there are any, what
    /// was found is not to be used.
    pub(super) gaps: HashSet<Gap>,
}

/// So many gaps are looked for at a time.
const MOST_GAPS: usize = 1024;

/// Returns up to `limit` commits from `tip` backwards that changed something at or below `path`,
/// newest first. As `git log -- PATH` does, it follows only the parent of a merge that has the
/// same content there, if one has.
pub(super) fn log(
    repository: &Repository,
    tip: &CommitId,
    path: &Utf8Path,
    limit: usize,
    follow: Follow,
) -> Result<Walked<Log>, GitError> {
    let mut log = Walked { found: Log::default(), complete: true };
    let mut seen = HashSet::from([tip.oid()]);
    let tip = read(repository, tip.oid())?;
    let mut next = BinaryHeap::from([(tip.time().seconds(), Reverse(0), tip.id())]);
    while let Some((_, _, id)) = next.pop() {
        let Log { found, gaps } = &mut log.found;
        if found.len() >= limit || gaps.len() >= MOST_GAPS || seen.len() > MAX_COMMITS {
            break;
        }
        let commit = read(repository, id)?;
        let Some(step) = step(repository, &commit, path, follow)? else {
            log.complete = false;
            continue;
        };
        if step.changed {
            found.push(Commit::read(&commit));
        }
        gaps.extend(step.gaps);
        for parent in step.follow {
            if seen.insert(parent.id()) {
                next.push((parent.time().seconds(), Reverse(seen.len()), parent.id()));
            }
        }
    }
    log.complete |= log.found.found.len() >= limit;
    Ok(log)
}

/// Returns up to `limit` commits from `tip` backwards, as long as the cache has the first parent.
pub(super) fn recent(
    repository: &Repository,
    tip: &CommitId,
    limit: usize,
) -> Result<Vec<Commit>, GitError> {
    let mut next = Some(read(repository, tip.oid())?);
    let mut commits = Vec::new();
    while let Some(commit) = next.filter(|_| commits.len() < limit) {
        commits.push(Commit::read(&commit));
        let parent = parents(&commit).first().copied();
        next = parent.and_then(|id| repository.find_commit(id).ok());
    }
    Ok(commits)
}

/// What a commit means for the log of a path.
struct Step<'a> {
    changed: bool,
    /// What keeps that from being told.
    gaps: Vec<Gap>,
    follow: Vec<git2::Commit<'a>>,
}

/// Returns what `commit` means for the log of `path`, or `None` if that can't be told as the cache
/// does not have all of its parents.
fn step<'a>(
    repository: &'a Repository,
    commit: &git2::Commit<'_>,
    path: &Utf8Path,
    which: Follow,
) -> Result<Option<Step<'a>>, GitError> {
    let here = Place::find(repository, commit.tree_id(), path)?;
    let mut stated = parents(commit);
    if which == Follow::First {
        stated.truncate(1);
    }
    let mut follow = Vec::with_capacity(stated.len());
    for id in stated {
        let Ok(parent) = repository.find_commit(id) else {
            return Ok(None);
        };
        follow.push(parent);
    }
    let mut gaps = Vec::new();
    for parent in &follow {
        let there = Place::find(repository, parent.tree_id(), path)?;
        match here.is_same(&there) {
            Some(true) if gaps.is_empty() => {
                return Ok(Some(Step { changed: false, gaps, follow: vec![parent.clone()] }));
            }
            Some(_) => {}
            None => gaps.extend([here, there].iter().filter_map(Place::gap)),
        }
    }
    if follow.is_empty() {
        gaps.extend(here.gap());
    }
    let changed = gaps.is_empty() && (!follow.is_empty() || here != Place::Nothing);
    Ok(Some(Step { changed, gaps, follow }))
}

/// Returns how `observed` stands to `expected`, both of which the cache has.
pub(super) fn relation(
    repository: &Repository,
    expected: &CommitId,
    observed: &CommitId,
) -> Result<Walked<Relation>, GitError> {
    if expected == observed {
        return Ok(Walked { found: Relation::Same, complete: true });
    }
    let newer = is_ancestor(repository, expected, observed)?;
    if newer.found {
        return Ok(Walked { found: Relation::Newer, complete: true });
    }
    let older = is_ancestor(repository, observed, expected)?;
    if older.found {
        return Ok(Walked { found: Relation::Older, complete: true });
    }
    let complete = newer.complete && older.complete;
    let found = if complete { Relation::Diverged } else { Relation::Unknown };
    Ok(Walked { found, complete })
}

/// Returns up to `limit` commits in the history of `tip` that were made at `time` or later, newest
/// first.
/// Where a clock went wrong, one that hides behind an older one is not seen.
pub(super) fn since(
    repository: &Repository,
    tip: &CommitId,
    time: jiff::Timestamp,
    limit: usize,
) -> Result<Walked<Vec<Commit>>, GitError> {
    let mut walked = Walked { found: Vec::new(), complete: true };
    let mut seen = HashSet::from([tip.oid()]);
    let tip = read(repository, tip.oid())?;
    let mut next = BinaryHeap::from([(tip.time().seconds(), Reverse(0), tip.id())]);
    while let Some((at, _, id)) = next.pop() {
        if at < time.as_second() || walked.found.len() >= limit {
            break;
        }
        let commit = read(repository, id)?;
        let unseen: Vec<Oid> =
            parents(&commit).into_iter().filter(|parent| seen.insert(*parent)).collect();
        for parent in unseen {
            match repository.find_commit(parent) {
                Ok(parent) => {
                    next.push((parent.time().seconds(), Reverse(seen.len()), parent.id()));
                }
                Err(_) => walked.complete = false,
            }
        }
        walked.found.push(Commit::read(&commit));
    }
    walked.complete |= walked.found.len() >= limit;
    Ok(walked)
}

/// Returns the commit whose trailers name the change `id`, of those that `tip` has in its history
/// and `since` has not. It is complete where the change would have been seen.
pub(super) fn with_change(
    repository: &Repository,
    id: &str,
    since: &CommitId,
    tip: &CommitId,
) -> Result<Walked<Option<CommitId>>, GitError> {
    let mut walked = Walked { found: None, complete: true };
    let mut seen = HashSet::from([since.oid(), tip.oid()]);
    let mut next = vec![tip.oid()];
    while let Some(oid) = next.pop() {
        let Ok(commit) = repository.find_commit(oid) else {
            walked.complete = false;
            continue;
        };
        let trailers = Commit::read(&commit).trailers();
        if promotion::change_ids(&trailers).contains(&id) {
            return Ok(Walked { found: Some(oid.into()), complete: true });
        }
        if seen.len() > MAX_COMMITS {
            walked.complete = false;
            break;
        }
        next.extend(parents(&commit).into_iter().filter(|oid| seen.insert(*oid)));
    }
    Ok(walked)
}

/// Returns whether `ancestor` is in the history of `commit`.
pub(super) fn is_ancestor(
    repository: &Repository,
    ancestor: &CommitId,
    commit: &CommitId,
) -> Result<Walked<bool>, GitError> {
    let mut complete = true;
    let mut seen = HashSet::from([commit.oid()]);
    let mut next = vec![commit.oid()];
    while let Some(id) = next.pop() {
        if id == ancestor.oid() {
            return Ok(Walked { found: true, complete: true });
        }
        let Ok(commit) = repository.find_commit(id) else {
            complete = false;
            continue;
        };
        if seen.len() > MAX_COMMITS {
            complete = false;
            break;
        }
        next.extend(parents(&commit).into_iter().filter(|id| seen.insert(*id)));
    }
    Ok(Walked { found: false, complete })
}

fn read(repository: &Repository, id: Oid) -> Result<git2::Commit<'_>, GitError> {
    repository.find_commit(id).map_err(GitError::object(format!("read commit `{id}`")))
}

/// Returns the only commit in the history of `tip` whose id starts with `prefix`.
pub(super) fn with_prefix(
    repository: &Repository,
    tip: &CommitId,
    prefix: &str,
) -> Result<Walked<Option<CommitId>>, GitError> {
    let mut walked = Walked { found: None, complete: true };
    let mut seen = HashSet::from([tip.oid()]);
    let mut next = vec![tip.oid()];
    while let Some(id) = next.pop() {
        let Ok(commit) = repository.find_commit(id) else {
            walked.complete = false;
            continue;
        };
        let id = CommitId::from(id);
        if id.as_str().starts_with(prefix) {
            return Ok(Walked { found: Some(id), complete: true });
        }
        if seen.len() > MAX_COMMITS {
            break;
        }
        next.extend(parents(&commit).into_iter().filter(|id| seen.insert(*id)));
    }
    Ok(walked)
}
