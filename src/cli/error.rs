//! From an error to its kind, its exit code and a hint. Nothing else decides them.

mod hint;

use std::error::Error;
use std::fmt;

use annotate_snippets::{AnnotationKind, Renderer, Snippet};

use super::exit::Exit;
use super::place::Place;
use crate::cli::objects::ObjectsError;
use crate::cli::ui::{self, Ui};
use crate::cluster::ClusterError;
use crate::config::{ConfigError, UnknownName};
use crate::github::actions::Level;
use crate::kustomize::EditError;
use crate::ops::{
    AttachError, BaseSignerError, EditFileError, HealthTestError, ReplayError, RulesError, SetError,
};
use crate::promotion::UnknownGate;
use crate::tags::TagsError;
use crate::yaml::Invalid;
use hint::hint_for;

/// Why a command ended, and what to do about it.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// The exit code.
    pub(super) exit: Exit,
    error: Box<dyn Error + Send + Sync>,
    hint: Option<String>,
}

impl<E: Error + Send + Sync + 'static> From<E> for CommandError {
    fn from(error: E) -> Self {
        let chain = chain(&error);
        let exit = chain.iter().find_map(|error| exit_of(*error)).unwrap_or(Exit::Failed);
        let hint = chain.iter().find_map(|error| hint_for(*error));
        Self { exit, hint, error: Box::new(error) }
    }
}

impl CommandError {
    /// Returns an error in the usage of a command.
    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, error: message.into().into(), hint: Some(hint.into()) }
    }

    /// Returns the error of something that was carried out and whose answer is no.
    pub(super) fn failed(message: String) -> Self {
        Self { exit: Exit::Failed, error: message.into(), hint: None }
    }

    /// Returns an error for something that can't happen.
    pub(super) fn bug(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let hint = Some("this is a bug; please report it".to_owned());
        Self { exit: Exit::Bug, error: error.into(), hint }
    }

    /// Returns what Ctrl-C ends with.
    pub(super) fn interrupted() -> Self {
        Self { exit: Exit::Interrupted, error: "interrupted".into(), hint: None }
    }

    /// Returns the same error, with `hint` if it is what Ctrl-C ends with.
    pub(super) fn if_interrupted(self, hint: &str) -> Self {
        match self.exit {
            Exit::Interrupted => Self { hint: Some(hint.to_owned()), ..self },
            _ => self,
        }
    }

    /// Returns whether there is no cluster to ask, rather than one that does not answer.
    pub(super) fn is_no_cluster(&self) -> bool {
        self.is(|error| matches!(error, ClusterError::NoCluster { .. }))
    }

    /// Returns whether it is, or is caused by, an `E` of which `is` holds.
    pub(super) fn is<E: Error + 'static>(&self, is: impl Fn(&E) -> bool) -> bool {
        chain(&*self.error).iter().any(|error| found::<E>(*error).is_some_and(&is))
    }

    /// Returns the same error as that of a pipeline's step.
    pub(super) fn of_step(self) -> Self {
        match self.exit {
            Exit::Bug => self,
            _ => self.exit(Exit::StepFailed),
        }
    }

    /// Returns the same error with another exit code.
    pub(super) fn exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// Returns the same error with `way_out` behind its hint.
    pub(super) fn or_hint(self, way_out: &str) -> Self {
        let hint = match self.hint {
            Some(hint) => format!("{hint}; or {way_out}"),
            None => way_out.to_owned(),
        };
        Self { hint: Some(hint), ..self }
    }

    /// Returns the error and its causes in one line.
    pub(super) fn in_one_line(&self) -> String {
        self.texts().join(": ")
    }

    /// Returns the error and its causes, outermost first.
    pub(super) fn texts(&self) -> Vec<String> {
        let texts: Vec<String> = chain(&*self.error).iter().map(ToString::to_string).collect();
        without_repetition(&texts)
    }

    /// Returns what to do about it.
    pub(super) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Returns the same error in the context of `message`.
    pub(super) fn context(self, message: String) -> Self {
        Self { error: Box::new(Context { message, source: self.error }), ..self }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Context {
    message: String,
    source: Box<dyn Error + Send + Sync>,
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source()).collect()
}

