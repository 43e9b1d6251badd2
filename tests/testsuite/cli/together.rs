//! Several runs of deployctl on one manifests repository at the same time: all of them land, once.

use std::process::{Child, Stdio};

use super::shop::{DIGEST, overlay};
use crate::support::World;
use crate::support::git_server::{GitServer, HttpGitServer, git};

const SERVICES: [&str; 4] = ["cart", "mail", "pay", "ranking"];

/// The trailer that opens a record.
const RECORD: &str = "Deployctl-Service: ";

fn manifests() -> GitServer {
    let files: Vec<(String, String)> = SERVICES
        .iter()
        .flat_map(|service| {
            let image = format!("registry.example.com/{service}");
            overlay(&format!("apps/{service}/overlays/dev"), &image, "  newTag: old\n")
        })
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    GitServer::bare(&files)
}

fn world(repo: &str) -> World {
    let world = World::new();
    let services =
        SERVICES.map(|name| format!("  {name}: {{image: registry.example.com/{name}}}\n"));
    let text = format!(
        "version: 1\nmanifests: {{repo: '{repo}', branch: main}}\n\
         environments:\n  dev: {{overlay: 'apps/{{service}}/overlays/dev'}}\nservices:\n{}",
        services.concat()
    );
    world.write("deployctl.yaml", &text);
    world
}

/// Starts a run that sets `service` to the tag; every other one has a cache of its own.
fn set(world: &World, number: usize, service: &str, tag: &str) -> Child {
    let image = format!("{service}=:{tag}@{DIGEST}");
    let mut command = world.command(&["set", "--env", "dev", &image]);
    if number.is_multiple_of(2) {
        command.env("DEPLOYCTL_CACHE_DIR", world.path().join(format!("cache-{number}")));
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn all_succeed(children: Vec<Child>) {
    for child in children {
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
    }
}

fn all_land_once(world: &World, manifests: &GitServer) {
    let runs = SERVICES.iter().enumerate().map(|(n, service)| set(world, n, service, "new"));
    all_succeed(runs.collect());
    for service in SERVICES {
        let overlay = format!("apps/{service}/overlays/dev/kustomization.yaml");
        let text = manifests.file("main", &overlay);
        assert!(text.contains("newTag: new\n") && text.contains(DIGEST), "{service}: {text}");
        let commits = manifests.git(&["log", "--format=%b", "main", "--", &overlay]);
        let records = commits.lines().filter(|line| *line == format!("{RECORD}{service}"));
        assert_eq!(records.count(), 1, "{commits}");
        assert_eq!(manifests.git(&["rev-list", "--count", "main", "--", &overlay]), "2\n");
    }
    // Those who share a cache may go together.
    let commits = manifests.git(&["rev-list", "--count", "main"]);
    assert!((2..=5).contains(&commits.trim().parse::<usize>().unwrap()), "{commits}");
    assert_eq!(manifests.git(&["rev-list", "--count", "--merges", "main"]), "0\n");
    manifests.git(&["fsck", "--strict"]);
}

#[test]
fn four_services_in_a_repository_in_a_folder() {
    let manifests = manifests();
    all_land_once(&world(manifests.path().as_str()), &manifests);
}

#[test]
fn four_services_in_a_repository_behind_http() {
    let Some(server) = HttpGitServer::start("x-access-token", "token") else { return };
    let target = server.repository.path();
    git(&manifests().path(), &["push", "-q", "--force", target.as_str(), "main"]);
    let world = world(&server.url()).with("DEPLOYCTL_GIT_TOKEN", "token");
    all_land_once(&world, &server.repository);
}

#[test]
fn two_images_of_one_service_are_both_in_the_history() {
    let manifests = manifests();
    let world = world(manifests.path().as_str());
    let runs = ["one", "two"].into_iter().enumerate();
    all_succeed(runs.map(|(n, tag)| set(&world, n, "cart", tag)).collect());
    let subjects = manifests.git(&["log", "--format=%s", "main"]);
    let mut subjects: Vec<&str> = subjects.lines().collect();
    let last = subjects[0].split(' ').nth(2).unwrap().to_owned();
    subjects.sort_unstable();
    assert_eq!(subjects, ["Deploy cart one to dev", "Deploy cart two to dev", "first"]);
    let overlay = manifests.file("main", "apps/cart/overlays/dev/kustomization.yaml");
    assert!(overlay.contains(&format!("newTag: {last}\n")), "{overlay}");
}

#[test]
fn the_same_image_twice_is_one_commit() {
    let manifests = manifests();
    let world = world(manifests.path().as_str());
    all_succeed((0..3).map(|n| set(&world, n, "cart", "same")).collect());
    assert_eq!(manifests.git(&["rev-list", "--count", "main"]), "2\n");
}

#[test]
fn a_lock_that_a_dead_push_left_is_told_and_not_waited_for_to_the_end() {
    let manifests = manifests();
    let lock = manifests.path().join("refs/heads/main.lock");
    std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
    std::fs::write(&lock, "").unwrap();
    let world = world(manifests.path().as_str());
    let ran = world.run(&["set", "--env", "dev", &format!("cart=:one@{DIGEST}")]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:#?}");
    assert!(ran.stderr.contains("but nobody else pushes"), "{ran:#?}");
    assert!(ran.stderr.contains("hint: a push that died may have left"), "{ran:#?}");
}
