//! Changes of several processes that share a cache, in one commit.

use std::collections::BTreeSet;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::git::{CommitId, GitError, LandError, Landing, Pace, PendingChange, Repository};
use deployctl::kustomize::FileTree as _;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::{caches, files, me};
use crate::support::git_server::{GitServer, git_that, world};
use crate::support::wait_until;

/// A machine on which several processes use one cache.
struct Machine {
    home: TempDir,
    server: GitServer,
}

impl Machine {
    fn new(files: &[(&str, &str)]) -> Self {
        Self { home: TempDir::new().unwrap(), server: GitServer::bare(files) }
    }

    async fn process(&self, variables: &[(&str, &str)]) -> Repository {
        let environment = world(self.home.path(), variables);
        let remote = self.server.path();
        Repository::open(remote.as_str(), &caches(&self.home), &environment).await.unwrap()
    }

    /// Starts a process that appends `line` to the file at `path`.
    async fn append(&self, path: &str, line: &str) -> JoinHandle<Result<CommitId, LandError>> {
        let (repository, path) = (self.process(&[]).await, path.to_owned());
        let line = line.to_owned();
        tokio::spawn(async move { append(&repository, &path, &line).await })
    }

    fn queue(&self) -> Option<Utf8PathBuf> {
        let mut entries = caches(&self.home).read_dir_utf8().unwrap();
        entries.find_map(|entry| {
            let path = entry.unwrap().into_path();
            path.extension().is_some_and(|end| end.starts_with("queue")).then_some(path)
        })
    }

    /// Returns how many files of the queue end so.
    fn queued(&self, end: &str) -> usize {
        let Some(queue) = self.queue() else { return 0 };
        let entries = queue.read_dir_utf8().unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().path().extension() == Some(end)).count()
    }

    /// Has the server wait with each push until [`Machine::open`], and then run `script`.
    fn close(&self, script: &str) -> Utf8PathBuf {
        let gate = self.server.path().join("gate");
        self.server.hook(&format!(
            "touch {gate}.waits; while test ! -e {gate}; do sleep 0.01; done; {script}"
        ));
        gate
    }

    /// Starts `first`, and when it is being pushed, `rest`, which wait until the gate is open.
    async fn behind_a_gate(
        &self,
        script: &str,
        rest: &[(&str, &str)],
    ) -> Vec<Result<CommitId, LandError>> {
        let gate = self.close(script);
        let mut tasks = vec![self.append("first", "x").await];
        let waits = Utf8PathBuf::from(format!("{gate}.waits"));
        until(|| waits.exists()).await;
        for (path, line) in rest {
            tasks.push(self.append(path, line).await);
        }
        until(|| self.queued("change") == rest.len() + 1).await;
        std::fs::write(gate, "").unwrap();
        let mut results = Vec::new();
        for task in tasks {
            results.push(task.await.unwrap());
        }
        results
    }

    fn commits(&self) -> usize {
        self.server.git(&["rev-list", "--count", "main"]).trim().parse::<usize>().unwrap() - 1
    }

    /// Checks that each change is in one commit, and returns how many changes there are.
    fn changes(&self) -> usize {
        let format = "--format=%(trailers:key=Deployctl-Change,valueonly)";
        let log = self.server.git(&["log", format, "main"]);
        let mut ids: Vec<&str> = log.lines().filter(|line| !line.is_empty()).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "a change landed twice");
        self.server.git(&["fsck", "--strict"]);
        count
    }
}

async fn until(mut ready: impl FnMut() -> bool + Send) {
    tokio::task::block_in_place(|| wait_until("the others", &mut ready));
}

fn pending(base: CommitId, path: &str, text: &str) -> PendingChange {
    PendingChange {
        base,
        files: files(&[(path, text)]),
        reads: BTreeSet::new(),
        subject: format!("Change {path}"),
        body: String::new(),
        trailers: vec![("Deployctl-Service".to_owned(), path.to_owned())],
        environments: vec!["dev".to_owned()],
        authorship: me(),
        time: Timestamp::from_second(1_700_000_000).unwrap(),
    }
}

