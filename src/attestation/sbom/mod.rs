//! What is in an image, as far as the lock files beside its sources tell: a CycloneDX document.
//!
//! Each package manager's lock file has a file here and a line in `FORMATS`. A file that can't be
//! read, or says less than it should, leaves a [`Gap`], which the document and the caller tell of.

mod cargo;
mod composer;
mod cyclonedx;
mod gems;
mod go;
mod npm;
mod package;
mod pipfile;
mod pnpm;
mod poetry;
mod requirements;
mod uv;
mod yarn;

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use package::Package;

use crate::image::PinnedImage;

/// A lock file of the build context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockFile {
    /// Its path from the context's root.
    pub path: Utf8PathBuf,
    /// What it says.
    pub text: String,
}

/// Something that the list of packages lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The file, from the context's root.
    pub path: Utf8PathBuf,
    /// The line, counted from 1, if it is one line's.
    pub line: Option<usize>,
    /// Why something is missing.
    pub reason: String,
}

/// What is in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sbom {
    /// Packages and the lock files that they are in.
    packages: BTreeMap<Package, Found>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

/// Where a package was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Found {
    files: BTreeSet<Utf8PathBuf>,
    /// Whether some file wants it for more than development.
    runs: bool,
}

/// What a lock file says.
#[derive(Debug, Default)]
struct Listed {
    packages: Vec<Package>,
    /// What it says and does not pin.
    unread: Vec<Fault>,
}

/// Why a line, or a whole file, was not read.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    line: Option<usize>,
    reason: String,
}

type Reader = fn(&str) -> Result<Listed, Fault>;

/// The lock files that are read, by name.
const FORMATS: &[(&str, Reader)] = &[
    ("Cargo.lock", cargo::read),
    ("Gemfile.lock", gems::read),
    ("Pipfile.lock", pipfile::read),
    ("composer.lock", composer::read),
    ("go.mod", go::read_mod),
    ("go.sum", go::read_sum),
    ("npm-shrinkwrap.json", npm::read),
    ("package-lock.json", npm::read),
    ("pnpm-lock.yaml", pnpm::read),
    ("poetry.lock", poetry::read),
    ("uv.lock", uv::read),
    ("yarn.lock", yarn::read),
];

/// A list that is longer than this belongs to no image.
const MOST_PACKAGES: usize = 200_000;

/// Returns whether the file at `path` is a lock file of the sources, and not of something that a
/// package manager has unpacked among them.
pub fn is_lock_file(path: &Utf8Path) -> bool {
    let unpacked = ["node_modules", "vendor", ".venv", "site-packages"];
    let is_own = !path.components().any(|part| unpacked.contains(&part.as_str()));
    is_own && reader(path).is_some()
}

impl Sbom {
    /// Returns what the lock files say, whatever order they come in.
    pub fn of(files: &[LockFile]) -> Self {
        let mut sbom = Self { packages: BTreeMap::new(), gaps: Vec::new() };
        for file in files.iter().filter(|file| !go::is_told_by_sibling(file, files)) {
            sbom.add(file);
        }
        sbom.gaps.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
        sbom
    }

    /// Returns the same with something more that it lacks.
    #[must_use]
    pub fn lacking(mut self, gap: Gap) -> Self {
        self.gaps.push(gap);
        self
    }

    /// Returns how many packages there are.
    pub fn len(&self) -> usize {
        self.packages.len()
    }

    /// Returns whether there are no packages.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// Returns the CycloneDX document about `image`, which is made on `bases`; the same for the same
    /// values.
    pub fn to_cyclonedx(&self, image: &PinnedImage, bases: &[PinnedImage]) -> serde_json::Value {
        cyclonedx::document(self, image, bases)
    }

    fn add(&mut self, file: &LockFile) {
        let gap = |Fault { line, reason }| Gap { path: file.path.clone(), line, reason };
        let Some(reader) = reader(&file.path) else { return };
        let listed = match reader(&file.text) {
            Ok(listed) => listed,
            Err(fault) => return self.gaps.push(gap(fault)),
        };
        self.gaps.extend(listed.unread.into_iter().map(gap));
        for package in listed.packages {
            if self.packages.len() >= MOST_PACKAGES {
                let reason = format!("there are more than {MOST_PACKAGES} packages");
                return self.gaps.push(Gap { path: file.path.clone(), line: None, reason });
            }
            let runs = !package.dev;
            let found = self.packages.entry(package).or_default();
            found.files.insert(file.path.clone());
            found.runs |= runs;
        }
    }
}

fn reader(path: &Utf8Path) -> Option<Reader> {
    let name = path.file_name()?;
    let known = FORMATS.iter().find(|(known, _)| *known == name).map(|(_, reader)| *reader);
    let is_requirements = name.starts_with("requirements") && name.ends_with(".txt");
    known.or_else(|| is_requirements.then_some(requirements::read as Reader))
}

impl Fault {
    fn new(reason: impl Into<String>) -> Self {
        Self { line: None, reason: reason.into() }
    }

    fn at(line: usize, reason: impl Into<String>) -> Self {
        Self { line: Some(line), reason: reason.into() }
    }
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.reason),
            None => write!(f, "{}: {}", self.path, self.reason),
        }
    }
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::at(error.line(), error.to_string()))
}

/// What `Cargo.lock`, `poetry.lock` and `uv.lock` are: a list of tables `package`.
#[derive(Deserialize)]
struct TomlLock<T> {
    #[serde(default = "Vec::new")]
    package: Vec<T>,
}

/// Returns what `package` makes of each table of the lock file.
fn from_toml_lock<T: serde::de::DeserializeOwned>(
    text: &str,
    package: fn(&T) -> Option<Package>,
) -> Result<Listed, Fault> {
    let lock: TomlLock<T> = from_toml(text)?;
    let packages = lock.package.iter().filter_map(package).collect();
    Ok(Listed { packages, unread: Vec::new() })
}

fn from_toml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Fault> {
    toml::from_str(text).map_err(|error| {
        let before = |span: std::ops::Range<usize>| text.get(..span.start);
        let line = error.span().and_then(before).map(|before| before.matches('\n').count() + 1);
        Fault { line, reason: error.message().to_owned() }
    })
}

fn from_yaml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Fault> {
    crate::yaml::decode(Utf8Path::new(""), text)
        .map_err(|invalid| Fault::at(invalid.line, invalid.message))
}

#[cfg(test)]
mod tests;
