//! The build context: which of a folder's files a build sees.
//!
//! The folder is walked without following symbolic links, in path order, and what the ignore file
//! leaves out is left out. Contents are not read here.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::BuildError;
use crate::image::ignore::{IgnoreError, IgnoreFile, Matches, Verdict};

/// More files and folders than this are not a build context but a mistake.
const MOST_ENTRIES: usize = 1_000_000;

/// An ignore file longer than this is refused.
const LONGEST_IGNORE_FILE: u64 = 1 << 20;

/// A folder, and the rules that say which of its files a build sees.
#[derive(Debug, Clone)]
pub struct Context {
    root: Utf8PathBuf,
    dockerfile: Utf8PathBuf,
    ignore_file: Option<Utf8PathBuf>,
    rules: IgnoreFile,
    most_entries: usize,
}

/// A file, folder or link of a build context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path from the context's root; `.` is the root itself.
    pub path: Utf8PathBuf,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry of a build context is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A file.
    File {
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A symbolic link and its target, as it is written.
    Link(Utf8PathBuf),
    /// A socket, a pipe or a device.
    Special,
}

impl Context {
    /// Returns the context whose files are in the folder `root`.
    ///
    /// Its ignore file is `<dockerfile>.dockerignore` if there is one, else `.dockerignore` in the
    /// root. `dockerfile` is relative to the root; without one, only `.dockerignore` is looked for.
    ///
    /// # Errors
    ///
    /// Fails if `root` is not a folder, or the ignore file can't be read or has a bad pattern.
    pub fn open(root: &Utf8Path, dockerfile: Option<&Utf8Path>) -> Result<Self, BuildError> {
        let metadata = fs::metadata(root).map_err(|error| BuildError::file(root, &error))?;
        if !metadata.is_dir() {
            return Err(BuildError::file(root, "it is not a folder"));
        }
        let own = dockerfile.map(|dockerfile| root.join(format!("{dockerfile}.dockerignore")));
        let candidates = own.into_iter().chain([root.join(".dockerignore")]);
        let ignore_file = candidates.into_iter().find(|path| path.is_file());
        let rules = ignore_file.as_deref().map(read_ignore_file).transpose()?.unwrap_or_default();
        Ok(Self {
            root: root.to_owned(),
            dockerfile: dockerfile.unwrap_or("Dockerfile".into()).to_owned(),
            ignore_file,
            rules,
            most_entries: MOST_ENTRIES,
        })
    }

    /// Returns the context's folder.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Returns the ignore file that is in force, if there is one.
    pub fn ignore_file(&self) -> Option<&Utf8Path> {
        self.ignore_file.as_deref()
    }

    /// Returns the paths of the Dockerfile and the ignore file where the rules leave them out: the
    /// builder gets them all the same, and no `COPY` sees them.
    ///
    /// # Errors
    ///
    /// Fails if a pattern that has a say is malformed.
    pub fn for_the_builder_only(&self) -> Result<Vec<Utf8PathBuf>, BuildError> {
        let ignore_file =
            self.ignore_file.as_ref().and_then(|file| file.strip_prefix(&self.root).ok());
        let mut paths = Vec::new();
        for path in [Some(self.dockerfile.as_path()), ignore_file].into_iter().flatten() {
            if self.root.join(path).is_file() && self.verdict(path)?.ignored {
                paths.push(path.to_owned());
            }
        }
        Ok(paths)
    }

    /// Returns whether the path from the root is left out, and by which line of the ignore file.
    ///
    /// # Errors
    ///
    /// Fails if a pattern that has a say is malformed.
    pub fn verdict(&self, path: &Utf8Path) -> Result<Verdict, BuildError> {
        self.rules.verdict(path.as_str()).map_err(|error| self.bad_ignore_file(&error))
    }

    /// Returns what is at `from` and below, sorted by the bytes of the path, each folder that holds
    /// something before what it holds.
    ///
    /// # Errors
    ///
    /// Fails if `from` leads out of the context or through a symbolic link, if there is nothing at
    /// it or nothing is left of it, or if a folder can't be read.
    pub fn entries(&self, from: &Utf8Path) -> Result<Vec<Entry>, BuildError> {
        let from = self.inside(from)?;
        let path = self.root.join(&from);
        let metadata =
            fs::symlink_metadata(&path).map_err(|error| BuildError::file(&path, &error))?;
        let mut walk = Walk { context: self, found: Vec::new(), seen: 0 };
        if from == "." {
            walk.folder(&from, &self.rules.root())?;
        } else {
            walk.entry(from.clone(), &metadata, &self.inherited(&from))?;
        }
        let mut found = walk.found;
        if found.is_empty() && !(from == "." || metadata.is_dir() && !self.verdict(&from)?.ignored)
        {
            return Err(self.left_out(&from)?);
        }
        found.sort_by(|a, b| a.path.as_str().cmp(b.path.as_str()));
        Ok(found)
    }

