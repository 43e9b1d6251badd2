//! `health` with rules of the user's: scripts of `argocd-cm` and of a folder, and rows in
//! `deployctl.yaml`.

use serde_json::{Value, json};

use crate::support::World;

const OBJECTS: &str = "\
{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}, status: {phase: Up}}
---
{apiVersion: example.com/v1, kind: Gadget, metadata: {name: b}}
---
{apiVersion: example.org/v1, kind: Tool, metadata: {name: c}}
---
{apiVersion: example.net/v1, kind: Thing, metadata: {name: d}, status: {phase: Down}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: e}}
";

const ARGOCD_CM: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm, namespace: argocd}
data:
  resource.customizations.health.example.com_Widget: |
    return {status = "Healthy", message = obj.status.phase}
  resource.customizations: |
    "example.com/*":
      health.lua: return {}
    "*/Gadget":
      health.lua: return {status = "Degraded"}
"#;

const CONFIG: &str = "\
version: 1
environments: {}
services: {}
health:
  rules:
  - group: example.net
    kinds: [Thing]
    rows:
    - {if: {status.phase: Down}, health: Degraded, message: is down}
";

/// Returns what decided about each object, and its health.
fn judged(said: &str) -> Vec<(Value, Value)> {
    let report: Value = serde_json::from_str(said).unwrap();
    let resources = report["resources"].as_array().unwrap().iter();
    resources.map(|it| (it["decidedBy"].clone(), it["health"].clone())).collect()
}

#[test]
fn every_source_of_rules_is_asked_in_argo_cds_order() {
    let world = World::new();
    world.write("objects.yaml", OBJECTS);
    world.write("cm.yaml", ARGOCD_CM);
    let script = "return {status = string.upper('h') .. 'ealthy'}";
    world.write("scripts/example.org/_ool/health.lua", "error('is not asked')");
    world.write("scripts/example.org/_/health.lua", script);
    world.write("scripts/example.com/Widget/health.lua", "error('is not asked')");
    world.write("deployctl.yaml", CONFIG);
    let arguments = ["health", "-f", "objects.yaml", "--argocd-cm", "cm.yaml", "--customizations"];
    let ran = world.run(&[&arguments[..], &["scripts", "--output", "json"]].concat());
    assert_eq!(ran.code, 0, "{ran:#?}");
    let empty = json!({"status": "", "message": ""});
    let key = "lua:argocd-cm:resource.customizations";
    let expected = [
        (
            json!(format!("{key}.health.example.com_Widget")),
            json!({"status": "Healthy", "message": "Up"}),
        ),
        (json!(format!("{key}:*/Gadget")), json!({"status": "Degraded", "message": ""})),
        (json!("lua:customizations:example.org/_"), json!({"status": "Healthy", "message": ""})),
        (json!("config:example.net/Thing"), json!({"status": "Degraded", "message": "is down"})),
        (Value::Null, Value::Null),
    ];
    assert_eq!(judged(&ran.stdout), expected);
    let warning = "`*/Gadget` and `example.com/*` in argocd-cm all match Gadget";
    assert!(ran.stderr.contains(warning), "{ran:#?}");

    world.write("cm.yaml", &ARGOCD_CM.replace("\"*/Gadget\"", "\"nothing\""));
    let said = world.ok(&[&arguments[..], &["scripts", "--output", "json"]].concat());
    assert_eq!(judged(&said)[1], (json!(format!("{key}:example.com/*")), empty));
    let native = ["health", "-f", "objects.yaml", "--native-only", "--output", "json"];
    let said = world.ok(&native);
    let rules: Vec<_> = judged(&said).into_iter().map(|(rule, _)| rule).collect();
    let none = Value::Null;
    assert_eq!(
        rules,
        [none.clone(), none.clone(), none.clone(), json!("config:example.net/Thing"), none]
    );
}

