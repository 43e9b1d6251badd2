//! Every command in the README, run in the order it stands there, on real parts.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use camino::Utf8Path;

use crate::support::peer;
use crate::support::road::Road;

const README: &str = include_str!("../../README.md");

/// Returns the blocks of the README that are marked as `language`.
fn blocks(language: &str) -> Vec<&'static str> {
    let start = format!("```{language}\n");
    let after = README.split(start.as_str()).skip(1);
    after.map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn ci_runs_the_readmes_test_command() {
    assert!(blocks("sh").contains(&"cargo test\n"));
    let ci = std::fs::read_to_string(Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/run"));
    assert!(ci.unwrap().contains("README.md"), "it takes the command from there");
}

#[test]
fn every_command_of_the_readme_works() {
    let Some(_) = peer("kubectl") else { return };
    let Some(road) = Road::start("readme", blocks("yaml")[0]) else { return };
    let root = road.world.path();
    std::fs::create_dir(root.join("home/bin")).unwrap();
    let program = root.join("home/bin/deployctl");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_deployctl"), program).unwrap();
    for (name, text) in [
        ("dev", include_str!("../../pipelines/dev.yaml")),
        ("prod", include_str!("../../pipelines/prod.yaml")),
    ] {
        road.world.write(&format!("pipelines/{name}.yaml"), text);
    }
    road.commit("Add pipelines");
    let manifests = road.manifests.path();
    let clone = ["clone", "-q", manifests.as_str(), "home/manifests"];
    crate::support::git_server::git(root, &clone);
    for folder in ["apps", "environments"] {
        std::fs::rename(root.join("home/manifests").join(folder), root.join(folder)).unwrap();
    }

    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut applied = String::new();
            while !over.load(Ordering::Relaxed) {
                apply_what_is_stated(&road, &mut applied);
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            blocks("sh").iter().for_each(|block| run(&road, block));
        }));
        over.store(true, Ordering::Relaxed);
        ran.unwrap();
    });
}

/// Does what somebody without Argo CD does: applies each overlay as the repository states it. No
/// node runs the pods, so their readiness is played, too. `applied` is the commit whose overlays are
/// applied already.
fn apply_what_is_stated(road: &Road, applied: &mut String) {
    let tip = road.manifests.git(&["rev-parse", "main"]);
    for environment in ["dev", "prod"] {
        let namespace = road.namespace(environment);
        if *applied != tip {
            road.control_plane.apply(&road.rendered(environment).0);
        }
        road.control_plane.play_ingress_controller(&namespace);
        road.control_plane.play_kubelet(&namespace);
    }
    *applied = tip;
}

/// Runs a block as a reader does who pastes it into a shell. The test is run already, and so is the
/// program that `cargo run` would build.
fn run(road: &Road, block: &str) {
    let text = road.adopt(block).replace("cargo run --release --", "deployctl");
    if text == "cargo test\n" {
        return;
    }
    let mut path = vec![road.world.path().join("home/bin").into_std_path_buf()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail", "-c", &text])
        .current_dir(road.world.path())
        .env_clear()
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("HOME", road.world.path().join("home"))
        .env("KUBECONFIG", road.control_plane.kubeconfig())
        .env("GIT_AUTHOR_NAME", "Ada")
        .env("GIT_AUTHOR_EMAIL", "ada@example.com");
    let output = command.output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}{}\n{stdout}\n{stderr}", output.status);
}
