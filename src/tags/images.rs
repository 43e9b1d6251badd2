//! The `images` input: the names that tags are put behind.

use super::error::{Problem, TagsError};
use super::line::{Line, fields, key_first_value};

/// An image's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName {
    /// The name, as it was written.
    pub name: String,
    /// Whether it gets tags.
    pub is_enabled: bool,
}

impl ImageName {
    /// Returns the names that `lines` state. A single line may list several, as in the action's
    /// first versions.
    ///
    /// # Errors
    ///
    /// Fails on a key other than `name` and `enable`, and on an image without a name.
    pub fn read_all(lines: &[Line]) -> Result<Vec<Self>, TagsError> {
        if let [line] = lines
            && let Some(names) = listed(line)?
        {
            return Ok(names);
        }
        lines.iter().map(Self::read).collect()
    }

    /// Returns the name as registries want it.
    pub fn lowercase(&self) -> String {
        self.name.to_lowercase()
    }

    fn read(line: &Line) -> Result<Self, TagsError> {
        let mut image = Self { name: String::new(), is_enabled: true };
        for field in fields(&line.text).map_err(|problem| problem.at(line))? {
            let (key, value) = key_first_value(&field);
            match key.map(str::to_lowercase).as_deref() {
                // The action lets the later one win; its tests do not.
                None | Some("name") if !image.name.is_empty() => {
                    return Err(Problem::TwoNames.at(line));
                }
                None | Some("name") => image.name = value.to_owned(),
                Some("enable") => image.is_enabled = yes_or_no("enable", value, line)?,
                Some(key) => {
                    let (key, expected) = (key.to_owned(), "name or enable");
                    return Err(Problem::Key { key, expected }.at(line));
                }
            }
        }
        if image.name.is_empty() { Err(Problem::NoName.at(line)) } else { Ok(image) }
    }
}

/// Returns whether `value` is `true`.
pub(super) fn yes_or_no(key: &'static str, value: &str, line: &Line) -> Result<bool, TagsError> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => {
            let (value, expected) = (value.to_owned(), "true or false");
            Err(Problem::Value { key, value, expected }.at(line))
        }
    }
}

/// Returns the names of a line that has only names.
fn listed(line: &Line) -> Result<Option<Vec<ImageName>>, TagsError> {
    let fields = fields(&line.text).map_err(|problem| problem.at(line))?;
    if fields.iter().any(|field| field.contains('=')) {
        return Ok(None);
    }
    let image = |field: &String| ImageName { name: field.trim().to_owned(), is_enabled: true };
    Ok(Some(fields.iter().map(image).collect()))
}
