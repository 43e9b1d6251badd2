//! One copy instruction as a layer: which entries it has, and their bytes.
//!
//! Folders that the instruction does not copy itself, such as `/srv` for `/srv/app`, are written
//! (0755, owned by root) only into an image that begins empty, and once. On a base image they are
//! left out: an entry would replace the attributes that the folder has in the base, the sticky bit
//! of `/tmp` for example (OCI image-layer specification, "Applying Changesets").

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::Cancelled;
use super::archive::{Archive, Attributes};
use super::capabilities;
use super::sources::{inside_image, of_layer};
use crate::build::BuildError;
use crate::build::context::{Context, Entry, EntryKind};
use crate::build::layer_blob::{LayerBlob, LayerWriter};
use crate::image::{Layer, Platform};

/// The entries of a layer by path in the image, without the slash in front. Byte order of the path
/// puts a folder before what is in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    entries: BTreeMap<String, Planned>,
    /// Capabilities of the files, where they do not have what the file system says.
    capabilities: u64,
}

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
    /// Returns the entries of `layer` in an image for `platform`.
    pub(super) fn of(
        context: &Context,
        layer: &Layer,
        platform: &Platform,
    ) -> Result<Self, BuildError> {
        let sources = of_layer(context, layer, platform)?;
        let mut plan = Self { capabilities: layer.capabilities, ..Self::default() };
        if let Some(to) = sources.folder {
            plan.add(layer, to, folder_of(layer))?;
        }
        for (path, entry) in sources.entries {
            refuse_whiteout(&entry.path, &path)?;
            plan.add(layer, path, plan_entry(context.root(), entry, layer)?)?;
        }
        for path in &layer.folders {
            refuse_whiteout(path, path.as_str())?;
            plan.add(layer, inside_image(path)?, folder_of(layer))?;
        }
        for (path, target) in &layer.links {
            refuse_whiteout(path, path.as_str())?;
            let attributes = Attributes { mode: 0o777, owner: layer.owner };
            let content = Content::Link(target.into());
            plan.add(layer, inside_image(path)?, Planned { attributes, content })?;
        }
        plan.check_parents(layer)?;
        Ok(plan)
    }

    /// Adds an entry; each path is in a layer once (OCI image-layer specification).
    fn add(&mut self, layer: &Layer, path: String, planned: Planned) -> Result<(), BuildError> {
        match self.entries.get(&path) {
            Some(there) if *there != planned => {
                let to = &layer.to;
                let reason = format!("layer to `{to}`: two different things would be `/{path}`");
                Err(BuildError::Recipe(reason))
            }
            _ => {
                self.entries.insert(path, planned);
                Ok(())
            }
        }
    }

    fn check_parents(&self, layer: &Layer) -> Result<(), BuildError> {
        for path in self.entries.keys() {
            for (at, _) in path.match_indices('/') {
                let parent = self.entries.get(&path[..at]);
                if parent.is_some_and(|parent| parent.content != Content::Folder) {
                    let (to, parent) = (&layer.to, &path[..at]);
                    let reason = format!(
                        "layer to `{to}`: `/{path}` is below `/{parent}`, which is no folder"
                    );
                    return Err(BuildError::Recipe(reason));
                }
            }
        }
        Ok(())
    }

    /// Adds the folders above the entries that no lower layer has, and notes the layer's own in
    /// `present`.
    pub(super) fn add_parents(&mut self, present: &mut BTreeSet<String>) {
        let paths: Vec<String> = self.entries.keys().cloned().collect();
        for path in paths {
            for (at, _) in path.match_indices('/') {
                let parent = &path[..at];
                if !present.contains(parent) {
                    self.entries.entry(parent.to_owned()).or_insert_with(|| folder(0o755, (0, 0)));
                }
            }
        }
        let folders = self.entries.iter().filter(|(_, planned)| planned.content == Content::Folder);
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
        // Files that have several names, by what they are on this machine; the first name is the file.
        let mut named = HashMap::new();
        for (path, planned) in &self.entries {
            let attributes = planned.attributes;
            match &planned.content {
                Content::Folder => archive.folder(path, attributes).map_err(scratch_failed)?,
                Content::Link(target) => {
                    archive.link(path, target.as_str(), attributes).map_err(scratch_failed)?;
                }
                Content::File(source) => {
                    let mut source = Source::open(source, cancelled)?;
                    if let Some(first) = source.first_name(path, &mut named) {
                        archive.hard_link(path, first, attributes).map_err(scratch_failed)?;
                        continue;
                    }
                    let size = source.before.len();
                    let capabilities = match self.capabilities {
                        0 => capabilities::of_file(source.path, &source.file)?,
                        stated => Some(capabilities::attribute(stated)),
                    };
                    let written =
                        archive.file(path, attributes, capabilities.as_deref(), size, &mut source);
                    source.finish(written, scratch)?;
                }
            }
        }
        archive.finish().and_then(LayerWriter::finish).map_err(scratch_failed)
    }
}

