//! The health of our own fixtures, `tests/data/health/<Kind>/<status>_<reason>.yaml`.
//!
//! The file's name says the status (`absent`: no health), its comment `# says:` the message, and
//! `# argocd:` the version of Argo CD that says so, the newest if there is none.

mod input;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;
use deployctl::health::{Clock, Customizations, HealthStatus, Rules};
use deployctl::k8s::Object;
use deployctl::ops::{self, RuleOptions};
use deployctl::system;
use serde_json::{Value, json};

use crate::support::data::collection;

#[test]
fn fixtures_have_the_status_that_they_are_named_after() {
    let results = collection("health").into_iter().map(|path| (check(&path), path));
    let wrong = results.filter(|((expected, actual), _)| expected != actual);
    let wrong: Vec<_> = wrong
        .map(|((expected, actual), path)| {
            format!("{}: expected {expected:?}, found {actual:?}", path.display())
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn any_value_in_the_place_of_another_is_judged_without_a_panic() {
    let strangers = [
        json!(null),
        json!("x"),
        json!(i64::MAX),
        json!(i32::MIN),
        json!(1e300),
        json!([7]),
        json!({}),
    ];
    let rules = Rules::default();
    for path in collection("health") {
        let object = Object::read_first(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for pointer in pointers(object.value(), "") {
            for stranger in &strangers {
                let mut value = object.value().clone();
                *value.pointer_mut(&pointer).unwrap() = stranger.clone();
                if let Some(object) = Object::new(value) {
                    rules.assess(&object);
                }
            }
        }
    }
}

#[test]
fn scripts_of_a_folder_pass_their_suites() {
    let folder = Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/customizations");
    let options = RuleOptions { customizations: Some(folder.clone()), ..RuleOptions::default() };
    let report = ops::health_test(&folder, &ops::rules(&options).unwrap()).unwrap();
    assert_eq!((report.passed, report.failed), (11, Vec::new()));
    let native = RuleOptions { native_only: true, ..options };
    let report = ops::health_test(&folder, &ops::rules(&native).unwrap()).unwrap();
    assert_eq!(report.passed, 0);
}

#[test]
fn a_script_that_never_ends_has_a_second() {
    let clock = Clock { now: system::now, elapsed: system::elapsed };
    let mut customizations = Customizations::new(clock);
    customizations.add_directory("example.com/Widget", "\nwhile true do end".to_owned());
    let rules = Rules { customizations: Some(Arc::new(customizations)), ..Rules::default() };
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget"});
    let start = system::elapsed();
    let assessment = rules.assess(&Object::new(widget).unwrap());
    assert!(system::elapsed() - start >= Duration::from_secs(1));
    let expected = HealthStatus::Unknown.because("<string>:2: context deadline exceeded");
    assert_eq!(assessment.health, Some(expected));
    let rule = assessment.decided_by.map(|rule| rule.to_string());
    assert_eq!(rule.as_deref(), Some("lua:customizations:example.com/Widget"));
}

/// The JSON pointers of every value below `value`.
pub(crate) fn pointers(value: &Value, at: &str) -> Vec<String> {
    let escape = |key: &str| key.replace('~', "~0").replace('/', "~1");
    let below: Vec<_> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (escape(key), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(i, v)| (i.to_string(), v)).collect(),
        _ => Vec::new(),
    };
    let below = below.into_iter().flat_map(|(key, value)| pointers(value, &format!("{at}/{key}")));
    std::iter::once(at.to_owned()).chain(below).collect()
}

fn check(path: &Path) -> (String, String) {
    let yaml = std::fs::read_to_string(path).unwrap();
    let (status, _) = path.file_stem().unwrap().to_str().unwrap().split_once('_').unwrap();
    let comment = |what: &str| yaml.lines().find_map(|line| line.strip_prefix(what));
    let says = comment("# says: ");
    let version = comment("# argocd: ").map(|version| version.parse().unwrap());
    let rules = Rules { version: version.unwrap_or_default(), ..Rules::default() };
    let object = Object::read_first(&yaml).unwrap();
    let actual = match rules.assess(&object).health {
        Some(health) => {
            format!("{} {}", health.status.as_str().to_lowercase(), health.message)
        }
        None => "absent ".to_owned(),
    };
    (format!("{status} {}", says.unwrap_or_default()), actual)
}
