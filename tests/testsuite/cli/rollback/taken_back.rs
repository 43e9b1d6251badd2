//! What was taken back, and that a rollback does not return to it.

use super::super::shop::{Shop, overlay};
use super::{NAME, image, json, set, shop, states, verified};
use crate::support::git_server::GitServer;
use crate::support::{Ran, World};

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
    let ran = Ran::of(command.env("DEPLOYCTL_CACHE_DIR", shop.world.path().join("own")));
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
