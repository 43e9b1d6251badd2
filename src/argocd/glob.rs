//! Argo CD's globs, as its projects and settings write them.
//!
//! `*` and `?` stop at the separator where there is one, `**` does not; `[a-z]`, `[!a-z]`, `{a,b}`
//! and `\` mean what they mean in a shell.

/// More alternatives than this, multiplied out, are not tried.
const MOST_ALTERNATIVES: usize = 256;

/// A pattern or a text that is longer matches nothing.
const MOST_CHARACTERS: usize = 4096;

/// Returns whether `text` matches `pattern`. A pattern that is malformed matches nothing.
pub fn glob(pattern: &str, text: &str, separator: Option<char>) -> bool {
    if pattern.len() > MOST_CHARACTERS || text.len() > MOST_CHARACTERS {
        return false;
    }
    let text: Vec<char> = text.chars().collect();
    let Some(alternatives) = alternatives(pattern) else { return false };
    let tokens = alternatives.iter().filter_map(|pattern| tokens(pattern));
    tokens.into_iter().any(|tokens| matches(&tokens, &text, separator))
}

#[derive(Debug)]
enum Token {
    One(char),
    Any,
    Of { listed: Vec<(char, char)>, is_negated: bool },
    Run { crosses: bool },
}

/// Returns the patterns that `{a,b}` stands for, or `None` if a brace is left open or there are too
/// many.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let Some((before, choices, after)) = first_braces(pattern)? else {
        return Some(vec![pattern.to_owned()]);
    };
    let mut all = Vec::new();
    for choice in choices {
        all.extend(alternatives(&format!("{before}{choice}{after}"))?);
        if all.len() > MOST_ALTERNATIVES {
            return None;
        }
    }
    Some(all)
}

type Braces<'a> = (&'a str, Vec<&'a str>, &'a str);

fn first_braces(pattern: &str) -> Option<Option<Braces<'_>>> {
    let (mut depth, mut open, mut start) = (0_usize, 0, 0);
    let mut choices = Vec::new();
    let mut is_escaped = false;
    for (at, character) in pattern.char_indices() {
        if std::mem::take(&mut is_escaped) {
            continue;
        }
        match character {
            '\\' => is_escaped = true,
            '{' => {
                depth += 1;
                if depth == 1 {
                    (open, start) = (at, at + 1);
                }
            }
            ',' if depth == 1 => {
                choices.push(&pattern[start..at]);
                start = at + 1;
            }
            '}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    choices.push(&pattern[start..at]);
                    return Some(Some((&pattern[..open], choices, &pattern[at + 1..])));
                }
            }
            _ => {}
        }
    }
    (depth == 0).then_some(None)
}

fn tokens(pattern: &str) -> Option<Vec<Token>> {
    let mut characters = pattern.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(character) = characters.next() {
        tokens.push(match character {
            '\\' => Token::One(characters.next()?),
            '?' => Token::Any,
            '*' => Token::Run { crosses: characters.next_if_eq(&'*').is_some() },
            '[' => {
                let is_negated = characters.next_if_eq(&'!').is_some();
                Token::Of { listed: listed(&mut characters)?, is_negated }
            }
            other => Token::One(other),
        });
    }
    Some(tokens)
}

fn listed(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Vec<(char, char)>> {
    let mut listed = Vec::new();
    loop {
        let first = match characters.next()? {
            ']' => return Some(listed),
            '\\' => characters.next()?,
            other => other,
        };
        let last = match characters.next_if_eq(&'-') {
            Some(_) => characters.next()?,
            None => first,
        };
        listed.push((first, last));
    }
}

/// Goes through the text once, with all places of the pattern that may be next.
fn matches(tokens: &[Token], text: &[char], separator: Option<char>) -> bool {
    let mut places = vec![false; tokens.len() + 1];
    places[0] = true;
    pass_runs(tokens, &mut places);
    for &character in text {
        let mut next = vec![false; tokens.len() + 1];
        for (at, token) in tokens.iter().enumerate().filter(|(at, _)| places[*at]) {
            let is_separator = separator == Some(character);
            match token {
                Token::One(one) => next[at + 1] |= *one == character,
                Token::Any => next[at + 1] |= !is_separator,
                Token::Of { listed, is_negated } => {
                    let is_listed = listed.iter().any(|(a, b)| (*a..=*b).contains(&character));
                    next[at + 1] |= is_listed != *is_negated;
                }
                Token::Run { crosses } => next[at] |= *crosses || !is_separator,
            }
        }
        pass_runs(tokens, &mut next);
        places = next;
    }
    places[tokens.len()]
}

/// A run may be of no characters.
fn pass_runs(tokens: &[Token], places: &mut [bool]) {
    for (at, token) in tokens.iter().enumerate() {
        if places[at] && matches!(token, Token::Run { .. }) {
            places[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_say() {
        for (pattern, text, separator, expected) in [
            ("", "", None, true),
            ("*", "", None, true),
            ("*", "a/b", None, true),
            ("*", "a/b", Some('/'), false),
            ("**", "a/b", Some('/'), true),
            ("a/*", "a/b", Some('/'), true),
            ("a/**", "a/b/c", Some('/'), true),
            ("shop-*-dev", "shop-ranking-dev", None, true),
            ("shop-*", "shop", None, false),
            ("*.crossplane.io/*", "rds.aws.crossplane.io/Instance", None, true),
            ("?a", "ba", None, true),
            ("?a", "/a", Some('/'), false),
            ("[ab]c", "bc", None, true),
            ("[!ab]c", "bc", None, false),
            ("[a-c]", "b", None, true),
            ("{dev,test}-*", "test-1", None, true),
            ("{dev,te{s,x}t}", "text", None, true),
            ("{dev,test}", "prod", None, false),
            ("\\*", "*", None, true),
            ("\\*", "a", None, false),
            ("{a", "{a", None, false),
            ("[a", "a", None, false),
            ("a\\", "a", None, false),
            ("é*", "éa", None, true),
        ] {
            assert_eq!(glob(pattern, text, separator), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_that_blows_up_is_answered_soon() {
        let text = "a".repeat(2000);
        assert!(!glob(&"*a".repeat(500), &format!("{text}b"), None));
        assert!(!glob(&"{a,b}".repeat(30), &"a".repeat(30), None));
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config {
            failure_persistence: None,
            ..Default::default()
        })]
        #[test]
        fn any_pattern_is_answered(pattern in "[-*?a-c{},!\\[\\]\\\\]{0,24}", text in "[a-c/]{0,16}") {
            let _ = glob(&pattern, &text, Some('/'));
        }
    }
}
