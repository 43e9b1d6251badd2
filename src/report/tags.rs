//! Tags, labels and annotations, and the outputs that docker/metadata-action has for them.

use std::io;

use serde_json::{Map, Value, json};

use super::{Report, json};
use crate::tags::Metadata;

/// What an image is called and labelled, to be shown.
pub struct TagsReport {
    /// What came of the event.
    pub metadata: Metadata,
    /// The levels that annotations are for, such as `manifest` and `index`.
    pub levels: Vec<String>,
}

impl TagsReport {
    /// Returns the annotations, each for every level.
    fn annotations(&self) -> Vec<String> {
        let stated = pairs(&self.metadata.annotations);
        let of = |level: &String| stated.iter().map(|text| format!("{level}:{text}")).collect();
        self.levels.iter().flat_map(|level| -> Vec<String> { of(level) }).collect()
    }

    /// Returns the document that the action puts into its output `json`.
    fn action_json(&self) -> Value {
        let labels = self.metadata.labels.iter();
        let labels: Map<String, Value> =
            labels.map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        json!({
            "tags": self.metadata.tags,
            "tag-names": self.metadata.tag_names,
            "labels": labels,
            "annotations": self.annotations(),
        })
    }
}

/// Returns `key=value` for each.
pub(in crate::report) fn pairs(values: &[(String, String)]) -> Vec<String> {
    values.iter().map(|(key, value)| format!("{key}={value}")).collect()
}

impl Report for TagsReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        self.metadata.tags.iter().try_for_each(|tag| writeln!(out, "{tag}"))
    }

    fn json(&self) -> Value {
        json::v1::tags(&self.metadata)
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("version", self.metadata.version.main.clone().unwrap_or_default()),
            ("tags", self.metadata.tags.join("\n")),
            ("tag-names", self.metadata.tag_names.join("\n")),
            ("labels", pairs(&self.metadata.labels).join("\n")),
            ("annotations", self.annotations().join("\n")),
            ("json", self.action_json().to_string()),
        ]
    }
}