/// Appends `line` to the file at `path` of whatever is at the tip.
async fn append(repository: &Repository, path: &str, line: &str) -> Result<CommitId, LandError> {
    let mut pace = Pace::new(Duration::from_secs(60));
    let mut tip = repository.fetch_together(Some("main")).await?.tip;
    loop {
        let old = repository.tree(&tip)?.read(path.into()).unwrap().unwrap_or_default();
        let text = format!("{}{line}\n", String::from_utf8(old).unwrap());
        let change = pending(tip, path, &text);
        match repository.land(&change, "main", &mut pace, &|_| ()).await? {
            Landing::Landed { commit } => return Ok(commit),
            Landing::Moved { tip: next } => tip = next,
            Landing::Unchanged { .. } => panic!("a line more is a change"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_for_a_push_go_together_in_the_next() {
    let machine = Machine::new(&[("a", "1\n")]);
    let rest = ["a", "b", "c", "dir/d"].map(|path| (path, "2"));
    let results = machine.behind_a_gate("", &rest).await;
    let commits: Vec<CommitId> = results.into_iter().map(Result::unwrap).collect();
    assert!(commits[1..].iter().all(|commit| *commit == commits[1]), "{commits:?}");
    assert_eq!((machine.commits(), machine.changes()), (2, 5));
    assert_eq!(machine.server.file("main", "a"), "1\n2\n");
    assert_eq!(machine.server.file("main", "dir/d"), "2\n");
    let subject = machine.server.git(&["log", "-1", "--format=%s", "main"]);
    assert_eq!(subject, "Deploy 4 changes to dev\n");
    let left = machine.queued("change") + machine.queued("taken") + machine.queued("answer");
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_file_follow_one_another() {
    let machine = Machine::new(&[]);
    let rest = ["1", "2", "3", "4"].map(|line| ("one", line));
    let results = machine.behind_a_gate("", &rest).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!((machine.commits(), machine.changes()), (5, 5));
    let file = machine.server.file("main", "one");
    let mut lines: Vec<&str> = file.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["1", "2", "3", "4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_change_of_several_is_made_once() {
    let machine = Machine::new(&[]);
    let results = machine.behind_a_gate("", &[("one", "same"), ("one", "same")]).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!((machine.commits(), machine.changes()), (2, 3));
    assert_eq!(machine.server.file("main", "one"), "same\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_does_not_take_the_others_along() {
    let machine = Machine::new(&[]);
    let refuse = "while read old new ref; do if git diff --name-only $old $new | grep -q frozen; \
                  then echo 'frozen until monday' >&2; exit 1; fi; done";
    let rest = [("a", "1"), ("frozen", "1"), ("b", "1")];
    let results = machine.behind_a_gate(refuse, &rest).await;
    let refused = results[2].as_ref().unwrap_err();
    assert!(matches!(refused, LandError::Git(GitError::Refused { .. })), "{refused}");
    assert!(refused.to_string().contains("frozen until monday"), "{refused}");
    assert!(results[0].is_ok() && results[1].is_ok() && results[3].is_ok(), "{results:?}");
    assert_eq!(machine.changes(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_dies_with_the_answer_is_followed_by_one_who_looks() {
    let machine = Machine::new(&[("a", "1\n")]);
    let dir = TempDir::new().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    for landed in [true, false] {
        let push = if landed { "$git \"$@\" >/dev/null 2>&1; " } else { "" };
        let mark = dir.join(format!("pushed-{landed}"));
        // The first push is that of the one who has to wait for the other.
        let script = format!("{push}touch {mark}; exec sleep 60");
        let path = git_that(dir, "push", &script);
        let dying = machine.process(&[("PATH", &path)]).await;
        let before = machine.commits();
        let gate = machine.server.path().join("gate");
        let _ = std::fs::remove_file(&gate);
        machine.close("");
        // Somebody else leads, so that the two wait together.
        let first = machine.append("a", "first").await;
        let waits = Utf8PathBuf::from(format!("{gate}.waits"));
        until(|| waits.exists()).await;
        let dying = tokio::spawn(async move { append(&dying, "b", "dies").await });
        until(|| machine.queued("change") == 2).await;
        let living = machine.append("c", "lives").await;
        until(|| machine.queued("change") == 3).await;
        std::fs::write(&gate, "").unwrap();
        first.await.unwrap().unwrap();
        // Whoever of the two leads: if it is the one who dies, then with the other's change.
        until(|| mark.exists() || living.is_finished()).await;
        dying.abort();
        living.await.unwrap().unwrap();
        assert!(machine.server.file("main", "c").contains("lives"), "{landed}");
        let _ = std::fs::remove_file(&waits);
        assert!(machine.commits() > before);
        machine.changes();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_looked_up_and_a_lost_push_is_made_again() {
    let dir = TempDir::new().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let lost = "echo 'fatal: the remote end hung up unexpectedly' >&2; exit 128";
    let once = format!("if test ! -e {dir}/lost; then touch {dir}/lost; DO {lost}; fi");
    for (what, act) in [("landed", "$git \"$@\" >/dev/null 2>&1;"), ("lost", "")] {
        let machine = Machine::new(&[]);
        let _ = std::fs::remove_file(dir.join("lost"));
        let path = git_that(dir, "push", &once.replace("DO", act));
        let process = machine.process(&[("PATH", &path)]).await;
        let commit = append(&process, "a", "1").await.unwrap();
        assert_eq!((machine.commits(), machine.changes()), (1, 1), "{what}");
        assert_eq!(machine.server.git(&["rev-parse", "main"]).trim(), commit.as_str(), "{what}");
    }
    // Somebody pushes on top before the lookup.
    let machine = Machine::new(&[]);
    let _ = std::fs::remove_file(dir.join("lost"));
    let on_top = format!(
        "$git \"$@\" >/dev/null 2>&1; (cd {} && for n in 1 2 3; do new=$($git -c user.name=x -c \
         user.email=x commit-tree -p main -m x main^{{tree}}) && $git update-ref refs/heads/main \
         $new; done);",
        machine.server.path()
    );
    let path = git_that(dir, "push", &once.replace("DO", &on_top));
    append(&machine.process(&[("PATH", &path)]).await, "a", "1").await.unwrap();
    assert_eq!((machine.commits(), machine.changes()), (4, 1));
}

#[tokio::test]
async fn a_push_that_nobody_can_say_anything_about_is_said_to_be_that() {
    let machine = Machine::new(&[]);
    let dir = TempDir::new().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let path =
        git_that(dir, "push", "echo 'fatal: the remote end hung up unexpectedly' >&2; exit 1");
    let process = machine.process(&[("PATH", &path)]).await;
    let error = append(&process, "a", "1").await.unwrap_err();
    assert!(error.to_string().ends_with("whether the push has landed is not known"), "{error}");
}

#[tokio::test]
async fn a_branch_that_somebody_has_taken_back_is_where_it_is() {
    for branch in [Some("main"), None] {
        let machine = Machine::new(&[("a", "1\n")]);
        machine.process(&[]).await.fetch_together(branch).await.unwrap();
        append(&machine.process(&[]).await, "a", "2").await.unwrap();
        machine.server.git(&["update-ref", "refs/heads/main", "main^"]);
        let process = machine.process(&[]).await;
        let tip = process.fetch_together(branch).await.unwrap().tip;
        let change = pending(tip, "a", "1\n2\n");
        let mut pace = Pace::new(Duration::from_secs(60));
        let landing = process.land(&change, "main", &mut pace, &|_| ()).await.unwrap();
        assert!(matches!(landing, Landing::Landed { .. }), "{landing:?}");
        assert_eq!(machine.server.file("main", "a"), "1\n2\n");
    }
}

#[tokio::test]
async fn without_a_queue_everybody_goes_alone() {
    let machine = Machine::new(&[]);
    append(&machine.process(&[]).await, "a", "1").await.unwrap();
    let queue = machine.queue().unwrap();
    // Somebody else could write it.
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&queue, std::fs::Permissions::from_mode(0o770)).unwrap();
    append(&machine.process(&[]).await, "a", "2").await.unwrap();
    std::fs::remove_dir_all(&queue).unwrap();
    std::fs::write(&queue, "").unwrap();
    append(&machine.process(&[]).await, "a", "3").await.unwrap();
    assert_eq!(machine.server.file("main", "a"), "1\n2\n3\n");
    assert_eq!(std::fs::read(&queue).unwrap(), b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_the_queue_is_not_believed() {
    let machine = Machine::new(&[]);
    append(&machine.process(&[]).await, "a", "1").await.unwrap();
    let queue = machine.queue().unwrap();
    let lead = queue
        .read_dir_utf8()
        .unwrap()
        .find_map(|entry| entry.unwrap().file_name().strip_suffix(".lead").map(ToOwned::to_owned));
    let branch = lead.unwrap();
    let forged = [
        ("1111111111111111.change", "\0".repeat(100)),
        ("2222222222222222.taken", "{}".to_owned()),
        ("3333333333333333.change", "x".repeat(5 << 20)),
        ("4444444444444444.answer", r#"{"outcome":"alone"}"#.to_owned()),
    ];
    let mut locks = Vec::new();
    for (name, text) in &forged {
        let path = queue.join(format!("{branch}-{name}"));
        std::fs::write(&path, text).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        // Its process lives, or so it seems.
        file.try_lock().unwrap();
        locks.push(file);
    }
    for name in [".tip", ".looks"] {
        std::fs::write(queue.join(format!("{branch}{name}")), "--upload-pack=x").unwrap();
    }
    append(&machine.process(&[]).await, "a", "2").await.unwrap();
    for (name, _) in &forged {
        assert!(!queue.join(format!("{branch}-{name}")).exists(), "{name}");
    }
    assert_eq!(machine.server.file("main", "a"), "1\n2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_serves_all_who_asked_before_it() {
    let machine = Machine::new(&[("a", "1\n")]);
    let dir = TempDir::new().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let waits = format!("echo x >> {dir}/fetches\nwhile test ! -e {dir}/go; do sleep 0.01; done");
    let path = git_that(dir, "fetch", &waits);
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let process = machine.process(&[("PATH", &path)]).await;
        tasks.push(tokio::spawn(async move { process.fetch_together(Some("main")).await }));
    }
    until(|| dir.join("fetches").exists()).await;
    std::fs::write(dir.join("go"), "").unwrap();
    for task in tasks {
        let look = task.await.unwrap().unwrap();
        assert_eq!(look.tip.as_str(), machine.server.git(&["rev-parse", "main"]).trim());
    }
    // The one who was first, and one for all who came while it looked; a few may come later.
    let fetches = std::fs::read_to_string(dir.join("fetches")).unwrap().lines().count();
    assert!((1..8).contains(&fetches), "{fetches}");
}
