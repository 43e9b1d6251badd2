//! The two streams and the GitHub Actions files that reports and events go to.

mod bars;
mod live;

use std::collections::HashSet;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use anstyle::{AnsiColor, Style};
use camino::{Utf8Path, Utf8PathBuf};

use self::bars::Bars;
use self::live::Live;
use super::place::Place;
use crate::github::actions::{self, Actions, Annotation, Level};
use crate::ops::{Event, VerifyEvent};
use crate::report::{self, Report};
use crate::system::{self, Environment};

/// What the answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// For programs.
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How to talk to the user.
#[derive(Debug, Clone)]
pub(crate) struct UiOptions {
    /// What the answer looks like.
    pub(crate) format: Format,
    /// When to use colours.
    pub(crate) color: Color,
    /// Whether to say nothing but errors.
    pub(crate) quiet: bool,
    /// How much more to say.
    pub(crate) verbose: u8,
    /// Whether to print progress.
    pub(crate) progress: bool,
}

/// The user's side of deployctl.
#[derive(Clone)]
pub(crate) struct Ui {
    options: UiOptions,
    actions: Option<Actions>,
    /// The folder that paths in annotations are relative to.
    workspace: Option<Utf8PathBuf>,
    /// The warnings that were said.
    warned: Arc<Mutex<HashSet<String>>>,
    /// Where rollouts are shown as they go on; `None` where each change is a line of its own.
    live: Option<Arc<Live>>,
    /// Where layers are shown on their way, under the same conditions.
    bars: Option<Arc<Bars>>,
}

/// The style of errors' first word.
const ERROR: Style = AnsiColor::Red.on_default().bold();
/// The style of what is less important.
const DIM: Style = Style::new().dimmed();
/// The style of hints' first word.
const HINT: Style = AnsiColor::Cyan.on_default().bold();

impl Ui {
    /// Returns the user's side of a process with `environment`.
    pub(crate) fn new(options: &UiOptions, environment: &Environment) -> Self {
        match options.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::AlwaysAnsi,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        let actions = Actions::detect(environment);
        let workspace = environment.get("GITHUB_WORKSPACE").map(Utf8PathBuf::from);
        let workspace = workspace.or_else(|| system::current_dir().ok());
        let options = options.clone();
        let is_live = is_live(&options, environment);
        let live = is_live.then(|| Arc::new(Live::new(is_colored())));
        let bars = is_live.then(|| Arc::new(Bars::new()));
        Self { options, actions, workspace, warned: Arc::default(), live, bars }
    }

