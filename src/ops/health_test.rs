//! `deployctl health test`: every `health_test.yaml` below a folder, judged by our rules.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::health::{Health, Outcome, Rules, SuiteCase, SuiteError, read_suite, run_case};
use crate::system;

/// What became of all the cases below a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthTestReport {
    /// How many are as expected.
    pub passed: usize,
    /// Those that are not, in the order of their suites' paths.
    pub failed: Vec<FailedCase>,
}

/// A case that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCase {
    /// The input file.
    pub input: Utf8PathBuf,
    /// What the case expects.
    pub expected: Health,
    /// What our rules say, in words.
    pub actual: String,
}

/// Why cases could not be run.
#[derive(Debug, thiserror::Error)]
pub enum HealthTestError {
    /// A folder or a suite can't be read.
    #[error("can't read `{path}`")]
    Read {
        /// The folder or file.
        path: Utf8PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// There is nothing to test.
    #[error("there is no `{SUITE}` in `{0}` or below")]
    NoSuite(Utf8PathBuf),
    /// There are suites, and nothing in them.
    #[error("there is no case in the `{SUITE}` files in `{0}` or below")]
    NoCase(Utf8PathBuf),
    /// A suite is not one.
    #[error("`{path}` is not a suite of health cases")]
    Suite {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong with it.
        #[source]
        source: SuiteError,
    },
}

/// The name of a suite's file, as Argo CD has it.
const SUITE: &str = "health_test.yaml";

/// Runs every case of every suite below `dir` by `rules`, as Argo CD's own test does.
///
/// # Errors
///
/// Fails if there is no suite or no case in them, or a folder or a suite can't be read; an input that
/// can't be read is a failed case.
pub fn health_test(dir: &Utf8Path, rules: &Rules) -> Result<HealthTestReport, HealthTestError> {
    let mut suites = Vec::new();
    find_suites(dir, &mut suites)?;
    if suites.is_empty() {
        return Err(HealthTestError::NoSuite(dir.to_owned()));
    }
    suites.sort();
    let mut report = HealthTestReport { passed: 0, failed: Vec::new() };
    for path in suites {
        let text = read(&path)?;
        let unread = |source| HealthTestError::Suite { path: path.clone(), source };
        for case in read_suite(&text).map_err(unread)? {
            run(&path, case, rules, &mut report);
        }
    }
    if report.passed + report.failed.len() == 0 {
        return Err(HealthTestError::NoCase(dir.to_owned()));
    }
    Ok(report)
}

fn find_suites(dir: &Utf8Path, suites: &mut Vec<Utf8PathBuf>) -> Result<(), HealthTestError> {
    let failed = |source| HealthTestError::Read { path: dir.to_owned(), source };
    for entry in dir.read_dir_utf8().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // A link is not followed: it may lead to a folder above.
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            find_suites(entry.path(), suites)?;
        } else if entry.file_name() == SUITE {
            suites.push(entry.into_path());
        }
    }
    Ok(())
}

fn read(path: &Utf8Path) -> Result<String, HealthTestError> {
    system::read_text_file(path)
        .map_err(|source| HealthTestError::Read { path: path.to_owned(), source })
}

fn run(suite: &Utf8Path, case: SuiteCase, rules: &Rules, report: &mut HealthTestReport) {
    let input = suite.with_file_name(&case.input_path);
    let outcome = match system::read_text_file(&input) {
        Ok(text) => run_case(&case, &text, |object| rules.assess_by_kind(object).health),
        Err(error) => Outcome::Unreadable { reason: error.to_string() },
    };
    let actual = match outcome {
        Outcome::Passed => {
            report.passed += 1;
            return;
        }
        Outcome::Failed { actual: Some(health) } => said(&health),
        Outcome::Failed { actual: None } => "no health".to_owned(),
        Outcome::Unreadable { reason } => format!("unreadable: {reason}"),
    };
    report.failed.push(FailedCase { input, expected: case.expected, actual });
}

/// Returns a health in words, for example `Degraded "image not found"`.
fn said(health: &Health) -> String {
    match health.message.as_str() {
        "" => health.status.to_string(),
        message => format!("{} {message:?}", health.status),
    }
}

impl FailedCase {
    /// Returns what the case expects, in words.
    pub fn expected(&self) -> String {
        said(&self.expected)
    }
}
