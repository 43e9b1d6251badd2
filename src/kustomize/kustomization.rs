//! The kustomization file, read: images, resources, and where they stand.

use crate::image::ImageName;
use crate::yaml::{self, Document, Node, ParseError, Span, Value};

/// The largest file that is read, in bytes.
const LARGEST: usize = 4 << 20;

/// A kustomization file that was read.
#[derive(Debug, Clone)]
pub struct Kustomization {
    document: Document,
    images: Vec<ImageEntry>,
}

/// An entry of `images`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageEntry {
    /// `name`: the image that the resources mention; empty where it is left out.
    pub name: String,
    /// `newName`: what its name becomes.
    pub new_name: Option<String>,
    /// `newTag`: what its tag becomes.
    pub new_tag: Option<String>,
    /// `digest`: what its digest becomes.
    pub digest: Option<String>,
    /// `tagSuffix`: what is added to its tag.
    pub tag_suffix: Option<String>,
    /// Its bytes in the file.
    pub span: Span,
}

/// Why a file is not a kustomization.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KustomizationError {
    /// It is not UTF-8.
    #[error("line {line}: this is not UTF-8")]
    NotUtf8 {
        /// The line with the first wrong byte.
        line: usize,
    },
    /// It is too large to be one.
    #[error("{size} bytes are too many for a kustomization; expected at most {LARGEST}")]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// It is not YAML.
    #[error(transparent)]
    Yaml(#[from] ParseError),
    /// A part of it is not what a kustomization has there.
    #[error("line {line}: {reason}")]
    Shape {
        /// The line.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl KustomizationError {
    /// Returns the line of the file that the error is about, if it is about one.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::NotUtf8 { line } | Self::Shape { line, .. } => Some(*line),
            Self::Yaml(error) => Some(error.line),
            Self::TooLarge { .. } => None,
        }
    }
}

/// A field of an image entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Name,
    NewName,
    NewTag,
    Digest,
    TagSuffix,
}

impl Field {
    /// All fields, in the order in which people write them.
    pub(super) const ALL: [Self; 5] =
        [Self::Name, Self::NewName, Self::NewTag, Self::Digest, Self::TagSuffix];

    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::NewName => "newName",
            Self::NewTag => "newTag",
            Self::Digest => "digest",
            Self::TagSuffix => "tagSuffix",
        }
    }
}

impl Kustomization {
    /// Returns the kustomization that `bytes` hold. Like kustomize, it looks at the first document
    /// only and takes keys in any case.
    ///
    /// # Errors
    ///
    /// Fails if they are not UTF-8 or not YAML, or `images` is not a list of image entries.
    pub fn parse(bytes: &[u8]) -> Result<Self, KustomizationError> {
        Self::new(Document::parse_first(text_of(bytes)?)?)
    }

    /// As [`Kustomization::parse`], and there must be one document only.
    pub(super) fn parse_only(bytes: &[u8]) -> Result<Self, KustomizationError> {
        Self::new(Document::parse(text_of(bytes)?)?)
    }

    fn new(document: Document) -> Result<Self, KustomizationError> {
        let root = document.root();
        if !root.is_null() && !matches!(root.value, Value::Mapping(..)) {
            return Err(shape(
                &document,
                root,
                "expected `key: value` at the top of a kustomization",
            ));
        }
        let images = match find(root, "images").map(|entry| document.resolve(&entry.value)) {
            None => Vec::new(),
            Some(node) if node.is_null() => Vec::new(),
            Some(node) if matches!(node.value, Value::Sequence(..)) => {
                let items = node.items().iter();
                items.map(|item| image_entry(&document, item)).collect::<Result<_, _>>()?
            }
            Some(node) => return Err(shape(&document, node, "expected a list under `images`")),
        };
        Ok(Self { document, images })
    }

    /// Returns the entries of `images` in order.
    pub fn images(&self) -> &[ImageEntry] {
        &self.images
    }

    /// Returns the entry that speaks about the image `name`: the last one with that `name`, as in
    /// the build the last one wins, else one whose `newName` is where `registry` says the image
    /// lives; `None` if there is none, or several by `newName`.
    pub fn find_image(&self, name: &str, registry: &ImageName) -> Option<&ImageEntry> {
        let by_name = self.images.iter().rev().find(|entry| entry.name == name);
        by_name.or_else(|| {
            let mut renamed = self.images.iter().filter(|entry| entry.is_renamed_to(registry));
            let found = renamed.next();
            if renamed.next().is_some() { None } else { found }
        })
    }

