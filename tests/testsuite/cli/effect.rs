//! `set` and `promote`: the rendering changes in the images that were asked for, or nothing does.

use super::shop::{DIGEST, Shop};
use crate::support::peer;

const RENAMED: &str = "\
resources: [deployment.yaml]
images:
- name: registry.example.com/shop/ranking
  newName: registry.example.com/shop/renamed
";

/// Returns a shop where kustomize is, and what is set in it.
fn shop() -> Option<(Shop, String)> {
    peer("kubectl")?;
    Some((Shop::new(), format!("ranking=:1.4@{DIGEST}")))
}

#[test]
fn an_entry_without_effect_is_refused_with_the_rule_that_swallowed_it() {
    let Some((shop, image)) = shop() else { return };
    shop.manifests.commit("main", &[("apps/ranking/base/kustomization.yaml", RENAMED)]);
    let before = shop.overlay("dev");
    let ran = shop.world.run(&["set", "--env", "dev", &image]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert_eq!(
        ran.stderr,
        "error: can't change `dev`\ncaused by: `apps/ranking/overlays/dev/kustomization.yaml` line 4: the entry `registry.example.com/shop/ranking` changes nothing: `apps/ranking/base/kustomization.yaml` line 3 renames the image to `registry.example.com/shop/renamed` before it\nhint: write the entry for `registry.example.com/shop/renamed`; in deployctl.yaml that is `imageInManifests: registry.example.com/shop/renamed` of the service\n"
    );
    assert_eq!(shop.overlay("dev"), before);
}

#[test]
fn other_changes_are_refused_unless_they_are_allowed() {
    let Some((shop, image)) = shop() else { return };
    let path = "apps/ranking/overlays/prod/kustomization.yaml";
    let replacements = "replacements:\n- source: {kind: Deployment, fieldPath: 'spec.template.spec.containers.0.image'}\n  targets:\n  - select: {kind: Deployment}\n    fieldPaths: [metadata.annotations.runs]\n    options: {create: true}\n";
    let text = format!("{}{replacements}", shop.overlay("prod"));
    shop.manifests.commit("main", &[(path, &text)]);
    shop.world.ok(&["set", "--env", "dev", &image]);
    let ran = shop.world.run(&["promote", "--to", "prod"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stderr.contains("the change would also change other things that `apps/ranking/overlays/prod` renders to:"), "{ran:#?}");
    assert!(ran.stderr.contains("+    runs: registry.example.com/shop/ranking:1.4@"), "{ran:#?}");
    assert!(ran.stderr.contains("--allow-other-changes"), "{ran:#?}");
    assert!(shop.overlay("prod").contains("newTag: \"1\""));
    let step = |options: &str| {
        let steps =
            format!("version: 1\nsteps:\n- promote: {{to: prod, verify: false{options}}}\n");
        shop.world.write("pipelines/p.yaml", &steps);
        shop.world.run(&["run", "p"])
    };
    let ran = step("");
    assert_eq!(ran.code, 6, "{ran:#?}");
    assert!(ran.stderr.contains("`allowOtherChanges: true`"), "{ran:#?}");
    assert!(shop.overlay("prod").contains("newTag: \"1\""));
    assert_eq!(step(", allowOtherChanges: true").code, 0);
    assert!(shop.overlay("prod").contains("newTag: \"1.4\""));
    shop.manifests.commit("main", &[(path, &text)]);
    shop.world.ok(&["promote", "--to", "prod", "--allow-other-changes"]);
    let message = shop.manifests.git(&["log", "-1", "--format=%B", "main"]);
    assert!(message.contains("\nDeployctl-Other-Changes: allowed\n"), "{message}");
    let history = shop.world.ok(&["history", "ranking", "--env", "prod"]);
    assert!(history.contains("    other changes were allowed\n"), "{history}");
    assert!(shop.overlay("prod").contains("newTag: \"1.4\""));
}

#[test]
fn a_dry_run_shows_the_rendered_difference() {
    let Some((shop, image)) = shop() else { return };
    let said = shop.world.ok(&["set", "--dry-run", "--env", "dev", &image]);
    let line = format!("+      - image: registry.example.com/shop/ranking:1.4@{DIGEST}");
    assert!(said.contains(&line), "{said}");
    let said = shop.world.ok(&["set", "--dry-run", "--env", "dev", &image, "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["rendered"][0]["overlay"], "apps/ranking/overlays/dev");
    assert!(json["rendered"][0]["diff"].as_str().unwrap().contains(&line), "{said}");
}

#[test]
fn without_a_renderer_it_goes_on_and_says_so_once() {
    let Some((shop, image)) = shop() else { return };
    let Some(git) = peer("git") else { return };
    let bin = shop.world.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(git, bin.join("git")).unwrap();
    let world = shop.world.with("PATH", bin.as_str());
    let ran = world.run(&["set", "--env", "dev", &image]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(
        ran.stderr
            .matches("warning: what the change does to the rendered manifests is not checked")
            .count(),
        1,
        "{ran:#?}"
    );
}

#[test]
fn an_entry_that_would_be_new_and_change_nothing_is_refused_with_the_rule() {
    let Some((shop, image)) = shop() else { return };
    let plain = "resources: [../../base]\n";
    shop.manifests.commit(
        "main",
        &[
            ("apps/ranking/base/kustomization.yaml", RENAMED),
            ("apps/ranking/overlays/dev/kustomization.yaml", plain),
        ],
    );
    let ran = shop.world.run(&["set", "--env", "dev", &image]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    let reason = "error: can't set `ranking` in `dev`: `apps/ranking/base/kustomization.yaml` line 3 renames the image to `registry.example.com/shop/renamed` before it\n";
    assert!(ran.stderr.starts_with(reason), "{ran:#?}");
    assert!(
        ran.stderr.contains("`imageInManifests: registry.example.com/shop/renamed`"),
        "{ran:#?}"
    );
    assert_eq!(shop.overlay("dev"), plain);
}
