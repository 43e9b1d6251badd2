//! Files that git knows to be unchanged are not read in a fresh clone, and whatever only looks
//! unchanged is read: each trick is played on a clone by the real `git`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::build::inputs::{Blobs, InputRequest, Inputs, Memo};
use deployctl::git::Checkouts;
use deployctl::image::{Digest, Dockerfile, Method, Recipe};
use deployctl::system::Environment;
use tempfile::TempDir;

use crate::support::git_server::git;

/// A machine with a folder for caches, and a repository whose clones are built from.
struct Machine {
    temp: TempDir,
}

/// What reading a context came to.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    digest: Digest,
    files: usize,
}

/// Large enough for git to be asked.
const LARGE: &str = "large";
const LARGE_SIZE: usize = 5 << 20;

const FILES: [(&str, &str); 7] = [
    ("Dockerfile", "FROM scratch\nCOPY . /\n"),
    ("app/main.rs", "fn main() {}\n"),
    ("app/lines.txt", "one\ntwo\nthree\n"),
    ("app/deep/er/page.html", "<h1>hello</h1>\n"),
    ("empty", ""),
    ("letters", "abcdefgh\n"),
    ("run.sh", "#!/bin/sh\n"),
];

impl Machine {
    /// Returns one whose repository has `FILES` and `more`, and on which a clone was read.
    fn with(more: &[(&str, &[u8])]) -> Self {
        let machine = Self { temp: TempDir::new().unwrap() };
        let origin = machine.path("origin");
        fs::create_dir(&origin).unwrap();
        git(&origin, &["init", "-q", "-b", "main", "."]);
        let files = FILES.iter().map(|(path, text)| (*path, text.as_bytes()));
        for (path, bytes) in files.chain(more.iter().copied()) {
            write(&origin, path, bytes);
        }
        write(&origin, LARGE, &large());
        git(&origin, &["add", "-A"]);
        git(&origin, &["update-index", "--chmod=+x", "run.sh"]);
        git(&origin, &["commit", "-q", "-m", "first"]);
        machine.read_by_git(&machine.clone("first", &[]));
        machine
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.temp.path()).unwrap().join(name)
    }

    /// Returns a new clone; git has looked at it after it was made, so no entry is racy.
    fn clone(&self, name: &str, options: &[&str]) -> Utf8PathBuf {
        let (origin, folder) = (self.path("origin"), self.path(name));
        // From a path git clones whole.
        let scheme =
            if options.iter().any(|it| it.starts_with("--filter")) { "file://" } else { "" };
        let origin = format!("{scheme}{origin}");
        let arguments = [&["clone", "-q"], options, &[&origin, folder.as_str()]].concat();
        git(&self.path(""), &arguments);
        settle(&folder);
        folder
    }

    /// Returns the inputs of the context as a run of deployctl reads them that sees it first.
    fn read_by_git(&self, context: &Utf8Path) -> Read {
        let checkouts = Checkouts::new(&self.environment());
        let blobs = Blobs::in_cache(
            &self.path("cache"),
            Box::new(move |folder, files| checkouts.blob_ids(folder, files)),
        );
        let blobs = Arc::new(blobs);
        let read = read(context, Memo::default().with_blobs(Arc::clone(&blobs)));
        blobs.save();
        read
    }

    fn environment(&self) -> Environment {
        Environment::from_iter([("HOME".to_owned(), self.path("home").into_string())])
    }

    /// Checks that the context is read right, and that so many files are not read.
    #[track_caller]
    fn check(&self, context: &Utf8Path, known: usize, what: &str) {
        let truth = read(context, Memo::default());
        let found = self.read_by_git(context);
        assert_eq!(found.digest, truth.digest, "{what}");
        assert_eq!(truth.files - found.files, known, "{what}: {} files", truth.files);
    }
}

fn large() -> Vec<u8> {
    vec![b'x'; LARGE_SIZE]
}

fn write(folder: &Utf8Path, path: &str, bytes: &[u8]) {
    let file = folder.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, bytes).unwrap();
}

/// Has git write the index once more, when the clock has moved on.
fn settle(folder: &Utf8Path) {
    std::thread::sleep(Duration::from_millis(30));
    git(folder, &["update-index", "-q", "--force-write-index"]);
    std::thread::sleep(Duration::from_millis(30));
}

