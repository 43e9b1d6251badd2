//! The GitHub action, the workflows and the settings beside them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_yaml::Value;

use super::{at, documents, read, root, text, yaml_files};
use crate::support;

const ACTION: &str = ".github/actions/deployctl";

/// Calls `visit` with every `key: text` below `value`.
fn each_text<'a>(value: &'a Value, visit: &mut impl FnMut(&'a str, &'a str)) {
    match value {
        Value::Mapping(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value.as_str()) {
                    (Some(key), Some(text)) => visit(key, text),
                    _ => each_text(value, visit),
                }
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| each_text(item, visit)),
        _ => {}
    }
}

#[test]
fn actions_are_pinned_by_full_commit_id_with_their_version() {
    for path in yaml_files(".github") {
        for line in read(&path).lines() {
            let Some((_, action)) = line.split_once("uses: ") else { continue };
            if action.starts_with("$/") || line.trim_start().starts_with('#') {
                continue;
            }
            let pinned = action.split_once('@').and_then(|(_, rest)| rest.split_once(" # v"));
            let full = |id: &str| id.len() == 40 && id.bytes().all(|it| it.is_ascii_hexdigit());
            let ok = pinned.is_some_and(|(id, version)| full(id) && version.contains('.'));
            assert!(ok, "{}: `{action}`", path.display());
        }
    }
}

#[test]
fn no_expression_is_pasted_into_a_script() {
    for path in yaml_files(".github") {
        for document in documents(&read(&path), &path) {
            each_text(&document, &mut |key, text| {
                let clean = key != "run" || !text.contains("${{");
                assert!(clean, "{}: `{text}`", path.display());
            });
        }
    }
}

#[test]
fn workflows_start_without_permissions() {
    for path in yaml_files(".github/workflows") {
        let workflow = &documents(&read(&path), &path)[0];
        let permissions = at(workflow, "permissions").as_mapping();
        assert!(permissions.is_some_and(serde_yaml::Mapping::is_empty), "{}", path.display());
        for (name, job) in at(workflow, "jobs").as_mapping().unwrap() {
            assert!(at(job, "permissions").is_mapping(), "{}: {name:?}", path.display());
        }
    }
}

#[test]
fn zizmor_finds_nothing() {
    let Some(zizmor) = support::peer("zizmor") else { return };
    let mut command = Command::new(zizmor);
    let output = command
        .args(["--offline", "--no-progress", "--persona", "pedantic"])
        .arg(root(".github"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_action_declares_every_input_and_output_that_it_uses() {
    let path = root(ACTION).join("action.yml");
    let action = &documents(&read(&path), &path)[0];
    let source = read(&path);
    for (section, used) in [("inputs", "inputs."), ("outputs", "steps.deployctl.outputs.")] {
        let declared = at(action, section).as_mapping().unwrap();
        for name in declared.keys().map(|it| it.as_str().unwrap()) {
            let expression = format!("${{{{ {used}{name} }}}}");
            assert!(source.contains(&expression), "{section}: `{name}` is not used");
        }
    }
    assert_eq!(text(action, "runs/using"), "composite");
}

/// A stand-in for the binary, which tells its arguments and what it sees of the environment.
const BINARY: &str = "#!/usr/bin/env bash
printf '<%s>' \"$@\"
echo
env | grep -E '^(DEPLOYCTL|GITHUB_TOKEN)' | sort
[[ -z ${KUBECONFIG:-} ]] || { stat -c %a \"$KUBECONFIG\"; cat \"$KUBECONFIG\"; }
exit 4
";

/// Runs the action's script `run` with `inputs` in its environment.
fn run_action(folder: &Path, inputs: &[(&str, &str)]) -> Output {
    let binary = folder.join("deployctl");
    std::fs::write(&binary, BINARY).unwrap();
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("bash");
    command.arg(root(ACTION).join("run")).current_dir(folder).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command.env("RUNNER_TEMP", folder).env("DEPLOYCTL_ACTION_FOLDER", folder);
    command.envs(inputs.iter().map(|(name, value)| (format!("DEPLOYCTL_ACTION_{name}"), value)));
    command.output().unwrap()
}

#[test]
fn the_action_passes_every_line_as_one_argument_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let command = "set\r\n--env\n\ndev\n$(touch pwned)\n`id`; \"a b\" 'c' * \\n %s\n";
    let output = run_action(folder.path(), &[("COMMAND", command), ("CONFIG", "a b.yaml")]);
    let told = String::from_utf8(output.stdout).unwrap();
    let expected =
        "<--config><a b.yaml><set><--env><dev><$(touch pwned)><`id`; \"a b\" 'c' * \\n %s>\n";
    assert_eq!(told, expected, "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(4), "the exit code is deployctl's");
    assert!(!folder.path().join("pwned").exists());
}

#[test]
fn the_action_keeps_secrets_out_of_arguments_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = [("COMMAND", "status"), ("TOKEN", "canary"), ("KUBECONFIG", "kind: Config")];
    let told = String::from_utf8(run_action(folder.path(), &inputs).stdout).unwrap();
    let expected = "<status>\nDEPLOYCTL_GIT_TOKEN=canary\nGITHUB_TOKEN=canary\n600\nkind: Config\n";
    assert_eq!(told, expected);
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "only the binary is left");
}

#[test]
fn the_action_refuses_a_command_on_one_line() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["", "\n\n", "build ranking"] {
        let output = run_action(folder.path(), &[("COMMAND", command)]);
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        assert!(String::from_utf8_lossy(&output.stdout).starts_with("::error "), "{command:?}");
    }
}

#[test]
fn the_action_keys_its_cache_by_the_content_of_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let action = folder.path().join(ACTION);
    std::fs::create_dir_all(&action).unwrap();
    std::fs::copy(root(ACTION).join("identify"), action.join("identify")).unwrap();
    let key = || {
        let output = folder.path().join("target");
        std::fs::create_dir_all(&output).unwrap();
        let output = output.join("output");
        let mut command = Command::new("bash");
        command.arg(action.join("identify")).env("GITHUB_ACTION_PATH", &action);
        command.env("RUNNER_TEMP", "/runner").env("GITHUB_OUTPUT", &output);
        assert!(command.status().unwrap().success());
        let told = read(&output);
        std::fs::remove_file(output).unwrap();
        told
    };
    std::fs::write(folder.path().join("Cargo.toml"), "a").unwrap();
    let first = key();
    assert!(first.starts_with("key=") && first.contains("\nfolder=/runner/deployctl-"), "{first}");
    assert_eq!(key(), first);
    std::fs::write(folder.path().join("Cargo.toml"), "b").unwrap();
    assert_ne!(key(), first);
}
