//! in-toto statements: what is said about which content. See <https://in-toto.io/Statement/v1>.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::image::{Digest, ImageName};

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// Older statements, which say the same in the same way.
const OLDER_STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v0.1";

/// What a statement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PredicateType {
    /// That the signer stands for the image.
    Signature,
    /// How the image was made.
    Provenance,
    /// What is in the image.
    Sbom,
}

/// A statement about an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What it says.
    pub predicate_type: PredicateType,
    /// The image's registry and repository; left out where only the content matters.
    pub name: Option<ImageName>,
    /// The image's digest.
    pub digest: Digest,
    /// What it says, in detail.
    pub predicate: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    #[serde(rename = "_type")]
    statement_type: String,
    predicate_type: String,
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    digest: std::collections::BTreeMap<String, String>,
}

impl PredicateType {
    /// Returns the URI that a statement names it by.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Signature => "https://sigstore.dev/cosign/sign/v1",
            Self::Provenance => "https://slsa.dev/provenance/v1",
            Self::Sbom => "https://cyclonedx.org/bom",
        }
    }
}

impl Statement {
    /// Returns the statement that the signer stands for an image, as `cosign sign` makes it.
    pub fn signature(digest: Digest) -> Self {
        let predicate = json!({});
        Self { predicate_type: PredicateType::Signature, name: None, digest, predicate }
    }

    /// Returns the document; the same for the same statement.
    pub fn to_json(&self) -> Vec<u8> {
        let mut subject = json!({});
        if let Some(name) = &self.name {
            subject["name"] = name.to_string().into();
        }
        subject["digest"] = json!({ "sha256": self.digest.hex() });
        let document = json!({
            "_type": STATEMENT_TYPE,
            "subject": [subject],
            "predicateType": self.predicate_type.uri(),
            "predicate": self.predicate,
        });
        document.to_string().into_bytes()
    }
}

/// Returns whether `document` is a statement of `predicate_type` about `digest`.
///
/// # Errors
///
/// Fails with the reason why it is none.
pub(super) fn check(
    document: &[u8],
    predicate_type: PredicateType,
    digest: &Digest,
) -> Result<(), &'static str> {
    let read: Read = serde_json::from_slice(document).map_err(|_| "it is no in-toto statement")?;
    if ![STATEMENT_TYPE, OLDER_STATEMENT_TYPE].contains(&read.statement_type.as_str()) {
        return Err("it is no in-toto statement that is known");
    }
    if read.predicate_type != predicate_type.uri() {
        return Err("it is a statement of another kind");
    }
    let about =
        |subject: &Subject| subject.digest.get("sha256").is_some_and(|it| it == digest.hex());
    if read.subject.iter().any(about) { Ok(()) } else { Err("it is about another image") }
}
