//! Which files of a tree an overlay needs.
//!
//! A renderer that is a program of its own reads from a disk, so the files are copied there, and
//! only those: an overlay of a repository with thousands of services needs a dozen.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::{LoadRestrictor, RenderError};
use crate::kustomize::{
    FILE_NAMES, FileTree, FindError, Kustomization, MemoryTree, TreeError, find_kustomization,
    inside, is_remote,
};
use crate::yaml::{Document, Node};

/// How much is copied at most.
const MAX_FILES: usize = 20_000;
const MAX_BYTES: usize = 256 << 20;
/// How many texts are tried as paths at most.
const MAX_TRIES: usize = 50_000;
/// No path is longer.
const MAX_PATH: usize = 1024;

/// Fields whose items are paths of files and folders, possibly outside of the kustomization's own.
const FOLDERS: [&str; 8] = [
    "resources",
    "bases",
    "components",
    "crds",
    "configurations",
    "generators",
    "transformers",
    "validators",
];
/// Further fields, at any depth, whose texts are paths of files.
const FILES: [&str; 4] = ["path", "files", "envs", "env"];
/// Fields whose files mention further files, relative to the kustomization.
const PLUGINS: [&str; 3] = ["generators", "transformers", "validators"];

/// Returns the files that the kustomization in `dir` needs, itself included.
///
/// Every text in a kustomization that is the path of a file, or of a folder with a kustomization,
/// counts as one, so a field that is new in kustomize needs no change here.
///
/// # Errors
///
/// Fails if there is no kustomization in `dir`, or it needs what is outside of the tree.
pub(super) fn needed(
    tree: &dyn FileTree,
    dir: &Utf8Path,
    load_restrictor: LoadRestrictor,
) -> Result<MemoryTree, RenderError> {
    let start = inside(dir).ok_or_else(|| outside(dir, dir.as_str()))?;
    let mut closure = Closure {
        tree,
        load_restrictor,
        copied: Copied::default(),
        seen: BTreeSet::new(),
        tries: 0,
    };
    let mut open = vec![start.clone()];
    while let Some(folder) = open.pop() {
        if !closure.seen.insert(folder.clone()) {
            continue;
        }
        match find_kustomization(tree, &folder) {
            Ok((path, bytes)) => closure.kustomization(&folder, &path, bytes, &mut open)?,
            // A path that is no file and no kustomization is the renderer's to complain about.
            Err(FindError::Missing { .. }) if folder != start => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(closure.copied.files)
}

/// Returns all files of the tree.
///
/// # Errors
///
/// Fails if there are too many.
pub(super) fn everything(tree: &dyn FileTree) -> Result<MemoryTree, RenderError> {
    let mut copied = Copied::default();
    for path in tree.files(Utf8Path::new(""))? {
        let place = inside(&path).ok_or_else(|| outside(&path, path.as_str()))?;
        if let Some(bytes) = tree.read(&path)? {
            copied.add(place, bytes)?;
        }
    }
    Ok(copied.files)
}

/// Returns a kustomization among `files` and what it needs from elsewhere, if there is one.
pub(super) fn remote(files: &MemoryTree) -> Option<(&Utf8Path, String)> {
    let is_kustomization =
        |path: &Utf8Path| path.file_name().is_some_and(|name| FILE_NAMES.contains(&name));
    let mut named = files.0.iter().filter(|(path, _)| is_kustomization(path));
    named.find_map(|(path, bytes)| {
        let kustomization = Kustomization::parse(bytes).ok()?;
        let mut texts = path_fields(&kustomization).flat_map(Node::walk).filter_map(Node::as_str);
        let entry = texts.find(|text| is_remote(text))?;
        Some((path.as_path(), entry.to_owned()))
    })
}

struct Closure<'a> {
    tree: &'a dyn FileTree,
    load_restrictor: LoadRestrictor,
    copied: Copied,
    seen: BTreeSet<Utf8PathBuf>,
    tries: usize,
}

impl Closure<'_> {
    fn kustomization(
        &mut self,
        folder: &Utf8Path,
        path: &Utf8Path,
        bytes: Vec<u8>,
        open: &mut Vec<Utf8PathBuf>,
    ) -> Result<(), RenderError> {
        let kustomization = Kustomization::parse(&bytes);
        self.copied.add(path.to_owned(), bytes)?;
        // One that can't be read is the renderer's to complain about.
        let Ok(kustomization) = kustomization else {
            return Ok(());
        };
        self.refuse_outside(folder, path, &kustomization)?;
        let plugins: BTreeSet<&str> =
            PLUGINS.into_iter().flat_map(|field| kustomization.list(field)).collect();
        for text in texts(kustomization.document().root()) {
            let Some(path) = joined(folder, text) else { continue };
            match self.file(&path)? {
                Some(bytes) if plugins.contains(text) => self.plugin(folder, &bytes)?,
                Some(_) => {}
                None => open.push(path),
            }
        }
        Ok(())
    }

    /// Fails if the kustomization names what is not in the tree, which a copy on a disk would look
    /// for on the disk.
    fn refuse_outside(
        &self,
        folder: &Utf8Path,
        path: &Utf8Path,
        kustomization: &Kustomization,
    ) -> Result<(), RenderError> {
        let folders = FOLDERS.into_iter().flat_map(|field| kustomization.list(field));
        let mut named: Vec<&str> = folders.filter(|text| !text.starts_with('/')).collect();
        if self.load_restrictor == LoadRestrictor::None {
            named.extend(path_fields(kustomization).flat_map(texts));
        }
        match named.into_iter().find(|text| joined(folder, text).is_none()) {
            Some(text) => Err(outside(path, text)),
            None => Ok(()),
        }
    }

    /// Takes the files that a plugin's configuration mentions.
    fn plugin(&mut self, folder: &Utf8Path, bytes: &[u8]) -> Result<(), RenderError> {
        let Ok(text) = std::str::from_utf8(bytes) else { return Ok(()) };
        let Ok(document) = Document::parse_first(text) else { return Ok(()) };
        for path in texts(document.root()).filter_map(|text| joined(folder, text)) {
            self.file(&path)?;
        }
        Ok(())
    }

    /// Returns the bytes of the file at `path` and takes it, or `None` if there is no file.
    fn file(&mut self, path: &Utf8Path) -> Result<Option<Vec<u8>>, RenderError> {
        if let Some(bytes) = self.copied.files.0.get(path) {
            return Ok(Some(bytes.clone()));
        }
        self.tries += 1;
        if self.tries > MAX_TRIES {
            let reason = format!("the overlay names more than {MAX_TRIES} files");
            return Err(TreeError { path: path.to_owned(), reason }.into());
        }
        let bytes = self.tree.read(path)?;
        if let Some(bytes) = &bytes {
            self.copied.add(path.to_owned(), bytes.clone())?;
        }
        Ok(bytes)
    }
}

