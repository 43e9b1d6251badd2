//! Argo CD's cases for custom resources, judged by the shipped rows alone.

use std::path::{Path, PathBuf};

use deployctl::health::native::Table;
use deployctl::health::{HealthStatus, Outcome, SuiteCase, read_suite, run_case};

use super::cases;

/// How many cases in a hundred must pass, status and message.
const PASS: usize = 99;

#[test]
fn custom_resources_have_the_health_that_argo_cd_gives_them() {
    let Some(folder) = cases("argo-health/customizations") else { return };
    let mut suites = Vec::new();
    find(&folder, &mut suites);
    let (mut passed, mut failed, mut false_healthy) = (0, Vec::new(), Vec::new());
    for suite in suites {
        for case in read_suite(&std::fs::read_to_string(&suite).unwrap()).unwrap() {
            let input = suite.with_file_name(&case.input_path);
            let name = input.strip_prefix(&folder).unwrap().display().to_string();
            match judge(&case, &input) {
                Outcome::Passed => passed += 1,
                Outcome::Failed { actual: Some(actual) }
                    if actual.status == HealthStatus::Healthy
                        && case.expected.status != HealthStatus::Healthy =>
                {
                    false_healthy.push(name);
                }
                outcome => failed.push(format!("{name}: {:?}, {outcome:?}", case.expected)),
            }
        }
    }
    let all = passed + failed.len() + false_healthy.len();
    eprintln!("argo-health native: {passed} passed, {} failed", all - passed);
    assert!(false_healthy.is_empty(), "{false_healthy:?}");
    assert!(passed * 100 >= all * PASS, "{passed} of {all}:\n{}", failed.join("\n"));
}

fn judge(case: &SuiteCase, input: &Path) -> Outcome {
    let table = Table::default();
    run_case(case, &std::fs::read_to_string(input).unwrap(), |object| table.shipped(object))
}

fn find(folder: &Path, suites: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, suites);
        } else if path.ends_with("health_test.yaml") {
            suites.push(path);
        }
    }
}
