//! What a change does to the rendering, by the cases in `tests/data/effect`, rendered for real.

use std::sync::Mutex;

use camino::Utf8Path;
use deployctl::image::PinnedImage;
use deployctl::kustomize::{ChangedTree, FileTree as _, ImageChange, MemoryTree, set_images};
use deployctl::ops::{Edited, EffectError, Event, RenderedChange, between, check_effect};
use deployctl::render::External;
use deployctl::system::Environment;
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::support::data::cases;
use crate::support::peer;

/// A case: a repository with an overlay, and an image that is set there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    files: BTreeMap<String, String>,
    /// `NAME=IMAGE`
    set: String,
    /// Why the change is refused.
    error: Option<String>,
    /// What to do then.
    instead: Option<String>,
    /// How the warning begins that the change is not checked.
    warning: Option<String>,
    /// The lines of the rendering that differ.
    changes: Option<String>,
}

const FILE: &str = "overlay/kustomization.yaml";

struct Checked {
    result: Result<Vec<RenderedChange>, EffectError>,
    warnings: Vec<String>,
}

async fn check(case: &Case, renderer: &External, allow_other_changes: bool) -> Checked {
    let files = case.files.iter().map(|(path, text)| (path.into(), text.clone().into_bytes()));
    let before = MemoryTree(files.collect());
    let (name, image) = case.set.split_once('=').unwrap();
    let image: PinnedImage = image.parse().unwrap();
    let bytes = before.read(Utf8Path::new(FILE)).unwrap().unwrap();
    let pin = ImageChange::pin(name, image.clone());
    let after = set_images(&bytes, &[pin]).unwrap().bytes;
    let texts = [&bytes, &after].map(|bytes| String::from_utf8(bytes.clone()).unwrap());
    let edited = Edited {
        service: "web".to_owned(),
        file: FILE.into(),
        before: None,
        image,
        diff: between("a", &texts[0], "b", &texts[1]),
        rendered: None,
    };
    let changes = MemoryTree([(FILE.into(), after)].into());
    let after = ChangedTree { base: &before, changes: &changes };
    let warnings = Mutex::new(Vec::new());
    let emit = |event| match event {
        Event::Warning(text) => warnings.lock().unwrap().push(text),
        event => panic!("{event:?}"),
    };
    let result =
        check_effect(renderer, &before, &after, &[edited], allow_other_changes, &emit).await;
    Checked { result, warnings: warnings.into_inner().unwrap() }
}

fn changed_lines(rendered: &[RenderedChange]) -> String {
    let lines = rendered.iter().flat_map(|change| change.diff.lines());
    let changed = lines.filter(|line| line.starts_with(['+', '-']));
    let lines = changed.filter(|line| !line.starts_with("+++") && !line.starts_with("---"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What came of a case, in its own words.
fn outcome(checked: &Checked) -> String {
    let mut lines = match &checked.result {
        Ok(rendered) => changed_lines(rendered),
        Err(error) => format!("error: {error}"),
    };
    if let Err(EffectError::NoEffect(swallowed)) = &checked.result {
        lines.push_str(&format!("\ninstead: {}", swallowed.instead().unwrap_or_default()));
    }
    lines
}

fn expected(case: &Case) -> String {
    let error = case.error.as_ref().map(|error| format!("error: {error}"));
    let mut lines = error.or_else(|| case.changes.clone()).unwrap_or_default();
    if let Some(instead) = &case.instead {
        lines.push_str(&format!("\ninstead: {instead}"));
    }
    lines
}

#[tokio::test]
async fn a_change_does_what_was_asked_or_is_refused_with_the_reason() {
    if peer("kubectl").is_none() {
        return;
    }
    let renderer = External::new(&Environment::of_process());
    let mut told = String::new();
    for (name, case) in cases::<Case>("effect") {
        let checked = check(&case, &renderer, false).await;
        let (found, expected) = (outcome(&checked), expected(&case));
        if found != expected {
            told.push_str(&format!("== {name}\n{found}\n-- expected\n{expected}\n"));
        }
        let is_told = match (&case.warning, &checked.warnings[..]) {
            (None, []) => true,
            (Some(start), [warning]) => warning.starts_with(start),
            _ => false,
        };
        if !is_told {
            told.push_str(&format!("== {name}: {:?}\n", checked.warnings));
        }
        if matches!(checked.result, Err(EffectError::OtherChanges { .. })) {
            assert!(check(&case, &renderer, true).await.result.is_ok(), "{name}");
        }
    }
    assert!(told.is_empty(), "{told}");
}

#[tokio::test]
async fn without_a_renderer_a_change_goes_unchecked_and_says_so() {
    let renderer = External::new(&Environment::from_iter([("PATH", "/nowhere")]));
    for (name, case) in cases::<Case>("effect") {
        let checked = check(&case, &renderer, false).await;
        assert_eq!(checked.result.unwrap(), [], "{name}");
        let expected = "what the change does to the rendered manifests is not checked: neither `kustomize` nor `kubectl` is on PATH";
        assert_eq!(checked.warnings, [expected], "{name}");
    }
}
