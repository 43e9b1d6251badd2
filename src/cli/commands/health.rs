//! `deployctl health`.

use camino::Utf8PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::objects;
use crate::cli::rules::RuleArgs;
use crate::cli::ui::Ui;
use crate::health::{HealthStatus, Managed, Rules};
use crate::k8s::Object;
use crate::ops::{self, Event};
use crate::report::{AssessedObject, HealthReport};

/// Judge live objects offline, as Argo CD would
///
/// Reads objects as `kubectl get -o yaml` prints them.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct HealthArgs {
    #[command(subcommand)]
    command: Option<HealthCommand>,
    /// File with objects; `-` is standard input, which is also read where no file is given
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<Utf8PathBuf>,
    #[command(flatten)]
    rules: RuleArgs,
    /// Also judge the application that manages them all
    #[arg(long)]
    app: bool,
    /// Fail (exit code 1) if one of these is the health of an object or of the application
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status)]
    fail_on: Vec<HealthStatus>,
}

#[derive(Debug, clap::Subcommand)]
enum HealthCommand {
    /// Run every `health_test.yaml` below a folder, as Argo CD's own test does
    Test {
        /// The folder
        #[arg(value_name = "DIR")]
        directory: Utf8PathBuf,
        #[command(flatten)]
        rules: RuleArgs,
    },
}

pub(crate) fn run(args: &HealthArgs, context: &Context, ui: &Ui) -> Result<Exit, CommandError> {
    if let Some(HealthCommand::Test { directory, rules }) = &args.command {
        let report = ops::health_test(directory, &rules.configured(context)?.rules(ui)?)?;
        ui.report(&report)?;
        return Ok(if report.failed.is_empty() { Exit::Done } else { Exit::Failed });
    }
    let stdin = [Utf8PathBuf::from("-")];
    let files = if args.files.is_empty() { stdin.as_slice() } else { &args.files };
    let rules = args.rules.configured(context)?.rules(ui)?;
    let objects = objects::read(files)?;
    warn_of_chance(&objects, &rules, ui);
    let report = report(&objects, &rules, args.app);
    ui.report(&report)?;
    let failed = report.statuses().any(|status| args.fail_on.contains(&status));
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

fn report(objects: &[Object], rules: &Rules, app: bool) -> HealthReport {
    let resources = objects.iter().map(|object| {
        let api_version = object.api_version().to_owned();
        AssessedObject { api_version, id: object.id(), assessment: rules.assess(object) }
    });
    let managed = objects.iter().map(|live| Managed { target: None, live: Some(live) });
    let app = app.then(|| rules.aggregate(None, managed));
    HealthReport { resources: resources.collect(), app }
}

/// Says where Argo CD's verdict depends on chance.
fn warn_of_chance(objects: &[Object], rules: &Rules, ui: &Ui) {
    let Some(customizations) = &rules.customizations else { return };
    for object in objects {
        if let [first, others @ ..] = &customizations.ambiguous(object)[..] {
            let (kind, others) = (object.kind(), others.join("`, `"));
            ui.event(&Event::Warning(format!(
                "`{first}` and `{others}` in argocd-cm all match {kind}: Argo CD takes any of them, \
                 here it is `{first}`"
            )));
        }
    }
}

fn status(text: &str) -> Result<HealthStatus, String> {
    let mut capitalised = text.to_ascii_lowercase();
    capitalised.get_mut(..1).map(str::make_ascii_uppercase);
    HealthStatus::parse(&capitalised).ok_or_else(|| {
        "expected healthy, suspended, progressing, missing, degraded or unknown".to_owned()
    })
}
