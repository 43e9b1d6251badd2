//! `deployctl context`.

use std::ffi::OsString;
use std::io::{self, BufRead as _, Write};

use camino::Utf8PathBuf;

use crate::build::context::{Context, Entry, EntryKind, ignore_text};
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::image::ignore::IgnoreFile;
use crate::report::json::v1::{ContextEntry, ContextVerdict, context_entry, context_verdict};

/// Ask what a build sees of a folder
#[derive(Debug, clap::Args)]
pub(crate) struct ContextArgs {
    #[command(subcommand)]
    command: ContextCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ContextCommand {
    /// Say which paths an ignore file leaves out, and by which line: one line of JSON each
    ///
    /// The meaning is that of docker's `.dockerignore`. The exit code is 0 whatever is left out, and 1
    /// if a pattern is wrong.
    Check {
        /// The ignore file
        #[arg(long, value_name = "FILE")]
        ignore_file: Utf8PathBuf,
        /// Paths from the context's root; `-` reads them from standard input, one a line
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<OsString>,
    },
    /// List what would be sent to the builder, parents first
    List {
        /// The context's folder
        #[arg(value_name = "DIR")]
        folder: Utf8PathBuf,
        /// The Dockerfile, relative to the folder; its own ignore file comes before `.dockerignore`
        #[arg(long, value_name = "FILE", default_value = "Dockerfile")]
        dockerfile: Utf8PathBuf,
    },
}

pub(crate) fn run(args: &ContextArgs, ui: &Ui) -> Result<Exit, CommandError> {
    match &args.command {
        ContextCommand::Check { ignore_file, paths } => check(ignore_file, paths, ui),
        ContextCommand::List { folder, dockerfile } => list(folder, dockerfile, ui),
    }
}

fn check(ignore_file: &Utf8PathBuf, paths: &[OsString], ui: &Ui) -> Result<Exit, CommandError> {
    let hint = "--ignore-file names a file like .dockerignore";
    let text =
        ignore_text(ignore_file).map_err(|error| CommandError::usage(error.to_string(), hint))?;
    let rules = IgnoreFile::parse(&text);
    let mut exit = Exit::Done;
    ui.answer(|out| {
        let mut show = |path: &str| {
            let verdict =
                rules.as_ref().map_err(Clone::clone).and_then(|rules| rules.verdict(path));
            if verdict.is_err() {
                exit = Exit::Failed;
            }
            let line = ContextVerdict {
                path,
                ignored: verdict.as_ref().is_ok_and(|verdict| verdict.ignored),
                line: verdict.as_ref().map_or_else(|error| Some(error.line()), |it| it.line),
                error: verdict.err().map(|error| error.to_string()),
            };
            writeln!(out, "{}", context_verdict(&line))
        };
        for path in paths {
            match path.to_string_lossy().as_ref() {
                "-" => stdin_lines(&mut show)?,
                path => show(path)?,
            }
        }
        Ok(())
    })?;
    Ok(exit)
}

/// Shows each line of standard input; what is not UTF-8 in it is replaced, as in the context itself.
fn stdin_lines(show: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    let mut stdin = io::stdin().lock();
    let mut line = Vec::new();
    while stdin.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        show(text.strip_suffix('\r').unwrap_or(text))?;
        line.clear();
    }
    Ok(())
}

fn list(folder: &Utf8PathBuf, dockerfile: &Utf8PathBuf, ui: &Ui) -> Result<Exit, CommandError> {
    let hint = "name the folder that is built, and a Dockerfile in it with --dockerfile";
    let usage = |error: &dyn std::fmt::Display| CommandError::usage(error.to_string(), hint);
    let named = folder.join(dockerfile);
    if dockerfile != "Dockerfile" && !named.is_file() {
        return Err(usage(&format!("there is no Dockerfile `{named}`")));
    }
    let context = Context::open(folder, Some(dockerfile)).map_err(|error| usage(&error))?;
    let failed = |error: crate::build::BuildError| CommandError::failed(error.to_string());
    let entries = context.entries(".".into()).map_err(failed)?;
    let for_builder_only = context.for_the_builder_only().map_err(failed)?;
    for entry in entries.iter().filter(|entry| entry.kind == EntryKind::Special) {
        let path = &entry.path;
        ui.say(&format!("`{path}` is a socket, pipe or device, which no image can get from here"));
    }
    ui.answer(|out| {
        let entries = entries.iter().map(line);
        let extra = for_builder_only.iter().map(|path| ContextEntry {
            path: path.as_str(),
            kind: "file",
            executable: None,
            target: None,
            for_builder_only: true,
        });
        let mut lines: Vec<_> = entries.chain(extra).collect();
        lines.sort_by_key(|line| line.path);
        lines.iter().try_for_each(|line| show(line, ui.is_json(), out))
    })?;
    Ok(Exit::Done)
}

fn line(entry: &Entry) -> ContextEntry<'_> {
    let (kind, executable, target) = match &entry.kind {
        EntryKind::Folder => ("folder", None, None),
        EntryKind::File { executable } => ("file", Some(*executable), None),
        EntryKind::Link(target) => ("link", None, Some(target.as_str())),
        EntryKind::Special => ("special", None, None),
    };
    ContextEntry { path: entry.path.as_str(), kind, executable, target, for_builder_only: false }
}

fn show(line: &ContextEntry<'_>, as_json: bool, out: &mut dyn Write) -> io::Result<()> {
    if as_json {
        return writeln!(out, "{}", context_entry(line));
    }
    let mark = if line.kind == "folder" { "/" } else { "" };
    writeln!(out, "{}{mark}", line.path)
}
