//! distribution/reference: its own test tables, and recorded random inputs.

use deployctl::image::{AnyReference, ImageReference, ReferenceError, WrittenReference};
use serde_json::Value;

use super::{Tally, cases};

#[test]
fn image_references_are_read_as_distribution_reads_them() {
    let Some(folder) = cases("image-reference") else { return };
    let read = |file: &str| -> Value {
        serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap()
    };
    let mut tally = Tally::default();
    let tables = &read("reference_cases.json")["cases"];
    for (table, check) in TABLES {
        for case in tables[table].as_array().unwrap_or_else(|| panic!("no table {table}")) {
            check(&mut tally, table, case);
        }
    }
    for case in read("differential.json")["cases"].as_array().unwrap() {
        differential(&mut tally, case);
    }
    tally.finish("image-reference");
}

type Check = fn(&mut Tally, &str, &Value);

const TABLES: [(&str, Check); 20] = [
    ("parse", written),
    ("serialization", written),
    ("with_name_failure", |tally, table, case| {
        tally.check(&label(table, case), &as_name(text(case, "input")).is_none(), &true);
    }),
    ("domain_and_path", written_split),
    ("with_tag", written_combined),
    ("parse_named_canonical", canonical_only),
    ("normalized_valid", |t, table, case| valid(t, table, case, case.as_str().unwrap(), true)),
    ("normalized_invalid", |t, table, case| valid(t, table, case, case.as_str().unwrap(), false)),
    ("remote_valid", |t, table, case| valid(t, table, case, case.as_str().unwrap(), true)),
    ("remote_invalid", |t, table, case| valid(t, table, case, case.as_str().unwrap(), false)),
    ("repository_info", repository_info),
    ("parse_any_reference", any_reference),
    ("normalized_split", |tally, table, case| {
        let name = text(case, "input").parse::<ImageReference>().unwrap().name;
        let expected = (text(case, "domain"), text(case, "path"));
        tally.check(&label(table, case), &(name.domain(), name.path()), &expected);
    }),
    ("parse_docker_ref", |tally, table, case| {
        let found = text(case, "input").parse::<ImageReference>().unwrap().looked_up().to_string();
        tally.check(&label(table, case), &found.as_str(), &text(case, "expected"));
    }),
    ("regexp_domain", |tally, table, case| {
        let text = format!("{}/x", text(case, "input"));
        let found = WrittenReference::parse(&text).is_ok_and(|r| r.domain.is_some());
        tally.check(&label(table, case), &found, &case["match"].as_bool().unwrap());
    }),
    ("regexp_full_name", full_name),
    ("regexp_reference", |tally, table, case| {
        let found = WrittenReference::parse(text(case, "input"));
        tally.check(&label(table, case), &found.is_ok(), &case["match"].as_bool().unwrap());
        if let (Ok(found), Some(subs)) = (found, case["subs"].as_array()) {
            let tag = found.tag.as_ref().map_or("", |tag| tag.as_str());
            let digest = found.digest.as_ref().map_or("", |digest| digest.as_str());
            tally.check(
                &label(table, case),
                &[name(&found).as_str(), tag, digest].as_slice(),
                &strings(subs).as_slice(),
            );
        }
    }),
    ("regexp_identifier", |tally, table, case| {
        let refused = text(case, "input").parse::<ImageReference>();
        let found = matches!(refused, Err(ReferenceError::Identifier(_)));
        tally.check(&label(table, case), &found, &case["match"].as_bool().unwrap());
    }),
    ("with_tag_digest_invalid", |tally, table, case| {
        let mut all = text(case, "name").to_owned();
        if case["tag"].is_string() {
            all = format!("{all}:{}", text(case, "tag"));
        }
        if case["digest"].is_string() {
            all = format!("{all}@{}", text(case, "digest"));
        }
        valid(tally, table, case, &all, false);
    }),
    ("tag_and_digest", |tally, table, case| {
        let found: ImageReference = text(case, "input").parse().unwrap();
        let expected = (text(case, "normalized").to_owned(), text(case, "familiar").to_owned());
        tally.check(&label(table, case), &(found.to_string(), found.familiar()), &expected);
    }),
];

fn differential(tally: &mut Tally, case: &Value) {
    let label = label("differential", case);
    let found = match text(case, "input").parse::<ImageReference>() {
        Ok(found) => found,
        Err(error) => {
            return tally.check(&label, &error.to_string().as_str(), &text(case, "err"));
        }
    };
    let name_only = found.clone().or_latest().to_string();
    let parts = [
        ("canonical", found.to_string()),
        ("familiar", found.familiar()),
        ("domain", found.name.domain().to_owned()),
        ("path", found.name.path().to_owned()),
        ("tag", found.tag.map_or_else(String::new, |tag| tag.to_string())),
        ("digest", found.digest.map_or_else(String::new, |digest| digest.to_string())),
        ("tag_name_only", name_only),
    ];
    let expected = parts.each_ref().map(|(key, _)| (*key, text(case, key).to_owned()));
    tally.check(&label, &parts, &expected);
}

