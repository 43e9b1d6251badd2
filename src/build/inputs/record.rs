//! What is kept of an image's inputs, so that a later build can say which of them differ.
//!
//! No value of a build argument is in it, nor anything that one could be told from but its digest.
//! Files are listed one by one as long as they are few; else folders stand for what is in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::change::{Change, Difference};
use super::{InputKind, Inputs};
use crate::image::Digest;

/// What a record of inputs is, as the artifact type of a referrer says it.
pub const RECORD_TYPE: &str = "application/vnd.deployctl.inputs.v1+json";

/// How many files, folders and links are listed.
const MOST_FILES: usize = 400;

/// How many other inputs are listed; more are nobody's intention.
const MOST_OTHERS: usize = 400;

/// How many hexadecimal digits of a digest tell two contents apart.
const DIGITS: usize = 16;

/// A longer record is not read.
const LONGEST: usize = 1 << 20;

/// The inputs of an image, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The input digest.
    input_digest: String,
    /// How many parts of a path are listed; all, if none is said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    depth: Option<usize>,
    /// What is known of each, by kind and name.
    inputs: BTreeMap<String, BTreeMap<String, String>>,
}

impl Record {
    /// Returns the record of `inputs`, short enough to be kept.
    pub fn of(inputs: &Inputs) -> Self {
        let files = |record: &Self| record.files();
        let whole = Self::at_depth(inputs, None);
        if files(&whole) <= MOST_FILES {
            return whole;
        }
        let depths = (1..32).rev().map(|depth| Self::at_depth(inputs, Some(depth)));
        let mut shallow = depths.skip_while(|record| files(record) > MOST_FILES);
        shallow.next().unwrap_or_else(|| Self::at_depth(inputs, Some(0)))
    }

    /// Returns the record that the text is, or `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        serde_json::from_str(text).ok()
    }

    /// Returns the record as text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers can be written as JSON")
    }

    /// Returns what `inputs` have that differs from this record, sorted.
    pub fn changes_to(&self, inputs: &Inputs) -> Vec<Change> {
        let now = Self::at_depth(inputs, self.depth);
        let mut changes = Vec::new();
        let kinds = self.inputs.keys().chain(now.inputs.keys());
        let kinds: std::collections::BTreeSet<&String> = kinds.collect();
        let none = BTreeMap::new();
        for kind in kinds {
            let (before, after) =
                (self.inputs.get(kind).unwrap_or(&none), now.inputs.get(kind).unwrap_or(&none));
            let names: std::collections::BTreeSet<&String> =
                before.keys().chain(after.keys()).collect();
            for name in names {
                let difference = match (before.get(name), after.get(name)) {
                    (before, after) if before == after => continue,
                    (None, _) => Difference::New,
                    (_, None) => Difference::Gone,
                    (Some(from), Some(to)) => {
                        Difference::Changed { from: from.clone(), to: to.clone() }
                    }
                };
                changes.push(Change { kind: kind.clone(), name: name.clone(), difference });
            }
        }
        changes
    }

    fn at_depth(inputs: &Inputs, depth: Option<usize>) -> Self {
        let mut kept: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let mut folded: BTreeMap<String, String> = BTreeMap::new();
        let mut others = 0;
        for (kind, name, value) in inputs.facts() {
            if is_file(kind)
                && let Some(folder) = depth.and_then(|depth| above(name, depth))
            {
                let text = folded.entry(folder.to_owned()).or_default();
                *text = short(&format!("{text} {} {name} {value}", kind.as_str()));
                continue;
            }
            others += usize::from(!is_file(kind));
            if others <= MOST_OTHERS || is_file(kind) {
                let names = kept.entry(kind.as_str().to_owned()).or_default();
                names.insert(name.to_owned(), in_short(kind, value));
            }
        }
        if !folded.is_empty() {
            kept.insert("files below".to_owned(), folded);
        }
        Self { input_digest: inputs.digest().to_string(), depth, inputs: kept }
    }

    fn files(&self) -> usize {
        let kinds = ["file", "files below", "folder", "link", "special"];
        kinds.iter().filter_map(|kind| self.inputs.get(*kind)).map(BTreeMap::len).sum()
    }
}

fn is_file(kind: InputKind) -> bool {
    matches!(kind, InputKind::File | InputKind::Folder | InputKind::Link | InputKind::Special)
}

/// Returns the folder of `depth` parts that the path lies below; the context itself is `.`.
fn above(path: &str, depth: usize) -> Option<&str> {
    let mut ends = path.match_indices('/').map(|(at, _)| at);
    match depth {
        0 => Some("."),
        _ => ends.nth(depth - 1).map(|end| &path[..end]),
    }
}

/// Returns what is kept of a value: what the recipe says may be meant for few eyes.
fn in_short(kind: InputKind, value: &str) -> String {
    match kind {
        InputKind::Argument | InputKind::Recipe | InputKind::Dockerfile => short(value),
        InputKind::File => match value.split_once(" sha256:") {
            Some((mode, hex)) => format!("{mode} {}", &hex[..DIGITS.min(hex.len())]),
            None => short(value),
        },
        _ if value.len() > 128 => short(value),
        _ => value.to_owned(),
    }
}

fn short(text: &str) -> String {
    Digest::of(text.as_bytes()).hex()[..DIGITS].to_owned()
}
