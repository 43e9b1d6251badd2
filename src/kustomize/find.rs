//! Which file of a folder is its kustomization.

use camino::{Utf8Path, Utf8PathBuf};

use super::{FileTree, TreeError};

/// The names that a kustomization file may have.
pub const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Why a folder has no kustomization.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// None of the names is there.
    #[error("no kustomization in `{dir}`; expected a file `kustomization.yaml` there")]
    Missing {
        /// The folder.
        dir: Utf8PathBuf,
    },
    /// Several of the names are there.
    #[error("`{dir}` has both `{first}` and `{second}`; expected only one kustomization file")]
    Several {
        /// The folder.
        dir: Utf8PathBuf,
        /// One of them.
        first: &'static str,
        /// Another.
        second: &'static str,
    },
    /// The tree can't be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Returns the path and the bytes of the kustomization file in the folder `dir` of `tree`.
///
/// # Errors
///
/// Fails unless exactly one of [`FILE_NAMES`] is there and can be read.
pub fn find_kustomization(
    tree: &dyn FileTree,
    dir: &Utf8Path,
) -> Result<(Utf8PathBuf, Vec<u8>), FindError> {
    let mut found: Option<(&'static str, Vec<u8>)> = None;
    for second in FILE_NAMES {
        let Some(bytes) = tree.read(&dir.join(second))? else {
            continue;
        };
        if let Some((first, _)) = found {
            return Err(FindError::Several { dir: dir.to_owned(), first, second });
        }
        found = Some((second, bytes));
    }
    match found {
        Some((name, bytes)) => Ok((dir.join(name), bytes)),
        None => Err(FindError::Missing { dir: dir.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryTree;
    use super::*;

    fn find(files: &[&str]) -> Result<Utf8PathBuf, String> {
        let tree = MemoryTree(files.iter().map(|path| ((*path).into(), Vec::new())).collect());
        let found = find_kustomization(&tree, Utf8Path::new("a"));
        found.map(|(path, _)| path).map_err(|error| error.to_string())
    }

    #[test]
    fn exactly_one_of_three_names() {
        assert_eq!(find(&["a/Kustomization", "kustomization.yaml"]).unwrap(), "a/Kustomization");
        assert_eq!(find(&["a/kustomization.yml"]).unwrap(), "a/kustomization.yml");
        assert_eq!(
            find(&["kustomization.yaml"]).unwrap_err(),
            "no kustomization in `a`; expected a file `kustomization.yaml` there"
        );
        assert_eq!(
            find(&["a/kustomization.yaml", "a/Kustomization"]).unwrap_err(),
            "`a` has both `kustomization.yaml` and `Kustomization`; expected only one kustomization file"
        );
    }
}
