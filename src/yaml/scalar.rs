//! How a scalar is written so that every reader takes it for the same text.

use super::node::ScalarStyle;

/// Returns whether every reader takes the plain scalar `text` for a string: YAML 1.1, YAML 1.2 and
/// the parser inside kustomize, which reads `1_000`, `0o17` and `y` in ways of its own.
pub fn resolves_to_string(text: &str) -> bool {
    !(is_word(text) || is_number(text) || is_sexagesimal(text) || is_timestamp(text))
}

/// Returns `text` as a scalar on one line, in the wanted `style` where that is safe and in double
/// quotes where it is not. `flow` says whether it stands inside of `[]` or `{}`.
pub fn write_scalar(text: &str, style: ScalarStyle, flow: bool) -> String {
    let printable = text.chars().all(|c| !c.is_control() && !is_special(c));
    match style {
        ScalarStyle::SingleQuoted if printable => format!("'{}'", text.replace('\'', "''")),
        ScalarStyle::DoubleQuoted | ScalarStyle::SingleQuoted => double_quoted(text),
        _ if printable && resolves_to_string(text) && is_plain(text, flow) => text.to_owned(),
        _ => double_quoted(text),
    }
}

/// Words that mean something: YAML 1.1 null, bool, value and merge types, YAML 1.2 core schema.
fn is_word(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    const SIGNS: [&str; 4] = ["", "~", "=", "<<"];
    // Only `true`, `True` and `TRUE` mean something, and `tRue` is a string.
    let one_case = |word: &str| {
        let rest = &text[1.min(text.len())..];
        text.eq_ignore_ascii_case(word)
            && (rest == rest.to_ascii_lowercase() || text == text.to_ascii_uppercase())
    };
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    SIGNS.contains(&text)
        || (text.is_ascii() && WORDS.into_iter().any(one_case))
        || matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN")
}

/// Integers and floats of any base, with the `_` that YAML 1.1 allows between digits.
fn is_number(text: &str) -> bool {
    if text.starts_with('_') {
        return false;
    }
    let clean = text.replace('_', "");
    let unsigned = clean.strip_prefix(['+', '-']).unwrap_or(&clean);
    let based = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    for (prefix, base) in based {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            let sign = digits.strip_prefix('-').unwrap_or(digits);
            return !sign.is_empty() && sign.chars().all(|c| c.is_digit(base));
        }
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let all_digits = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    exponent && all_digits(whole) && all_digits(fraction) && whole.len() + fraction.len() > 0
}

/// YAML 1.1 numbers of base 60, such as `1:20`.
fn is_sexagesimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'_' | b'.'))
    };
    unsigned.contains(':')
        && unsigned.starts_with(|c: char| c.is_ascii_digit())
        && unsigned.split(':').all(part)
}

/// YAML 1.1 timestamps, `2001-12-14` with or without a time.
fn is_timestamp(text: &str) -> bool {
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    let mut parts = text.splitn(3, '-');
    let (Some(year), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let day = rest.split(['T', 't', ' ', '\t']).next().unwrap_or_default();
    let time = &rest[day.len()..];
    year.len() == 4
        && digits(year, 4)
        && digits(month, 2)
        && digits(day, 2)
        && (time.is_empty() || time[1..].starts_with(|c: char| c.is_ascii_digit() || c == ' '))
}

/// Whether `text` can stand without quotes; stricter than the specification (`ns-plain`).
fn is_plain(text: &str, flow: bool) -> bool {
    let edges = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
    let first = text.starts_with(|c| "-?:,[]{}#&*!|>'\"%@`".contains(c)) || text.starts_with("...");
    let inside = text.contains(": ") || text.contains(" #") || text.ends_with(':');
    let in_flow = flow && text.contains(['[', ']', '{', '}', ',']);
    !(edges || first || inside || in_flow)
}

/// Line separators that YAML 1.1 counts as line breaks, and the byte order mark.
fn is_special(c: char) -> bool {
    matches!(
        c,
        '\u{85}' | '\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    )
}

fn double_quoted(text: &str) -> String {
    use std::fmt::Write as _;
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || is_special(c) => {
                write!(quoted, "\\u{:04x}", u32::from(c)).expect("writing to a String cannot fail");
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Document;
    use super::*;

    #[test]
    fn what_a_reader_could_take_for_something_else() {
        let traps = "1234 0123 08 1.10 1. 1_000 1_ 1_0.5 0x1F 0o17 0b1 .5 +12 -1 1e3 3e2 12e03 \
            0123e4 706798e8 12345678901234567890123 true on off yes y N .inf .nan -.INF null ~ \
            2024-01-02 2001-01-01T00:00:00Z 1:20 1:2:3 190:20:30 1e1000 = << True OFF 1.5E+3 0x_1";
        for trap in traps.split_whitespace().chain(["", "2001-12-14 21:59:43.10 -5"]) {
            assert!(!resolves_to_string(trap), "{trap}");
            assert!(write_scalar(trap, ScalarStyle::Plain, false).starts_with('"'), "{trap}");
        }
    }

    #[test]
    fn what_every_reader_takes_for_a_string() {
        let strings = "NaN 0x 0o8 1e tRue _1 4e5b6c7 1.2.3 v1.0 1.2.3-rc.1 main sha256:0123abcd \
            localhost:5000/app 2024-01 1.x 1e2e3 20240102-1234567 0b2 latest yESs . + - -x -1-2";
        for string in strings.split_whitespace() {
            assert!(resolves_to_string(string), "{string}");
        }
        let plain = "NaN v1.0 sha256:0123abcd localhost:5000/app";
        for string in plain.split_whitespace() {
            assert_eq!(write_scalar(string, ScalarStyle::Plain, true), string);
        }
    }

    #[test]
    fn quotes_stay_what_they_were() {
        assert_eq!(write_scalar("v1", ScalarStyle::SingleQuoted, false), "'v1'");
        assert_eq!(write_scalar("it's", ScalarStyle::SingleQuoted, false), "'it''s'");
        assert_eq!(write_scalar("v1", ScalarStyle::DoubleQuoted, false), "\"v1\"");
        assert_eq!(write_scalar("a\nb", ScalarStyle::SingleQuoted, false), "\"a\\nb\"");
        assert_eq!(write_scalar("a, b", ScalarStyle::Plain, true), "\"a, b\"");
        assert_eq!(write_scalar("a, b", ScalarStyle::Plain, false), "a, b");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_reads_back(text in "[-a-c:#&*!|>'\"%@`{}\\[\\], \n\t?é~0-9.\u{85}\u{feff}]{0,8}|\\PC{0,9}", quotes in 0..3) {
            let style = [ScalarStyle::Plain, ScalarStyle::SingleQuoted, ScalarStyle::DoubleQuoted][quotes as usize];
            for (flow, before, after) in [(false, "a: ", "\n"), (true, "{a: ", "}"), (false, "- ", "")] {
                let written = format!("{before}{}{after}", write_scalar(&text, style, flow));
                let document = Document::parse(&written).unwrap();
                let root = document.root();
                let node = root.items().first().unwrap_or_else(|| &root.entries()[0].value);
                prop_assert_eq!(node.as_str(), Some(text.as_str()), "{}", written);
            }
        }
    }
}
