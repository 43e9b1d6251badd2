//! In a step of GitHub Actions: outputs, the summary, annotations, pull requests; and no command
//! that somebody else wrote.

use super::shop::{DIGEST, Shop};
use crate::support::World;
use crate::support::github::{GithubServer, TOKEN};

const IMAGE: &str = "registry.example.com/shop/ranking:1.4";

/// Returns a shop in a step.
fn step() -> Shop {
    let mut shop = Shop::new();
    let file = |name: &str| shop.world.path().join(name).into_string();
    let (output, summary, workspace) = (file("output"), file("summary"), file(""));
    shop.world = shop
        .world
        .with("GITHUB_ACTIONS", "true")
        .with("GITHUB_OUTPUT", &output)
        .with("GITHUB_STEP_SUMMARY", &summary)
        .with("GITHUB_WORKSPACE", &workspace);
    shop
}

/// Returns the outputs by name, and the delimiters, as the runner reads `GITHUB_OUTPUT`.
fn outputs(world: &World) -> (Vec<(String, String)>, Vec<String>) {
    let (mut values, mut delimiters) = (Vec::new(), Vec::new());
    let text = world.read("output");
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (name, delimiter) = line.split_once("<<").unwrap();
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
        values.push((name.to_owned(), value.join("\n")));
        delimiters.push(delimiter.to_owned());
    }
    (values, delimiters)
}

#[test]
fn outputs_have_delimiters_that_nobody_foresees() {
    let shop = step();
    let set = ["set", "--env", "dev", &format!("ranking=:1.4@{DIGEST}")];
    shop.world.ok(&set);
    shop.world.ok(&set);
    let (values, mut delimiters) = outputs(&shop.world);
    let tip = shop.manifests.git(&["rev-parse", "main"]).trim().to_owned();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let changed = |value| [pair("changed", value), pair("commit", &tip)];
    assert_eq!(values, [changed("true"), changed("false")].concat());
    let all = delimiters.len();
    delimiters.sort();
    delimiters.dedup();
    assert_eq!(delimiters.len(), all);
    let summary = shop.world.read("summary");
    assert!(
        summary.starts_with("### dev\n\ndev states registry.example.com/shop/ranking:1.4@"),
        "{summary}"
    );
    assert!(summary.contains("```diff\n") && summary.contains("+    newTag: \"1.4\""), "{summary}");
}

