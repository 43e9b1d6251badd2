//! Dockerfiles through buildah, or through podman, which has buildah inside and the same command
//! line: build, then push into an OCI layout.

use async_trait::async_trait;

use super::context::Context;
use super::engine::{Program, arguments, dockerfile, file, temporary_name};
use super::{BuildError, BuildRequest, Builder, layout};
use crate::image::BuiltImage;
use crate::system::Environment;

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

    /// Returns podman, which has buildah inside, if it is installed and its storage works.
    pub(super) async fn find_podman(environment: &Environment) -> Result<Self, BuildError> {
        Self::named("podman", environment).await
    }

    async fn named(name: &'static str, environment: &Environment) -> Result<Self, BuildError> {
        let program = Program::find(name, environment)?;
        program.ask(&["info"]).await?;
        Ok(Self { program })
    }
}

#[async_trait]
impl Builder for Buildah {
    async fn build(&self, request: &BuildRequest<'_>) -> Result<BuiltImage, BuildError> {
        let dockerfile = dockerfile(request)?;
        let name = temporary_name(request);
        let mut build = self
            .program
            .command(["build", "--tag", &name, "--timestamp", &request.epoch.to_string()])
            .args(arguments(request, dockerfile))
            // Newer versions take the variable for a second, contradicting `--timestamp`.
            .env_remove("SOURCE_DATE_EPOCH");
        // Older versions know only `.dockerignore`.
        let context = Context::open(request.context, Some(&file(dockerfile)))?;
        if let Some(path) = context.ignore_file() {
            build = build.args(["--ignorefile", path.as_str()]);
        }
        self.program.run(build.arg(request.context), request).await?;
        // Relative to the scratch folder: a colon in its path would end the path.
        let push = self.program.command(["push", &name, "oci:layout:image"]);
        let pushed = self.program.run(push.current_dir(request.scratch), request).await;
        let removed = self.program.run(self.program.command(["rmi", &name]), request).await;
        pushed.and(removed)?;
        layout::read(&request.scratch.join("layout")).map_err(|reason| self.program.useless(reason))
    }
}
