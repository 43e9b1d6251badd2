//! Verdicts on Applications, `tests/data/argocd/<verdict>_<reason>.yaml`.
//!
//! The first document says what is expected, the second is the Application. A commit's first digit
//! says how it relates to the expected one: 1 older, 2 the same, 3 newer, 4 diverged.

use std::path::{Path, PathBuf};

use deployctl::argocd::{
    Accepts, Application, ApplicationSet, Expected, Finality, Project, Relation, Verdict, judge,
    sync_request,
};
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

/// A fixture says by `sync` which operation has to be asked for; in all others there is none.
#[test]
fn a_sync_is_asked_for_where_somebody_has_to() {
    for (name, case, application) in fixtures() {
        let object = Object::new(application).unwrap();
        let application = Application::new(&object).unwrap();
        let request = expecting(&case, |expected| sync_request(application, expected));
        assert_eq!(request.as_ref(), case.get("sync"), "{name}");
    }
}

/// `tests/data/argocd-watches`: expectation, first version, then what each next version changes (an RFC
/// 7386 merge patch) and its verdict.
#[test]
fn every_version_of_a_recorded_watch_has_its_verdict() {
    let mut wrong = Vec::new();
    for path in collection("argocd-watches") {
        let mut documents = documents(&path).into_iter();
        let case = documents.next().unwrap();
        let mut application = documents.next().unwrap();
        for (index, version) in documents.enumerate() {
            merge(&mut application, &version["patch"]);
            let (expected, actual) =
                (stated(&version), judged(&case, application.clone()).unwrap());
            if expected != actual {
                let name = path.file_stem().unwrap().display();
                wrong.push(format!("{name} {index}: expected {expected:?}, found {actual:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn merge(into: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let map = into.as_object_mut().unwrap();
    for (key, value) in patch {
        match value {
            Value::Null => drop(map.shift_remove(key)),
            value => merge(map.entry(key.clone()).or_insert(Value::Null), value),
        }
    }
}

#[test]
fn any_value_in_the_place_of_another_is_judged_without_a_panic() {
    let strangers = [json!(null), json!("é"), json!(i64::MIN), json!([[]]), json!({"a": 1})];
    for (index, (_, case, application)) in fixtures().into_iter().enumerate() {
        for (place, pointer) in pointers(&application, "").into_iter().enumerate() {
            // Nearly every place is in every fixture, so that each stranger comes to it somewhere.
            for stranger in [index + place, index + place + 1].map(|at| &strangers[at % 5]) {
                let mut application = application.clone();
                *application.pointer_mut(&pointer).unwrap() = stranger.clone();
                judged(&case, application);
            }
        }
    }
}

#[test]
fn any_value_in_what_is_around_an_application_is_judged_without_a_panic() {
    let strangers = [json!(null), json!("*/5 [{"), json!(i64::MIN), json!([[]]), json!({"a": 1})];
    for (_, case, application) in fixtures() {
        for around in ["/project", "/applicationSet"] {
            let Some(object) = case.pointer(around) else { continue };
            let named = ["/apiVersion", "/kind", ""];
            for pointer in pointers(object, "").iter().filter(|p| !named.contains(&p.as_str())) {
                for stranger in &strangers {
                    let mut case = case.clone();
                    *case.pointer_mut(&format!("{around}{pointer}")).unwrap() = stranger.clone();
                    judged(&case, application.clone());
                }
            }
        }
    }
}

/// Name, expectation and Application of every fixture.
fn fixtures() -> Vec<(String, Value, Value)> {
    let read = |path: PathBuf| {
        let [case, application] = documents(&path).try_into().unwrap();
        (path.file_stem().unwrap().display().to_string(), case, application)
    };
    collection("argocd").into_iter().map(read).collect()
}

fn documents(path: &Path) -> Vec<Value> {
    let yaml = std::fs::read_to_string(path).unwrap();
    let documents = serde_yaml::Deserializer::from_str(&yaml);
    documents.map(|document| Value::deserialize(document).unwrap()).collect()
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
    let object = Object::new(application)?;
    let application = Application::new(&object)?;
    Some(expecting(case, |expected| judge(application, expected)))
}

/// Calls `ask` with what `case` says is expected.
fn expecting<T>(case: &Value, ask: impl FnOnce(&Expected<'_>) -> T) -> T {
    let time = |key: &str| case[key].as_str().map(|time| time.parse().unwrap());
    let accepts =
        |state: &str| case["accepts"].as_array().is_some_and(|a| a.contains(&json!(state)));
    let set = case.get("applicationSet").map(|set| Object::new(set.clone()).unwrap());
    let project = case.get("project").map(|project| Object::new(project.clone()).unwrap());
    let expected = Expected {
        repo_url: match &case["repoUrl"] {
            Value::String(url) if url == "any" => None,
            Value::String(url) => Some(url),
            _ => Some("https://git.example.com/shop/manifests"),
        },
        path: case["path"].as_str(),
        branch: case["branch"].as_str(),
        revision: case["revision"].as_str(),
        within_sync: case["withinSync"] == true,
        asked_at: time("askedAt"),
        now: time("now").unwrap_or("2026-03-01T10:06:00Z".parse().unwrap()),
        until: time("until"),
        project: project.as_ref().map(|project| Project::new(project).unwrap()),
        application_set: set.as_ref().map(|set| ApplicationSet::new(set).unwrap()),
        accepts: Accepts { suspended: accepts("suspended"), out_of_sync: accepts("outOfSync") },
        relation: &|revision| match revision.as_bytes().first().copied().unwrap_or_default() {
            b'1' => Relation::Older,
            b'2' => Relation::Same,
            b'3' => Relation::Newer,
            b'4' => Relation::Diverged,
            _ => Relation::Unknown,
        },
    };
    ask(&expected)
}
