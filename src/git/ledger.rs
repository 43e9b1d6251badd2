//! Ledgers: what deployctl remembers in the remote beside its branches.
//!
//! A ledger is a reference of its own, `refs/deployctl/NAME`, whose commits have a message and no
//! files; each has the one before it as its parent, the newest is the tip. On a branch that Argo CD
//! watches such commits would start a sync for nothing. What they say is the caller's business.
//!
//! Their cache is not that of the branches: `git` tells the remote about every end of a shallow
//! history whenever it fetches, and of ledgers there may be thousands.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;

use super::answer::Pushed;
use super::cache::{Cache, Lock};
use super::repository::local_name;
use super::transport::{Depth, Fetch, Move, Transport};
use super::{Authorship, Commit, CommitId, GitError, Push, history, write};

/// The ledgers of a manifests repository.
#[derive(Debug, Clone)]
pub struct Ledgers {
    transport: Transport,
    cache: Cache,
}

/// Where ledgers are.
const ROOT: &str = "refs/deployctl/";
/// More than this many are asked for by their folder rather than one by one.
const MOST_NAMES: usize = 32;
/// So many are pushed at once: their names must fit into one command line.
const PUSHED_AT_ONCE: usize = 200;
/// How often an entry is applied to a tip that has moved.
const ATTEMPTS: u32 = 10;
/// The longest time between the first two attempts; it doubles.
const PAUSE: Duration = Duration::from_millis(50);
/// So many entries more are fetched each time a walk comes to the end of what there is.
const DEEPEN: u32 = 64;
/// No walk visits more entries.
const MOST_ENTRIES: usize = 10_000;

/// What a new entry says after the newest one, or `None` if there is nothing to add.
pub type NextEntry<'a> = &'a (dyn Fn(&str, Option<&Commit>) -> Option<String> + Send + Sync);

impl Ledgers {
    pub(super) fn new(transport: Transport) -> Self {
        Self { cache: transport.cache().clone(), transport }
    }

    /// Returns the newest entry of each of the ledgers `names` that is there. A name that ends with
    /// `/` stands for all below it.
    ///
    /// # Errors
    ///
    /// Fails if the remote is out of reach or refuses the credentials, or a name can't be one.
    pub async fn newest(&self, names: &[String]) -> Result<BTreeMap<String, Commit>, GitError> {
        let patterns = patterns(names)?;
        if patterns.is_empty() {
            return Ok(BTreeMap::new());
        }
        let lock = self.cache.lock().await?;
        self.fetch(&patterns, &lock).await?;
        let mut newest = self.tips(&patterns)?;
        newest.retain(|found, _| names.iter().any(|name| is_meant(name, found)));
        Ok(newest)
    }

    /// Returns what `visit` breaks with, called with each entry of a ledger from `newest` backwards;
    /// `None` if it never does.
    ///
    /// # Errors
    ///
    /// As [`Ledgers::newest`].
    pub async fn walk<T>(
        &self,
        newest: &CommitId,
        mut visit: impl FnMut(&Commit) -> ControlFlow<T>,
    ) -> Result<Option<T>, GitError> {
        let (mut next, mut left, mut asked) = (Some(newest.clone()), MOST_ENTRIES, None);
        while let Some(id) = next.take().filter(|_| left > 0) {
            match self.entry(&id)? {
                Some((entry, parent)) => {
                    if let ControlFlow::Break(found) = visit(&entry) {
                        return Ok(Some(found));
                    }
                    left -= 1;
                    next = parent;
                }
                None if asked.as_ref() != Some(&id) => {
                    let _lock = self.cache.lock().await?;
                    let (refspecs, depth) = (&[newest.to_string()], Depth::Deepen(DEEPEN));
                    self.transport.fetch(&Fetch { refspecs, depth, prune: false }).await?;
                    asked = Some(id.clone());
                    next = Some(id);
                }
                None => {}
            }
        }
        Ok(None)
    }

    /// Appends to each of the ledgers `names` what `entry` says comes after its newest entry; all
    /// with one push. Where another process was faster, `entry` is asked again. Returns the names of
    /// those that were appended to.
    ///
    /// # Errors
    ///
    /// Fails if the remote is out of reach or refuses: no permission, or no such references.
    pub async fn append(
        &self,
        names: &[String],
        authorship: &Authorship,
        time: Timestamp,
        entry: NextEntry<'_>,
    ) -> Result<Vec<String>, GitError> {
        let mut appended = Vec::new();
        for names in names.chunks(PUSHED_AT_ONCE) {
            let mut left = names.to_vec();
            let mut attempt = 0;
            while !left.is_empty() {
                if attempt == ATTEMPTS {
                    return Err(self.stuck(&left[0]));
                }
                if attempt > 0 {
                    let longest = PAUSE.saturating_mul(1 << attempt);
                    tokio::time::sleep(longest.mul_f64(crate::system::random_fraction())).await;
                }
                let tried = self.try_append(&left, authorship, time, entry).await?;
                appended.extend(tried.appended);
                left = tried.raced;
                attempt += 1;
            }
        }
        Ok(appended)
    }

