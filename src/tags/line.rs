//! The lines of the action's inputs, and the fields of a line.

use std::fmt;

use super::error::Problem;

/// Which of the action's inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// `images`
    Images,
    /// `tags`
    Tags,
    /// `flavor`
    Flavor,
    /// `labels`
    Labels,
    /// `annotations`
    Annotations,
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Images => "images",
            Self::Tags => "tags",
            Self::Flavor => "flavor",
            Self::Labels => "labels",
            Self::Annotations => "annotations",
        })
    }
}

/// A line of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which input.
    pub input: Input,
    /// Which line, from 1; every value of a repeated argument begins a line.
    pub number: usize,
    /// What it says, without space around it.
    pub text: String,
}

/// Returns the lines of `values`, without empty ones and comments.
pub(super) fn lines(input: Input, values: &[String]) -> Vec<Line> {
    let all = values.iter().flat_map(|value| value.split('\n'));
    let numbered = all.enumerate().map(|(at, text)| (at + 1, text.trim()));
    let said = numbered.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
    said.map(|(number, text)| Line { input, number, text: text.to_owned() }).collect()
}

/// Returns the fields between the commas of a line; a field that is quoted as a whole may have
/// commas in it, and `""` for a quote.
///
/// # Errors
///
/// Fails if a quote stands in the middle of a field, as the action's CSV parser does.
pub(super) fn fields(text: &str) -> Result<Vec<String>, Problem> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => plain_field(rest)?,
        };
        fields.push(field);
        match after {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

/// Returns `key` and `value` of `key=value`, split at the first `=` that has something before it;
/// else the field alone as a value.
pub(super) fn key_value(field: &str) -> (Option<&str>, &str) {
    match field.split_once('=') {
        Some((key, value)) if !key.is_empty() => (Some(key.trim()), value.trim()),
        _ => (None, field.trim()),
    }
}

/// As [`key_value`], where all that stands behind a second `=` is dropped, as in `flavor` and
/// `images`.
pub(super) fn key_first_value(field: &str) -> (Option<&str>, &str) {
    match field.split_once('=') {
        Some((key, value)) => (Some(key.trim()), value.split('=').next().unwrap_or("").trim()),
        None => (None, field.trim()),
    }
}

type Field<'a> = (String, Option<&'a str>);

fn plain_field(text: &str) -> Result<Field<'_>, Problem> {
    let (field, after) = match text.split_once(',') {
        Some((field, after)) => (field, Some(after)),
        None => (text, None),
    };
    if field.contains('"') {
        return Err(Problem::Quote);
    }
    Ok((field.to_owned(), after))
}

fn quoted_field(text: &str) -> Result<Field<'_>, Problem> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"').ok_or(Problem::Quote)?;
        field.push_str(part);
        rest = match after.strip_prefix('"') {
            Some(escaped) => escaped,
            None if after.is_empty() => return Ok((field, None)),
            None => {
                let after = after.strip_prefix(',').ok_or(Problem::Quote)?;
                return Ok((field, Some(after)));
            }
        };
        field.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_field_keeps_its_commas() {
        let split = |text| fields(text).map_err(|_| ());
        assert_eq!(split("a,b").unwrap(), ["a", "b"]);
        assert_eq!(
            split(r#"type=match,"pattern=\d{1,2}",group=0"#).unwrap()[1],
            r"pattern=\d{1,2}"
        );
        assert_eq!(split(r#""say ""yes""",b"#).unwrap(), [r#"say "yes""#, "b"]);
        assert_eq!(split("a,").unwrap(), ["a", ""]);
        for bad in [r#"a"b"#, r#"pattern="a,b""#, r#""a"b"#, r#""a"#] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn comments_and_empty_lines_count_but_say_nothing() {
        let values = ["# all\n type=sha \n\ntype=edge".to_owned(), "x".to_owned()];
        let found = lines(Input::Tags, &values);
        let found: Vec<_> = found.iter().map(|line| (line.number, line.text.as_str())).collect();
        assert_eq!(found, [(2, "type=sha"), (4, "type=edge"), (5, "x")]);
    }
}