fn written(tally: &mut Tally, table: &str, case: &Value) {
    let label = label(table, case);
    let found = match WrittenReference::parse(text(case, "input")) {
        Ok(found) => found,
        Err(error) => return tally.check(&label, &go_name(&error), &text(case, "err")),
    };
    let key = if table == "serialization" { "name" } else { "repository" };
    tally.check(&label, &name(&found).as_str(), &text(case, key));
    if table == "parse" {
        tally.check(&label, &found.domain.unwrap_or_default(), &text(case, "domain"));
    }
    let tag = found.tag.as_ref().map_or("", |tag| tag.as_str());
    let digest = found.digest.as_ref().map_or("", |digest| digest.as_str());
    tally.check(&label, &(tag, digest), &(text(case, "tag"), text(case, "digest")));
}

fn written_split(tally: &mut Tally, table: &str, case: &Value) {
    let found = WrittenReference::parse(text(case, "input")).unwrap();
    let expected = (text(case, "domain"), text(case, "path"));
    tally.check(&label(table, case), &(found.domain.unwrap_or_default(), found.path), &expected);
}

/// `WithTag` joins; here the joined text is taken apart again. Digests in this table are not valid
/// ones, and `with_digest` has no other kind, so both are left to the typed [`deployctl::image::Digest`].
fn written_combined(tally: &mut Tally, table: &str, case: &Value) {
    let tagged = text(case, "combined").split('@').next().unwrap();
    let found = WrittenReference::parse(tagged).unwrap();
    let parts = (name(&found), found.tag.unwrap().to_string());
    let expected = (text(case, "name").to_owned(), text(case, "tag").to_owned());
    tally.check(&label(table, case), &parts, &expected);
}

/// `ParseNamed` takes only what is canonical already.
fn canonical_only(tally: &mut Tally, table: &str, case: &Value) {
    let input = text(case, "input");
    let found: ImageReference = input.parse().unwrap();
    let is_canonical = found.to_string() == input;
    tally.check(&label(table, case), &is_canonical, &case["err"].is_null());
    if is_canonical {
        let expected = (text(case, "domain"), text(case, "path"));
        tally.check(&label(table, case), &(found.name.domain(), found.name.path()), &expected);
    }
}

fn repository_info(tally: &mut Tally, table: &str, case: &Value) {
    let expected = ["Domain", "RemoteName", "FullName", "FamiliarName"].map(|key| text(case, key));
    for key in ["FamiliarName", "FullName", "AmbiguousName"] {
        let input = text(case, key);
        if input.is_empty() {
            continue;
        }
        let name = input.parse::<ImageReference>().unwrap().name;
        let (full, familiar) = (name.to_string(), name.familiar());
        let found = [name.domain(), name.path(), full.as_str(), familiar.as_str()];
        tally.check(&label(table, case), &found, &expected);
    }
}

fn any_reference(tally: &mut Tally, table: &str, case: &Value) {
    let input = text(case, "Reference");
    let found = input.parse::<AnyReference>().unwrap();
    tally.check(&label(table, case), &found.to_string().as_str(), &text(case, "Equivalent"));
}

fn full_name(tally: &mut Tally, table: &str, case: &Value) {
    let found = as_name(text(case, "input"));
    tally.check(&label(table, case), &found.is_some(), &case["match"].as_bool().unwrap());
    if let (Some(found), Some(subs)) = (found, case["subs"].as_array()) {
        let parts = [found.domain.unwrap_or_default(), found.path];
        tally.check(&label(table, case), &parts.as_slice(), &strings(subs).as_slice());
    }
}

fn valid(tally: &mut Tally, table: &str, case: &Value, input: &str, expected: bool) {
    tally.check(&label(table, case), &input.parse::<ImageReference>().is_ok(), &expected);
}

/// A text with a tag or digest is a reference, but not a name.
fn as_name(text: &str) -> Option<WrittenReference<'_>> {
    let found = WrittenReference::parse(text).ok()?;
    (found.tag.is_none() && found.digest.is_none()).then_some(found)
}

fn go_name(error: &ReferenceError) -> &'static str {
    use deployctl::image::DigestError;
    match error {
        ReferenceError::Empty => "ErrNameEmpty",
        ReferenceError::AnyUppercase | ReferenceError::Uppercase(_) => "ErrNameContainsUppercase",
        ReferenceError::TooLong => "ErrNameTooLong",
        ReferenceError::Format | ReferenceError::Identifier(_) => "ErrReferenceInvalidFormat",
        ReferenceError::Digest(DigestError::Length { .. }) => "digest.ErrDigestInvalidLength",
        ReferenceError::Digest(DigestError::Unsupported(_)) => "digest.ErrDigestUnsupported",
        ReferenceError::Digest(DigestError::Format(_)) => "digest.ErrDigestInvalidFormat",
    }
}

fn name(written: &WrittenReference<'_>) -> String {
    let domain = written.domain.map_or_else(String::new, |domain| format!("{domain}/"));
    format!("{domain}{}", written.path)
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_default()
}

fn strings(values: &[Value]) -> Vec<&str> {
    values.iter().map(|value| value.as_str().unwrap()).collect()
}

fn label(table: &str, case: &Value) -> String {
    format!("{table} {case}")
}
