//! The `tags` input: one rule a line.

use indexmap::IndexMap;

use super::error::{Problem, TagsError};
use super::line::{Input, Line, fields, key_value};
use super::pattern::{Pattern, PatternError};
use super::template::Template;

/// A rule that may give a tag.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The line that says it.
    pub line: Line,
    /// What it makes a tag of.
    pub kind: RuleKind,
    /// How early it is asked: higher ones first.
    pub priority: f64,
    /// A template that makes `true` or `false`.
    pub enable: String,
    /// What stands before its tag, in place of the flavor's; a template.
    pub prefix: Option<String>,
    /// What stands behind its tag, in place of the flavor's; a template.
    pub suffix: Option<String>,
}

/// What a rule makes a tag of.
#[derive(Debug, Clone)]
pub enum RuleKind {
    /// A scheduled run.
    Schedule {
        /// A template with dates.
        pattern: String,
    },
    /// A git tag, or a value, that is a semantic version.
    Semver(VersionRule),
    /// A git tag, or a value, that is a version of Python's kind.
    Pep440(VersionRule),
    /// The part of a git tag, or of a value, that an expression fits.
    Match {
        /// The expression, as it was written.
        pattern: String,
        /// Which group of it.
        group: String,
        /// A template; empty for the git tag.
        value: String,
    },
    /// The branch that is developed on.
    Edge {
        /// Its name; empty for the repository's default branch.
        branch: String,
    },
    /// The name of what was pushed.
    Ref(RefEvent),
    /// A text.
    Raw {
        /// A template.
        value: String,
    },
    /// The commit.
    Sha(ShaFormat),
}

/// How a version becomes a tag.
#[derive(Debug, Clone)]
pub struct VersionRule {
    /// A template with the version's parts.
    pub pattern: String,
    /// A template; empty for the git tag.
    pub value: String,
    /// An expression whose first group is the version; empty for the whole.
    pub matching: String,
}

/// Which kind of ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefEvent {
    /// A branch.
    Branch,
    /// A tag.
    Tag,
    /// A pull request.
    PullRequest,
}

/// How much of a commit's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShaFormat {
    /// Its first characters.
    Short,
    /// All of it.
    Long,
}

/// The rules that hold where none are stated.
const DEFAULT: [&str; 4] =
    ["type=schedule", "type=ref,event=branch", "type=ref,event=tag", "type=ref,event=pr"];

impl Rule {
    /// Returns the rules that `lines` state, or the action's own where there are none, by priority;
    /// those of one priority in the order of the lines.
    ///
    /// # Errors
    ///
    /// Fails on the first line that is no rule.
    pub fn read_all(lines: &[Line]) -> Result<Vec<Self>, TagsError> {
        let mut rules = match lines {
            [] => DEFAULT.iter().map(|text| Self::read(&default_line(text))).collect(),
            lines => lines.iter().map(Self::read).collect::<Result<Vec<_>, _>>(),
        }?;
        rules.sort_by(|a, b| b.priority.total_cmp(&a.priority));
        Ok(rules)
    }

    /// Returns the rule that `line` states.
    ///
    /// # Errors
    ///
    /// Fails if it is none.
    pub fn read(line: &Line) -> Result<Self, TagsError> {
        Self::of_fields(line).map_err(|problem| problem.at(line))
    }

    /// Returns its type, as it is written.
    pub fn type_name(&self) -> &'static str {
        match &self.kind {
            RuleKind::Schedule { .. } => "schedule",
            RuleKind::Semver(_) => "semver",
            RuleKind::Pep440(_) => "pep440",
            RuleKind::Match { .. } => "match",
            RuleKind::Edge { .. } => "edge",
            RuleKind::Ref(_) => "ref",
            RuleKind::Raw { .. } => "raw",
            RuleKind::Sha(_) => "sha",
        }
    }

    fn of_fields(line: &Line) -> Result<Self, Problem> {
        let mut attributes = Attributes::read(&line.text)?;
        let (kind, priority, default_prefix) = attributes.kind()?;
        let stated = attributes.take("priority");
        let rule = Self {
            line: line.clone(),
            kind,
            priority: stated.map_or(Ok(priority), |text| number("priority", text))?,
            enable: attributes.take("enable").unwrap_or_else(|| "true".to_owned()),
            prefix: attributes.take("prefix").or_else(|| default_prefix.map(str::to_owned)),
            suffix: attributes.take("suffix"),
        };
        for template in rule.templates() {
            Template::parse(template)?;
        }
        Ok(rule)
    }

    fn templates(&self) -> impl Iterator<Item = &str> {
        let own: [&str; 2] = match &self.kind {
            RuleKind::Schedule { pattern } => [pattern, ""],
            RuleKind::Semver(rule) | RuleKind::Pep440(rule) => [&rule.pattern, &rule.value],
            RuleKind::Match { value, .. } | RuleKind::Raw { value } => [value, ""],
            RuleKind::Edge { .. } | RuleKind::Ref(_) | RuleKind::Sha(_) => ["", ""],
        };
        let around = [&self.prefix, &self.suffix].into_iter().flatten().map(String::as_str);
        own.into_iter().chain([self.enable.as_str()]).chain(around)
    }
}

