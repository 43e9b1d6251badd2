//! What is asked of the remote: fetch, list, push; by the `git` program, or by libgit2 where there is
//! none.
//!
//! What would make the result depend on people's own set-up (tags, pruning, submodules) is said with
//! each command; how the program is run, [`Program`] knows.

use super::answer::{self, Pushed};
use super::cache::Cache;
use super::credentials::Credentials;
use super::library::{Library, Reason};
use super::partial::{Filter, Want};
use super::program::Program;
use super::remote::Remote;
use super::{CommitId, GitError};
use crate::system::{Command, Environment};

/// One remote, and how to reach it.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    program: Program,
    /// Does the work where there is no `git` program, or none that may.
    library: Option<Library>,
    /// How many folders are above the folders of services, as far as that is known.
    services_at: Option<usize>,
}

/// What to fetch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fetch<'a> {
    /// `+SOURCE:DESTINATION`, or a commit's id.
    pub(super) refspecs: &'a [String],
    pub(super) depth: Depth,
    /// Whether references of the cache go whose source the remote does not have any more.
    pub(super) prune: bool,
}

/// How much history a fetch brings.
#[derive(Debug, Clone, Copy)]
pub(super) enum Depth {
    /// The commits that people ask about; without files they cost next to nothing, with files the
    /// commit alone is fetched.
    Recent,
    /// So many commits more than there are.
    Deepen(u32),
}

/// So many commits come with a tip. Measured: 64 cost as much as one, in time and in bytes.
const RECENT: u32 = 64;

/// What the remote is called in the settings of a fetch: only a remote with a name can be one that
/// has what the cache leaves out.
const NAME: &str = "deployctl";

/// A reference of the remote that is to be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    /// Its full name.
    pub(super) reference: String,
    /// Where it is to be.
    pub(super) commit: CommitId,
    /// Where it is; `None`: it must be new.
    pub(super) expected: Option<CommitId>,
}

/// A reference of the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) name: String,
    pub(super) id: CommitId,
}

/// Settings of a fetch of objects. What the cache has says nothing about what is left out of it, so
/// there is nothing to negotiate; and a file that is too large to be read is not held in memory.
const OBJECTS: &[(&str, &str)] =
    &[("fetch.negotiationAlgorithm", "noop"), ("core.bigFileThreshold", "8m")];

impl Transport {
    pub(super) async fn new(
        remote: Remote,
        cache: &Cache,
        environment: &Environment,
    ) -> Result<Self, GitError> {
        let path = environment.find_program("git").map(camino::Utf8PathBuf::into_string);
        let credentials = Credentials::find(&remote, environment)?;
        let library = match &path {
            Some(_) => None,
            None => Some(Library::find(&remote, credentials.as_ref(), environment)),
        };
        let program = Program::new(path, remote, credentials, cache, environment).await?;
        Ok(Self { program, library, services_at: None })
    }

    /// Returns the same remote, which is not gone to unless it is a folder.
    pub(super) fn offline(self) -> Self {
        if self.program.is_folder() {
            return self;
        }
        let remote = self.remote().to_owned();
        Self { library: Some(Library::Closed { remote, reason: Reason::Offline }), ..self }
    }

    /// Fails if there is no way to the remote.
    pub(super) fn check(&self) -> Result<(), GitError> {
        self.library.as_ref().map_or(Ok(()), Library::check)
    }

    pub(super) fn cache(&self) -> &Cache {
        self.program.cache()
    }

    pub(super) fn remote(&self) -> &str {
        self.program.remote()
    }

    /// Returns the same remote, in which services' own folders have this depth.
    pub(super) fn with_services_at(self, depth: usize) -> Self {
        // A round trip to GitHub is taken to cost more than the folders of a few thousand services
        // (not measured), and its API writes without any (`manifests.write: api`).
        let depth = Some(depth).filter(|depth| *depth > 0 && !self.program.is_at_github());
        Self { services_at: depth, ..self }
    }

    /// Returns whether a folder with so many others above it is known to be all services'.
    pub(super) fn is_above_services(&self, depth: usize) -> bool {
        self.services_at.is_some_and(|services| depth < services)
    }

    /// Returns whether the `git` program does the work.
    pub(super) fn has_program(&self) -> bool {
        self.library.is_none()
    }

    /// Returns what stands for the credentials that the remote is shown: who has others must not
    /// have changes pushed with these.
    pub(super) fn principal(&self) -> String {
        self.program.principal()
    }

    /// Fetches into the cache, without what the cache can do without where the server allows that.
    pub(super) async fn fetch(&self, fetch: &Fetch<'_>) -> Result<(), GitError> {
        if let Some(library) = &self.library {
            return library.fetch(self.cache().dir(), fetch).await;
        }
        let most = self.most_to_leave_out(fetch);
        loop {
            let filter = self.cache().filter(most);
            match self.fetch_filtered(fetch, filter).await {
                Err(error) if filter != Filter::Nothing && answer::is_about_a_filter(&error) => {
                    tracing::debug!(remote = self.remote(), %error, "fetching more instead");
                    self.cache().set_filter(filter.weaker())?;
                }
                result => return result,
            }
        }
    }

