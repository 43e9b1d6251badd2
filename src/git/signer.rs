//! Signs commits, as git's own settings say: `commit.gpgSign`, `gpg.format` (openpgp, x509, ssh),
//! `user.signingKey`, `gpg.ssh.defaultKeyCommand`, and the programs' names.
//!
//! libgit2 makes the commit's text, the same programs as git's own `gpg-interface.c` sign it, with
//! the same arguments, and libgit2 stores both. `git commit-tree -S` would start one process more,
//! asks at the terminal, and is not there on a machine without `git`. Nothing here asks: what needs
//! a passphrase takes it from an agent, or fails.

use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::user_config::UserConfig;
use super::{GitError, Identity, credentials};
use crate::system::{Command, Environment, Output};

/// A key, and the program that signs with it.
#[derive(Debug, Clone)]
pub struct Signer {
    program: String,
    key: Key,
    environment: Environment,
    /// The folder that relative paths are meant from.
    dir: Utf8PathBuf,
}

#[derive(Debug, Clone)]
enum Key {
    /// What `gpg` or `gpgsm` finds the key by.
    Gpg(String),
    /// An SSH public key, whose private half an agent has.
    Literal(String),
    /// The file of an SSH key, private or public.
    File(Utf8PathBuf),
    /// A command that prints an SSH public key.
    Printed(String),
}

/// How long a signature may take: a key on a device waits to be touched.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

impl Signer {
    /// Returns what `config` says that commits are signed with, or `None` if they are not.
    pub(super) fn find(
        config: &UserConfig,
        committer: &Identity,
        environment: &Environment,
        dir: &Utf8Path,
    ) -> Result<Option<Self>, GitError> {
        if !config.is_on("commit.gpgsign")? {
            return Ok(None);
        }
        let key = config.get("user.signingkey");
        let gpg = || {
            let committer = || format!("{} <{}>", committer.name, committer.email);
            Key::Gpg(key.map_or_else(committer, ToOwned::to_owned))
        };
        let (keys, default, key): (&[&str], _, _) = match config.get("gpg.format") {
            None | Some("openpgp") => (&["gpg.program", "gpg.openpgp.program"], "gpg", gpg()),
            Some("x509") => (&["gpg.x509.program"], "gpgsm", gpg()),
            Some("ssh") => (&["gpg.ssh.program"], "ssh-keygen", ssh_key(config, environment, dir)?),
            Some(other) => {
                let message = format!(
                    "invalid value for `gpg.format`: `{other}`; expected openpgp, x509 or ssh"
                );
                return Err(GitError::Settings { message });
            }
        };
        let program = in_home(config.last_of(keys).unwrap_or(default), environment);
        let (environment, dir) = (environment.clone(), dir.to_owned());
        Ok(Some(Self { program, key, environment, dir }))
    }

    /// Returns the signature of `text`, armoured.
    pub(super) async fn sign(&self, text: &[u8]) -> Result<String, GitError> {
        match &self.key {
            Key::Gpg(key) => self.gpg(key, text).await,
            Key::File(path) => self.ssh(path, false, text).await,
            Key::Literal(key) => self.ssh_literal(key, text).await,
            Key::Printed(command) => {
                let key = self.printed_key(command).await?;
                self.ssh_literal(&key, text).await
            }
        }
    }

    async fn gpg(&self, key: &str, text: &[u8]) -> Result<String, GitError> {
        let mut command = self.command(&self.program);
        // Other programs that stand in for gpg may not know this.
        if matches!(Utf8Path::new(&self.program).file_name(), Some("gpg" | "gpg2" | "gpgsm")) {
            command = command.args(["--batch", "--no-tty", "--pinentry-mode=error"]);
        }
        let command = command.args(["--status-fd=2", "-bsau", key]).input(text);
        let output = self.run(command).await?;
        let created = |line: &str| line.starts_with("[GNUPG:] SIG_CREATED ");
        match output.status.success() && output.stderr.lines().any(created) {
            true => Ok(without_cr(&output.stdout)),
            false => Err(self.failed(&output)),
        }
    }

    async fn ssh_literal(&self, key: &str, text: &[u8]) -> Result<String, GitError> {
        let file = self.scratch(key.trim().as_bytes())?;
        let path =
            Utf8Path::from_path(file.path()).ok_or_else(|| self.error("TMPDIR is not UTF-8"))?;
        self.ssh(path, true, text).await
    }

