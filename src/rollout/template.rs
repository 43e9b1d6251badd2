//! Whether a workload's pod template in the cluster is the one that its manifest states.
//!
//! Images alone do not show that a change of a ConfigMap's name or of a variable has arrived, and an
//! observed generation shows only that the controller has seen what is there. What is compared is what the
//! manifest states and nothing else: the API server fills in defaults, and webhooks add containers,
//! variables, labels and volumes. Left out, too, is what somebody may well write in another way than it is
//! stated: quantities (`1000m` is kept as `1`), requests and limits altogether (some clusters set their
//! own), probes, ports, security contexts, numbers, and a text with a `${placeholder}`, which somebody else
//! fills in (Flux, envsubst). So a difference is one that a person would call so.

use serde_json::Value;

use crate::k8s::Object;

/// Returns what of the pod template that `stated` has is not so in `live`, in words without values, which
/// may be secret; `None` if all is so, or nothing is stated.
pub fn stray(stated: &Object, live: &Object) -> Option<String> {
    let place = if stated.kind() == "Pod" { "" } else { "/spec/template" };
    let stated = stated.at(place)?;
    let live = live.at(place)?;
    // A Pod's own metadata is anybody's to change, and makes no new one.
    let own = |part: &str| stated.pointer(part).filter(|_| !place.is_empty());
    texts("label", own("/metadata/labels"), live.pointer("/metadata/labels"))
        .or_else(|| {
            let annotations = live.pointer("/metadata/annotations");
            texts("annotation", own("/metadata/annotations"), annotations)
        })
        .or_else(|| volumes(stated, live))
        .or_else(|| containers("/spec/initContainers", stated, live))
        .or_else(|| containers("/spec/containers", stated, live))
}

/// The first text of a map that is another, or is not there.
fn texts(what: &str, stated: Option<&Value>, live: Option<&Value>) -> Option<String> {
    let stated = stated?.as_object()?;
    let differs = |key: &&String| {
        let text = stated.get(*key).and_then(Value::as_str).filter(|text| is_plain(text));
        text.is_some() && live.and_then(|live| live.get(*key)).and_then(Value::as_str) != text
    };
    stated.keys().find(differs).map(|key| format!("the {what} `{key}` of its pods"))
}

fn volumes(stated: &Value, live: &Value) -> Option<String> {
    let sources = ["/configMap/name", "/secret/secretName", "/persistentVolumeClaim/claimName"];
    let (name, _) = by_name("/spec/volumes", stated, live)
        .map(|(name, stated, live)| (name, differs(&sources, stated, live)))
        .find(|(_, differs)| *differs)?;
    Some(format!("the volume `{name}` of its pods"))
}

fn containers(place: &str, stated: &Value, live: &Value) -> Option<String> {
    by_name(place, stated, live).find_map(|(name, stated, live)| {
        let part = container(stated, live?)?;
        Some(format!("{part} of its container `{name}`"))
    })
}

fn container(stated: &Value, live: &Value) -> Option<String> {
    for key in ["command", "args"] {
        let (stated, live) = (strings(stated, key), strings(live, key));
        let says = |all: &Vec<&str>| !all.is_empty() && all.iter().all(|text| is_plain(text));
        if stated.as_ref().is_some_and(says) && stated != live {
            return Some(format!("`{key}`"));
        }
    }
    let sources = [
        "/value",
        "/valueFrom/configMapKeyRef/name",
        "/valueFrom/configMapKeyRef/key",
        "/valueFrom/secretKeyRef/name",
        "/valueFrom/secretKeyRef/key",
        "/valueFrom/fieldRef/fieldPath",
    ];
    let mut variables = by_name("/env", stated, live);
    let variable = variables.find(|(_, stated, live)| differs(&sources, stated, *live));
    if let Some((name, ..)) = variable {
        return Some(format!("the variable `{name}`"));
    }
    let sources = ["/configMapRef/name", "/secretRef/name"];
    let taken = |entry: &Value| sources.map(|source| text(entry, source).map(str::to_owned));
    let there: Vec<_> = list(live, "/envFrom").iter().map(taken).collect();
    let plain = |from: &[Option<String>; 2]| from.iter().flatten().all(|name| is_plain(name));
    let mut wanted = list(stated, "/envFrom").iter().map(taken).filter(plain);
    let missing = wanted.find(|from| !there.contains(from))?;
    let name = missing.into_iter().flatten().next()?;
    Some(format!("the variables from `{name}`"))
}

/// The entries of a list of the manifest with those of the same name in the cluster. A name that the
/// manifest has twice says nothing.
fn by_name<'a>(
    place: &'a str,
    stated: &'a Value,
    live: &'a Value,
) -> impl Iterator<Item = (&'a str, &'a Value, Option<&'a Value>)> {
    let all = list(stated, place);
    let named = |entry: &'a Value| text(entry, "/name");
    let once = move |name: &str| all.iter().filter(|e| named(e) == Some(name)).count() == 1;
    let named_entries = all.iter().filter_map(move |entry| Some((named(entry)?, entry)));
    named_entries.filter(move |(name, _)| once(name)).map(move |(name, entry)| {
        let live = list(live, place).iter().find(|live| named(live) == Some(name));
        (name, entry, live)
    })
}

