//! The commands that need no configuration: `edit`, `render`, `health`, `image`, `schema`, …

use serde_json::{Value, json};

use crate::support::{World, peer};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn image_parse_shows_one_line_a_reference() {
    let said = World::new().ok(&["image", "parse", "nginx:1", "UPPER"]);
    let parsed = lines(&said);
    assert_eq!(
        parsed[0],
        json!({"input": "nginx:1", "valid": true, "canonical": "docker.io/library/nginx:1",
            "familiar": "nginx:1", "domain": "docker.io", "path": "library/nginx", "tag": "1"})
    );
    assert_eq!((&parsed[1]["valid"], &parsed[1]["input"]), (&json!(false), &json!("UPPER")));
    assert!(parsed[1]["error"].is_string());
}

#[test]
fn edit_set_image_writes_only_what_changes() {
    let world = World::new();
    let text = "# mine\r\nimages: [{name: web, newTag: a}] # here\r\n";
    world.write("k/kustomization.yaml", text);
    let said = world.ok(&["edit", "set-image", "-C", "k", "web:b", "--output", "json"]);
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["schema"], "deployctl.dev/edit/v1");
    assert_eq!(report["changed"], true);
    assert_eq!(report["images"], json!([{"name": "web", "newTag": "b"}]));
    assert_eq!(world.read("k/kustomization.yaml"), text.replace("newTag: a", "newTag: b"));
    assert_eq!(world.ok(&["edit", "set-image", "-C", "k", "web:b"]), "unchanged\n");
    let missing = world.run(&["edit", "set-image", "web:b"]);
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(missing.stderr.contains("no kustomization in"), "{}", missing.stderr);
}

#[test]
fn edit_set_image_tells_a_new_entry_and_shows_what_a_dry_run_would_change() {
    let world = World::new();
    let text = "images:\n- name: ranking\n  newTag: a\n";
    world.write("k/kustomization.yaml", text);
    let ran = world.run(&["edit", "set-image", "-C", "k", "rankin:b", "--dry-run"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stdout.starts_with("dry run: k/kustomization.yaml would change\n"), "{ran:#?}");
    assert!(ran.stdout.contains("\n+- name: rankin\n"), "{ran:#?}");
    assert!(ran.stdout.contains("  rankin: rankin:b (new entry)\n"), "{ran:#?}");
    assert!(ran.stderr.contains("`rankin` had no entry; did you mean `ranking`?"), "{ran:#?}");
    assert_eq!(world.read("k/kustomization.yaml"), text);
}

#[test]
fn health_judges_objects_in_order() {
    let world = World::new();
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {type: LoadBalancer}\n";
    let other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: n}\n";
    world.write("o.yaml", &format!("{service}---\n{other}"));
    let said = world.ok(&["health", "-f", "o.yaml", "--app", "--output", "json"]);
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["schema"], "deployctl.dev/health/v1");
    assert_eq!(report["resources"][0]["health"]["status"], "Progressing");
    assert_eq!(report["resources"][0]["decidedBy"], "builtin:Service");
    assert_eq!(report["resources"][1]["health"], Value::Null);
    assert_eq!(report["app"]["status"], "Progressing");
    let failed = world.run(&["health", "-f", "o.yaml", "--fail-on", "degraded,progressing"]);
    assert_eq!(failed.code, 1, "{failed:?}");
}

#[test]
fn health_test_runs_suites_and_lists_what_fails() {
    let world = World::new();
    let pod = "apiVersion: v1\nkind: Pod\nstatus: {phase: Succeeded}\n";
    let suite = "tests:\n- healthStatus: {status: Healthy}\n  inputPath: testdata/pod.yaml\n";
    world.write("cases/Pod/testdata/pod.yaml", pod);
    world.write("cases/Pod/health_test.yaml", suite);
    assert_eq!(world.ok(&["health", "test", "cases"]), "1 passed, 0 failed\n");
    world.write("cases/Pod/health_test.yaml", &suite.replace("Healthy", "Degraded"));
    let ran = world.run(&["health", "test", "cases"]);
    let expected =
        "cases/Pod/testdata/pod.yaml: expected Degraded, got Healthy\n0 passed, 1 failed\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (1, expected));
}

#[test]
fn render_prints_what_kustomize_prints() {
    if peer("kubectl").is_none() {
        return;
    }
    let world = World::new();
    world.write("k/kustomization.yaml", "configMapGenerator:\n- name: a\n  literals: [b=c]\n");
    let said = world.ok(&["render", "k"]);
    assert!(said.starts_with("apiVersion: v1\ndata:\n  b: c\nkind: ConfigMap\n"), "{said}");
    let without = World::new().with("PATH", "/nowhere").run(&["render", "."]);
    assert_eq!(without.code, 1);
    assert!(without.stderr.contains("neither `kustomize` nor `kubectl` is on PATH"), "{without:?}");
}

