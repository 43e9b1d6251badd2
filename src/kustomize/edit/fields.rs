//! One field of an image entry: set, added, taken away.

use super::super::kustomization::{Field, Kustomization, find, is_key};
use super::refuse::{refuse_shared, refused};
use super::{EditError, Step, list};
use crate::yaml::splice::{
    insert_line, is_flow, lines, quotes, remove_entry, replace_scalar, separator,
};
use crate::yaml::{Document, Node, Patch, ScalarStyle, write_scalar};

/// Returns how to make `field` of the entry at `index` say `wanted`, or go.
pub(super) fn change(
    file: &Kustomization,
    index: usize,
    field: Field,
    wanted: Option<&str>,
) -> Result<Step, EditError> {
    let document = file.document();
    let images = list::images(file);
    let Some(item) = images.and_then(|images| images.value.items().get(index)) else {
        return Err(refused(document, 0, "the image entry is not there"));
    };
    refuse_shared(document, item)?;
    let patch = match (find(item, field.key()), wanted) {
        (Some(entry), Some(value)) => replace_scalar(document, &entry.value, value, is_flow(item))?,
        (None, Some(value)) => add(document, item, field, value)?,
        (Some(_), None) => remove_entry(document, item, index_of(item, field))?,
        (None, None) => return Ok(Step::new()),
    };
    Ok(vec![vec![patch]])
}

fn add(document: &Document, item: &Node, field: Field, value: &str) -> Result<Patch, EditError> {
    let text = document.text();
    let earlier = Field::ALL.into_iter().take_while(|other| *other != field);
    let present: Vec<_> = earlier.filter_map(|other| find(item, other.key())).collect();
    let Some(neighbour) = present.last().copied().or(item.entries().last()) else {
        let written = write_scalar(value, ScalarStyle::Plain, true);
        return Ok(Patch::replace(item.span.clone(), format!("{{{}: {written}}}", field.key())));
    };
    let style = quotes(&present.first().copied().unwrap_or(neighbour).value);
    let flow = is_flow(item);
    let key = write_scalar(field.key(), quotes(&neighbour.key), flow);
    let line = format!("{key}: {}", write_scalar(value, style, flow));
    let end = neighbour.value.span.end;
    if flow {
        let separator = separator(text, item, neighbour.key.start(), end);
        return Ok(Patch::insert(end, format!("{separator}{line}")));
    }
    let indent = lines::spaces(lines::before(text, item.entries()[0].key.start()));
    Ok(insert_line(document, end, &format!("{indent}{line}"))?)
}

fn index_of(item: &Node, field: Field) -> usize {
    item.entries().iter().position(|entry| is_key(entry, field.key())).unwrap_or_default()
}