    /// Returns `from` without `.` components, or an error if it leads out of the context.
    fn inside(&self, from: &Utf8Path) -> Result<Utf8PathBuf, BuildError> {
        let mut inside = Utf8PathBuf::new();
        for component in from.components() {
            let Utf8Component::Normal(name) = component else {
                if component == Utf8Component::CurDir {
                    continue;
                }
                return Err(BuildError::file(from, "it leads out of the build context"));
            };
            let link = self.root.join(&inside);
            if !inside.as_str().is_empty() && link.is_symlink() {
                return Err(BuildError::file(from, format!("`{inside}` is a symbolic link")));
            }
            inside.push(name);
        }
        if inside.as_str().is_empty() { Ok(".".into()) } else { Ok(inside) }
    }

    /// Returns the rules that match a folder above `path`.
    fn inherited(&self, path: &Utf8Path) -> Matches {
        let mut parents: Vec<&Utf8Path> =
            path.ancestors().skip(1).filter(|parent| !parent.as_str().is_empty()).collect();
        parents.reverse();
        parents.into_iter().fold(self.rules.root(), |matches, parent| {
            self.rules.matches(parent.as_str(), &matches)
        })
    }

    fn left_out(&self, from: &Utf8Path) -> Result<BuildError, BuildError> {
        let file = self.ignore_file.as_deref().unwrap_or(&self.root);
        let line = self.verdict(from)?.line.unwrap_or_default();
        Ok(BuildError::file(from, format!("line {line} of `{file}` leaves it out")))
    }

    fn bad_ignore_file(&self, error: &IgnoreError) -> BuildError {
        BuildError::file(self.ignore_file.as_deref().unwrap_or(&self.root), error)
    }
}

fn read_ignore_file(path: &Utf8Path) -> Result<IgnoreFile, BuildError> {
    IgnoreFile::parse(&ignore_text(path)?).map_err(|error| BuildError::file(path, error))
}

/// Returns the text of an ignore file; what is not UTF-8 in it is replaced.
///
/// # Errors
///
/// Fails if it can't be read, or is so long that it is no ignore file.
pub fn ignore_text(path: &Utf8Path) -> Result<String, BuildError> {
    let failed = |error: &dyn std::fmt::Display| BuildError::file(path, error);
    let metadata = fs::metadata(path).map_err(|error| failed(&error))?;
    if !metadata.is_file() {
        return Err(failed(&"it is not a file"));
    }
    if metadata.len() > LONGEST_IGNORE_FILE {
        return Err(failed(&"it is larger than 1 MiB"));
    }
    let text = fs::read(path).map_err(|error| failed(&error))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A walk through the context; symbolic links are entries, never ways.
struct Walk<'a> {
    context: &'a Context,
    found: Vec<Entry>,
    seen: usize,
}

impl Walk<'_> {
    fn folder(&mut self, dir: &Utf8Path, matches: &Matches) -> Result<(), BuildError> {
        let absolute = self.context.root.join(dir);
        let failed = |error: std::io::Error| BuildError::file(&absolute, &error);
        for entry in fs::read_dir(&absolute).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let metadata = match entry.metadata() {
                // It was removed after the folder was read; then it is not part of the context.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                metadata => metadata.map_err(failed)?,
            };
            let name = entry.file_name();
            let below = |name: &str| if dir == "." { name.into() } else { dir.join(name) };
            match name.to_str() {
                Some(name) => self.entry(below(name), &metadata, matches)?,
                None if self.context.verdict(&below(&name.to_string_lossy()))?.ignored => {}
                None => {
                    let reason = format!(
                        "the name {name:?} in it is not UTF-8; rename it, or leave it out in the ignore file"
                    );
                    return Err(BuildError::file(&absolute, reason));
                }
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        path: Utf8PathBuf,
        metadata: &Metadata,
        parent: &Matches,
    ) -> Result<(), BuildError> {
        self.seen += 1;
        if self.seen > self.context.most_entries {
            let most = self.context.most_entries;
            return Err(BuildError::file(&self.context.root, format!("more than {most} entries")));
        }
        let rules = &self.context.rules;
        let matches = rules.matches(path.as_str(), parent);
        let ignored =
            rules.judge(&matches).map_err(|error| self.context.bad_ignore_file(&error))?.ignored;
        if !metadata.is_dir() {
            if !ignored {
                let kind = kind(&self.context.root.join(&path), metadata)?;
                self.found.push(Entry { path, kind });
            }
            return Ok(());
        }
        if ignored && !rules.may_take_back_below(path.as_str()) {
            return Ok(());
        }
        let before = self.found.len();
        self.folder(&path, &matches)?;
        // An ignored folder is there all the same for what is taken back from below it.
        if !ignored || self.found.len() > before {
            self.found.push(Entry { path, kind: EntryKind::Folder });
        }
        Ok(())
    }
}

