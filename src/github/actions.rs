//! GitHub Actions: what it tells a step by environment variables, and the files and workflow
//! commands by which a step tells it something back.

use std::fmt;
use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::system::Environment;

/// The step that deployctl runs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actions {
    output: Option<Utf8PathBuf>,
    summary: Option<Utf8PathBuf>,
    run_url: Option<String>,
}

/// Why a step's file was not written.
#[derive(Debug, thiserror::Error)]
pub enum ActionsError {
    /// An output can't be called that.
    #[error("`{0}` is not the name of a step output")]
    Name(String),
    /// A value holds the delimiter that was drawn for it.
    #[error("the step output `{0}` holds its own delimiter")]
    Delimiter(String),
    /// There is no randomness to draw from.
    #[error("the system gives no random bytes")]
    Random,
    /// The file can't be written.
    #[error("can't write `{path}`: {source}")]
    Write {
        /// The file.
        path: Utf8PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// GitHub drops a step's summary that is larger.
const MAX_SUMMARY: usize = 1 << 20;

impl Actions {
    /// Returns the step that `environment` describes, or `None` outside GitHub Actions.
    pub fn detect(environment: &Environment) -> Option<Self> {
        if environment.get("GITHUB_ACTIONS") != Some("true") {
            return None;
        }
        let file = |name| environment.get(name).map(Utf8PathBuf::from);
        Some(Self {
            output: file("GITHUB_OUTPUT"),
            summary: file("GITHUB_STEP_SUMMARY"),
            run_url: environment.run_url(),
        })
    }

    /// Returns the page of the workflow run.
    pub fn run_url(&self) -> Option<&str> {
        self.run_url.as_deref()
    }

    /// Sets the step's outputs. Does nothing where the runner gives no file for them.
    ///
    /// # Errors
    ///
    /// Fails if a name is none, or if the file can't be written.
    pub fn set_outputs(&self, outputs: &[(&str, &str)]) -> Result<(), ActionsError> {
        let Some(path) = &self.output else {
            return Ok(());
        };
        let mut text = String::new();
        for (name, value) in outputs {
            text.push_str(&assignment(name, value, &delimiter()?)?);
        }
        append(path, &text)
    }

    /// Adds `markdown` to the step's summary, cut where the summary would become too large. Does
    /// nothing where the runner gives no file for it.
    ///
    /// # Errors
    ///
    /// Fails if the file can't be written.
    pub fn add_summary(&self, markdown: &str) -> Result<(), ActionsError> {
        let Some(path) = &self.summary else {
            return Ok(());
        };
        let written = std::fs::metadata(path).map_or(0, |file| file.len());
        let room = MAX_SUMMARY.saturating_sub(usize::try_from(written).unwrap_or(MAX_SUMMARY));
        append(path, &fitting(markdown, room))
    }
}

/// What kind of message an [`Annotation`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something looks wrong.
    Warning,
    /// Something is worth knowing.
    Notice,
}

/// A message beside a line of a file, in the run's page and the pull request's. GitHub shows ten of
/// each level for a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation<'a> {
    /// Its level.
    pub level: Level,
    /// The file, from the repository's root.
    pub file: Option<&'a Utf8Path>,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The column, from 1.
    pub column: Option<usize>,
    /// What stands above the message.
    pub title: Option<&'a str>,
    /// The message.
    pub message: &'a str,
}

impl fmt::Display for Annotation<'_> {
    /// Writes the workflow command, such as `::error file=a.yaml,line=3::expected a name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: usize| number.to_string();
        let properties = [
            ("file", self.file.map(|file| file.as_str().to_owned())),
            ("line", self.line.map(number)),
            ("col", self.column.map(number)),
            ("title", self.title.map(ToOwned::to_owned)),
        ];
        let stated = properties.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let stated: Vec<String> =
            stated.map(|(name, value)| format!("{name}={}", property(&value))).collect();
        let name = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Notice => "notice",
        };
        let space = if stated.is_empty() { "" } else { " " };
        write!(f, "::{name}{space}{}::{}", stated.join(","), data(self.message))
    }
}

/// Returns whether the runner could take a command from `text`: it looks for `::` at the beginning of
/// a line, behind spaces too, and for the older `##[` anywhere.
pub fn may_hold_command(text: &str) -> bool {
    let command = |line: &str| line.trim_start().starts_with("::") || line.contains("##[");
    text.split(['\n', '\r']).any(command)
}

/// Returns the commands before and after text that others wrote, such as a child's output, so that
/// the runner takes no command from it.
///
/// # Errors
///
/// Fails if the system gives no random bytes.
pub fn without_commands() -> Result<(String, String), ActionsError> {
    let token = delimiter()?;
    Ok((format!("::stop-commands::{token}"), format!("::{token}::")))
}

