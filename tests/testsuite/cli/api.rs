//! `write: api`: read and committed through GitHub's API, without a clone.

use super::market::{DIGEST, Market, OTHER};
use crate::support::Ran;
use crate::support::git_server::{HttpGitServer, git};
use crate::support::github::{Fault, GithubServer, TOKEN, app_key};

/// Commits in the checkout that images are built from, at this second, and returns the id.
fn source_commit(market: &Market, message: &str, second: u32) -> String {
    let (path, time) = (market.world.path(), format!("{second} +0000"));
    let mut command = std::process::Command::new("git");
    command.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q"]);
    command.args(["--allow-empty", "-m", message]).current_dir(path);
    let dates = [("GIT_COMMITTER_DATE", &time), ("GIT_AUTHOR_DATE", &time)];
    assert!(command.envs(dates).status().unwrap().success());
    git(path, &["rev-parse", "HEAD"]).trim().to_owned()
}

const API: &str = ", write: api";
const TIP: &str = "GET /repos/{owner}/{repo}/git/ref/{ref}";
const HOLDS: &str = "GET /repos/{owner}/{repo}/git/matching-refs/{ref}";
const COMMIT: &str = "mutation createCommitOnBranch";

/// Returns a market whose repository git can't reach.
async fn without_git(prod: &str) -> Option<Market> {
    changed(prod, "GIT_CONFIG_COUNT", "").await
}

/// Returns a market on a machine without any program.
async fn without_programs(prod: &str) -> Option<Market> {
    changed(prod, "PATH", "/nonexistent").await
}

