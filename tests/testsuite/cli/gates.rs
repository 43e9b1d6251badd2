//! Gates: what keeps `set` and `promote` from changing an environment, and what lets them pass.

use std::collections::BTreeMap;
use std::process::Command;

use camino::Utf8Path;
use deployctl::config::Config;
use deployctl::git::{Identity, Repository};
use deployctl::ops::{Manifests, Passage, Promotion, SetOptions, SourceRepositories, promote};
use deployctl::render::External;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::shop::{DIGEST, Shop};
use crate::support::git_server::{GitServer, git, world as git_world};
use crate::support::github::{GithubServer, TOKEN};
use crate::support::{Ran, World, peer};

const OVERLAY: &str = "apps/ranking/overlays/dev/kustomization.yaml";
const PROMOTE: [&str; 3] = ["promote", "--to", "prod"];

/// Returns a shop whose prod has `gates`.
fn shop(gates: &str) -> Shop {
    let shop = Shop::new();
    shop.configure(shop.manifests.path().as_str(), &format!("    gates: {gates}\n"));
    shop
}

impl Shop {
    /// Promotes to prod, which must end with `code`; returns the answer.
    fn promote(&self, code: i32, more: &[&str]) -> Value {
        answer(&self.world, code, &[&PROMOTE, more].concat())
    }

    /// Commits `text` as dev's overlay, at `time`.
    fn commit_dev(&self, text: &str, message: &str, time: &str) {
        let work = tempfile::TempDir::new().unwrap();
        let work = Utf8Path::from_path(work.path()).unwrap();
        git(work, &["clone", "-q", "-b", "main", self.manifests.path().as_str(), "."]);
        std::fs::write(work.join(OVERLAY), text).unwrap();
        git(work, &["add", "-A"]);
        git_at(work, time, &["commit", "-q", "-m", message]);
        git(work, &["push", "-q", "origin", "main"]);
    }

    /// Puts on record, as `verify` does, that the image with dev's digest `digit` was healthy at `time`.
    fn verified(&self, digit: char, time: &str) {
        let repository = self.manifests.path();
        let tree = self.manifests.git(&["hash-object", "-w", "-t", "tree", "/dev/null"]);
        let message = format!(
            "ranking is healthy in dev\n\nDeployctl-Service: ranking\nDeployctl-Environment: dev\nDeployctl-Image: registry.example.com/shop/ranking:{digit}@sha256:{}\nDeployctl-Verified: {}\n",
            digit.to_string().repeat(64),
            self.tip(),
        );
        let commit = git_at(&repository, time, &["commit-tree", "-m", &message, tree.trim()]);
        self.manifests.git(&["update-ref", "refs/deployctl/verified/dev/ranking", &commit]);
    }

    fn tip(&self) -> String {
        self.manifests.git(&["rev-parse", "main"]).trim().to_owned()
    }
}

