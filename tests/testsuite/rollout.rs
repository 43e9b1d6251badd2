//! Why rollouts do not get on, case by case: `tests/data/rollout/<cause>/<case>.yaml`.
//!
//! Each file is a recorded version in the shape that the API server, the kubelet, the scheduler and the
//! controllers write, and says in its first lines what is to be told. With `DEPLOYCTL_BLESS=1` those
//! lines are written anew, to be read in the diff.

use camino::Utf8Path;
use deployctl::cluster::{Cluster as _, Recording, Scope};
use deployctl::rollout::{Gravity, RootCause, diagnose};

use crate::support::data;

fn told(cause: Option<&RootCause>) -> String {
    let Some(cause) = cause else { return "# cause: none\n".to_owned() };
    let gravity = match cause.gravity {
        Gravity::Transient => "transient".to_owned(),
        Gravity::Fatal { grace } => format!("fatal after {} s", grace.as_secs()),
    };
    let evidence: String = cause
        .evidence
        .iter()
        .map(|e| {
            let times = if e.count > 1 { format!(" x{}", e.count) } else { String::new() };
            let log: String = e.log.iter().map(|line| format!("#     | {line}\n")).collect();
            let object = format!("{} {}", e.object.kind, e.object.name);
            format!("#   {object}: {}{times}\n{log}", e.reason)
        })
        .collect();
    format!(
        "# cause: {}\n# summary: {}\n# gravity: {gravity}, {}\n# advice: {}\n# evidence:\n{evidence}",
        cause.kind.as_str(),
        cause.summary,
        cause.because,
        cause.advice
    )
}

#[tokio::test]
async fn each_case_is_told_as_its_first_lines_say() {
    let bless = std::env::var_os("DEPLOYCTL_BLESS").is_some();
    let mut wrong = Vec::new();
    for path in data::collection("rollout") {
        let path = Utf8Path::from_path(&path).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let start = text.find("schema:").unwrap();
        let (expected, version) = text.split_at(start);
        let recording = Recording::read([(path, version)], &[]).unwrap();
        let mut snapshot = recording.follow(&Scope::default()).observe().await.unwrap();
        snapshot.time = Some(recording.now());
        let cause = diagnose(&snapshot);
        let found = told(cause.as_ref());
        if bless {
            std::fs::write(path, format!("{found}{version}")).unwrap();
        } else if found != expected {
            wrong.push(format!("{path}\nexpected:\n{expected}found:\n{found}"));
        }
        let of_folder = path.parent().and_then(|folder| folder.file_name()).unwrap();
        let kind = cause.as_ref().map_or("none", |cause| cause.kind.as_str());
        if kind != of_folder {
            wrong.push(format!("{path} is told as `{kind}`"));
        }
        if cause.is_some_and(|cause| cause.advice.is_empty() || cause.because.is_empty()) {
            wrong.push(format!("{path}: no advice"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
