//! The health of our own fixtures, `tests/data/health/<Kind>/<status>_<reason>.yaml`.
//!
//! The file's name says the status (`absent`: no health), its comment `# says:` the message.

use std::path::Path;

use deployctl::health::Rules;
use deployctl::k8s::Object;
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
    let says = yaml.lines().next().and_then(|line| line.strip_prefix("# says: "));
    let object = Object::read_first(&yaml).unwrap();
    let actual = match Rules::default().assess(&object).health {
        Some(health) => {
            format!("{} {}", health.status.as_str().to_lowercase(), health.message)
        }
        None => "absent ".to_owned(),
    };
    (format!("{status} {}", says.unwrap_or_default()), actual)
}
