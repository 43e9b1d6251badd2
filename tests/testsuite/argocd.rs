//! Verdicts on Applications, `tests/data/argocd/<verdict>_<reason>.yaml`.
//!
//! The first document says what is expected, the second is the Application. A commit's first digit
//! says how it relates to the expected one: 1 older, 2 the same, 3 newer, 4 diverged.

use std::path::Path;

use deployctl::argocd::{Application, Expected, Finality, Relation, Verdict, judge};
use deployctl::k8s::Object;
use serde::Deserialize as _;
use serde_json::Value;

#[test]
fn applications_have_the_verdict_that_they_are_named_after() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/argocd");
    let mut wrong = Vec::new();
    for file in folder.read_dir().unwrap() {
        let path = file.unwrap().path();
        let documents: Vec<Value> =
            serde_yaml::Deserializer::from_str(&std::fs::read_to_string(&path).unwrap())
                .map(|document| Value::deserialize(document).unwrap())
                .collect();
        let [case, application] = documents.try_into().unwrap();
        let (expected, actual) = (stated(&case), judged(&case, application));
        if expected != actual {
            let name = path.file_name().unwrap().display();
            wrong.push(format!("{name}: expected {expected:?}, found {actual:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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

fn judged(case: &Value, application: Value) -> Verdict {
    let expected = Expected {
        repo_url: case["repoUrl"].as_str().unwrap_or("https://git.example.com/shop/manifests"),
        path: case["path"].as_str(),
        branch: case["branch"].as_str(),
        revision: case["revision"].as_str(),
        asked_at: case["askedAt"].as_str().map(|time| time.parse().unwrap()),
        relation: &|revision| match revision.as_bytes()[0] {
            b'1' => Relation::Older,
            b'2' => Relation::Same,
            b'3' => Relation::Newer,
            b'4' => Relation::Diverged,
            _ => Relation::Unknown,
        },
    };
    judge(Application::new(&Object::new(application).unwrap()).unwrap(), &expected)
}
