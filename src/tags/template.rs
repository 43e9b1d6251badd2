//! Handlebars, as far as tags need it: text with `{{expressions}}` that are looked up in a scope.
//!
//! There are names, the dates' formats as arguments, `if` and `unless` with `else`, comments, space
//! control (`~`) and raw `{{{expressions}}}`. As in Handlebars, a name that means nothing yields
//! nothing, and what a plain expression yields is escaped for HTML: a branch `a=b` becomes
//! `a&#x3D;b`, and so the tag `a-x3D-b`.

mod parse;

use jiff::Timestamp;

use super::moment::{self, MomentError};

/// A text with expressions in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Node>);

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Text(String),
    Value { call: Call, is_escaped: bool },
    Choice { condition: Argument, negated: bool, then: Vec<Node>, otherwise: Vec<Node> },
}

/// A name with what it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    name: Path,
    arguments: Vec<Argument>,
    named: Vec<(String, Argument)>,
}

/// A name; `None` for one that reaches into something, which nothing here has.
type Path = Option<String>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Argument {
    Text(String),
    Number(String),
    /// `true`, `false`, `null` or `undefined`.
    Word(&'static str),
    Name(Path),
    Call(Box<Call>),
}

/// Why a template can't be read or filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// An expression is not written as one.
    #[error(
        "`{0}` is not an expression; expected for example `{{{{branch}}}}` or `{{{{date 'YYYYMMDD'}}}}`"
    )]
    Expression(String),
    /// An expression is not closed.
    #[error("`{{{{` is not closed by `}}}}`")]
    Open,
    /// A block is not closed, or closed twice.
    #[error("`{{{{#if}}}}` and `{{{{/if}}}}` do not match")]
    Block,
    /// Handlebars knows it, deployctl does not.
    #[error("`{0}` is not supported; expected an expression, `if` or `unless`")]
    Unsupported(String),
    /// Something is given arguments, and is not there.
    #[error("there is no `{0}` that takes arguments here; there is `date 'FORMAT' tz='ZONE'`")]
    NoHelper(String),
    /// A date is not given one text, and at most a time zone.
    #[error("`{0}` needs a format in quotes, such as `{0} 'YYYYMMDD' tz='Europe/Berlin'`")]
    DateArguments(String),
    /// A date can't be written.
    #[error(transparent)]
    Date(MomentError),
}

/// What the names in a template mean.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Names and their values.
    pub(super) values: Vec<(&'static str, String)>,
    /// The clock and the commit's time, where `date` and `commit_date` have a meaning.
    pub(super) dates: Option<(Timestamp, Timestamp)>,
}

impl Template {
    /// Returns the template that `text` is.
    ///
    /// # Errors
    ///
    /// Fails if an expression is not closed, or is none.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        parse::nodes(text).map(Self)
    }

    /// Returns whether it is a single expression, and that the name `name`.
    pub(super) fn is_just(&self, name: &str) -> bool {
        match self.0.as_slice() {
            [Node::Value { call, .. }] => call.name.as_deref() == Some(name),
            _ => false,
        }
    }

    /// Returns the text with every expression replaced by what it means in `scope`.
    pub(super) fn render(&self, scope: &Scope) -> Result<String, TemplateError> {
        let mut out = String::new();
        render(&self.0, scope, &mut out)?;
        Ok(out)
    }
}

fn render(nodes: &[Node], scope: &Scope, out: &mut String) -> Result<(), TemplateError> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Value { call, is_escaped } => {
                let value = scope.call(call)?.unwrap_or_default();
                out.push_str(&if *is_escaped { html(&value) } else { value });
            }
            Node::Choice { condition, negated, then, otherwise } => {
                let is_met = scope.is_truthy(condition)? != *negated;
                render(if is_met { then } else { otherwise }, scope, out)?;
            }
        }
    }
    Ok(())
}

impl Scope {
    fn value(&self, name: &Path) -> Option<&str> {
        let name = name.as_deref()?;
        self.values.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
    }

    fn call(&self, call: &Call) -> Result<Option<String>, TemplateError> {
        let name = call.name.as_deref().unwrap_or_default();
        match (name, self.dates) {
            ("date", Some((now, _))) => return self.date(call, now).map(Some),
            ("commit_date", Some((_, at))) => return self.date(call, at).map(Some),
            _ => {}
        }
        match self.value(&call.name) {
            Some(value) => Ok(Some(value.to_owned())),
            None if call.arguments.is_empty() => Ok(None),
            None => Err(TemplateError::NoHelper(name.to_owned())),
        }
    }