#[derive(Default)]
struct Copied {
    files: MemoryTree,
    bytes: usize,
}

impl Copied {
    fn add(&mut self, path: Utf8PathBuf, bytes: Vec<u8>) -> Result<(), TreeError> {
        self.bytes += bytes.len();
        if self.bytes > MAX_BYTES || self.files.0.len() >= MAX_FILES {
            let reason =
                format!("the overlay needs more than {MAX_FILES} files or {MAX_BYTES} bytes");
            return Err(TreeError { path, reason });
        }
        self.files.0.insert(path, bytes);
        Ok(())
    }
}

/// Returns what stands in the fields whose texts are paths.
fn path_fields(kustomization: &Kustomization) -> impl Iterator<Item = &Node> {
    let entries = kustomization.document().root().walk().flat_map(Node::entries);
    let is_path = |key: &str| FOLDERS.contains(&key) || FILES.contains(&key);
    let fields = entries.filter(move |entry| entry.key.as_str().is_some_and(is_path));
    fields.map(|entry| &entry.value)
}

/// Returns the texts that may be paths; of `key=path`, as generators have it, both readings.
fn texts(root: &Node) -> impl Iterator<Item = &str> {
    let scalars = root.walk().filter_map(Node::as_str);
    let readings = scalars.flat_map(|text| {
        let file = text.split_once('=').map(|(_, file)| file);
        std::iter::once(text).chain(file)
    });
    readings.filter(|text| {
        !text.is_empty()
            && text.len() <= MAX_PATH
            && !text.contains(['\n', '\0'])
            && !text.contains("://")
    })
}

/// Returns the path `text` as seen from the folder `dir`, or `None` if it is outside of the tree.
fn joined(dir: &Utf8Path, text: &str) -> Option<Utf8PathBuf> {
    inside(&dir.join(text))
}