#[test]
fn a_wrong_configuration_is_shown_at_its_line() {
    let shop = step();
    let config = shop.world.read("deployctl.yaml").replace("  dev:\n", "  dex:\n");
    shop.world.write("deployctl.yaml", &config);
    let ran = shop.world.run(&["status"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:#?}");
    let annotation = "::error file=deployctl.yaml,line=8,col=11::no environment `dev` in the configuration; did you mean `dex`?";
    let annotations: Vec<&str> = ran.stderr.lines().filter(|l| l.starts_with("::")).collect();
    assert_eq!(annotations, [annotation], "{}", ran.stderr);
}

#[test]
fn an_error_of_another_kind_is_an_annotation_without_a_place() {
    let shop = step();
    shop.manifests.hook("echo '::set-output name=image::forged' >&2; exit 1");
    let ran = shop.world.run(&["set", "--env", "dev", &format!("ranking=:1.4@{DIGEST}")]);
    assert_eq!(ran.code, 1);
    assert_eq!(commands(&ran.stderr).len(), 1, "{}", ran.stderr);
    assert!(commands(&ran.stderr)[0].starts_with("::error::`"), "{}", ran.stderr);
    assert!(!shop.world.path().join("output").exists());
}

#[test]
fn a_file_that_can_not_be_edited_is_shown_at_its_line() {
    let shop = step();
    let twice = "images:\n- name: web\n- name: web\n";
    shop.world.write("apps/web/kustomization.yaml", twice);
    let arguments = ["edit", "set-image", "web=web:2"];
    let below = shop.world.path().join("apps/web");
    let here = shop.world.command(&arguments).current_dir(below).output().unwrap();
    let here = String::from_utf8(here.stderr).unwrap();
    let from_above = shop.world.run(&[&arguments[..], &["-C", "./apps/web"]].concat()).stderr;
    for said in [here, from_above] {
        let expected = "::error file=apps/web/kustomization.yaml,line=3::can't edit `";
        assert!(commands(&said)[0].starts_with(expected), "{said}");
    }

    let overlay = shop.overlay("dev").replace("  - name:", "  - &image\n    name:");
    let path = "apps/ranking/overlays/dev/kustomization.yaml";
    shop.manifests.commit("main", &[(path, &format!("{overlay}x: *image\n"))]);
    let said = shop.world.run(&["set", "--env", "dev", &format!("ranking=:1.4@{DIGEST}")]).stderr;
    let expected = format!("::error file={path},line=4::can't edit `{path}`");
    assert!(commands(&said)[0].starts_with(&expected), "{said}");
}

/// Returns the workflow commands that the runner would carry out: at the beginning of a line, behind
/// spaces too, but not between `::stop-commands::TOKEN` and `::TOKEN::`.
fn commands(log: &str) -> Vec<&str> {
    let (mut commands, mut stopped) = (Vec::new(), None);
    for line in log.lines().map(str::trim_start).filter(|line| line.starts_with("::")) {
        match (&stopped, line.strip_prefix("::stop-commands::")) {
            (Some(resume), _) if line == resume => stopped = None,
            (Some(_), _) => {}
            (None, Some(token)) => stopped = Some(format!("::{token}::")),
            (None, None) => commands.push(line),
        }
    }
    assert_eq!(stopped, None, "{log}");
    commands
}

#[test]
fn what_a_step_prints_is_no_command() {
    let shop = step();
    let steps = "version: 1\nsteps:\n- run: |\n    echo '::add-mask::deployctl'\n    echo '  ::error::forged' >&2\n    echo fine\n";
    shop.world.write("pipelines/p.yaml", steps);
    let ran = shop.world.run(&["run", "p"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    for text in ["::add-mask::deployctl", "::error::forged", "  fine\n"] {
        assert!(ran.stderr.contains(text), "{}", ran.stderr);
    }
    assert_eq!(commands(&ran.stderr), [""; 0], "{}", ran.stderr);
}

#[test]
fn nobody_is_needed_to_commit_as() {
    let mut shop = step();
    shop.world = shop.world.with("GIT_AUTHOR_NAME", "").with("GIT_AUTHOR_EMAIL", "");
    shop.world.ok(&["set", "--env", "dev", &format!("ranking=:1.4@{DIGEST}")]);
    assert_eq!(shop.manifests.git(&["log", "-1", "--format=%an", "main"]), "github-actions[bot]\n");
}

/// Has git take the repository in the folder for the one at `url`.
fn stands_for(shop: &mut Shop, url: &str) {
    let key = format!("url.{}.insteadOf", shop.manifests.path());
    let world = std::mem::replace(&mut shop.world, World::new());
    shop.world = world
        .with("GIT_CONFIG_COUNT", "1")
        .with("GIT_CONFIG_KEY_0", &key)
        .with("GIT_CONFIG_VALUE_0", url);
    shop.configure(url, "    via: pull-request\n");
}

#[test]
fn without_github_there_are_no_pull_requests() {
    let mut shop = Shop::new();
    let promote = ["promote", "--to", "prod"];
    let path = shop.manifests.path().into_string();
    shop.configure(&path, "    via: pull-request\n");
    shop.world = shop.world.with("GITHUB_TOKEN", "token");
    for remote in [path.as_str(), "https://gitlab.example.com/shop/manifests.git"] {
        if remote.starts_with("https") {
            stands_for(&mut shop, remote);
        }
        let ran = shop.world.run(&promote);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:#?}");
        let error = "error: `prod` is changed by pull requests, but `";
        assert!(ran.stderr.contains(error), "{}", ran.stderr);
        assert!(
            ran.stderr.contains("is not a GitHub repository\nhint: let the environment"),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(shop.manifests.git(&["branch", "--format=%(refname:short)"]), "main\n");
}

#[test]
fn without_a_token_there_are_no_pull_requests_either() {
    let mut shop = Shop::new();
    stands_for(&mut shop, "https://github.com/shop/manifests.git");
    let ran = shop.world.run(&["promote", "--to", "prod"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:#?}");
    assert!(ran.stderr.contains("error: no GitHub token"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: set `GITHUB_TOKEN`"), "{}", ran.stderr);
    assert_eq!(shop.manifests.git(&["branch", "--format=%(refname:short)"]), "main\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_opens_a_pull_request_and_the_next_one_brings_it_up_to_date() {
    let mut shop = step();
    let git = shop.manifests.path();
    let Some(github) = GithubServer::start(git.as_std_path()).await else { return };
    stands_for(&mut shop, &format!("{}/shop/manifests.git", github.url()));
    shop.world = shop.world.with("GITHUB_API_URL", &github.api()).with("GITHUB_TOKEN", TOKEN);
    shop.world = shop.world.with("DEPLOYCTL_LOG", "trace");

    let main = shop.manifests.git(&["rev-parse", "main"]);
    let ran = shop.world.run(&["promote", "--to", "prod"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(
        ran.stdout.contains("pull request #7 puts registry.example.com/shop/ranking:old@"),
        "{ran:#?}"
    );
    assert!(!format!("{ran:?}").contains(TOKEN), "{ran:#?}");
    assert_eq!(shop.manifests.git(&["rev-parse", "main"]), main);
    let overlay = "apps/ranking/overlays/prod/kustomization.yaml";
    assert!(shop.manifests.file("deployctl/prod", overlay).contains("newTag: \"old\""));
    let (values, _) = outputs(&shop.world);
    assert_eq!(values.last().unwrap().0, "pull-request");

    let config = shop.world.read("deployctl.yaml");
    shop.configure(shop.manifests.path().as_str(), "");
    shop.world.ok(&["set", "--env", "dev", &format!("ranking={IMAGE}@{DIGEST}")]);
    shop.world.write("deployctl.yaml", &config);
    github.asked();
    shop.world.ok(&["promote", "--to", "prod"]);
    assert!(shop.manifests.file("deployctl/prod", overlay).contains("newTag: \"1.4\""));
    let changed = "PATCH /repos/{owner}/{repo}/pulls/{pull_number}".to_owned();
    assert!(github.asked().contains(&changed));
    assert_eq!(github.hub().pulls.len(), 1);
    // One commit on the tip of main, not a pile of them.
    assert_eq!(shop.manifests.git(&["rev-list", "--count", "main..deployctl/prod"]), "1\n");
}
