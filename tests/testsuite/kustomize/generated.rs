//! Kustomizations made up from the ways in which people write them; `DEPLOYCTL_EDIT_CASES` says how
//! many.

use proptest::prelude::*;

use super::edits::{CHANGES, check};

/// How a made-up entry is written.
#[derive(Debug, Clone)]
struct Entry {
    style: u8,
    fields: u8,
    quote: u8,
    noise: u8,
}

fn entry() -> impl Strategy<Value = Entry> {
    (0..4u8, any::<u8>(), 0..3u8, any::<u8>()).prop_map(|(style, fields, quote, noise)| Entry {
        style,
        fields,
        quote,
        noise,
    })
}

impl Entry {
    fn pairs(&self, number: usize) -> Vec<String> {
        let quote = ["", "'", "\""][usize::from(self.quote)];
        let mut pairs = vec![format!("name: {quote}reg.example.com/n{number}{quote}")];
        if self.fields & 1 != 0 {
            pairs.push(format!("newTag: {quote}v{number}{quote}"));
        }
        if self.fields & 2 != 0 {
            pairs.push("digest: sha256:00".to_owned());
        }
        if self.fields & 4 != 0 {
            pairs.push(format!("newName: {quote}r.example.com/n{number}{quote}"));
        }
        if self.fields & 8 != 0 {
            pairs.reverse();
        }
        if self.fields & 16 != 0 {
            pairs.push("tagSuffix: -x".to_owned());
        }
        pairs
    }

    fn lines(&self, number: usize, indent: &str) -> Vec<String> {
        let pairs = self.pairs(number);
        let mut lines = Vec::new();
        if self.noise & 1 != 0 {
            lines.push(format!("{indent}# about {number}"));
        }
        let comment = if self.noise & 2 != 0 { " # why: {x}, [y]" } else { "" };
        match self.style {
            0 => lines.push(format!("{indent}- {{{}}}{comment}", pairs.join(", "))),
            1 => {
                let pairs = pairs.join(&format!(",\u{0}{indent}    "));
                lines.extend(
                    format!("{indent}- {{{pairs}}}{comment}").split('\u{0}').map(str::to_owned),
                );
            }
            _ => {
                let gap = if self.style == 2 { " " } else { "   " };
                for (index, pair) in pairs.iter().enumerate() {
                    let dash = if index == 0 { "-" } else { " " };
                    lines.push(format!("{indent}{dash}{gap}{pair}{comment}"));
                    if self.noise & 4 != 0 {
                        lines.push(format!("{indent}  # below"));
                    }
                }
            }
        }
        if self.noise & 8 != 0 {
            lines.push(String::new());
        }
        lines
    }
}

pub(super) fn document() -> impl Strategy<Value = (String, usize)> {
    let heads = prop_oneof![
        Just(vec![]),
        Just(vec!["---"]),
        Just(vec![
            "# yaml",
            "apiVersion: kustomize.config.k8s.io/v1beta1",
            "kind: Kustomization",
            ""
        ]),
        Just(vec![
            "resources:",
            "- a.yaml",
            "patches:",
            "- patch: |-",
            "    images:",
            "    - name: x",
            ""
        ]),
        Just(vec!["x: &x {newTag: q}", "y: *x"]),
    ];
    let tails = prop_oneof![
        Just(vec![]),
        Just(vec!["# end"]),
        Just(vec!["", "namespace: x # images:"]),
        Just(vec!["patch: |", "  images:", "  # no comment", ""]),
        Just(vec!["configMapGenerator:", "  - name: a", "    literals: [a=b]"]),
    ];
    let entries = proptest::collection::vec(entry(), 0..4);
    let layout = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), 0..3u8);
    (heads, entries, tails, layout).prop_map(|(head, entries, tail, layout)| {
        let (indented, crlf, bom, cut, empty) = layout;
        let mut lines: Vec<String> = head.iter().map(|line| (*line).to_owned()).collect();
        match (entries.is_empty(), empty) {
            (true, 0) => {}
            (true, 1) => lines.push("images: []".to_owned()),
            (true, _) => lines.push("images: # none yet".to_owned()),
            (false, _) => lines.push("images:".to_owned()),
        }
        let indent = if indented { "  " } else { "" };
        for (number, entry) in entries.iter().enumerate() {
            lines.extend(entry.lines(number, indent));
        }
        lines.extend(tail.iter().map(|line| (*line).to_owned()));
        let line_break = if crlf { "\r\n" } else { "\n" };
        let mut text = lines.iter().flat_map(|line| [line, line_break]).collect::<String>();
        if cut {
            text.truncate(text.trim_end_matches(['\n', '\r']).len());
        }
        (format!("{}{text}", if bom { "\u{feff}" } else { "" }), entries.len())
    })
}

/// Returns a configuration with `cases` cases, or as many as somebody asks for.
pub(super) fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("DEPLOYCTL_EDIT_CASES").ok().and_then(|count| count.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(cases),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(100))]

    #[test]
    fn an_edit_of_a_made_up_kustomization_is_right((text, entries) in document()) {
        for number in 0..=entries {
            for wanted in &CHANGES {
                let made = check(&text, &format!("reg.example.com/n{number}"), wanted);
                if let Err(reason) = made {
                    prop_assert!(is_right(&reason), "{reason}:\n{text}");
                }
            }
        }
    }
}

/// Whether the reason to refuse one of these texts is one that a person would give.
fn is_right(reason: &str) -> bool {
    ["a comment is in the way"].iter().any(|known| reason.ends_with(known))
}
