//! One copy instruction as a layer: which entries it has, and their bytes.
//!
//! Folders that the instruction does not copy itself, such as `/srv` for `/srv/app`, are written
//! (0755, owned by root) only into an image that begins empty, and once. On a base image they are
//! left out: an entry would replace the attributes that the folder has in the base, the sticky bit
//! of `/tmp` for example (OCI image-layer specification, "Applying Changesets").

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::Cancelled;
use super::archive::{Archive, Attributes};
use crate::build::BuildError;
use crate::build::context::{Context, EntryKind};
use crate::build::layer_blob::{LayerBlob, LayerWriter};
use crate::image::Layer;

/// The entries of a layer by path in the image, without the slash in front. Byte order of the path
/// puts a folder before what is in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan(BTreeMap<String, Planned>);

#[derive(Debug, PartialEq, Eq)]
struct Planned {
    attributes: Attributes,
    content: Content,
}

#[derive(Debug, PartialEq, Eq)]
enum Content {
    Folder,
    Link(Utf8PathBuf),
    File(Utf8PathBuf),
}

impl Plan {
    /// Returns the entries that `layer` copies out of `context`.
    pub(super) fn of(context: &Context, layer: &Layer) -> Result<Self, BuildError> {
        let entries = context.entries(&layer.from)?;
        let root = entries.first();
        let is_folder = layer.from.components().all(|part| part == Utf8Component::CurDir)
            || root.is_none_or(|entry| entry.kind == EntryKind::Folder);
        let to = destination(layer, is_folder)?;
        let from: Utf8PathBuf =
            layer.from.components().filter(|part| *part != Utf8Component::CurDir).collect();
        let mut planned = BTreeMap::new();
        if is_folder && !to.is_empty() {
            planned.insert(to.clone(), folder(layer.owner));
        }
        for entry in entries {
            let below = entry.path.strip_prefix(&from).unwrap_or(&entry.path);
            let path = join(&to, below);
            if path.is_empty() {
                continue;
            }
            refuse_whiteout(&entry.path, &path)?;
            let source = context.root().join(&entry.path);
            planned.insert(path, plan(source, entry.kind, layer)?);
        }
        Ok(Self(planned))
    }

    /// Adds the folders above the entries that no lower layer has, and notes the layer's own in
    /// `present`.
    pub(super) fn add_parents(&mut self, present: &mut BTreeSet<String>) {
        let paths: Vec<String> = self.0.keys().cloned().collect();
        for path in paths {
            for (at, _) in path.match_indices('/') {
                let parent = &path[..at];
                if !present.contains(parent) {
                    self.0.entry(parent.to_owned()).or_insert_with(|| folder((0, 0)));
                }
            }
        }
        let folders = self.0.iter().filter(|(_, planned)| planned.content == Content::Folder);
        present.extend(folders.map(|(path, _)| path.clone()));
    }

    /// Returns the layer that `out` makes of the entries, in the folder `scratch`.
    pub(super) fn write(
        &self,
        epoch: i64,
        scratch: &Utf8Path,
        out: LayerWriter,
        cancelled: &Cancelled,
    ) -> Result<LayerBlob, BuildError> {
        let scratch_failed = |error: io::Error| BuildError::file(scratch, &error);
        let mut archive = Archive::new(out, epoch);
        for (path, planned) in &self.0 {
            let attributes = planned.attributes;
            match &planned.content {
                Content::Folder => archive.folder(path, attributes).map_err(scratch_failed)?,
                Content::Link(target) => {
                    archive.link(path, target.as_str(), attributes).map_err(scratch_failed)?;
                }
                Content::File(source) => {
                    let mut source = Source::open(source, cancelled)?;
                    let size = source.before.len();
                    let written = archive.file(path, attributes, size, &mut source);
                    source.finish(written, scratch)?;
                }
            }
        }
        archive.finish().and_then(LayerWriter::finish).map_err(scratch_failed)
    }
}

