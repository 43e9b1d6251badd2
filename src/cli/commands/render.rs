//! `deployctl render`.

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::kustomize::FILE_NAMES;
use crate::render::{LoadRestrictor, RenderError};

/// Print what a kustomization renders to, as `kustomize build` does
#[derive(Debug, clap::Args)]
pub(crate) struct RenderArgs {
    /// The folder of the kustomization
    #[arg(value_name = "DIR", default_value = ".")]
    directory: Utf8PathBuf,
    /// Which files a kustomization may load
    #[arg(long, value_name = "WHICH", default_value = "root-only")]
    load_restrictor: LoadRestrictorArg,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum LoadRestrictorArg {
    /// Those in its own folder and below
    RootOnly,
    /// Any
    None,
}

impl From<LoadRestrictorArg> for LoadRestrictor {
    fn from(argument: LoadRestrictorArg) -> Self {
        match argument {
            LoadRestrictorArg::RootOnly => Self::RootOnly,
            LoadRestrictorArg::None => Self::None,
        }
    }
}

pub(crate) async fn run(
    args: &RenderArgs,
    context: &Context,
    ui: &Ui,
) -> Result<Exit, CommandError> {
    let renderer = context.renderer().with_load_restrictor(args.load_restrictor.into());
    let built = renderer.build_dir(&args.directory).await;
    let yaml = built.map_err(|error| match error {
        error @ RenderError::NoRenderer { .. } => error.into(),
        error if is_overlay(&args.directory) => error.into(),
        error => CommandError::from(error).exit(Exit::Usage),
    })?;
    ui.answer(|out| out.write_all(yaml.as_bytes()))?;
    Ok(Exit::Done)
}

fn is_overlay(directory: &Utf8Path) -> bool {
    FILE_NAMES.iter().any(|name| directory.join(name).exists())
}
