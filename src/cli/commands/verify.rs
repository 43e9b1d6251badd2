//! `deployctl verify`.

mod alone;
mod deployed;
mod expected;

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use clap::ArgGroup;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::argocd::{Accepts, ApplicationName};
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::reports::{ReportArg, Reports};
use crate::cli::rules::RuleArgs;
use crate::cli::ui::Ui;
use crate::config::Config;
use crate::image::PinnedImage;
use crate::ops::{self, Event, Manifests, RolloutReport, RolloutVerdict, Witness};
use crate::pipeline::duration;
use crate::report::{NoVerdict, VerifyReport};
use crate::system;

use self::expected::Expected;

/// Wait until a revision is live and healthy in an environment, or say why it is not
///
/// With an Argo CD Application, waits until Argo CD has synced the revision; without one, watches
/// the workloads that the overlay renders to. Exit code 4: degraded; 5: timed out.
///
/// What is proven healthy by its digest is put on record in the manifests repository, beside its
/// branches (`refs/deployctl/verified/ENV/SERVICE`), for `rollback`, `promote` and `status`.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").args(["env", "application", "files", "replay"]).required(true).multiple(true))]
pub(crate) struct VerifyArgs {
    /// Services to verify [default: all]
    services: Vec<String>,
    /// The environment
    #[arg(long, value_name = "ENV")]
    env: Option<String>,
    /// Commit of the manifests repository [default: the last one that changed the overlay]
    #[arg(long, value_name = "SHA")]
    revision: Option<String>,
    /// Verify this Application without a configuration, as NAME (in `argocd`) or NAMESPACE/NAME
    #[arg(long, value_name = "NAME", value_parser = application_name, conflicts_with_all = ["env", "services"])]
    application: Option<ApplicationName>,
    /// Verify the objects that FILE states without a configuration; `-` is standard input
    #[arg(short, long = "file", value_name = "FILE", conflicts_with_all = ["env", "services"])]
    files: Vec<Utf8PathBuf>,
    /// The image, NAME[:TAG]@DIGEST, that `--application` or `--file` must run [default: the one that
    /// the files pin, if it is one]
    #[arg(long, value_name = "IMAGE", conflicts_with = "env")]
    image: Option<PinnedImage>,
    /// Context of the kubeconfig for `--application` and `--file` [default: the current one, or the
    /// service account of the pod that this runs in]
    #[arg(long, value_name = "CONTEXT", conflicts_with = "env")]
    context: Option<String>,
    /// Run as a hook of the Application's own sync: judge what that sync has applied, and do not wait
    /// for it to end
    #[arg(long, requires = "application")]
    within_sync: bool,
    #[command(flatten)]
    rules: RuleArgs,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    timeout: Duration,
    /// How long it must stay healthy before that counts
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    settle: Duration,
    /// Ask Argo CD to sync where auto-sync is off, or where a sync window keeps it back and lets people
    /// sync; prunes only if the Application's policy does
    #[arg(long, conflicts_with = "within_sync")]
    sync: bool,
    /// Take this for done as well: `suspended` (a paused canary), `out-of-sync` (what stays out of sync
    /// after a full sync, or is left to prune)
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    accept: Vec<Accepted>,
    /// End the wait at a cause that only a change mends; `--fail-fast=false` waits out the time
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    fail_fast: bool,
    /// Write all that the verdict is made from into DIR/SERVICE: to look at, to attach to a bug report,
    /// and for `--replay`
    ///
    /// It holds each observed version of the Application, the objects, their pods and events, the last
    /// log lines of containers that failed, and the health scripts of `argocd-cm`. Values of environment
    /// variables, ConfigMaps, Secrets and Helm parameters are replaced by marks, as are passwords in
    /// URLs. In commands, arguments, messages and log lines only what a name says to be secret is
    /// (`--password=…`, `token: …`), so read it before you hand it on.
    #[arg(long, value_name = "DIR")]
    record: Option<Utf8PathBuf>,
    /// Decide again what `--record` wrote into DIR, without cluster, git and network; by the `argocd-cm`
    /// that counted then unless `--argocd-cm` names another, and by rules of your own if `--config` names
    /// their file
    #[arg(long, value_name = "DIR", conflicts_with_all = ["env", "services", "application", "files", "record", "revision", "image"])]
    replay: Option<Utf8PathBuf>,
    /// Write a report beside the answer, as junit=FILE, markdown=FILE, html=FILE or json=FILE; again for
    /// another
    #[arg(long = "report", value_name = "FORMAT=FILE")]
    reports: Vec<ReportArg>,
    /// Put nothing on record in the manifests repository
    #[arg(long)]
    no_record: bool,
    /// Whether GitHub is told what comes of it.
    #[arg(skip = true)]
    tells: bool,
}