fn git_at(dir: &Utf8Path, time: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=Test", "-c", "user.email=test@example.com"]);
    command.args(arguments).current_dir(dir).env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_AUTHOR_DATE", time).env("GIT_COMMITTER_DATE", time);
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn answer(world: &World, code: i32, arguments: &[&str]) -> Value {
    let ran = world.run(&[&["--output", "json"], arguments].concat());
    assert_eq!(ran.code, code, "{arguments:?}: {ran:#?}");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:#?}"))
}

/// Returns what the gate `name` says: its verdict and why.
fn said(answer: &Value, name: &str) -> (String, String) {
    let gates = answer["gates"].as_array().unwrap();
    let gate =
        gates.iter().find(|gate| gate["gate"] == name).unwrap_or_else(|| panic!("{answer:#}"));
    let text = |key: &str| gate[key].as_str().unwrap().to_owned();
    (text("verdict"), text("why"))
}

fn is(said: &(String, String), verdict: &str, why: &str) {
    assert!(said.0 == verdict && said.1.contains(why), "{said:?}: expected {verdict}: {why}");
}

/// Returns dev's overlay with the digest that is `digit`, 64 times.
fn dev(digit: char, more: &str) -> String {
    let digest = digit.to_string().repeat(64);
    format!(
        "resources: [../../base]\nimages:\n- name: registry.example.com/shop/ranking\n  newTag: '{digit}'\n  digest: sha256:{digest}\n{more}"
    )
}

fn trailers(shop: &Shop, branch: &str) -> String {
    shop.manifests.git(&["log", "-1", "--format=%(trailers:only)", branch])
}

#[test]
fn a_closed_gate_keeps_everything_as_it_is_and_an_override_goes_on_record() {
    let shop = shop("[healthy, soak: 30m]");
    let tip = shop.tip();
    let closed = shop.promote(3, &[]);
    assert_eq!((&closed["outcome"], &closed["from"]), (&"gate-closed".into(), &"dev".into()));
    is(&said(&closed, "healthy"), "unknown", "there is no kubeconfig");
    is(&said(&closed, "soak"), "closed", "of 30m stated in dev");
    assert!(closed["gates"][1]["opensAt"].is_string(), "{closed:#}");
    assert_eq!(shop.tip(), tip);

    let some = ["--override", "soak", "--reason", "the fix: can't wait"];
    let still = shop.promote(3, &some);
    assert_eq!(still["reason"], "prod was not changed: gate `healthy` can't be judged");
    let all = [&some[..], &["--override", "healthy", "--reason", "seen by eye"]].concat();
    let passed = shop.promote(0, &all);
    assert_eq!(passed["outcome"], "pushed");
    assert_eq!(passed["gates"][1]["overridden"], "the fix: can't wait");
    let trailers = trailers(&shop, "main");
    for trailer in [
        "Deployctl-From: dev\n",
        "Deployctl-Unproven: true\n",
        "Deployctl-Override: healthy: seen by eye\nDeployctl-Override: soak: the fix: can't wait\n",
    ] {
        assert!(trailers.contains(trailer), "{trailers}");
    }

    let again = shop.promote(0, &[]);
    assert_eq!((&again["outcome"], &again["gates"]), (&"unchanged".into(), &json!([])));
}

#[test]
fn people_see_every_verdict_and_what_would_change() {
    let shop = shop("[digest-pinned, freeze: {deny: [{schedule: '* * * * *', duration: 1h}]}]");
    let ran = shop.world.run(&[&PROMOTE[..], &["--dry-run"]].concat());
    assert_eq!(ran.code, 3, "{ran:#?}");
    for text in [
        "GATE           SERVICE  VERDICT",
        "healthy        ranking  open",
        "denied from `* * * * *` for 1h (UTC)",
        "+++ b/apps/ranking/overlays/prod/kustomization.yaml",
        "dry run: prod would state registry.example.com/shop/ranking:old@",
        "prod may not be changed yet: gate",
        "  or pass with `--override ",
        "--reason TEXT`, which goes on record\n",
    ] {
        assert!(ran.stdout.contains(text), "{text}: {}", ran.stdout);
    }
    assert_eq!(shop.manifests.git(&["rev-list", "--count", "main"]), "1\n");
}

#[test]
fn set_asks_the_gates_that_need_no_other_environment() {
    let shop =
        shop("[healthy, soak: 30m, freeze: {deny: [{schedule: '* * * * *', duration: 1h}]}]");
    let image = format!("ranking=:2@{DIGEST}");
    let set = ["set", "--env", "prod", image.as_str()];
    let closed = answer(&shop.world, 3, &set);
    assert_eq!(closed["schema"], "deployctl.dev/set/v1");
    assert_eq!(closed["gates"].as_array().unwrap().len(), 1, "{closed:#}");
    is(&said(&closed, "freeze"), "closed", "denied from");
    assert_eq!(shop.manifests.git(&["rev-list", "--count", "main"]), "1\n");
    let passed = [&set[..], &["--override", "freeze", "--reason", "prod is down"]].concat();
    assert_eq!(answer(&shop.world, 0, &passed)["outcome"], "pushed");
    assert!(trailers(&shop, "main").contains("Deployctl-Override: freeze: prod is down\n"));
    let wrong = [&set[..], &["--override", "soak", "--reason", "x"]].concat();
    refused(
        &shop.world.run(&wrong),
        "`prod` has no gate `soak` to override",
        "its gates here: freeze",
    );
    // dev has no gates.
    shop.world.ok(&["set", "--env", "dev", &image]);
}

fn refused(ran: &Ran, error: &str, hint: &str) {
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:#?}");
    assert!(ran.stderr.contains(error) && ran.stderr.contains(hint), "{ran:#?}");
}

#[test]
fn an_override_says_which_gate_and_why() {
    let shop = shop("[soak: 30m]");
    for (arguments, error, hint) in [
        (&["--override", "soak"][..], "--reason <TEXT>", ""),
        (&["--reason", "x"], "--override <GATE>", ""),
        (&["--override", "soak", "--reason", " "], "a reason is empty", "--reason"),
        (&["--override", "soka", "--reason", "x"], "did you mean `soak`?", "healthy, soak"),
        (
            &["--override", "freeze", "--reason", "x"],
            "`prod` has no gate `freeze`",
            "healthy, soak",
        ),
        (
            &["--override", "soak", "--reason", "x", "--reason", "y"],
            "there are 2 reasons for 1 override",
            "one --reason for all",
        ),
    ] {
        refused(&shop.world.run(&[&PROMOTE[..], arguments].concat()), error, hint);
    }
    let all = ["--override", "soak", "--override", "healthy", "--reason", "agreed"];
    assert_eq!(shop.promote(0, &all)["outcome"], "pushed");
    // `healthy` was open, as nobody asked for it, so there was nothing to override.
    let trailers = trailers(&shop, "main");
    assert!(trailers.contains("Deployctl-Override: soak: agreed\n"), "{trailers}");
    assert!(!trailers.contains("healthy"), "{trailers}");
}

#[test]
fn an_image_soaks_from_the_commit_that_brought_it_last() {
    let shop = shop("[soak: 30m]");
    shop.commit_dev(&dev('a', ""), "a", "2020-01-01T10:00:00Z");
    is(&said(&shop.promote(0, &["--dry-run"]), "soak"), "open", "stated in dev for ");
    shop.commit_dev(&dev('b', ""), "b", "2020-01-01T11:00:00Z");
    shop.commit_dev(&dev('a', ""), "a again", "2037-01-01T00:00:00Z");
    let begin = shop.tip();
    // A change of something else does not begin anew.
    shop.commit_dev(&dev('a', "namePrefix: x-\n"), "prefix", "2037-01-01T00:00:00Z");
    let closed = shop.promote(3, &[]);
    is(&said(&closed, "soak"), "closed", "of 30m stated in dev, since 2037-01-01 00:00 UTC");
    let rests_on =
        format!("(time of commit {}, not recorded as healthy by `verify` since)", &begin[..12]);
    is(&said(&closed, "soak"), "closed", &rests_on);
    shop.commit_dev(&dev('c', ""), "c", "2020-01-01T12:00:00Z");
    shop.commit_dev(&dev('c', "namePrefix: x-\n"), "prefix", "2037-01-01T00:00:00Z");
    is(&said(&shop.promote(0, &[]), "soak"), "open", "stated in dev for ");
}

#[test]
fn what_was_verified_is_a_proof_where_no_cluster_can_be_asked() {
    let shop = shop("[healthy, soak: 30m]");
    shop.commit_dev(&dev('a', ""), "a", "2020-01-01T10:00:00Z");
    shop.verified('b', "2020-01-01T11:00:00Z");
    let closed = shop.promote(3, &["--dry-run"]);
    is(&said(&closed, "healthy"), "unknown", "there is no kubeconfig");
    is(&said(&closed, "soak"), "open", "stated in dev for ");
    // What was verified when the image was there before does not count for how long it is there now.
    shop.verified('a', "2020-01-01T09:00:00Z");
    is(&said(&shop.promote(0, &["--dry-run"]), "soak"), "open", "stated in dev for ");
    shop.verified('a', "2037-01-01T00:00:00Z");
    is(&said(&shop.promote(3, &["--dry-run"]), "soak"), "closed", "0s of 30m verified in dev");
    shop.verified('a', "2020-01-01T11:00:00Z");
    let passed = shop.promote(0, &["--unproven"]);
    is(&said(&passed, "healthy"), "open", "verified in dev at 2020-01-01 11:00 UTC");
    is(&said(&passed, "soak"), "open", "verified in dev for ");
    assert!(said(&passed, "soak").1.ends_with(", since 2020-01-01 11:00 UTC"));
    assert!(!trailers(&shop, "main").contains("Unproven"));
}

#[test]
fn what_a_merge_brings_soaks_from_the_merge() {
    let shop = shop("[soak: 30m]");
    let work = tempfile::TempDir::new().unwrap();
    let work = Utf8Path::from_path(work.path()).unwrap();
    git(work, &["clone", "-q", "-b", "main", shop.manifests.path().as_str(), "."]);
    git(work, &["checkout", "-q", "-b", "change"]);
    std::fs::write(work.join(OVERLAY), dev('a', "")).unwrap();
    git_at(work, "2020-01-01T10:00:00Z", &["commit", "-q", "-a", "-m", "a"]);
    git(work, &["checkout", "-q", "main"]);
    git_at(work, "2037-01-01T00:00:00Z", &["merge", "-q", "--no-ff", "-m", "Merge", "change"]);
    git(work, &["push", "-q", "origin", "main"]);
    is(&said(&shop.promote(3, &[]), "soak"), "closed", "0s of 30m stated in dev");
}

#[tokio::test]
async fn a_gate_that_opens_while_the_cluster_is_looked_at_is_open() {
    let shop = shop("[soak: 30m]");
    let home = World::new();
    let environment = git_world(home.path().as_std_path(), &[]);
    let config = Config::read(&shop.world.path().join("deployctl.yaml")).unwrap();
    let (remote, branch) = (shop.manifests.path().into_string(), Some("main".to_owned()));
    let repository = Repository::open(&remote, home.path(), &environment).await.unwrap();
    let manifests = Manifests { repository, remote, branch, api: None };
    let renderer = External::new(&environment);
    let ada = Identity { name: "Ada".to_owned(), email: "ada@example.com".to_owned() };
    let began: Timestamp =
        shop.manifests.git(&["log", "-1", "--format=%cI", "main"]).trim().parse().unwrap();
    let (from, to) = (&config.environments["dev"], &config.environments["prod"]);
    for (minutes, closed) in [(0, vec!["soak"]), (31, vec![])] {
        let options = SetOptions::new(&manifests, to, &renderer, ada.clone().into(), began);
        let options = SetOptions { dry_run: true, ..options };
        let services = vec![&config.services["ranking"]];
        let promotion = Promotion::read(from, services, &options, &|_| ()).await.unwrap();
        let passage = Passage {
            from: Some(from),
            now: began + SignedDuration::from_mins(minutes),
            health: BTreeMap::new(),
            overrides: Vec::new(),
            github: Err("nobody is there".to_owned()),
            sources: SourceRepositories {
                caches: home.path(),
                environment: &environment,
                trusted: Vec::new(),
            },
        };
        let report = promote(promotion, &passage, options, &|_| ()).await.unwrap();
        assert_eq!(report.closed(), closed, "{report:#?}");
    }
}

#[test]
fn a_commit_that_is_not_on_the_branch_is_not_promoted() {
    let source = GitServer::bare(&[("README.md", "ranking\n")]);
    let shop = shop("[branch: main]");
    let root = shop.world.path();
    let (home, remote) = (".gitignore", source.path());
    shop.world.write(home, "/home\n");
    git(root, &["init", "-q", "-b", "feature", "."]);
    git(root, &["remote", "add", "origin", remote.as_str()]);
    git(root, &["fetch", "-q", "origin"]);
    git(root, &["reset", "-q", "origin/main"]);
    git(root, &["add", "deployctl.yaml", home]);
    git(root, &["commit", "-q", "-m", "Rank better"]);
    git(root, &["push", "-q", "origin", "feature"]);
    let unknown = said(&shop.promote(3, &[]), "branch");
    is(&unknown, "unknown", "dev has not on record which commit it was built from");
    git(root, &["remote", "remove", "origin"]);
    shop.world.ok(&["set", "--env", "dev", &format!("ranking=:3@{DIGEST}")]);
    let unknown = said(&shop.promote(3, &[]), "branch");
    is(&unknown, "unknown", "is in: set the image from a checkout that has a remote");
    git(root, &["remote", "add", "origin", remote.as_str()]);

    shop.world.ok(&["set", "--env", "dev", &format!("ranking=:2@{DIGEST}")]);
    let closed = shop.promote(3, &[]);
    is(&said(&closed, "branch"), "closed", "the source commit is not on main");
    let set = ["set", "--env", "prod", &format!("ranking=:2@{DIGEST}")];
    is(&said(&answer(&shop.world, 3, &set), "branch"), "closed", "is not on main");

    git(root, &["push", "-q", "origin", "feature:main"]);
    let passed = shop.promote(0, &[]);
    is(&said(&passed, "branch"), "open", "the source commit is on main");
    let commit = git(root, &["rev-parse", "HEAD"]);
    assert!(trailers(&shop, "main").contains(&format!("Deployctl-Source-Commit: {commit}")));
}

#[test]
fn the_record_of_an_image_sends_no_credentials_elsewhere() {
    let shop = shop("[branch: main]");
    let message = format!(
        "a\n\nDeployctl-Service: ranking\nDeployctl-Environment: dev\nDeployctl-Image: x@sha256:{}\nDeployctl-Source-Commit: {}\nDeployctl-Source-Repository: https://evil.example.com/x.git\n",
        "a".repeat(64),
        "c".repeat(40)
    );
    shop.commit_dev(&dev('a', ""), &message, "2020-01-01T10:00:00Z");
    is(&said(&shop.promote(3, &[]), "branch"), "unknown", "is on another server than");
}

#[test]
fn every_image_of_the_pods_has_a_digest_or_nothing_goes() {
    let Some(_) = peer("kubectl") else { return };
    let shop = shop("[digest-pinned]");
    is(
        &said(&shop.promote(0, &["--dry-run"]), "digest-pinned"),
        "open",
        "every image has a digest",
    );
    let base = "apps/ranking/base/deployment.yaml";
    let text = shop.manifests.file("main", base) + "      - {name: proxy, image: 'envoy:1'}\n";
    shop.manifests.commit("main", &[(base, &text)]);
    is(&said(&shop.promote(3, &[]), "digest-pinned"), "closed", "envoy:1 has no digest");
}

#[test]
fn what_nobody_proved_is_on_record_as_that() {
    let shop = shop("[]");
    let ran = shop.world.run(&PROMOTE);
    assert!(ran.stderr.contains("warning: not checked whether dev is healthy"), "{ran:#?}");
    assert!(trailers(&shop, "main").contains("Deployctl-Unproven: true\n"));
    shop.world.ok(&["set", "--env", "dev", &format!("ranking=:2@{DIGEST}")]);
    let ran = shop.world.run(&[&PROMOTE[..], &["--unproven"]].concat());
    assert!(ran.code == 0 && !ran.stderr.contains("warning"), "{ran:#?}");
    assert!(trailers(&shop, "main").contains("Deployctl-Unproven: true\n"));
}

#[test]
fn a_pipeline_ends_at_a_closed_gate_with_its_reason() {
    let shop = shop("[soak: 30m]");
    shop.world.write("pipelines/p.yaml", "version: 1\nsteps:\n- promote: {to: prod}\n");
    let ran = shop.world.run(&["run", "p"]);
    assert_eq!(ran.code, 6, "{ran:#?}");
    assert!(ran.stderr.contains("prod was not changed: gate `soak` is closed"), "{ran:#?}");
}

#[test]
fn a_gate_that_can_not_be_is_told_with_its_place() {
    let shop = shop("[soak: soon]");
    let ran = shop.world.run(&["status"]);
    refused(&ran, "`soon` is not a time", "deployctl.yaml:9:19");
}

/// Returns a shop whose manifests are on `github`, and whose prod has `gates` and is changed by pull
/// requests.
fn shop_on(github: &GithubServer, shop: Shop, gates: &str) -> Shop {
    let url = format!("{}/shop/manifests.git", github.url());
    let Shop { world, manifests } = shop;
    let world = world
        .with("GIT_CONFIG_COUNT", "1")
        .with("GIT_CONFIG_KEY_0", &format!("url.{}.insteadOf", manifests.path()))
        .with("GIT_CONFIG_VALUE_0", &url)
        .with("GITHUB_API_URL", &github.api())
        .with("GITHUB_TOKEN", TOKEN);
    let shop = Shop { world, manifests };
    shop.configure(&url, &format!("    via: pull-request\n    gates: {gates}\n"));
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_waits_for_the_people_that_are_named() {
    let shop = Shop::new();
    let Some(github) = GithubServer::start(shop.manifests.path().as_std_path()).await else {
        return;
    };
    let shop = shop_on(&github, shop, "[approval: {by: [ada, grace]}]");
    let waiting = shop.promote(3, &[]);
    assert_eq!(waiting["outcome"], "pull-request");
    is(&said(&waiting, "approval"), "closed", "no pull request is open yet");
    let body = github.hub().pulls[0].body.clone();
    assert!(body.contains("- [ ] **approval**: "), "{body}");

    let head = || shop.manifests.git(&["rev-parse", "deployctl/prod"]).trim().to_owned();
    let approve = |login: &str, commit: String| {
        github.hub().pulls[0].reviews.push((login.into(), "APPROVED".into(), commit));
    };
    approve("eve", head());
    approve("ada", shop.tip());
    is(&said(&shop.promote(3, &["--dry-run"]), "approval"), "closed", "0 of 1 approvals");
    approve("ADA", head());
    let approved = shop.promote(0, &["--dry-run"]);
    is(&said(&approved, "approval"), "open", "approved by ADA");

    // What was approved is not what would go now.
    shop.commit_dev(&dev('b', ""), "b", "2020-01-01T10:00:00Z");
    is(&said(&shop.promote(3, &["--dry-run"]), "approval"), "closed", "proposes other images");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_other_than_approval_keeps_a_pull_request_from_being_opened() {
    let shop = Shop::new();
    let Some(github) = GithubServer::start(shop.manifests.path().as_std_path()).await else {
        return;
    };
    let shop = shop_on(&github, shop, "[approval: {by: [ada]}, soak: 30m]");
    assert_eq!(shop.promote(3, &[])["outcome"], "gate-closed");
    assert!(github.hub().pulls.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_of_the_source_commit_must_have_passed() {
    let shop = Shop::new();
    let Some(github) = GithubServer::start(shop.manifests.path().as_std_path()).await else {
        return;
    };
    // The example's source is in the same repository as its manifests.
    let (source, repository) = (shop.tip(), format!("{}/shop/manifests.git", github.url()));
    let message = format!(
        "a\n\nDeployctl-Service: ranking\nDeployctl-Environment: dev\nDeployctl-Image: x@sha256:{}\nDeployctl-Source-Commit: {source}\nDeployctl-Source-Repository: {repository}\n",
        "a".repeat(64),
    );
    shop.commit_dev(&dev('a', ""), &message, "2020-01-01T10:00:00Z");
    let shop = shop_on(&github, shop, "[checks: [ci]]");
    is(&said(&shop.promote(3, &["--dry-run"]), "checks"), "closed", "ci has not run");
    let status = |state: &str| {
        let status = json!({"context": "ci", "state": state});
        github.hub().statuses.insert(source.clone(), vec![status]);
    };
    status("failure");
    is(&said(&shop.promote(3, &["--dry-run"]), "checks"), "closed", "ci failed");
    status("success");
    is(&said(&shop.promote(0, &["--dry-run"]), "checks"), "open", "passed: ci");

    let without = Shop { world: shop.world.with("GITHUB_TOKEN", ""), manifests: shop.manifests };
    is(&said(&without.promote(3, &["--dry-run"]), "checks"), "unknown", "no GitHub token");
}
