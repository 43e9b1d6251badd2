//! `context check`, `context list` and `image parse`, on the case collections and on real folders.

use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::conformance::cases_file;
use crate::support::World;
use crate::support::world::Ran;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn with_input(world: &World, arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = world.command(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().into()
}

fn cases(file: &str) -> Option<Vec<Value>> {
    let bytes = fs::read(cases_file(file)?).unwrap();
    let mut document: Value = serde_json::from_slice(&bytes).unwrap();
    Some(document["cases"].as_array_mut().unwrap().drain(..).collect())
}

#[test]
fn check_answers_as_moby_does() {
    let Some(cases) = cases("dockerignore/differential.json") else { return };
    let world = World::new();
    // The library is asked all of them; the way through the command is the same for each.
    let errors = cases.iter().filter(|case| case["error"].is_string());
    for case in cases.iter().step_by(12).chain(errors) {
        world.write("ignore", case["ignorefile"].as_str().unwrap());
        let path = case["path"].as_str().unwrap();
        let ran = world.run(&["context", "check", "--ignore-file", "ignore", path]);
        let said = &lines(&ran.stdout)[0];
        assert_eq!((&said["path"], &said["ignored"]), (&case["path"], &case["ignored"]), "{case}");
        assert_eq!(said["error"].is_string(), case["error"].is_string(), "{case} {said}");
        assert_eq!(ran.code, i32::from(case["error"].is_string()), "{case}");
    }
}

#[test]
fn references_are_parsed_as_distribution_does() {
    let Some(cases) = cases("image-reference/differential.json") else { return };
    let input: Vec<&str> = cases.iter().map(|case| case["input"].as_str().unwrap()).collect();
    let ran = with_input(&World::new(), &["image", "parse", "-"], input.join("\n").as_bytes());
    let said = lines(&ran.stdout);
    assert_eq!((ran.code, said.len()), (0, cases.len()));
    for (case, said) in cases.iter().zip(&said) {
        assert_eq!(said["valid"], json!(case["err"].is_null()), "{case} {said}");
        assert_eq!(said["error"], case["err"], "{case}");
        for key in ["canonical", "familiar", "domain", "path", "tag", "digest"] {
            let text = |value: &Value| value[key].as_str().unwrap_or_default().to_owned();
            assert_eq!(text(said), text(case), "{key}: {case}");
        }
    }
}

#[test]
fn check_names_the_line_that_decides_or_is_wrong() {
    let world = World::new();
    world.write("ignore", "\u{feff}# first\r\ndocs\r\n!docs/README.md\r\n");
    let check = ["context", "check", "--ignore-file", "ignore"];
    let paths = b"docs/a\ndocs/README.md\r\nsrc\ncaf\xe9\n";
    let ran = with_input(&world, &[check.as_slice(), &["-"]].concat(), paths);
    assert_eq!(
        (ran.code, lines(&ran.stdout)),
        (
            0,
            vec![
                json!({"path": "docs/a", "ignored": true, "line": 2}),
                json!({"path": "docs/README.md", "ignored": false, "line": 3}),
                json!({"path": "src", "ignored": false}),
                json!({"path": "caf\u{fffd}", "ignored": false}),
            ]
        )
    );
    for (text, error) in [
        ("a\n!\n", "line 2: illegal exclusion pattern: \"!\""),
        ("\n[Local-Only]/\n", "line 2: syntax error in pattern `[Local-Only]`"),
    ] {
        world.write("ignore", text);
        let ran = world.run(&[check.as_slice(), &["x", "y"]].concat());
        let said = lines(&ran.stdout);
        assert_eq!((ran.code, said.len()), (1, 2));
        assert_eq!(said[1], json!({"path": "y", "ignored": false, "line": 2, "error": error}));
    }
    let ran = world.run(&["context", "check", "--ignore-file", "none", "x"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("can't use `none`: No such file"), "{ran:?}");
}

#[test]
fn list_shows_what_would_be_sent() {
    let world = World::new();
    world.write("shop/.dockerignore", "**\n!src\n!run\n!loop\n");
    world.write("shop/ci/app.Dockerfile.dockerignore", "src\nrun\nloop\n");
    for file in ["Dockerfile", "ci/app.Dockerfile", "src/main.rs", "target/big"] {
        world.write(&format!("shop/{file}"), "");
    }
    let shop = world.path().join("shop");
    std::os::unix::fs::symlink("loop", shop.join("loop")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(shop.join("run")).unwrap();
    let ran = world.run(&["context", "list", "shop"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, ".dockerignore\nDockerfile\nloop\nrun\nsrc/\nsrc/main.rs\n"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("`run` is a socket"), "{ran:?}");
    let said = lines(&world.ok(&["context", "list", "shop", "--output", "json"]));
    assert_eq!(said[1], json!({"path": "Dockerfile", "kind": "file", "forBuilderOnly": true}));
    assert_eq!(said[2], json!({"path": "loop", "kind": "link", "target": "loop"}));
    assert_eq!(said[5], json!({"path": "src/main.rs", "kind": "file", "executable": false}));
    let own = world.ok(&["context", "list", "shop", "--dockerfile", "ci/app.Dockerfile"]);
    assert_eq!(
        own,
        ".dockerignore\nDockerfile\nci/\nci/app.Dockerfile\nci/app.Dockerfile.dockerignore\n\
         target/\ntarget/big\n"
    );
}

#[test]
fn list_says_what_stands_in_the_way() {
    let world = World::new();
    let refused = |arguments: &[&str], code: i32, text: &str| {
        let ran = world.run(&[&["context", "list"], arguments].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{ran:?}");
        assert!(ran.stderr.contains(text), "{text}: {ran:?}");
    };
    refused(&["none"], 2, "can't use `none`: No such file");
    world.write("shop/.dockerignore", "a\n[\n");
    refused(&["shop"], 2, "shop/.dockerignore`: line 2: syntax error in pattern `[`");
    world.write("shop/.dockerignore", "a\n[z-a]\n");
    refused(&["shop"], 1, "shop/.dockerignore`: line 2: syntax error in pattern `[z-a]`");
    world.write("shop/.dockerignore", "a\n");
    refused(&["shop", "--dockerfile", "b"], 2, "there is no Dockerfile `shop/b`");
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
    fs::write(world.path().as_std_path().join("shop").join(name), "").unwrap();
    refused(
        &["shop"],
        1,
        "the name \"caf\\xE9.txt\" in it is not UTF-8; rename it, or leave it out",
    );
}
