//! Argo CD's health: built-in kinds and the aggregation to an application.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;
use deployctl::health::{Clock, Customizations, Health, HealthStatus, Managed, Rules};
use deployctl::k8s::Object;
use deployctl::ops::{self, RuleOptions};
use serde_json::{Value, json};

use super::{Tally, cases};

#[test]
fn builtin_kinds_have_the_health_that_argo_cd_gives_them() {
    let Some(folder) = cases("argo-health/builtin") else { return };
    let mut tally = Tally::default();
    for case in read_json(&folder.join("cases.json")).as_array().unwrap() {
        let file = case["file"].as_str().unwrap();
        let health = Rules::default().assess(&first_object(&folder.join(file))).health;
        let status = health.as_ref().map(|health| health.status.as_str());
        tally.check(file, &status, &case["expectedStatus"].as_str());
        if let Some(message) = case.get("expectedMessage") {
            tally.check(file, &health.map(|health| health.message.into()).as_ref(), &Some(message));
        }
    }
    tally.finish("argo-health builtin");
}

#[test]
fn applications_have_the_health_that_argo_cd_gives_them() {
    let Some(folder) = cases("argo-health/aggregate") else { return };
    let collection = read_json(&folder.join("cases.json"));
    let mut tally = Tally::default();
    for case in collection["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let health = aggregate_case(&folder, case["resources"].as_array().unwrap());
        tally.check(name, &Some(health.status.as_str()), &case["expectedAppStatus"].as_str());
        if let Some(causes) = case.get("expectedCauses") {
            tally.check(name, &Some(health.message.as_str()), &causes.as_str());
        }
    }
    let order = HealthStatus::ALL.map(HealthStatus::as_str).to_vec();
    tally.check("order", &Value::from(order), &collection["order_best_to_worst"]);
    tally.finish("argo-health aggregate");
}

/// Runs every case with Argo CD's own scripts. They never become part of this repository, so this
/// runs only where `DEPLOYCTL_ARGOCD_SCRIPTS` names the folder `resource_customizations` of a checkout
/// of Argo CD, and is no peer that a complete run must have.
#[test]
fn the_scripts_of_argo_cd_pass_all_of_its_cases() {
    let Some(folder) = cases("argo-health/customizations") else { return };
    let Some(scripts) = std::env::var_os("DEPLOYCTL_ARGOCD_SCRIPTS") else {
        eprintln!("skipped the scripts of Argo CD: set DEPLOYCTL_ARGOCD_SCRIPTS");
        return;
    };
    let scripts = Utf8PathBuf::from_path_buf(scripts.into()).unwrap();
    let options = RuleOptions { customizations: Some(scripts), ..RuleOptions::default() };
    let rules = ops::rules(&options).unwrap();
    let report = ops::health_test(&Utf8PathBuf::from_path_buf(folder).unwrap(), &rules).unwrap();
    assert!(report.failed.is_empty(), "{:#?}", report.failed);
    assert!(report.passed > 600);
}

fn aggregate_case(folder: &Path, resources: &[Value]) -> Health {
    let side = |resource: &Value, side: &str| {
        let file = resource.get(side).and_then(Value::as_str);
        let inline = resource.get("inline").filter(|_| side == "live").cloned();
        let object = inline.or_else(|| file.map(|f| first_object(&folder.join(f)).value().clone()));
        object.map(|mut value| {
            // Upstream lists its resources under these names, whatever the objects say.
            let name = resource.get("name").cloned();
            value["metadata"]["name"] = name.unwrap_or_else(|| "failed-job".into());
            value["metadata"]["namespace"] = "default".into();
            if let Some(annotations) = resource.get(format!("{side}Annotations")) {
                value["metadata"]["annotations"] = annotations.clone();
            }
            if let Some(health) = resource.get("overrideHealth") {
                value["status"]["override"] = health.clone();
            }
            Object::new(value).unwrap()
        })
    };
    let objects: Vec<_> = resources.iter().map(|r| (side(r, "target"), side(r, "live"))).collect();
    let managed = objects
        .iter()
        .map(|(target, live)| Managed { target: target.as_ref(), live: live.as_ref() });
    let overridden = resources.iter().any(|resource| resource.get("overrideHealth").is_some());
    let rules = if overridden { own_status() } else { Rules::default() };
    rules.aggregate(None, managed)
}

/// Upstream's test gives Applications a health script that hands their own status on.
fn own_status() -> Rules {
    let clock = Clock { now: jiff::Timestamp::now, elapsed: || Duration::ZERO };
    let mut customizations = Customizations::new(clock);
    let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {
        "resource.customizations.health.argoproj.io_Application":
            "return {status = obj.status.override}",
    }});
    customizations.add_argocd_cm(&Object::new(config_map).unwrap()).unwrap();
    Rules { customizations: Some(Arc::new(customizations)), ..Rules::default() }
}

fn first_object(file: &Path) -> Object {
    Object::read_first(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn read_json(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}
