//! Text in Markdown, as GitHub reads it (CommonMark with tables).

use super::text::{lines, one_line};

/// Returns `text` in one line that Markdown shows as it is, in a table too; what stands in backticks
/// becomes code.
pub(super) fn inline(text: &str) -> String {
    let text = one_line(text);
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escaped(&text);
    }
    let parts = parts.iter().enumerate();
    parts.map(|(at, part)| if at % 2 == 0 { escaped(part) } else { code(part) }).collect()
}

/// Returns `text` as code in a line.
pub(super) fn code(text: &str) -> String {
    let text = one_line(text);
    // A table ends its cell at a pipe even in code (GitHub Flavored Markdown, 4.10).
    match text.is_empty() || text.contains(['|', '`', '\\']) {
        true => format!("<code>{}</code>", escaped(&text)),
        false => format!("`{text}`"),
    }
}

/// Returns a fenced block that nothing in `text` can end.
pub(super) fn fenced(text: &str) -> String {
    let text = lines(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}text\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '|' => escaped.push_str("&#124;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '#' | '!' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_it_is() {
        let hostile = "a | b\n<img src=x onerror=alert(1)> **bold** [x](javascript:y) `co`de` `";
        insta::assert_snapshot!(inline(hostile), @r"a &#124; b &lt;img src=x onerror=alert(1)&gt; \*\*bold\*\* \[x\](javascript:y) `co`de<code></code>");
        assert_eq!(inline("pod `web-1` <waits>"), "pod `web-1` &lt;waits&gt;");
        assert_eq!(inline("`a|b`"), "<code>a&#124;b</code>");
    }

    #[test]
    fn a_fence_is_longer_than_what_it_holds() {
        let text = "first\r```\n</details>\n````` x\n";
        assert_eq!(fenced(text), "``````text\nfirst\n```\n</details>\n````` x\n``````\n");
    }
}
