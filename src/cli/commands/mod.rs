//! One file a command: its arguments, and the wiring to its op.

pub(super) mod build;
pub(super) mod completions;
pub(super) mod context;
pub(super) mod demo;
pub(super) mod diff;
pub(super) mod edit;
pub(super) mod health;
pub(super) mod history;
pub(super) mod image;
pub(super) mod lint;
pub(super) mod man;
pub(super) mod promote;
pub(super) mod registry;
pub(super) mod release_hold;
pub(super) mod render;
pub(super) mod rollback;
pub(super) mod run;
pub(super) mod schema;
pub(super) mod set;
pub(super) mod status;
pub(super) mod tags;
pub(super) mod verify;

use super::args::Command;
use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use crate::cli::ui::Ui;

/// Runs a command and returns how it ended.
pub(super) fn run(command: Command, context: &Context, ui: &Ui) -> Result<Exit, CommandError> {
    let hint = interrupted(&command);
    let ran = match command {
        Command::Build(args) => context.block_on(build::run(&args, context, ui)),
        Command::Set(args) => context.block_on(set::run(&args, context, ui)),
        Command::Promote(args) => context.block_on(promote::run(&args, context, ui)),
        Command::Verify(args) => context.block_on(verify::run(&args, context, ui)),
        Command::Rollback(args) => context.block_on(rollback::run(&args, context, ui)),
        Command::ReleaseHold(args) => context.block_on(release_hold::run(&args, context, ui)),
        Command::Diff(args) => context.block_on(diff::run(&args, context, ui)),
        Command::Status(args) => context.block_on(status::run(&args, context, ui)),
        Command::History(args) => context.block_on(history::run(&args, context, ui)),
        Command::Run(args) => context.block_on(run::run(&args, context, ui)),
        Command::Demo(args) => context.block_on(demo::run(&args, context, ui)),
        Command::Lint(args) => context.block_on(lint::run(&args, context, ui)),
        Command::Render(args) => context.block_on(render::run(&args, context, ui)),
        Command::Edit(args) => edit::run(&args, ui),
        Command::Health(args) => health::run(&args, context, ui),
        Command::Registry(args) => context.block_on(registry::run(&args, context, ui)),
        Command::Image(args) => image::run(&args, ui),
        Command::Context(args) => context::run(&args, ui),
        Command::Tags(args) => tags::run(&args, context, ui),
        Command::Schema(args) => schema::run(&args, ui),
        Command::Completions(args) => completions::run(&args, ui),
        Command::Man(args) => man::run(&args, ui),
    };
    ran.map_err(|error| error.if_interrupted(hint))
}

/// Returns what to know after Ctrl-C.
fn interrupted(command: &Command) -> &'static str {
    match command {
        Command::Build(_) => {
            "an image that was complete may have been pushed; running the command again goes on from there"
        }
        Command::Set(_)
        | Command::Promote(_)
        | Command::Rollback(_)
        | Command::ReleaseHold(_)
        | Command::Run(_) => {
            "a push that was under way may have arrived; running the command again goes on from there"
        }
        Command::Verify(_) => {
            "the rollout goes on by itself; running the command again tells how it ends"
        }
        Command::Demo(_) => "nothing is left of it but what --keep names; it begins anew each time",
        _ => "nothing was changed",
    }
}
