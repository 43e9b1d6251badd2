//! Health: ten thousand objects, and all of Argo CD's own scripts, beside the bounds that they must
//! keep.
//!
//! The scripts run where `DEPLOYCTL_ARGOCD_SCRIPTS` names the folder `resource_customizations` of a
//! checkout of Argo CD, and `DEPLOYCTL_CASES` the folder of the cases.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use deployctl::health::{Managed, Rules};
use deployctl::k8s::Object;
use deployctl::ops::{self, RuleOptions};

const OBJECTS: usize = 10_000;

fn main() {
    let fixtures = Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let scripts = fixtures.join("customizations");
    let own = RuleOptions { customizations: Some(scripts.clone()), ..RuleOptions::default() };
    assess("objects of all kinds", &fixtures.join("health"), &Rules::default());
    assess("objects, a script each", &scripts, &ops::rules(&own).unwrap());
    println!("peak memory: {} MB, bound 150 MB", peak_memory() / 1024);
    upstream_scripts();
}

/// Assesses as many objects as make the bound, copies of those below `folder`, and aggregates them.
fn assess(what: &str, folder: &Utf8PathBuf, rules: &Rules) {
    let mut texts = Vec::new();
    read(folder, &mut texts);
    let templates = texts.iter().filter_map(|text| Object::read_first(text).ok());
    let templates: Vec<_> = templates.map(|object| object.value().clone()).collect();
    // Each has memory of its own, as objects have that an API server sent.
    let objects: Vec<_> =
        templates.iter().cycle().take(OBJECTS).cloned().filter_map(Object::new).collect();
    let start = Instant::now();
    let known = objects.iter().filter(|object| rules.assess(object).decided_by.is_some()).count();
    print(&format!("{OBJECTS} {what} ({known} with a rule)"), start.elapsed(), 200);
    let start = Instant::now();
    let managed = objects.iter().map(|live| Managed { target: None, live: Some(live) });
    let health = rules.aggregate(None, managed);
    print(
        &format!("{OBJECTS} {what}, as one application ({})", health.status),
        start.elapsed(),
        200,
    );
}

fn upstream_scripts() {
    let folder = |name: &str| std::env::var(name).ok().map(Utf8PathBuf::from);
    let (Some(scripts), Some(cases)) =
        (folder("DEPLOYCTL_ARGOCD_SCRIPTS"), folder("DEPLOYCTL_CASES"))
    else {
        println!("Argo CD's scripts: set DEPLOYCTL_ARGOCD_SCRIPTS and DEPLOYCTL_CASES");
        return;
    };
    let options = RuleOptions { customizations: Some(scripts), ..RuleOptions::default() };
    let start = Instant::now();
    let rules = ops::rules(&options).unwrap();
    let report = ops::health_test(&cases.join("argo-health/customizations"), &rules).unwrap();
    let (passed, failed) = (report.passed, report.failed.len());
    print(&format!("Argo CD's scripts, {passed} passed, {failed} failed"), start.elapsed(), 1500);
}

fn print(what: &str, time: Duration, bound: u64) {
    println!("{what}: {:.0} ms, bound {bound} ms", time.as_secs_f64() * 1000.0);
}

/// Adds the YAML files below `folder` that are no suites.
fn read(folder: &Utf8PathBuf, texts: &mut Vec<String>) {
    let mut entries: Vec<_> = folder.read_dir_utf8().unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(|entry| entry.path().to_owned());
    for entry in entries {
        let path = entry.into_path();
        if path.is_dir() {
            read(&path, texts);
        } else if path.extension() == Some("yaml") && path.file_name() != Some("health_test.yaml") {
            texts.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

/// Returns the most memory that the process has had, in kB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
