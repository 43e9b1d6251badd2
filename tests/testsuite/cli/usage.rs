//! Wrong usage and wrong configuration: one message, the right exit code, what to do.

use crate::support::World;

fn config(text: &str) -> (i32, String) {
    let world = World::new();
    world.write("deployctl.yaml", text);
    let ran = world.run(&["status"]);
    assert_eq!(ran.stdout, "");
    (ran.code, ran.stderr)
}

const REST: &str =
    "environments:\n  dev: {overlay: a}\nservices:\n  web: {image: example.com/web}\n";

#[test]
fn no_configuration_is_told_with_what_to_do() {
    let ran = World::new().run(&["status"]);
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.stderr,
        "error: no `deployctl.yaml` in `[WORLD]` or a parent folder\nhint: write one (README, \"Configuration\"), name one with --config, or try `deployctl demo` first\n"
    );
}

#[test]
fn an_unknown_key_is_told_with_its_place_and_the_nearest_name() {
    let (code, stderr) = config(&format!("version: 1\nmanifest: {{}}\n{REST}"));
    assert_eq!(code, 2);
    assert!(stderr.contains("deployctl.yaml:2:1"), "{stderr}");
    assert!(stderr.contains("unknown key `manifest`"), "{stderr}");
    assert!(stderr.contains("did you mean `manifests`?"), "{stderr}");
}

#[test]
fn what_can_not_be_meant_is_told_with_its_place() {
    for (text, place, message) in [
        (format!("version: 2\n{REST}"), "1:10", "version 2 is not known; expected 1"),
        (REST.to_owned(), "1:1", "missing key `version`"),
        (
            "version: 1\nenvironments:\n  prod: {overlay: a, from: dev}\nservices: {}\n".to_owned(),
            "3:28",
            "no environment `dev`",
        ),
        (
            "version: 1\nenvironments:\n  dev: {overlay: ../a}\nservices: {}\n".to_owned(),
            "3:18",
            "`../a` is not a relative path",
        ),
        (
            "version: 1\nenvironments: {}\nservices:\n  web: {image: 'example.com/web:1'}\n".to_owned(),
            "4:16",
            "has a tag or a digest; expected only a name",
        ),
        (
            "version: 1\nmanifests: {repo: 'https://me:canary@git.example.com/x'}\nenvironments: {}\nservices: {}\n"
                .to_owned(),
            "2:19",
            "the URL has a password in it",
        ),
        (
            "version: 1\nmanifests: {author: 'Ada'}\nenvironments: {}\nservices: {}\n".to_owned(),
            "2:21",
            "`Ada` is not an author; expected `Name <mail>`",
        ),
    ] {
        let (code, stderr) = config(&text);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(&format!("deployctl.yaml:{place}")), "{place}: {stderr}");
        assert!(stderr.contains(message), "{message}: {stderr}");
        assert!(!stderr.contains("canary"), "{stderr}");
    }
}

#[test]
fn an_unknown_service_or_environment_is_told_with_the_known_ones() {
    let world = World::new();
    world.write("deployctl.yaml", &format!("version: 1\n{REST}"));
    let ran = world.run(&["set", "--env", "prod", "web=:1"]);
    assert_eq!(ran.code, 2);
    assert_eq!(ran.stderr, "error: no environment `prod` in the configuration\nhint: known: dev\n");
    let ran = world.run(&["status", "wob"]);
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.stderr,
        "error: no service `wob` in the configuration; did you mean `web`?\nhint: known: web\n"
    );
}

#[test]
fn a_wrong_flag_is_told_with_the_nearest_one() {
    let ran = World::new().run(&["verify", "--enw", "dev"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("--env"), "{}", ran.stderr);
}

#[test]
fn help_and_version_are_answers() {
    let world = World::new();
    assert!(world.ok(&["--help"]).contains("promote"));
    assert!(world.ok(&["--version"]).starts_with("deployctl "));
    assert!(world.ok(&["help", "verify"]).contains("--timeout"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let world = World::new();
    let mut command = world.command(&["schema"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn verify_of_nothing_is_told_with_all_that_can_be_named() {
    let world = World::new();
    let ways = "<--env <ENV>|--application <NAME>|--file <FILE>|--replay <DIR>>";
    let ran = world.run(&["verify"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:#?}");
    assert!(ran.stderr.contains(ways), "{}", ran.stderr);
    let ran = world.run(&["verify", "--within-sync"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("--application <NAME>"), "{}", ran.stderr);
}

#[test]
fn an_empty_variable_for_the_configuration_is_none() {
    let world = World::new();
    world.write("deployctl.yaml", "version: 2\n");
    for config in [None, Some("")] {
        let mut command = world.command(&["status"]);
        if let Some(config) = config {
            command.env("DEPLOYCTL_CONFIG", config);
        }
        let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
        assert!(said.contains("deployctl.yaml:1"), "{config:?}: {said}");
    }
    let ran = world.with("DEPLOYCTL_CONFIG", "other.yaml").run(&["status"]);
    assert!(ran.stderr.contains("other.yaml"), "{}", ran.stderr);
}

/// Whatever is named on the command line and is not there, can't be read or is something else is wrong
/// usage, of every command.
#[test]
fn what_is_named_and_can_not_be_read_is_wrong_usage() {
    let world = World::new();
    world.write("empty", "");
    world.write("bad", "a: [b\n");
    std::fs::create_dir(world.path().join("dir")).unwrap();
    let commands: [&[&str]; 9] = [
        &["status", "--config"],
        &["health", "-f"],
        &["health", "--rules"],
        &["health", "--argocd-cm"],
        &["health", "test"],
        &["verify", "-f"],
        &["verify", "--replay"],
        &["edit", "set-image", "a:b", "-C"],
        &["lint", "--offline", "-C"],
    ];
    for arguments in commands {
        for named in ["missing", "dir", "empty", "bad"] {
            // A folder with nothing in it has no fault.
            if (arguments[0], named) == ("lint", "dir") {
                continue;
            }
            let ran = world.run(&[arguments, &[named]].concat());
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?} {named}: {ran:#?}");
            assert!(ran.stderr.contains(named), "{arguments:?} {named}: {ran:#?}");
        }
    }
    for arguments in [
        &["man", "--out", "/proc/x"],
        &["demo", "--keep", "/proc/x"],
        &["lint", "--sarif", "missing/x"],
    ] {
        let ran = world.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}: {ran:#?}");
        assert!(ran.stderr.contains(arguments[2]), "{arguments:?}: {ran:#?}");
    }
}