/// Returns whether one of `fields` is stated and is another text in `live`. The API server leaves out empty
/// texts.
fn differs(fields: &[&str], stated: &Value, live: Option<&Value>) -> bool {
    fields.iter().any(|field| {
        let Some(stated) = text(stated, field).filter(|text| is_plain(text)) else { return false };
        live.and_then(|live| text(live, field)).unwrap_or_default() != stated
    })
}

fn is_plain(text: &str) -> bool {
    !text.contains("${")
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn strings<'a>(container: &'a Value, key: &str) -> Option<Vec<&'a str>> {
    container.get(key)?.as_array()?.iter().map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATED: &str = "{metadata: {labels: {app: web}, annotations: {checksum/config: a1}}, spec: {\
        initContainers: [{name: migrate, image: 'm:1', command: [migrate, --all]}], \
        containers: [{name: web, image: 'w:1', args: [-v], resources: {limits: {cpu: 1000m, memory: 1024Mi}}, \
          env: [{name: LEVEL, value: info}, {name: EMPTY, value: ''}, {name: TOKEN, valueFrom: {secretKeyRef: {name: s, key: k}}}], \
          envFrom: [{configMapRef: {name: web-5f}}], ports: [{containerPort: 80}], securityContext: {}}], \
        volumes: [{name: config, configMap: {name: config-8d, defaultMode: 420}}, {name: tmp, emptyDir: {}}]}}";

    #[track_caller]
    fn check(stated: &str, live: &str, expected: Option<&str>) {
        let read = |template: &str| {
            let yaml = format!(
                "{{apiVersion: apps/v1, kind: Deployment, spec: {{template: {template}}}}}"
            );
            Object::read_first(&yaml).unwrap()
        };
        assert_eq!(stray(&read(stated), &read(live)).as_deref(), expected, "{live}");
    }

    #[test]
    fn what_the_overlay_states_has_to_be_there() {
        check(STATED, STATED, None);
        for (was, is, expected) in [
            ("app: web", "app: old", "the label `app` of its pods"),
            (
                "checksum/config: a1",
                "checksum/config: a0",
                "the annotation `checksum/config` of its pods",
            ),
            (
                ", annotations: {checksum/config: a1}",
                "",
                "the annotation `checksum/config` of its pods",
            ),
            ("config-8d", "config-7c", "the volume `config` of its pods"),
            ("--all", "--some", "`command` of its container `migrate`"),
            ("args: [-v], ", "", "`args` of its container `web`"),
            ("value: info", "value: debug", "the variable `LEVEL` of its container `web`"),
            ("{name: LEVEL, value: info}, ", "", "the variable `LEVEL` of its container `web`"),
            ("key: k", "key: l", "the variable `TOKEN` of its container `web`"),
            ("web-5f", "web-4e", "the variables from `web-5f` of its container `web`"),
        ] {
            check(STATED, &STATED.replace(was, is), Some(expected));
        }
    }

    #[test]
    fn what_defaults_and_webhooks_change_does_not_count() {
        let kept = [
            // As the API server keeps it.
            ("cpu: 1000m, memory: 1024Mi", "cpu: '1', memory: 1Gi"),
            ("{name: EMPTY, value: ''}", "{name: EMPTY}"),
            ("containerPort: 80", "containerPort: 80, protocol: TCP"),
            (
                "{configMapRef: {name: web-5f}}",
                "{configMapRef: {name: web-5f}}, {secretRef: {name: added}}",
            ),
            // As a service mesh, an autoscaler and a restart leave it.
            ("containers: [{name: web,", "containers: [{name: proxy, image: 'p:1'}, {name: web,"),
            ("env: [", "env: [{name: INJECTED, value: x}, "),
            ("labels: {", "labels: {injected: 'yes', "),
            ("annotations: {", "annotations: {kubectl.kubernetes.io/restartedAt: now, "),
            ("volumes: [", "volumes: [{name: token, projected: {}}, "),
            ("limits: {cpu: 1000m,", "limits: {cpu: 2,"),
        ];
        for (was, is) in kept {
            assert!(STATED.contains(was), "{was}");
            check(STATED, &STATED.replace(was, is), None);
        }
        let twice = "{spec: {containers: [{name: web, env: [{name: A, value: '1'}, {name: A, value: '2'}]}]}}";
        check(twice, "{spec: {containers: [{name: web, env: [{name: A, value: '2'}]}]}}", None);
        check(
            "{spec: {containers: [{name: web, command: [], env: []}]}}",
            "{spec: {containers: [{name: web}]}}",
            None,
        );
        let later = "{metadata: {labels: {a: '${A}'}}, spec: {containers: [{name: web, args: ['${A}'], env: [{name: A, value: 'x${A}'}], envFrom: [{secretRef: {name: '${A}'}}]}]}}";
        check(later, &later.replace("${A}", "b"), None);
        check("{}", "{}", None);
    }
}