fn exit_of(error: &(dyn Error + 'static)) -> Option<Exit> {
    let usage = found::<ConfigError>(error).is_some()
        || found::<UnknownGate>(error).is_some()
        || found::<UnknownName>(error).is_some()
        || found::<Invalid>(error).is_some()
        || found::<TagsError>(error).is_some()
        || found::<ObjectsError>(error).is_some()
        || found::<RulesError>(error).is_some()
        || found::<HealthTestError>(error).is_some()
        || matches!(
            found(error),
            Some(EditFileError::Find(_) | EditFileError::Edit { source: EditError::Read(_), .. })
        )
        || matches!(found(error), Some(SetError::NoPullRequests { .. }))
        || found::<BaseSignerError>(error).is_some()
        || matches!(
            found(error),
            Some(
                AttachError::NoKey { .. }
                    | AttachError::Key { .. }
                    | AttachError::NoIdentity
                    | AttachError::NoCosign
            )
        )
        || matches!(found(error), Some(ReplayError::None(_) | ReplayError::File { .. }))
        || matches!(found(error), Some(ClusterError::Kubeconfig { .. }))
        || matches!(found(error), Some(EditError::NoArguments | EditError::Argument { .. }));
    usage.then_some(Exit::Usage)
}

/// Returns `error` if it is a `T`, boxed or not.
pub(super) fn found<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    error.downcast_ref().or_else(|| error.downcast_ref::<Box<T>>().map(AsRef::as_ref))
}

/// Prints the error, its causes and its hint on standard error, and as an annotation under GitHub
/// Actions.
pub(super) fn print(error: &CommandError, ui: &Ui) {
    let chain = chain(&*error.error);
    let invalid = chain.iter().find_map(|error| error.downcast_ref::<Invalid>());
    let texts: Vec<String> = chain.iter().map(ToString::to_string).collect();
    let texts = without_repetition(&texts);
    match invalid {
        Some(invalid) => ui.error_text(&snippet(invalid, ui::is_colored())),
        None => ui.error(&texts),
    }
    if let Some(hint) = &error.hint {
        ui.hint(hint);
    }
    let place = chain.iter().find_map(|error| Place::of(*error));
    let message = invalid.map_or_else(|| texts.join(": "), |invalid| invalid.message.clone());
    ui.annotate(Level::Error, &message, place.as_ref());
}

/// Returns `text` with the password in every URL replaced by as many stars.
fn without_passwords(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = after.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority
            .rsplit_once('@')
            .and_then(|(user, host)| Some((user.split_once(':')?, host)))
        {
            Some(((user, password), host)) => {
                clean.push_str(&format!("{user}:{}@{host}", "*".repeat(password.len())));
            }
            None => clean.push_str(authority),
        }
        rest = tail;
    }
    clean.push_str(rest);
    clean
}

/// Drops a cause whose text the error before it already says, as one that passes its cause on does.
fn without_repetition(texts: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for text in texts {
        if !kept.last().is_some_and(|last| last.contains(text.as_str())) {
            kept.push(text.clone());
        }
    }
    kept
}

/// Returns the message with the line that it is about.
fn snippet(invalid: &Invalid, colored: bool) -> String {
    let line_start = invalid.text.split_inclusive('\n').take(invalid.line.saturating_sub(1));
    let line_start: usize = line_start.map(str::len).sum();
    let rest = &invalid.text[line_start..];
    let skip: usize = rest.chars().take(invalid.column.saturating_sub(1)).map(char::len_utf8).sum();
    let start = line_start + skip;
    let word = |c: char| !c.is_whitespace() && c != ':';
    let length: usize =
        invalid.text[start..].chars().take_while(|c| word(*c)).map(char::len_utf8).sum();
    let annotation = AnnotationKind::Primary.span(start..start + length);
    let text = without_passwords(&invalid.text);
    let snippet =
        Snippet::source(&text).path(invalid.path.as_str()).line_start(1).annotation(annotation);
    let group = annotate_snippets::Level::ERROR.primary_title(&invalid.message).element(snippet);
    let renderer = if colored { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}
