//! What is handed to `health` and is no list of objects: one clear error, and exit code 2.

use std::io::Write as _;
use std::process::Stdio;

use crate::support::{Ran, World};

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nstatus: {phase: Succeeded}\n";

fn refused(ran: &Ran, says: &str) {
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{says}: {ran:#?}");
    assert!(ran.stderr.starts_with("error: "), "{ran:#?}");
    assert!(ran.stderr.contains(says), "{says}: {ran:#?}");
    assert_eq!(ran.stderr.matches("error:").count(), 1, "{ran:#?}");
}

#[test]
fn what_is_no_list_of_objects_is_refused_with_its_file_and_place() {
    let world = World::new();
    for (text, says) in [
        ("", "there are no objects in `o.yaml`, so nothing is proven"),
        (" \n", "there are no objects in `o.yaml`, so nothing is proven"),
        ("kind: [", "can't read objects from `o.yaml`"),
        ("kind: Pod\n", "document 1 is not a Kubernetes object: it has no `apiVersion`"),
        ("apiVersion: v1\nkind: ''\n", "its `kind` is empty"),
        ("apiVersion: v1\nkind: List\n", "document 1 is a `List` whose `items` is no list"),
        (
            "{apiVersion: v1, kind: Status, reason: Forbidden, message: no right}",
            "an answer of the API server: Forbidden: no right",
        ),
        ("apiVersion: v1\nkind: Pod\nstatus:\n  phase: Failed\n  phase: Succeeded\n", "line 5"),
    ] {
        world.write("o.yaml", text);
        refused(&world.run(&["health", "-f", "o.yaml"]), says);
    }
    refused(&world.run(&["health", "-f", "none.yaml"]), "can't read `none.yaml`");
    refused(&world.run(&["health", "-f", "home"]), "can't read `home`");
    world.write("pod.yaml", POD);
    for option in ["--rules", "--argocd-cm", "--customizations"] {
        let ran = world.run(&["health", "-f", "pod.yaml", option, "none"]);
        refused(&ran, "can't read `none`");
    }
}

#[test]
fn another_encoding_is_named_and_a_mark_is_none() {
    let world = World::new();
    let utf16: Vec<u8> =
        format!("\u{feff}{POD}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for file in ["o.yaml", "deployctl.yaml", "cm.yaml", "rules.yaml"] {
        std::fs::write(world.path().join(file), &utf16).unwrap();
    }
    let says = "it is UTF-16 (little-endian); save it as UTF-8";
    refused(&world.run(&["health", "-f", "o.yaml", "--config", "deployctl.yaml"]), says);
    std::fs::remove_file(world.path().join("deployctl.yaml")).unwrap();
    refused(&world.run(&["health", "-f", "o.yaml"]), says);
    let mut child = world
        .command(&["health"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&utf16).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("can't read `-`") && said.contains(says), "{said}");
    world.write("o.yaml", &format!("\u{feff}{POD}"));
    for option in ["--argocd-cm", "--rules"] {
        let file = if option == "--rules" { "rules.yaml" } else { "cm.yaml" };
        refused(&world.run(&["health", "-f", "o.yaml", option, file]), says);
    }
    world.ok(&["health", "-f", "o.yaml"]);
}

#[test]
fn cases_that_can_not_be_run_are_no_failed_cases() {
    let world = World::new();
    refused(&world.run(&["health", "test", "none"]), "can't read `none`");
    refused(&world.run(&["health", "test", "."]), "there is no `health_test.yaml`");
    for (suite, says) in [
        ("", "`cases/Pod/health_test.yaml` is not a suite of health cases"),
        ("test: []", "it has no list `tests`"),
        ("tests: []", "there is no case in the `health_test.yaml` files in `cases`"),
        ("tests: [{inputPath: a.yaml}]", "case 1 has no valid `healthStatus`"),
    ] {
        world.write("cases/Pod/health_test.yaml", suite);
        refused(&world.run(&["health", "test", "cases"]), says);
    }
    world.write(
        "cases/Pod/health_test.yaml",
        "tests: [{inputPath: none.yaml, healthStatus: {status: Healthy}}]",
    );
    let ran = world.run(&["health", "test", "cases"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stdout.contains("got unreadable: "), "{ran:#?}");
}

#[test]
fn large_and_deep_input_comes_to_an_end() {
    let world = World::new();
    let fields: String =
        (0..40_000).map(|n| format!("      f:key{n}: {{f:sub: {{}}}}\n")).collect();
    let conditions: String =
        (0..5000).map(|n| format!("  - {{type: T{n}, status: 'False', message: m}}\n")).collect();
    let text = format!(
        "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata:\n  name: c\n  managedFields:\n  \
         - fieldsV1:\n{fields}status:\n  conditions:\n{conditions}  - {{type: Ready, status: 'True'}}\n"
    );
    world.write("o.yaml", &text);
    let said = world.ok(&["health", "-f", "o.yaml"]);
    assert!(said.starts_with("cert-manager.io/Certificate:c: Healthy"), "{said}");
    world.write("o.yaml", &format!("apiVersion: v1\nkind: Pod\nspec: {}", "[".repeat(100_000)));
    refused(&world.run(&["health", "-f", "o.yaml"]), "recursion limit exceeded");
    let mut bomb = "apiVersion: v1\nkind: Pod\nl0: &l0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let last = n - 1;
        bomb +=
            &format!("l{n}: &l{n} [*l{last}, *l{last}, *l{last}, *l{last}, *l{last}, *l{last}]\n");
    }
    world.write("o.yaml", &bomb);
    refused(&world.run(&["health", "-f", "o.yaml"]), "repetition limit exceeded");
}

#[test]
fn what_argo_cd_ignores_in_argocd_cm_is_told_once() {
    let world = World::new();
    world.write("pod.yaml", POD);
    world.write(
        "cm.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm}\ndata:\n  \
         resource.customization.health.example.com_Widget: return {}\n  \
         resource.customizations.health.example.com.Gadget: return {}\n  \
         resource.customizations.actions.example.com_Widget: x\n",
    );
    let says = [
        "warning: Argo CD ignores `resource.customization.health.example.com_Widget` in argocd-cm; \
         did you mean `resource.customizations.health.example.com_Widget`?\n",
        "warning: Argo CD ignores `resource.customizations.health.example.com.Gadget` in argocd-cm; \
         did you mean `resource.customizations.health.example.com_Gadget`?\n",
    ];
    let ran = world.run(&["health", "-f", "pod.yaml", "--argocd-cm", "cm.yaml"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, says.concat().as_str()), "{ran:#?}");
    let verify = ["verify", "--application", "web", "--argocd-cm"];
    let ran = world.run(&[&verify[..], &["cm.yaml"]].concat());
    assert!(ran.stderr.starts_with(&says.concat()), "{ran:#?}");
    world.write("deployctl.yaml", "version: 1\nenvironments: {}\nservices: {}\n");
    for option in ["--rules", "--argocd-cm", "--customizations"] {
        for what in [&["--application", "web"], &["-f", "pod.yaml"], &["--env", "none"]] {
            let ran = world.run(&[&["verify"], &what[..], &[option, "none"]].concat());
            refused(&ran, "can't read `none`");
        }
    }
}

#[test]
fn a_rule_that_can_never_hold_is_refused_with_its_line() {
    let world = World::new();
    world.write("pod.yaml", POD);
    let rules = "- group: example.com\n  kinds: [Widget]\n  rows:\n  - {if: {.status.phase: Up}, health: Healthy}\n";
    world.write("rules.yaml", rules);
    let says = "a path from the object is written `status.phase`";
    let ran = world.run(&["health", "-f", "pod.yaml", "--rules", "rules.yaml"]);
    refused(&ran, says);
    assert!(ran.stderr.contains("rules.yaml:4:5"), "{ran:#?}");
    let rules = rules.replace("\n  ", "\n    ").replace("- group", "  - group");
    let text =
        format!("version: 1\nenvironments: {{}}\nservices: {{}}\nhealth:\n  rules:\n{rules}");
    world.write("deployctl.yaml", &text);
    let ran = world.run(&["health", "-f", "pod.yaml"]);
    refused(&ran, says);
    assert!(ran.stderr.contains("deployctl.yaml:9:7"), "{ran:#?}");
}
