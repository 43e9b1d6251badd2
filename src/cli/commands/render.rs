//! `deployctl render`.

use camino::Utf8PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;

/// Print what a kustomization renders to, as `kustomize build` does
#[derive(Debug, clap::Args)]
pub(crate) struct RenderArgs {
    /// The folder of the kustomization
    #[arg(value_name = "DIR", default_value = ".")]
    directory: Utf8PathBuf,
}

pub(crate) async fn run(
    args: &RenderArgs,
    context: &Context,
    ui: &Ui,
) -> Result<Exit, CommandError> {
    let yaml = context.renderer().build_dir(&args.directory).await?;
    ui.answer(|out| out.write_all(yaml.as_bytes()))?;
    Ok(Exit::Done)
}
