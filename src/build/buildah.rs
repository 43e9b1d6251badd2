//! Dockerfiles through buildah, or through podman, which has buildah inside and the same command
//! line: build, then push into an OCI layout.
//!
//! Each platform is built by itself and without the steps that lie in the store: buildah takes a step
//! on `scratch` for another platform's (seen with 1.28), and one that has another time stamp.

mod leftovers;

use async_trait::async_trait;

use super::context::Context;
use super::engine::{Program, TemporaryImage, declares_epoch, dockerfile, file, joined, platforms};
use super::{BuildError, BuildRequest, Builder, layout};
use crate::image::{BuiltImage, Cache, Dockerfile, Platform};
use crate::system::{Command, Environment};
use leftovers::Leftovers;

/// Builds with buildah or podman.
#[derive(Debug)]
pub(super) struct Buildah {
    program: Program,
}

impl Buildah {
    /// Returns buildah if it is installed and its storage works.
    pub(super) async fn find(environment: &Environment) -> Result<Self, BuildError> {
        Self::named("buildah", environment).await
    }

    /// Returns podman if it is installed and its storage works.
    pub(super) async fn find_podman(environment: &Environment) -> Result<Self, BuildError> {
        Self::named("podman", environment).await
    }

    async fn named(name: &'static str, environment: &Environment) -> Result<Self, BuildError> {
        let program = Program::find(name, environment)?;
        program.ask(&["info"]).await?;
        Ok(Self { program })
    }

    async fn build_for(
        &self,
        platform: &Platform,
        number: usize,
        request: &BuildRequest<'_>,
        dockerfile: &Dockerfile,
    ) -> Result<BuiltImage, BuildError> {
        let image = TemporaryImage::new(&self.program, request, number, &["rmi"]);
        let build = self.build_command(platform, &image.name, request, dockerfile)?;
        let build = self.program.secrets(request, dockerfile)?.pass_on(build);
        let leftovers = Leftovers::new(&self.program, image.mark().to_owned());
        let build = build.args(["--build-arg", &leftovers.build_argument()]);
        let built = self.program.run(build.arg(request.context), request).await;
        leftovers.disarm();
        built?;
        let folder = format!("layout-{number}");
        // Relative to the scratch folder: a colon in its path would end the path.
        let push = self.program.command(["push", &image.name, &format!("oci:{folder}:image")]);
        self.program.run(push.current_dir(request.scratch), request).await?;
        image.remove(request).await?;
        layout::read(&request.scratch.join(folder), std::slice::from_ref(platform))
            .map(|mut images| images.remove(0))
            .map_err(|reason| self.program.useless(reason))
    }

    /// Returns the command that builds, without the context.
    fn build_command(
        &self,
        platform: &Platform,
        name: &str,
        request: &BuildRequest<'_>,
        dockerfile: &Dockerfile,
    ) -> Result<Command, BuildError> {
        let epoch = request.epoch.to_string();
        let mut build = self
            .program
            .build_command(&["build", "--tag", name], request, dockerfile)
            .args(["--platform", &platform.to_string()])
            // A layer a step, as docker makes them, so that a change costs only those behind it.
            .args(["--layers", "--force-rm", "--pull", "--format", "oci", "--timestamp", &epoch])
            // Or the engine's version is a label of the image.
            .arg("--identity-label=false")
            .args(cache(&dockerfile.cache))
            // Newer versions take the variable for a second, contradicting `--timestamp`.
            .env_remove("SOURCE_DATE_EPOCH");
        if declares_epoch(request, dockerfile) {
            build = build.args(["--build-arg", &format!("SOURCE_DATE_EPOCH={epoch}")]);
        }
        // Older versions know only `.dockerignore`.
        let context = Context::open(request.context, Some(&file(dockerfile)))?;
        Ok(match context.ignore_file() {
            Some(path) => build.args(["--ignorefile", path.as_str()]),
            None => build,
        })
    }
}

/// Returns the arguments that name the cache. It is a repository whose tags are the steps' own.
fn cache(cache: &Cache) -> Vec<String> {
    if *cache == Cache::default() {
        return vec!["--no-cache".to_owned()];
    }
    // Of several, version 1.28 takes the last.
    let from = cache.from.iter().rev().map(|it| format!("--cache-from={}", it.name));
    from.chain(cache.to.iter().map(|it| format!("--cache-to={}", it.name))).collect()
}

#[async_trait]
impl Builder for Buildah {
    async fn build(&self, request: &BuildRequest<'_>) -> Result<BuiltImage, BuildError> {
        let dockerfile = dockerfile(request)?;
        let mut images = Vec::new();
        for (number, platform) in platforms(request.recipe).into_iter().enumerate() {
            let image = self.build_for(&platform, number, request, dockerfile).await?;
            images.push((platform, image));
        }
        joined(images, request.recipe).map_err(|reason| self.program.useless(reason))
    }
}