fn read(context: &Utf8Path, mut memo: Memo) -> Read {
    let method = Method::Dockerfile(Dockerfile::default());
    let recipe = Recipe { context: ".".into(), platforms: Vec::new(), method };
    let request = InputRequest { context, recipe: &recipe, epoch: 0 };
    let digest = Inputs::read(&request, &mut memo).unwrap().digest();
    Read { digest, files: memo.reads() }
}

fn sh(folder: &Utf8Path, script: &str) {
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(folder).env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Leaves git's own folder out of the context, as ignore files do.
const IGNORE: (&str, &[u8]) = (".dockerignore", b".git\n");

/// All files of a clone with `IGNORE`.
const ALL: usize = FILES.len() + 2;

#[test]
fn a_second_clone_is_not_read() {
    let machine = Machine::with(&[IGNORE]);
    let first = machine.path("first");
    let all = read(&first, Memo::default());
    assert_eq!(all.files, ALL);
    let second = machine.clone("second", &[]);
    assert_eq!(machine.read_by_git(&second), Read { digest: all.digest.clone(), files: 0 });
    // Modes are not in the memo.
    fs::set_permissions(second.join("run.sh"), fs::Permissions::from_mode(0o644)).unwrap();
    machine.check(&second, ALL - 1, "a mode");
    assert_ne!(machine.read_by_git(&second).digest, all.digest);
    let copy = machine.path("copy");
    sh(&first, &format!("cp -a . {copy}"));
    machine.check(&copy, 0, "a copy has other inodes than its index says");
}

#[test]
fn clones_of_every_kind_are_known() {
    let machine = Machine::with(&[IGNORE]);
    let cases: [(&str, &[&str], &str, &str, usize); 9] = [
        ("sub-folder", &[], "cp Dockerfile app; truncate -s 5M app/untracked", "app", 3),
        ("worktree", &[], "git worktree add -q ../linked; cd ../linked", "../linked", ALL),
        ("partial", &["--filter=blob:none"], "", "", ALL),
        ("sparse", &["--sparse"], "git sparse-checkout set none", "", ALL - 3),
        ("version 4", &[], "git update-index --index-version 4", "", ALL),
        ("no sum", &[], "git -c index.skipHash=true update-index --force-write-index", "", ALL),
        ("locked", &[], "touch .git/index.lock", "", ALL),
        ("a link to it", &[], "ln -s \"$PWD\" ../link", "../link", ALL),
        ("conditional", &[], "git config includeIf.gitdir:/x.path /y", "", ALL),
    ];
    for (name, options, script, folder, known) in cases {
        let clone = machine.clone(name, options);
        sh(&clone, script);
        let folder = clone.join(folder);
        if !clone.join(".git/index.lock").exists() {
            settle(&folder);
        }
        machine.check(&folder, known, name);
    }
}

#[test]
fn what_only_looks_unchanged_is_read() {
    let machine = Machine::with(&[IGNORE]);
    let edit = "printf ABCDEFGH'\\n' >letters";
    let cases: [(&str, &str, usize); 16] = [
        ("an edit of the same size", edit, ALL - 1),
        ("with the old time", "touch -r letters t; {edit}; touch -r t letters; rm t", ALL - 1),
        ("by name", "printf ABCDEFGH'\\n' >l; touch -r letters l; mv l letters", ALL - 1),
        (
            "assumed unchanged",
            "git update-index --assume-unchanged letters; {settle}; {edit}",
            ALL - 1,
        ),
        ("assumed, and as it is", "git update-index --assume-unchanged letters", ALL - 1),
        ("skipped", "git update-index --skip-worktree letters; {edit}", ALL - 1),
        ("intended", "git rm -q --cached letters; git add -N letters", ALL - 1),
        ("not tracked", "git rm -q --cached letters", ALL - 1),
        ("a folder that was a file", "rm letters; mkdir letters; echo 1 >letters/a", ALL - 1),
        ("a link", "rm letters; ln -s empty letters", ALL - 1),
        ("an index of old", "touch -d 2001-01-01 .git/index", 0),
        ("a second name", "ln letters more", ALL - 1),
        ("time set ahead", "touch -d 2099-01-01 letters; git update-index letters", ALL - 1),
        (
            "old times for git",
            "git config core.trustctime false; git config core.checkStat minimal; touch -r letters t; {edit}; touch -r t letters; rm t; git status >t; rm t",
            ALL - 1,
        ),
        (
            "a conflict",
            "git rm -q --cached letters; o=$(git hash-object letters); printf '100644 %s 1\\tletters\\n100644 %s 2\\tletters\\n' $o $o | git update-index --index-info",
            ALL - 1,
        ),
        (
            "another repository's",
            "git rm -q --cached -r app; git -C app init -q; git -C app add .; echo app >>.dockerignore",
            ALL - 4,
        ),
    ];
    for (number, (name, script, known)) in cases.iter().enumerate() {
        let clone = machine.clone(&number.to_string(), &[]);
        let pause = "sleep 0.03; git update-index --force-write-index; sleep 0.03";
        sh(&clone, &script.replace("{edit}", edit).replace("{settle}", pause));
        machine.check(&clone, *known, name);
        settle(&clone);
        git(&clone, &["status", "--short"]);
        let truth = read(&clone, Memo::default());
        assert_eq!(machine.read_by_git(&clone).digest, truth.digest, "{name}, later");
    }
}

#[test]
fn a_file_that_is_written_in_the_same_tick_as_the_index_is_read() {
    let machine = Machine::with(&[IGNORE]);
    let clone = machine.clone("second", &[]);
    for _ in 0..20 {
        // The content that is remembered goes to the index, and another one to the file at once.
        fs::write(clone.join("letters"), "abcdefgh\n").unwrap();
        git(&clone, &["update-index", "letters"]);
        fs::write(clone.join("letters"), "ABCDEFGH\n").unwrap();
        let truth = read(&clone, Memo::default());
        assert_eq!(machine.read_by_git(&clone).digest, truth.digest);
    }
}

#[test]
fn line_ends_that_git_converts_are_seen() {
    let crlf: (&str, &[u8]) = ("windows.txt", b"one\r\ntwo\r\n");
    let mixed: (&str, &[u8]) = ("mixed.txt", b"one\r\ntwo\n");
    let machine = Machine::with(&[IGNORE, crlf, mixed]);
    // With LF that become CRLF: all but those without lines, and those that have a CR.
    let kept = ["empty", LARGE, "windows.txt", "mixed.txt"].len();
    for (name, autocrlf, known) in
        [("on", "true", kept), ("in", "input", ALL + 2), ("off", "false", ALL + 2)]
    {
        let clone = machine.clone(name, &["-c", &format!("core.autocrlf={autocrlf}")]);
        let text = fs::read(clone.join("app/lines.txt")).unwrap();
        assert_eq!(text.contains(&b'\r'), name == "on", "{name}");
        machine.check(&clone, known, name);
        git(&clone, &["config", "core.autocrlf", "false"]);
        machine.check(&clone, known, &format!("{name}, then off"));
    }
    let attributes = machine.clone("attributes", &[]);
    fs::write(attributes.join(".git/info/attributes"), "lines.txt text eol=crlf\n").unwrap();
    sh(&attributes, "rm app/lines.txt; git checkout -q .");
    settle(&attributes);
    machine.check(&attributes, ALL + 1, "by attributes");
}

/// A filter that keeps the size.
const ROT13: &str = "tr a-z n-za-m";

#[test]
fn what_filters_have_written_is_read() {
    let machine = Machine::with(&[IGNORE]);
    let attributes = |text: &str| format!("printf '%s\\n' '{text}' >.git/info/attributes");
    let again = "rm -r letters app; git checkout -q .";
    let filtered = |driver: &str, pattern: &str| {
        let set = attributes(&format!("{pattern} filter={driver}"));
        format!(
            "git config filter.{driver}.smudge '{ROT13}'; git config filter.{driver}.clean '{ROT13}'; {set}; {again}"
        )
    };
    let off = "rm .git/info/attributes";
    let no_config = "git config --remove-section filter.rot13";
    let cases: [(&str, String, usize); 8] = [
        ("a filter", filtered("rot13", "letters"), 0),
        ("with its attribute gone", format!("{}; {off}", filtered("rot13", "letters")), 0),
        ("with its driver gone", format!("{}; {no_config}", filtered("rot13", "letters")), ALL - 1),
        ("of a folder", format!("{}; {no_config}", filtered("rot13", "app/**")), 0),
        ("called lfs", format!("{}; {off}", filtered("lfs", "letters")), 0),
        ("a macro", attributes("[attr]rot filter=rot13"), 0),
        (
            "lfs itself",
            format!(
                "git config filter.lfs.smudge 'git-lfs smudge -- %f'; {}",
                attributes("*.html filter=lfs")
            ),
            ALL - 1,
        ),
        (
            "told by git",
            format!("printf '* ident\\n' >.gitattributes; git add .gitattributes; {again}"),
            0,
        ),
    ];
    for (number, (name, script, known)) in cases.iter().enumerate() {
        let clone = machine.clone(&number.to_string(), &[]);
        sh(&clone, script);
        settle(&clone);
        machine.check(&clone, *known, name);
    }
}

#[test]
fn what_a_filter_may_have_left_behind_is_not_remembered() {
    let id = "0123456789012345678901234567890123456789";
    let ident = format!("// $Id: {id} $\n");
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{id}{}\nsize 999\n",
        &id[..24]
    );
    let at_an_end = [&vec![b'x'; (128 << 10) - 2][..], ident.as_bytes()[3..].as_ref()].concat();
    let machine = Machine::with(&[
        IGNORE,
        ("ident.c", ident.as_bytes()),
        ("pointer", pointer.as_bytes()),
        ("at_an_end", &at_an_end),
    ]);
    let clone = machine.clone("second", &[]);
    machine.check(&clone, ALL, "never");
    let replaced = machine.clone("third", &[]);
    sh(&replaced, "echo '*.c ident' >.git/info/attributes; rm ident.c; git checkout -q .");
    settle(&replaced);
    assert_ne!(fs::read_to_string(replaced.join("ident.c")).unwrap(), ident);
    machine.check(&replaced, ALL, "ident");
    fs::remove_file(replaced.join(".git/info/attributes")).unwrap();
    machine.check(&replaced, ALL, "ident, taken away");
}

