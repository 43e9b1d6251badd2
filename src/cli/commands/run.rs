//! `deployctl run`.

use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};

use super::build::{self, BuildArgs};
use super::promote::{self, PromoteArgs};
use super::set::{self, ChangeArgs, Wanted};
use super::verify::{self, VerifyArgs};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::config::{Config, Service};
use crate::image::PinnedImage;
use crate::ops::{self, Event, GatedReport, Outcome, SameDigest, StepRunner};
use crate::pipeline::{Action, CommandLine, Pipeline, Promote};
use crate::promotion::Hold;
use crate::report::PlannedSteps;
use crate::system::Command;

/// Run the steps of a pipeline, `pipelines/PIPELINE.yaml`
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Name of a pipeline beside the configuration file, or a path to a file
    pipeline: String,
    /// Check the pipeline and say what its steps are, and run none
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: &RunArgs, context: &Context, ui: &Ui) -> Result<Exit, CommandError> {
    let config = context.config()?;
    let pipeline = read(&args.pipeline, &config)?;
    check(&pipeline, &config)?;
    if args.dry_run {
        ui.report(&PlannedSteps(&pipeline))?;
        return Ok(Exit::Done);
    }
    let mut runner =
        Runner { config: &config, context, ui, images: Vec::new(), commit: None, waiting: None };
    match ops::run(&pipeline, &mut runner, &|event| ui.event(&event)).await {
        Ok(report) => {
            ui.report(&report)?;
            Ok(Exit::Done)
        }
        Err(failed) => {
            ui.report(&failed.report)?;
            let step = format!("step `{}` of pipeline `{}` failed", failed.step, pipeline.name);
            Err(failed.error.context(step).of_step())
        }
    }
}

/// Returns the pipeline that a name or a path stands for.
fn read(name: &str, config: &Config) -> Result<Pipeline, CommandError> {
    let path = if name.ends_with(".yaml") || name.contains('/') {
        Utf8PathBuf::from(name)
    } else {
        config.folder().join("pipelines").join(format!("{name}.yaml"))
    };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let known = known(path.parent().unwrap_or(Utf8Path::new(".")));
        CommandError::usage(format!("can't read pipeline `{path}`: {error}"), known)
    })?;
    Ok(Pipeline::parse(&path, &text)?)
}

/// Returns a sentence about the pipelines that there are in `folder`.
fn known(folder: &Utf8Path) -> String {
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| Some(entry.file_name().strip_suffix(".yaml")?.to_owned()))
        .collect();
    names.sort();
    match names.as_slice() {
        [] => format!("there are no pipelines in `{folder}`"),
        names => format!("known pipelines: {}", names.join(", ")),
    }
}

/// Checks every name in the pipeline before the first step runs.
fn check(pipeline: &Pipeline, config: &Config) -> Result<(), CommandError> {
    let (mut is_built, mut is_pushed) = (false, false);
    for step in &pipeline.steps {
        let (environments, services): (Vec<&String>, &[String]) = match &step.action {
            Action::Build { services } => (Vec::new(), services),
            Action::Set { environment, .. } => (vec![environment], &[]),
            Action::Promote(Promote { services, from, to, .. }) => {
                (from.iter().chain([to]).collect(), services)
            }
            Action::Verify { services, environment, .. } => (vec![environment], services),
            Action::Run(_) => (Vec::new(), &[]),
        };
        let context = || format!("step `{}` of pipeline `{}`", step.name, pipeline.name);
        for name in environments {
            config
                .environment(name)
                .map_err(|error| CommandError::from(error).context(context()))?;
        }
        let services = config
            .services(services)
            .map_err(|error| CommandError::from(error).context(context()))?;
        if matches!(step.action, Action::Build { .. }) {
            is_built = true;
            is_pushed |= services.iter().any(|service| service.push);
        }
        if matches!(step.action, Action::Set { .. }) && is_built && !is_pushed {
            let message =
                "no service is built before it whose image is pushed, so there is nothing to set";
            let hint = "leave out `push: false` in the `build` section of what is to be set";
            return Err(CommandError::usage(message, hint).context(context()));
        }
        if matches!(step.action, Action::Set { .. }) && !is_built {
            let message = "there is no `build` step before it, so there is nothing to set";
            let hint =
                "add a `build` step; `promote` is for images that another environment states";
            return Err(CommandError::usage(message, hint).context(context()));
        }
    }
    Ok(())
}

/// How long a step's own command may run; a job of GitHub Actions ends by then, too.
const STEP_DEADLINE: Duration = Duration::from_secs(6 * 3600);

