//! What `git` says, understood: its messages under `LC_ALL=C` to errors by kind. What it says of a push
//! has a file of its own.

mod push;

use super::GitError;
use super::remote::shown;

#[cfg(any(feature = "git-https", feature = "git-ssh"))]
pub(super) use push::not_moved;
pub(super) use push::{Pushed, pushed};

/// Returns the error that `stderr` of a failed `git ACTION` stands for.
pub(super) fn failure(action: &'static str, remote: &str, stderr: &str) -> GitError {
    let message = summary(stderr);
    let remote = remote.to_owned();
    match kind(stderr) {
        Kind::Authentication => GitError::Authentication { remote, message },
        Kind::Forbidden => GitError::Forbidden { remote, message },
        Kind::HostKey => {
            let changed = stderr.contains("HAS CHANGED") || stderr.contains("REVOKED HOST KEY");
            GitError::HostKey { remote, changed }
        }
        Kind::NoRepository => GitError::NoRepository { remote, message },
        Kind::NoReference => {
            GitError::NoBranch { remote, branch: missing_reference(stderr), known: Vec::new() }
        }
        Kind::NoCommit => GitError::NoCommit { remote, revision: message },
        Kind::Ownership => GitError::Ownership { path: remote },
        Kind::Unreachable => GitError::Unreachable { remote, message },
        Kind::Other => GitError::Git { action, remote, message },
    }
}

/// Returns whether `error` says that the server, or this `git`, has no such filter.
pub(super) fn is_about_a_filter(error: &GitError) -> bool {
    match error {
        // upload-pack: `filter 'tree' not supported`; JGit: `filter requires an object`.
        GitError::Git { message, .. } | GitError::Unreachable { message, .. } => {
            message.contains("filter")
        }
        _ => false,
    }
}

/// What is said where a disk, a quota or a limit leaves no room, and what it means: the words of
/// errno(3), and git's own where it has forgotten the number (`csum-file.c`).
const NO_ROOM: &[(&str, &str)] = &[
    ("No space left on device", "No space left on device"),
    ("Out of diskspace", "No space left on device"),
    ("Disk quota exceeded", "Disk quota exceeded"),
    ("File too large", "File too large"),
    ("file size limit exceeded", "file size limit exceeded"),
];

/// Returns what `text`, which is no remote's, says about a disk that is full.
pub(super) fn no_room(text: &str) -> Option<&'static str> {
    let own = |said: &str| {
        let mut lines = text.lines().filter(|line| !line.starts_with("remote:"));
        lines.any(|line| line.contains(said))
    };
    NO_ROOM.iter().find(|(said, _)| own(said)).map(|(_, reason)| *reason)
}

/// Returns whether `error` says that this `git` is too old for an option.
pub(super) fn is_unknown_option(error: &GitError) -> bool {
    matches!(error, GitError::Git { message, .. } if message.contains("unknown option"))
}

/// Returns whether a fetch that went well has been told that the server sends everything.
pub(super) fn ignores_filters(stderr: &str) -> bool {
    stderr.contains("filtering not recognized by server")
}

#[derive(Clone, Copy)]
enum Kind {
    Authentication,
    Forbidden,
    HostKey,
    NoRepository,
    NoReference,
    NoCommit,
    Ownership,
    Unreachable,
    Other,
}