    /// Returns the texts listed under `field`, empty if it is not there.
    pub fn list(&self, field: &str) -> Vec<&str> {
        let Some(entry) = find(self.document.root(), field) else {
            return Vec::new();
        };
        let items = self.document.resolve(&entry.value).items().iter();
        items.filter_map(|item| self.document.resolve(item).as_str()).collect()
    }

    /// Returns the list `resources`.
    pub fn resources(&self) -> Vec<&str> {
        self.list("resources")
    }

    /// Returns the list `components`.
    pub fn components(&self) -> Vec<&str> {
        self.list("components")
    }

    /// Returns the list `bases`, the old name for folders among the resources.
    pub fn bases(&self) -> Vec<&str> {
        self.list("bases")
    }

    /// Returns whether it is a `Component`, which other kustomizations use and nobody renders alone.
    pub fn is_component(&self) -> bool {
        let kind = find(self.document.root(), "kind");
        kind.and_then(|kind| kind.value.as_str()) == Some("Component")
    }

    /// Returns the line that an entry of [`Kustomization::images`] begins on.
    pub fn line(&self, entry: &ImageEntry) -> usize {
        self.document.position(entry.span.start).line
    }

    /// Returns the document.
    pub fn document(&self) -> &Document {
        &self.document
    }
}

impl ImageEntry {
    /// Returns what the build makes of a container's image with this `name` and no tag:
    /// `name[:tag][@digest]`.
    pub fn reference(&self) -> String {
        let mut text = self.effective_name().to_owned();
        if let Some(tag) = self.tag() {
            text = format!("{text}:{tag}");
        }
        if let Some(digest) = self.digest() {
            text = format!("{text}@{digest}");
        }
        text
    }

    /// Returns the tag that it states; an empty `newTag` states none.
    pub fn tag(&self) -> Option<&str> {
        self.get(Field::NewTag)
    }

    /// Returns the digest that it states; an empty one is none.
    pub fn digest(&self) -> Option<&str> {
        self.get(Field::Digest)
    }

    /// Returns what it adds to a tag; an empty `tagSuffix` adds nothing.
    pub fn tag_suffix(&self) -> Option<&str> {
        self.get(Field::TagSuffix)
    }

    /// Returns `name:tag` as it is after the build, if it states a tag.
    pub fn tagged(&self) -> Option<String> {
        Some(format!("{}:{}", self.effective_name(), self.tag()?))
    }

    /// Returns `name@digest` as it is after the build, if it states a digest.
    pub fn pinned(&self) -> Option<String> {
        Some(format!("{}@{}", self.effective_name(), self.digest()?))
    }

    /// Returns the name that the image has after the build: `newName`, else `name`.
    pub fn effective_name(&self) -> &str {
        self.get(Field::NewName).unwrap_or(&self.name)
    }

    /// Whether `newName` is where `registry` says the image lives.
    pub(super) fn is_renamed_to(&self, registry: &ImageName) -> bool {
        self.new_name.as_deref().is_some_and(|name| is_name(name, registry))
    }

    pub(super) fn get(&self, field: Field) -> Option<&str> {
        match field {
            Field::Name => Some(self.name.as_str()).filter(|name| !name.is_empty()),
            Field::NewName => self.new_name.as_deref(),
            Field::NewTag => self.new_tag.as_deref(),
            Field::Digest => self.digest.as_deref(),
            Field::TagSuffix => self.tag_suffix.as_deref(),
        }
        .filter(|value| !value.is_empty())
    }

    /// Whether both say the same; where they stand does not count.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        Field::ALL.into_iter().all(|field| self.get(field) == other.get(field))
    }
}

/// Whether `text` names the same repository as `registry`, Docker Hub's short forms included.
pub(crate) fn is_name(text: &str, registry: &ImageName) -> bool {
    text.parse::<ImageName>().is_ok_and(|name| name == *registry)
}

/// Returns the last entry of the mapping `node` whose key is `key` in any case.
pub(super) fn find<'a>(node: &'a Node, key: &str) -> Option<&'a yaml::Entry> {
    node.entries().iter().rev().find(|entry| is_key(entry, key))
}

