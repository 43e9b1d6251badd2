//! What an image is called and labelled.

use serde::Serialize;
use serde_json::Value;

use super::{document, schema_of};
use crate::report::tags::pairs;
use crate::tags::Metadata;

/// What `deployctl tags --output json` answers.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TagsDocument {
    /// What the rules gave.
    version: TagsVersion,
    /// The tags behind each image's name; alone where there is no image.
    tags: Vec<String>,
    /// `key=value`, in order.
    labels: Vec<String>,
    /// `key=value`, in order.
    annotations: Vec<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TagsVersion {
    /// The tag of the first rule that gave one; `null` if none did.
    main: Option<String>,
    /// The further tags.
    partial: Vec<String>,
    /// Whether there is a tag `latest` too.
    latest: bool,
}

/// Returns `deployctl.dev/tags/v1`.
pub fn tags(metadata: &Metadata) -> Value {
    let version = &metadata.version;
    document(
        "tags",
        &TagsDocument {
            version: TagsVersion {
                main: version.main.clone(),
                partial: version.partial.clone(),
                latest: version.latest,
            },
            tags: metadata.tags.clone(),
            labels: pairs(&metadata.labels),
            annotations: pairs(&metadata.annotations),
        },
    )
}

/// Returns the JSON schema of `deployctl.dev/tags/v1`.
pub fn tags_schema() -> Value {
    schema_of::<TagsDocument>("tags")
}
