//! moby/patternmatcher: its own test tables, and recorded random inputs.

use deployctl::image::ignore::{IgnoreError, IgnoreFile};
use serde_json::Value;

use super::{Tally, cases};

#[test]
fn ignore_files_leave_out_what_moby_leaves_out() {
    let Some(folder) = cases("dockerignore") else { return };
    let read = |file: &str| -> Value {
        serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap()
    };
    let (tables, differential) = (read("pattern_cases.json"), read("differential.json"));
    let mut tally = Tally::default();
    for case in tables["match_cases"].as_array().unwrap() {
        let rules = IgnoreFile::from_patterns(strings(&case["patterns"]));
        judged(&mut tally, case, rules);
    }
    for case in tables["parse_cases"].as_array().unwrap() {
        parsed(&mut tally, case, "content", "expected");
    }
    for case in tables["new_cases"].as_array().unwrap() {
        made(&mut tally, case);
    }
    for case in differential["cases"].as_array().unwrap() {
        parsed(&mut tally, case, "ignorefile", "patterns");
        judged(&mut tally, case, IgnoreFile::parse(case["ignorefile"].as_str().unwrap()));
    }
    tally.finish("dockerignore");
}

fn judged(tally: &mut Tally, case: &Value, rules: Result<IgnoreFile, IgnoreError>) {
    let verdict = rules.and_then(|rules| rules.verdict(case["path"].as_str().unwrap()));
    let found = match &verdict {
        Ok(verdict) => (verdict.ignored, ""),
        Err(IgnoreError::EmptyException { .. }) => (false, "illegal exclusion pattern: \"!\""),
        Err(IgnoreError::BadPattern { .. }) => (false, "ErrBadPattern"),
        Err(IgnoreError::TooLong { .. }) => (false, "token too long"),
    };
    let error = case["error"].as_str().unwrap_or_default();
    let error = error.split(" (").next().unwrap();
    tally.check(&case.to_string(), &found, &(case["ignored"].as_bool().unwrap(), error));
}

fn parsed(tally: &mut Tally, case: &Value, text: &str, patterns: &str) {
    let found: Vec<String> = IgnoreFile::lines(case[text].as_str().unwrap()).map(|l| l.1).collect();
    tally.check(&case.to_string(), &found, &strings(&case[patterns]));
}

fn made(tally: &mut Tally, case: &Value) {
    let Ok(rules) = IgnoreFile::from_patterns(strings(&case["patterns"])) else {
        return tally.check(&case.to_string(), &true, &case["error"].as_bool().unwrap_or(false));
    };
    let patterns: Vec<String> = rules.patterns().collect();
    if let Some(count) = case["len"].as_u64() {
        tally.check(&case.to_string(), &(patterns.len() as u64), &count);
    }
    if let Some(expected) = case["has_exclusions"].as_bool() {
        let found = patterns.iter().any(|pattern| pattern.starts_with('!'));
        tally.check(&case.to_string(), &found, &expected);
    }
}

fn strings(values: &Value) -> Vec<String> {
    values.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}
