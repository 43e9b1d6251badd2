//! docker/metadata-action: its own tests of events and inputs, run through the program, and of the
//! lines' grammar.

use deployctl::tags::{
    Flavor, ImageName, Input, Latest, Line, RefEvent, Rule, RuleKind, ShaFormat,
};
use serde_json::{Value, json};

use super::{Tally, cases};
use crate::support::World;

#[test]
fn tags_are_those_of_the_action() {
    let Some(folder) = cases("metadata-action") else { return };
    let all: Value = read(&folder.join("cases.json"));
    // 2020-01-10T00:30:00Z, where the action's tests stop the clock.
    let world = World::new().with("SOURCE_DATE_EPOCH", "1578616200");
    world.write("repository.json", &all["repo"].to_string());
    let mut tally = Tally::default();
    for case in all["cases"].as_array().unwrap() {
        let name = format!("{}/{}", case["group"].as_str().unwrap(), case["name"]);
        let event = &all["events"][case["event"].as_str().unwrap()];
        let found = run(&world, event, &case["inputs"]);
        for key in ["version", "tags", "labels", "annotations"] {
            tally.check(&format!("{name} {key}"), &found[key], &case["expect"][key]);
        }
    }
    tally.finish("metadata-action");
}

/// Returns what the program answers on `event`.
fn run(world: &World, event: &Value, inputs: &Value) -> Value {
    let event_file = world.write("event.json", &event["payload"].to_string());
    let mut arguments = vec!["tags", "--output", "json", "--repository", "repository.json"];
    for (input, argument) in [
        ("images", "--images"),
        ("tags", "--tag"),
        ("flavor", "--flavor"),
        ("labels", "--label"),
        ("annotations", "--annotation"),
    ] {
        for value in inputs[input].as_array().into_iter().flatten() {
            arguments.extend([argument, value.as_str().unwrap()]);
        }
    }
    let mut command = world.command(&arguments);
    let variables = event["env"].as_object().unwrap().iter();
    command.envs(variables.map(|(name, value)| (name, value.as_str().unwrap())));
    let ran = command.env("GITHUB_EVENT_PATH", event_file).output().unwrap();
    serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|_| json!({ "tags": String::from_utf8_lossy(&ran.stderr) }))
}

#[test]
fn lines_are_read_as_the_action_reads_them() {
    let Some(folder) = cases("metadata-action") else { return };
    let tables = read(&folder.join("parse_cases.json"))["cases"].clone();
    let mut tally = Tally::default();
    for (table, found) in TABLES {
        for row in tables[table].as_array().unwrap_or_else(|| panic!("no table {table}")) {
            let lines: Vec<Line> = match &row[0] {
                Value::String(line) => vec![self::line(line)],
                lines => {
                    lines.as_array().unwrap().iter().map(|it| line(it.as_str().unwrap())).collect()
                }
            };
            let expected = if row[2] == true { Value::Null } else { row[1].clone() };
            tally.check(&format!("{table} {row}"), &found(&lines), &expected);
        }
    }
    tally.finish("metadata-action lines");
}

/// Returns what lines mean, or `null` if they are refused.
type Reading = fn(&[Line]) -> Value;

const TABLES: [(&str, Reading); 4] = [
    ("tag.parse", |lines| Rule::read(&lines[0]).map_or(Value::Null, |rule| attributes(&rule))),
    ("tag.transform", |lines| {
        let rules = Rule::read_all(lines);
        rules.map_or(Value::Null, |rules| rules.iter().map(attributes).collect())
    }),
    ("flavor.transform", |lines| Flavor::read(lines).map_or(Value::Null, |it| flavor(&it))),
    ("image.transform", |lines| {
        let image = |it: &ImageName| json!({"name": it.name, "enable": it.is_enabled});
        ImageName::read_all(lines).map_or(Value::Null, |images| images.iter().map(image).collect())
    }),
];

/// Returns the rule as the action holds it: all text, defaults filled in.
fn attributes(rule: &Rule) -> Value {
    let mut attributes = match &rule.kind {
        RuleKind::Schedule { pattern } => json!({"pattern": pattern}),
        RuleKind::Semver(it) | RuleKind::Pep440(it) => {
            json!({"pattern": it.pattern, "value": it.value, "match": it.matching})
        }
        RuleKind::Match { pattern, group, value } => {
            json!({"pattern": pattern, "group": group, "value": value})
        }
        RuleKind::Edge { branch } => json!({"branch": branch}),
        RuleKind::Ref(RefEvent::Branch) => json!({"event": "branch"}),
        RuleKind::Ref(RefEvent::Tag) => json!({"event": "tag"}),
        RuleKind::Ref(RefEvent::PullRequest) => json!({"event": "pr"}),
        RuleKind::Raw { value } => json!({"value": value}),
        RuleKind::Sha(ShaFormat::Short) => json!({"format": "short"}),
        RuleKind::Sha(ShaFormat::Long) => json!({"format": "long"}),
    };
    attributes["priority"] = rule.priority.to_string().into();
    attributes["enable"] = rule.enable.as_str().into();
    for (key, text) in [("prefix", &rule.prefix), ("suffix", &rule.suffix)] {
        if let Some(text) = text {
            attributes[key] = text.as_str().into();
        }
    }
    json!({"type": rule.type_name(), "attrs": attributes})
}

fn flavor(flavor: &Flavor) -> Value {
    let latest = match flavor.latest {
        Latest::Auto => "auto",
        Latest::Always => "true",
        Latest::Never => "false",
    };
    json!({
        "latest": latest,
        "prefix": flavor.prefix,
        "prefixLatest": flavor.is_prefix_on_latest,
        "suffix": flavor.suffix,
        "suffixLatest": flavor.is_suffix_on_latest,
    })
}

fn line(text: &str) -> Line {
    Line { input: Input::Tags, number: 1, text: text.to_owned() }
}

fn read(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
