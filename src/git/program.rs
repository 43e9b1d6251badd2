//! A run of the `git` program: its environment, its settings, and what it means when it fails.
//!
//! People's own set-up (SSH configuration, agents, credential helpers, proxies, `insteadOf`) applies;
//! what would make the result depend on it (hooks, tidying up, language, traces) is fixed here. What
//! is fetched, listed and pushed is the transport's.

use secrecy::ExposeSecret as _;

use super::cache::Cache;
use super::credentials::{Credentials, Settings, redact_tokens};
use super::remote::{Remote, host_of};
use super::{GitError, answer};
use crate::image::Digest;
use crate::system::{Command, CommandError, Environment, Output};

/// The `git` program for one remote and one cache.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// Where it is; empty where there is none, and then it is not run.
    path: String,
    remote: Remote,
    /// The bare repository that is fetched into and pushed from.
    cache: Cache,
    environment: Environment,
    credentials: Option<Credentials>,
    ssh: Option<&'static str>,
}

/// Where a repository is and what it consists of; `git rev-parse --local-env-vars` lists them.
const LOCATIONS: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// What, besides a token, decides as whom people reach a remote and how they sign.
const PRINCIPAL: &[&str] = &[
    "HOME",
    "XDG_CONFIG_HOME",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_ASKPASS",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "SSH_AUTH_SOCK",
    "GNUPGHOME",
];

const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    // A cache that has grown is made anew, which is faster than tidying it up.
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    // A connection that carries nothing for a minute is dead.
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "60"),
];