async fn changed(prod: &str, name: &str, value: &str) -> Option<Market> {
    let mut market = Market::start(API, prod).await?;
    let world = std::mem::replace(&mut market.world, crate::support::World::new());
    market.world = world.with(name, value);
    Some(market)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_made_and_signed_by_github() {
    let Some(market) = without_git("").await else { return };
    let answer = market.set("ranking", &format!(":1.4@{DIGEST}"));
    assert_eq!(
        (&answer["outcome"], &answer["commit"]),
        (&"pushed".into(), &market.commit("main").into())
    );
    assert_eq!(market.github.hub().verified, [market.commit("main")]);
    assert!(market.prod("main", "ranking").contains("newTag: \"1.4\" # now"));
    let message = market.git.git(&["log", "-1", "--format=%B", "main"]);
    assert!(message.starts_with("Deploy ranking 1.4 to prod\n\nranking: was "), "{message}");
    assert!(message.contains("\n\nDeployctl-Service: ranking\n"), "{message}");
    let mut asked = market.github.asked();
    // The base's files are asked for where something here renders.
    asked.dedup();
    let folders = ["query Folders", "query Files"];
    let times = if asked.len() > 5 { 2 } else { 1 };
    let expected = [vec![TIP], folders.repeat(times), vec![HOLDS, COMMIT]];
    assert_eq!(asked, expected.concat());
    assert_eq!(market.set("ranking", &format!(":1.4@{DIGEST}"))["outcome"], "unchanged");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_second_makes_the_change_anew() {
    let Some(market) = without_git("").await else { return };
    market.github.hub().races = 2;
    market.set("ranking", &format!(":1.4@{DIGEST}"));
    assert_eq!(market.git.git(&["rev-list", "--count", "main"]), "4\n");
    assert!(market.prod("main", "ranking").contains("newTag: \"1.4\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_found() {
    let Some(market) = without_git("").await else { return };
    let lost = Fault { done: true, ..Fault::once(COMMIT, 502, "Server Error") };
    market.github.hub().faults.push(lost);
    let answer = market.set("ranking", &format!(":1.4@{DIGEST}"));
    assert_eq!(answer["commit"], market.commit("main"));
    assert_eq!(market.git.git(&["rev-list", "--count", "main"]), "2\n");
}

/// Puts a commit without files on the ledger of holds of a service in `prod`.
fn hold(market: &Market, service: &str, state: &str) {
    let tree = market.git.git(&["hash-object", "-t", "tree", "-w", "/dev/null"]);
    let message = format!(
        "Hold {service} in prod\n\nDeployctl-Service: {service}\nDeployctl-Environment: prod\nDeployctl-Image: registry.example.com/shop/{service}:1\nDeployctl-Hold: {state}\n"
    );
    let commit = market.git.git(&["commit-tree", tree.trim(), "-m", &message]);
    let name = format!("refs/deployctl/holds/prod/{service}");
    market.git.git(&["update-ref", &name, commit.trim()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_keeps_pipelines_out_without_git_too() {
    let Some(market) = without_git("").await else { return };
    let image = format!("ranking=:1.4@{DIGEST}");
    let pipeline = || {
        let mut command = market.world.command(&["set", "--env", "prod", &image]);
        Ran::of(command.env("CI", "true"))
    };
    // Another service's, whose name begins alike.
    hold(&market, "ranking-two", "set");
    hold(&market, "ranking", "set");
    let held = pipeline();
    assert_eq!(held.code, 3, "{held:#?}");
    assert!(market.prod("main", "ranking").contains("newTag: \"1\""));
    hold(&market, "ranking", "released");
    // Who can't tell whether a hold stands does not go on; a person is told.
    market.github.hub().faults = vec![Fault::once(HOLDS, 403, "Resource not accessible")];
    let blind = pipeline();
    assert_eq!(blind.code, 1, "{blind:#?}");
    assert!(blind.stderr.contains("read `refs/deployctl/holds/prod/ranking`"), "{blind:#?}");
    market.github.hub().faults = vec![Fault::once(HOLDS, 403, "Resource not accessible")];
    let dry = market.world.run(&["set", "--env", "prod", &image, "--dry-run"]);
    assert_eq!(dry.code, 0, "{dry:#?}");
    assert!(dry.stderr.contains("warning: not checked whether a hold stands"), "{dry:#?}");
    assert_eq!(pipeline().code, 0);
    assert!(market.prod("main", "ranking").contains("newTag: \"1.4\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_run_does_not_take_back_what_a_newer_one_has_deployed() {
    for prod in ["", "    via: pull-request\n"] {
        let Some(market) = without_git(prod).await else { return };
        let path = market.world.path();
        git(path, &["init", "-q", "-b", "main", "."]);
        let one = source_commit(&market, "one", 1_700_000_000);
        // The clock of whoever made the newer one is behind: ancestry outranks it.
        let two = source_commit(&market, "two", 1_699_999_990);
        market.set("ranking", &format!(":two@{OTHER}"));
        if !prod.is_empty() {
            // What is only pending is newer, too.
            git(path, &["checkout", "-q", &one]);
            let answer = market.set("ranking", &format!(":one@{DIGEST}"));
            assert_eq!(answer["outcome"], "superseded");
            assert!(market.prod("deployctl/prod", "ranking").contains("newTag: \"two\""));
            let mut hub = market.github.hub();
            hub.open_pull("deployctl/prod").unwrap().auto_merge = true;
            hub.all_is_well();
        }
        // So much happens on the branch that GitHub tells it on several pages.
        (0..120).for_each(|_| market.github.hub().commit_to("main"));
        git(path, &["checkout", "-q", &one]);
        let before = market.commit("main");
        let answer = market.set("ranking", &format!(":one@{DIGEST}"));
        assert_eq!(
            (&answer["superseded"], &answer["outcome"]),
            (&true.into(), &"superseded".into())
        );
        assert_eq!(answer["supersededBy"][0]["sourceCommit"], two.as_str());
        assert_eq!(market.commit("main"), before);
        // The other service goes on by itself.
        let ran = [format!("ranking=:one@{DIGEST}"), format!("search=:one@{DIGEST}")];
        market.world.ok(&["set", "--env", "prod", &ran[0], &ran[1]]);
        let branch = if prod.is_empty() { "main" } else { "deployctl/prod" };
        assert!(market.prod(branch, "ranking").contains("newTag: \"two\""));
        assert!(market.prod(branch, "search").contains("newTag: \"one\""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_is_kept_up_to_date_without_git_too() {
    let Some(market) = without_git("    via: pull-request\n").await else { return };
    market.set("ranking", &format!(":1.4@{DIGEST}"));
    market.set("search", &format!(":2.0@{OTHER}"));
    let head = "deployctl/prod";
    assert!(market.prod(head, "ranking").contains("newTag: \"1.4\""));
    assert!(market.prod(head, "search").contains("newTag: \"2.0\""));
    assert_eq!(market.git.git(&["rev-list", "--count", "main..deployctl/prod"]), "1\n");
    assert_eq!(market.git.git(&["branch", "--format=%(refname:short)"]), "deployctl/prod\nmain\n");
    let hub = market.github.hub();
    assert_eq!(hub.pulls.len(), 1);
    assert!(hub.pulls[0].open && hub.verified.contains(&market.commit(head)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_is_read_judged_and_committed_without_git() {
    let Some(market) = without_git("    gates: [soak: 1h]\n").await else { return };
    let image = format!("ranking=:1.4@{DIGEST}");
    market.world.ok(&["set", "--env", "dev", &image]);
    let promote = ["promote", "ranking", "--to", "prod", "--unproven", "--output", "json"];
    let closed = market.world.run(&promote);
    assert_eq!(closed.code, 3, "{closed:#?}");
    // The soak begins with the commit that brought the image, not with what came after it.
    let landed = market.git.git(&["log", "-1", "--format=%cI", "main"]);
    market.github.hub().commit_to("main");
    let closed = json(&market.world.run(&promote).stdout);
    let soak = closed["gates"].as_array().unwrap().iter().find(|gate| gate["gate"] == "soak");
    let landed: jiff::Timestamp = landed.trim().parse().unwrap();
    let opens: jiff::Timestamp = soak.unwrap()["opensAt"].as_str().unwrap().parse().unwrap();
    assert_eq!(opens, landed + jiff::SignedDuration::from_hours(1), "{closed}");
    let overridden = [&promote[..], &["--override", "soak", "--reason", "urgent"]].concat();
    assert!(!market.github.asked().contains(&"git".to_owned()));
    market.world.ok(&overridden);
    let asked = market.github.asked();
    let times = |name: &str| asked.iter().filter(|asked| *asked == name).count();
    // What is known of a commit is not asked for again, whoever looks at it: the promotion, the gates
    // or the change.
    assert!(times("query Folders") <= 6 && times("query Files") <= 5, "{asked:?}");
    assert!(times(TIP) == 1 && times("query History") <= 4, "{asked:?}");
    assert!(market.prod("main", "ranking").contains("newTag: \"1.4\""));
    assert_eq!(market.github.hub().verified.len(), 2);
    // A change of a gated environment by hand is judged, too, and what is stated there changes nothing.
    let answer = market.set("ranking", &format!(":1.4@{DIGEST}"));
    assert_eq!(answer["outcome"], "unchanged");
    assert!(!market.github.asked().contains(&"git".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_its_hold_and_what_tells_of_them_need_no_git() {
    let Some(market) = without_programs("").await else { return };
    market.set("ranking", &format!(":1.4@{DIGEST}"));
    market.set("ranking", &format!(":1.5@{OTHER}"));
    let said =
        market.world.ok(&["rollback", "ranking", "--env", "prod", "--reason", "it loses orders"]);
    assert!(said.starts_with("prod states registry.example.com/shop/ranking:1.4@"), "{said}");
    assert!(market.prod("main", "ranking").contains("newTag: \"1.4\""));
    // GitHub signs the hold, too.
    let ledger = "refs/deployctl/holds/prod/ranking";
    let hold = market.git.git(&["rev-parse", ledger]);
    assert!(market.github.hub().verified.contains(&hold.trim().to_owned()));

    let image = format!("ranking=:1.6@{OTHER}");
    let pipeline = || {
        let mut command = market.world.command(&["set", "--env", "prod", &image]);
        Ran::of(command.env("CI", "true"))
    };
    let held = pipeline();
    assert_eq!(held.code, 3, "{held:#?}");
    let status = market.world.ok(&["status", "ranking"]);
    assert!(status.ends_with("by deployctl[bot] because it loses orders\n"), "{status}");
    let history = market.world.ok(&["history", "ranking", "--env", "prod"]);
    assert!(
        history.contains("    rolled back registry.example.com/shop/ranking:1.5@"),
        "{history}"
    );
    let two = json(&market.world.ok(&["history", "ranking", "--env", "prod", "--output", "json"]));
    assert_eq!(two["changes"].as_array().unwrap().len(), 4, "{two}");

    let released = market.world.ok(&["release-hold", "--env", "prod"]);
    assert!(released.starts_with("released: ranking was held in prod since 20"), "{released}");
    assert_eq!(market.world.ok(&["release-hold", "--env", "prod"]), "nothing is held in prod\n");
    assert_eq!(pipeline().code, 0);
    let entries = market.git.git(&["log", "--format=%s", ledger]);
    assert_eq!(entries, "Release ranking in prod\nHold ranking in prod\n");
    market.git.git(&["fsck", "--strict"]);

    let first = two["changes"][2]["commit"].as_str().unwrap();
    market.world.ok(&["rollback", "ranking", "--env", "prod", "--to", &first[..10], "--no-hold"]);
    assert!(market.prod("main", "ranking").contains("newTag: \"1.4\""));
    assert!(!market.github.asked().contains(&"git".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_refused_is_told_and_one_whose_answer_is_lost_is_there() {
    let Some(market) = without_git("").await else { return };
    market.set("ranking", &format!(":1.4@{DIGEST}"));
    market.set("ranking", &format!(":1.5@{OTHER}"));
    hold(&market, "ranking", "released");
    let refused = "Update is not a fast forward";
    let late = Fault::once("PATCH /repos/{owner}/{repo}/git/refs", 422, refused);
    let lost = Fault { done: true, ..Fault::once("POST /repos/{owner}/{repo}/git/refs", 502, "x") };
    market.github.hub().faults = vec![late, lost];
    // It has not moved, so that it is another refusal than a lost race.
    let failed = market.world.run(&["rollback", "--env", "prod", "ranking", "--dry-run"]);
    assert_eq!(failed.code, 0, "{failed:#?}");
    let told = market.world.run(&["rollback", "--env", "prod", "ranking"]);
    assert_eq!(told.code, 0, "{told:#?}");
    assert!(told.stderr.contains("no hold is set") && told.stderr.contains(refused), "{told:#?}");
    // One whose answer is lost is there.
    market.git.git(&["update-ref", "-d", "refs/deployctl/holds/prod/ranking"]);
    market.set("ranking", &format!(":1.5@{OTHER}"));
    let held = market.world.run(&["rollback", "--env", "prod", "ranking"]);
    assert!(held.code == 0 && !held.stderr.contains("no hold is set"), "{held:#?}");
    let entries = market.git.git(&["log", "--format=%s", "refs/deployctl/holds/prod/ranking"]);
    assert_eq!(entries, "Hold ranking in prod\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_the_source_commit_is_on_its_branch_is_asked_of_github() {
    let Some(market) = without_git("    gates: [branch: main]\n").await else { return };
    // The sources are in the repository itself, so that GitHub has both.
    let (path, repository) = (market.world.path(), market.git.path());
    let remote = format!("{}/shop/manifests.git", market.github.url());
    git(path, &["init", "-q", "-b", "feature", "."]);
    git(path, &["fetch", "-q", repository.as_str(), "main"]);
    git(path, &["reset", "-q", "FETCH_HEAD"]);
    git(path, &["remote", "add", "origin", &remote]);
    source_commit(&market, "Rank better", 1_700_000_000);
    let set = ["set", "--env", "prod", &format!("ranking=:1.4@{DIGEST}"), "--output", "json"];
    let said = || {
        let ran = market.world.run(&set);
        let said = json(&ran.stdout);
        (ran.code, said["gates"][0]["why"].as_str().unwrap().to_owned())
    };
    let (code, why) = said();
    assert!(code == 3 && why.contains("does not tell how"), "{code} {why}");
    git(path, &["push", "-q", repository.as_str(), "feature"]);
    let (code, why) = said();
    assert!(code == 3 && why.contains("is not on main"), "{code} {why}");
    git(path, &["push", "-q", repository.as_str(), "feature:main"]);
    let (code, why) = said();
    assert!(code == 0 && why.contains("is on main"), "{code} {why}");
    assert!(market.prod("main", "ranking").contains("newTag: \"1.4\""));
    assert!(!market.github.asked().contains(&"git".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_looks_at_what_is_pending() {
    for manifests in [API, ""] {
        let Some(market) = Market::start(manifests, "    via: pull-request\n").await else {
            return;
        };
        let (path, head) = (market.world.path(), "deployctl/prod");
        git(path, &["init", "-q", "-b", "main", "."]);
        let one = source_commit(&market, "one", 1_700_000_000);
        source_commit(&market, "two", 1_700_000_100);
        market.set("ranking", &format!(":two@{OTHER}"));
        let tree = market.git.git(&["rev-parse", "main^{tree}"]);
        let mine = market.git.git(&["commit-tree", tree.trim(), "-m", "Mine", "-p", head]);
        market.git.git(&["update-ref", &format!("refs/heads/{head}"), mine.trim()]);
        git(path, &["checkout", "-q", &one]);
        let before = market.commit(head);
        let dry = |image: &str| {
            let image = format!("{image}@{DIGEST}");
            let arguments = ["set", "--env", "prod", &image, "--dry-run", "--output", "json"];
            let ran = market.world.run(&arguments);
            assert_eq!(ran.code, 0, "{ran:#?}");
            (json(&ran.stdout), ran.stderr)
        };
        let (answer, _) = dry("ranking=:one");
        assert_eq!(answer["outcome"], "superseded");
        let (answer, told) = dry("search=:one");
        assert_eq!(answer["outcome"], "dry-run", "{answer}");
        let lost = "`deployctl/prod` would be made anew, without what others have pushed to it: ";
        assert!(told.contains(&format!("{lost}{} by ", &before[..12])), "{told}");
        assert_eq!(market.commit(head), before);
        assert_eq!(market.github.hub().pulls.len(), 1);
        // Who has no token is told that it was not looked at.
        let mut blind = market.world.command(&[
            "set",
            "--env",
            "prod",
            &format!("search=:1@{DIGEST}"),
            "--dry-run",
        ]);
        let blind = Ran::of(blind.env_remove("GITHUB_TOKEN"));
        assert_eq!(blind.code, 0, "{blind:#?}");
        assert!(blind.stderr.contains("not looked at what is pending"), "{blind:#?}");
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_s_token_is_git_s_too() {
    let Some(server) = HttpGitServer::start("x-access-token", TOKEN) else { return };
    let Some((pem, public)) = app_key() else { return };
    let served = server.repository.path();
    let Some(github) = GithubServer::start(served.as_std_path()).await else { return };
    github.hub().app = Some(public);
    // The repository of a GitHub has an owner.
    std::os::unix::fs::symlink(served.parent().unwrap(), served.with_file_name("shop")).unwrap();
    let repo = server.url().replace("/manifests.git", "/shop/manifests.git");
    let config = format!(
        "version: 1\nmanifests: {{repo: '{repo}', branch: main}}\nenvironments: {{dev: {{overlay: dev}}}}\nservices: {{web: {{image: registry.example.com/web}}}}\n"
    );
    let world = crate::support::World::new()
        .with("GITHUB_API_URL", &github.api())
        .with("DEPLOYCTL_GITHUB_APP_ID", "1234")
        .with("DEPLOYCTL_GITHUB_APP_PRIVATE_KEY", &pem)
        .with("DEPLOYCTL_LOG", "trace");
    world.write("deployctl.yaml", &config);
    let ran = world.run(&["history", "--env", "dev", "web"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(!format!("{ran:?}").contains(TOKEN) && !format!("{ran:?}").contains("PRIVATE KEY"));
    assert_eq!(github.asked().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_can_not_do_is_done_by_git_and_told() {
    let Some(market) = Market::start(API, "").await else { return };
    let path = "apps/ranking/overlays/prod/kustomization.yaml";
    let blob = market.git.git(&["rev-parse", &format!("main:{path}")]);
    let index = market.git.path().join("by-hand");
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .args(arguments)
            .current_dir(market.git.path())
            .env("GIT_INDEX_FILE", &index)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["read-tree", "main"]);
    git(&["update-index", "--cacheinfo", &format!("100755,{},{path}", blob.trim())]);
    let tree = git(&["write-tree"]);
    let commit = market.git.git(&["commit-tree", &tree, "-p", "main", "-m", "x"]);
    market.git.git(&["update-ref", "refs/heads/main", commit.trim()]);

    let image = format!("ranking=:1.4@{DIGEST}");
    let ran = market.world.run(&["set", "--env", "prod", &image]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    let warning = format!("can't make the commit: `{path}` is not a plain file; it is made by git");
    assert!(ran.stderr.contains(&warning), "{ran:#?}");
    let entry = market.git.git(&["ls-tree", "main", path]);
    assert!(entry.starts_with("100755 "), "{entry}");
    assert!(market.prod("main", "ranking").contains("newTag: \"1.4\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn elsewhere_there_is_no_api() {
    let shop = super::shop::Shop::new();
    let config =
        shop.world.read("deployctl.yaml").replace("branch: main", "branch: main, write: api");
    shop.world.write("deployctl.yaml", &config);
    let ran = shop.world.run(&["set", "--env", "dev", &format!("ranking=:1.4@{DIGEST}")]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("is not a GitHub repository, so there is no API"), "{ran:#?}");
}