/// Returns the path in the image, without slashes at its ends; a file whose destination ends with a
/// slash keeps its name.
fn destination(layer: &Layer, is_folder: bool) -> Result<String, BuildError> {
    let wrong = |reason: &str| BuildError::Recipe(format!("layer to `{}`: {reason}", layer.to));
    if !layer.to.is_absolute() {
        return Err(wrong("expected an absolute path"));
    }
    let mut path = Utf8PathBuf::new();
    for component in layer.to.components() {
        match component {
            Utf8Component::Normal(name) => path.push(name),
            Utf8Component::ParentDir => return Err(wrong("expected a path without `..`")),
            _ => {}
        }
    }
    if !is_folder && layer.to.as_str().ends_with('/') {
        path.push(layer.from.file_name().unwrap_or_default());
    }
    Ok(path.into_string())
}

fn join(to: &str, below: &Utf8Path) -> String {
    match (to, below.as_str()) {
        (to, "" | ".") => to.to_owned(),
        ("", below) => below.to_owned(),
        (to, below) => format!("{to}/{below}"),
    }
}

/// A name that begins with `.wh.` would remove a file of a lower layer instead of adding one.
fn refuse_whiteout(source: &Utf8Path, path: &str) -> Result<(), BuildError> {
    if path.split('/').any(|name| name.starts_with(".wh.")) {
        return Err(BuildError::file(source, "names with `.wh.` in front mean removal in a layer"));
    }
    Ok(())
}

fn folder(owner: (u32, u32)) -> Planned {
    Planned { attributes: Attributes { mode: 0o755, owner }, content: Content::Folder }
}

fn plan(source: Utf8PathBuf, kind: EntryKind, layer: &Layer) -> Result<Planned, BuildError> {
    let (mode, content) = match kind {
        EntryKind::Folder => return Ok(folder(layer.owner)),
        EntryKind::Link(target) => (0o777, Content::Link(target)),
        EntryKind::File { executable } => {
            let usual = if executable { 0o755 } else { 0o644 };
            (layer.mode.unwrap_or(usual) & 0o7777, Content::File(source))
        }
        EntryKind::Special => {
            return Err(BuildError::file(source, "a layer can't hold a socket, pipe or device"));
        }
    };
    Ok(Planned { attributes: Attributes { mode, owner: layer.owner }, content })
}

/// A file of the context that is being read.
struct Source<'a> {
    path: &'a Utf8Path,
    file: File,
    before: Metadata,
    cancelled: &'a Cancelled,
    failed: Option<io::Error>,
}

impl<'a> Source<'a> {
    fn open(path: &'a Utf8Path, cancelled: &'a Cancelled) -> Result<Self, BuildError> {
        let failed = |error: io::Error| BuildError::file(path, &error);
        // A pipe would make `open` wait for a writer, so look first.
        if !path.symlink_metadata().map_err(failed)?.is_file() {
            return Err(BuildError::Changed(path.to_owned()));
        }
        let file = File::open(path).map_err(failed)?;
        let before = file.metadata().map_err(failed)?;
        Ok(Self { path, file, before, cancelled, failed: None })
    }

    /// Returns what became of the copy into the archive in the folder `scratch`.
    fn finish(self, written: io::Result<()>, scratch: &Utf8Path) -> Result<(), BuildError> {
        if let Some(error) = self.failed {
            return Err(BuildError::file(self.path, &error));
        }
        match written {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(BuildError::Changed(self.path.to_owned()));
            }
            written => written.map_err(|error| BuildError::file(scratch, &error))?,
        }
        let after = self.file.metadata().map_err(|error| BuildError::file(self.path, &error))?;
        let same = |of: fn(&Metadata) -> i64| of(&self.before) == of(&after);
        if same(Metadata::mtime) && same(Metadata::mtime_nsec) && self.before.len() == after.len() {
            return Ok(());
        }
        Err(BuildError::Changed(self.path.to_owned()))
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.cancelled.check() {
            Ok(()) => self.file.read(buffer),
            Err(error) => Err(error),
        };
        read.map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failed = Some(error);
            }
            kind.into()
        })
    }
}
