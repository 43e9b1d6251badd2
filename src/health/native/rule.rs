//! Sets of rows for the kinds of a group, and how they decide.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::expression::Expression;
use super::path::Path;
use super::predicate::Predicate;
use super::scope::{Named, Scope};
use super::template::Template;
use crate::health::{Health, HealthStatus};
use crate::k8s::Object;

/// The rows of some kinds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Form")]
pub struct RuleSet {
    group: Pattern,
    kinds: Vec<Pattern>,
    versions: Vec<Pattern>,
    named: Vec<(String, Expression)>,
    rows: Vec<Row>,
}

/// A text with `*` for any text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Pattern(String);

/// A row: where `if` holds, the object has this health.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Row {
    /// What is asked of the object. Left out: the row always decides, so it is the last one.
    r#if: Option<Predicate>,
    /// Healthy, Suspended, Progressing, Missing, Degraded or Unknown.
    #[serde(deserialize_with = "status")]
    #[schemars(schema_with = "super::schema::status")]
    health: HealthStatus,
    /// Why.
    #[serde(default)]
    message: Template,
}

/// Returns the health of `object` by the first of `sets` with a row for its kind that holds, or
/// `None`.
pub(super) fn assess(sets: &[RuleSet], object: &Object) -> Option<Health> {
    let mut sets = sets.iter().filter(|set| set.is_for(object));
    sets.find_map(|set| set.assess(object))
}

impl RuleSet {
    #[cfg(test)]
    pub(super) fn group(&self) -> &Pattern {
        &self.group
    }

    #[cfg(test)]
    pub(super) fn kinds(&self) -> &[Pattern] {
        &self.kinds
    }

    fn is_for(&self, object: &Object) -> bool {
        let any = |patterns: &[Pattern], text| patterns.iter().any(|it| it.matches(text));
        self.group.matches(object.group())
            && any(&self.kinds, object.kind())
            && (self.versions.is_empty() || any(&self.versions, object.version()))
    }

    fn assess(&self, object: &Object) -> Option<Health> {
        let mut named: Vec<Named<'_>> = Vec::with_capacity(self.named.len());
        for (name, expression) in &self.named {
            let scope = Scope::new(object.value(), &named);
            let value = expression.value(&scope).map(std::borrow::Cow::into_owned);
            named.push((name, value));
        }
        let scope = Scope::new(object.value(), &named);
        self.rows.iter().find_map(|row| row.decide(&scope))
    }
}

impl Row {
    fn decide(&self, scope: &Scope<'_>) -> Option<Health> {
        let found = match &self.r#if {
            Some(asked) => asked.find(scope)?,
            None => Vec::new(),
        };
        Some(self.health.because(self.message.fill(&scope.inside(&found))))
    }

    fn paths(&self, visit: &mut dyn FnMut(&Path)) {
        self.r#if.iter().for_each(|asked| asked.paths(visit));
        self.message.paths(visit);
    }
}

impl Pattern {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns whether `text` fits.
    pub(super) fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
            return false;
        };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

/// Returns what can never be asked: sets for kinds that a set before decides about in any case, and
/// rows that ask what a row before has asked.
#[cfg(test)]
pub(super) fn unreachable(sets: &[RuleSet]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, set) in sets.iter().enumerate() {
        let decided = |kind: &Pattern| {
            sets[..index].iter().any(|before| {
                before.group.matches(&set.group.0)
                    && before.kinds.iter().any(|pattern| pattern.matches(&kind.0))
                    && before.versions.is_empty()
                    && before.rows.last().is_some_and(|row| row.r#if.is_none())
            })
        };
        found.extend(set.kinds.iter().filter(|kind| decided(kind)).map(Pattern::to_string));
        let asked: Vec<_> = set.rows.iter().map(|row| format!("{:?}", row.r#if)).collect();
        let twice = asked.iter().enumerate().filter(|(at, text)| asked[..*at].contains(text));
        found.extend(twice.map(|(at, _)| format!("{}, row {}", set.kinds[0], at + 1)));
    }
    found
}

/// Rows for some kinds of a group. The first row whose `if` holds decides; if none does, the next set
/// for the kind is asked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    /// The API group, empty for the core group; `*` stands for any text.
    group: Pattern,
    /// Kinds; `*` stands for any text.
    kinds: Vec<Pattern>,
    /// Versions of the API, for rows that say how one of them reports; left out: all.
    #[serde(default)]
    versions: Vec<Pattern>,
    /// Values by name, which paths call `$name`. One may use those before it.
    #[serde(default, rename = "let")]
    named: IndexMap<String, Expression>,
    /// The rows.
    rows: Vec<Row>,
}

impl TryFrom<Form> for RuleSet {
    type Error = String;

    fn try_from(form: Form) -> Result<Self, String> {
        let set = Self {
            group: form.group,
            kinds: form.kinds,
            versions: form.versions,
            named: form.named.into_iter().collect(),
            rows: form.rows,
        };
        if set.kinds.is_empty() || set.rows.is_empty() {
            return Err("`kinds` and `rows` have at least one entry each".to_owned());
        }
        let last = set.rows.len() - 1;
        if let Some(row) = set.rows.iter().position(|row| row.r#if.is_none())
            && row != last
        {
            return Err(format!(
                "row {} has no `if`, so those behind it would never be asked",
                row + 1
            ));
        }
        set.check_names()?;
        Ok(set)
    }
}

impl RuleSet {
    /// Checks that every `$name` is in `let`, and before where it is used.
    fn check_names(&self) -> Result<(), String> {
        let mut unknown = None;
        for (index, (_, expression)) in self.named.iter().enumerate() {
            let known = &self.named[..index];
            expression.paths(&mut |path| note_unknown(path, known, &mut unknown));
        }
        for row in &self.rows {
            row.paths(&mut |path| note_unknown(path, &self.named, &mut unknown));
        }
        match unknown {
            Some(name) => {
                Err(format!("`${name}` is not in `let`, or only behind where it is used"))
            }
            None => Ok(()),
        }
    }
}

fn note_unknown(path: &Path, known: &[(String, Expression)], unknown: &mut Option<String>) {
    if let Some(name) = path.named()
        && !known.iter().any(|(other, _)| other == name)
    {
        unknown.get_or_insert_with(|| name.to_owned());
    }
}

fn status<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<HealthStatus, D::Error> {
    let text = String::deserialize(deserializer)?;
    HealthStatus::parse(&text).ok_or_else(|| {
        let names = HealthStatus::ALL.map(HealthStatus::as_str).join("`, `");
        serde::de::Error::custom(format!("`{text}` is no health; expected one of `{names}`"))
    })
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