    async fn try_append(
        &self,
        names: &[String],
        authorship: &Authorship,
        time: Timestamp,
        entry: NextEntry<'_>,
    ) -> Result<Tried, GitError> {
        let newest = self.newest(names).await?;
        let mut moves = Vec::new();
        for name in names {
            let before = newest.get(name);
            let Some(message) = entry(name, before) else { continue };
            let expected = before.map(|commit| commit.id.clone());
            let commit = self.commit(expected.as_ref(), &message, authorship, time).await?;
            moves.push(Move { reference: format!("{ROOT}{name}"), commit, expected });
        }
        if moves.is_empty() {
            return Ok(Tried::default());
        }
        let pushed = self.transport.push_all(&moves).await?;
        let mut tried = Tried::default();
        for (moved, pushed) in moves.into_iter().zip(pushed) {
            let name = moved.reference[ROOT.len()..].to_owned();
            match pushed? {
                Pushed::Told(Push::Pushed) => tried.appended.push(name),
                Pushed::Told(Push::Raced) => tried.raced.push(name),
                Pushed::Unclear(lost) => match self.newest(std::slice::from_ref(&name)).await {
                    Ok(newest) if newest.get(&name).is_some_and(|c| c.id == moved.commit) => {
                        tried.appended.push(name);
                    }
                    Ok(_) => tried.raced.push(name),
                    Err(_) => return Err(lost),
                },
            }
        }
        Ok(tried)
    }

    async fn commit(
        &self,
        parent: Option<&CommitId>,
        message: &str,
        authorship: &Authorship,
        time: Timestamp,
    ) -> Result<CommitId, GitError> {
        let text = {
            let cache = self.cache.open()?;
            write::prepare_without_files(&cache, parent, message, authorship, time)?
        };
        let signature = authorship.sign(&text).await?;
        let cache = self.cache.open()?;
        write::store(&cache, &text, signature.as_deref())
    }

    /// Fetches what matches; a cache that fails for no reason of the remote's is made anew, once.
    async fn fetch(&self, patterns: &[String], lock: &Lock) -> Result<(), GitError> {
        match self.transport.fetch_matching(patterns, local_name).await {
            Err(GitError::Git { .. } | GitError::Object { .. }) => {
                self.cache.renew(lock)?;
                self.transport.fetch_matching(patterns, local_name).await
            }
            result => result,
        }
    }

    /// Returns the tips in the cache that match, by name.
    fn tips(&self, patterns: &[String]) -> Result<BTreeMap<String, Commit>, GitError> {
        let cache = self.cache.open()?;
        let read = || GitError::object("read the ledgers");
        let mut tips = BTreeMap::new();
        for pattern in patterns {
            for reference in cache.references_glob(&local_name(pattern)).map_err(read())? {
                let reference = reference.map_err(read())?;
                let commit = reference.peel_to_commit().map_err(read())?;
                let name = reference.name().ok().and_then(|name| name.strip_prefix(LOCAL_ROOT));
                tips.extend(name.map(|name| (name.to_owned(), Commit::read(&commit))));
            }
        }
        Ok(tips)
    }

    /// Returns the entry `id` and the one before it, or `None` if the cache does not have it.
    fn entry(&self, id: &CommitId) -> Result<Option<(Commit, Option<CommitId>)>, GitError> {
        let cache = self.cache.open()?;
        let Ok(commit) = cache.find_commit(id.oid()) else { return Ok(None) };
        let parent = history::parents(&commit).into_iter().next().map(CommitId::from);
        Ok(Some((Commit::read(&commit), parent)))
    }

    fn stuck(&self, name: &str) -> GitError {
        GitError::Git {
            action: "push",
            remote: self.transport.remote().to_owned(),
            message: format!("`{ROOT}{name}` moved {ATTEMPTS} times, or a lock of it was left"),
        }
    }
}

/// What an attempt came to.
#[derive(Default)]
struct Tried {
    appended: Vec<String>,
    raced: Vec<String>,
}

/// Where the cache keeps ledgers: [`local_name`] of [`ROOT`].
const LOCAL_ROOT: &str = "refs/deployctl/deployctl/";

/// Returns the patterns of references to fetch. A pattern, other than a name, may match nothing, so
/// a ledger that is not there is no error; what else matches is left out afterwards.
fn patterns(names: &[String]) -> Result<Vec<String>, GitError> {
    let all_below = |name: &str| name.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let mut patterns = Vec::new();
    for name in names {
        let plain = name.trim_end_matches('/');
        if !git2::Reference::is_valid_name(&format!("{ROOT}{plain}")) {
            return Err(GitError::BranchName(name.clone()));
        }
        patterns.push(match names.len() > MOST_NAMES {
            true => format!("{ROOT}{}/*", all_below(name)),
            false => format!("{ROOT}{name}*"),
        });
    }
    patterns.sort();
    patterns.dedup();
    Ok(patterns)
}

fn is_meant(name: &str, found: &str) -> bool {
    if name.ends_with('/') { found.starts_with(name) } else { found == name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_ledgers_are_asked_for_by_name_and_many_by_folder() {
        let few = patterns(&["holds/prod/web".to_owned(), "verified/".to_owned()]).unwrap();
        assert_eq!(few, ["refs/deployctl/holds/prod/web*", "refs/deployctl/verified/*"]);
        let many: Vec<_> = (0..100).map(|n| format!("verified/prod/s{n}")).collect();
        assert_eq!(patterns(&many).unwrap(), ["refs/deployctl/verified/prod/*"]);
        assert!(is_meant("holds/prod/", "holds/prod/web"));
        assert!(!is_meant("holds/prod/web", "holds/prod/web-2"));
    }

    #[test]
    fn a_name_can_not_change_the_refspec() {
        for name in ["a:b", "a b", "a*", "a..b", "a//b", "x.lock", "/"] {
            assert!(patterns(&[name.to_owned()]).is_err(), "{name}");
        }
        assert_eq!(local_name(ROOT), LOCAL_ROOT);
    }
}