/// Whether the entry's key is `key` in any case, as Go's JSON decoder compares them.
pub(super) fn is_key(entry: &yaml::Entry, key: &str) -> bool {
    entry.key.as_str().is_some_and(|text| text.eq_ignore_ascii_case(key))
}

fn text_of(bytes: &[u8]) -> Result<&str, KustomizationError> {
    if bytes.len() > LARGEST {
        return Err(KustomizationError::TooLarge { size: bytes.len() });
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        KustomizationError::NotUtf8 { line: before.iter().filter(|&&b| b == b'\n').count() + 1 }
    })
}

fn shape(document: &Document, node: &Node, reason: &str) -> KustomizationError {
    let line = document.position(node.span.start).line;
    KustomizationError::Shape { line, reason: reason.to_owned() }
}

fn image_entry(document: &Document, item: &Node) -> Result<ImageEntry, KustomizationError> {
    let node = document.resolve(item);
    if !matches!(node.value, Value::Mapping(..)) {
        return Err(shape(document, item, "expected an image entry, such as `name: app`"));
    }
    let text = |field: Field| {
        let Some(entry) = find(node, field.key()) else {
            return Ok(None);
        };
        let value = document.resolve(&entry.value);
        match value.as_str() {
            _ if value.is_null() => Ok(None),
            Some(text) => Ok(Some(text.to_owned())),
            None => {
                let reason = format!("expected one text as `{}` of an image", field.key());
                Err(shape(document, value, &reason))
            }
        }
    };
    Ok(ImageEntry {
        name: text(Field::Name)?.unwrap_or_default(),
        new_name: text(Field::NewName)?,
        new_tag: text(Field::NewTag)?,
        digest: text(Field::Digest)?,
        tag_suffix: text(Field::TagSuffix)?,
        span: item.start()..item.span.end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "resources: [../base]\ncomponents:\n- ../c\nimages:\n- name: app\n  newTag: '1.0'\n- name: web\n  newName: registry.example.com/shop/web\n  digest: sha256:ab\n  newTag: ~\n";

    #[test]
    fn reads_images_and_where_they_stand() {
        let kustomization = Kustomization::parse(TEXT.as_bytes()).unwrap();
        let [app, web] = kustomization.images() else { panic!("two images") };
        assert_eq!((app.reference().as_str(), kustomization.line(app)), ("app:1.0", 5));
        assert_eq!(web.reference(), "registry.example.com/shop/web@sha256:ab");
        assert_eq!(&TEXT[app.span.clone()], "name: app\n  newTag: '1.0'");
        assert_eq!(kustomization.resources(), ["../base"]);
        assert_eq!(kustomization.components(), ["../c"]);
        assert!(kustomization.bases().is_empty());
    }

    #[test]
    fn an_image_is_found_by_name_and_else_by_new_name() {
        let kustomization = Kustomization::parse(TEXT.as_bytes()).unwrap();
        let registry: ImageName = "registry.example.com/shop/web".parse().unwrap();
        assert_eq!(kustomization.find_image("app", &registry).unwrap().name, "app");
        assert_eq!(kustomization.find_image("shop/web", &registry).unwrap().name, "web");
        let other: ImageName = "registry.example.com/other".parse().unwrap();
        assert_eq!(kustomization.find_image("other", &other), None);
    }

    #[test]
    fn keys_in_any_case_and_further_documents_do_as_in_kustomize() {
        let kustomization =
            Kustomization::parse(b"Images:\n- Name: a\n  NEWTAG: b\n---\nimages: [c]\n").unwrap();
        assert_eq!(kustomization.images()[0].reference(), "a:b");
    }

    #[test]
    fn says_what_is_no_kustomization() {
        let message = |bytes: &[u8]| Kustomization::parse(bytes).unwrap_err().to_string();
        assert_eq!(message(b"a: 1\n\xff"), "line 2: this is not UTF-8");
        assert_eq!(
            message(b"\n- a\n"),
            "line 2: expected `key: value` at the top of a kustomization"
        );
        assert_eq!(message(b"a: 1\nimages: x\n"), "line 2: expected a list under `images`");
        assert_eq!(
            message(b"images:\n- app:v1\n"),
            "line 2: expected an image entry, such as `name: app`"
        );
        assert_eq!(
            message(b"images:\n- name: a\n  newTag: [b]\n"),
            "line 3: expected one text as `newTag` of an image"
        );
    }
}