fn default_line(text: &str) -> Line {
    Line { input: Input::Tags, number: 0, text: text.to_owned() }
}

/// The `key=value` fields of a line. Keys that its type has no use for are ignored, as the action
/// does.
struct Attributes(IndexMap<String, String>);

impl Attributes {
    fn read(text: &str) -> Result<Self, Problem> {
        let mut attributes = IndexMap::new();
        for field in fields(text)? {
            let (key, value) = key_value(&field);
            let key = key.map_or_else(|| "value".to_owned(), str::to_lowercase);
            attributes.insert(key, value.to_owned());
        }
        Ok(Self(attributes))
    }

    fn take(&mut self, key: &str) -> Option<String> {
        self.0.shift_remove(key)
    }

    fn need(&mut self, kind: &'static str, key: &'static str) -> Result<String, Problem> {
        self.take(key).ok_or(Problem::Missing { kind, key })
    }

    /// Returns what the rule makes a tag of, its priority and its prefix where none is stated.
    fn kind(&mut self) -> Result<(RuleKind, f64, Option<&'static str>), Problem> {
        let kind = self.take("type").unwrap_or_else(|| "raw".to_owned());
        Ok(match kind.as_str() {
            "schedule" => {
                let pattern = self.take("pattern").unwrap_or_else(|| "nightly".to_owned());
                (RuleKind::Schedule { pattern }, 1000.0, None)
            }
            "semver" => (RuleKind::Semver(self.version("semver")?), 900.0, None),
            "pep440" => (RuleKind::Pep440(self.version("pep440")?), 900.0, None),
            "match" => (self.matching()?, 800.0, None),
            "edge" => {
                let branch = self.take("branch").unwrap_or_default();
                (RuleKind::Edge { branch }, 700.0, None)
            }
            "ref" => {
                let event = self.event()?;
                let prefix = (event == RefEvent::PullRequest).then_some("pr-");
                (RuleKind::Ref(event), 600.0, prefix)
            }
            "raw" => (RuleKind::Raw { value: self.need("raw", "value")? }, 200.0, None),
            "sha" => (RuleKind::Sha(self.format()?), 100.0, Some("sha-")),
            _ => return Err(Problem::Type(kind)),
        })
    }

    fn version(&mut self, kind: &'static str) -> Result<VersionRule, Problem> {
        let pattern = self.need(kind, "pattern")?;
        let value = self.take("value").unwrap_or_default();
        let matching = self.take("match").unwrap_or_default();
        if !matching.is_empty() {
            Pattern::parse(&matching)?;
        }
        Ok(VersionRule { pattern, value, matching })
    }

    fn matching(&mut self) -> Result<RuleKind, Problem> {
        let pattern = self.need("match", "pattern")?;
        let group = self.take("group").unwrap_or_else(|| "0".to_owned());
        number("group", group.clone())?;
        Pattern::written(&pattern).map_err(|error: PatternError| Problem::from(error))?;
        let value = self.take("value").unwrap_or_default();
        Ok(RuleKind::Match { pattern, group, value })
    }

    fn event(&mut self) -> Result<RefEvent, Problem> {
        let event = self.need("ref", "event")?;
        match event.as_str() {
            "branch" => Ok(RefEvent::Branch),
            "tag" => Ok(RefEvent::Tag),
            "pr" => Ok(RefEvent::PullRequest),
            _ => {
                let expected = "branch, tag or pr";
                Err(Problem::Value { key: "event", value: event, expected })
            }
        }
    }

    fn format(&mut self) -> Result<ShaFormat, Problem> {
        let format = self.take("format").unwrap_or_else(|| "short".to_owned());
        match format.as_str() {
            "short" => Ok(ShaFormat::Short),
            "long" => Ok(ShaFormat::Long),
            _ => {
                let expected = "short or long";
                Err(Problem::Value { key: "format", value: format, expected })
            }
        }
    }
}

/// Returns the number that `text` is to JavaScript, where an empty one is 0.
fn number(key: &'static str, text: String) -> Result<f64, Problem> {
    match text.trim() {
        "" => Ok(0.0),
        trimmed => match trimmed.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(Problem::Value { key, value: text, expected: "a number" }),
        },
    }
}
