//! The `flavor` input: what holds for all tags.

use super::error::{Problem, TagsError};
use super::images::yes_or_no;
use super::line::{Line, fields, key_first_value};
use super::template::Template;

/// What holds for all tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flavor {
    /// Whether there is a tag `latest`.
    pub latest: Latest,
    /// What stands before every tag whose rule has no prefix of its own; a template.
    pub prefix: String,
    /// Whether it stands before `latest` too.
    pub is_prefix_on_latest: bool,
    /// What stands behind every tag whose rule has no suffix of its own; a template.
    pub suffix: String,
    /// Whether it stands behind `latest` too.
    pub is_suffix_on_latest: bool,
}

/// Whether there is a tag `latest`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Latest {
    /// As the rule says that gives the version.
    #[default]
    Auto,
    /// Always, if there is a version.
    Always,
    /// Never.
    Never,
}

const KEYS: &str = "latest, prefix, suffix or onlatest";

impl Flavor {
    /// Returns what `lines` state; what is said later wins.
    ///
    /// # Errors
    ///
    /// Fails on an unknown key, on text that is not `key=value` and on a value that a key can't have.
    pub fn read(lines: &[Line]) -> Result<Self, TagsError> {
        let mut flavor = Self::default();
        for line in lines {
            flavor.read_line(line)?;
        }
        Ok(flavor)
    }

    /// Returns `latest` with what stands around it.
    pub(super) fn latest_tag(&self) -> String {
        let prefix = if self.is_prefix_on_latest { self.prefix.as_str() } else { "" };
        let suffix = if self.is_suffix_on_latest { self.suffix.as_str() } else { "" };
        format!("{prefix}latest{suffix}")
    }

    fn read_line(&mut self, line: &Line) -> Result<(), TagsError> {
        // `onlatest` is about the key before it in the same line.
        let mut about: Option<&mut bool> = None;
        for field in fields(&line.text).map_err(|problem| problem.at(line))? {
            let (key, value) = key_first_value(&field);
            let Some(key) = key else {
                return Err(Problem::Bare { field: value.to_owned(), expected: KEYS }.at(line));
            };
            match key.to_lowercase().as_str() {
                "latest" => self.latest = latest(value, line)?,
                "prefix" => {
                    self.prefix = template(value, line)?;
                    about = Some(&mut self.is_prefix_on_latest);
                }
                "suffix" => {
                    self.suffix = template(value, line)?;
                    about = Some(&mut self.is_suffix_on_latest);
                }
                "onlatest" => {
                    let is_on = yes_or_no("onlatest", value, line)?;
                    if let Some(about) = about.as_deref_mut() {
                        *about = is_on;
                    }
                }
                key => {
                    return Err(Problem::Key { key: key.to_owned(), expected: KEYS }.at(line));
                }
            }
        }
        Ok(())
    }
}

fn latest(value: &str, line: &Line) -> Result<Latest, TagsError> {
    match value {
        "auto" => Ok(Latest::Auto),
        "true" => Ok(Latest::Always),
        "false" => Ok(Latest::Never),
        _ => {
            let (value, expected) = (value.to_owned(), "auto, true or false");
            Err(Problem::Value { key: "latest", value, expected }.at(line))
        }
    }
}

/// Returns `text`, which is a template that can be read.
fn template(text: &str, line: &Line) -> Result<String, TagsError> {
    Template::parse(text).map_err(|error| Problem::from(error).at(line))?;
    Ok(text.to_owned())
}