#[test]
fn attributes_files_that_git_does_not_know_as_they_are_say_nothing() {
    let attributes: (&str, &[u8]) = ("app/.gitattributes", b"*.txt text\n");
    let machine = Machine::with(&[IGNORE, attributes]);
    let all = ALL + 1;
    let cases = [
        ("as it is", "", all),
        ("edited", "echo '*.md text' >app/.gitattributes", all - 4),
        ("removed", "rm app/.gitattributes", all - 4),
        ("not tracked", "echo '*.md text' >app/deep/.gitattributes", all - 1),
        ("a link", "ln -s /dev/null .gitattributes", 0),
        ("by git's configuration", "git config core.attributesFile /dev/null", 0),
        ("a tree's", "git config attr.tree HEAD", 0),
    ];
    for (number, (name, script, known)) in cases.into_iter().enumerate() {
        let clone = machine.clone(&number.to_string(), &[]);
        sh(&clone, script);
        machine.check(&clone, known, name);
    }
}

#[test]
fn an_index_that_can_not_be_used_is_none() {
    let machine = Machine::with(&[IGNORE]);
    let cases = [
        ("none", "rm .git/index"),
        ("empty", ": >.git/index"),
        ("cut", "truncate -s -30 .git/index"),
        ("flipped", "printf Z | dd of=.git/index bs=1 seek=200 conv=notrunc 2>/dev/null"),
        ("noise", "head -c 3000 /dev/urandom >.git/index"),
        ("a pipe", "rm .git/index; mkfifo .git/index"),
        ("a folder", "rm .git/index; mkdir .git/index"),
        ("split", "git update-index --split-index"),
        ("no head", "rm .git/HEAD"),
        ("a link", "mv .git ../moved; echo 'gitdir: ../moved-too' >.git"),
        ("broken configuration", "echo '[' >.git/config"),
    ];
    for (number, (name, script)) in cases.into_iter().enumerate() {
        let clone = machine.clone(&number.to_string(), &[]);
        sh(&clone, script);
        machine.check(&clone, 0, name);
    }
    let sha256 = machine.path("sha256");
    fs::create_dir(&sha256).unwrap();
    sh(&machine.path("first"), &format!("git archive HEAD | tar -x -C {sha256}"));
    git(&sha256, &["init", "-q", "--object-format=sha256"]);
    git(&sha256, &["add", "-A"]);
    settle(&sha256);
    machine.check(&sha256, 0, "ids of another kind");
}

#[test]
fn git_is_not_asked_about_a_few_small_files() {
    let machine = Machine::with(&[IGNORE]);
    let clone = machine.clone("second", &[]);
    sh(&clone, "echo large >>.dockerignore");
    machine.check(&clone, 0, "without the large one");
}

#[test]
fn a_link_on_the_way_is_not_followed() {
    let machine = Machine::with(&[IGNORE]);
    let clone = machine.clone("second", &[]);
    fs::rename(clone.join("app"), machine.path("elsewhere")).unwrap();
    symlink(machine.path("elsewhere"), clone.join("app")).unwrap();
    machine.check(&clone, ALL - 3, "the link itself");
}
