//! Tokens and passwords: whatever deployctl does with them and however much it tells, they are in no
//! argument of a child, no output, and no file that stays.

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::Utf8Path;

use super::shop::{DIGEST, Shop};
use crate::support::data::files_below;
use crate::support::git_server::{HttpGitServer, git};
use crate::support::{RegistryServer, World};

/// What the right and the wrong secrets begin with.
const CANARY: &str = "canary-4f1d";

/// Returns `world` with a `git` that notes its arguments in the file `arguments`.
fn watched(world: World) -> World {
    let path = std::env::var("PATH").unwrap();
    let real = std::env::split_paths(&path).map(|folder| folder.join("git"));
    let real = real.into_iter().find(|program| program.is_file()).unwrap();
    let note = world.path().join("arguments");
    let script =
        format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >>{note}\nexec {} \"$@\"\n", real.display());
    let program = world.write("bin/git", &script);
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{path}", program.parent().unwrap());
    world.with("PATH", &path).with("DEPLOYCTL_LOG", "trace")
}

/// Holds that none of the ways to write `secrets` is in `text`.
#[track_caller]
fn clean(what: &str, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let encoded =
        ["x-access-token:", "ada:"].map(|user| STANDARD.encode(format!("{user}{CANARY}")));
    // The last characters depend on what follows.
    let encoded = encoded.iter().map(|text| &text[..text.len() - 4]);
    for secret in [CANARY].into_iter().chain(encoded) {
        if let Some(line) = text.lines().find(|line| line.contains(secret)) {
            panic!("{what} holds {secret}: {line}");
        }
    }
}

fn clean_below(folder: &Utf8Path) {
    // What failed early has made none.
    let files = folder.exists().then(|| files_below(folder.as_std_path()));
    for path in files.into_iter().flatten() {
        clean(path.to_str().unwrap(), &std::fs::read(&path).unwrap());
    }
}

/// Runs deployctl as loud as it can be, and returns its exit code.
#[track_caller]
fn run(world: &World, arguments: &[&str]) -> i32 {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["-vvv"]).collect();
    let ran = world.run(&arguments);
    clean("standard output", ran.stdout.as_bytes());
    clean("standard error", ran.stderr.as_bytes());
    clean("an argument of git", world.read("arguments").as_bytes());
    clean_below(&world.path().join("home/.cache"));
    ran.code
}

#[test]
fn a_token_for_git() {
    let right = format!("{CANARY}-right");
    let Some(server) = HttpGitServer::start("x-access-token", &right) else { return };
    let shop = Shop::new();
    let target = server.repository.path();
    git(&shop.manifests.path(), &["push", "-q", "--force", target.as_str(), "main"]);
    shop.configure(&server.url(), "");
    let mut world = watched(shop.world).with("GITHUB_TOKEN", &format!("{CANARY}-github"));
    let image = format!("ranking=:1.4@{DIGEST}");
    let set = ["set", "--env", "dev", image.as_str()];
    world = world.with("DEPLOYCTL_GIT_TOKEN", &format!("{CANARY}-wrong"));
    assert_eq!(run(&world, &set), 1);
    world = world.with("DEPLOYCTL_GIT_TOKEN", &format!("{CANARY}\nX-Forged: 1"));
    assert_eq!(run(&world, &set), 1);
    world = world.with("DEPLOYCTL_GIT_TOKEN", &right);
    assert_eq!(run(&world, &set), 0);
    assert_eq!(run(&world, &["status"]), 0);
    // A hook that says what it was told must not tell it on.
    server.repository.hook(&format!("echo token {right} >&2; exit 1"));
    let image = format!("ranking=:1.5@{DIGEST}");
    assert_eq!(run(&world, &["set", "--env", "dev", &image]), 1);
}

#[test]
fn a_token_for_git_whose_every_word_is_traced() {
    let Some(server) = HttpGitServer::start("x-access-token", CANARY) else { return };
    let shop = Shop::new();
    let target = server.repository.path();
    git(&shop.manifests.path(), &["push", "-q", "--force", target.as_str(), "main"]);
    shop.configure(&server.url(), "");
    let mut world = watched(shop.world).with("DEPLOYCTL_GIT_TOKEN", CANARY);
    for name in
        ["GIT_TRACE", "GIT_TRACE_CURL", "GIT_TRACE_PACKET", "GIT_CURL_VERBOSE", "GIT_TRACE2"]
    {
        world = world.with(name, "1");
    }
    world = world.with("GIT_TRACE_REDACT", "0");
    assert_eq!(run(&world, &["set", "--env", "dev", &format!("ranking=:1.4@{DIGEST}")]), 0);
    let trace = world.path().join("trace");
    world = world.with("GIT_TRACE_CURL", trace.as_str());
    assert_eq!(run(&world, &["set", "--env", "dev", &format!("ranking=:1.5@{DIGEST}")]), 0);
    let trace = world.read("trace");
    assert!(trace.contains("Authorization:"), "a trace into a file is left alone");
    clean("a trace", trace.as_bytes());
}

#[test]
fn a_token_in_the_address_is_refused_and_not_repeated() {
    let shop = Shop::new();
    shop.configure(&format!("https://ada:{CANARY}@git.example.com/shop.git"), "");
    let world = watched(shop.world);
    world.write("arguments", "");
    assert_eq!(run(&world, &["status"]), 2);
    let config = world.read("deployctl.yaml");
    world.write("deployctl.yaml", &config.replace(&format!("ada:{CANARY}"), CANARY));
    assert_ne!(run(&world, &["status"]), 0);
}

#[test]
fn a_password_for_the_registry() {
    let right = format!("{CANARY}-right");
    let Some(registry) = RegistryServer::start_htpasswd("ada", &right) else { return };
    let shop = Shop::new();
    let config = shop.world.read("deployctl.yaml");
    let config = config.replace("registry.example.com", registry.domain());
    let build = "    build: {context: files, layers: [{from: app, to: /app}]}\n";
    shop.world.write("deployctl.yaml", &format!("{config}{build}"));
    shop.world.write("files/app", "app");
    let world = watched(shop.world).with("GITHUB_TOKEN", &format!("{CANARY}-github"));
    world.write("arguments", "");
    let login = |password: &str| {
        let pair = STANDARD.encode(format!("ada:{password}"));
        let text =
            format!("{{\"auths\": {{\"{}\": {{\"auth\": \"{pair}\"}}}}}}", registry.domain());
        world.write("home/.docker/config.json", &text);
    };
    login(&format!("{CANARY}-wrong"));
    assert_eq!(run(&world, &["build", "--tag", "1"]), 1);
    login(&right);
    assert_eq!(run(&world, &["build", "--tag", "1"]), 0);
    let image = format!("ranking={}/shop/ranking:1", registry.domain());
    assert_eq!(run(&world, &["set", "--dry-run", "--env", "dev", &image]), 1);
    assert_eq!(run(&world, &["set", "--dry-run", "--env", "dev", &image.replace(":1", ":2")]), 1);
}
