//! The two streams and the GitHub Actions files that reports and events go to.

use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use camino::Utf8Path;

use crate::github::actions::{Actions, Annotation, Level};
use crate::ops::Event;
use crate::report::{self, Report};
use crate::system::Environment;

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
pub(crate) struct Ui {
    options: UiOptions,
    actions: Option<Actions>,
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
        Self { options: options.clone(), actions: Actions::detect(environment) }
    }

    /// Returns whether standard error shows colours.
    pub(crate) fn is_colored(&self) -> bool {
        match self.options.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => io::stderr().is_terminal(),
        }
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
            Format::Human => report.human(out),
            Format::Json => json_line(&report.json(), out),
        })?;
        let Some(actions) = &self.actions else { return Ok(()) };
        let outputs = report.outputs();
        let outputs: Vec<_> = outputs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        actions.set_outputs(&outputs).map_err(io::Error::other)?;
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
        let mut out = anstream::stdout().lock();
        let written = write(&mut out).and_then(|()| out.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Tells what an op is doing.
    pub(crate) fn event(&self, event: &Event) {
        if self.options.quiet || !self.options.progress {
            return;
        }
        if let Some(line) = report::event_line(event, self.options.verbose) {
            self.say(&line);
        }
    }

    /// Says a line of the conversation.
    pub(crate) fn say(&self, line: &str) {
        if !self.options.quiet {
            anstream::eprintln!("{line}");
        }
    }

    /// Says an error and its causes.
    pub(crate) fn error(&self, texts: &[String]) {
        let mut texts = texts.iter();
        let first = texts.next().map_or("", String::as_str);
        anstream::eprintln!("{ERROR}error{ERROR:#}: {first}");
        for cause in texts {
            anstream::eprintln!("{DIM}caused by{DIM:#}: {cause}");
        }
    }

    /// Says an error that is laid out already.
    pub(crate) fn error_text(&self, text: &str) {
        anstream::eprintln!("{text}");
    }

    /// Says what to do about an error.
    pub(crate) fn hint(&self, hint: &str) {
        anstream::eprintln!("{HINT}hint{HINT:#}: {hint}");
    }

    /// Shows an error at a place of a file under GitHub Actions; does nothing elsewhere.
    pub(crate) fn annotate_error(&self, message: &str, place: Option<(&Utf8Path, usize, usize)>) {
        if self.actions.is_none() {
            return;
        }
        let annotation = Annotation {
            level: Level::Error,
            file: place.map(|(file, _, _)| file),
            line: place.map(|(_, line, _)| line),
            column: place.map(|(_, _, column)| column),
            title: None,
            message,
        };
        // Workflow commands are read from either stream; standard output is the answer.
        anstream::eprintln!("{annotation}");
    }
}

fn json_line(value: &serde_json::Value, out: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}
