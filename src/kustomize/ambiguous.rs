//! Values of image entries that kustomize takes for something else than a text.

use super::kustomization::{Field, Kustomization, find};
use crate::yaml::{ScalarStyle, Value, resolves_to_string};

/// A value that is written without quotes and needs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ambiguous {
    /// The field, such as `newTag`.
    pub field: &'static str,
    /// The value as it is written.
    pub text: String,
    /// Its line.
    pub line: usize,
}

impl Kustomization {
    /// Returns the values of `images` that some YAML reader takes for a number, a truth value or the
    /// like; a field without a value does not count.
    pub fn ambiguous(&self) -> Vec<Ambiguous> {
        let document = self.document();
        let Some(images) = find(document.root(), "images") else { return Vec::new() };
        let entries = document.resolve(&images.value).items().iter();
        let fields = entries.flat_map(|entry| {
            Field::ALL.into_iter().filter_map(|field| {
                let value = &find(document.resolve(entry), field.key())?.value;
                let value = document.resolve(value);
                let Value::Scalar(text, ScalarStyle::Plain) = &value.value else { return None };
                let is_safe = text.is_empty() || value.tag.is_some() || resolves_to_string(text);
                let line = document.position(value.span.start).line;
                (!is_safe).then(|| Ambiguous { field: field.key(), text: text.clone(), line })
            })
        });
        fields.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_that_are_no_texts() {
        let check = |tag: &str, expected: &[&str]| {
            let text = format!("images:\n- name: a\n  newTag: {tag}\n");
            let found = Kustomization::parse(text.as_bytes()).unwrap().ambiguous();
            assert_eq!(found.iter().map(|it| it.text.as_str()).collect::<Vec<_>>(), expected);
            assert!(found.iter().all(|it| (it.field, it.line) == ("newTag", 3)));
        };
        check("1.10", &["1.10"]);
        check("on", &["on"]);
        check("1e3 # c", &["1e3"]);
        check("~", &["~"]);
        check("'1.10'", &[]);
        check("!!str 1", &[]);
        check("v1", &[]);
        check("", &[]);
    }
}
