//! A rendered difference as people see it: cut, and as Markdown.

use super::RenderedChange;

/// Returns the differences as a block of Markdown that is folded up, of `limit` bytes at most; empty
/// if there are none.
pub fn rendered_diff<'a>(
    rendered: impl IntoIterator<Item = &'a RenderedChange>,
    limit: usize,
) -> String {
    const OPEN: &str = "<details><summary>Rendered difference</summary>\n\n";
    const CLOSE: &str = "</details>\n";
    let mut blocks = String::new();
    let mut left = limit.saturating_sub(OPEN.len() + CLOSE.len());
    for change in rendered.into_iter().filter(|change| !change.diff.is_empty()) {
        // Three backticks in a manifest would end the block.
        let longest = change.diff.split(|c| c != '`').map(str::len).max().unwrap_or_default();
        let fence = "`".repeat(3.max(longest + 1));
        let frame = format!("`{}`\n\n{fence}diff\n{fence}\n\n", change.overlay).len() + 40;
        let Some(room) = left.checked_sub(frame) else { break };
        let diff = cut(&change.diff, room, usize::MAX);
        let block = format!("`{}`\n\n{fence}diff\n{diff}{fence}\n\n", change.overlay);
        left = left.saturating_sub(block.len());
        blocks.push_str(&block);
    }
    if blocks.is_empty() { blocks } else { format!("{OPEN}{blocks}{CLOSE}") }
}

/// Returns the first lines of `text`, and how many more there are.
pub(super) fn cut(text: &str, bytes: usize, lines: usize) -> String {
    let mut kept = String::new();
    let all = text.lines().count();
    for (index, line) in text.lines().enumerate() {
        if index >= lines || kept.len() + line.len() >= bytes {
            return format!("{kept}… {} more lines\n", all - index);
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_line() {
        assert_eq!(cut("a\nb\nc\n", usize::MAX, 2), "a\nb\n… 1 more lines\n");
        assert_eq!(cut("aaaa\nbbbb\n", 6, 9), "aaaa\n… 1 more lines\n");
        assert_eq!(cut("a\n", 9, 9), "a\n");
    }

    #[test]
    fn markdown_is_folded_fenced_and_bounded() {
        let change = |diff: &str| RenderedChange { overlay: "o".into(), diff: diff.to_owned() };
        assert_eq!(
            rendered_diff(&[change("+a ```\n")], 1000),
            "<details><summary>Rendered difference</summary>\n\n`o`\n\n````diff\n+a ```\n````\n\n</details>\n"
        );
        assert_eq!(rendered_diff(&[change("")], 1000), "");
        let long = change(&"+line\n".repeat(1000));
        for limit in [0, 100, 200, 1000] {
            assert!(rendered_diff([&long, &long], limit).len() <= limit);
        }
    }
}
