//! Two renderings for people: values of Secrets are not shown.

use serde_json::Value;

use super::Rendered;
use crate::k8s::Object;

/// Returns the texts of two renderings. In place of a Secret's value stands whether it is the same in
/// both.
pub fn readable(old: &Rendered, new: &Rendered) -> (String, String) {
    if !old.objects.iter().chain(&new.objects).any(is_secret) {
        return (old.yaml.clone(), new.yaml.clone());
    }
    (hidden(old, new, "another value before"), hidden(new, old, "another value after"))
}

fn is_secret(object: &Object) -> bool {
    object.kind() == "Secret" && object.group().is_empty()
}

/// Returns the text of `rendered` with hidden values; `differs` stands for one that is not in `other`.
fn hidden(rendered: &Rendered, other: &Rendered, differs: &str) -> String {
    let documents: Vec<&str> = rendered.yaml.split("\n---\n").collect();
    // A document that is a list stands for several objects.
    if documents.len() != rendered.objects.len() {
        let objects = rendered.objects.iter().map(|object| hide(object, other, differs));
        return Rendered::of(objects.collect()).yaml;
    }
    let texts = documents.iter().zip(&rendered.objects).map(|(text, object)| {
        if is_secret(object) {
            let text = Rendered::of(vec![hide(object, other, differs)]).yaml;
            text.trim_end().to_owned()
        } else {
            (*text).trim_end_matches('\n').to_owned()
        }
    });
    texts.collect::<Vec<_>>().join("\n---\n") + "\n"
}

fn hide(object: &Object, other: &Rendered, differs: &str) -> Object {
    if !is_secret(object) {
        return object.clone();
    }
    let counterpart = other.objects.iter().find(|other| other.id() == object.id());
    let mut value = object.value().clone();
    for list in ["data", "stringData"] {
        let fields = value.get_mut(list).and_then(Value::as_object_mut).into_iter().flatten();
        for (key, field) in fields {
            let there = counterpart.and_then(|other| other.value().get(list)?.get(key));
            let text = if there == Some(&*field) {
                "(hidden)".to_owned()
            } else {
                format!("(hidden: {differs})")
            };
            *field = Value::String(text);
        }
    }
    Object::new(value).unwrap_or_else(|| object.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secrets_values_are_not_shown_but_whether_they_differ() {
        let text = |value: &str| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\ndata: {{k: v}}\n---\napiVersion: v1\ndata:\n  a: c2FtZQ==\n  b: {value}\nkind: Secret\n"
            )
        };
        let rendered = |value| {
            let yaml = text(value);
            Rendered { objects: Object::read_all(&yaml).unwrap(), yaml }
        };
        let (old, new) = readable(&rendered("b25l"), &rendered("dHdv"));
        let expected = "apiVersion: v1\nkind: ConfigMap\ndata: {k: v}\n---\napiVersion: v1\ndata:\n  a: (hidden)\n  b: '(hidden: another value before)'\nkind: Secret\n";
        assert_eq!(old, expected);
        assert_eq!(new, expected.replace("before", "after"));
        let plain = Rendered::of(rendered("b25l").objects[..1].to_vec());
        assert_eq!(readable(&plain, &plain).0, plain.yaml);
    }
}
