//! Whether an environment has a newer image already than the one that a run comes with.
//!
//! Pipelines of two commits may reach the branch in the wrong order: the older one must not take
//! back what the newer one has deployed.

use jiff::Timestamp;

use super::{Record, RecordedSource};
use crate::argocd::Relation;

/// A record of the branch, and the commit that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingRecord {
    /// The record.
    pub record: Record,
    /// The commit's id.
    pub commit: String,
    /// Who made it.
    pub author: String,
    /// When it was made.
    pub time: Timestamp,
}

/// Returns whether `standing` is newer than the image of a run that `started` then, built from
/// `source`.
///
/// `relation` is how the standing record's source commit stands to `source`, where the source
/// repository is at hand. Where that does not tell, the times of the two commits do; where they are
/// not on record, what was committed since the run started is newer.
///
/// A run that does not know what its image was built from is never superseded: somebody named the
/// image himself.
pub fn is_superseded(
    source: Option<&RecordedSource>,
    started: Timestamp,
    standing: &StandingRecord,
    relation: Relation,
) -> bool {
    let Some(source) = source else { return false };
    let theirs = standing.record.source.as_ref();
    if theirs.is_some_and(|theirs| theirs.commit == source.commit) {
        return false;
    }
    match (relation, theirs.and_then(|theirs| theirs.time), source.time) {
        (Relation::Newer, ..) => true,
        (Relation::Same | Relation::Older, ..) => false,
        (_, Some(theirs), Some(ours)) => theirs > ours,
        // Commits have whole seconds.
        _ => standing.time.as_second() > started.as_second(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn source(commit: &str, time: Option<i64>) -> RecordedSource {
        RecordedSource { commit: commit.to_owned(), repository: None, time: time.map(at) }
    }

    /// Checks a run that started at 1000 with an image of commit `a`, made at 100, against a record
    /// that was committed at 2000.
    fn check(theirs: Option<RecordedSource>, relation: Relation, superseded: bool) {
        let record = Record { source: theirs, ..Record::default() };
        let (commit, author) = (String::new(), String::new());
        let standing = StandingRecord { record, commit, author, time: at(2000) };
        let ours = source("a", Some(100));
        let is = |source, started| is_superseded(source, at(started), &standing, relation);
        assert_eq!(is(Some(&ours), 1000), superseded, "{standing:?} {relation:?}");
        assert!(!is(None, 1000), "somebody named the image");
    }

    #[test]
    fn ancestry_outranks_time() {
        check(Some(source("b", Some(50))), Relation::Newer, true);
        check(Some(source("b", Some(200))), Relation::Older, false);
        check(Some(source("a", Some(200))), Relation::Unknown, false);
    }

    #[test]
    fn without_ancestry_the_younger_commit_is_newer() {
        for relation in [Relation::Unknown, Relation::Diverged] {
            check(Some(source("b", Some(101))), relation, true);
            check(Some(source("b", Some(100))), relation, false);
            check(Some(source("b", Some(99))), relation, false);
        }
    }

    #[test]
    fn without_times_what_came_since_the_start_is_newer() {
        check(Some(source("b", None)), Relation::Unknown, true);
        check(None, Relation::Unknown, true);
        let standing = StandingRecord {
            record: Record::default(),
            commit: String::new(),
            author: String::new(),
            time: at(1000),
        };
        let ours = source("a", Some(100));
        assert!(!is_superseded(Some(&ours), at(1000), &standing, Relation::Unknown));
    }
}
