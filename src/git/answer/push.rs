//! The table that `git push --porcelain` prints, and the refusals that libgit2 is told.

#[cfg(any(feature = "git-https", feature = "git-ssh"))]
use super::as_remote;
use super::{failure, printable, remote_text};
use crate::git::{GitError, Push};

/// What a push that ran to its end came to.
pub(in crate::git) enum Pushed {
    /// As the remote told.
    Told(Push),
    /// The remote may or may not have moved the branch.
    Unclear(GitError),
}

/// Returns what `git push --porcelain` came to for `reference`, a full name. See git-push(1),
/// "OUTPUT".
pub(in crate::git) fn pushed(
    remote: &str,
    reference: &str,
    success: bool,
    stdout: &str,
    stderr: &str,
) -> Result<Pushed, GitError> {
    let branch = reference.strip_prefix("refs/heads/").unwrap_or(reference);
    let reference = format!(":{reference}");
    let mut rows = stdout.lines().filter_map(|line| {
        let mut columns = line.splitn(3, '\t');
        Some((columns.next()?, columns.next()?, columns.next()?))
    });
    let row = rows.find(|(_, names, _)| names.ends_with(&reference));
    match row {
        // Of several references one may be refused: the exit code tells of that one, and `Done` that
        // the remote has answered about all.
        Some((flag, _, _)) if flag != "!" && (success || stdout.lines().any(|l| l == "Done")) => {
            Ok(Pushed::Told(Push::Pushed))
        }
        Some((_, _, summary)) if is_race(summary) => Ok(Pushed::Told(Push::Raced)),
        Some((_, _, summary)) if summary.starts_with("[remote failure]") => {
            Ok(Pushed::Unclear(failure("push", remote, stderr)))
        }
        Some((_, _, summary)) => {
            let told = summary.split_once('(').map_or(summary, |(_, reason)| reason);
            let told = printable(told.trim_end_matches(')'));
            let is_incomplete = told == INCOMPLETE;
            let refused = refused(remote, branch, told, stderr);
            if is_incomplete { Ok(Pushed::Unclear(refused)) } else { Err(refused) }
        }
        None => match failure("push", remote, stderr) {
            error @ GitError::Unreachable { .. } => Ok(Pushed::Unclear(error)),
            error => Err(error),
        },
    }
}

/// Returns what came of a push by libgit2 that the remote has answered with `reason`.
#[cfg(any(feature = "git-https", feature = "git-ssh"))]
pub(in crate::git) fn not_moved(
    remote: &str,
    reference: &str,
    reason: &str,
    printed: &[u8],
) -> Result<Pushed, GitError> {
    match is_race(reason) {
        true => Ok(Pushed::Told(Push::Raced)),
        false => {
            let branch = reference.strip_prefix("refs/heads/").unwrap_or(reference);
            Err(refused(remote, branch, printable(reason), &as_remote(printed, "")))
        }
    }
}

fn refused(remote: &str, branch: &str, reason: String, stderr: &str) -> GitError {
    let remote = remote.to_owned();
    let text = remote_text(stderr);
    GitError::Refused { remote, branch: branch.to_owned(), reason, text }
}

/// The reasons by which git says that the branch is not where the pusher thought.
const RACES: &[&str] = &[
    "non-fast-forward",
    "fetch first",
    "stale info",
    "cannot lock ref",
    "incorrect old value provided",
    "failed to update ref",
    "reference already exists",
];

/// The reason by which git says that not all objects have arrived. The sender may have died, or its
/// cache been thrown away meanwhile, so that another try can help; a remote that can't store them
/// says so each time.
const INCOMPLETE: &str = "unpacker error";

fn is_race(summary: &str) -> bool {
    RACES.iter().any(|reason| summary.contains(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(row: &str, stderr: &str) -> String {
        let stdout = format!("To https://git.example.com/x\n{row}\nDone\n");
        let success = !row.starts_with('!');
        match pushed("r", "refs/heads/main", success, &stdout, stderr) {
            Ok(Pushed::Told(push)) => format!("{push:?}"),
            Ok(Pushed::Unclear(error)) => format!("unclear: {error}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn reads_the_table_of_a_push() {
        let row = |flag: &str, end: &str| format!("{flag}\tabc:refs/heads/main\t{end}");
        assert_eq!(push(&row(" ", "1a..2b"), ""), "Pushed");
        assert_eq!(push(&row("*", "[new branch]"), ""), "Pushed");
        assert_eq!(push(&row("=", "[up to date]"), ""), "Pushed");
        for reason in [
            "[rejected] (stale info)",
            "[rejected] (fetch first)",
            "[rejected] (non-fast-forward)",
            "[remote rejected] (cannot lock ref 'refs/heads/main': is at 1a but expected 2b)",
            "[remote rejected] (incorrect old value provided)",
        ] {
            assert_eq!(push(&row("!", reason), ""), "Raced", "{reason}");
        }
    }

    #[test]
    fn shows_what_a_hook_said() {
        let row = "!\tabc:refs/heads/main\t[remote rejected] (pre-receive hook declined)";
        let stderr = "remote: freeze until monday        \nremote: \x1b[31mask ops\x1b[0m\n\
                      error: failed to push some refs to 'https://git.example.com/x'\n";
        assert_eq!(
            push(row, stderr),
            "`r` refused the push to `main`: pre-receive hook declined\n  \
             freeze until monday\n  [31mask ops[0m"
        );
    }

    #[test]
    fn a_lost_answer_is_unclear() {
        let row = "!\tabc:refs/heads/main\t[remote failure] (remote failed to report status)";
        assert!(push(row, "").starts_with("unclear"));
        let row = "!\tabc:refs/heads/main\t[remote rejected] (unpacker error)";
        let stderr = "remote: fatal: write error: No space left on device\n";
        let told = push(row, stderr);
        assert!(told.starts_with("unclear") && told.contains("No space left"), "{told}");
        assert!(push("", "fatal: the remote end hung up unexpectedly\n").starts_with("unclear"));
    }
}
