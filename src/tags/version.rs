//! Rules to tags: the first that gives one gives the version, the others give further tags.

use super::error::{Problem, TagsError};
use super::flavor::Latest;
use super::line::Line;
use super::metadata::Given;
use super::pattern::Pattern;
use super::pep440::Pep440;
use super::rule::{RefEvent, Rule, RuleKind, ShaFormat, VersionRule};
use super::semver::SemVer;
use super::template::{Scope, Template};

/// What the rules gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    /// The tag of the first rule that gave one.
    pub main: Option<String>,
    /// The further tags, each once.
    pub partial: Vec<String>,
    /// Whether there is a tag `latest` too.
    pub latest: bool,
    /// The line of the rule that gave the version.
    pub by: Option<Line>,
}

/// What a rule gave: the text of a tag, and whether it is worth `latest`.
struct Candidate {
    text: String,
    is_latest: bool,
}

impl Version {
    /// Returns what `rules`, asked in order, make of what is given. Why a rule that could have given
    /// a tag gave none is added to `warnings`.
    pub(super) fn of(
        rules: &[Rule],
        given: &Given<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, TagsError> {
        let mut version = Self::default();
        for rule in rules {
            let asked = Asked { rule, given, warnings: &mut *warnings };
            let found = asked.tag().map_err(|problem| problem.at(&rule.line))?;
            if let Some(found) = found.filter(|found| !found.text.is_empty()) {
                version.add(&found, rule, given.flavor.latest);
            }
        }
        Ok(version)
    }

    fn add(&mut self, found: &Candidate, rule: &Rule, latest: Latest) {
        let tag = sanitised(&found.text);
        match &self.main {
            None => {
                self.latest = match latest {
                    Latest::Auto => found.is_latest,
                    Latest::Always => true,
                    Latest::Never => false,
                };
                self.main = Some(tag);
                self.by = Some(rule.line.clone());
            }
            Some(main) if *main == tag || self.partial.contains(&tag) => {}
            Some(_) => self.partial.push(tag),
        }
    }
}

/// Returns `text` with every run of characters that no tag has replaced by `-`.
pub(super) fn sanitised(text: &str) -> String {
    let mut tag = String::with_capacity(text.len());
    let mut is_replaced = false;
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
            tag.push(c);
            is_replaced = false;
        } else if !is_replaced {
            tag.push('-');
            is_replaced = true;
        }
    }
    tag
}

/// A rule that is asked for a tag.
struct Asked<'a> {
    rule: &'a Rule,
    given: &'a Given<'a>,
    warnings: &'a mut Vec<String>,
}

