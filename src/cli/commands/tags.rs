//! `deployctl tags`.

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde_json::Value;

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::ops;
use crate::report::TagsReport;
use crate::system::{self, Environment};
use crate::tags::{Event, Inputs, Repository, Request, footguns};

/// Compute tags, labels and annotations from a GitHub event, as docker/metadata-action does
///
/// The event is read from the variables that GitHub Actions sets, and from the file that
/// GITHUB_EVENT_PATH names. The clock is SOURCE_DATE_EPOCH where that is set, which then is the
/// commit's time too. Every argument may be given several times, and may hold several lines, as the
/// action's inputs do. The answer is the tags, one a line; labels and annotations are in the answer
/// of `--output json`, and all of it in the step's outputs, called as the action calls them.
#[derive(Debug, clap::Args)]
pub(crate) struct TagsArgs {
    /// Image that gets the tags: `NAME` or `name=NAME,enable=BOOL`
    #[arg(long, value_name = "NAME")]
    images: Vec<String>,
    /// Rule, such as `type=semver,pattern={{version}}` [default: type=schedule and type=ref for
    /// branches, tags and pull requests]
    #[arg(long = "tag", value_name = "SPEC")]
    tags: Vec<String>,
    /// What holds for all tags: `latest=auto|true|false`, `prefix=TEXT`, `suffix=TEXT`, the last two
    /// with `,onlatest=true` for `latest` too
    #[arg(long, value_name = "SPEC")]
    flavor: Vec<String>,
    /// Label to add, or to say otherwise
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// Annotation to add, or to say otherwise
    #[arg(long = "annotation", value_name = "KEY=VALUE")]
    annotations: Vec<String>,
    /// File with the repository as GitHub's API describes it [default: that of the event]
    #[arg(long, value_name = "FILE")]
    repository: Option<Utf8PathBuf>,
}

pub(crate) fn run(args: &TagsArgs, context: &Context, ui: &Ui) -> Result<Exit, CommandError> {
    let environment = &context.environment;
    let mut request = Request::read(&args.inputs())?;
    if let Some(length) = short_length(environment)? {
        request.short_length = length;
    }
    let payload = match environment.get("GITHUB_EVENT_PATH") {
        Some(path) => document(path.into())?,
        None => Value::Null,
    };
    let repository = match &args.repository {
        Some(path) => Repository::read(&document(path)?),
        None => Repository::read(&payload["repository"]),
    };
    let mut event = Event::read(|name| environment.get(name), &payload);
    let stated = stated_time(context)?;
    // Where the source's date is stated, it is that of the commit too.
    event.committed = stated.or(event.committed);
    let metadata = request.metadata(&event, &repository, stated.unwrap_or_else(system::now))?;
    let found = footguns(&request, &event, &metadata, stated.is_none());
    let found = found.iter().map(ToString::to_string);
    for text in metadata.warnings.iter().cloned().chain(found) {
        ui.event(&ops::Event::Warning(text));
    }
    ui.report(&TagsReport { metadata, levels: levels(environment) })?;
    Ok(Exit::Done)
}

impl TagsArgs {
    fn inputs(&self) -> Inputs {
        Inputs {
            images: self.images.clone(),
            tags: self.tags.clone(),
            flavor: self.flavor.clone(),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
        }
    }
}

/// Returns the JSON document in the file at `path`.
fn document(path: &Utf8Path) -> Result<Value, CommandError> {
    let wrong = |error: &dyn std::fmt::Display| {
        let hint = "name a file with the JSON that GitHub writes";
        CommandError::usage(format!("can't read `{path}`: {error}"), hint)
    };
    let text = system::read_text_file(path).map_err(|error| wrong(&error))?;
    serde_json::from_str(&text).map_err(|error| wrong(&error))
}

/// Returns what `SOURCE_DATE_EPOCH` says.
fn stated_time(context: &Context) -> Result<Option<Timestamp>, CommandError> {
    let Some(seconds) = context.source_date_epoch()? else { return Ok(None) };
    let time = Timestamp::from_second(seconds).map_err(|_| {
        let message =
            format!("SOURCE_DATE_EPOCH is `{seconds}`, which is in no year of a calendar");
        CommandError::usage(message, "set it to seconds since 1970, or unset it")
    })?;
    Ok(Some(time))
}

fn short_length(environment: &Environment) -> Result<Option<usize>, CommandError> {
    const NAME: &str = "DOCKER_METADATA_SHORT_SHA_LENGTH";
    let Some(text) = environment.get(NAME) else { return Ok(None) };
    let wrong = |_| {
        let message = format!("{NAME} is `{text}`, which is not a number");
        CommandError::usage(message, "set it to a number of characters, such as 12")
    };
    text.trim().parse().map(Some).map_err(wrong)
}

fn levels(environment: &Environment) -> Vec<String> {
    let levels = environment.get("DOCKER_METADATA_ANNOTATIONS_LEVELS").unwrap_or("manifest");
    levels.split(',').map(str::to_owned).collect()
}
