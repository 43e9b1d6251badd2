//! The case collections, read in place; each prints `NAME: N passed, M failed`.

use std::path::PathBuf;

mod argo_health;
mod dockerignore;
mod health_rules;
mod image_reference;
mod kustomize_edit;
mod metadata_action;
mod oci_schema;

/// Returns the folder of the collection `name`, or `None` after one printed line if it is not there.
fn cases(name: &str) -> Option<PathBuf> {
    cases_file(name).filter(|path| path.is_dir())
}

/// Returns the file `name` of the collections, or `None` after one printed line if it is not there.
pub(crate) fn cases_file(name: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/cases");
    let root = std::env::var_os("DEPLOYCTL_CASES").map_or_else(|| beside.into(), PathBuf::from);
    let path = root.join(name);
    if !path.exists() {
        crate::support::skip(&format!("no case collection `{name}`; set DEPLOYCTL_CASES"));
        return None;
    }
    Some(path)
}

/// What became of the cases of a collection.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
}

impl Tally {
    /// Counts a case, failed if `found` is not `expected`.
    fn check<T: PartialEq + std::fmt::Debug>(&mut self, case: &str, found: &T, expected: &T) {
        if found == expected {
            self.passed += 1;
        } else {
            self.failed.push(format!("{case}: expected {expected:?}, found {found:?}"));
        }
    }

    /// Prints the line and fails the test if a case failed.
    fn finish(self, name: &str) {
        eprintln!("{name}: {} passed, {} failed", self.passed, self.failed.len());
        assert!(self.failed.is_empty(), "{name}:\n{}", self.failed.join("\n"));
    }
}
