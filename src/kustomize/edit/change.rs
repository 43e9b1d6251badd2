//! What is to change, and the list of entries that comes of it.

use super::EditError;
use super::refuse::refused;
use crate::image::PinnedImage;
use crate::kustomize::kustomization::{ImageEntry, Kustomization, is_name};

/// A change of one entry of `images`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageChange {
    /// States a pinned image: tag, digest, and `newName` where the name is another.
    Pin {
        /// The image as the resources mention it. An entry with this `name` is changed, else the
        /// one whose `newName` is the image's own name, else a new entry is written.
        name: String,
        /// The image.
        image: PinnedImage,
    },
    /// Changes single fields.
    Fields {
        /// The entry's `name`; a new entry is written if there is none.
        name: String,
        /// What happens to `newName`.
        new_name: Setting,
        /// What happens to `newTag`.
        new_tag: Setting,
        /// What happens to `digest`.
        digest: Setting,
    },
}

/// What happens to a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// It stays as it is.
    Keep,
    /// It is taken away.
    Clear,
    /// It gets this value.
    Set(String),
}

impl ImageChange {
    /// Returns the change that states `image` for what the resources call `name`.
    pub fn pin(name: impl Into<String>, image: PinnedImage) -> Self {
        Self::Pin { name: name.into(), image }
    }
}

impl ImageChange {
    pub(super) fn apply(
        &self,
        entries: &mut Vec<ImageEntry>,
        file: &Kustomization,
    ) -> Result<(), EditError> {
        match self {
            Self::Pin { name, image } => {
                let index = match position(entries, name) {
                    Some(index) => index,
                    None => {
                        by_new_name(entries, image, file)?.unwrap_or_else(|| add(entries, name))
                    }
                };
                let entry = &mut entries[index];
                if !is_name(entry.effective_name(), &image.name) {
                    entry.new_name = Some(image.name.to_string());
                }
                entry.new_tag = image.tag.as_ref().map(ToString::to_string);
                entry.digest = Some(image.digest.to_string());
            }
            Self::Fields { name, new_name, new_tag, digest } => {
                let index = position(entries, name).unwrap_or_else(|| add(entries, name));
                let entry = &mut entries[index];
                new_name.apply(&mut entry.new_name);
                new_tag.apply(&mut entry.new_tag);
                digest.apply(&mut entry.digest);
            }
        }
        Ok(())
    }
}

impl Setting {
    pub(super) fn apply(&self, value: &mut Option<String>) {
        match self {
            Self::Keep => {}
            Self::Clear => *value = None,
            Self::Set(text) => *value = Some(text.clone()),
        }
    }
}

fn position(entries: &[ImageEntry], name: &str) -> Option<usize> {
    entries.iter().position(|entry| entry.name == name)
}

fn add(entries: &mut Vec<ImageEntry>, name: &str) -> usize {
    entries.push(ImageEntry { name: name.to_owned(), ..ImageEntry::default() });
    entries.len() - 1
}

fn by_new_name(
    entries: &[ImageEntry],
    image: &PinnedImage,
    file: &Kustomization,
) -> Result<Option<usize>, EditError> {
    let is_renamed = |i: &usize| entries[*i].is_renamed_to(&image.name);
    let mut found = (0..entries.len()).filter(is_renamed);
    match (found.next(), found.next()) {
        (Some(first), Some(second)) => {
            let names = [first, second].map(|index| &entries[index].name);
            let reason =
                format!("`{}` and `{}` are both renamed to `{}`", names[0], names[1], image.name);
            Err(refused(file.document(), entries[second].span.start, &reason))
        }
        (first, _) => Ok(first),
    }
}
