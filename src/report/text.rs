//! Text that others wrote, such as a container's last lines, made safe to show.

use anstream::adapter::strip_str;

/// Returns `text` without escape sequences; lines stay lines, and every other character that moves a
/// cursor, turns the direction of text or is in no XML document becomes `�`.
pub(super) fn lines(text: &str) -> String {
    let plain = strip_str(text).to_string().replace("\r\n", "\n").replace('\r', "\n");
    plain.chars().map(visible).collect()
}

/// Returns `text` as [`lines`] does, all in one line.
pub(super) fn one_line(text: &str) -> String {
    let text = lines(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn visible(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        // Bidirectional controls, see Unicode Technical Report 36.
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        // Line and paragraph separators; not characters.
        '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// Returns how long something took, as people say it: `4s`, `1m12s`, `2h5m`.
pub(super) fn spelled(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, 0, _) => format!("{hours}h"),
        (hours, minutes, _) => format!("{hours}h{minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_a_cursor_or_hides_text_is_not_shown() {
        let hostile = "\u{1b}[31mred\u{1b}[0m\r\nnext\rover\u{202e}gnp\u{ffff}\ttab";
        assert_eq!(lines(hostile), "red\nnext\nover\u{fffd}gnp\u{fffd}\ttab");
        assert_eq!(one_line("a\n  b\tc\n"), "a b c");
    }
}