impl Asked<'_> {
    fn tag(mut self) -> Result<Option<Candidate>, Problem> {
        if !self.is_enabled()? {
            return Ok(None);
        }
        let event = self.given.event;
        let plain = |text: Option<&str>| text.map(|text| (text.to_owned(), false));
        let found = match &self.rule.kind {
            RuleKind::Schedule { pattern } => self.schedule(pattern)?,
            RuleKind::Semver(rule) => self.semver(rule)?,
            RuleKind::Pep440(rule) => self.pep440(rule)?,
            RuleKind::Match { pattern, group, value } => self.matching(pattern, group, value)?,
            RuleKind::Edge { branch } => plain(self.is_edge(branch).then_some("edge")),
            RuleKind::Ref(RefEvent::Branch) => plain(event.branch()),
            RuleKind::Ref(RefEvent::Tag) => event.tag().map(|tag| (tag.to_owned(), true)),
            RuleKind::Ref(RefEvent::PullRequest) => plain(event.pull_request()),
            RuleKind::Raw { value } => Some((self.given.render(value)?, false)),
            RuleKind::Sha(format) => self.sha(*format),
        };
        let Some((text, is_latest)) = found else { return Ok(None) };
        Ok(Some(Candidate { text: self.around(&text)?, is_latest }))
    }

    fn is_enabled(&self) -> Result<bool, Problem> {
        match self.given.render(&self.rule.enable)?.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            other => {
                let (value, expected) = (other.to_owned(), "true or false");
                Err(Problem::Value { key: "enable", value, expected })
            }
        }
    }

    /// Returns `text` with what the rule, or else the flavor, puts around it.
    fn around(&self, text: &str) -> Result<String, Problem> {
        let flavor = self.given.flavor;
        let prefix = self.rule.prefix.as_ref().unwrap_or(&flavor.prefix);
        let suffix = self.rule.suffix.as_ref().unwrap_or(&flavor.suffix);
        Ok(format!("{}{text}{}", self.given.render(prefix)?, self.given.render(suffix)?))
    }

    fn schedule(&self, pattern: &str) -> Result<Option<(String, bool)>, Problem> {
        if !self.given.event.name.contains("schedule") {
            return Ok(None);
        }
        let scope = Scope { values: Vec::new(), dates: Some(self.given.dates()) };
        Ok(Some((Template::parse(pattern)?.render(&scope)?, false)))
    }

    fn is_edge(&mut self, branch: &str) -> bool {
        let Some(current) = self.given.event.branch() else { return false };
        let default = self.given.repository.default_branch.as_deref();
        let edge = if branch.is_empty() { default } else { Some(branch) };
        if edge.is_none() {
            let text = "type=edge gives no tag: the default branch is not known; write `branch=`";
            self.warnings.push(text.to_owned());
        }
        edge == Some(current)
    }

    fn sha(&self, format: ShaFormat) -> Option<(String, bool)> {
        let sha = match format {
            ShaFormat::Short => self.given.short_sha(),
            ShaFormat::Long => self.given.event.sha.as_str(),
        };
        (!sha.is_empty()).then(|| (sha.to_owned(), false))
    }

    /// Returns the git tag, or what the rule states in place of it; `None` if there is neither.
    fn subject(&self, value: &str) -> Result<Option<String>, Problem> {
        match value {
            "" => Ok(self.given.event.tag().map(str::to_owned)),
            value => Ok(Some(self.given.render(value)?)),
        }
    }

    /// Returns the version that a rule is about, as far as `match` says which part it is.
    fn version(&mut self, rule: &VersionRule) -> Result<Option<String>, Problem> {
        let Some(mut text) = self.subject(&rule.value)? else { return Ok(None) };
        if !rule.matching.is_empty() {
            match Pattern::parse(&rule.matching)?.find(&text) {
                None => self.warnings.push(format!("`{}` does not match `{text}`", rule.matching)),
                Some(groups) => {
                    let group = groups.get(1).copied().flatten();
                    let none = || Problem::NoGroup(rule.matching.clone());
                    text = group.ok_or_else(none)?.to_owned();
                }
            }
        }
        Ok(Some(text.replace('/', "-")))
    }

    fn semver(&mut self, rule: &VersionRule) -> Result<Option<(String, bool)>, Problem> {
        let Some(text) = self.version(rule)? else { return Ok(None) };
        let Ok(version) = text.parse::<SemVer>() else {
            self.warnings.push(format!("`{text}` is not a semantic version"));
            return Ok(None);
        };
        let is_stable = !version.is_prerelease();
        let mut pattern = Template::parse(&rule.pattern)?;
        // What names a part of a version only would move from one prerelease to the next.
        if !is_stable && !pattern.is_just("raw") {
            pattern = Template::parse("{{version}}")?;
        }
        let scope = Scope { values: parts(&version), dates: None };
        Ok(Some((pattern.render(&scope)?, is_stable)))
    }

    fn pep440(&mut self, rule: &VersionRule) -> Result<Option<(String, bool)>, Problem> {
        let Some(text) = self.version(rule)? else { return Ok(None) };
        let Some(version) = Pep440::parse(&text) else {
            self.warnings.push(format!("`{text}` is not a version as PEP 440 has it"));
            return Ok(None);
        };
        let pattern = Template::parse(&rule.pattern)?;
        if !version.is_stable() {
            let tag = if pattern.is_just("raw") { text } else { version.normalised() };
            return Ok(Some((tag, false)));
        }
        let [major, minor, patch] = [0, 1, 2].map(|index| version.release(index).to_owned());
        let values = vec![
            ("raw", text),
            ("version", version.normalised()),
            ("major", major),
            ("minor", minor),
            ("patch", patch),
        ];
        Ok(Some((pattern.render(&Scope { values, dates: None })?, true)))
    }

    fn matching(
        &mut self,
        pattern: &str,
        group: &str,
        value: &str,
    ) -> Result<Option<(String, bool)>, Problem> {
        let Some(text) = self.subject(value)? else { return Ok(None) };
        let Some(groups) = Pattern::written(pattern)?.find(&text) else {
            self.warnings.push(format!("`{pattern}` does not match `{text}`"));
            return Ok(None);
        };
        // Only a plain number names a group: `01` is another name in JavaScript.
        let index = group.parse().ok().filter(|index: &usize| index.to_string() == group);
        match index.and_then(|index| groups.get(index).copied().flatten()) {
            Some(found) => Ok(Some((found.to_owned(), true))),
            None => {
                self.warnings.push(format!("`{pattern}` has no group `{group}` in `{text}`"));
                Ok(None)
            }
        }
    }
}

/// Returns what a template can name of a semantic version.
fn parts(version: &SemVer) -> Vec<(&'static str, String)> {
    vec![
        ("raw", version.raw.clone()),
        ("version", version.to_string()),
        ("major", version.major.to_string()),
        ("minor", version.minor.to_string()),
        ("patch", version.patch.to_string()),
        ("prerelease", version.prerelease.join(",")),
        ("build", version.build.join(",")),
    ]
}