    /// Returns what the cache can do without.
    fn most_to_leave_out(&self, fetch: &Fetch<'_>) -> Filter {
        let known = |refspec: &String| {
            refspec.split_once(':').is_some_and(|(_, local)| self.cache().has_root_of(local))
        };
        match (self.services_at, fetch.depth) {
            (None, _) => Filter::Files,
            // Who has the folders of an earlier tip gets those that have changed, and no more.
            (Some(_), Depth::Recent) if fetch.refspecs.first().is_some_and(known) => Filter::Files,
            // Most who walk back ask for commits alone; who asks for more fills the gaps.
            (Some(_), _) => Filter::Folders,
        }
    }

    async fn fetch_filtered(&self, fetch: &Fetch<'_>, filter: Filter) -> Result<(), GitError> {
        let depth = match (fetch.depth, filter) {
            (Depth::Recent, Filter::Nothing) => "--depth=1".to_owned(),
            (Depth::Recent, _) => format!("--depth={RECENT}"),
            (Depth::Deepen(commits), _) => format!("--deepen={commits}"),
        };
        tracing::debug!(remote = self.remote(), %depth, ?filter, "git fetch");
        let mut command = self.fetching(filter, &[]).args(["--update-shallow", &depth]);
        if fetch.prune {
            command = command.arg("--prune");
        }
        let command = command.args(["--", NAME]).args(fetch.refspecs);
        let output = self.program.run("fetch", command).await?;
        if filter != Filter::Nothing && answer::ignores_filters(&output.stderr) {
            self.cache().set_filter(Filter::Nothing)?;
        }
        Ok(())
    }

    /// Fetches objects that an earlier fetch left out, in one round trip. What is wanted by its folder
    /// is left out again as `filter` says.
    pub(super) async fn fetch_objects(
        &self,
        wants: &[Want],
        filter: Filter,
    ) -> Result<(), GitError> {
        if let Some(library) = &self.library {
            // It has fetched all there is.
            return library.check();
        }
        tracing::debug!(
            remote = self.remote(),
            wants = wants.len(),
            ?filter,
            "git fetch of objects"
        );
        match self.try_fetch_objects(wants, filter).await {
            // It has come to refuse what it allowed when the cache was made.
            Err(error) if filter < Filter::Files && answer::is_about_a_filter(&error) => {
                self.try_fetch_objects(wants, filter.weaker()).await
            }
            result => result,
        }
    }

    async fn try_fetch_objects(&self, wants: &[Want], filter: Filter) -> Result<(), GitError> {
        let wanted = |id: fn(&Want) -> Vec<git2::Oid>| {
            let ids = wants.iter().flat_map(id);
            ids.map(|id| format!("{id}\n")).collect::<String>()
        };
        // A folder that the cache has is not sent again for its files' sake unless it is told to
        // (git 2.36).
        let command = self.fetching(filter, OBJECTS).args(["--refetch", "--stdin", "--"]);
        match self.program.run("fetch", command.arg(NAME).input(wanted(Want::folder))).await {
            Err(error) if answer::is_unknown_option(&error) => {
                let command = self.fetching(filter, OBJECTS).args(["--stdin", "--"]);
                let command = command.arg(NAME).input(wanted(Want::files));
                self.program.run("fetch", command).await.map(drop)
            }
            result => result.map(drop),
        }
    }

    /// Returns a `git fetch` from the remote, under its name in these settings.
    fn fetching(&self, filter: Filter, settings: &[(&str, &str)]) -> Command {
        let mut all = vec![(format!("remote.{NAME}.url"), self.remote().to_owned())];
        all.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let filter = filter.spec();
        if let Some(filter) = &filter {
            // Said by settings, it does not turn the cache into what libgit2 can't open.
            all.push((format!("remote.{NAME}.promisor"), "true".to_owned()));
            all.push((format!("remote.{NAME}.partialCloneFilter"), filter.clone()));
        }
        let command = self.program.command(&all).args([
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-prune",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
        ]);
        match filter {
            Some(filter) => command.arg(format!("--filter={filter}")),
            None => command,
        }
    }

    /// Fetches what there is of the references that match `patterns` (full names, each with one `*`)
    /// into those that `local` names; what the remote has no more is gone in the cache, too.
    pub(super) async fn fetch_matching(
        &self,
        patterns: &[String],
        local: impl Fn(&str) -> String,
    ) -> Result<(), GitError> {
        if let Some(library) = &self.library {
            return library.fetch_matching(self.cache().dir(), patterns, local).await;
        }
        tracing::debug!(remote = self.remote(), ?patterns, "git fetch");
        let command = self.program.command(&[]).args([
            "fetch",
            "--quiet",
            "--no-tags",
            "--prune",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--update-shallow",
            "--depth=1",
            "--",
            self.remote(),
        ]);
        let refspecs = patterns.iter().map(|pattern| format!("+{pattern}:{}", local(pattern)));
        let output = self.program.start(command.args(refspecs)).await?;
        // With a depth and nothing that matches, git 2.47 says nothing and ends with 1.
        match output.status.success() || output.stderr.trim().is_empty() {
            true => Ok(()),
            false => Err(answer::failure("fetch", self.remote(), &output.stderr)),
        }
    }