fn outside(path: &Utf8Path, text: &str) -> RenderError {
    let reason = format!("`{text}` is outside of the repository");
    RenderError::Tree(TreeError { path: path.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> MemoryTree {
        let own = |(path, text): &(&str, &str)| ((*path).into(), text.as_bytes().to_owned());
        MemoryTree(files.iter().map(own).collect())
    }

    fn check(files: &[(&str, &str)], dir: &str, expected: &[&str]) {
        let found = needed(&tree(files), Utf8Path::new(dir), LoadRestrictor::RootOnly).unwrap();
        let paths: Vec<&str> = found.0.keys().map(|path| path.as_str()).collect();
        assert_eq!(paths, expected);
    }

    #[test]
    fn an_overlay_needs_what_its_kustomizations_mention() {
        let files = [
            (
                "o/kustomization.yaml",
                "resources: [../base, https://example.com/x, ./own.yaml]\ncomponents: [../c]\npatches:\n- path: p/patch.yaml\nconfigMapGenerator:\n- name: m\n  files: [k=conf/app.ini, other.txt]\n  envs: [e.env]\ngenerators: [gen.yaml]\n",
            ),
            ("o/own.yaml", ""),
            ("o/p/patch.yaml", ""),
            ("o/conf/app.ini", ""),
            ("o/other.txt", ""),
            ("o/e.env", ""),
            ("o/gen.yaml", "files: [deep.txt]\n"),
            ("o/deep.txt", ""),
            ("o/unused.yaml", ""),
            ("base/Kustomization", "resources: [d.yaml]\nbases: [../o]\n"),
            ("base/d.yaml", ""),
            ("c/kustomization.yml", "kind: Component\n"),
            ("else/x", ""),
        ];
        let expected = [
            "base/Kustomization",
            "base/d.yaml",
            "c/kustomization.yml",
            "o/conf/app.ini",
            "o/deep.txt",
            "o/e.env",
            "o/gen.yaml",
            "o/kustomization.yaml",
            "o/other.txt",
            "o/own.yaml",
            "o/p/patch.yaml",
        ];
        check(&files, "o", &expected);
        check(&files, "./o/../o", &expected);
    }

    #[test]
    fn what_is_outside_of_the_tree_is_refused() {
        let files = tree(&[("o/kustomization.yaml", "resources:\n- ../../etc\n")]);
        fn needed(
            files: &MemoryTree,
            dir: &str,
            restrictor: LoadRestrictor,
        ) -> Result<MemoryTree, RenderError> {
            super::needed(files, Utf8Path::new(dir), restrictor)
        }
        let error = needed(&files, "o", LoadRestrictor::RootOnly).unwrap_err().to_string();
        assert_eq!(
            error,
            "can't read `o/kustomization.yaml`: `../../etc` is outside of the repository"
        );
        assert!(needed(&files, "../o", LoadRestrictor::RootOnly).is_err());
        assert!(needed(&files, "/o", LoadRestrictor::RootOnly).is_err());

        // Under the usual restriction the program itself refuses a file of another folder.
        for path in ["../../x", "/etc/passwd", "k=/etc/passwd"] {
            let text = format!("configMapGenerator:\n- files: [{path}]\n  literals: [l=../../x]\n");
            let files = tree(&[("o/kustomization.yaml", &text)]);
            assert!(needed(&files, "o", LoadRestrictor::RootOnly).is_ok());
            assert!(needed(&files, "o", LoadRestrictor::None).is_err());
        }
    }

    #[test]
    fn what_comes_from_elsewhere_is_found() {
        for (text, expected) in [
            ("resources: [a.yaml, 'https://git.example.com/x?ref=v1']", true),
            ("components: [github.com/shop/x]", true),
            ("patches: [{path: 'https://git.example.com/p.yaml'}]", true),
            ("configMapGenerator: [{name: m, files: [a=https://git.example.com/f]}]", true),
            ("commonAnnotations: {a: 'https://git.example.com'}\nresources: [../base]", false),
        ] {
            let found = tree(&[("o/kustomization.yaml", text)]);
            assert_eq!(remote(&found).is_some(), expected, "{text}");
        }
    }

    #[test]
    fn a_folder_without_kustomization_is_an_error_only_at_the_start() {
        let files = tree(&[("o/kustomization.yaml", "resources: [../none]\n")]);
        let needed = |dir| needed(&files, Utf8Path::new(dir), LoadRestrictor::RootOnly);
        assert!(needed("o").is_ok());
        assert!(matches!(needed("none"), Err(RenderError::Find(_))));
    }
}