/// A state between done and not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Accepted {
    Suspended,
    OutOfSync,
}

impl VerifyArgs {
    fn accepts(&self) -> Accepts {
        Accepts {
            suspended: self.accept.contains(&Accepted::Suspended),
            out_of_sync: self.accept.contains(&Accepted::OutOfSync),
        }
    }

    /// Fails if `--record` could not write what becomes of `service`: who waits ten minutes for a
    /// recording must not learn that at the end.
    fn check_record(&self, service: &str) -> Result<(), CommandError> {
        let Some(dir) = &self.record else { return Ok(()) };
        let checked = ops::check_record(&dir.join(service));
        checked.map_err(|error| CommandError::from(error).exit(Exit::Usage))
    }

    /// Returns the arguments of a pipeline's step.
    pub(super) fn of_step(
        environment: &str,
        services: Vec<String>,
        revision: Option<String>,
        timeout: Duration,
    ) -> Self {
        Self {
            services,
            env: Some(environment.to_owned()),
            revision,
            application: None,
            files: Vec::new(),
            image: None,
            context: None,
            within_sync: false,
            rules: RuleArgs::default(),
            timeout,
            settle: Duration::from_secs(10),
            sync: false,
            accept: Vec::new(),
            fail_fast: true,
            record: None,
            replay: None,
            reports: Vec::new(),
            no_record: false,
            tells: true,
        }
    }

    /// Returns the arguments that ask whether all is well now.
    pub(super) fn of_proof(environment: &str, services: Vec<String>) -> Self {
        let timeout = Duration::from_secs(30);
        let settle = Duration::ZERO;
        // A moment of health is no reason to return to it later.
        Self {
            settle,
            no_record: true,
            tells: false,
            ..Self::of_step(environment, services, None, timeout)
        }
    }
}

pub(crate) async fn run(
    args: &VerifyArgs,
    context: &Context,
    ui: &Ui,
) -> Result<Exit, CommandError> {
    let (reports, started) = (Reports::begin(&args.reports)?, system::now());
    let report = match came_to(args, context, ui).await {
        Ok(report) => report,
        Err(error) => {
            // What can't be written now, too, is less than why there is no verdict.
            let none = no_verdict(args, &error, started);
            let written = reports.write(&none).and_then(|()| Ok(ui.summarize(&none)?));
            written.err().into_iter().for_each(|error| ui.say(&error.in_one_line()));
            return Err(error);
        }
    };
    ui.report(&report)?;
    let exit = match report.verdict() {
        RolloutVerdict::Healthy => Exit::Done,
        RolloutVerdict::Degraded => Exit::Degraded,
        RolloutVerdict::TimedOut => Exit::TimedOut,
    };
    match reports.write(&report) {
        // That a rollout failed is worse than that a report is missing.
        Err(error) if exit != Exit::Done => ui.say(&error.in_one_line()),
        written => written?,
    }
    Ok(exit)
}

async fn came_to(
    args: &VerifyArgs,
    context: &Context,
    ui: &Ui,
) -> Result<VerifyReport, CommandError> {
    // They are read again with what the cluster's Argo CD has; a mistake in them is told before it is
    // asked, or waited for.
    args.rules.rules(ui)?;
    match (&args.env, &args.replay) {
        (_, Some(dir)) => replay(dir, args, context, ui).await,
        (Some(_), None) => verify(args, &context.config()?, context, ui).await,
        (None, None) => alone::verify(args, context, ui).await,
    }
}