#[test]
fn scripts_and_no_scripts_are_not_asked_for_at_once() {
    let world = World::new();
    world.write("objects.yaml", OBJECTS);
    for start in [&["health", "-f", "objects.yaml"][..], &["health", "test", "."], &["verify"]] {
        for option in ["--argocd-cm", "--customizations"] {
            let ran = world.run(&[start, &[option, "none", "--native-only"]].concat());
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{start:?}: {ran:#?}");
            let says = "the argument '--native-only' cannot be used with";
            let turned = format!("the argument '{option} <");
            let is_told = ran.stderr.contains(says)
                || (ran.stderr.contains(&turned) && ran.stderr.contains("cannot be used with"));
            assert!(is_told, "{start:?}: {ran:#?}");
        }
    }
}

#[test]
fn people_are_told_which_rule_decided() {
    let world = World::new();
    let more = "---\n{apiVersion: v1, kind: Service, metadata: {name: f}}\n---\n\
                {apiVersion: v1, kind: Pod, metadata: {name: g, deletionTimestamp: '2026-01-01T00:00:00Z'}}\n---\n\
                {apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: h}}\n";
    world.write("objects.yaml", &format!("{OBJECTS}{more}"));
    world.write("cm.yaml", &ARGOCD_CM.replace("\"*/Gadget\"", "\"nothing\""));
    world.write("scripts/example.org/_/health.lua", "return {status = 'Healthy'}");
    world.write("deployctl.yaml", CONFIG);
    let arguments = ["health", "-f", "objects.yaml", "--argocd-cm", "cm.yaml", "--customizations"];
    let said = world.ok(&[&arguments[..], &["scripts"]].concat());
    let expected = "\
example.com/Widget:a: Healthy: Up (by argocd-cm example.com_Widget)
example.com/Gadget:b: empty health (by argocd-cm example.com/*)
example.org/Tool:c: Healthy (by script example.org/_)
example.net/Thing:d: Degraded: is down (by your own rules)
ConfigMap:e: no health
Service:f: Healthy (by Argo CD's check)
Pod:g: Progressing: Pending deletion
cert-manager.io/Issuer:h: Progressing: Initializing issuer (by deployctl's rules)
";
    assert_eq!(said, expected);
    let answer = world.ok(&[&arguments[..], &["scripts", "--app", "--output", "json"]].concat());
    let schema: Value = serde_json::from_str(&world.ok(&["schema", "health"])).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let document: Value = serde_json::from_str(&answer).unwrap();
    assert!(validator.is_valid(&document), "{:?}", validator.validate(&document).err());
    assert!(!validator.is_valid(&json!({"schema": "deployctl.dev/health/v1"})));
}

#[test]
fn the_configuration_says_whose_verdicts_are_given_and_the_flag_goes_before_it() {
    let world = World::new();
    world.write(
        "o.yaml",
        "{apiVersion: batch/v1, kind: CronJob, metadata: {name: c}, status: {}}\n",
    );
    let config = |version: &str| {
        let text = format!("{CONFIG}argocdVersion: {version}\n");
        world.write("deployctl.yaml", &text);
    };
    let judged = |more: &[&str]| world.ok(&[&["health", "-f", "o.yaml"], more].concat());
    // There is a rule for CronJobs since 3.2.
    config("3.1");
    assert_eq!(judged(&[]), "batch/CronJob:c: no health\n");
    assert!(judged(&["--argocd-version", "3.2"]).starts_with("batch/CronJob:c: "));
    assert_ne!(judged(&["--argocd-version", "3.2"]), "batch/CronJob:c: no health\n");
    config("3.10");
    let ran = world.run(&["health", "-f", "o.yaml"]);
    assert!(ran.code == 2 && ran.stderr.contains("no version `3.10`; expected one of"), "{ran:#?}");
}

#[test]
fn what_argo_cd_can_not_load_is_refused_with_the_key() {
    let world = World::new();
    world.write("objects.yaml", OBJECTS);
    world.write("cm.yaml", &ARGOCD_CM.replace("example.com_Widget", "a_b_Widget"));
    let ran = world.run(&["health", "-f", "objects.yaml", "--argocd-cm", "cm.yaml"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("`resource.customizations.health.a_b_Widget`"), "{ran:#?}");
    for name in ["{name: other}", "{}"] {
        let renamed = ARGOCD_CM.replace("{name: argocd-cm, namespace: argocd}", name);
        world.write("cm.yaml", &renamed.replace("\"*/Gadget\"", "\"nothing\""));
        let ran = world.run(&["health", "-f", "objects.yaml", "--argocd-cm", "cm.yaml"]);
        let says = "`cm.yaml` holds no ConfigMap `argocd-cm`";
        let is_other = name.contains("other");
        assert_eq!((ran.code == 2, ran.stderr.contains(says)), (is_other, is_other), "{ran:#?}");
    }
    let ran = world.run(&["health", "-f", "objects.yaml", "--argocd-version", "1.8"]);
    assert!(ran.code == 2 && ran.stderr.contains("expected one of 2.14, 3.0"), "{ran:#?}");
    let ran = world.run(&["health", "-f", "objects.yaml", "--customizations", "."]);
    assert!(ran.code == 2 && ran.stderr.contains("holds no `GROUP/KIND/health.lua`"), "{ran:#?}");
}
