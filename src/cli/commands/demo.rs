//! `deployctl demo`.

use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::ops::{self, DemoOptions, RolloutVerdict};
use crate::report::scene;
use crate::system;

/// Show the main job on parts that the binary brings along
///
/// Needs no cluster, no registry, no network and no other program: the rollout that is verified was
/// recorded on a real cluster and is replayed. What is made is removed at the end unless it is kept.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Keep everything in this folder, which must be new or empty
    #[arg(long, value_name = "DIR")]
    keep: Option<Utf8PathBuf>,
    /// Replay a rollout that breaks, and end as `verify` would (exit code 4)
    #[arg(long)]
    fail: bool,
}

pub(crate) async fn run(args: &DemoArgs, context: &Context, ui: &Ui) -> Result<Exit, CommandError> {
    let temporary = TempDir::with_prefix("deployctl-demo-")?;
    let home = match &args.keep {
        Some(dir) => kept(dir)?,
        None => Utf8PathBuf::from_path_buf(temporary.path().to_owned())
            .map_err(|path| CommandError::bug(format!("`{}` is not UTF-8", path.display())))?,
    };
    let renderer = context.renderer();
    let options = DemoOptions {
        home: &home,
        is_kept: args.keep.is_some(),
        fail: args.fail,
        pace: if ui.is_live() { super::verify::PACE } else { Duration::ZERO },
        environment: &context.environment,
        renderer: &renderer,
        time: system::now(),
    };
    let show = |on_stage: ops::Scene<'_>| {
        if !ui.is_json() {
            // The report at the end fails, too, if standard output does.
            let _ = ui.answer(|out| scene(&on_stage, out));
        }
    };
    // The scenes say what is built and pushed; a rollout is worth watching.
    let emit = |event| {
        if let ops::Event::Verify { .. } = event {
            ui.event(&event);
        }
    };
    let report = ops::demo(&options, &show, &emit).await?;
    ui.report(&report)?;
    Ok(match report.verdict {
        RolloutVerdict::Healthy => Exit::Done,
        RolloutVerdict::Degraded => Exit::Degraded,
        RolloutVerdict::TimedOut => Exit::TimedOut,
    })
}

/// Returns the folder to keep everything in, which is made if it is not there.
fn kept(dir: &Utf8Path) -> Result<Utf8PathBuf, CommandError> {
    let hint = "name a folder that is new or empty";
    let unusable = |error: io::Error| {
        let message = format!("can't keep anything in `{dir}`: {error}");
        CommandError::usage(message, hint)
    };
    std::fs::create_dir_all(dir).map_err(unusable)?;
    if dir.read_dir_utf8().map_err(unusable)?.next().is_some() {
        return Err(CommandError::usage(format!("`{dir}` is not empty"), hint));
    }
    system::check_folder(dir).map_err(unusable)?;
    dir.canonicalize_utf8().map_err(unusable)
}
