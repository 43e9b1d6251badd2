//! `rollback`, `release-hold`, and what a hold does to `set` and `promote`.

mod holds;
mod proven;
mod taken_back;

use serde_json::Value;

use super::shop::{Shop, overlay};
use crate::support::git_server::{GitServer, HttpGitServer, git};
use crate::support::{Ran, World};

const NAME: &str = "registry.example.com/shop/ranking";

/// Returns an image with a tag and a digest that begin with `letter`.
fn image(letter: char) -> String {
    image_of(NAME, letter)
}

fn image_of(name: &str, letter: char) -> String {
    format!("{name}:{letter}@sha256:{}", letter.to_string().repeat(64))
}

/// Puts on record that `image` was healthy, as `verify` does.
fn verified(server: &GitServer, environment: &str, service: &str, image: &str) {
    let ledger = format!("refs/deployctl/verified/{environment}/{service}");
    let message = format!(
        "{service} is healthy in {environment}\n\nDeployctl-Service: {service}\n\
         Deployctl-Environment: {environment}\nDeployctl-Image: {image}\nDeployctl-Verified: {}",
        server.git(&["rev-parse", "main"]).trim()
    );
    append(server, &ledger, &message);
}

fn append(server: &GitServer, ledger: &str, message: &str) {
    let tree = server.git(&["hash-object", "-t", "tree", "-w", "/dev/null"]);
    let before = server.git(&["for-each-ref", "--format=%(objectname)", ledger]);
    let mut arguments = vec!["commit-tree", tree.trim(), "-m", message];
    if !before.is_empty() {
        arguments.extend(["-p", before.trim()]);
    }
    let entry = server.git(&arguments);
    server.git(&["update-ref", ledger, entry.trim()]);
}

/// Returns a shop whose `prod` states `c` after `a` and `b`, which were verified.
fn shop() -> Shop {
    let shop = Shop::new();
    for letter in ['a', 'b', 'c'] {
        set(&shop.world, "prod", letter);
        if letter != 'c' {
            verified(&shop.manifests, "prod", "ranking", &image(letter));
        }
    }
    shop
}

fn set(world: &World, environment: &str, letter: char) {
    world.ok(&["set", "--env", environment, &format!("ranking={}", image(letter))]);
}

