//! `deployctl edit`.

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::kustomize::Rules;
use crate::ops::{self, Event};

/// Edit a kustomization without a configuration
#[derive(Debug, clap::Args)]
pub(crate) struct EditArgs {
    #[command(subcommand)]
    command: EditCommand,
}

#[derive(Debug, clap::Subcommand)]
enum EditCommand {
    /// Set images as `kustomize edit set image` does, and leave every other byte alone
    SetImage(SetImageArgs),
}

#[derive(Debug, clap::Args)]
struct SetImageArgs {
    /// The folder of the kustomization
    #[arg(short = 'C', long = "directory", value_name = "DIR", default_value = ".")]
    directory: Utf8PathBuf,
    /// Write the list that another tool would write: order, cleared fields, first duplicate
    #[arg(long, value_name = "TOOL")]
    compat: Option<CompatArg>,
    /// Show what would change, as a diff, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// `NAME=NEWNAME:TAG`, `NAME:TAG`, `NAME@DIGEST` …; `*` keeps what is there
    #[arg(required = true, value_name = "ARG")]
    images: Vec<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum CompatArg {
    /// `kustomize edit set image`
    Kustomize,
}

pub(crate) fn run(args: &EditArgs, ui: &Ui) -> Result<Exit, CommandError> {
    let EditCommand::SetImage(args) = &args.command;
    let rules = match args.compat {
        Some(CompatArg::Kustomize) => Rules::Kustomize,
        None => Rules::Careful,
    };
    if args.directory.is_file() {
        let folder = args.directory.parent().filter(|folder| !folder.as_str().is_empty());
        let hint = format!("write `-C {}`", folder.map_or(".", Utf8Path::as_str));
        let message = format!("`{}` is a file; expected the folder that it is in", args.directory);
        return Err(CommandError::usage(message, hint));
    }
    let report = ops::edit_images(&args.directory, &args.images, rules, args.dry_run)?;
    ui.report(&report)?;
    for added in &report.added {
        if let Some(near) = added.near.as_ref() {
            let text = format!("`{}` had no entry; did you mean `{near}`?", added.name);
            ui.event(&Event::Warning(text));
        }
    }
    Ok(Exit::Done)
}
