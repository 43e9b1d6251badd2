//! Argo CD's cases for custom resources, judged by the shipped rows alone.

use std::path::{Path, PathBuf};

use deployctl::health::native::Table;
use deployctl::health::{HealthStatus, Outcome, SuiteCase, read_suite, run_case};
use deployctl::k8s::Object;
use serde_json::json;

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

/// A controller that errs writes a status of another shape, or one without end.
#[test]
fn a_status_of_any_shape_is_judged() {
    let Some(folder) = cases("argo-health/customizations") else { return };
    let mut suites = Vec::new();
    find(&folder, &mut suites);
    let condition = json!({"type": "Any", "status": 3, "reason": ["a"], "message": {"b": null}});
    let endless =
        json!({"conditions": vec![condition.clone(); 3000], "phase": "A".repeat(100_000)});
    let shapes = [
        json!("Ready"),
        json!(["Ready", null, 3, {}]),
        json!({"conditions": "Ready", "phase": ["Ready"], "observedGeneration": {}}),
        json!({"conditions": [null, 3, "Ready", [], condition], "state": {"state": 1e300}}),
        json!({"conditions": {"Ready": true}, "replicas": -1, "readyReplicas": "99999999999999999999"}),
        endless,
    ];
    let mut judged = 0;
    for suite in suites.into_iter().step_by(5) {
        let Some(case) = read_suite(&std::fs::read_to_string(&suite).unwrap()).unwrap().pop()
        else {
            continue;
        };
        let text = std::fs::read_to_string(suite.with_file_name(&case.input_path)).unwrap();
        let mut object = Object::read_first(&text).unwrap().value().clone();
        for shape in &shapes {
            object["status"] = shape.clone();
            let object = Object::new(object.clone()).unwrap();
            judged += usize::from(Table::default().shipped(&object).is_some());
        }
    }
    assert!(judged > 200, "{judged}");
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
