//! Engines: the programs that build Dockerfiles, and which of them this machine has.
//!
//! An engine's own settings (`DOCKER_HOST`, `STORAGE_DRIVER`, `CONTAINERS_STORAGE_CONF`,
//! `BUILDAH_ISOLATION` and so on) reach it by the environment, which is passed on as it is.

use std::time::Duration;

use camino::Utf8PathBuf;

use super::buildah::Buildah;
use super::docker::Docker;
use super::{BuildError, BuildRequest, Builder};
use crate::image::{Digest, Dockerfile, Engine, Method};
use crate::system::{Command, Environment, Output};

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

    /// Returns what the program answers to a question about itself.
    pub(super) async fn ask(&self, arguments: &[&str]) -> Result<String, BuildError> {
        let command = self.command(arguments).deadline(LONGEST_QUESTION);
        let output = command.output().await.map_err(|error| failed(self.name, &error))?;
        self.succeeded(&output)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
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

/// Returns the arguments that docker and buildah share.
pub(super) fn arguments(request: &BuildRequest<'_>, dockerfile: &Dockerfile) -> Vec<String> {
    let mut arguments = vec!["--file".into(), request.context.join(file(dockerfile)).into_string()];
    if let Some(target) = &dockerfile.target {
        arguments.extend(["--target".to_owned(), target.clone()]);
    }
    for (name, value) in &dockerfile.args {
        arguments.extend(["--build-arg".to_owned(), format!("{name}={value}")]);
    }
    arguments
}

/// Returns a name for the image in the engine's own store while it is fetched from there. No other
/// build has this scratch folder, so none has this name.
pub(super) fn temporary_name(request: &BuildRequest<'_>) -> String {
    format!("localhost/deployctl-build:{}", Digest::of(request.scratch.as_str().as_bytes()).short())
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

#[cfg(test)]
mod tests {
    use super::*;

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
