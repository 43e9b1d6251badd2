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
    let native = ["scripts", "--native-only", "--output", "json"];
    let said = world.ok(&[&arguments[..], &native[..]].concat());
    let rules: Vec<_> = judged(&said).into_iter().map(|(rule, _)| rule).collect();
    let none = Value::Null;
    assert_eq!(
        rules,
        [none.clone(), none.clone(), none.clone(), json!("config:example.net/Thing"), none]
    );
}

#[test]
fn what_argo_cd_can_not_load_is_refused_with_the_key() {
    let world = World::new();
    world.write("objects.yaml", OBJECTS);
    world.write("cm.yaml", &ARGOCD_CM.replace("example.com_Widget", "a_b_Widget"));
    let ran = world.run(&["health", "-f", "objects.yaml", "--argocd-cm", "cm.yaml"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("`resource.customizations.health.a_b_Widget`"), "{ran:#?}");
    let ran = world.run(&["health", "-f", "objects.yaml", "--argocd-version", "1.8"]);
    assert!(ran.code == 2 && ran.stderr.contains("expected one of 2.14, 3.0"), "{ran:#?}");
    let ran = world.run(&["health", "-f", "objects.yaml", "--customizations", "."]);
    assert!(ran.code == 2 && ran.stderr.contains("holds no `GROUP/KIND/health.lua`"), "{ran:#?}");
}