/// Joins steps to the backends, and carries what one step made to the next.
struct Runner<'a> {
    config: &'a Config,
    context: &'a Context,
    ui: &'a Ui,
    /// The images that `build` made.
    images: Vec<(&'a Service, PinnedImage)>,
    /// The commit that `set` or `promote` wrote.
    commit: Option<String>,
    /// Why there is nothing to verify yet.
    waiting: Option<String>,
}

#[async_trait]
impl StepRunner for Runner<'_> {
    type Error = CommandError;

    async fn step(&mut self, action: &Action) -> Result<(), CommandError> {
        match action {
            Action::Build { services } => self.build(services.clone()).await,
            Action::Set { environment, allow_other_changes } => {
                let allow_other_changes = *allow_other_changes;
                let change = ChangeArgs { allow_other_changes, ..ChangeArgs::default() };
                self.set(environment, change).await
            }
            Action::Promote(step) => self.promote(PromoteArgs::of_step(step)).await,
            Action::Verify { services, environment, timeout } => {
                self.verify(services, environment, *timeout).await
            }
            Action::Run(line) => self.command(line).await,
        }
    }
}

impl<'a> Runner<'a> {
    async fn build(&mut self, services: Vec<String>) -> Result<(), CommandError> {
        let args = BuildArgs::of_services(services);
        let report = build::build(&args, self.config, self.context, self.ui).await?;
        self.ui.report(&report)?;
        for built in report.images {
            let service = self.config.service(&built.service)?;
            self.images.retain(|(other, _)| other.name != service.name);
            if !service.push {
                continue;
            }
            self.images.push((service, built.image));
        }
        Ok(())
    }

    async fn set(&mut self, environment: &str, change: ChangeArgs) -> Result<(), CommandError> {
        let environment = self.config.environment(environment)?;
        let images = self.images.clone();
        let wanted = Wanted {
            environment,
            images,
            same_digest: SameDigest::Leave,
            change,
            overrides: Vec::new(),
        };
        let report = set::set(wanted, self.config, self.context, self.ui).await?;
        self.changed(&report)
    }

    async fn promote(&mut self, args: PromoteArgs) -> Result<(), CommandError> {
        let report = promote::promote(&args, self.config, self.context, self.ui).await?;
        self.changed(&report)
    }

    /// Takes over what came of a change, for the steps after it.
    fn changed(&mut self, report: &GatedReport) -> Result<(), CommandError> {
        self.ui.report(report)?;
        let Some(set) = &report.set else {
            return Err(CommandError::failed(report.closed_sentence().unwrap_or_default()));
        };
        if !set.holds().is_empty() {
            let held: Vec<String> = set.holds().iter().map(Hold::sentence).collect();
            return Err(CommandError::failed(held.join("; ")));
        }
        self.commit = set.revision().map(ToString::to_string);
        if let Outcome::PullRequest { url, merged: None, .. } = &set.outcome {
            let to = &set.environment;
            let reason = format!("{to} waits for {url} to be merged; run `deployctl verify` then");
            self.waiting = Some(reason);
        }
        Ok(())
    }

    async fn verify(
        &mut self,
        services: &[String],
        environment: &str,
        timeout: Duration,
    ) -> Result<(), CommandError> {
        if let Some(reason) = &self.waiting {
            self.ui.say(&format!("not verified: {reason}"));
            return Ok(());
        }
        let built = self.images.iter().map(|(service, _)| service.name.clone());
        let services = if services.is_empty() { built.collect() } else { services.to_vec() };
        let args = VerifyArgs::of_step(environment, services, self.commit.clone(), timeout);
        let reports = verify::verify(&args, self.config, self.context, self.ui).await?;
        self.ui.report(&reports)?;
        match reports.failure() {
            Some(reason) => Err(CommandError::failed(reason)),
            None => Ok(()),
        }
    }

    /// Runs the user's own command; its output is the conversation, its exit status decides.
    async fn command(&mut self, line: &CommandLine) -> Result<(), CommandError> {
        let command = match line {
            CommandLine::Program(words) => Command::new(&words[0]).args(&words[1..]),
            CommandLine::Shell(text) => Command::new("sh").args(["-eu", "-c", text]),
        };
        let images =
            self.images.iter().map(|(service, image)| format!("{}={image}\n", service.name));
        let command = command
            .env("DEPLOYCTL_IMAGES", images.collect::<String>())
            .env("DEPLOYCTL_COMMIT", self.commit.as_deref().unwrap_or_default())
            .current_dir(self.config.folder())
            .deadline(STEP_DEADLINE)
            .with_all_it_starts();
        let output = command.stream(&|line| self.ui.event(&Event::Line(line.to_owned()))).await?;
        if output.status.success() {
            return Ok(());
        }
        let end = match output.status.code() {
            Some(code) => format!("exit code {code}"),
            None => output.status.to_string(),
        };
        Err(CommandError::failed(format!("`{line}` ended with {end}")))
    }
}