fn kind(path: &Utf8Path, metadata: &Metadata) -> Result<EntryKind, BuildError> {
    if metadata.is_file() {
        return Ok(EntryKind::File { executable: metadata.permissions().mode() & 0o100 != 0 });
    }
    if !metadata.is_symlink() {
        return Ok(EntryKind::Special);
    }
    let target = path.read_link_utf8().map_err(|error| BuildError::file(path, &error))?;
    Ok(EntryKind::Link(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(files: &[(&str, &str)]) -> (tempfile::TempDir, Utf8PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(temp.path().to_owned()).unwrap();
        for (path, text) in files {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), text).unwrap();
        }
        (temp, root)
    }

    #[track_caller]
    fn check(files: &[(&str, &str)], from: &str, expected: &[&str]) {
        let (_temp, root) = context(files);
        let entries = Context::open(&root, None).unwrap().entries(from.into()).unwrap();
        let paths: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, expected);
    }

    #[test]
    fn parents_come_before_what_is_in_them() {
        check(&[("a/b", ""), ("a-x", ""), ("a/a", "")], ".", &["a", "a-x", "a/a", "a/b"]);
        check(&[("a/b/c", ""), ("d", "")], "./a/b/", &["a/b", "a/b/c"]);
        check(&[("a/b", "")], "a/b", &["a/b"]);
    }

    #[test]
    fn an_ignored_folder_is_there_for_what_is_taken_back() {
        let ignore = (".dockerignore", "**\n!a/keep\n!b/**/keep\n");
        check(
            &[
                ignore,
                ("a/keep", ""),
                ("a/no", ""),
                ("b/c/keep", ""),
                ("b/d/no", ""),
                ("e/keep", ""),
            ],
            ".",
            &["a", "a/keep", "b", "b/c", "b/c/keep"],
        );
    }

    #[test]
    fn the_dockerfile_s_own_ignore_file_comes_first() {
        let files =
            [(".dockerignore", "a"), ("ci/Dockerfile.dockerignore", "b"), ("a", ""), ("b", "")];
        let (_temp, root) = context(&files);
        let context = Context::open(&root, Some("ci/Dockerfile".into())).unwrap();
        assert!(context.ignore_file().unwrap().ends_with("ci/Dockerfile.dockerignore"));
        assert!(context.verdict("b".into()).unwrap().ignored);
        assert!(!context.verdict("a".into()).unwrap().ignored);
    }

    #[test]
    fn nothing_outside_is_reached() {
        let (_temp, root) = context(&[("a/b", "")]);
        std::os::unix::fs::symlink("/etc", root.join("etc")).unwrap();
        let context = Context::open(&root, None).unwrap();
        for from in ["../x", "/etc/passwd", "etc/passwd", "a/../../x", "none"] {
            assert!(context.entries(from.into()).is_err(), "{from}");
        }
        let link = context.entries("etc".into()).unwrap();
        assert_eq!(link[0].kind, EntryKind::Link("/etc".into()));
    }

    #[test]
    fn a_name_that_is_not_utf_8_can_only_be_left_out() {
        use std::os::unix::ffi::OsStrExt as _;
        let (_temp, root) = context(&[]);
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
        fs::write(root.as_std_path().join(name), "").unwrap();
        let error = Context::open(&root, None).unwrap().entries(".".into()).unwrap_err();
        assert!(error.to_string().contains("is not UTF-8"), "{error}");
        fs::write(root.join(".dockerignore"), "*.txt").unwrap();
        let entries = Context::open(&root, None).unwrap().entries(".".into()).unwrap();
        assert_eq!(entries.len(), 1);
    }

    #[test]
    fn says_what_leaves_out_everything_that_was_asked_for() {
        let (_temp, root) = context(&[("bin/app", ""), (".dockerignore", "# x\nbin\n")]);
        let error = Context::open(&root, None).unwrap().entries("bin/app".into()).unwrap_err();
        assert!(error.to_string().starts_with("can't use `bin/app`: line 2 of `"), "{error}");
    }

    #[test]
    fn a_context_without_end_is_refused() {
        let (_temp, root) = context(&[("a/b", ""), ("c", "")]);
        let mut context = Context::open(&root, None).unwrap();
        context.most_entries = 2;
        let error = context.entries(".".into()).unwrap_err().to_string();
        assert!(error.ends_with("more than 2 entries"), "{error}");
    }
}
