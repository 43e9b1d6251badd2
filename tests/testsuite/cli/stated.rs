//! `set`, `promote`, `status`, `history`, `diff`: what the manifests repository states.

use super::shop::{DIGEST, Shop};

#[test]
fn set_changes_the_entry_and_nothing_else_and_a_second_run_nothing() {
    let shop = Shop::new();
    let before = shop.overlay("dev");
    let image = format!("ranking=:1.4@{DIGEST}");
    let said = shop.world.ok(&["set", "--env", "dev", &image]);
    assert!(
        said.starts_with("dev states registry.example.com/shop/ranking:1.4@sha256:0000"),
        "{said}"
    );
    let after = shop.overlay("dev");
    let expected = before
        .replace("newTag: old", "newTag: \"1.4\"")
        .replace(&"1".repeat(64), &DIGEST["sha256:".len()..]);
    assert_eq!(after, expected);

    let commits = shop.manifests.git(&["rev-list", "--count", "main"]);
    let said = shop.world.ok(&["set", "--env", "dev", &image]);
    assert!(said.starts_with("unchanged: dev already states"), "{said}");
    assert_eq!(shop.manifests.git(&["rev-list", "--count", "main"]), commits);
}

#[test]
fn the_commit_reads_as_a_person_would_write_it_and_says_what_it_did() {
    let shop = Shop::new();
    shop.world.ok(&["set", "--env", "dev", &format!("ranking=:1.4@{DIGEST}")]);
    let message = shop.manifests.git(&["log", "-1", "--format=%an <%ae>%n%B", "main"]);
    let digest = "1".repeat(64);
    // The id of the change is another one each time.
    let key = "Deployctl-Change: ";
    let id = message.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(
        message.trim().replace(&format!("{key}{id}\n"), ""),
        format!(
            "Ada <ada@example.com>\nDeploy ranking 1.4 to dev\n\nranking: was registry.example.com/shop/ranking:old@sha256:{digest}\n\nDeployctl-Service: ranking\nDeployctl-Environment: dev\nDeployctl-Image: registry.example.com/shop/ranking:1.4@{DIGEST}"
        )
    );
}

#[test]
fn a_dry_run_shows_the_change_and_pushes_nothing() {
    let shop = Shop::new();
    let before = shop.overlay("dev");
    let said =
        shop.world.ok(&["set", "--dry-run", "--env", "dev", &format!("ranking=:1.4@{DIGEST}")]);
    assert!(said.contains("+    newTag: \"1.4\""), "{said}");
    assert!(said.contains("dry run: dev would state"), "{said}");
    assert_eq!(shop.overlay("dev"), before);
}

#[test]
fn promote_copies_the_digest_and_history_tells_it() {
    let shop = Shop::new();
    shop.world.ok(&["set", "--env", "dev", &format!("ranking=:1.4@{DIGEST}")]);
    shop.world.ok(&["promote", "--to", "prod"]);
    assert!(
        shop.overlay("prod").contains(&format!("digest: {DIGEST}")),
        "{}",
        shop.overlay("prod")
    );
    let history = shop.world.ok(&["history", "ranking", "--env", "prod"]);
    assert!(history.contains("Ada: Promote ranking 1.4 from dev to prod"), "{history}");
    let status = shop.world.ok(&["status"]);
    let row = "\nranking  prod         registry.example.com/shop/ranking:1.4  000000000000  2";
    assert!(status.contains(row), "{status}");
    let status = shop.world.ok(&["status", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["schema"], "deployctl.dev/status/v1");
    assert_eq!(status["rows"][1]["environment"], "prod");
    assert_eq!(
        status["rows"][1]["image"],
        format!("registry.example.com/shop/ranking:1.4@{DIGEST}")
    );
}

#[test]
fn diff_shows_what_promotion_would_change() {
    if crate::support::peer("kubectl").is_none() {
        return;
    }
    let shop = Shop::new();
    let diff = shop.world.ok(&["diff", "--from", "prod", "--to", "dev"]);
    assert!(
        diff.contains("-      - image: registry.example.com/shop/ranking:1@sha256:2222"),
        "{diff}"
    );
    assert!(
        diff.contains("+      - image: registry.example.com/shop/ranking:old@sha256:1111"),
        "{diff}"
    );
    shop.world.ok(&["set", "--env", "dev", &format!("ranking=:1.4@{DIGEST}")]);
    let head = shop.manifests.git(&["rev-parse", "main~1"]);
    let diff = shop.world.ok(&["diff", &format!("{}..main", head.trim())]);
    assert!(
        diff.contains("+      - image: registry.example.com/shop/ranking:1.4@sha256:0000"),
        "{diff}"
    );
    assert!(diff.contains("ranking in prod"), "{diff}");
}

#[test]
fn promoting_a_digest_that_is_there_already_changes_no_tag() {
    let shop = Shop::new();
    shop.world.ok(&["set", "--env", "dev", &format!("ranking=:new@{DIGEST}")]);
    shop.world.ok(&["set", "--env", "prod", &format!("ranking=:old@{DIGEST}")]);
    let before = shop.overlay("prod");
    let said = shop.world.ok(&["promote", "--to", "prod"]);
    assert!(said.contains("unchanged: prod already states"), "{said}");
    assert!(said.contains(&format!("ranking:old@{DIGEST}")), "{said}");
    assert_eq!(shop.overlay("prod"), before);
    // Whoever names a tag gets it.
    shop.world.ok(&["set", "--env", "prod", &format!("ranking=:newer@{DIGEST}")]);
    assert!(shop.overlay("prod").contains("newTag: \"newer\""), "{}", shop.overlay("prod"));
}