/// Runs `set` of a pipeline.
fn pipeline_sets(shop: &Shop, letter: char) -> Ran {
    let image = format!("ranking={}", image(letter));
    let mut command = shop.world.command(&["set", "--output", "json", "--env", "prod", &image]);
    Ran::of(command.env("CI", "true"))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn states(shop: &Shop, letter: char) -> bool {
    shop.overlay("prod").contains(&letter.to_string().repeat(64))
}

#[test]
fn returns_to_what_was_verified_and_keeps_pipelines_out_until_released() {
    let shop = shop();
    let said = shop.world.ok(&["rollback", "--env", "prod", "--reason", "it loses orders"]);
    assert!(said.starts_with(&format!("prod states {}", image('b'))), "{said}");
    assert!(said.contains("by Test; it was"), "{said}");
    assert!(said.contains("until `deployctl release-hold ranking --env prod`"), "{said}");
    assert!(states(&shop, 'b'));
    let message = shop.manifests.git(&["log", "-1", "--format=%B", "main"]);
    assert!(
        message.starts_with("Roll back ranking to b in prod\n\nit loses orders\n"),
        "{message}"
    );
    assert!(message.contains(&format!("Deployctl-Rollback: {}\n", image('c'))), "{message}");

    let tip = shop.manifests.git(&["rev-parse", "main"]);
    let held = pipeline_sets(&shop, 'd');
    assert_eq!(held.code, 3, "{held:#?}");
    let answer = json(&held.stdout);
    assert_eq!(
        (&answer["schema"], &answer["outcome"]),
        (&"deployctl.dev/set/v1".into(), &"held".into())
    );
    assert_eq!(
        (&answer["held"]["by"], &answer["held"]["reason"]),
        (&"Ada".into(), &"it loses orders".into())
    );
    assert!(answer["held"]["since"].as_str().unwrap().starts_with("20"), "{answer}");
    assert_eq!(answer["services"][0]["changed"], false);
    assert_eq!(shop.manifests.git(&["rev-parse", "main"]), tip);
    let status = shop.world.ok(&["status"]);
    assert!(status.contains("  held, verified 20"), "{status}");
    assert!(status.ends_with("by Ada because it loses orders\n"), "{status}");
    let status = json(&shop.world.ok(&["status", "--output", "json"]));
    let row = &status["rows"][1];
    assert_eq!((&row["held"]["by"], &row["verified"]["stated"]), (&"Ada".into(), &true.into()));
    assert_eq!(row["change"]["kind"], "rollback");
    assert_eq!(status["rows"][0]["verified"], Value::Null);
    let history = shop.world.ok(&["history", "ranking", "--env", "prod"]);
    assert!(history.contains(&format!("    rolled back {}\n", image('c'))), "{history}");
    assert!(history.contains("    because it loses orders\n"), "{history}");
    // What the rollback returned to was verified before it, and not yet since.
    let verified: Vec<_> = history.match_indices("    verified 20").collect();
    let back = history.find("Roll back").unwrap();
    let next = back + history[back..].find("Deploy ranking").unwrap();
    assert!(verified.len() == 2 && verified[0].0 > next, "{history}");
    let history = ["history", "ranking", "--env", "prod", "--output", "json"];
    let history = json(&shop.world.ok(&history));
    assert_eq!(history["changes"][0]["reason"], "it loses orders");
    assert_eq!(history["changes"][2]["verifiedBy"], "Test", "{history}");
    // What is stated already may be set.
    assert_eq!(pipeline_sets(&shop, 'b').code, 0);

    let released = shop.world.ok(&["release-hold", "--env", "prod"]);
    assert!(released.starts_with("released: ranking was held in prod since 20"), "{released}");
    assert!(released.contains("by Ada because it loses orders"), "{released}");
    assert_eq!(shop.world.ok(&["release-hold", "--env", "prod"]), "nothing is held in prod\n");
    assert_eq!(pipeline_sets(&shop, 'd').code, 0);
    let holds = shop.manifests.git(&["log", "--format=%s", "refs/deployctl/holds/prod/ranking"]);
    assert_eq!(holds, "Release ranking in prod\nHold ranking in prod\n");
    shop.manifests.git(&["fsck", "--strict"]);
}

#[test]
fn without_anything_verified_it_is_what_was_stated_before_and_that_is_said() {
    let shop = Shop::new();
    let ran = shop.world.run(&["rollback", "--env", "prod"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    let error = "can't roll back `prod`: it has stated no other image of `ranking`";
    assert!(ran.stderr.contains(error), "{ran:#?}");
    set(&shop.world, "prod", 'a');
    set(&shop.world, "prod", 'b');
    let ran = shop.world.run(&["rollback", "--env", "prod", "--no-hold"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(
        ran.stderr.contains("warning: nothing of ranking was ever verified in prod"),
        "{ran:#?}"
    );
    assert!(!ran.stdout.contains("held"), "{ran:#?}");
    assert!(states(&shop, 'a'));
    assert_eq!(pipeline_sets(&shop, 'b').code, 0);
    // What a person wrote by hand counts as well.
    shop.world.ok(&["rollback", "--env", "prod"]);
    shop.world.ok(&["rollback", "--env", "prod"]);
    assert!(states(&shop, '2'), "{}", shop.overlay("prod"));
}

#[test]
fn returns_to_a_revision() {
    let shop = shop();
    let old = shop.manifests.git(&["rev-parse", "main~2"]);
    let dry = shop.world.ok(&["rollback", "--env", "prod", "--dry-run", "--to", old.trim()]);
    assert!(dry.contains("dry run: prod would state") && dry.contains("would be held"), "{dry}");
    assert!(states(&shop, 'c'));
    assert_eq!(shop.manifests.git(&["for-each-ref", "refs/deployctl/holds/"]), "");
    let said =
        shop.world.ok(&["rollback", "--output", "json", "--env", "prod", "--to", old.trim()]);
    let said = json(&said);
    assert_eq!(said["schema"], "deployctl.dev/rollback/v1");
    assert_eq!(
        (&said["returns"][0]["basis"], &said["returns"][0]["revision"]),
        (&"revision".into(), &old.trim().into())
    );
    assert_eq!(said["holds"][0]["takenBack"], image('c'));
    assert!(states(&shop, 'a'));
    // Once more: nothing to do, and no new hold.
    let again = ["rollback", "--env", "prod", "--to", old.trim()];
    assert_eq!(shop.world.ok(&again), format!("unchanged: prod already states {}\n", image('a')));
    let again = [again.as_slice(), &["--output", "json"]].concat();
    let said = json(&shop.world.ok(&again));
    assert_eq!((&said["outcome"], &said["holds"]), (&"unchanged".into(), &serde_json::json!([])));
    let ran = shop.world.run(&["rollback", "--env", "prod", "--to", "nowhere"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stderr.contains("has no commit `nowhere`"), "{ran:#?}");
}

#[test]
fn its_help_says_what_it_does_and_offers_nothing_that_it_does_not() {
    let help = World::new().ok(&["rollback", "--help"]);
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in ["that the environment stated with a digest", "was taken back included"] {
        assert!(help.contains(text), "{text}: {help}");
    }
    assert!(!help.contains("--allow-older") && !help.contains("gates say"), "{help}");
    let help = World::new().ok(&["promote", "--help"]);
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("the commit on record for the image that is promoted"), "{help}");
    assert!(help.contains("up to 30 seconds"), "{help}");
}

/// A world with two services in `prod`, and their manifests.
fn two() -> (World, GitServer) {
    let entry = format!("  newTag: \"0\"\n  digest: sha256:{}\n", "0".repeat(64));
    let files = ["pay", "web"].map(|service| {
        let (folder, image) =
            (format!("apps/{service}/overlays/prod"), format!("registry.example.com/{service}"));
        overlay(&folder, &image, &entry)
    });
    let files = files.as_flattened().iter();
    let files: Vec<(&str, &str)> =
        files.map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let manifests = GitServer::bare(&files);
    let world = World::new();
    let text = format!(
        "version: 1\nmanifests: {{repo: '{}', branch: main}}\nenvironments:\n  prod: \
         {{overlay: 'apps/{{service}}/overlays/prod'}}\nservices:\n  \
         pay: {{image: registry.example.com/pay}}\n  web: {{image: registry.example.com/web}}\n",
        manifests.path()
    );
    world.write("deployctl.yaml", &text);
    (world, manifests)
}

fn stated(manifests: &GitServer, service: &str, letter: char) -> bool {
    let path = format!("apps/{service}/overlays/prod/kustomization.yaml");
    manifests.file("main", &path).contains(&letter.to_string().repeat(64))
}

#[test]
fn services_return_together_in_one_commit_or_not_at_all() {
    let (world, manifests) = two();
    let set = |letter| {
        let [pay, web] = ["pay", "web"].map(|service| {
            format!("{service}={}", image_of(&format!("registry.example.com/{service}"), letter))
        });
        world.ok(&["set", "--env", "prod", &pay, &web]);
    };
    set('a');
    verified(&manifests, "prod", "pay", &image_of("registry.example.com/pay", 'a'));
    set('b');
    verified(&manifests, "prod", "web", &image_of("registry.example.com/web", 'b'));
    let commits = manifests.git(&["rev-list", "--count", "main"]);
    let ran = world.run(&["rollback", "--env", "prod"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stderr.contains("no other image of `web` healthy"), "{ran:#?}");
    assert_eq!(manifests.git(&["rev-list", "--count", "main"]), commits);
    assert_eq!(manifests.git(&["for-each-ref", "refs/deployctl/holds/"]), "");

    verified(&manifests, "prod", "web", &image_of("registry.example.com/web", 'c'));
    world.ok(&["rollback", "--env", "prod"]);
    assert!(stated(&manifests, "pay", 'a') && stated(&manifests, "web", 'c'));
    assert_eq!(
        manifests.git(&["log", "-1", "--format=%s", "main"]),
        "Roll back pay to a, web to c in prod\n"
    );
    world.ok(&["release-hold", "pay", "--env", "prod"]);
    // `web` is held, so that nothing of the change is made, and its name is told.
    let both = ["pay", "web"]
        .map(|name| format!("{name}={}", image_of(&format!("registry.example.com/{name}"), 'd')));
    let held = ran_in_ci(&world, &["set", "--output", "json", "--env", "prod", &both[0], &both[1]]);
    assert_eq!(held.code, 3, "{held:#?}");
    let answer = json(&held.stdout);
    assert_eq!(answer["services"][0].get("held"), None, "{answer}");
    assert_eq!(answer["services"][1]["held"]["service"], "web", "{answer}");
    assert!(stated(&manifests, "pay", 'a') && stated(&manifests, "web", 'c'));
    assert_eq!(ran_in_ci(&world, &["set", "--env", "prod", &both[0]]).code, 0);
}

fn ran_in_ci(world: &World, arguments: &[&str]) -> Ran {
    Ran::of(world.command(arguments).env("GITLAB_CI", "true"))
}

#[test]
fn behind_http() {
    let Some(server) = HttpGitServer::start("x-access-token", "token") else { return };
    let mut shop = Shop::new();
    let target = server.repository.path();
    set(&shop.world, "prod", 'a');
    set(&shop.world, "prod", 'b');
    verified(&shop.manifests, "prod", "ranking", &image('a'));
    let refs =
        ["push", "-q", "--force", target.as_str(), "main", "refs/deployctl/*:refs/deployctl/*"];
    git(&shop.manifests.path(), &refs);
    shop.configure(&server.url(), "");
    shop.world = shop.world.with("DEPLOYCTL_GIT_TOKEN", "token");
    shop.world.ok(&["rollback", "--env", "prod"]);
    let holds = server.repository.git(&["log", "--format=%s", "refs/deployctl/holds/prod/ranking"]);
    assert_eq!(holds, "Hold ranking in prod\n");
    assert_eq!(pipeline_sets(&shop, 'd').code, 3);
    shop.world.ok(&["release-hold", "--env", "prod"]);
    assert_eq!(pipeline_sets(&shop, 'd').code, 0);
}
