//! `rollback`, `release-hold`, and what a hold does to `set` and `promote`.

use std::sync::Arc;
use std::time::Duration;

use deployctl::git::{Identity, Repository};
use deployctl::github;
use deployctl::k8s::ObjectId;
use deployctl::ops::{self, Manifests, PodReport, RolloutReport, RolloutVerdict, Witness};
use jiff::Timestamp;
use serde_json::Value;

use super::shop::{Shop, overlay};
use crate::support::git_server::{GitServer, HttpGitServer, git, world as git_world};
use crate::support::github::{GithubServer, TOKEN};
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
    ran(command.env("CI", "true"))
}

pub(super) fn ran(command: &mut std::process::Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or(-1);
    Ran { code, stdout: text(output.stdout), stderr: text(output.stderr) }
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
fn a_second_rollback_goes_further_back_and_not_to_what_was_taken_back() {
    let shop = shop();
    verified(&shop.manifests, "prod", "ranking", &image('c'));
    shop.world.ok(&["rollback", "ranking", "--env", "prod"]);
    assert!(states(&shop, 'b'));
    shop.world.ok(&["rollback", "ranking", "--env", "prod"]);
    assert!(states(&shop, 'a'));
    let ran = shop.world.run(&["rollback", "ranking", "--env", "prod"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:#?}");
    let error =
        "error: can't roll back `prod`: `verify` has found no other image of `ranking` healthy";
    assert!(ran.stderr.contains(error), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: name a commit of the manifests repository with --to"));
}

/// Rolls `prod` back without a hold.
fn roll_back(shop: &Shop) -> Ran {
    shop.world.run(&["rollback", "ranking", "--env", "prod", "--no-hold"])
}

#[test]
fn what_was_taken_back_stays_away_without_a_hold_until_somebody_sets_it_again() {
    let shop = Shop::new();
    for letter in ['a', 'b', 'c'] {
        set(&shop.world, "prod", letter);
    }
    for expected in ['b', 'a', '2'] {
        let ran = roll_back(&shop);
        assert_eq!(ran.code, 0, "{ran:#?}");
        assert!(states(&shop, expected), "{expected}: {}", shop.overlay("prod"));
    }
    let ran = roll_back(&shop);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:#?}");
    let why = format!(
        "it has stated no other image of `ranking` that it can return to: {} was taken back; ",
        image('a')
    );
    assert!(ran.stderr.contains(&why), "{ran:#?}");
    set(&shop.world, "prod", 'c');
    set(&shop.world, "prod", 'd');
    roll_back(&shop);
    assert!(states(&shop, 'c'), "{}", shop.overlay("prod"));
}

#[test]
fn what_was_verified_and_taken_back_stays_away_when_the_hold_is_released() {
    let shop = shop();
    verified(&shop.manifests, "prod", "ranking", &image('c'));
    for expected in ['b', 'a'] {
        shop.world.ok(&["rollback", "ranking", "--env", "prod"]);
        assert!(states(&shop, expected), "{expected}: {}", shop.overlay("prod"));
        shop.world.ok(&["release-hold", "--env", "prod"]);
    }
    let ran = roll_back(&shop);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stderr.contains(&format!("{} was taken back", image('c'))), "{ran:#?}");
}

#[test]
fn an_image_without_a_digest_is_not_returned_to_and_that_is_said() {
    let files = overlay("apps/ranking/overlays/prod", NAME, "  newTag: \"0\"\n");
    let files = files.each_ref().map(|(path, text)| (path.as_str(), text.as_str()));
    let shop = Shop { world: World::new(), manifests: GitServer::bare(&files) };
    shop.configure(shop.manifests.path().as_str(), "");
    set(&shop.world, "prod", 'a');
    let ran = roll_back(&shop);
    assert_eq!(ran.code, 1, "{ran:#?}");
    let why = format!("no other image of `ranking` that it can return to: {NAME}:0 has no digest");
    assert!(ran.stderr.contains(&why), "{ran:#?}");
}

#[test]
fn a_rollback_that_loses_the_race_says_and_records_what_it_really_took_back() {
    let shop = shop();
    verified(&shop.manifests, "prod", "ranking", &image('c'));
    set(&shop.world, "prod", 'd');
    let newer = shop.manifests.git(&["rev-parse", "main"]);
    shop.manifests.git(&["update-ref", "refs/heads/main", "main~1"]);
    let ledger = "refs/deployctl/holds/prod/ranking";
    // Between the rollback's fetch and its push, a person's change lands, and releases the hold.
    shop.manifests.hook(&format!(
        "grep -q refs/heads/main || exit 0; unset GIT_QUARANTINE_PATH; \
         test $(git rev-parse main) = {newer} && exit 0; git update-ref refs/heads/main {newer}; \
         git update-ref -d {ledger}",
        newer = newer.trim()
    ));
    let mut command = shop.world.command(&["rollback", "--env", "prod"]);
    let ran = ran(command.env("DEPLOYCTL_CACHE_DIR", shop.world.path().join("own")));
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stderr.contains("somebody else pushed first"), "{ran:#?}");
    let told = format!("warning: {} is taken back with it, which ranking got", image('d'));
    assert!(ran.stderr.contains(&told), "{ran:#?}");
    assert!(ran.stdout.contains(&format!("; it was {}\n", image('d'))), "{ran:#?}");
    assert!(states(&shop, 'b'));
    let commit = shop.manifests.git(&["log", "-1", "--format=%B", "main"]);
    let both = format!("Deployctl-Rollback: {}\nDeployctl-Rollback: {}\n", image('c'), image('d'));
    assert!(commit.contains(&both), "{commit}");
    let hold = shop.manifests.git(&["log", "-1", "--format=%B", ledger]);
    assert!(hold.contains(&format!("Deployctl-Rollback: {}\n", image('d'))), "{hold}");
    let status = json(&shop.world.ok(&["status", "--output", "json"]));
    assert_eq!(status["rows"][1]["held"]["takenBack"], image('d'));
    let next = shop.world.ok(&["rollback", "--env", "prod", "--dry-run"]);
    assert!(next.contains(&format!("ranking returns to {}", image('a'))), "{next}");
}

#[test]
fn a_pipeline_on_github_says_held_in_its_outputs_and_promote_is_held_too() {
    let mut shop = shop();
    set(&shop.world, "dev", 'd');
    shop.world.ok(&["rollback", "--env", "prod"]);
    let output = shop.world.path().join("output").into_string();
    shop.world = shop.world.with("GITHUB_ACTIONS", "true").with("GITHUB_OUTPUT", &output);
    let ran = shop.world.run(&["promote", "--to", "prod", "--unproven"]);
    assert_eq!(ran.code, 3, "{ran:#?}");
    assert!(
        ran.stdout.contains("prod was not changed:\n  ranking is held in prod since"),
        "{ran:#?}"
    );
    assert!(shop.world.read("output").contains("held<<"), "{}", shop.world.read("output"));
    assert!(states(&shop, 'b'));
}

#[test]
fn what_a_person_sets_releases_the_hold_and_says_so() {
    let shop = shop();
    shop.world.ok(&["rollback", "--env", "prod"]);
    let image = format!("ranking={}", image('d'));
    for (more, told) in [
        (&["--dry-run"][..], "would release the hold: ranking is held in prod since"),
        (&[], "released the hold: ranking was held in prod since"),
    ] {
        let ran = shop.world.run(&[&["set", "--env", "prod", &image], more].concat());
        assert_eq!(ran.code, 0, "{ran:#?}");
        assert!(ran.stderr.contains(told), "{ran:#?}");
    }
    assert_eq!(pipeline_sets(&shop, 'e').code, 0);
}

#[test]
fn a_hold_that_is_set_while_a_pipeline_waits_counts() {
    let shop = shop();
    shop.world.ok(&["rollback", "--env", "prod"]);
    let back = shop.manifests.git(&["rev-parse", "main"]);
    let hold = shop.manifests.git(&["rev-parse", "refs/deployctl/holds/prod/ranking"]);
    shop.manifests.git(&["update-ref", "refs/heads/main", "main~1"]);
    shop.manifests.git(&["update-ref", "-d", "refs/deployctl/holds/prod/ranking"]);
    // Between the pipeline's fetch and its push, the rollback lands.
    shop.manifests.hook(&format!(
        "unset GIT_QUARANTINE_PATH; git update-ref refs/deployctl/holds/prod/ranking {}; \
         git update-ref refs/heads/main {}",
        hold.trim(),
        back.trim()
    ));
    let image = format!("ranking={}", image('d'));
    let mut command = shop.world.command(&["set", "--env", "prod", &image]);
    // It has a cache of its own, as a machine of its own has: it knows of no later tip.
    let held =
        ran(command.env("CI", "true").env("DEPLOYCTL_CACHE_DIR", shop.world.path().join("own")));
    assert!(held.stderr.contains("somebody else pushed first"), "{held:#?}");
    assert_eq!(held.code, 3, "{held:#?}");
    assert!(states(&shop, 'b'));
}

/// Returns how often `git ACTION` is run by a pipeline that sets the image.
fn runs_of(shop: &Shop, letter: char, branch: bool) -> [usize; 3] {
    let trace = shop.world.path().join(format!("trace-{letter}"));
    let config = shop.world.path().join("deployctl.yaml");
    if !branch {
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text.replace(", branch: main", "")).unwrap();
    }
    let image = format!("ranking={}", image(letter));
    let mut command = shop.world.command(&["set", "--env", "prod", &image]);
    ran(command.env("CI", "true").env("GIT_TRACE", &trace));
    let trace = std::fs::read_to_string(trace).unwrap();
    ["fetch", "push", "ls-remote"].map(|action| {
        let run = format!("trace: built-in: git {action} ");
        trace.lines().filter(|line| line.contains(&run)).count()
    })
}

#[test]
fn a_change_takes_one_fetch_and_one_push_and_a_hold_one_fetch() {
    let shop = shop();
    shop.manifests.git(&["config", "uploadpack.allowFilter", "true"]);
    assert_eq!(pipeline_sets(&shop, 'c').code, 0);
    assert_eq!(runs_of(&shop, 'd', true), [1, 1, 0]);
    shop.world.ok(&["rollback", "--env", "prod"]);
    assert_eq!(runs_of(&shop, 'e', true), [1, 0, 0]);
    shop.world.ok(&["release-hold", "--env", "prod"]);
    // A rollback without a hold: it may have been set while the references were listed.
    assert_eq!(runs_of(&shop, 'f', true), [2, 1, 0]);
    assert_eq!(runs_of(&shop, '1', true), [1, 1, 0]);
    // What the default branch is is asked beside the fetch.
    assert_eq!(runs_of(&shop, '2', false), [1, 1, 1]);
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

#[test]
fn a_server_that_refuses_holds_costs_a_warning() {
    let shop = shop();
    shop.manifests.hook("grep -q refs/deployctl/ && { echo 'branches only' >&2; exit 1; }; exit 0");
    let ran = shop.world.run(&["rollback", "--env", "prod"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stderr.contains("warning: no hold is set"), "{ran:#?}");
    assert!(ran.stderr.contains("branches only"), "{ran:#?}");
    assert!(states(&shop, 'b'));
    assert_eq!(pipeline_sets(&shop, 'd').code, 0);
}

#[test]
fn a_rollback_that_can_not_land_holds_nothing() {
    let shop = shop();
    shop.manifests.hook("grep -q refs/heads/ && { echo 'freeze' >&2; exit 1; }; exit 0");
    let ran = shop.world.run(&["rollback", "--env", "prod"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:#?}");
    shop.manifests.hook("exit 0");
    assert_eq!(pipeline_sets(&shop, 'd').code, 0);
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
    ran(world.command(arguments).env("GITLAB_CI", "true"))
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

/// Returns how `verify` ended for `image`.
fn rollout(image: &str, verdict: RolloutVerdict, pods: usize) -> RolloutReport {
    let pod = PodReport {
        pod: ObjectId {
            group: String::new(),
            kind: "Pod".to_owned(),
            namespace: "prod".to_owned(),
            name: "ranking-1".to_owned(),
        },
        container: "ranking".to_owned(),
        image: image.to_owned(),
        image_id: String::new(),
        ready: true,
        restarts: 0,
    };
    RolloutReport {
        environment: "prod".to_owned(),
        service: "ranking".to_owned(),
        image: Some(image.parse().unwrap()),
        revision: Some("c".repeat(40)),
        verdict,
        reason: String::new(),
        cause: None,
        evidence: Vec::new(),
        objects: Vec::new(),
        pods: vec![pod; pods],
        unread: Vec::new(),
        duration: Duration::ZERO,
    }
}

#[tokio::test]
async fn what_is_proven_is_put_on_record_once() {
    let server = GitServer::bare(&[]);
    put_on_record_once(&server, None, "Ada").await;
    // Who GitHub knows the token of is who says so.
    let server = GitServer::bare(&[]);
    let Some(github) = GithubServer::start(server.path().as_std_path()).await else { return };
    let environment = [("GITHUB_API_URL", &*github.api()), ("GITHUB_TOKEN", TOKEN)];
    let client = Arc::new(github::Client::new(&environment.into_iter().collect()).unwrap());
    let api = client.branches("shop", "manifests").unwrap();
    put_on_record_once(&server, Some(api), "deployctl[bot]").await;
    let entry = server.git(&["rev-parse", "refs/deployctl/verified/prod/ranking"]);
    assert!(github.hub().verified.contains(&entry.trim().to_owned()));
}

async fn put_on_record_once(server: &GitServer, api: Option<github::Branches>, by: &str) {
    let home = World::new();
    let environment = git_world(home.path().as_std_path(), &[]);
    let remote = server.path();
    let repository = Repository::open(remote.as_str(), home.path(), &environment).await.unwrap();
    let manifests = Manifests { repository, remote: remote.into_string(), branch: None, api };
    let ada = Identity { name: "Ada".to_owned(), email: "ada@example.com".to_owned() };
    let (authorship, time) = (ada.into(), Timestamp::from_second(1_700_000_000).unwrap());
    let run = Some("https://ci.example.com/7".to_owned());
    let witness = Witness { authorship: &authorship, time, run };
    let (healthy, late) = (RolloutVerdict::Healthy, RolloutVerdict::TimedOut);
    for (letter, verdict, pods, new) in [
        ('a', healthy, 1, 1),
        ('a', healthy, 2, 0),
        ('b', late, 1, 0),
        ('b', healthy, 0, 0),
        ('b', healthy, 1, 1),
        ('a', healthy, 1, 1),
    ] {
        let rollouts = [rollout(&image(letter), verdict, pods)];
        let recorded = ops::record_verified(&manifests, &rollouts, &witness).await.unwrap();
        assert_eq!(recorded.len(), new, "{letter} {verdict:?} {pods}");
    }
    let last = ops::last_verified(&manifests, "prod", &["ranking", "other"]).await.unwrap();
    assert_eq!((last.len(), &last["ranking"].image), (1, &image('a')));
    assert_eq!(last["ranking"].by, by);
    assert!(last["ranking"].time >= time);
    let entry = server.git(&["log", "-1", "--format=%B", "refs/deployctl/verified/prod/ranking"]);
    assert_eq!(
        entry.trim(),
        format!(
            "ranking is healthy in prod\n\nDeployctl-Service: ranking\nDeployctl-Environment: prod\n\
             Deployctl-Image: {}\nDeployctl-Run: https://ci.example.com/7\nDeployctl-Verified: {}",
            image('a'),
            "c".repeat(40)
        )
    );
    // Of those who write at once, nobody's entry is lost.
    let at_once = ['d', 'e', 'f'].map(|letter| [rollout(&image(letter), healthy, 1)]);
    let recorded = at_once.iter().map(|one| ops::record_verified(&manifests, one, &witness));
    for recorded in futures_util::future::join_all(recorded).await {
        assert_eq!(recorded.unwrap().len(), 1);
    }
    let ledger = "refs/deployctl/verified/prod/ranking";
    assert_eq!(server.git(&["rev-list", "--count", ledger]), "6\n");
}
