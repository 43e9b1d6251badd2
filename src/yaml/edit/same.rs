//! Whether two nodes mean the same and are written in the same style.

use crate::yaml::{Entry, Node, ScalarStyle, Value, resolves_to_string};

/// Whether both entries say the same in the same style; where they stand does not count.
pub(crate) fn same_entry(a: &Entry, b: &Entry) -> bool {
    same(&a.key, &b.key) && same(&a.value, &b.value)
}

/// Whether both nodes say the same in the same style; where they stand does not count. Recursion is
/// bounded by the nesting that a document may have.
pub(crate) fn same(a: &Node, b: &Node) -> bool {
    let same_tag = a.tag.as_ref().map(|tag| &tag.name) == b.tag.as_ref().map(|tag| &tag.name);
    let anchor = |node: &Node| node.anchor.as_ref().map(|anchor| anchor.id);
    let value = match (&a.value, &b.value) {
        (Value::Sequence(a, x), Value::Sequence(b, y)) => {
            x == y && a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Mapping(a, x), Value::Mapping(b, y)) => {
            x == y && a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_entry(a, b))
        }
        (a, b) => a == b,
    };
    value && same_tag && anchor(a) == anchor(b)
}

/// Whether every reader takes the node for a text.
pub(crate) fn is_text(node: &Node) -> bool {
    let is_tagged = node.tag.as_ref().is_some_and(|tag| tag.name == "tag:yaml.org,2002:str");
    match &node.value {
        Value::Scalar(text, ScalarStyle::Plain) => is_tagged || resolves_to_string(text),
        Value::Scalar(..) => true,
        _ => false,
    }
}