/// A name that begins with `.wh.` would remove a file of a lower layer instead of adding one.
fn refuse_whiteout(source: &Utf8Path, path: &str) -> Result<(), BuildError> {
    if path.split('/').any(|name| name.starts_with(".wh.")) {
        return Err(BuildError::file(source, "names with `.wh.` in front mean removal in a layer"));
    }
    Ok(())
}

fn folder(mode: u32, owner: (u32, u32)) -> Planned {
    Planned { attributes: Attributes { mode, owner }, content: Content::Folder }
}

/// Returns a folder that the layer states.
fn folder_of(layer: &Layer) -> Planned {
    folder(layer.folder_mode.unwrap_or(0o755) & 0o7777, layer.owner)
}

fn plan_entry(root: &Utf8Path, entry: Entry, layer: &Layer) -> Result<Planned, BuildError> {
    let source = root.join(&entry.path);
    let (mode, content) = match entry.kind {
        EntryKind::Folder => return Ok(folder_of(layer)),
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
        let failed = |error: io::Error| match Errno::from_io_error(&error) {
            Some(Errno::LOOP | Errno::NOENT) => BuildError::Changed(path.to_owned()),
            _ => BuildError::file(path, &error),
        };
        // It was a file when the context was walked. A link would lead anywhere by now, and a pipe
        // would make `open` wait for a writer.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
        let before = file.metadata().map_err(failed)?;
        if !before.is_file() {
            return Err(BuildError::Changed(path.to_owned()));
        }
        Ok(Self { path, file, before, cancelled, failed: None })
    }

    /// Returns the path in the layer that the file has already, or notes that it is `path`.
    fn first_name<'n>(
        &self,
        path: &'n str,
        named: &mut HashMap<(u64, u64), &'n str>,
    ) -> Option<&'n str> {
        if self.before.nlink() < 2 {
            return None;
        }
        let file = (self.before.dev(), self.before.ino());
        let first = named.get(&file).copied();
        if first.is_none() {
            named.insert(file, path);
        }
        first
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

#[cfg(test)]
mod tests {
    use super::*;

    fn written(files: &[(&str, &str)]) -> Result<LayerBlob, BuildError> {
        let temp = tempfile::tempdir().unwrap();
        let scratch = Utf8Path::from_path(temp.path()).unwrap();
        let planned = |source: &str| Planned {
            attributes: Attributes { mode: 0o644, owner: (0, 0) },
            content: Content::File(source.into()),
        };
        let entries = files.iter().map(|(path, source)| ((*path).to_owned(), planned(source)));
        let plan = Plan { entries: entries.collect(), ..Plan::default() };
        plan.write(0, scratch, LayerWriter::create(scratch).unwrap(), &Cancelled::default())
    }

    #[track_caller]
    fn refuses(source: &str, expected: &str) {
        assert_eq!(written(&[("a", source)]).unwrap_err().to_string(), expected);
    }

    /// Permissions keep nobody out who is root, so this is a file whose bytes nobody gets.
    #[test]
    fn a_file_that_can_not_be_read_is_told() {
        refuses("/proc/self/mem", "can't use `/proc/self/mem`: Input/output error (os error 5)");
    }

    #[test]
    fn what_is_no_file_any_more_has_changed() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(temp.path()).unwrap();
        let link = dir.join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        for source in [link, dir.to_owned(), dir.join("gone")] {
            refuses(source.as_str(), &format!("`{source}` changed while it was read"));
        }
    }
}
