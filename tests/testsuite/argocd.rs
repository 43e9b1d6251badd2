//! Verdicts on Applications, `tests/data/argocd/<verdict>_<reason>.yaml`.
//!
//! The first document says what is expected, the second is the Application. A commit's first digit
//! says how it relates to the expected one: 1 older, 2 the same, 3 newer, 4 diverged.

use std::path::PathBuf;

use deployctl::argocd::{Application, Expected, Finality, Relation, Verdict, judge};
use deployctl::k8s::Object;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::health::pointers;
use crate::support::data::collection;

#[test]
fn applications_have_the_verdict_that_they_are_named_after() {
    let mut wrong = Vec::new();
    for (name, case, application) in fixtures() {
        let (expected, actual) = (stated(&case), judged(&case, application).unwrap());
        if expected != actual {
            wrong.push(format!("{name}: expected {expected:?}, found {actual:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn any_value_in_the_place_of_another_is_judged_without_a_panic() {
    let strangers = [json!(null), json!("é"), json!(i64::MIN), json!([[]]), json!({"a": 1})];
    for (_, case, application) in fixtures() {
        for pointer in pointers(&application, "") {
            for stranger in &strangers {
                let mut application = application.clone();
                *application.pointer_mut(&pointer).unwrap() = stranger.clone();
                judged(&case, application);
            }
        }
    }
}

/// Name, expectation and Application of every fixture.
fn fixtures() -> Vec<(String, Value, Value)> {
    let read = |path: PathBuf| {
        let yaml = std::fs::read_to_string(&path).unwrap();
        let documents = serde_yaml::Deserializer::from_str(&yaml);
        let documents: Vec<_> = documents.map(|d| Value::deserialize(d).unwrap()).collect();
        let [case, application] = documents.try_into().unwrap();
        (path.file_stem().unwrap().display().to_string(), case, application)
    };
    collection("argocd").into_iter().map(read).collect()
}

fn stated(case: &Value) -> Verdict {
    let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
    match case["verdict"].as_str().unwrap() {
        "RolledOut" => Verdict::RolledOut { revision: text("live") },
        "Waiting" => Verdict::Waiting { reason: text("reason") },
        "Failed" => {
            let since = case["since"].as_str().map(|since| since.parse().unwrap());
            let finality = match case["finality"].as_str().unwrap() {
                "Final" => Finality::Final,
                _ => Finality::MayRecover { since },
            };
            Verdict::Failed { reason: text("reason"), finality }
        }
        other => panic!("no verdict {other}"),
    }
}

fn judged(case: &Value, application: Value) -> Option<Verdict> {
    let expected = Expected {
        repo_url: match &case["repoUrl"] {
            Value::String(url) if url == "any" => None,
            Value::String(url) => Some(url),
            _ => Some("https://git.example.com/shop/manifests"),
        },
        path: case["path"].as_str(),
        branch: case["branch"].as_str(),
        revision: case["revision"].as_str(),
        asked_at: case["askedAt"].as_str().map(|time| time.parse().unwrap()),
        within_sync: case["withinSync"] == true,
        relation: &|revision| match revision.as_bytes().first().copied().unwrap_or_default() {
            b'1' => Relation::Older,
            b'2' => Relation::Same,
            b'3' => Relation::Newer,
            b'4' => Relation::Diverged,
            _ => Relation::Unknown,
        },
    };
    let object = Object::new(application)?;
    Some(judge(Application::new(&object)?, &expected))
}
