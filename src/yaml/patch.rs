//! Byte patches: what to replace, and by what.

use super::node::Span;

/// A replacement of some bytes; an empty span inserts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// The bytes to replace.
    pub span: Span,
    /// What stands there afterwards.
    pub replacement: String,
}

/// Why patches can't be applied together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// Two patches want the same bytes.
    #[error("two changes overlap at byte {0}")]
    Overlap(usize),
    /// A patch is about bytes that are not there.
    #[error("a change at byte {0} is outside of the text or inside of a character")]
    Outside(usize),
}

impl Patch {
    /// Returns a patch that inserts `text` at `offset`.
    pub fn insert(offset: usize, text: impl Into<String>) -> Self {
        Self { span: offset..offset, replacement: text.into() }
    }

    /// Returns a patch that replaces `span`.
    pub fn replace(span: Span, text: impl Into<String>) -> Self {
        Self { span, replacement: text.into() }
    }

    /// Returns a patch that removes `span`.
    pub fn remove(span: Span) -> Self {
        Self { span, replacement: String::new() }
    }
}

/// Returns `text` with all patches applied. Insertions at one place come out in the given order.
///
/// # Errors
///
/// Fails if patches overlap or do not fit the text.
pub fn apply(text: &str, patches: &[Patch]) -> Result<String, PatchError> {
    let mut sorted: Vec<&Patch> = patches.iter().collect();
    sorted.sort_by_key(|patch| (patch.span.start, patch.span.end));
    let (mut result, mut done) = (String::with_capacity(text.len()), 0);
    for Patch { span, replacement } in sorted {
        if span.start < done {
            return Err(PatchError::Overlap(span.start));
        }
        let outside = PatchError::Outside(span.start);
        let kept = text.get(done..span.start).ok_or(outside.clone())?;
        text.get(span.clone()).ok_or(outside)?;
        result.push_str(kept);
        result.push_str(replacement);
        done = span.end;
    }
    result.push_str(&text[done..]);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_apply_in_any_order() {
        let patches = [
            Patch::remove(4..5),
            Patch::insert(0, "x"),
            Patch::replace(1..3, "BC"),
            Patch::insert(0, "y"),
        ];
        assert_eq!(apply("abcdef", &patches).unwrap(), "xyaBCdf");
    }

    #[test]
    fn patches_that_do_not_fit_are_refused() {
        let overlap = [Patch::remove(0..2), Patch::remove(1..3)];
        assert_eq!(apply("abc", &overlap), Err(PatchError::Overlap(1)));
        assert_eq!(apply("abc", &[Patch::remove(2..9)]), Err(PatchError::Outside(2)));
        assert_eq!(apply("é", &[Patch::insert(1, "x")]), Err(PatchError::Outside(1)));
    }
}
