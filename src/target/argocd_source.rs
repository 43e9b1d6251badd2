//! Argo CD's source file beside a kustomization, with images that override those in it.
//!
//! Argo CD merges `.argocd-source.yaml` and then `.argocd-source-APPLICATION.yaml` from the
//! Application's folder into the Application's own source as JSON merge patches, so of several lists
//! `kustomize.images` only the last counts, and hands each item to `kustomize edit set image`
//! (argo-cd `reposerver/repository/repository.go`, `util/kustomize/kustomize.go`). A list in the
//! Application itself is replaced too; that is not seen here.

use camino::{Utf8Path, Utf8PathBuf};

use super::{StatedImage, StatedImageError, Target, TargetEdit, TargetError, kustomization};
use crate::argocd::ApplicationName;
use crate::image::PinnedImage;
use crate::kustomize::{
    FileTree, ImageArgument, Kustomization, MemoryTree, Rules, find_kustomization, is_name,
    set_image,
};
use crate::yaml::{self, Change, Document, Node, Path, Refusal, Step};

/// The namespace that Argo CD itself is in, as far as anybody says.
const ARGOCD: &str = "argocd";

/// Where the files are.
pub(super) struct Folder<'a> {
    pub(super) overlay: &'a Utf8Path,
    pub(super) application: Option<&'a ApplicationName>,
}

/// A source file that was read.
struct SourceFile {
    file: Utf8PathBuf,
    bytes: Vec<u8>,
    document: Document,
}

/// An item of `kustomize.images`.
struct Item {
    index: usize,
    argument: ImageArgument,
}

impl Folder<'_> {
    /// Returns the image that the list in force has, else the one that the kustomization states.
    pub(super) fn read(
        &self,
        target: &Target,
        tree: &dyn FileTree,
    ) -> Result<StatedImage, StatedImageError> {
        let found = match self.in_force(tree)? {
            Some(source) => source.find(target)?.map(|item| (source.file, item.argument)),
            None => None,
        };
        let Some((file, argument)) = found else {
            return kustomization::read(target, self.overlay, tree);
        };
        // A `*` stands for what the kustomization says.
        let old = find_kustomization(tree, self.overlay)
            .ok()
            .and_then(|(_, bytes)| Kustomization::parse(&bytes).ok());
        let old = old.iter().flat_map(Kustomization::images);
        let old = old.into_iter().find(|entry| entry.name == argument.name);
        let entry = argument.over(old);
        Ok(StatedImage::of(file, &entry))
    }

    /// Returns the file with the list in force changed; the Application's own file if there is none.
    pub(super) fn edit(
        &self,
        target: &Target,
        tree: &dyn FileTree,
        image: &PinnedImage,
    ) -> Result<TargetEdit, TargetError> {
        // Argo CD renders with kustomize only where there is a kustomization.
        find_kustomization(tree, self.overlay)?;
        let source = match self.in_force(tree)? {
            Some(source) => Some(source),
            None => SourceFile::read(tree, self.own_file(tree)?)?,
        };
        let Some(source) = source else {
            let (file, item) = (self.own_file(tree)?, written(target, None, image));
            let after = changed(&file, b"", append(item))?;
            return Ok(TargetEdit { file, before: None, after });
        };
        let found = source.find(target)?;
        let text = written(target, found.as_ref().map(|item| &item.argument), image);
        let change = match &found {
            Some(item) => {
                let mut steps = images().steps().to_vec();
                steps.push(Step::Index(item.index));
                Change::Set { path: Path::new(steps), text, after: None }
            }
            None => append(text),
        };
        let after = changed(&source.file, &source.bytes, change)?;
        Ok(TargetEdit { file: source.file, before: Some(source.bytes), after })
    }

    /// Returns the kustomization as Argo CD builds it: with the list in force set in it.
    pub(super) fn effective(&self, tree: &dyn FileTree) -> Result<MemoryTree, TargetError> {
        let (file, bytes) = find_kustomization(tree, self.overlay)?;
        let Some(source) = self.in_force(tree)? else { return Ok(MemoryTree::default()) };
        let arguments: Vec<&str> = source.items().iter().filter_map(Node::as_str).collect();
        if arguments.is_empty() {
            return Ok(MemoryTree::default());
        }
        let edit = set_image(&bytes, &arguments, Rules::Kustomize);
        let failed = |source| TargetError::Kustomization { file: file.clone(), source };
        Ok(MemoryTree([(file.clone(), edit.map_err(failed)?.bytes)].into()))
    }

    /// Returns the file whose `kustomize.images` counts, if one has it: also `null` takes away what
    /// the file before it says.
    fn in_force(&self, tree: &dyn FileTree) -> Result<Option<SourceFile>, SourceError> {
        let shared = self.overlay.join(".argocd-source.yaml");
        for file in [self.own_file(tree).ok(), Some(shared)].into_iter().flatten() {
            let source = SourceFile::read(tree, file)?;
            let source = source.filter(|source| source.document.get(&images()).is_some());
            if source.is_some() {
                return Ok(source);
            }
        }
        Ok(None)
    }

    /// Returns the file of the Application alone, or the shared one where no Application is named.
    fn own_file(&self, tree: &dyn FileTree) -> Result<Utf8PathBuf, SourceError> {
        let file = |name: &str| self.overlay.join(format!(".argocd-source{name}.yaml"));
        let Some(ApplicationName { namespace, name }) = self.application else {
            return Ok(file(""));
        };
        let (own, named) = (file(&format!("-{name}")), file(&format!("-{namespace}_{name}")));
        if namespace == ARGOCD {
            return Ok(own);
        }
        // Which one Argo CD reads depends on the namespace that it runs in.
        let there = |file: &Utf8Path| Ok::<_, SourceError>(tree.read(file)?.is_some());
        match (there(&own)?, there(&named)?) {
            (true, false) => Ok(own),
            (false, true) => Ok(named),
            _ => Err(SourceError::Unclear { own, named }),
        }
    }
}

