//! Which of two commits comes first, as far as a checkout tells; nothing is fetched.
//!
//! A shallow checkout ends at commits whose parents are not there. Their ids are: a commit's own bytes
//! name them, though git passes over them while it walks (gitformat-pack, "shallow"). So even a
//! checkout of a single commit knows its parents as older.

use std::fs;

use camino::Utf8Path;
use git2::{Oid, Repository};

use super::{CommitId, Source};
use crate::argocd::Relation;

/// A list of where a checkout ends is not read further than that.
const MOST_ENDS: usize = 1000;

impl Source {
    /// Returns how the commit `observed` stands to `expected` in the repository in the folder `root`,
    /// as far as it is there: nothing is fetched.
    pub async fn relation(root: &Utf8Path, expected: &str, observed: &str) -> Relation {
        let ids = (expected.parse::<CommitId>(), observed.parse::<CommitId>());
        let (root, (Ok(expected), Ok(observed))) = (root.to_owned(), ids) else {
            return Relation::Unknown;
        };
        let related = tokio::task::spawn_blocking(move || {
            let repository = Repository::open(&root)?;
            Ok::<_, git2::Error>(relate(&repository, expected.oid(), observed.oid()))
        });
        related.await.ok().and_then(Result::ok).unwrap_or(Relation::Unknown)
    }
}

fn relate(repository: &Repository, expected: Oid, observed: Oid) -> Relation {
    if expected == observed {
        return Relation::Same;
    }
    let descends = |one, other| repository.graph_descendant_of(one, other);
    match (descends(observed, expected), descends(expected, observed)) {
        (Ok(true), _) => Relation::Newer,
        (_, Ok(true)) => Relation::Older,
        _ if repository.is_shallow() => match ends(repository) {
            ends if comes_after(repository, &ends, observed, expected) => Relation::Newer,
            ends if comes_after(repository, &ends, expected, observed) => Relation::Older,
            // It does not show what they have in common.
            _ => Relation::Unknown,
        },
        (Ok(false), Ok(false)) => Relation::Diverged,
        _ => Relation::Unknown,
    }
}

/// Returns the commits at which a shallow checkout ends.
fn ends(repository: &Repository) -> Vec<Oid> {
    let list = fs::read_to_string(repository.commondir().join("shallow")).unwrap_or_default();
    list.lines().take(MOST_ENDS).filter_map(|line| Oid::from_str(line.trim()).ok()).collect()
}

/// Returns whether `other`, which is not there, is a parent of one of the `ends` in the history of
/// `one`.
fn comes_after(repository: &Repository, ends: &[Oid], one: Oid, other: Oid) -> bool {
    ends.iter().any(|&end| {
        names_parent(repository, end, other)
            && (end == one || repository.graph_descendant_of(one, end).unwrap_or(false))
    })
}

/// Returns whether the commit's own bytes name the parent.
fn names_parent(repository: &Repository, commit: Oid, parent: Oid) -> bool {
    let Ok(object) = repository.odb().and_then(|all| all.read(commit).map(|o| o.data().to_vec()))
    else {
        return false;
    };
    let line = format!("parent {parent}");
    // The header ends with an empty line.
    let mut lines = object.split(|&byte| byte == b'\n').take_while(|line| !line.is_empty());
    lines.any(|other| other == line.as_bytes())
}
