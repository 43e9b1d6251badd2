//! Child processes: arguments as a list, secrets out of sight, a deadline, no orphans.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use camino::Utf8Path;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};

use super::group::Group;

/// A program to run, with its arguments.
///
/// The child gets no standard input unless one is given, and is killed when the future that waits
/// for it is dropped.
#[derive(Debug)]
pub struct Command {
    program: String,
    inner: tokio::process::Command,
    input: Option<Vec<u8>>,
    secrets: Vec<SecretString>,
    deadline: Duration,
    leads_group: bool,
}

/// What a child that ended left behind; secrets are replaced by `***`.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error, as text.
    pub stderr: String,
}

/// Why a child did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program is not there or can't be started.
    #[error("can't run `{program}`: {source}")]
    Start {
        /// The program.
        program: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Its pipes broke.
    #[error("lost touch with `{program}`: {source}")]
    Pipe {
        /// The program.
        program: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It took too long and was killed.
    #[error("`{program}` did not end within {} seconds", .deadline.as_secs())]
    Deadline {
        /// The program.
        program: String,
        /// How long it had.
        deadline: Duration,
    },
}

impl Command {
    /// Returns a command that runs `program` with no arguments, for at most 10 minutes.
    pub fn new(program: impl Into<String>) -> Self {
        let program = program.into();
        let mut inner = tokio::process::Command::new(&program);
        inner.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let deadline = Duration::from_secs(600);
        Self { program, inner, input: None, secrets: Vec::new(), deadline, leads_group: false }
    }

    /// Adds an argument. Secrets go into [`Command::secret_env`] or [`Command::input`], never here.
    pub fn arg(mut self, argument: impl AsRef<str>) -> Self {
        self.inner.arg(argument.as_ref());
        self
    }

    /// Adds arguments.
    pub fn args<I: IntoIterator<Item: AsRef<str>>>(self, arguments: I) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// Runs it in the folder `dir`.
    pub fn current_dir(mut self, dir: &Utf8Path) -> Self {
        self.inner.current_dir(dir);
        self
    }

    /// Sets an environment variable of the child.
    pub fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.inner.env(name, value.as_ref());
        self
    }

    /// Takes an environment variable away from the child.
    pub fn env_remove(mut self, name: &str) -> Self {
        self.inner.env_remove(name);
        self
    }

    /// Starts the child with `environment` and nothing else.
    pub fn only_env(mut self, environment: &super::Environment) -> Self {
        self.inner.env_clear().envs(environment.iter());
        self
    }

    /// Sets an environment variable whose value is replaced by `***` in all that the child prints.
    pub fn secret_env(mut self, name: &str, value: SecretString) -> Self {
        self.inner.env(name, value.expose_secret());
        self.redact(value)
    }

    /// Replaces `secret` by `***` in all that the child prints.
    pub fn redact(mut self, secret: SecretString) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Stops, with the child, all that it has started in turn. The child can't ask at the terminal.
    pub fn with_all_it_starts(mut self) -> Self {
        self.inner.process_group(0);
        self.leads_group = true;
        self
    }

    /// Gives the child `bytes` as its standard input.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self.inner.stdin(Stdio::piped());
        self
    }

    /// Kills the child if it runs longer than `deadline`.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs the child to its end and returns what it left behind, whatever its exit status.
    ///
    /// # Errors
    ///
    /// Fails if it can't be started or runs out of time.
    pub async fn output(self) -> Result<Output, CommandError> {
        self.run(None).await
    }

    /// As [`Command::output`]; `log` also hears each line of standard error as it comes, and of
    /// standard output too.
    ///
    /// # Errors
    ///
    /// As [`Command::output`].
    pub async fn stream(self, log: &(dyn Fn(&str) + Send + Sync)) -> Result<Output, CommandError> {
        self.run(Some(log)).await
    }

    async fn run(
        mut self,
        log: Option<&(dyn Fn(&str) + Send + Sync)>,
    ) -> Result<Output, CommandError> {
        let program = self.program.clone();
        let pipe = |source| CommandError::Pipe { program: program.clone(), source };
        let start = |source| CommandError::Start { program: program.clone(), source };
        let mut child = self.inner.spawn().map_err(start)?;
        let group = Group::of(child.id().filter(|_| self.leads_group));
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("standard output is piped in `new`");
        let stderr = child.stderr.take().expect("standard error is piped in `new`");
        let (input, secrets) = (self.input.take(), &self.secrets);
        let work = async {
            let ((), stdout, stderr) = tokio::try_join!(
                feed(stdin, input),
                collect(stdout, secrets, log),
                collect(stderr, secrets, log),
            )?;
            Ok((child.wait().await?, stdout, stderr))
        };
        let ended = tokio::time::timeout(self.deadline, work).await;
        let deadline =
            || CommandError::Deadline { program: program.clone(), deadline: self.deadline };
        let (status, stdout, stderr) = ended.map_err(|_| deadline())?.map_err(pipe)?;
        group.release();
        Ok(Output { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
    }
}

async fn feed(
    stdin: Option<tokio::process::ChildStdin>,
    input: Option<Vec<u8>>,
) -> std::io::Result<()> {
    let (Some(mut stdin), Some(input)) = (stdin, input) else {
        return Ok(());
    };
    match stdin.write_all(&input).await {
        // A child that does not read all of its input says itself whether that is a failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

async fn collect(
    from: impl AsyncRead + Unpin,
    secrets: &[SecretString],
    log: Option<&(dyn Fn(&str) + Send + Sync)>,
) -> std::io::Result<Vec<u8>> {
    let mut reader = BufReader::new(from);
    let (mut all, mut line) = (Vec::new(), Vec::new());
    while reader.read_until(b'\n', &mut line).await? > 0 {
        let clean = redact(&line, secrets);
        if let Some(log) = log {
            log(String::from_utf8_lossy(&clean).trim_end_matches(['\n', '\r']));
        }
        all.extend_from_slice(&clean);
        line.clear();
    }
    Ok(all)
}

/// Returns `line` with every secret, and its base64 form, replaced by `***`.
fn redact(line: &[u8], secrets: &[SecretString]) -> Vec<u8> {
    use base64::Engine as _;
    let mut clean = line.to_vec();
    for secret in secrets.iter().map(ExposeSecret::expose_secret) {
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
        for needle in [secret, encoded.as_str()] {
            clean = replace(&clean, needle.as_bytes());
        }
    }
    clean
}

fn replace(bytes: &[u8], needle: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while !needle.is_empty()
        && let Some(at) = rest.windows(needle.len()).position(|window| window == needle)
    {
        clean.extend_from_slice(&rest[..at]);
        clean.extend_from_slice(b"***");
        rest = &rest[at + needle.len()..];
    }
    clean.extend_from_slice(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn secrets_do_not_come_back() {
        let command = Command::new("sh")
            .args(["-c", "echo got $TOKEN; echo err $TOKEN >&2; printf %s $TOKEN | base64"])
            .secret_env("TOKEN", SecretString::from("canary-1234567890".to_owned()));
        let output = command.output().await.unwrap();
        let encoded = "***==\n";
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            format!("got ***\n{encoded}").replace("***==", "***=")
        );
        assert_eq!(output.stderr, "err ***\n");
    }

    #[tokio::test]
    async fn a_child_that_takes_too_long_is_killed() {
        let command = Command::new("sleep").arg("60").deadline(Duration::from_millis(50));
        assert!(matches!(command.output().await, Err(CommandError::Deadline { .. })));
    }

    #[tokio::test]
    async fn a_child_that_is_given_up_takes_with_it_what_it_started() {
        let folder = tempfile::TempDir::new().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("sleep 60 & echo $! > '{}'; wait", pid.display());
        let command = Command::new("sh").args(["-c", &script]).with_all_it_starts();
        let command = command.deadline(Duration::from_millis(300));
        assert!(matches!(command.output().await, Err(CommandError::Deadline { .. })));
        let pid = std::fs::read_to_string(pid).unwrap();
        let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        // One that has ended may wait for its new parent to notice.
        assert!(state.is_err() || state.is_ok_and(|state| state.contains(") Z")), "{pid} runs on");
    }

    #[tokio::test]
    async fn input_reaches_the_child() {
        let output = Command::new("cat").input("hello").output().await.unwrap();
        assert_eq!(output.stdout, b"hello");
    }
}
