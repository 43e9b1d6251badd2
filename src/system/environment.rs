//! Environment variables, read once and passed on as a value.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

/// The environment variables of the process, or of a test.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Returns this process's environment. Variables that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// Returns the variable's value, or `None` if it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns the path of the program `name` on `PATH`, or `None`.
    pub fn find_program(&self, name: &str) -> Option<Utf8PathBuf> {
        let folders = self.get("PATH")?.split(':').filter(|folder| !folder.is_empty());
        folders.map(|folder| Utf8PathBuf::from(folder).join(name)).find(|path| is_executable(path))
    }

    /// Returns the folder that caches go to: `DEPLOYCTL_CACHE_DIR`, else `deployctl` below
    /// `XDG_CACHE_HOME` or `~/.cache`; `None` if there is no home either.
    pub fn cache_dir(&self) -> Option<Utf8PathBuf> {
        if let Some(dir) = self.get("DEPLOYCTL_CACHE_DIR") {
            return Some(dir.into());
        }
        let base = match self.get("XDG_CACHE_HOME") {
            Some(dir) => Utf8PathBuf::from(dir),
            None => Utf8PathBuf::from(self.get("HOME")?).join(".cache"),
        };
        Some(base.join("deployctl"))
    }

    /// Returns all variables by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Environment {
    /// Names only: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn is_executable(path: &Utf8Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}
