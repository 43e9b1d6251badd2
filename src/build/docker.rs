//! Dockerfiles through docker: buildx, or the builder in the daemon.
//!
//! buildx with a builder of its own, or with a daemon that keeps images in containerd, writes the
//! image as an OCI layout, timestamps rewritten. Its `docker` driver without that and plain
//! `docker build` can only put the image into the daemon's store; there it gets a temporary tag, is
//! fetched with `docker save`, and the tag is removed; its timestamps are rewritten here. The classic builder's cache is its images, and
//! without them a build that changes nothing takes as long as the first, so its last image of a
//! Dockerfile stays under a name of its own.

use async_trait::async_trait;

use super::context::Context;
use super::docker_archive::{self, Base, Stamp};
use super::engine::{Program, TemporaryImage, dockerfile, file, joined, platforms};
use super::{BuildError, BuildRequest, Builder, inputs, layout};
use crate::image::{BuiltImage, Digest, Dockerfile, Platform};
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

/// What `docker info` says of a daemon that keeps images in containerd. Its `docker` driver can write
/// OCI layouts, as other drivers can.
const CONTAINERD_STORE: &str = "io.containerd.snapshotter";

impl Docker {
    /// Returns docker if it is installed and its daemon answers.
    pub(super) async fn find(environment: &Environment) -> Result<Self, BuildError> {
        let program = Program::find("docker", environment)?;
        let versions = program
            .ask(&["version", "--format", "{{.Client.Version}} {{.Server.Version}}"])
            .await?;
        let way = if program.ask(&["buildx", "version"]).await.is_ok() {
            let builder = program.ask(&["buildx", "inspect"]).await?;
            match driver(&builder) {
                Some("docker") if !keeps_images_in_containerd(&program).await? => Way::BuildxLoad,
                _ => Way::BuildxLayout,
            }
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
        platforms: &[Platform],
        output: &[&str],
        request: &BuildRequest<'_>,
        dockerfile: &Dockerfile,
    ) -> Result<Command, BuildError> {
        let epoch = request.epoch.to_string();
        let (verb, buildkit): (&[&str], _) = match self.way {
            Way::BuildxLayout | Way::BuildxLoad => (&["buildx", "build"], "1"),
            Way::BuildKit => (&["build"], "1"),
            // Or it leaves the container of a step that failed.
            Way::Classic => (&["build", "--force-rm"], "0"),
        };
        let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
        let mut command = self.program.build_command(verb, request, dockerfile);
        if !dockerfile.args.contains_key("SOURCE_DATE_EPOCH") {
            command = command.args(["--build-arg", &format!("SOURCE_DATE_EPOCH={epoch}")]);
        }
        command = command
            .args(["--pull", "--platform", &platforms.join(",")])
            .args(self.cache(request, dockerfile))
            .args(output)
            .current_dir(request.scratch)
            .env("DOCKER_BUILDKIT", buildkit)
            .env("SOURCE_DATE_EPOCH", epoch)
            // An attestation would turn the image into an index, which not every platform runs.
            .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1");
        let secrets = self.program.secrets(request, dockerfile)?;
        if self.way == Way::Classic && !secrets.is_empty() {
            return Err(
                self.useless("it passes `secrets` on only with buildx, which is not installed")
            );
        }
        Ok(secrets.pass_on(command).arg(request.context))
    }

    /// Returns the arguments that name the cache; what can't be used of it is told.
    fn cache(&self, request: &BuildRequest<'_>, dockerfile: &Dockerfile) -> Vec<String> {
        let cache = &dockerfile.cache;
        let mut arguments = Vec::new();
        if self.way == Way::Classic {
            if !cache.from.is_empty() || cache.to.is_some() {
                (request.log)("warning: docker without buildx keeps no cache in a registry");
            }
            return arguments;
        }
        for from in &cache.from {
            let from = from.clone().or_latest();
            arguments.push(match self.way {
                Way::BuildKit => format!("--cache-from={from}"),
                _ => format!("--cache-from=type=registry,ref={from}"),
            });
        }
        match cache.to.clone().map(crate::image::ImageReference::or_latest) {
            Some(to) if self.way == Way::BuildxLayout => {
                arguments.push(format!("--cache-to=type=registry,ref={to},mode=max"));
            }
            Some(_) => (request.log)(
                "warning: docker writes `cache.to` only with a builder of its own (`docker buildx create --use`)",
            ),
            None => {}
        }
        arguments
    }

    async fn build_layout(
        &self,
        request: &BuildRequest<'_>,
        dockerfile: &Dockerfile,
    ) -> Result<Vec<BuiltImage>, BuildError> {
        let platforms = platforms(request.recipe);
        // Relative to the scratch folder: a comma in its path would end the field.
        let output = ["--output", "type=oci,dest=layout,tar=false,rewrite-timestamp=true"];
        let build = self.build_command(&platforms, &output, request, dockerfile)?;
        self.program.run(build, request).await?;
        layout::read(&request.scratch.join("layout"), &platforms)
            .map_err(|reason| self.useless(reason))
    }

    async fn build_in_store(
        &self,
        request: &BuildRequest<'_>,
        dockerfile: &Dockerfile,
    ) -> Result<Vec<BuiltImage>, BuildError> {
        let mut images = Vec::new();
        for (number, platform) in platforms(request.recipe).iter().enumerate() {
            let image = TemporaryImage::new(&self.program, request, number, &["image", "rm"]);
            let mut output = vec!["--tag", image.name.as_str()];
            if self.way == Way::BuildxLoad {
                output.push("--load");
            }
            let bases = self.bases(platform, request, dockerfile).await;
            let platform = std::slice::from_ref(platform);
            let build = self.build_command(platform, &output, request, dockerfile)?;
            self.program.run(build, request).await?;
            let stamp = self.stamp(&bases, request).await;
            let archive = request.scratch.join("image.tar");
            let save = self.program.command(["save", "--output", archive.as_str(), &image.name]);
            self.program.run(save, request).await?;
            if self.way == Way::Classic {
                self.keep(request, dockerfile, &image.name, number).await?;
            }
            image.remove(request).await?;
            let converted = docker_archive::convert(archive, request.scratch, stamp).await;
            images.push(converted.map_err(|reason| self.useless(reason))?);
        }
        Ok(images)
    }

    /// Gives the image the name that the last one from this Dockerfile has now.
    async fn keep(
        &self,
        request: &BuildRequest<'_>,
        dockerfile: &Dockerfile,
        name: &str,
        number: usize,
    ) -> Result<(), BuildError> {
        let target = dockerfile.target.as_deref().unwrap_or_default();
        let source = format!("{} {target} {number}", request.context.join(file(dockerfile)));
        let kept = format!("localhost/deployctl-cache:{}", Digest::of(source.as_bytes()).short());
        self.program.run(self.program.command(["tag", name, &kept]), request).await
    }

    /// Returns the images that the Dockerfile names. BuildKit reads them by itself, and the daemon's
    /// store then does not have them, so that nothing would tell the base from what was added to it.
    async fn bases(
        &self,
        platform: &Platform,
        request: &BuildRequest<'_>,
        dockerfile: &Dockerfile,
    ) -> Result<Vec<String>, String> {
        let bases = inputs::bases_of(request.context, dockerfile)?;
        let bases: Vec<String> = bases.iter().map(ToString::to_string).collect();
        for base in bases.iter().filter(|_| self.way != Way::Classic) {
            let platform = platform.to_string();
            let pull = self.program.command(["pull", "--quiet", "--platform", &platform, base]);
            // What this means for the build, the build says.
            let _ = self.program.run(pull, request).await;
        }
        Ok(bases)
    }

    /// Returns the time of what the build added, and the images that it may have been added to; `None`
    /// and a warning if these can't be told.
    async fn stamp(
        &self,
        bases: &Result<Vec<String>, String>,
        request: &BuildRequest<'_>,
    ) -> Option<Stamp> {
        let unknown = |reason: &str| {
            let effect =
                "time stamps stay as docker made them, so each machine makes another digest";
            (request.log)(&format!("warning: {effect}: {reason}"));
        };
        let bases = bases.as_ref().map_err(|reason| unknown(reason)).ok()?;
        let mut known = Vec::new();
        for name in bases {
            match self.base(name).await {
                Ok(base) => known.push(base),
                Err(error) => {
                    unknown(&error.to_string());
                    return None;
                }
            }
        }
        Some(Stamp { epoch: request.epoch, bases: known })
    }

    async fn base(&self, name: &str) -> Result<Base, BuildError> {
        let inspect = ["image", "inspect", "--format", "{{json .RootFS.Layers}}", name];
        let diff_ids = serde_json::from_str(&self.program.ask(&inspect).await?)
            .map_err(|error| self.useless(error))?;
        let steps = self.program.ask(&["history", "--quiet", name]).await?.lines().count();
        Ok(Base { diff_ids, steps })
    }

    fn useless(&self, reason: impl std::fmt::Display) -> BuildError {
        self.program.useless(reason)
    }
}

#[async_trait]
impl Builder for Docker {
    async fn build(&self, request: &BuildRequest<'_>) -> Result<BuiltImage, BuildError> {
        let dockerfile = dockerfile(request)?;
        let images = match self.way {
            Way::BuildxLayout => self.build_layout(request, dockerfile).await?,
            Way::BuildxLoad | Way::BuildKit => self.build_in_store(request, dockerfile).await?,
            Way::Classic => {
                self.refuse_own_ignore_file(request, dockerfile)?;
                self.build_in_store(request, dockerfile).await?
            }
        };
        let images = platforms(request.recipe).into_iter().zip(images).collect();
        joined(images, request.recipe).map_err(|reason| self.useless(reason))
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
            Some(path) if path.file_name() != Some(".dockerignore") => {
                Err(self
                    .useless(format!("it reads `{path}` only with buildx, which is not installed")))
            }
            _ => Ok(()),
        }
    }
}

async fn keeps_images_in_containerd(program: &Program) -> Result<bool, BuildError> {
    let status = program.ask(&["info", "--format", "{{json .DriverStatus}}"]).await?;
    Ok(status.contains(CONTAINERD_STORE))
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
