//! Pipelines of two commits that reach the branch in the wrong order.

use super::shop::{DIGEST, Shop, overlay};
use crate::support::World;
use crate::support::git_server::git;

/// Commits in the shop's own repository at this second and returns the id.
fn commit(world: &World, message: &str, time: u32) -> String {
    let time = format!("{time} +0000");
    let mut command = std::process::Command::new("git");
    command.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q"]);
    command.args(["--allow-empty", "-m", message]).current_dir(world.path());
    let dates = [("GIT_COMMITTER_DATE", &time), ("GIT_AUTHOR_DATE", &time)];
    assert!(command.envs(dates).status().unwrap().success());
    git(world.path(), &["rev-parse", "HEAD"]).trim().to_owned()
}

fn set(tag: &str) -> [String; 4] {
    ["set", "--env", "dev", &format!("ranking=:{tag}@{DIGEST}")].map(ToOwned::to_owned)
}

fn ok(shop: &Shop, arguments: &[String], more: &[&str]) -> String {
    let arguments = arguments.iter().map(String::as_str).chain(more.iter().copied());
    shop.world.ok(&arguments.collect::<Vec<_>>())
}

fn tag(shop: &Shop) -> String {
    let overlay = shop.manifests.file("main", "apps/ranking/overlays/dev/kustomization.yaml");
    overlay.split("newTag: ").nth(1).unwrap().lines().next().unwrap().to_owned()
}

#[test]
fn an_older_commit_does_not_take_back_what_a_newer_one_has_deployed() {
    let shop = Shop::new();
    git(shop.world.path(), &["init", "-q", "-b", "main", "."]);
    // The clock of whoever made the newer one is behind: ancestry outranks it.
    let one = commit(&shop.world, "one", 1_700_000_000);
    let two = commit(&shop.world, "two", 1_699_999_990);
    ok(&shop, &set("two"), &[]);
    git(shop.world.path(), &["checkout", "-q", &one]);
    let commits = shop.manifests.git(&["rev-parse", "main"]);
    let said = ok(&shop, &set("one"), &[]);
    let image = format!("registry.example.com/shop/ranking:two@{DIGEST}");
    let expected = format!("superseded: dev has the newer {image} from commit {}", &two[..12]);
    assert!(said.starts_with(&expected), "{said}");
    assert!(
        said.ends_with(" by Ada; nothing was written (`--allow-older` writes it all the same)\n"),
        "{said}"
    );
    assert_eq!((tag(&shop).as_str(), shop.manifests.git(&["rev-parse", "main"])), ("two", commits));
    let json: serde_json::Value =
        serde_json::from_str(&ok(&shop, &set("one"), &["--output", "json"])).unwrap();
    assert_eq!((&json["superseded"], &json["outcome"]), (&true.into(), &"superseded".into()));
    assert_eq!(json["supersededBy"][0]["sourceCommit"], two.as_str());
    assert_eq!(json["supersededBy"][0]["image"], image.as_str());
    // The same commit again, the other environment, and who knows what he does.
    git(shop.world.path(), &["checkout", "-q", &two]);
    ok(&shop, &set("two-again"), &[]);
    git(shop.world.path(), &["checkout", "-q", &one]);
    ok(&shop, &["set", "--env", "prod", &set("one")[3]].map(ToOwned::to_owned), &[]);
    ok(&shop, &set("one"), &["--allow-older"]);
    assert_eq!(tag(&shop), "one");
}

#[test]
fn where_the_newer_commit_is_not_at_hand_time_tells() {
    let shop = Shop::new();
    git(shop.world.path(), &["init", "-q", "-b", "main", "."]);
    let new = commit(&shop.world, "new", 1_700_000_100);
    ok(&shop, &set("new"), &[]);
    std::fs::remove_dir_all(shop.world.path().join(".git")).unwrap();
    git(shop.world.path(), &["init", "-q", "-b", "main", "."]);
    commit(&shop.world, "old", 1_700_000_000);
    let said = ok(&shop, &set("old"), &[]);
    assert!(said.starts_with("superseded: ") && said.contains(&new[..12]), "{said}");
    commit(&shop.world, "newest", 1_700_000_200);
    ok(&shop, &set("newest"), &[]);
    assert_eq!(tag(&shop), "newest");
    // Without a repository, somebody names the image himself.
    std::fs::remove_dir_all(shop.world.path().join(".git")).unwrap();
    ok(&shop, &set("hand-picked"), &[]);
    assert_eq!(tag(&shop), "hand-picked");
}

#[test]
fn of_several_services_the_superseded_one_is_left_out() {
    let shop = Shop::new();
    let world = &shop.world;
    let other = "apps/other/overlays/dev/kustomization.yaml";
    let work = tempfile::TempDir::new().unwrap();
    let work = camino::Utf8Path::from_path(work.path()).unwrap();
    git(work, &["clone", "-q", shop.manifests.path().as_str(), "."]);
    let folder = "apps/other/overlays/dev";
    std::fs::create_dir_all(work.join(folder)).unwrap();
    for (path, text) in overlay(folder, "registry.example.com/shop/other", "  newTag: old\n") {
        std::fs::write(work.join(path), text).unwrap();
    }
    git(work, &["add", "-A"]);
    git(work, &["commit", "-qm", "other"]);
    git(work, &["push", "-q", "origin", "HEAD:main"]);
    let config = world.read("deployctl.yaml");
    let more = "services:\n  other: {image: registry.example.com/shop/other}\n";
    world.write("deployctl.yaml", &config.replace("services:\n", more));
    git(world.path(), &["init", "-q", "-b", "main", "."]);
    let one = commit(world, "one", 1_700_000_000);
    commit(world, "two", 1_700_000_001);
    ok(&shop, &set("two"), &[]);
    git(world.path(), &["checkout", "-q", &one]);
    let said = ok(&shop, &set("one"), &[&format!("other=:one@{DIGEST}")]);
    assert!(said.starts_with("dev states registry.example.com/shop/other:one"), "{said}");
    assert!(said.contains("; superseded: dev has the newer "), "{said}");
    assert_eq!(tag(&shop), "two");
    assert!(shop.manifests.file("main", other).contains("newTag: one\n"));
}
