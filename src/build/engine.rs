//! Engines: the programs that build Dockerfiles, and which of them this machine has.
//!
//! An engine's own settings (`DOCKER_HOST`, `STORAGE_DRIVER`, `CONTAINERS_STORAGE_CONF`,
//! `BUILDAH_ISOLATION` and so on) reach it by the environment, which is passed on as it is.

mod arguments;
mod platforms;
mod secrets;

use std::time::Duration;

use camino::Utf8PathBuf;

use super::buildah::Buildah;
use super::docker::Docker;
use super::{BuildError, BuildRequest, Builder};
use crate::image::{Digest, Dockerfile, Engine, Method};
use crate::system::{Command, CommandError, Environment, Output};
pub(super) use platforms::{joined, platforms};
pub(super) use secrets::Secrets;

/// A build that takes longer is taken for one that hangs.
const LONGEST_BUILD: Duration = Duration::from_secs(2 * 60 * 60);

/// An engine that does not say within this time that it works does not.
const LONGEST_QUESTION: Duration = Duration::from_secs(20);

/// The engines in the order in which they are looked for.
const ENGINES: [Engine; 3] = [Engine::Docker, Engine::Buildah, Engine::Podman];

/// Returns the engine that is `wanted`, or else the first of docker, buildah and podman that works
/// here.
///
/// # Errors
///
/// Fails with [`BuildError::NoEngine`] if there is none; the error says what was tried.
pub async fn engine(
    environment: &Environment,
    wanted: Option<Engine>,
) -> Result<Box<dyn Builder>, BuildError> {
    let mut tried = Vec::new();
    for engine in ENGINES.into_iter().filter(|engine| wanted.is_none_or(|it| it == *engine)) {
        match find(engine, environment).await {
            Ok(builder) => return Ok(builder),
            Err(reason) => tried.push(reason.to_string()),
        }
    }
    Err(BuildError::NoEngine { tried })
}

async fn find(engine: Engine, environment: &Environment) -> Result<Box<dyn Builder>, BuildError> {
    Ok(match engine {
        Engine::Docker => Box::new(Docker::find(environment).await?),
        Engine::Buildah => Box::new(Buildah::find(environment).await?),
        Engine::Podman => Box::new(Buildah::find_podman(environment).await?),
    })
}

/// An engine's program and the environment that it runs in.
#[derive(Debug, Clone)]
pub(super) struct Program {
    name: &'static str,
    path: Utf8PathBuf,
    environment: Environment,
}

impl Program {
    pub(super) fn find(name: &'static str, environment: &Environment) -> Result<Self, BuildError> {
        match environment.find_program(name) {
            Some(path) => Ok(Self { name, path, environment: environment.clone() }),
            None => Err(failed(name, "it is not on PATH")),
        }
    }

    /// Returns a command that runs it with these arguments.
    pub(super) fn command<I: IntoIterator<Item: AsRef<str>>>(&self, arguments: I) -> Command {
        Command::new(self.path.as_str())
            .with_all_it_starts()
            .only_env(&self.environment)
            .args(arguments)
            .deadline(LONGEST_BUILD)
    }

    /// Returns a command that runs it with these arguments, and with those of a build that all engines
    /// share.
    pub(super) fn build_command(
        &self,
        arguments: &[&str],
        request: &BuildRequest<'_>,
        dockerfile: &Dockerfile,
    ) -> Command {
        let file = request.context.join(file(dockerfile));
        let mut command = self.command(arguments).args(["--file", file.as_str()]);
        if let Some(target) = &dockerfile.target {
            command = command.args(["--target", target]);
        }
        arguments::pass_on(command, dockerfile, &self.environment)
    }

    /// Returns its name, as it is called on the command line.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the secrets of the Dockerfile that is built.
    pub(super) fn secrets(
        &self,
        request: &BuildRequest<'_>,
        dockerfile: &Dockerfile,
    ) -> Result<Secrets, BuildError> {
        Secrets::read(request, dockerfile, &self.environment)
    }

    /// Returns what the program answers to a question about itself.
    pub(super) async fn ask(&self, arguments: &[&str]) -> Result<String, BuildError> {
        let command = self.command(arguments).deadline(LONGEST_QUESTION);
        let output = match command.output().await {
            Err(CommandError::Deadline { deadline, .. }) => {
                let seconds = deadline.as_secs();
                return Err(self.useless(format!("it did not answer within {seconds} seconds")));
            }
            output => output.map_err(|error| self.useless(&error))?,
        };
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let said = last_lines(&output.stderr);
        Err(match advice(&said) {
            Some(advice) => self.useless(format!("{said} ({advice})")),
            None if said.is_empty() => self.useless(output.status),
            None => self.useless(said),
        })
    }

    /// Runs the command to its end; `request.log` hears what it says.
    pub(super) async fn run(
        &self,
        command: Command,
        request: &BuildRequest<'_>,
    ) -> Result<(), BuildError> {
        let output =
            command.stream(request.log).await.map_err(|error| failed(self.name, &error))?;
        self.succeeded(&output)
    }

    /// As [`Program::run`], and nobody hears what it says.
    pub(super) async fn run_quietly(&self, command: Command) -> Result<(), BuildError> {
        let output = command.output().await.map_err(|error| failed(self.name, &error))?;
        self.succeeded(&output)
    }

    /// Returns why the engine's work is of no use.
    pub(super) fn useless(&self, reason: impl std::fmt::Display) -> BuildError {
        failed(self.name, reason)
    }

    fn succeeded(&self, output: &Output) -> Result<(), BuildError> {
        if output.status.success() {
            return Ok(());
        }
        Err(failed(self.name, format!("{}: {}", output.status, last_lines(&output.stderr))))
    }
}

