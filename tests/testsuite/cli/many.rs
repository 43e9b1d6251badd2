//! Many services at once: what they need of the manifests repository comes together.

use super::shop::{DIGEST, overlay};
use crate::support::World;
use crate::support::git_server::GitServer;

const SERVICES: usize = 20;

fn manifests() -> GitServer {
    let files = (0..2 * SERVICES).flat_map(|number| {
        let image = format!("registry.example.com/s{number}");
        let pinned = format!("  newTag: old\n  digest: {DIGEST}\n");
        ["dev", "prod"]
            .map(|environment| format!("apps/s{number}/overlays/{environment}"))
            .map(|folder| overlay(&folder, &image, &pinned))
            .into_iter()
            .flatten()
    });
    let files: Vec<(String, String)> = files.collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let server = GitServer::bare(&files);
    server.git(&["config", "uploadpack.allowFilter", "true"]);
    server
}

fn world(manifests: &GitServer) -> World {
    let world = World::new();
    let services: String = (0..SERVICES)
        .map(|number| format!("  s{number}: {{image: registry.example.com/s{number}}}\n"))
        .collect();
    let text = format!(
        "version: 1\nmanifests: {{repo: 'file://{}', branch: main}}\nenvironments:\n\
         \x20 dev: {{overlay: 'apps/{{service}}/overlays/dev'}}\n\
         \x20 prod: {{overlay: 'apps/{{service}}/overlays/prod', from: dev}}\nservices:\n{services}",
        manifests.path()
    );
    world.write("deployctl.yaml", &text);
    let trace = world.path().join("trace");
    world.with("GIT_TRACE", trace.as_str())
}

/// Runs deployctl and returns how often it fetched from the branch.
fn fetches(world: &World, arguments: &[&str]) -> usize {
    let trace = world.path().join("trace");
    let _ = std::fs::remove_file(&trace);
    world.ok(arguments);
    let trace = std::fs::read_to_string(&trace).unwrap();
    let fetch = |line: &&str| line.contains("trace: built-in: git fetch ");
    trace.lines().filter(fetch).filter(|line| !line.contains("deployctl/verified/")).count()
}

/// The commit, the root, `apps`, and all services at once.
const COLD: usize = 4;

#[test]
fn what_twenty_services_need_comes_together() {
    let manifests = manifests();
    let cold = || world(&manifests);
    let other = format!("sha256:{}", "7".repeat(64));
    let images: Vec<String> = (0..SERVICES).map(|n| format!("s{n}=:new@{other}")).collect();
    let mut set = vec!["set", "--env", "dev"];
    set.extend(images.iter().map(String::as_str));

    let first = cold();
    assert_eq!(fetches(&first, &set), COLD, "set");
    // It is all there.
    assert_eq!(fetches(&first, &set), 1, "set again");
    // What is on record nowhere is looked up in the history, whose folders come after two services.
    let status = fetches(&cold(), &["status"]);
    assert!((COLD..=COLD + 5).contains(&status), "status: {status}");
    let promote = fetches(&cold(), &["promote", "--to", "prod", "--unproven"]);
    assert!((COLD..=COLD + 6).contains(&promote), "promote: {promote}");
    // What another one has promoted comes together, too.
    assert!(fetches(&first, &["status"]) <= 2, "status of what has changed");
}
