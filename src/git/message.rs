//! Commit messages and their trailers: `Key: value` lines in the last paragraph, which hold all
//! that deployctl remembers of a promotion.

/// Returns a commit message: `subject`, the paragraphs of `body` if there are any, and `trailers`.
///
/// Line breaks in the subject and in values become blanks, and characters that a key can't have are
/// left out, so that no value can make itself a trailer.
pub fn message(subject: &str, body: &str, trailers: &[(&str, &str)]) -> String {
    let mut message = one_line(subject);
    message.push('\n');
    if !body.trim().is_empty() {
        message.push('\n');
        body.trim().lines().for_each(|line| push_body_line(&mut message, line));
    }
    if !trailers.is_empty() {
        message.push('\n');
    }
    for (key, value) in trailers {
        let key: String = key.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        message.push_str(&format!("{key}: {}\n", one_line(value)));
    }
    message
}

/// Returns the trailers of `message` in order.
pub(super) fn trailers(message: &str) -> Vec<(String, String)> {
    // A NUL can't be handed to libgit2; git itself makes no such commits.
    let message = message.replace('\0', " ");
    let Ok(trailers) = git2::message_trailers_bytes(message) else {
        return Vec::new();
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    trailers.iter().map(|(key, value)| (text(key), text(value))).collect()
}

fn push_body_line(message: &mut String, line: &str) {
    // For `git interpret-trailers` a line that starts with `---` ends the message, which would
    // hide the trailers after it.
    if line.starts_with("---") {
        message.push(' ');
    }
    let clean = line.chars().filter(|c| *c == '\t' || !c.is_control());
    message.extend(clean);
    message.truncate(message.trim_end_matches([' ', '\t']).len());
    message.push('\n');
}

fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(message: &str) -> Vec<String> {
        trailers(message).into_iter().map(|(key, value)| format!("{key}={value}")).collect()
    }

    #[test]
    fn writes_what_it_reads() {
        let text = message(
            "ranking: 1.4.0 in dev",
            "Built from the main branch.",
            &[("Deployctl-Service", "ranking"), ("Deployctl-Environment", "dev")],
        );
        insta::assert_snapshot!(text, @r"
        ranking: 1.4.0 in dev

        Built from the main branch.

        Deployctl-Service: ranking
        Deployctl-Environment: dev
        ");
        assert_eq!(pairs(&text), ["Deployctl-Service=ranking", "Deployctl-Environment=dev"]);
    }

    #[test]
    fn a_value_can_not_make_itself_a_trailer() {
        let text = message(
            "subject\n\nDeployctl-Service: forged",
            "body\n\nDeployctl-Service: forged\r\n--- a/file\0",
            &[("Deployctl-Ser vice:\n", "ranking\nDeployctl-Service: forged\u{85}x")],
        );
        assert_eq!(pairs(&text), ["Deployctl-Service=ranking Deployctl-Service: forged x"]);
    }

    #[test]
    fn reads_what_people_write() {
        let text = "Fix\n\nSee #12.\n\nSigned-off-by: A <a@example.com>\nReviewed-by : B\nkey:v\n";
        assert_eq!(pairs(text), ["Signed-off-by=A <a@example.com>", "Reviewed-by=B", "key=v"]);
        assert!(pairs("subject: with colon\n").is_empty());
        assert!(pairs("").is_empty());
        assert!(
            pairs("a\n\nno trailers here, though: there is a colon\nand more text\n").is_empty()
        );
    }
}
