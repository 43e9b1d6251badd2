//! Texts that nobody would write: pieces of YAML in any order, and files with something added,
//! repeated or gone. `DEPLOYCTL_EDIT_CASES` says how many; `tests/fuzz` looks for more.

use proptest::prelude::*;
use proptest::sample::Index;

use super::{generated, laws};
use crate::support::data::collection;

/// A change that somebody's hand, or a merge, makes by accident.
#[derive(Debug, Clone)]
enum Slip {
    Add(Index, Vec<u8>),
    Repeat(Index, Index, Index),
    Lose(Index, usize),
    Replace(Index, u8),
}

impl Slip {
    fn make(&self, text: &mut Vec<u8>) {
        let length = text.len() + 1;
        match self {
            Self::Add(at, piece) => {
                let at = at.index(length);
                text.splice(at..at, piece.iter().copied());
            }
            Self::Repeat(from, to, at) => {
                let (from, to) = (from.index(length), to.index(length));
                let piece = text[from.min(to)..from.max(to)].to_owned();
                let at = at.index(length);
                text.splice(at..at, piece);
            }
            Self::Lose(at, count) => {
                let at = at.index(length);
                text.drain(at..text.len().min(at + count));
            }
            Self::Replace(at, byte) => {
                let at = at.index(length);
                if let Some(old) = text.get_mut(at) {
                    *old = *byte;
                }
            }
        }
    }
}

/// Returns the pieces of YAML that the fuzzer puts its texts together from.
fn pieces() -> Vec<Vec<u8>> {
    let lines = include_str!("../../fuzz/yaml.dict").lines();
    let quoted = lines.filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    let plain = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\\') {
            bytes.extend_from_slice(before.as_bytes());
            let hex = after.strip_prefix('x').map(|after| after.split_at(2));
            let (byte, left) = match hex {
                Some((digits, left)) => (u8::from_str_radix(digits, 16).unwrap(), left),
                None => (after.as_bytes()[0], &after[1..]),
            };
            bytes.push(byte);
            rest = left;
        }
        bytes.extend_from_slice(rest.as_bytes());
        bytes
    };
    quoted.map(plain).collect()
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        9 => proptest::sample::select(pieces()),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
    ]
}

fn slip() -> impl Strategy<Value = Slip> {
    prop_oneof![
        4 => (any::<Index>(), piece()).prop_map(|(at, piece)| Slip::Add(at, piece)),
        1 => any::<(Index, Index, Index)>().prop_map(|(from, to, at)| Slip::Repeat(from, to, at)),
        2 => (any::<Index>(), 1..20_usize).prop_map(|(at, count)| Slip::Lose(at, count)),
        1 => any::<(Index, u8)>().prop_map(|(at, byte)| Slip::Replace(at, byte)),
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let files = collection("effect").into_iter().map(|path| std::fs::read(path).unwrap());
    let written = prop_oneof![
        3 => generated::document().prop_map(|(text, _)| text.into_bytes()),
        1 => proptest::sample::select(files.collect::<Vec<_>>()),
    ];
    let slipped =
        (written, proptest::collection::vec(slip(), 0..5)).prop_map(|(mut text, slips)| {
            slips.iter().for_each(|slip| slip.make(&mut text));
            text
        });
    prop_oneof![
        1 => slipped,
        1 => proptest::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat()),
    ]
}

proptest! {
    #![proptest_config(generated::config(400))]

    #[test]
    fn an_edit_of_a_made_up_text_is_right_or_refused(text in text(), choice in any::<u8>()) {
        laws::hold(&[&text[..], &[choice]].concat());
    }
}