    /// Returns whether rollouts are shown as they go on, so that a recorded one is worth playing slowly.
    pub(crate) fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Returns whether the answer is for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.options.format == Format::Json
    }

    /// Writes the report on standard output, and its outputs and summary for GitHub Actions.
    ///
    /// # Errors
    ///
    /// Fails if one of them can't be written.
    pub(crate) fn report(&self, report: &dyn Report) -> io::Result<()> {
        self.answer(|out| match self.options.format {
            Format::Human => self.human(report, out),
            Format::Json => json_line(&report.json(), out),
        })?;
        let Some(actions) = &self.actions else { return Ok(()) };
        let outputs = report.outputs();
        let outputs: Vec<_> = outputs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        actions.set_outputs(&outputs).map_err(io::Error::other)?;
        self.summarize(report)
    }

    /// Adds what the report says to the step summary of GitHub Actions; does nothing elsewhere.
    ///
    /// # Errors
    ///
    /// Fails if it can't be written.
    pub(crate) fn summarize(&self, report: &dyn Report) -> io::Result<()> {
        let Some(actions) = &self.actions else { return Ok(()) };
        match report.summary() {
            summary if summary.is_empty() => Ok(()),
            summary => actions.add_summary(&summary).map_err(io::Error::other),
        }
    }

    /// Writes on standard output; a reader that has gone away is not an error.
    ///
    /// # Errors
    ///
    /// Fails if standard output can't be written.
    pub(crate) fn answer(
        &self,
        write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
    ) -> io::Result<()> {
        self.take_away_live();
        let mut out = anstream::stdout().lock();
        let written = write(&mut out).and_then(|()| out.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => {
                let text = format!("can't write to standard output: {error}");
                Err(io::Error::new(error.kind(), text))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Writes the report for people; under GitHub Actions, where it holds what others wrote, so that
    /// no command is taken from it.
    fn human(&self, report: &dyn Report, out: &mut dyn io::Write) -> io::Result<()> {
        if self.actions.is_none() {
            return report.human(out);
        }
        let mut text = Vec::new();
        report.human(&mut text)?;
        match self.fence(&String::from_utf8_lossy(&text)) {
            Some((stop, resume)) => {
                writeln!(out, "{stop}")?;
                out.write_all(&text)?;
                writeln!(out, "{resume}")
            }
            None => out.write_all(&text),
        }
    }

    /// Returns the lines to write before and after `text` so that the runner of GitHub Actions takes
    /// no command from it, or `None` if it would not.
    fn fence(&self, text: &str) -> Option<(String, String)> {
        self.actions.as_ref().filter(|_| actions::may_hold_command(text))?;
        actions::without_commands().ok()
    }

    /// Writes a text of the conversation.
    fn write(&self, text: &str) {
        let write = || match self.fence(text) {
            Some((stop, resume)) => tell(&format!("{stop}\n{text}\n{resume}")),
            None => tell(text),
        };
        match (&self.live, &self.bars) {
            (Some(live), Some(bars)) => live.above(|| bars.above(write)),
            _ => write(),
        }
    }

    /// Leaves the terminal clean; the verdicts stay where the answer does not show them.
    fn take_away_live(&self) {
        if let Some(bars) = &self.bars {
            bars.take_away();
        }
        let verdicts = self.live.as_ref().map(|live| live.take_away()).unwrap_or_default();
        if !io::stdout().is_terminal() {
            verdicts.iter().for_each(|line| tell(line));
        }
    }

    /// Tells what an op is doing.
    pub(crate) fn event(&self, event: &Event) {
        let is_progress = !matches!(event, Event::Warning(_));
        if self.options.quiet || (is_progress && !self.options.progress) {
            return;
        }
        // What holds for a whole run, such as that nothing can render, is said once.
        if let Event::Warning(text) = event
            && !self.warned.lock().unwrap_or_else(PoisonError::into_inner).insert(text.clone())
        {
            return;
        }
        if let (Some(live), Event::Verify { service, moment }) = (&self.live, event) {
            live.show(service, moment);
            if !matches!(moment.event, VerifyEvent::Note(_)) {
                return;
            }
        }
        if let Some(bars) = &self.bars {
            match event {
                Event::Sending { blob, sent, size } => bars.show(blob, *sent, *size),
                Event::Sent { blob } => bars.end(blob),
                _ => {}
            }
        }
        let line = match event {
            Event::Verify { service, moment } if self.is_json() && self.live.is_none() => {
                report::json::v1::event(service, moment).map(|event| event.to_string())
            }
            event => report::event_line(event, self.options.verbose),
        };
        if let Some(line) = line {
            self.say(&line);
        }
    }

    /// Says a line of the conversation.
    pub(crate) fn say(&self, line: &str) {
        if !self.options.quiet {
            self.write(line);
        }
    }

    /// Says an error and its causes.
    pub(crate) fn error(&self, texts: &[String]) {
        self.take_away_live();
        let mut texts = texts.iter();
        let first = texts.next().map_or("", String::as_str);
        let causes = texts.map(|cause| format!("\n{DIM}caused by{DIM:#}: {cause}"));
        self.write(&format!("{ERROR}error{ERROR:#}: {first}{}", causes.collect::<String>()));
    }

    /// Says an error that is laid out already.
    pub(crate) fn error_text(&self, text: &str) {
        self.take_away_live();
        self.write(text);
    }

    /// Says what to do about an error.
    pub(crate) fn hint(&self, hint: &str) {
        tell(&format!("{HINT}hint{HINT:#}: {hint}"));
    }

    /// Shows a message at a place of a file under GitHub Actions; does nothing elsewhere.
    pub(crate) fn annotate(&self, level: Level, message: &str, place: Option<&Place>) {
        if self.actions.is_none() {
            return;
        }
        let file = place.map(|place| self.in_workspace(&place.file));
        let (line, column) = (place.map(|place| place.line), place.and_then(|place| place.column));
        let annotation = Annotation { level, file, line, column, title: None, message };
        // Workflow commands are read from either stream; standard output is the answer.
        tell(&annotation.to_string());
    }

    fn in_workspace<'a>(&self, file: &'a Utf8Path) -> &'a Utf8Path {
        let inside = self.workspace.as_ref().and_then(|folder| file.strip_prefix(folder).ok());
        inside.unwrap_or(file)
    }
}

/// Writes a line of the conversation. Where nobody can be written to there is nobody to be told of that.
fn tell(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Returns whether rollouts are shown in one place: a person watches a terminal that can do it, and did
/// not ask to be told more.
fn is_live(options: &UiOptions, environment: &Environment) -> bool {
    let is_capable = io::stderr().is_terminal() && environment.get("TERM") != Some("dumb");
    options.progress && !options.quiet && options.verbose == 0 && is_capable && !environment.is_ci()
}

/// Returns whether standard error shows colours, by the choice that was made for all streams.
pub(super) fn is_colored() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

fn json_line(value: &serde_json::Value, out: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}