    fn date(&self, call: &Call, at: Timestamp) -> Result<String, TemplateError> {
        let wrong = || TemplateError::DateArguments(call.name.clone().unwrap_or_default());
        let [format] = call.arguments.as_slice() else { return Err(wrong()) };
        // A format without quotes is a name that means nothing, and moment then takes its default.
        let format = self.text(format)?.unwrap_or_default();
        let mut zone = "UTC".to_owned();
        for (key, value) in &call.named {
            match key.as_str() {
                "tz" => zone = self.text(value)?.filter(|it| !it.is_empty()).ok_or_else(wrong)?,
                _ => return Err(wrong()),
            }
        }
        Ok(moment::format(at, &zone, &format)?)
    }

    fn text(&self, argument: &Argument) -> Result<Option<String>, TemplateError> {
        match argument {
            Argument::Text(text) | Argument::Number(text) => Ok(Some(text.clone())),
            Argument::Word(_) => Ok(None),
            Argument::Name(name) => Ok(self.value(name).map(str::to_owned)),
            Argument::Call(call) => self.call(call),
        }
    }

    /// Returns what `if` makes of it; the text `false` is text, and so true.
    fn is_truthy(&self, argument: &Argument) -> Result<bool, TemplateError> {
        Ok(match argument {
            Argument::Word(word) => *word == "true",
            Argument::Number(number) => number.parse() != Ok(0.0),
            argument => self.text(argument)?.is_some_and(|text| !text.is_empty()),
        })
    }
}

/// Returns `text` with the characters escaped that Handlebars escapes.
fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#x27;"),
            '`' => out.push_str("&#x60;"),
            '=' => out.push_str("&#x3D;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<String, TemplateError> {
        let at = |text: &str| text.parse().unwrap();
        let scope = Scope {
            values: vec![("branch", "a=b".to_owned()), ("tag", String::new())],
            dates: Some((at("2020-01-10T00:30:00Z"), at("2019-12-31T23:00:00Z"))),
        };
        Template::parse(text)?.render(&scope)
    }

    #[test]
    fn names_are_replaced_and_unknown_ones_are_nothing() {
        for (text, expected) in [
            ("x-{{branch}}-{{ tag }}-{{nothing}}", "x-a&#x3D;b--"),
            ("{{{branch}}}{{&branch}}", "a=ba=b"),
            ("{{this.branch}}{{./branch}}{{@root.branch}}", "a&#x3D;ba&#x3D;ba&#x3D;b"),
            ("{{branch.length}}{{../branch}}{{[branch]}}", "a&#x3D;b"),
            ("a  {{~tag~}}  b", "ab"),
            ("a{{! no }}{{!-- no }} --}}b", "ab"),
            (r"\{{branch}} {{{branch}}}", "{{branch}} a=b"),
            (r"\\{{{branch}}}", r"\a=b"),
            ("{one} }} two", "{one} }} two"),
        ] {
            assert_eq!(check(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn dates_take_a_format_and_a_zone() {
        for (text, expected) in [
            ("{{date 'YYYYMMDD'}}", "20200110"),
            ("{{commit_date \"YYYY\"}}", "2019"),
            ("{{date 'YYYYMMDD-HHmmss' tz='Asia/Tokyo'}}", "20200110-093000"),
            ("{{date YYYY-MM}}", "2020-01-10T00:30:00Z"),
        ] {
            assert_eq!(check(text).unwrap(), expected, "{text}");
        }
        for wrong in
            ["{{date}}", "{{date 'a' 'b'}}", "{{date 'a' zone='UTC'}}", "{{date 'a' tz=UTC}}"]
        {
            assert!(matches!(check(wrong), Err(TemplateError::DateArguments(_))), "{wrong}");
        }
    }

    #[test]
    fn a_choice_asks_whether_there_is_text() {
        for (text, expected) in [
            ("{{#if tag}}t{{else}}b{{/if}}", "b"),
            ("{{#if branch}}{{#unless tag}}x{{/unless}}{{/if}}", "x"),
            ("{{#unless branch}}x{{^}}y{{/unless}}", "y"),
            ("{{#if (date 'YYYY')}}d{{/if}}", "d"),
        ] {
            assert_eq!(check(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        assert_eq!(check("{{branch"), Err(TemplateError::Open));
        assert_eq!(check("{{#if tag}}x"), Err(TemplateError::Block));
        assert_eq!(check("x{{/if}}"), Err(TemplateError::Block));
        assert!(matches!(check("{{}}"), Err(TemplateError::Expression(_))));
        assert!(matches!(check("{{a,b}}"), Err(TemplateError::Expression(_))));
        assert!(matches!(check("{{> x}}"), Err(TemplateError::Unsupported(_))));
        assert!(matches!(check("{{#each x}}{{/each}}"), Err(TemplateError::Unsupported(_))));
        assert!(matches!(check("{{x 'y'}}"), Err(TemplateError::NoHelper(_))));
    }
}