#[test]
fn schemas_accept_every_shipped_file() {
    let world = World::new();
    let root = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut configs = Vec::new();
    find(root, "deployctl.yaml", &mut configs);
    let mut pipelines = Vec::new();
    find(&root.join("pipelines"), ".yaml", &mut pipelines);
    for (kind, files) in [("config", configs), ("pipeline", pipelines)] {
        assert!(files.len() >= 2, "{kind}: {files:?}");
        let schema: Value = serde_json::from_str(&world.ok(&["schema", kind])).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let document: Value = serde_yaml::from_str(&text).unwrap();
            let errors: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{file}: {errors:?}");
        }
        assert!(!validator.is_valid(&json!({"version": 1, "steps": [], "unknown": true})));
    }
}

#[test]
fn health_rules_of_one_s_own_can_be_tried_out() {
    let world = World::new();
    world.write("o.yaml", "{apiVersion: example.com/v1, kind: Widget, status: {phase: Lost}}\n");
    let row = "{if: {status.phase: Lost}, health: Degraded, message: 'is {status.phase|lower}'}";
    let rules = format!("[{{group: example.com, kinds: [Widget], rows: [{row}]}}]\n");
    world.write("r.yaml", &rules);
    let said = world.ok(&["health", "-f", "o.yaml", "--rules", "r.yaml"]);
    assert!(said.contains("Degraded") && said.contains("is lost"), "{said}");
    world.write("r.yaml", &rules.replace("Degraded", "Broken"));
    let wrong = world.run(&["health", "-f", "o.yaml", "--rules", "r.yaml"]);
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.stderr.contains("r.yaml:1:") && wrong.stderr.contains("`Broken` is no health"),
        "{wrong:?}"
    );
}

#[test]
fn the_schema_accepts_the_health_rules_that_are_shipped() {
    let schema: Value = serde_json::from_str(&World::new().ok(&["schema", "config"])).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let with = |rules: Value| json!({"version": 1, "environments": {}, "services": {}, "health": {"rules": rules}});
    let mut files = Vec::new();
    let root = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    find(&root.join("src/health/native/rules"), ".yaml", &mut files);
    assert!(files.len() > 20);
    for file in files {
        let rules = serde_yaml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(&with(rules))
            .map(|e| format!("{} {e}", e.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{file}: {errors:?}");
    }
    let row = json!({"if": {"statu.phase": "A"}, "health": "Healthy"});
    assert!(!validator.is_valid(&with(json!([{"group": "g", "kinds": ["K"], "rows": [row]}]))));
}

/// Finds the files below `folder` whose names end so, but not in hidden folders or build output.
fn find(folder: &camino::Utf8Path, ending: &str, found: &mut Vec<camino::Utf8PathBuf>) {
    for entry in folder.read_dir_utf8().unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && name != "target" {
                find(entry.path(), ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(entry.into_path());
        }
    }
}

#[test]
fn completions_and_man_pages_name_every_command() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(world.ok(&["completions", shell]).contains("promote"), "{shell}");
    }
    assert!(world.ok(&["man"]).contains("deployctl"));
    world.ok(&["man", "--out", "pages"]);
    assert!(world.read("pages/deployctl-promote.1").contains("promote"));
}

#[test]
fn what_holds_no_objects_is_no_proof_of_health() {
    let world = World::new();
    for text in ["\n", "# nothing\n---\n", "{apiVersion: v1, kind: List, items: []}"] {
        world.write("empty.yaml", text);
        let asked = ["health", "-f", "empty.yaml", "--app", "--fail-on", "degraded,missing"];
        let ran = world.run(&asked);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{text}: {ran:#?}");
        let says = "there are no objects in `empty.yaml`, so nothing is proven";
        assert!(ran.stderr.contains(says), "{text}: {ran:#?}");
    }
    let output = world.command(&["health"]).stdin(std::process::Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("there are no objects on standard input, so nothing is proven"),
        "{said}"
    );
    std::fs::create_dir(world.path().join("suites")).unwrap();
    let ran = world.run(&["health", "test", "suites"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("there is no `health_test.yaml` in `suites` or below"), "{ran:#?}");
}

#[test]
fn a_message_of_an_object_writes_no_line_of_ours() {
    let world = World::new();
    let pod = "\u{feff}{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Failed, message: \"x\\nPod:b: Healthy\\e[2J\"}}";
    world.write("pod.yaml", pod);
    let said = "Pod:a: Degraded: x Pod:b: Healthy (by Argo CD's check)\n";
    assert_eq!(world.ok(&["health", "-f", "pod.yaml"]), said);
}

#[test]
fn a_conversation_that_nobody_can_hear_is_no_bug() {
    let world = World::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = world.command(&["health", "-f", "missing.yaml"]);
    assert_eq!(command.stderr(full).status().unwrap().code(), Some(2));
}
