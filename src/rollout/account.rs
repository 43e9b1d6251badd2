//! What registries answer names people's accounts, which are nobody else's business.

/// Returns `text` without the account, and what stands for it, that Docker Hub names to somebody whose
/// pulls it limits: `… your pull rate limit as 'name': token. You may …`.
pub fn without_account(text: &str) -> String {
    let Some((before, rest)) = text.split_once("rate limit as '") else { return text.to_owned() };
    let after = rest.split_once('\'').map_or("", |(_, after)| after);
    let after = match after.strip_prefix(": ") {
        Some(token) => {
            token.find(|c: char| c == '.' || c.is_whitespace()).map_or("", |end| &token[end..])
        }
        None => after,
    };
    format!("{before}rate limit{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_and_what_stands_for_it_are_left_out() {
        for (text, expected) in [
            ("your pull rate limit as 'ada': dckr_jti_1. You may", "your pull rate limit. You may"),
            ("your pull rate limit as 'ada'. You may", "your pull rate limit. You may"),
            ("your pull rate limit as 'ada': dckr_jti_1", "your pull rate limit"),
            ("your pull rate limit as 'ada", "your pull rate limit"),
            ("your pull rate limit. You may", "your pull rate limit. You may"),
        ] {
            assert_eq!(without_account(text), expected);
        }
    }
}
