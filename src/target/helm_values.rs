//! Texts in the values file of a Helm chart, by dotted paths.

use camino::{Utf8Path, Utf8PathBuf};

use super::{StatedImage, StatedImageError, Target, TargetEdit, TargetError};
use crate::image::{ImageName, PinnedImage};
use crate::kustomize::{FileTree, is_name, split_image};
use crate::yaml::{self, Change, Document, Node, Path, Step};

/// Where the parts of an image are in a values file.
///
/// With `image` alone that is the whole reference, else its name. Where a tag but no digest has a
/// place, the tag gets both, `1.4@sha256:…`, which a template that writes `name:tag` renders well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HelmKeys {
    /// The whole reference, or its name.
    pub image: Option<Path>,
    /// The registry, where `image` is only the repository in it.
    pub registry: Option<Path>,
    /// The tag.
    pub tag: Option<Path>,
    /// The digest, as `sha256:…`.
    pub digest: Option<Path>,
}

impl HelmKeys {
    /// Returns the keys with every part of a path replaced by what `change` makes of it.
    pub fn map_keys(&self, change: impl Fn(&str) -> String) -> Self {
        let map = |path: &Option<Path>| path.as_ref().map(|path| path.map_keys(&change));
        Self {
            image: map(&self.image),
            registry: map(&self.registry),
            tag: map(&self.tag),
            digest: map(&self.digest),
        }
    }

    /// Whether `image` is the whole reference.
    pub fn is_whole(&self) -> bool {
        self.image.is_some() && self.tag.is_none() && self.digest.is_none()
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        [&self.image, &self.registry, &self.tag, &self.digest].into_iter().flatten()
    }
}

pub(super) fn read(
    target: &Target,
    (file, keys): (&Utf8Path, &HelmKeys),
    tree: &dyn FileTree,
) -> Result<StatedImage, StatedImageError> {
    let file = file.to_owned();
    let Some(bytes) = tree.read(&file)? else { return Err(StatedImageError::NoFile { file }) };
    let document = match yaml::read_bytes(&bytes) {
        Ok(document) => document,
        Err(source) => return Err(StatedImageError::Broken { file, source }),
    };
    let stated = Stated::new(&document, keys);
    if stated.is_empty() {
        let paths: Vec<_> = keys.paths().map(|path| format!("`{path}`")).collect();
        return Err(StatedImageError::NoValue { file, paths: paths.join(", ") });
    }
    Ok(stated.image(keys, &target.registry, file))
}

pub(super) fn edit(
    target: &Target,
    (file, keys): (&Utf8Path, &HelmKeys),
    tree: &dyn FileTree,
    image: &PinnedImage,
) -> Result<TargetEdit, TargetError> {
    let file = file.to_owned();
    let Some(bytes) = tree.read(&file)? else { return Err(TargetError::NoFile { file }) };
    let failed = |source| TargetError::Yaml { file: file.clone(), source };
    let document = yaml::read_bytes(&bytes).map_err(failed)?;
    let changes = changes(target, keys, &Stated::new(&document, keys), image)
        .map_err(|reason| TargetError::Keys { file: file.clone(), reason })?;
    let after = yaml::edit(&bytes, &changes).map_err(failed)?;
    Ok(TargetEdit { file, before: Some(bytes), after })
}

/// The texts at the paths; empty ones and `null` count as not there.
struct Stated<'a> {
    image: Option<&'a str>,
    registry: Option<&'a str>,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Stated<'a> {
    fn new(document: &'a Document, keys: &HelmKeys) -> Self {
        let get = |path: &Option<Path>| {
            let node = document.get(path.as_ref()?).filter(|node| !node.is_null());
            node.and_then(Node::as_str).filter(|text| !text.is_empty())
        };
        Self {
            image: get(&keys.image),
            registry: get(&keys.registry),
            tag: get(&keys.tag),
            digest: get(&keys.digest),
        }
    }

    fn is_empty(&self) -> bool {
        [self.image, self.registry, self.tag, self.digest].iter().all(Option::is_none)
    }

    /// Returns the image's name, where the file states it.
    fn name(&self, keys: &HelmKeys) -> Option<String> {
        match (self.registry, self.image?) {
            (_, image) if keys.is_whole() => Some(split_image(image).0.to_owned()),
            (Some(registry), image) => Some(format!("{registry}/{image}")),
            (None, image) => Some(image.to_owned()),
        }
    }

    fn image(&self, keys: &HelmKeys, registry: &ImageName, file: Utf8PathBuf) -> StatedImage {
        let name = self.name(keys).unwrap_or_else(|| registry.to_string());
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (tag, digest) = match (self.image, self.tag.and_then(|tag| tag.split_once('@'))) {
            (Some(image), _) if keys.is_whole() => {
                let (_, tag, digest) = split_image(image);
                (tag, digest)
            }
            (_, Some((tag, digest))) => (Some(tag), self.digest.or(Some(digest))),
            _ => (self.tag, self.digest),
        };
        StatedImage { file, name, tag: owned(tag), digest: owned(digest) }
    }
}

/// Returns the changes that state `image`, or why the keys can't say it.
fn changes(
    target: &Target,
    keys: &HelmKeys,
    stated: &Stated<'_>,
    image: &PinnedImage,
) -> Result<Vec<Change>, String> {
    let set = |path: &Option<Path>, text: String, after: &Option<Path>| {
        let after = after.as_ref().and_then(last_key);
        path.clone().map(|path| Change::Set { path, text, after })
    };
    let digest = image.digest.to_string();
    let name = stated.name(keys).filter(|name| is_name(name, &image.name));
    if keys.is_whole() {
        let mut text = name.unwrap_or_else(|| image.name.to_string());
        text.extend(image.tag.iter().map(|tag| format!(":{tag}")));
        return Ok(set(&keys.image, format!("{text}@{digest}"), &None).into_iter().collect());
    }
    if keys.image.is_none() && image.name != target.registry {
        return Err(format!("no path for the image's name, to write `{}`", image.name));
    }
    let (registry, repository) = match (name.is_some(), &keys.registry) {
        (true, _) => (None, None),
        (false, None) => (None, set(&keys.image, image.name.to_string(), &None)),
        (false, key) => (
            set(key, image.name.domain().to_owned(), &None),
            set(&keys.image, image.name.path().to_owned(), key),
        ),
    };
    let tag = match (&image.tag, &keys.digest) {
        (Some(tag), Some(_)) => set(&keys.tag, tag.to_string(), &keys.image),
        (Some(tag), None) => set(&keys.tag, format!("{tag}@{digest}"), &keys.image),
        // An old tag beside the new digest would mislead; Helm charts take an empty one for none.
        (None, Some(_)) if stated.tag.is_some() => set(&keys.tag, String::new(), &None),
        (None, Some(_)) => None,
        (None, None) => {
            return Err("no path for the digest, which is to be written without a tag".to_owned());
        }
    };
    let beside = if keys.tag.is_some() { &keys.tag } else { &keys.image };
    let digest = set(&keys.digest, digest, beside);
    Ok([registry, repository, tag, digest].into_iter().flatten().collect())
}

fn last_key(path: &Path) -> Option<String> {
    match path.steps().last()? {
        Step::Key(key) => Some(key.clone()),
        Step::Index(_) => None,
    }
}
