//! Suites of health cases in Argo CD's format, `health_test.yaml`.
//!
//! A case names an input file and the health that it must have. Finding suites and reading files is
//! the caller's business, and so is the choice of rules.

use serde_json::Value;

use crate::health::{Health, HealthStatus};
use crate::k8s::Object;

/// A case of a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteCase {
    /// The input file, relative to the suite.
    pub input_path: String,
    /// The health that the input's first document must have.
    pub expected: Health,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The health is what the case expects, status and message.
    Passed,
    /// The health is another one.
    Failed {
        /// What the rules say, `None` if none knows the kind.
        actual: Option<Health>,
    },
    /// The input could not be read.
    Unreadable {
        /// Why.
        reason: String,
    },
}

/// Why a text is not a suite.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// It is not YAML.
    #[error(transparent)]
    Yaml(#[from] serde_yaml::Error),
    /// It has no cases.
    #[error("it has no list `tests`")]
    NoTests,
    /// A case lacks a field, or the field is of no use.
    #[error("case {index} has no valid `{field}`")]
    Case {
        /// Which case, counted from 1.
        index: usize,
        /// The field.
        field: &'static str,
    },
}

/// Returns the cases of a `health_test.yaml`. As Argo CD reads it, the case of keys does not matter.
///
/// # Errors
///
/// Fails if the text is not YAML or has no list of cases, or if a case names no input or no status that
/// Argo CD has.
pub fn read_suite(yaml: &str) -> Result<Vec<SuiteCase>, SuiteError> {
    let suite: Value = serde_yaml::from_str(yaml)?;
    let cases = field(&suite, "tests").and_then(Value::as_array).ok_or(SuiteError::NoTests)?;
    cases.iter().enumerate().map(|(index, case)| read_case(index + 1, case)).collect()
}

/// Returns what becomes of a case whose input file holds `input`, judged by `assess`. Argo CD tests
/// the rules of kinds alone, as in [`crate::health::Rules::assess_by_kind`].
pub fn run_case(
    case: &SuiteCase,
    input: &str,
    assess: impl Fn(&Object) -> Option<Health>,
) -> Outcome {
    match Object::read_first(input) {
        Err(error) => Outcome::Unreadable { reason: error.to_string() },
        Ok(object) => match assess(&object) {
            Some(actual) if actual == case.expected => Outcome::Passed,
            actual => Outcome::Failed { actual },
        },
    }
}

fn read_case(index: usize, case: &Value) -> Result<SuiteCase, SuiteError> {
    let lacks = |field| SuiteError::Case { index, field };
    let input = field(case, "inputPath").and_then(Value::as_str).ok_or(lacks("inputPath"))?;
    let health = field(case, "healthStatus").ok_or(lacks("healthStatus"))?;
    let status = field(health, "status").and_then(Value::as_str).and_then(HealthStatus::parse);
    let message = field(health, "message").and_then(Value::as_str).unwrap_or_default();
    let expected = status.ok_or(lacks("status"))?.because(message);
    Ok(SuiteCase { input_path: input.to_owned(), expected })
}

fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let fields = value.as_object()?;
    fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Rules;

    const SUITE: &str = "
tests:
- healthStatus:
    status: Progressing
  inputpath: testdata/pending.yaml
- HealthStatus: {status: Degraded, message: gone}
  inputPath: testdata/failed.yaml
";

    #[test]
    fn reads_keys_in_any_case() {
        let cases = read_suite(SUITE).unwrap();
        assert_eq!(cases[0].input_path, "testdata/pending.yaml");
        assert_eq!(cases[0].expected, HealthStatus::Progressing.into());
        assert_eq!(cases[1].expected, HealthStatus::Degraded.because("gone"));
    }

    #[test]
    fn says_which_case_is_of_no_use() {
        let error =
            read_suite("tests: [{inputPath: a, healthStatus: {status: Fine}}]").unwrap_err();
        assert_eq!(error.to_string(), "case 1 has no valid `status`");
        for text in ["", "test: []", "tests:", "[]"] {
            assert_eq!(
                read_suite(text).unwrap_err().to_string(),
                "it has no list `tests`",
                "{text}"
            );
        }
    }

    #[test]
    fn judges_the_first_document_and_not_its_deletion() {
        let case = &read_suite(SUITE).unwrap()[1];
        let run = |input: &str| {
            run_case(case, input, |object| Rules::default().assess_by_kind(object).health)
        };
        let pod = "apiVersion: v1\nkind: Pod\nmetadata: {deletionTimestamp: '2026-01-01T00:00:00Z'}\nstatus: {phase: Failed, message: gone}\n";
        assert_eq!(run(&format!("{pod}---\nno object\n")), Outcome::Passed);
        assert!(matches!(run("apiVersion: v1\nkind: A\n"), Outcome::Failed { actual: None }));
        assert!(matches!(run("no object"), Outcome::Unreadable { .. }));
    }
}
