//! Commit messages and their trailers: `Key: value` lines in the last paragraph, which hold all
//! that deployctl remembers of a promotion.

/// Returns a commit message: `subject`, the paragraphs of `body` if there are any, and `trailers`.
///
/// Line breaks in the subject and in values become blanks, and characters that a key can't have are
/// left out, so that no value can make itself a trailer. A trailer without a value is left out, too.
pub fn message(subject: &str, body: &str, trailers: &[(&str, &str)]) -> String {
    let mut message = one_line(subject);
    message.push('\n');
    if !body.trim().is_empty() {
        message.push('\n');
        body.trim().lines().for_each(|line| push_body_line(&mut message, line));
    }
    let stated = trailers.iter().map(|(key, value)| (key, one_line(value)));
    let stated: Vec<_> = stated.filter(|(_, value)| !value.is_empty()).collect();
    if !stated.is_empty() {
        message.push('\n');
    }
    for (key, value) in stated {
        let key: String = key.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        message.push_str(&format!("{key}: {value}\n"));
    }
    message
}

/// Returns the trailers of `message` in order.
pub fn trailers(message: &str) -> Vec<(String, String)> {
    // A NUL can't be handed to libgit2; git itself makes no such commits.
    let message = message.replace('\0', " ");
    let Ok(trailers) = git2::message_trailers_bytes(message) else {
        return Vec::new();
    };
    // A long value may go on in the next line, indented.
    let text = |bytes: &[u8]| one_line(&String::from_utf8_lossy(bytes));
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
    fn a_trailer_without_a_value_is_left_out() {
        let text =
            message("subject", "", &[("Deployctl-From", "\n"), ("Deployctl-Service", "web")]);
        assert_eq!(text, "subject\n\nDeployctl-Service: web\n");
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

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config {
            failure_persistence: None,
            ..Default::default()
        })]
        #[test]
        fn whatever_is_written_is_read_back(
            subject in ".{0,40}",
            body in "(?s).{0,120}",
            values in proptest::collection::vec("(?s)[a-z].{0,40}", 1..4),
        ) {
            let written: Vec<(&str, &str)> = values.iter().map(|v| ("Key", v.as_str())).collect();
            let read = trailers(&message(&subject, &body, &written));
            let read: Vec<&str> = read.iter().map(|(_, value)| value.as_str()).collect();
            let meant: Vec<String> = values.iter().map(|value| one_line(value)).collect();
            proptest::prop_assert_eq!(read, meant);
        }
    }
}