/// What to look for, in this order: the general sentences that git ends with come last.
///
/// The texts are those of git's `http.c`, `remote-curl.c`, `connect.c`, `setup.c`, `upload-pack.c`,
/// of OpenSSH and curl, and of what the large forges answer.
const KINDS: &[(&str, Kind)] = &[
    ("dubious ownership", Kind::Ownership),
    ("Host key verification failed", Kind::HostKey),
    ("couldn't find remote ref", Kind::NoReference),
    ("not our ref", Kind::NoCommit),
    ("unadvertised object", Kind::NoCommit),
    ("does not support shallow", Kind::Other),
    ("Authentication failed", Kind::Authentication),
    ("could not read Username", Kind::Authentication),
    ("could not read Password", Kind::Authentication),
    ("Invalid username or", Kind::Authentication),
    ("returned error: 401", Kind::Authentication),
    ("Permission denied (", Kind::Authentication),
    ("Too many authentication failures", Kind::Authentication),
    ("returned error: 403", Kind::Forbidden),
    ("Permission to ", Kind::Forbidden),
    ("not allowed to push", Kind::Forbidden),
    ("access denied", Kind::Forbidden),
    ("insufficient permission", Kind::Forbidden),
    ("key you are authenticating with has been marked as read only", Kind::Forbidden),
    ("epository not found", Kind::NoRepository),
    ("returned error: 404", Kind::NoRepository),
    ("does not appear to be a git repository", Kind::NoRepository),
    ("repository '", Kind::NoRepository),
    ("project you were looking for could not be found", Kind::NoRepository),
    ("Could not resolve", Kind::Unreachable),
    ("onnection refused", Kind::Unreachable),
    ("onnection timed out", Kind::Unreachable),
    ("onnection reset", Kind::Unreachable),
    ("onnection closed", Kind::Unreachable),
    // OpenSSH, when the server goes away in the middle.
    ("closed by remote host", Kind::Unreachable),
    ("Failed to connect", Kind::Unreachable),
    ("Couldn't connect", Kind::Unreachable),
    ("Network is unreachable", Kind::Unreachable),
    ("No route to host", Kind::Unreachable),
    ("Operation timed out", Kind::Unreachable),
    ("Operation too slow", Kind::Unreachable),
    ("RPC failed", Kind::Unreachable),
    ("early EOF", Kind::Unreachable),
    // fetch-pack.c: the connection ended where a pack was to begin.
    ("bad pack header", Kind::Unreachable),
    ("hung up unexpectedly", Kind::Unreachable),
    ("hung up upon initial contact", Kind::Unreachable),
    ("unexpected disconnect", Kind::Unreachable),
    ("expected flush after", Kind::Unreachable),
    ("unable to access '", Kind::Unreachable),
    ("unable to connect to", Kind::Unreachable),
    ("unable to look up", Kind::Unreachable),
    (NO_REASON, Kind::Unreachable),
];

/// What `git` says where the program that it reaches the remote by has told why; see `connect.c`.
const NO_REASON: &str = "Could not read from remote repository";

fn kind(stderr: &str) -> Kind {
    KINDS.iter().find(|(text, _)| stderr.contains(text)).map_or(Kind::Other, |(_, kind)| *kind)
}

fn missing_reference(stderr: &str) -> String {
    let name =
        stderr.split("couldn't find remote ref ").nth(1).and_then(|rest| rest.lines().next());
    let name = name.unwrap_or_default().trim();
    name.strip_prefix("refs/heads/").unwrap_or(name).to_owned()
}

/// Returns the lines of `stderr` that say what went wrong, in one line.
pub(super) fn summary(stderr: &str) -> String {
    let told: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let strong = |line: &&&str| line.starts_with("fatal:") || line.starts_with("error:");
    let remote = |line: &&&str| line.starts_with("remote:") && line.len() > "remote:".len();
    let mut lines: Vec<&str> = told.iter().filter(remote).copied().collect();
    lines.extend(told.iter().filter(strong));
    if lines.iter().any(|line| line.contains(NO_REASON)) {
        // What SSH says has no prefix, nor have greetings and warnings of its servers.
        let reason = |line: &&&str| {
            let known = |(text, _): &&(&str, Kind)| line.contains(text) && *text != NO_REASON;
            !remote(line) && !strong(line) && KINDS.iter().any(|kind| known(&kind))
        };
        lines.extend(told.iter().filter(reason));
        let reasons = lines.iter().filter(|line| !line.contains(NO_REASON)).copied();
        let reasons: Vec<&str> = reasons.collect();
        lines = if reasons.is_empty() { lines } else { reasons };
    }
    if lines.is_empty() {
        lines = told;
    }
    let plain = |line: &str| {
        let text = ["fatal:", "error:", "remote:"].iter().find_map(|p| line.strip_prefix(p));
        printable(text.unwrap_or(line).trim())
    };
    let mut text = lines.into_iter().take(6).map(plain).collect::<Vec<_>>().join("; ");
    if text.is_empty() {
        text.push_str("git gave no reason");
    }
    shown(&text)
}

/// Returns what the remote printed by itself: the `remote:` lines of `stderr`, bounded.
fn remote_text(stderr: &str) -> String {
    let lines = stderr.lines().filter_map(|line| line.strip_prefix("remote:"));
    let lines = lines.map(|line| printable(line.trim_end()));
    let lines: Vec<String> =
        lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).to_owned()).take(40).collect();
    shown(lines.join("\n").trim_matches('\n'))
}

/// Returns `line` without control characters: a remote must not drive the terminal.
fn printable(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(500).collect()
}

