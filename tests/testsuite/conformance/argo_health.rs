//! Argo CD's health: built-in kinds and the aggregation to an application.

use std::path::Path;

use deployctl::health::{self, Health, HealthStatus, Managed};
use deployctl::k8s::Object;
use serde_json::Value;

use super::{Tally, cases};

#[test]
fn builtin_kinds_have_the_health_that_argo_cd_gives_them() {
    let Some(folder) = cases("argo-health/builtin") else { return };
    let mut tally = Tally::default();
    for case in read_json(&folder.join("cases.json")).as_array().unwrap() {
        let file = case["file"].as_str().unwrap();
        let health = health::Rules::default().assess(&first_object(&folder.join(file))).health;
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
            Object::new(value).unwrap()
        })
    };
    let objects: Vec<_> = resources.iter().map(|r| (side(r, "target"), side(r, "live"))).collect();
    let managed = objects
        .iter()
        .map(|(target, live)| Managed { target: target.as_ref(), live: live.as_ref() });
    health::aggregate(None, managed, |object| {
        // Upstream's test gives Applications a health script that hands their own status on.
        let overridden =
            resources.iter().find(|r| r.get("inline").is_some() && object.kind() == "Application");
        match overridden.and_then(|resource| resource["overrideHealth"].as_str()) {
            Some(status) => HealthStatus::parse(status).map(Health::from),
            None => health::Rules::default().assess(object).health,
        }
    })
}

fn first_object(file: &Path) -> Object {
    Object::read_first(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn read_json(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}
