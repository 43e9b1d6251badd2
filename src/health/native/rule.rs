//! Sets of rows for the kinds of a group, and how they decide.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::expression::Expression;
use super::path::{Path, Visit};
use super::predicate::{self, Predicate};
use super::scope::{Named, Scope};
use super::template::Template;
use crate::health::{Health, HealthStatus};
use crate::k8s::Object;

/// The rows of some kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// The rows of all kinds, in the order in which they are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct RuleSets(pub Vec<RuleSet>);

/// A row: where `if` holds, the object has this health.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
struct Row {
    /// What is asked of the object. Left out: the row always decides, so it is the last one.
    #[serde(default, deserialize_with = "predicate::asked")]
    #[schemars(with = "Predicate")]
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

    fn paths(&self, visit: &mut Visit<'_>) {
        self.r#if.iter().for_each(|asked| asked.paths(0, visit));
        self.message.paths(self.r#if.as_ref().map_or(0, Predicate::finds), visit);
    }

    /// Returns what leads nowhere, or `None` if all may.
    fn flaw(&self) -> Option<String> {
        let mut flaw = None;
        self.paths(&mut |path, around| flaw = flaw.take().or_else(|| path.flaw(around)));
        flaw
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

/// Returns what is never asked of `set` behind the sets `earlier`, as a sentence, or `None` if all is:
/// its rows for a kind that one before decides about in any case.
pub(super) fn unreachable(earlier: &[RuleSet], set: &RuleSet) -> Option<String> {
    let decides = |before: &RuleSet, kind: &Pattern| {
        before.group.matches(&set.group.0)
            && before.kinds.iter().any(|pattern| pattern.matches(&kind.0))
            && (before.versions.is_empty() || before.versions == set.versions)
            && before.rows.last().is_some_and(|row| row.r#if.is_none())
    };
    set.kinds.iter().find_map(|kind| {
        let before = earlier.iter().position(|before| decides(before, kind))? + 1;
        let number = earlier.len() + 1;
        Some(format!(
            "the rows of entry {number} for `{kind}` would never be asked: entry {before} ends \
             with a row without `if`, which decides about every `{kind}`; put entry {number} before it"
        ))
    })
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

impl RuleSet {
    fn new(form: Form) -> Self {
        Self {
            group: form.group,
            kinds: form.kinds,
            versions: form.versions,
            named: form.named.into_iter().collect(),
            rows: form.rows,
        }
    }

    /// Returns what the set is for, in words.
    fn subject(&self) -> String {
        let kinds: Vec<_> = self.kinds.iter().map(|kind| format!("`{kind}`")).collect();
        match kinds.is_empty() {
            true => format!("group `{}`", self.group),
            false => kinds.join(", "),
        }
    }

    /// Checks that the set can mean something.
    fn check(&self) -> Result<(), String> {
        if self.kinds.is_empty() || self.rows.is_empty() {
            return Err("`kinds` and `rows` have at least one entry each".to_owned());
        }
        self.check_rows()?;
        self.check_kinds()?;
        self.check_names()
    }

    /// Checks that every row may be asked, and that none asks what one before it has asked.
    fn check_rows(&self) -> Result<(), String> {
        let last = self.rows.len() - 1;
        if let Some(row) = self.rows.iter().position(|row| row.r#if.is_none())
            && row != last
        {
            return Err(format!(
                "row {} has no `if`, so those behind it would never be asked",
                row + 1
            ));
        }
        for (index, row) in self.rows.iter().enumerate() {
            let same = self.rows[..index].iter().position(|before| before.r#if == row.r#if);
            if let Some(before) = same {
                let (row, before) = (index + 1, before + 1);
                return Err(format!("row {row} asks what row {before} does, so it never decides"));
            }
        }
        Ok(())
    }

    /// Checks that an object can have such a group, version and kind.
    fn check_kinds(&self) -> Result<(), String> {
        if let Some((group, version)) = self.group.0.split_once('/') {
            return Err(format!(
                "`group` has no version: write `group: {group}` and, if it is for this version alone, \
                 `versions: [{version}]`"
            ));
        }
        for (what, patterns) in [("kinds", &self.kinds), ("versions", &self.versions)] {
            if let Some(Pattern(text)) =
                patterns.iter().find(|it| it.0.is_empty() || it.0.contains('/'))
            {
                let alone = text.rsplit('/').next().unwrap_or_default();
                return Err(match alone {
                    "" => format!("`{what}` has an empty entry, which nothing is"),
                    _ => format!(
                        "`{text}` in `{what}` is never met; write `{alone}`, the group is in `group`"
                    ),
                });
            }
        }
        Ok(())
    }

    /// Checks that every `$name` is in `let`, and before where it is used.
    fn check_names(&self) -> Result<(), String> {
        let mut unknown = None;
        for (index, (name, expression)) in self.named.iter().enumerate() {
            let known = &self.named[..index];
            let mut flaw = None;
            expression.paths(0, &mut |path, around| {
                note_unknown(path, known, &mut unknown);
                flaw = flaw.take().or_else(|| path.flaw(around));
            });
            if let Some(flaw) = flaw {
                return Err(format!("`let`, `{name}`: {flaw}"));
            }
        }
        for row in &self.rows {
            row.paths(&mut |path, _| note_unknown(path, &self.named, &mut unknown));
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

/// Reads a row and looks for what is wrong with it as a whole while its place is known.
struct RowReader;

impl<'de> Visitor<'de> for RowReader {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of `if`, `health` and `message`")
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Row, M::Error> {
        let row = Row::deserialize(MapAccessDeserializer::new(map))?;
        match row.flaw() {
            Some(flaw) => Err(de::Error::custom(flaw)),
            None => Ok(row),
        }
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RowReader)
    }
}

/// Reads the set behind these and looks for what is wrong with it as a whole while its place is known.
struct NextSet<'a>(&'a [RuleSet]);

impl<'de> Visitor<'de> for NextSet<'_> {
    type Value = RuleSet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of `group`, `kinds` and `rows`")
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<RuleSet, M::Error> {
        let set = RuleSet::new(Form::deserialize(MapAccessDeserializer::new(map))?);
        if let Err(flaw) = set.check() {
            return Err(de::Error::custom(format!("rules for {}: {flaw}", set.subject())));
        }
        match unreachable(self.0, &set) {
            Some(flaw) => Err(de::Error::custom(flaw)),
            None => Ok(set),
        }
    }
}

impl<'de> DeserializeSeed<'de> for NextSet<'_> {
    type Value = RuleSet;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<RuleSet, D::Error> {
        deserializer.deserialize_map(self)
    }
}

struct SetsReader;

impl<'de> Visitor<'de> for SetsReader {
    type Value = RuleSets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<RuleSets, S::Error> {
        let mut sets = Vec::new();
        while let Some(set) = list.next_element_seed(NextSet(&sets))? {
            sets.push(set);
        }
        Ok(RuleSets(sets))
    }
}

impl<'de> Deserialize<'de> for RuleSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NextSet(&[]).deserialize(deserializer)
    }
}

impl<'de> Deserialize<'de> for RuleSets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(SetsReader)
    }
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HealthStatus, D::Error> {
    let text = String::deserialize(deserializer)?;
    HealthStatus::parse(&text).ok_or_else(|| {
        let names = HealthStatus::ALL.map(HealthStatus::as_str).join("`, `");
        de::Error::custom(format!("`{text}` is no health; expected one of `{names}`"))
    })
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
