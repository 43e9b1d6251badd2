//! `deployctl run`, and what `build` makes of the source that it runs in.

use super::shop::Shop;
use crate::support::git_server::git;
use crate::support::{Ran, RegistryServer};

const STEPS: &str = "version: 1
steps:
- build: {}
- set: {env: dev}
- name: tell
  run: printf '%sat %s' \"$DEPLOYCTL_IMAGES\" \"$DEPLOYCTL_COMMIT\" >$HOME/told
";

/// Returns a shop in a source repository with one commit, whose service is built from `files/app`
/// and belongs to the registry `domain`.
fn source(domain: &str) -> Shop {
    let shop = Shop::new();
    let more = format!(
        "    image: {domain}/shop/ranking\n    imageInManifests: registry.example.com/shop/ranking\n    \
         build: {{context: files, layers: [{{from: app, to: /app}}], entrypoint: [/app]}}\n"
    );
    let config = shop.world.read("deployctl.yaml");
    let config = config.replace("    image: registry.example.com/shop/ranking\n", &more);
    shop.world.write("deployctl.yaml", &config);
    shop.world.write("files/app", "app\n");
    shop.world.write("pipelines/dev.yaml", STEPS);
    shop.world.write(".gitignore", "/home\n/layout\n");
    let folder = shop.world.path();
    git(folder, &["init", "-q", "-b", "main"]);
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-q", "-m", "Rank by price"]);
    shop
}

fn head(shop: &Shop) -> String {
    git(shop.world.path(), &["rev-parse", "HEAD"]).trim().to_owned()
}