    async fn ssh(&self, key: &Utf8Path, in_agent: bool, text: &[u8]) -> Result<String, GitError> {
        // Of standard input, programs that stand in for ssh-keygen may not make a signature.
        let folder = tempfile::tempdir().map_err(|error| self.error(error.to_string()))?;
        let folder =
            Utf8Path::from_path(folder.path()).ok_or_else(|| self.error("TMPDIR is not UTF-8"))?;
        let (commit, signature) = (folder.join("commit"), folder.join("commit.sig"));
        std::fs::write(&commit, text).map_err(|error| self.error(error.to_string()))?;
        let command = self.command(&self.program);
        let command = command.args(["-Y", "sign", "-n", "git", "-f", key.as_str()]);
        let command = if in_agent { command.arg("-U") } else { command };
        let output = self.run(command.arg(&commit)).await?;
        match std::fs::read(&signature) {
            Ok(signature) if output.status.success() => Ok(without_cr(&signature)),
            _ => Err(self.failed(&output)),
        }
    }

    async fn printed_key(&self, text: &str) -> Result<String, GitError> {
        let output = self.run(self.command("sh").args(["-c", text])).await?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let key = printed.lines().next().and_then(literal).filter(|_| output.status.success());
        key.map(ToOwned::to_owned).ok_or_else(|| {
            let told = output.stderr.trim();
            self.error(format!("`gpg.ssh.defaultKeyCommand` printed no key: {told}"))
        })
    }

    /// Returns a run of `program` that sees no token and asks nobody.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program)
            .only_env(&self.environment)
            .current_dir(&self.dir)
            .deadline(PATIENCE)
            .env("LC_ALL", "C")
            .env("SSH_ASKPASS", "false")
            .env("SSH_ASKPASS_REQUIRE", "force");
        for name in ["DISPLAY", "WAYLAND_DISPLAY", "GPG_TTY", "LANGUAGE"] {
            command = command.env_remove(name);
        }
        for name in credentials::TOKENS {
            command = command.env_remove(name);
        }
        command
    }

    async fn run(&self, command: Command) -> Result<Output, GitError> {
        command.output().await.map_err(|error| self.error(error.to_string()))
    }

    fn scratch(&self, bytes: &[u8]) -> Result<tempfile::NamedTempFile, GitError> {
        let made = tempfile::NamedTempFile::new().and_then(|mut file| {
            file.write_all(bytes)?;
            file.flush()?;
            Ok(file)
        });
        made.map_err(|error| self.error(error.to_string()))
    }

    fn failed(&self, output: &Output) -> GitError {
        // What is for programs is noise to people.
        let told = output.stderr.lines().map(str::trim);
        let told = told.filter(|line| !line.is_empty() && !line.starts_with("[GNUPG:]"));
        let told: Vec<&str> = told.take(4).collect();
        match told.is_empty() {
            true => self.error(format!("it ended with {}", output.status)),
            false => self.error(told.join("; ")),
        }
    }

    fn error(&self, message: impl Into<String>) -> GitError {
        GitError::Signing { program: self.program.clone(), message: message.into() }
    }
}

fn ssh_key(
    config: &UserConfig,
    environment: &Environment,
    dir: &Utf8Path,
) -> Result<Key, GitError> {
    match (config.get("user.signingkey"), config.get("gpg.ssh.defaultkeycommand")) {
        (Some(key), _) => Ok(match literal(key) {
            Some(key) => Key::Literal(key.to_owned()),
            None => Key::File(dir.join(in_home(key, environment))),
        }),
        (None, Some(command)) => Ok(Key::Printed(command.to_owned())),
        (None, None) => Err(GitError::Settings {
            message: "commits are to be signed with an SSH key, but neither `user.signingKey` nor \
                      `gpg.ssh.defaultKeyCommand` is set"
                .to_owned(),
        }),
    }
}

/// Returns the SSH public key that `text` is, or `None` if it is the name of a file.
fn literal(text: &str) -> Option<&str> {
    text.strip_prefix("key::").or(text.starts_with("ssh-").then_some(text))
}

/// Returns `path` with the home folder in the place of `~`.
fn in_home(path: &str, environment: &Environment) -> String {
    match (path.strip_prefix("~/"), environment.get("HOME")) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        _ => path.to_owned(),
    }
}

fn without_cr(signature: &[u8]) -> String {
    String::from_utf8_lossy(signature).replace('\r', "")
}
