//! `kustomize edit set image`: kustomize's own test table, and edge cases from its source.

use deployctl::kustomize::{EditError, ImageEntry, Kustomization, Rules, set_image, trace};
use serde_json::{Map, Value};

use super::{Tally, cases};

#[test]
fn set_image_leaves_the_images_that_kustomize_leaves() {
    let Some(folder) = cases("kustomize-edit") else { return };
    let table = std::fs::read(folder.join("set_image.json")).unwrap();
    let table: Value = serde_json::from_slice(&table).unwrap();
    let mut tally = Tally::default();
    for kind in ["upstream_cases", "edge_cases"] {
        for case in table[kind].as_array().unwrap() {
            check(&mut tally, &format!("{kind} {}", case["id"]), case);
        }
    }
    for case in table["split_image_name_cases"].as_array().unwrap() {
        split(&mut tally, case);
    }
    tally.finish("kustomize-edit");
}

fn check(tally: &mut Tally, label: &str, case: &Value) {
    let arguments: Vec<&str> = case["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|argument| argument.as_str().unwrap())
        .collect();
    for file in files(case) {
        let found = set_image(file.as_bytes(), &arguments, Rules::Kustomize);
        if let Some(expected) = case["expected_error"].as_str() {
            tally.check(label, &found.err().map(|error| go_name(&error)), &Some(expected));
            continue;
        }
        let edit = found.unwrap_or_else(|error| panic!("{label}: {error}\n{file}"));
        let images: Vec<Value> = edit.images.iter().map(as_json).collect();
        tally.check(label, &Value::Array(images), &case["expected_images"]);
        let again = set_image(&edit.bytes, &arguments, Rules::Kustomize).unwrap();
        tally.check(&format!("{label} again"), &again.changed, &false);
    }
}

/// The file as the table has it, and its images written in some other ways.
fn files(case: &Value) -> Vec<String> {
    if let Some(lines) = case["existing_file_lines"].as_array() {
        let lines: Vec<&str> = lines.iter().map(|line| line.as_str().unwrap()).collect();
        return vec![lines.join("\n"), lines.join("\r\n") + "\r\n"];
    }
    let images = &case["existing_images"];
    if images.as_array().is_none_or(Vec::is_empty) {
        return vec![
            "namePrefix: x-\n".to_owned(),
            "images: [] # none\n".to_owned(),
            String::new(),
        ];
    }
    let block = serde_yaml::to_string(&serde_json::json!({ "images": images })).unwrap();
    vec![format!("# top\n{block}# end\nz: 1\n"), format!("images: {images}\n")]
}

fn as_json(entry: &ImageEntry) -> Value {
    let fields = [
        ("digest", entry.digest.as_ref()),
        ("name", Some(&entry.name)),
        ("newName", entry.new_name.as_ref()),
        ("newTag", entry.new_tag.as_ref()),
        ("tagSuffix", entry.tag_suffix.as_ref()),
    ];
    let present =
        fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.clone().into())));
    Value::Object(present.collect::<Map<_, _>>())
}

fn go_name(error: &EditError) -> &'static str {
    match error {
        EditError::NoArguments => "errImageNoArgs",
        EditError::Argument { .. } => "errImageInvalidArgs",
        _ => "another error",
    }
}

/// The split shows in what `x=INPUT` writes.
fn split(tally: &mut Tally, case: &Value) {
    let text = |key: &str| case[key].as_str().unwrap().to_owned();
    let argument = format!("x={}", text("input"));
    let edit = set_image(b"", &[argument], Rules::Kustomize).unwrap();
    let entry = &edit.images[0];
    let or_empty = |value: &Option<String>| value.clone().unwrap_or_default();
    let found = [&entry.new_name, &entry.new_tag, &entry.digest].map(or_empty);
    tally.check(&argument_label(case), &found, &["name", "tag", "digest"].map(text));
}

fn argument_label(case: &Value) -> String {
    format!("split {}", case["input"])
}

#[test]
fn entries_make_of_an_image_what_the_build_makes_of_it() {
    let Some(folder) = cases("kustomize-edit") else { return };
    let table = std::fs::read(folder.join("build_image.json")).unwrap();
    let table: Value = serde_json::from_slice(&table).unwrap();
    let mut tally = Tally::default();
    for case in table["single_file"].as_array().unwrap() {
        // What kustomize refuses, and `imageTags`, which it no longer documents, are left to it.
        let Some(expected) = case["result_image"].as_str() else { continue };
        let text = case["kustomization"].as_str().unwrap();
        if text.contains("imageTags") {
            continue;
        }
        let file = Kustomization::parse(text.as_bytes()).unwrap();
        let found = trace(file.images(), case["container_image"].as_str().unwrap());
        tally.check(case["description"].as_str().unwrap(), &found.result(), &expected);
    }
    tally.finish("kustomize-edit/build_image");
}
