//! `demo`: the main job with nothing but the binary.

use crate::support::World;

/// A machine without any program.
fn bare() -> World {
    World::new().with("PATH", "/nowhere")
}

#[test]
fn the_demo_needs_nothing_but_the_binary() {
    let world = bare();
    let said = world.ok(&["demo"]);
    for part in ["deployctl build", "dev states", "ranking in prod: healthy", "Promote ranking"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for part in ["The history of prod", "Where everything lies", "manifests.git", "--keep DIR"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.contains("recorded on a real Kubernetes cluster"), "{said}");
}

#[test]
fn what_the_demo_keeps_can_be_worked_with() {
    let world = bare();
    let report = world.ok(&["demo", "--keep", "kept", "--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (&report["schema"], &report["verdict"]),
        (&"deployctl.dev/demo/v1".into(), &"healthy".into())
    );
    let status = world.ok(&["--config", "kept/shop/deployctl.yaml", "status", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["rows"][0]["image"], report["image"]);
    assert_eq!(status["rows"][1]["image"], report["image"]);
    let again = world.run(&["demo", "--keep", "kept"]);
    assert_eq!((again.code, again.stdout.as_str()), (2, ""));
    assert!(again.stderr.contains("`kept` is not empty"), "{}", again.stderr);
}

#[test]
fn a_rollout_that_breaks_is_diagnosed() {
    let ran = bare().run(&["demo", "--fail"]);
    assert_eq!(ran.code, 4, "{ran:#?}");
    assert!(ran.stdout.contains("ranking in dev: degraded"), "{}", ran.stdout);
    // What the container wrote at last.
    assert!(ran.stdout.contains("\n    | no database\n"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("Promote"), "{}", ran.stdout);
}

#[test]
fn a_folder_that_can_not_be_made_is_named() {
    let ran = bare().run(&["demo", "--keep", "/proc/x"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:#?}");
    assert!(ran.stderr.contains("can't keep anything in `/proc/x`: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: name a folder that is new or empty"), "{}", ran.stderr);
}
