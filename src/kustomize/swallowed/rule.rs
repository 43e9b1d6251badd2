//! The rules that swallow an entry, in words.

use std::fmt;

use camino::Utf8PathBuf;

use crate::kustomize::transform::name_of;

/// How many names of a rendering are told.
const MOST_NAMES: usize = 6;

/// Why an entry changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// An entry further down sets the same image again.
    SetAgain {
        /// The entry's line.
        line: usize,
        /// The entry's `name`.
        name: String,
        /// What it makes of the image.
        image: String,
    },
    /// An entry before it, of its own file or one that this is built on, has renamed the image.
    Renamed {
        /// The file.
        file: Utf8PathBuf,
        /// The entry's line.
        line: usize,
        /// The name that the image has then.
        to: String,
    },
    /// Something that kustomize does after `images` sets the image.
    SetAfterwards {
        /// The field of the kustomization.
        field: &'static str,
        /// Its line.
        line: usize,
    },
    /// The containers spell the image's name in another way, and kustomize compares letters.
    Spelled {
        /// As they spell it.
        image: String,
    },
    /// The name has a tag or a digest in it, and the containers have another.
    OtherVersion {
        /// The container's image.
        image: String,
    },
    /// The name is that of a container, but what is behind it does not fit kustomize's pattern.
    Version {
        /// The container's image.
        image: String,
    },
    /// The name is a regular expression, and fits no image.
    Pattern {
        /// The names that the images have.
        known: Vec<String>,
    },
    /// No container has the image.
    Unknown {
        /// The name that may have been meant.
        nearest: Option<String>,
        /// The names that the images have.
        known: Vec<String>,
    },
    /// The image is only in a field that kustomize's `images` passes over.
    NotReached {
        /// The kind of the object.
        kind: String,
        /// The field, as `configurations` would name it.
        field: String,
    },
    /// There is no container at all.
    NoContainers,
    /// There is no object at all.
    NoObjects,
    /// It can't be told.
    Unclear,
}

impl Rule {
    /// Returns what to write instead of the entry on line `entry`, where that can be told.
    pub(super) fn instead(&self, entry: usize) -> Option<String> {
        let rename = |to: &str| {
            format!(
                "write the entry for `{to}`; in deployctl.yaml that is `imageInManifests: {to}` of the service"
            )
        };
        match self {
            Self::SetAgain { line, .. } => {
                Some(format!("remove one of the two entries, on line {entry} or {line}"))
            }
            Self::Renamed { to, .. } => Some(rename(to)),
            Self::Spelled { image } | Self::OtherVersion { image } => Some(rename(name_of(image))),
            Self::Unknown { nearest: Some(nearest), .. } => Some(rename(nearest)),
            Self::SetAfterwards { field, line } => {
                Some(format!("change the image in `{field}` on line {line}, or take it out there"))
            }
            Self::Version { .. } => Some(
                "take tag and digest off the container's image; `images` states them".to_owned(),
            ),
            Self::NotReached { kind, field } => Some(format!(
                "name the field to kustomize, in a file of `configurations`: `images: [{{kind: {kind}, path: {field}}}]`; or have the field itself written, with `write: helm-values`"
            )),
            Self::NoObjects => {
                Some("add the service's manifests to the overlay's `resources`".to_owned())
            }
            Self::Pattern { .. } => Some("write an image's name, not a pattern".to_owned()),
            Self::Unknown { nearest: None, .. } | Self::NoContainers => {
                Some("let a container of the overlay use the image, or say in deployctl.yaml what the manifests call it (`imageInManifests`)".to_owned())
            }
            Self::Unclear => None,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetAgain { line, name, image } => write!(
                f,
                "the entry `{name}` on line {line} comes after it and makes `{image}` of it"
            ),
            Self::Renamed { file, line, to } => {
                write!(f, "`{file}` line {line} renames the image to `{to}` before it")
            }
            Self::SetAfterwards { field, line } => {
                write!(f, "`{field}` on line {line} comes after `images` and sets the image again")
            }
            Self::Spelled { image } => write!(
                f,
                "the containers spell it `{image}`, and kustomize compares letter by letter"
            ),
            Self::OtherVersion { image } => {
                write!(f, "the name has a tag or a digest in it, and the container has `{image}`")
            }
            Self::Version { image } => {
                write!(f, "kustomize does not recognise the tag or digest of `{image}`")
            }
            Self::Pattern { known } => write!(
                f,
                "kustomize reads it as a regular expression, which fits none of the images{}",
                list(known)
            ),
            Self::Unknown { known, .. } => {
                write!(f, "no container has this image; the overlay has{}", list(known))
            }
            Self::NotReached { kind, field } => {
                write!(f, "only `{field}` of a {kind} has the image, which `images` does not reach")
            }
            Self::NoContainers => f.write_str("the overlay has no containers"),
            Self::NoObjects => f.write_str("the overlay renders to no objects"),
            Self::Unclear => {
                f.write_str("something that kustomize does after `images` sets the image again")
            }
        }
    }
}

fn list(known: &[String]) -> String {
    let mut text: Vec<String> =
        known.iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
    if known.len() > MOST_NAMES {
        text.push(format!("{} more", known.len() - MOST_NAMES));
    }
    format!(" {}", text.join(", "))
}