/// Returns the error that libgit2's failure of `action` stands for; `printed` is what the remote
/// printed.
#[cfg(any(feature = "git-https", feature = "git-ssh"))]
pub(super) fn library_failure(
    action: &'static str,
    remote: &str,
    error: &git2::Error,
    printed: &[u8],
) -> GitError {
    use git2::{ErrorClass, ErrorCode};
    let text = error.message();
    let (remote, message) = (remote.to_owned(), summary(&as_remote(printed, text)));
    // libgit2's `git_http_...` has the status in words of its own.
    let status = text.split("status code: ").nth(1).and_then(|rest| rest.get(..3));
    match (status, error.code(), error.class()) {
        (Some("401"), ..) | (_, ErrorCode::Auth, _) => GitError::Authentication { remote, message },
        (Some("403"), ..) => GitError::Forbidden { remote, message },
        (Some("404"), ..) => GitError::NoRepository { remote, message },
        (Some(_), ..) => GitError::Unreachable { remote, message },
        (None, code, class) => match kind(&message) {
            Kind::Other => match (code, class) {
                (ErrorCode::Eof | ErrorCode::Certificate | ErrorCode::Timeout, _)
                | (
                    _,
                    ErrorClass::Net
                    | ErrorClass::Os
                    | ErrorClass::Ssl
                    | ErrorClass::Ssh
                    | ErrorClass::Http,
                ) => GitError::Unreachable { remote, message },
                _ => GitError::Git { action, remote, message },
            },
            _ => failure(action, &remote, &message),
        },
    }
}

/// Returns what a remote printed as `git` shows it, and `rest` behind it.
#[cfg(any(feature = "git-https", feature = "git-ssh"))]
fn as_remote(printed: &[u8], rest: &str) -> String {
    let printed = String::from_utf8_lossy(printed);
    let lines: String = printed.lines().map(|line| format!("remote: {line}\n")).collect();
    lines + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_a_kind() {
        let told = [
            (
                "fatal: could not read Username for 'https://git.example.com': terminal prompts \
                 disabled",
                "`r` refused the credentials: could not read Username for \
                 'https://git.example.com': terminal prompts disabled",
            ),
            (
                "git@git.example.com: Permission denied (publickey).\nfatal: Could not read from \
                 remote repository.\n\nPlease make sure you have the correct access rights",
                "`r` refused the credentials: git@git.example.com: Permission denied (publickey).",
            ),
            (
                "remote: Permission to a/b.git denied to bot.\nfatal: unable to access \
                 'https://bot:hunter2@git.example.com/': The requested URL returned error: 403",
                "no permission on `r`: Permission to a/b.git denied to bot.; unable to access \
                 'https://***@git.example.com/': The requested URL returned error: 403",
            ),
            (
                "fatal: '/nowhere' does not appear to be a git repository\nfatal: Could not read \
                 from remote repository.",
                "there is no repository at `r`, or no permission to see it: '/nowhere' does not \
                 appear to be a git repository",
            ),
            (
                "Warning: Permanently added 'h' to the list of known hosts.\nssh: connect to host \
                 h port 22: Connection refused\nfatal: Could not read from remote repository.",
                "can't reach `r`: ssh: connect to host h port 22: Connection refused",
            ),
            (
                "Connection to h closed by remote host.",
                "can't reach `r`: Connection to h closed by remote host.",
            ),
            (
                "fatal: Could not read from remote repository.",
                "can't reach `r`: Could not read from remote repository.",
            ),
            ("fatal: couldn't find remote ref refs/heads/x/y", "`r` has no branch `x/y`"),
            (
                "fatal: unable to access 'http://h/': Could not resolve host: h",
                "can't reach `r`: unable to access 'http://h/': Could not resolve host: h",
            ),
            (
                "Host key verification failed.",
                "the SSH host key of `r` could not be verified: it is not in `known_hosts`",
            ),
            (
                "fatal: protocol error: bad pack header",
                "can't reach `r`: protocol error: bad pack header",
            ),
            ("", "`git fetch` failed for `r`: git gave no reason"),
        ];
        for (stderr, message) in told {
            assert_eq!(failure("fetch", "r", stderr).to_string(), message);
        }
    }

    #[test]
    fn a_full_disk_is_this_machines() {
        let full = Some("No space left on device");
        assert_eq!(no_room("fatal: write error: No space left on device\n"), full);
        assert_eq!(no_room("fatal: sha1 file '/x' write error. Out of diskspace\n"), full);
        assert_eq!(no_room("remote: fatal: write error: No space left on device\n"), None);
    }
}