    /// Returns the remote's references that match `patterns`; tags are resolved to their commits.
    pub(super) async fn list(&self, patterns: &[&str]) -> Result<Vec<Reference>, GitError> {
        if let Some(library) = &self.library {
            return library.list(patterns).await;
        }
        let command = self.program.command(&[]).args(["ls-remote", "--quiet", "--", self.remote()]);
        let output = self.program.run("ls-remote", command.args(patterns)).await?;
        Ok(references(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Returns the name of the branch that the remote's `HEAD` points at.
    pub(super) async fn head(&self) -> Result<Option<String>, GitError> {
        if let Some(library) = &self.library {
            return library.head().await;
        }
        let command = self.program.command(&[]).args(["ls-remote", "--quiet", "--symref", "--"]);
        let output = self.program.run("ls-remote", command.args([self.remote(), "HEAD"])).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let branch = text.lines().find_map(|line| line.strip_prefix("ref: refs/heads/"));
        Ok(branch.and_then(|line| line.split('\t').next()).map(ToOwned::to_owned))
    }

    /// Moves `branch` from `expected` to `commit`. An empty side of a refspec would delete the
    /// branch, and an empty lease means that it must not exist; hence the types.
    pub(super) async fn push(
        &self,
        commit: &CommitId,
        branch: &str,
        expected: Option<&CommitId>,
    ) -> Result<Pushed, GitError> {
        tracing::debug!(remote = self.remote(), branch, %commit, "git push");
        let reference = format!("refs/heads/{branch}");
        let (commit, expected) = (commit.clone(), expected.cloned());
        let mut pushed = self.push_all(&[Move { reference, commit, expected }]).await?;
        pushed.remove(0)
    }

    /// Moves references, each by itself, in one push; returns what came of each, in order.
    pub(super) async fn push_all(
        &self,
        moves: &[Move],
    ) -> Result<Vec<Result<Pushed, GitError>>, GitError> {
        if let Some(library) = &self.library {
            return Ok(library.push_all(self.cache().dir(), moves).await);
        }
        let expected = |m: &Move| m.expected.as_ref().map_or("", CommitId::as_str).to_owned();
        let leases =
            moves.iter().map(|m| format!("--force-with-lease={}:{}", m.reference, expected(m)));
        let refspecs = moves.iter().map(|m| format!("{}:{}", m.commit, m.reference));
        let command = self.program.command(&[]).args([
            "push",
            "--porcelain",
            "--no-progress",
            "--no-verify",
            "--no-follow-tags",
            "--recurse-submodules=no",
        ]);
        let command = command.args(leases).args(["--", self.remote()]).args(refspecs);
        let output = match self.program.start(command).await {
            Ok(output) => output,
            Err(GitError::Unreachable { remote, message }) => {
                let unclear = |_| {
                    let (remote, message) = (remote.clone(), message.clone());
                    Ok(Pushed::Unclear(GitError::Unreachable { remote, message }))
                };
                return Ok(moves.iter().map(unclear).collect());
            }
            Err(error) => return Err(error),
        };
        if let Some(damage) = self.program.damage(&output) {
            return Err(damage);
        }
        let stdout = String::from_utf8_lossy(&output.stdout);
        let success = output.status.success();
        let told = |m: &Move| {
            answer::pushed(self.remote(), &m.reference, success, &stdout, &output.stderr)
        };
        Ok(moves.iter().map(told).collect())
    }

    /// Returns the same remote with another bare repository to fetch into and push from, in which
    /// there are no services.
    pub(super) fn with_cache(&self, cache: Cache) -> Self {
        let library = self.library.clone();
        Self { program: self.program.with_cache(cache), library, services_at: None }
    }
}

/// Returns the references in what `git ls-remote` prints.
pub(super) fn references(listing: &str) -> Vec<Reference> {
    let mut references: Vec<Reference> = Vec::new();
    for (id, name) in listing.lines().filter_map(|line| line.split_once('\t')) {
        let Ok(id) = id.parse() else { continue };
        // `refs/tags/x^{}` follows `refs/tags/x` and is the commit that an annotated tag is about.
        match (name.strip_suffix("^{}"), references.last_mut()) {
            (Some(tag), Some(last)) if last.name == tag => last.id = id,
            _ => references.push(Reference { name: name.to_owned(), id }),
        }
    }
    references
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_stands_for_its_commit() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let listing = format!("{a}\trefs/heads/v1\n{a}\trefs/tags/v1\n{b}\trefs/tags/v1^{{}}\n");
        let found = references(&listing);
        let found: Vec<_> = found.iter().map(|r| (r.name.as_str(), r.id.as_str())).collect();
        assert_eq!(found, [("refs/heads/v1", a.as_str()), ("refs/tags/v1", b.as_str())]);
    }
}