fn no_verdict(args: &VerifyArgs, error: &CommandError, started: Timestamp) -> NoVerdict {
    let subject = match (&args.env, &args.replay) {
        (Some(environment), _) => environment.clone(),
        (None, Some(dir)) => dir.to_string(),
        (None, None) => alone::name(args),
    };
    let (texts, hint) = (error.texts(), error.hint().map(str::to_owned));
    NoVerdict { subject, texts, hint, exit_code: error.exit as u8, started }
}

/// Returns how the rollouts that are recorded in `dir` end.
async fn replay(
    dir: &Utf8Path,
    args: &VerifyArgs,
    context: &Context,
    ui: &Ui,
) -> Result<VerifyReport, CommandError> {
    let pace = if ui.is_live() { PACE } else { Duration::ZERO };
    let arguments = match &context.global.config {
        Some(_) => args.rules.beside(&context.config()?),
        None => args.rules.clone(),
    };
    let rules = |recorded| arguments.rules_with(recorded);
    let rollouts = ops::replay(dir, &rules, pace, &|event| ui.event(&event)).await?;
    let environment = rollouts.first().map(|rollout| rollout.environment.clone());
    Ok(VerifyReport { environment: environment.unwrap_or_default(), rollouts })
}

/// Verifies the services at the same time and returns how each rollout ended.
pub(super) async fn verify(
    args: &VerifyArgs,
    config: &Config,
    context: &Context,
    ui: &Ui,
) -> Result<VerifyReport, CommandError> {
    let name = args.env.as_deref().expect("without an environment it goes another way");
    let environment = config.environment(name)?;
    let services = config.services(&args.services)?;
    services.iter().try_for_each(|service| args.check_record(&service.name))?;
    let cluster = context.cluster(environment).await?;
    let manifests = context.manifests(config).await?;
    let (tip, tree) = manifests.tree(&|event| ui.event(&event)).await?;
    let rules = args.rules.beside(config);
    let known_rules = Mutex::default();
    let expected =
        Expected { args, environment, manifests: &manifests, tip, tree, rules, known_rules };
    let applications =
        deployed::applications(&services, environment, &cluster, args.timeout, ui).await?;
    let rollouts = services.iter().flat_map(|service| {
        let place = expected.place(service);
        let found = deployed::of(&applications, environment, service, &place);
        found.into_iter().map(|deployed| expected.verify(service, deployed, &cluster, context, ui))
    });
    let rollouts = try_join_all(rollouts).await?;
    let decisive = deployed::decisive(&rollouts);
    if !args.no_record {
        put_on_record(&decisive, &manifests, config, context, ui).await;
    }
    if let Some(reporter) = context.source_reporter(config)?.filter(|_| args.tells) {
        let records = expected.records(&decisive, config).await;
        ops::report_sources(&reporter.reports(), &records, &|event| ui.event(&event)).await;
    }
    Ok(VerifyReport { environment: environment.name.clone(), rollouts })
}

/// Puts on record what the rollouts prove. The verdict is what it is, so that a failure is only told.
async fn put_on_record(
    rollouts: &[RolloutReport],
    manifests: &Manifests,
    config: &Config,
    context: &Context,
    ui: &Ui,
) {
    if rollouts.iter().all(|rollout| rollout.proven().is_none()) {
        return;
    }
    let recorded = async {
        let authorship = context.authorship(config).await?;
        let (time, run) = (system::now(), context.environment.run_url());
        let witness = Witness { authorship: &authorship, time, run };
        Ok::<_, CommandError>(ops::record_verified(manifests, rollouts, &witness).await?)
    };
    if let Err(error) = recorded.await {
        let error = error.in_one_line();
        let warning = format!("not put on record (`--no-record` leaves it): {error}");
        ui.event(&Event::Warning(warning));
    }
}

/// So long a person needs to take in a step of what is played.
pub(super) const PACE: Duration = Duration::from_millis(400);

fn application_name(text: &str) -> Result<ApplicationName, String> {
    let (namespace, name) = text.split_once('/').unwrap_or(("argocd", text));
    let is_name = |part: &str| !part.is_empty() && !part.contains(['/', ' ']);
    let name = ApplicationName { namespace: namespace.to_owned(), name: name.to_owned() };
    let valid = is_name(&name.namespace) && is_name(&name.name);
    valid.then_some(name).ok_or_else(|| "expected NAME or NAMESPACE/NAME".to_owned())
}
