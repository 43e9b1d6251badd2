//! Variables of a Dockerfile as far as they are known before the build, filled into a text as BuildKit's
//! `shell` package does it.

use std::collections::BTreeMap;

/// The variables that BuildKit declares by itself; their values depend on the machine.
pub(super) const PLATFORM_ARGUMENTS: [&str; 8] = [
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
];

/// Variables and their values: of the lines before the first stage, or of one stage.
#[derive(Debug, Default)]
pub(super) struct Variables {
    /// Those that are declared; some have no value.
    values: BTreeMap<String, Option<String>>,
    /// Whether the base image may set others.
    is_of_stage: bool,
}

impl Variables {
    /// Returns those of a stage before its first instruction.
    pub(super) fn of_stage() -> Self {
        Self { values: BTreeMap::new(), is_of_stage: true }
    }

    /// Sets the variable; what it is set to may not be known.
    pub(super) fn set(&mut self, name: &str, value: Result<Option<String>, String>) {
        match value {
            Ok(value) => drop(self.values.insert(name.to_owned(), value)),
            Err(_) => drop(self.values.remove(name)),
        }
    }

    /// Returns the value of a variable that is declared.
    pub(super) fn get(&self, name: &str) -> Option<&String> {
        self.values.get(name)?.as_ref()
    }

    /// Returns the text with variables replaced by their values.
    ///
    /// # Errors
    ///
    /// Fails with the reason if a value is not known.
    pub(super) fn expand(&self, text: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['$', '\\', '"', '\'']) {
            out.push_str(&rest[..at]);
            let (mark, after) = rest[at..].split_at(1);
            rest = after;
            match mark {
                "$" => {
                    let (value, after) = self.variable(rest)?;
                    out.push_str(&value);
                    rest = after;
                }
                "\\" => {
                    let next = rest.chars().next().map_or(0, char::len_utf8);
                    out.push_str(&rest[..next]);
                    rest = &rest[next..];
                }
                _ => {}
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Returns the value of the variable that `text`, behind the `$`, begins with, and what follows.
    fn variable<'b>(&self, text: &'b str) -> Result<(String, &'b str), String> {
        let unknown = || format!("`${text}` is not understood in an image's name");
        let Some(braced) = text.strip_prefix('{') else {
            let end = text.find(|c: char| !is_name(c)).unwrap_or(text.len());
            if end == 0 {
                return Err(unknown());
            }
            return Ok((self.value(&text[..end])?.unwrap_or_default(), &text[end..]));
        };
        let close = closing(braced).ok_or_else(unknown)?;
        let (inside, rest) = (&braced[..close], &braced[close + 1..]);
        let end = inside.find(|c: char| !is_name(c)).unwrap_or(inside.len());
        let (name, operation) = inside.split_at(end);
        if name.is_empty() {
            return Err(unknown());
        }
        let value = self.value(name)?;
        let full = value.clone().filter(|value| !value.is_empty());
        let value = match operation.split_at(operation.len().min(2)) {
            ("", _) => value.unwrap_or_default(),
            (":-", word) => full.map_or_else(|| self.expand(word), Ok)?,
            (":+", word) => full.map_or(Ok(String::new()), |_| self.expand(word))?,
            _ => match (operation.split_at(1), value) {
                (("-", _), Some(value)) => value,
                (("-", word), None) => self.expand(word)?,
                (("+", word), Some(_)) => self.expand(word)?,
                (("+", _), None) => String::new(),
                _ => return Err(unknown()),
            },
        };
        Ok((value, rest))
    }

    fn value(&self, name: &str) -> Result<Option<String>, String> {
        match self.values.get(name) {
            Some(value) => Ok(value.clone()),
            None if PLATFORM_ARGUMENTS.contains(&name) => {
                Err(format!("`{name}` in an image's name depends on the machine"))
            }
            None if self.is_of_stage => Err(format!("the value of `{name}` is not known")),
            None => Ok(None),
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Returns where the brace ends that is open at the beginning of `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    text.char_indices().find_map(|(at, c)| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(at)
    })
}
