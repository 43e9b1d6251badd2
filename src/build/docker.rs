//! Dockerfiles through docker: buildx, or the builder in the daemon.
//!
//! buildx with a builder of its own writes the image as an OCI layout, timestamps rewritten. Its
//! `docker` driver and plain `docker build` can only put the image into the daemon's store; there
//! it gets a temporary tag, is fetched with `docker save`, and the tag is removed. The classic
//! builder's cache is its images, and without them a build that changes nothing has a new digest,
//! so its last image of a Dockerfile stays under a name of its own.

use async_trait::async_trait;

use super::context::Context;
use super::engine::{Program, arguments, dockerfile, file, temporary_name};
use super::{BuildError, BuildRequest, Builder, docker_archive, layout};
use crate::image::{BuiltImage, Digest, Dockerfile};
use crate::system::{Command, Environment};

/// Builds with docker.
#[derive(Debug)]
pub(super) struct Docker {
    program: Program,
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// buildx writes an OCI layout.
    BuildxLayout,
    /// buildx puts the image into the daemon's store.
    BuildxLoad,
    /// The daemon's BuildKit, which the command line up to 20.10 speaks to by itself.
    BuildKit,
    /// The daemon's classic builder.
    Classic,
}

/// The first command line that leaves BuildKit to buildx.
const BUILDKIT_NEEDS_BUILDX: u32 = 23;

impl Docker {
    /// Returns docker if it is installed and its daemon answers.
    pub(super) async fn find(environment: &Environment) -> Result<Self, BuildError> {
        let program = Program::find("docker", environment)?;
        let versions = program
            .ask(&["version", "--format", "{{.Client.Version}} {{.Server.Version}}"])
            .await?;
        let way = if program.ask(&["buildx", "version"]).await.is_ok() {
            let builder = program.ask(&["buildx", "inspect"]).await?;
            if driver(&builder) == Some("docker") { Way::BuildxLoad } else { Way::BuildxLayout }
        } else if major(&versions).is_some_and(|major| major < BUILDKIT_NEEDS_BUILDX) {
            Way::BuildKit
        } else {
            Way::Classic
        };
        Ok(Self { program, way })
    }

    /// Returns the command that builds; `output` says where the image goes.
    fn build_command(
        &self,
        request: &BuildRequest<'_>,
        dockerfile: &Dockerfile,
        output: &[&str],
    ) -> Command {
        let epoch = request.epoch.to_string();
        let (verb, buildkit): (&[&str], _) = match self.way {
            Way::BuildxLayout | Way::BuildxLoad => (&["buildx", "build"], "1"),
            Way::BuildKit => (&["build"], "1"),
            // Or it leaves the container of a step that failed.
            Way::Classic => (&["build", "--force-rm"], "0"),
        };
        let mut command = self.program.command(verb).args(arguments(request, dockerfile));
        if !dockerfile.args.contains_key("SOURCE_DATE_EPOCH") {
            command = command.args(["--build-arg", &format!("SOURCE_DATE_EPOCH={epoch}")]);
        }
        command
            .args(output)
            .arg(request.context)
            .current_dir(request.scratch)
            .env("DOCKER_BUILDKIT", buildkit)
            .env("SOURCE_DATE_EPOCH", epoch)
            // An attestation would turn the image into an index, which not every platform runs.
            .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
    }

    async fn build_layout(
        &self,
        request: &BuildRequest<'_>,
        dockerfile: &Dockerfile,
    ) -> Result<BuiltImage, BuildError> {
        // Relative to the scratch folder: a comma in its path would end the field.
        let output = ["--output", "type=oci,dest=layout,tar=false,rewrite-timestamp=true"];
        self.program.run(self.build_command(request, dockerfile, &output), request).await?;
        layout::read(&request.scratch.join("layout")).map_err(|reason| self.program.useless(reason))
    }

    async fn build_in_store(
        &self,
        request: &BuildRequest<'_>,
        dockerfile: &Dockerfile,
    ) -> Result<BuiltImage, BuildError> {
        let name = temporary_name(request);
        let mut output = vec!["--tag", name.as_str()];
        if self.way == Way::BuildxLoad {
            output.push("--load");
        }
        self.program.run(self.build_command(request, dockerfile, &output), request).await?;
        let archive = request.scratch.join("image.tar");
        let save = self.program.command(["save", "--output", archive.as_str(), &name]);
        let saved = self.program.run(save, request).await;
        let kept = match self.way {
            Way::Classic => self.keep(request, dockerfile, &name).await,
            _ => Ok(()),
        };
        let remove = self.program.command(["image", "rm", &name]);
        let removed = self.program.run(remove, request).await;
        saved.and(kept).and(removed)?;
        docker_archive::convert(archive, request.scratch)
            .await
            .map_err(|reason| self.program.useless(reason))
    }

    /// Gives the image the name that the last one from this Dockerfile has now.
    async fn keep(
        &self,
        request: &BuildRequest<'_>,
        dockerfile: &Dockerfile,
        name: &str,
    ) -> Result<(), BuildError> {
        let target = dockerfile.target.as_deref().unwrap_or_default();
        let source = format!("{} {target}", request.context.join(file(dockerfile)));
        let kept = format!("localhost/deployctl-cache:{}", Digest::of(source.as_bytes()).short());
        self.program.run(self.program.command(["tag", name, &kept]), request).await
    }
}

#[async_trait]
impl Builder for Docker {
    async fn build(&self, request: &BuildRequest<'_>) -> Result<BuiltImage, BuildError> {
        let dockerfile = dockerfile(request)?;
        match self.way {
            Way::BuildxLayout => self.build_layout(request, dockerfile).await,
            Way::BuildxLoad | Way::BuildKit => self.build_in_store(request, dockerfile).await,
            Way::Classic => {
                self.refuse_own_ignore_file(request, dockerfile)?;
                self.build_in_store(request, dockerfile).await
            }
        }
    }
}

impl Docker {
    /// The classic builder reads `.dockerignore` only, and would send what the Dockerfile's own file
    /// leaves out, secrets perhaps.
    fn refuse_own_ignore_file(
        &self,
        request: &BuildRequest<'_>,
        dockerfile: &Dockerfile,
    ) -> Result<(), BuildError> {
        let context = Context::open(request.context, Some(&file(dockerfile)))?;
        match context.ignore_file() {
            Some(path) if path.file_name() != Some(".dockerignore") => Err(self
                .program
                .useless(format!("it reads `{path}` only with buildx, which is not installed"))),
            _ => Ok(()),
        }
    }
}

/// Returns the driver that `docker buildx inspect` names.
fn driver(inspected: &str) -> Option<&str> {
    inspected.lines().find_map(|line| Some(line.strip_prefix("Driver:")?.trim()))
}

/// Returns the major version that `20.10.24+dfsg1` begins with.
fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_says_about_itself() {
        let inspected = "Name:   default\nDriver: docker-container\nNodes:\nName: x\nDriver: y\n";
        assert_eq!(driver(inspected), Some("docker-container"));
        assert_eq!(driver(""), None);
        assert_eq!(major("20.10.24+dfsg1 20.10.24+dfsg1"), Some(20));
        assert_eq!(major("dev"), None);
    }
}
