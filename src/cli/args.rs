//! What can be written on the command line.

use camino::Utf8PathBuf;
use clap::builder::{NonEmptyStringValueParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::commands;
use crate::cli::ui::{Color, Format, UiOptions};

/// Carries an image, pinned by digest, from its build through the manifests repository to a
/// rollout that is proven healthy.
#[derive(Debug, Parser)]
#[command(name = "deployctl", version, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(super) global: GlobalArgs,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Configuration file [default: what DEPLOYCTL_CONFIG names, else deployctl.yaml in this folder or a
    /// parent]
    #[arg(long, global = true, value_name = "FILE", value_parser = NonEmptyStringValueParser::new().map(Utf8PathBuf::from))]
    pub(super) config: Option<Utf8PathBuf>,
    /// What the answer on standard output looks like
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "human",
        hide_possible_values = false
    )]
    pub(super) output: OutputArg,
    /// Say nothing on standard error but errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Say more on standard error; twice: everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: ColorArg,
    /// Print no progress
    #[arg(long, global = true)]
    pub(super) no_progress: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum OutputArg {
    Human,
    Json,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ColorArg {
    Auto,
    Always,
    Never,
}

impl GlobalArgs {
    /// Returns how to talk to the user.
    pub(super) fn ui_options(&self) -> UiOptions {
        UiOptions {
            format: match self.output {
                OutputArg::Human => Format::Human,
                OutputArg::Json => Format::Json,
            },
            color: match self.color {
                ColorArg::Auto => Color::Auto,
                ColorArg::Always => Color::Always,
                ColorArg::Never => Color::Never,
            },
            quiet: self.quiet,
            verbose: self.verbose,
            progress: !self.no_progress,
        }
    }
}

/// The commands, in the order of the job and then those around it.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Build(commands::build::BuildArgs),
    Set(commands::set::SetArgs),
    Promote(commands::promote::PromoteArgs),
    Verify(Box<commands::verify::VerifyArgs>),
    Rollback(commands::rollback::RollbackArgs),
    ReleaseHold(commands::release_hold::ReleaseHoldArgs),
    Diff(commands::diff::DiffArgs),
    Status(commands::status::StatusArgs),
    History(commands::history::HistoryArgs),
    Run(commands::run::RunArgs),
    Demo(commands::demo::DemoArgs),
    Edit(commands::edit::EditArgs),
    Lint(commands::lint::LintArgs),
    Render(commands::render::RenderArgs),
    Health(commands::health::HealthArgs),
    Image(commands::image::ImageArgs),
    Registry(commands::registry::RegistryArgs),
    Context(commands::context::ContextArgs),
    Tags(commands::tags::TagsArgs),
    Schema(commands::schema::SchemaArgs),
    Completions(commands::completions::CompletionsArgs),
    Man(commands::man::ManArgs),
}