impl Program {
    /// Returns the program at `path`, or one that is not run if there is none.
    ///
    /// # Errors
    ///
    /// Fails if it can't be run at all.
    pub(super) async fn new(
        path: Option<String>,
        remote: Remote,
        credentials: Option<Credentials>,
        cache: &Cache,
        environment: &Environment,
    ) -> Result<Self, GitError> {
        let there = path.is_some();
        let (path, cache) = (path.unwrap_or_default(), cache.clone());
        let environment = environment.clone();
        let mut program = Self { path, remote, cache, environment, credentials, ssh: None };
        if there && program.remote.is_ssh() && !program.has_own_ssh().await? {
            // There is nobody to answer a question about a passphrase or a host key.
            program.ssh = Some("ssh -o BatchMode=yes -o ConnectTimeout=30");
        }
        Ok(program)
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(super) fn remote(&self) -> &str {
        self.remote.as_str()
    }

    /// Returns whether the remote is on this machine.
    pub(super) fn is_folder(&self) -> bool {
        self.remote.path().is_some()
    }

    /// Returns whether the remote is at GitHub, be it the one that a workflow runs at.
    pub(super) fn is_at_github(&self) -> bool {
        let server = self.environment.get("GITHUB_SERVER_URL").and_then(host_of);
        let hosts = [Some("github.com"), server];
        self.remote.host().is_some_and(|host| hosts.contains(&Some(host)))
    }

    /// Returns the same program with another cache.
    pub(super) fn with_cache(&self, cache: Cache) -> Self {
        Self { cache, ..self.clone() }
    }

    /// Returns what stands for the credentials that the remote is shown: who has others must not
    /// have changes pushed with these.
    pub(super) fn principal(&self) -> String {
        let mut shown = self.remote.username().unwrap_or_default().to_owned();
        if let Some(credentials) = &self.credentials {
            shown.push_str(credentials.encoded().expose_secret());
        }
        for name in PRINCIPAL {
            let value = self.environment.get(name).unwrap_or_default();
            shown.push_str(&format!("\0{name}={value}"));
        }
        Digest::of(shown.as_bytes()).short().to_owned()
    }

    /// Returns what `command` printed, which ends well.
    ///
    /// # Errors
    ///
    /// Fails as what it says on standard error means.
    pub(super) async fn run(
        &self,
        action: &'static str,
        command: Command,
    ) -> Result<Output, GitError> {
        let output = self.start(command).await?;
        match (output.status.success(), answer::no_room(&output.stderr)) {
            (true, _) => Ok(output),
            (false, Some(reason)) => Err(self.cache.full(reason)),
            (false, None) => {
                if action == "fetch" {
                    self.cache.clear_up();
                }
                Err(self.damage(&output).unwrap_or_else(|| {
                    answer::failure(action, self.remote.as_str(), &output.stderr)
                }))
            }
        }
    }

    /// Returns the error of a `git` that stumbled over the cache, and hung up on the remote then.
    pub(super) fn damage(&self, output: &Output) -> Option<GitError> {
        let cache = self.cache.dir();
        let damaged =
            !output.status.success() && output.stderr.contains(&format!("{cache}/objects"));
        let reason = || answer::summary(&output.stderr);
        damaged.then(|| GitError::Damaged { path: cache.to_owned(), reason: reason() })
    }

    /// Returns what `command` printed, however it ends.
    pub(super) async fn start(&self, command: Command) -> Result<Output, GitError> {
        command.output().await.map_err(|error| match error {
            CommandError::Deadline { .. } => GitError::Unreachable {
                remote: self.remote.as_str().to_owned(),
                message: error.to_string(),
            },
            error => GitError::Command(error),
        })
    }

    /// Returns a run of `git` in the cache that may reach the remote, with `more` settings.
    pub(super) fn command(&self, more: &[(String, String)]) -> Command {
        let mut command = self.in_cache();
        let mut settings = Settings::default();
        more.iter().for_each(|(key, value)| settings.set(key, value));
        SETTINGS.iter().for_each(|(key, value)| settings.set(key, value));
        match (self.remote.http_origin(), &self.credentials, self.remote.username()) {
            (Some(origin), Some(credentials), _) => {
                settings.authenticate(origin, credentials);
                command = command.env("GIT_ASKPASS", "");
            }
            (Some(origin), None, Some(username)) => {
                settings.set(&format!("credential.{origin}.username"), username);
                command = command.redact(username.to_owned().into());
            }
            _ => {}
        }
        if let Some(ssh) = self.ssh {
            command = command.env("GIT_SSH_COMMAND", ssh);
        }
        settings.apply(command, &self.environment)
    }

    /// Returns a run of `git` in the cache, never in the repository that the caller is in: that one's
    /// configuration is about itself, and may be somebody else's.
    fn in_cache(&self) -> Command {
        program(&self.path, &self.environment).arg(format!("--git-dir={}", self.cache.dir()))
    }

    /// Returns whether people have said themselves how SSH is to be run.
    async fn has_own_ssh(&self) -> Result<bool, GitError> {
        if ["GIT_SSH_COMMAND", "GIT_SSH"].iter().any(|name| self.environment.get(name).is_some()) {
            return Ok(true);
        }
        let command = self.in_cache();
        let output = self.start(command.args(["config", "--get", "core.sshCommand"])).await?;
        Ok(output.status.success())
    }
}

/// Returns a run of `git` that speaks English, asks nothing, and is in no repository of the caller.
pub(super) fn program(path: &str, environment: &Environment) -> Command {
    let mut command = Command::new(path)
        .only_env(environment)
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("LANGUAGE")
        .env_remove("DEPLOYCTL_GIT_TOKEN");
    let traces = environment.iter().filter(|(name, value)| is_trace(name, value));
    for name in LOCATIONS.iter().copied().chain(traces.map(|(name, _)| name)) {
        command = command.env_remove(name);
    }
    redact_tokens(command, environment)
}

/// Returns whether a variable has `git` write a trace to where its answers are read, or headers as
/// they are into any trace. A trace into a file is left to those who ask for it; see git(1).
fn is_trace(name: &str, value: &str) -> bool {
    match name {
        "GIT_TRACE_REDACT" | "GIT_CURL_VERBOSE" => true,
        name => name.starts_with("GIT_TRACE") && !value.starts_with('/'),
    }
}