impl SourceFile {
    fn read(tree: &dyn FileTree, file: Utf8PathBuf) -> Result<Option<Self>, SourceError> {
        let Some(bytes) = tree.read(&file)? else { return Ok(None) };
        match yaml::read_bytes(&bytes) {
            Ok(document) => Ok(Some(Self { file, bytes, document })),
            Err(source) => Err(SourceError::Broken { file, source }),
        }
    }

    fn items(&self) -> &[Node] {
        self.document.get(&images()).map_or(&[], Node::items)
    }

    /// Returns the item about the target's image: the one with its name, else the one that renames
    /// to where the image lives.
    fn find(&self, target: &Target) -> Result<Option<Item>, SourceError> {
        let items = self.items().iter().enumerate().filter_map(|(index, item)| {
            let argument = ImageArgument::parse(self.document.resolve(item).as_str()?).ok()?;
            Some(Item { index, argument })
        });
        let (named, others): (Vec<_>, Vec<_>) =
            items.partition(|item| item.argument.name == target.name);
        let is_renamed = |item: &Item| {
            item.argument.new_name.as_deref().is_some_and(|name| is_name(name, &target.registry))
        };
        let mut found = match named.is_empty() {
            true => others.into_iter().filter(is_renamed).collect(),
            false => named,
        };
        if let [_, second, ..] = found.as_slice() {
            let at = self.items()[second.index].start();
            let reason = format!("`{}` is in this list twice; keep one of the items", target.name);
            let source = Refusal::new(&self.document, at, reason).into();
            return Err(SourceError::Broken { file: self.file.clone(), source });
        }
        Ok(found.pop())
    }
}

/// Returns the path of the list.
fn images() -> Path {
    Path::new(["kustomize", "images"].map(|key| Step::Key(key.to_owned())))
}

fn append(text: String) -> Change {
    Change::Append { path: images(), text }
}

/// Returns the item that states `image`, spelled as the `old` one is.
fn written(target: &Target, old: Option<&ImageArgument>, image: &PinnedImage) -> String {
    let name = old.map_or(&target.name, |old| &old.name);
    let new_name = old.and_then(|old| old.new_name.as_ref());
    let spelled = new_name.filter(|text| is_name(text, &image.name));
    let mut text = match spelled {
        Some(spelled) => format!("{name}={spelled}"),
        None if new_name.is_none() && is_name(name, &image.name) => name.clone(),
        None => format!("{name}={}", image.name),
    };
    if let Some(tag) = &image.tag {
        text = format!("{text}:{tag}");
    }
    format!("{text}@{}", image.digest)
}

fn changed(file: &Utf8Path, bytes: &[u8], change: Change) -> Result<Vec<u8>, TargetError> {
    let failed = |source| TargetError::Yaml { file: file.to_owned(), source };
    yaml::edit(bytes, &[change]).map_err(failed)
}

/// Why Argo CD's source files can't be used.
enum SourceError {
    Tree(crate::kustomize::TreeError),
    Broken { file: Utf8PathBuf, source: yaml::EditError },
    Unclear { own: Utf8PathBuf, named: Utf8PathBuf },
}

impl From<crate::kustomize::TreeError> for SourceError {
    fn from(error: crate::kustomize::TreeError) -> Self {
        Self::Tree(error)
    }
}

impl From<SourceError> for StatedImageError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Tree(error) => Self::Tree(error),
            SourceError::Broken { file, source } => Self::Broken { file, source },
            // Reading goes on with the other file, so this is not met.
            SourceError::Unclear { own, .. } => Self::NoFile { file: own },
        }
    }
}

impl From<SourceError> for TargetError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Tree(error) => Self::Tree(error),
            SourceError::Broken { file, source } => Self::Yaml { file, source },
            SourceError::Unclear { own, named } => Self::Unclear { own, named },
        }
    }
}