#[test]
fn the_dev_pipeline_builds_sets_and_tells() {
    let Some(registry) = RegistryServer::start_plain() else { return };
    let shop = source(registry.domain());
    let ran = shop.world.run(&["run", "dev"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    let head = head(&shop);
    let image = format!("{}/shop/ranking:{}@sha256:", registry.domain(), &head[..12]);
    assert!(ran.stdout.starts_with(&image), "{ran:#?}");
    assert!(ran.stdout.ends_with("done    build\ndone    set dev\ndone    tell\n"), "{ran:#?}");
    assert!(ran.stderr.contains("step 3/3: tell"), "{ran:#?}");
    let told = shop.world.read("home/told");
    let commit = shop.manifests.git(&["rev-parse", "main"]);
    assert!(told.starts_with(&format!("ranking={image}")), "{told}");
    assert!(told.ends_with(&format!("\nat {}", commit.trim())), "{told}");
    let message = shop.manifests.git(&["log", "-1", "--format=%B", "main"]);
    assert!(message.contains("\n\nRank by price\n\n"), "{message}");
    assert!(message.contains(&format!("\nDeployctl-Source-Commit: {head}\n")), "{message}");
    assert!(message.contains(&format!("\nArgocd-reference-commit-sha: {head}\n")), "{message}");
    assert!(shop.overlay("dev").contains(&format!("newName: {}/shop/ranking", registry.domain())));
}

#[test]
fn a_step_that_fails_ends_the_pipeline_with_its_reason() {
    let shop = Shop::new();
    let run = |steps: &str| -> Ran {
        shop.world
            .write("pipelines/p.yaml", &format!("version: 1\nsteps:\n{steps}- run: touch never\n"));
        let ran = shop.world.run(&["run", "p"]);
        assert_eq!(ran.code, 6, "{ran:#?}");
        assert!(!shop.world.path().join("never").exists());
        ran
    };
    let ran = run("- {name: smoke test, run: 'echo broken >&2; exit 3'}\n");
    assert!(ran.stderr.contains("  broken\n"), "{ran:#?}");
    assert!(ran.stdout.contains("failed  smoke test: "), "{ran:#?}");
    assert!(ran.stdout.contains("exit code 3"), "{ran:#?}");
    let ran = run("- {name: smoke test, run: [no-such-program-here]}\n");
    assert!(ran.stderr.contains("error: step `smoke test` of pipeline `p` failed\n"), "{ran:#?}");
    assert!(ran.stderr.contains("can't run `no-such-program-here`"), "{ran:#?}");
    shop.manifests.hook("exit 1");
    let ran = run("- promote: {from: dev, to: prod}\n");
    assert!(ran.stderr.contains("pre-receive hook declined"), "{ran:#?}");
    assert!(ran.stderr.contains("hint: deploy by pull request"), "{ran:#?}");
}

#[test]
fn a_pipeline_that_is_wrong_does_not_begin() {
    let shop = Shop::new();
    shop.world.write("pipelines/dev.yaml", STEPS);
    shop.world.write("pipelines/prod.yaml", "version: 1\nsteps: []\n");
    let ran = shop.world.run(&["run", "prd"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:#?}");
    assert!(ran.stderr.contains("pipelines/prd.yaml"), "{ran:#?}");
    assert!(ran.stderr.contains("hint: known pipelines: dev, prod\n"), "{ran:#?}");
    for (steps, place, message) in [
        ("- biuld: {}", "3:3", "did you mean `build`?"),
        ("- {build: {}, set: {env: dev}}", "pipelines/dev.yaml", ""),
        ("- set: {env: staging}", "", "no environment `staging`"),
        ("- set: {env: dev}", "", "there is no `build` step before it"),
        ("- promote: {to: prod, services: [rankin]}", "", "did you mean `ranking`?"),
    ] {
        let steps = format!("version: 1\nsteps:\n{steps}\n- run: touch never\n");
        shop.world.write("pipelines/dev.yaml", &steps);
        let ran = shop.world.run(&["run", "dev"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:#?}");
        assert!(ran.stderr.contains(place) && ran.stderr.contains(message), "{message}: {ran:#?}");
        assert!(!shop.world.path().join("never").exists());
    }
}

#[test]
fn the_tag_is_the_commit_also_where_head_is_detached() {
    let shop = source("registry.example.com");
    git(shop.world.path(), &["checkout", "-q", "--detach"]);
    let ran = shop.world.run(&["build", "--layout", "layout", "--push=false"]);
    assert_eq!((ran.code, &*ran.stdout), (2, ""), "{ran:#?}");
    let ran = shop.world.run(&["build", "--layout", "layout"]);
    let image = format!("registry.example.com/shop/ranking:{}@sha256:", &head(&shop)[..12]);
    assert!(ran.stdout.starts_with(&image), "{ran:#?}");
    assert!(!ran.stderr.contains("warning"), "{ran:#?}");
}

#[test]
fn the_tag_is_the_content_where_no_commit_says_what_was_built_and_that_is_said() {
    let shop = source("registry.example.com");
    let build = |why: &str| {
        let ran = shop.world.run(&["build", "--rebuild", "--layout", "layout", "--no-progress"]);
        assert_eq!(ran.code, 0, "{ran:#?}");
        assert!(ran.stdout.starts_with("registry.example.com/shop/ranking:content-"), "{ran:#?}");
        let warning = "warning: ranking is tagged by its content, not by its source's commit: ";
        assert!(ran.stderr.contains(&format!("{warning}{why}\n")), "{ran:#?}");
    };
    shop.world.write("files/app", "changed\n");
    build("its files have changes that are not committed");
    std::fs::remove_dir_all(shop.world.path().join(".git")).unwrap();
    build("there is none");
    let ran = shop.world.run(&["build", "--rebuild", "--layout", "layout", "--tag", "1"]);
    assert!(!ran.stderr.contains("warning"), "{ran:#?}");

    let config = shop.world.read("deployctl.yaml");
    shop.world.write("deployctl.yaml", &format!("{config}    tag: 'v1-{{commit}}'\n"));
    let ran = shop.world.run(&["build", "--rebuild", "--layout", "layout"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:#?}");
    assert!(ran.stderr.contains("error: can't tag the image of `ranking`\n"), "{ran:#?}");
    assert!(
        ran.stderr.contains("hint: commit what differs, or say the tag with --tag"),
        "{ran:#?}"
    );
}

#[test]
fn a_promotion_looks_at_the_cluster_unless_the_step_says_not_to() {
    let mut shop = Shop::new();
    let port = crate::support::free_port();
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{port}'}}}}]\n\
         users: [{{name: u, user: {{}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
    );
    let file = shop.world.write("kubeconfig", &kubeconfig);
    shop.world = shop.world.with("KUBECONFIG", file.as_str());
    shop.world.write("pipelines/p.yaml", "version: 1\nsteps:\n- promote: {to: prod}\n");
    let ran = shop.world.run(&["run", "p"]);
    assert_eq!(ran.code, 6, "{ran:#?}");
    assert!(ran.stderr.contains("`verify: false` in a pipeline"), "{ran:#?}");
    let step = "version: 1\nsteps:\n- promote: {to: prod, verify: false}\n";
    shop.world.write("pipelines/p.yaml", step);
    shop.world.ok(&["run", "p"]);
    assert!(shop.overlay("prod").contains("newTag: \"old\""), "{}", shop.overlay("prod"));
}