/// Returns what is known about a Dockerfile build before an engine is asked.
pub(super) fn dockerfile<'a>(request: &BuildRequest<'a>) -> Result<&'a Dockerfile, BuildError> {
    let Method::Dockerfile(dockerfile) = &request.recipe.method else {
        return Err(BuildError::Recipe("an engine needs a Dockerfile".to_owned()));
    };
    let path = request.context.join(file(dockerfile));
    if !path.is_file() {
        return Err(BuildError::file(path, "there is no such Dockerfile"));
    }
    Ok(dockerfile)
}

/// Returns the Dockerfile's path from the context.
pub(super) fn file(dockerfile: &Dockerfile) -> Utf8PathBuf {
    dockerfile.file.clone().unwrap_or_else(|| "Dockerfile".into())
}

/// Returns whether the Dockerfile can read `SOURCE_DATE_EPOCH` as a build argument.
pub(super) fn declares_epoch(request: &BuildRequest<'_>, dockerfile: &Dockerfile) -> bool {
    let text = std::fs::read_to_string(request.context.join(file(dockerfile)));
    text.is_ok_and(|text| text.contains("SOURCE_DATE_EPOCH"))
        && !dockerfile.args.contains_key("SOURCE_DATE_EPOCH")
}

/// An image in the engine's own store that is fetched from there; it loses its name when this value
/// is dropped, whether the build failed or was interrupted.
pub(super) struct TemporaryImage<'a> {
    program: &'a Program,
    /// No other build has this scratch folder, so none has this name.
    pub(super) name: String,
    remove: &'static [&'static str],
    is_there: bool,
}

impl<'a> TemporaryImage<'a> {
    /// Returns a name for the `number`th image of the build; `remove` are the program's arguments
    /// that take it away.
    pub(super) fn new(
        program: &'a Program,
        request: &BuildRequest<'_>,
        number: usize,
        remove: &'static [&'static str],
    ) -> Self {
        let scratch = Digest::of(request.scratch.as_str().as_bytes());
        let name = format!("localhost/deployctl-build:{}-{number}", scratch.short());
        Self { program, name, remove, is_there: true }
    }

    /// Returns the part of its name that no other build has.
    pub(super) fn mark(&self) -> &str {
        self.name.rsplit(':').next().unwrap_or_default()
    }

    /// Removes it.
    pub(super) async fn remove(mut self, request: &BuildRequest<'_>) -> Result<(), BuildError> {
        self.is_there = false;
        self.program.run(self.removal(), request).await
    }

    fn removal(&self) -> Command {
        self.program.command(self.remove).arg(&self.name)
    }
}

impl Drop for TemporaryImage<'_> {
    fn drop(&mut self) {
        if !self.is_there {
            return;
        }
        // A build that failed may have made no image, so that there is nothing to remove.
        blocking(self.removal().deadline(LONGEST_QUESTION).output());
    }
}

/// Runs the future to its end while a value is dropped, in a thread of its own: this one is busy with
/// a runtime. What becomes of it is lost.
pub(super) fn blocking<F: Future<Output: Send> + Send>(future: F) {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        Some(runtime.block_on(future))
    };
    std::thread::scope(|scope| drop(scope.spawn(run).join()));
}

fn failed(engine: &str, reason: impl std::fmt::Display) -> BuildError {
    BuildError::Engine { engine: engine.to_owned(), reason: reason.to_string() }
}

/// Returns the end of what a program said; the whole was logged.
fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(6)..].join("\n");
    let end = last.char_indices().rev().nth(2000).map_or(0, |(at, _)| at);
    last[end..].to_owned()
}

/// Returns what helps against what an engine says about itself.
fn advice(said: &str) -> Option<&'static str> {
    let advice = [
        (
            "permission denied while trying to connect",
            "join the group `docker`, or use rootless docker",
        ),
        ("Cannot connect to the Docker daemon", "start it, or set DOCKER_HOST"),
        ("failed to connect to the docker API", "start its daemon, or set DOCKER_HOST"),
        ("newuidmap", "install `uidmap`, and give the user ranges in /etc/subuid and /etc/subgid"),
        ("subuid", "give the user ranges in /etc/subuid and /etc/subgid"),
        ("not supported over overlayfs", "set STORAGE_DRIVER=vfs, or install fuse-overlayfs"),
        ("XDG_RUNTIME_DIR", "set XDG_RUNTIME_DIR to a folder of the user's own"),
        ("no space left on device", "make room where the engine stores images"),
    ];
    advice.iter().find(|(text, _)| said.contains(text)).map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_is_said() {
        let said = "Got permission denied while trying to connect to the Docker daemon socket";
        assert!(advice(said).unwrap().contains("group"));
        assert_eq!(advice("docker: something new"), None);
    }

    #[test]
    fn an_error_shows_the_end_of_the_log() {
        assert_eq!(last_lines("a\n\nb\nc\nd\ne\nf\ng\n"), "b\nc\nd\ne\nf\ng");
        assert_eq!(last_lines(&"é".repeat(5000)).chars().count(), 2001);
        assert_eq!(last_lines(""), "");
    }

    #[tokio::test]
    async fn a_machine_without_engines_hears_what_was_tried() {
        let nothing: Environment = [("PATH", "/nonexistent")].into_iter().collect();
        let Err(error) = engine(&nothing, None).await else { panic!("there is no engine") };
        assert_eq!(
            error.to_string(),
            "no engine here builds Dockerfiles: `docker`: it is not on PATH; \
             `buildah`: it is not on PATH; `podman`: it is not on PATH"
        );
        let Err(error) = engine(&nothing, Some(Engine::Buildah)).await else { panic!("no engine") };
        assert!(!error.to_string().contains("docker`"), "{error}");
    }
}