/// Returns `text` escaped as the message of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Returns `text` escaped as a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Returns the lines that set the output `name` to `value`.
fn assignment(name: &str, value: &str, delimiter: &str) -> Result<String, ActionsError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if name.is_empty() || !name.bytes().all(plain) || name.as_bytes()[0].is_ascii_digit() {
        return Err(ActionsError::Name(name.to_owned()));
    }
    if value.contains(delimiter) {
        return Err(ActionsError::Delimiter(name.to_owned()));
    }
    Ok(format!("{name}<<{delimiter}\n{value}\n{delimiter}\n"))
}

/// Returns a delimiter that no value can foresee: one that could would set outputs of its own. The
/// random bytes are those of the TLS library, which has them on every system.
fn delimiter() -> Result<String, ActionsError> {
    let mut bytes = [0; 16];
    let provider = rustls::crypto::ring::default_provider();
    provider.secure_random.fill(&mut bytes).map_err(|_| ActionsError::Random)?;
    Ok(format!("deployctl_{:032x}", u128::from_be_bytes(bytes)))
}

/// Returns as many lines of `markdown` as fit into `room` bytes.
fn fitting(markdown: &str, room: usize) -> String {
    const CUT: &str = "\n… cut: GitHub allows 1 MiB.\n";
    let mut text = markdown.to_owned();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    if text.len() <= room {
        return text;
    }
    let Some(room) = room.checked_sub(CUT.len()) else {
        return String::new();
    };
    let end = text.as_bytes()[..room].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    text.truncate(end);
    text + CUT
}

fn append(path: &Utf8Path, text: &str) -> Result<(), ActionsError> {
    let file = std::fs::File::options().append(true).create(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| ActionsError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotation(message: &str) -> Annotation<'_> {
        let file = Some(Utf8Path::new("apps/a,b:c.yaml"));
        let (line, column, title) = (Some(3), None, Some("50%\nsure"));
        Annotation { level: Level::Error, file, line, column, title, message }
    }

    #[test]
    fn a_message_can_not_become_a_command() {
        assert_eq!(
            annotation("first: 1%\r\n::set-env name=PATH::x").to_string(),
            "::error file=apps/a%2Cb%3Ac.yaml,line=3,title=50%25%0Asure::\
             first: 1%25%0D%0A::set-env name=PATH::x"
        );
        let plain = Annotation { file: None, line: None, title: None, ..annotation("done") };
        assert_eq!(plain.to_string(), "::error::done");
    }

    #[test]
    fn a_value_can_not_set_another_output() {
        let value = "a\nEOF\nimage<<EOF\nforged";
        let text = assignment("image", value, "d1").unwrap();
        assert_eq!(text, "image<<d1\na\nEOF\nimage<<EOF\nforged\nd1\n");
        assert!(matches!(assignment("image", "x d1", "d1"), Err(ActionsError::Delimiter(_))));
        for name in ["", "a b", "a=b", "a\nb", "1a", "a<<b"] {
            assert!(matches!(assignment(name, "x", "d"), Err(ActionsError::Name(_))), "{name}");
        }
        assert_ne!(delimiter().unwrap(), delimiter().unwrap());
    }

    #[test]
    fn text_that_holds_a_command_is_told_from_text_that_does_not() {
        for text in ["::error::x", "a\n  ::add-mask::x", "a\r::x::y", "x ##[add-mask]y"] {
            assert!(may_hold_command(text), "{text}");
        }
        for text in ["", "a::b", "# [x]", "sha256: a\nb ::c"] {
            assert!(!may_hold_command(text), "{text}");
        }
    }

    #[test]
    fn a_summary_is_cut_at_a_line() {
        assert_eq!(fitting("a", 10), "a\n");
        let cut = fitting(&"ü234567\n".repeat(100), 64);
        assert!(cut.len() <= 64 && cut.starts_with("ü234567\nü234567\n"), "{cut}");
        assert!(cut.ends_with("cut: GitHub allows 1 MiB.\n"));
        assert_eq!(fitting("too much", 3), "");
    }

    #[test]
    fn outputs_and_summary_are_appended() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let variables = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_OUTPUT", at("output")),
            ("GITHUB_STEP_SUMMARY", at("summary")),
            ("GITHUB_SERVER_URL", "https://github.com".to_owned()),
            ("GITHUB_REPOSITORY", "shop/ranking".to_owned()),
            ("GITHUB_RUN_ID", "42".to_owned()),
        ];
        let actions = Actions::detect(&variables.into_iter().collect()).unwrap();
        assert_eq!(actions.run_url(), Some("https://github.com/shop/ranking/actions/runs/42"));
        actions.set_outputs(&[("image", "a@sha256:1"), ("changed", "true")]).unwrap();
        actions.set_outputs(&[("revision", "two\nlines")]).unwrap();
        actions.add_summary("# One").unwrap();
        actions.add_summary("# Two").unwrap();
        let output = std::fs::read_to_string(at("output")).unwrap();
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(
            [lines[1], lines[4], lines[7], lines[8]],
            ["a@sha256:1", "true", "two", "lines"]
        );
        assert_eq!(std::fs::read_to_string(at("summary")).unwrap(), "# One\n# Two\n");
        assert_eq!(Actions::detect(&Environment::default()), None);
    }
}
