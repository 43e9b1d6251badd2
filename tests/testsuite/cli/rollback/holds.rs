//! What a hold does to those who come after it.

use super::super::shop::Shop;
use super::{image, pipeline_sets, set, shop, states};
use crate::support::Ran;

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
    let held = Ran::of(
        command.env("CI", "true").env("DEPLOYCTL_CACHE_DIR", shop.world.path().join("own")),
    );
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
    Ran::of(command.env("CI", "true").env("GIT_TRACE", &trace));
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
