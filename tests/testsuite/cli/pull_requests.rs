//! Environments that are changed by pull requests: one each, and nothing gets lost in it.

use super::market::{DIGEST, Market, OTHER};
use crate::support::github::Pull;

const VIA: &str = "    via: pull-request\n";
const HEAD: &str = "deployctl/prod";
const CHANGE: &str = "PATCH /repos/{owner}/{repo}/pulls/{pull_number}";

#[tokio::test(flavor = "multi_thread")]
async fn what_other_services_have_pending_stays_in_it() {
    let Some(market) = Market::start("", VIA).await else { return };
    market.set("ranking", &format!(":1.4@{DIGEST}"));
    let answer = market.set("search", &format!(":2.0@{OTHER}"));
    assert_eq!(answer["pullRequest"]["number"], 7);
    assert_eq!(answer["services"].as_array().unwrap().len(), 1);
    assert!(market.prod(HEAD, "ranking").contains("newTag: \"1.4\" # now"));
    assert!(market.prod(HEAD, "search").contains("newTag: \"2.0\" # now"));
    assert_eq!(market.git.git(&["rev-list", "--count", "main..deployctl/prod"]), "1\n");
    let message = market.git.git(&["log", "-1", "--format=%B", HEAD]);
    let recorded = message.matches("Deployctl-Service: ").count();
    assert_eq!(recorded, 2, "{message}");
    let pull = market.github.hub().open_pull(HEAD).unwrap().clone();
    assert_eq!(pull.title, "Deploy ranking 1.4, search 2.0 to prod");
    let row = "| ranking | `registry.example.com/shop/ranking:1@sha256:1111";
    assert!(pull.body.contains(row), "{}", pull.body);
    assert!(pull.body.contains("| `registry.example.com/shop/search:2.0@sha256:"), "{}", pull.body);
    assert!(pull.body.contains("<details><summary>Files</summary>"), "{}", pull.body);

    // The newest of a service is what is pending.
    market.set("ranking", &format!(":1.5@{OTHER}"));
    assert!(market.prod(HEAD, "ranking").contains("newTag: \"1.5\""));
    assert!(market.prod(HEAD, "search").contains("newTag: \"2.0\""));
    assert_eq!(market.github.hub().pulls.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_have_pushed_to_its_branch_does_not_go_without_a_word() {
    for manifests in ["", ", write: api"] {
        let Some(market) = Market::start(manifests, VIA).await else { return };
        market.set("ranking", &format!(":1.4@{DIGEST}"));
        let tree = market.git.git(&["rev-parse", "main^{tree}"]);
        let made = |parents: &[&str], message: &str| {
            let mut arguments = vec!["commit-tree", tree.trim(), "-m", message];
            parents.iter().for_each(|parent| arguments.extend(["-p", *parent]));
            let commit = market.git.git(&arguments).trim().to_owned();
            market.git.git(&["update-ref", "refs/heads/deployctl/prod", &commit]);
            commit
        };
        let foreign = made(&[HEAD], "Mine");
        made(&[HEAD, "main"], "Merge branch 'main' into deployctl/prod");
        let set = ["set", "--env", "prod", &format!("search=:2.0@{OTHER}")];
        let ran = market.world.run(&set);
        assert_eq!(ran.code, 0, "{ran:#?}");
        let lost = format!("without what others had pushed to it: {} by ", &foreign[..12]);
        assert!(ran.stderr.contains(&lost), "{ran:#?}");
        assert!(market.prod(HEAD, "ranking").contains("newTag: \"1.4\""), "{ran:#?}");
        assert!(market.prod(HEAD, "search").contains("newTag: \"2.0\""));
        assert_eq!(market.git.git(&["rev-list", "--count", "main..deployctl/prod"]), "1\n");
        let comments = market.github.hub().pulls[0].comments.clone();
        assert_eq!(comments.len(), 1);
        assert!(comments[0].contains(&format!("any more: {foreign}. ")), "{comments:?}");

        // Nothing to write is no reason to drop anything.
        let files = market.git.git(&["rev-parse", "deployctl/prod^{tree}"]);
        let on_top = ["commit-tree", files.trim(), "-m", "Mine", "-p", HEAD];
        let foreign = market.git.git(&on_top);
        market.git.git(&["update-ref", "refs/heads/deployctl/prod", foreign.trim()]);
        market.world.ok(&set);
        assert_eq!(market.commit(HEAD), foreign.trim());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_leaves_the_commit_that_was_approved() {
    let Some(market) = Market::start("", VIA).await else { return };
    market.set("ranking", &format!(":1.4@{DIGEST}"));
    let commit = market.commit(HEAD);
    market.person("apps/search/base/kustomization.yaml", "resources: [deployment.yaml]\n\n");
    market.github.asked();
    market.set("ranking", &format!(":1.4@{DIGEST}"));
    assert_eq!(market.commit(HEAD), commit);
    assert!(!market.github.asked().contains(&CHANGE.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_merged_or_changed_since_is_not_brought_back() {
    let Some(market) = Market::start("", VIA).await else { return };
    market.set("ranking", &format!(":1.4@{DIGEST}"));
    {
        let mut hub = market.github.hub();
        hub.open_pull(HEAD).unwrap().auto_merge = true;
        hub.all_is_well();
    }
    // The branch is still there, and there is no pull request for it.
    market.set("search", &format!(":2.0@{OTHER}"));
    let changed = market.git.git(&["diff", "--name-only", "main", HEAD]);
    assert_eq!(changed, "apps/search/overlays/prod/kustomization.yaml\n");

    let path = "apps/search/overlays/prod/kustomization.yaml";
    let text = market.git.file("main", path).replace("\"1\"", "\"1.1\"");
    market.person(path, &text);
    let image = format!("ranking=:1.5@{OTHER}");
    let ran = market.world.run(&["set", "--env", "prod", &image]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    let warning = "`search` is left out of the pull request: somebody has changed it";
    assert!(ran.stderr.contains(warning), "{ran:#?}");
    let changed = market.git.git(&["diff", "--name-only", "main", HEAD]);
    assert_eq!(changed, "apps/ranking/overlays/prod/kustomization.yaml\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn older_ones_of_the_environment_are_closed_with_a_word() {
    let Some(market) = Market::start("", VIA).await else { return };
    let branch = |name: &str| market.git.git(&["branch", name, "main"]);
    for name in ["deployctl/prod-old", "deployctl/other", "feature"] {
        branch(name);
    }
    let marker = "<!-- deployctl: environment=prod -->".to_owned();
    let pull =
        |number, head: &str, body: &str| Pull { body: body.to_owned(), ..Pull::open(number, head) };
    market.github.hub().pulls = vec![
        pull(1, "deployctl/prod-old", &marker),
        pull(2, "deployctl/other", "<!-- deployctl: environment=other -->"),
        pull(3, "feature", &marker),
    ];
    market.set("ranking", &format!(":1.4@{DIGEST}"));
    let hub = market.github.hub();
    let open: Vec<u64> =
        hub.pulls.iter().filter(|pull| pull.open).map(|pull| pull.number).collect();
    assert_eq!(open, [2, 3, 10]);
    assert_eq!(hub.pulls[0].comments, ["Superseded by #10."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_pending_is_no_pull_request() {
    let Some(market) = Market::start("", VIA).await else { return };
    market.set("ranking", &format!(":1.4@{DIGEST}"));
    let before = format!(":1@sha256:{}", "1".repeat(64));
    let answer = market.set("ranking", &before);
    assert_eq!(answer["outcome"], "unchanged");
    let hub = market.github.hub();
    assert!(!hub.pulls[0].open);
    assert_eq!(
        hub.pulls[0].comments,
        ["Nothing is pending for `prod` any more: `main` states it already."]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_merged_where_that_is_wanted() {
    let via = format!("{VIA}    autoMerge: true\n");
    let Some(market) = Market::start("", &via).await else { return };
    market.github.hub().merge_state = "CLEAN";
    let answer = market.set("ranking", &format!(":1.4@{DIGEST}"));
    assert_eq!(answer["pullRequest"]["merging"], "merged");
    assert_eq!(answer["commit"], market.commit("main"));
    assert!(market.prod("main", "ranking").contains("newTag: \"1.4\""));

    market.github.hub().merge_state = "BLOCKED";
    let answer = market.set("ranking", &format!(":1.5@{OTHER}"));
    assert_eq!(answer["pullRequest"]["merging"], "enabled");
    assert!(market.prod("main", "ranking").contains("newTag: \"1.4\""));
    market.github.hub().all_is_well();
    assert!(market.prod("main", "ranking").contains("newTag: \"1.5\""));
}
