//! What GitHub shows beside the commit that an image was built from.

use deployctl::config::GithubReports;
use deployctl::github::Client;
use deployctl::ops::{Progress, SourceReports, report_sources};
use deployctl::promotion::{Record, RecordedSource};

use super::market::{DIGEST, Market};
use crate::support::git_server::git;
use crate::support::github::{Fault, TOKEN};

/// Returns a market whose services' own repository is on GitHub, and the commit there.
async fn market() -> Option<(Market, String)> {
    let market = Market::start("", "").await?;
    let world = &market.world;
    let config = world
        .read("deployctl.yaml")
        .replace("environments:\n", "github: {deployments: true, statuses: true}\nenvironments:\n");
    world.write("deployctl.yaml", &config);
    world.write(".gitignore", "/home\n");
    git(world.path(), &["init", "-q", "-b", "main", "."]);
    let origin = format!("{}/shop/manifests.git", market.github.url());
    git(world.path(), &["remote", "add", "origin", &origin]);
    git(world.path(), &["add", "-A"]);
    git(world.path(), &["commit", "-q", "-m", "Rank by score"]);
    let commit = git(world.path(), &["rev-parse", "HEAD"]).trim().to_owned();
    Some((market, commit))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_s_deployment_begins_with_set_and_ends_with_what_is_verified() {
    let Some((market, commit)) = market().await else { return };
    market.set("ranking", &format!(":1.4@{DIGEST}"));
    {
        let hub = market.github.hub();
        assert_eq!(hub.deployments.len(), 1);
        let deployment = &hub.deployments[0];
        assert_eq!(
            (&deployment["sha"], &deployment["environment"]),
            (&commit.as_str().into(), &"prod".into())
        );
        assert_eq!(hub.deployment_statuses[&100][0]["state"], "in_progress");
        let status = &hub.statuses[&commit][0];
        assert_eq!(status["context"], "deployctl/prod/ranking");
        assert_eq!(status["state"], "pending");
    }
    let api = market.github.api();
    let environment = [("GITHUB_API_URL", api.as_str()), ("GITHUB_TOKEN", TOKEN)];
    let client = Client::new(&environment.into_iter().collect()).unwrap();
    let reports = GithubReports { deployments: true, statuses: true };
    let run_url = "https://git.example.com/shop/manifests/actions/runs/1";
    let reports = SourceReports { client: &client, reports, run_url: Some(run_url) };
    let repository = Some(format!("{}/shop/manifests.git", market.github.url()));
    let source = RecordedSource { commit: commit.clone(), repository, time: None };
    let record = Record {
        service: "ranking".to_owned(),
        environment: "prod".to_owned(),
        source: Some(source),
        ..Record::default()
    };
    let failed = Progress::Failed("ImagePullBackOff".to_owned());
    report_sources(&reports, &[(record.clone(), failed)], &|event| panic!("{event:?}")).await;
    report_sources(&reports, &[(record, Progress::Healthy)], &|event| panic!("{event:?}")).await;
    let hub = market.github.hub();
    assert_eq!(hub.deployments.len(), 1);
    let states: Vec<_> = hub.deployment_statuses[&100].iter().map(|it| &it["state"]).collect();
    assert_eq!(states, ["in_progress", "failure", "success"]);
    assert_eq!(hub.deployment_statuses[&100][2]["log_url"], run_url);
    assert_eq!(hub.statuses[&commit].len(), 1);
    assert_eq!(hub.statuses[&commit][0]["state"], "success");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_told_is_a_warning() {
    let Some((market, _)) = market().await else { return };
    let forbidden =
        |operation| Fault::once(operation, 403, "Resource not accessible by integration");
    market.github.hub().faults = vec![
        forbidden("POST /repos/{owner}/{repo}/deployments"),
        forbidden("POST /repos/{owner}/{repo}/statuses"),
    ];
    let image = format!("ranking=:1.4@{DIGEST}");
    let ran = market.world.run(&["set", "--env", "prod", &image]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    let warning = "warning: the GitHub token may not report a deployment of commit `";
    assert!(ran.stderr.contains(warning), "{ran:#?}");
    assert!(ran.stderr.contains("may not report a commit status"), "{ran:#?}");
    assert!(market.prod("main", "ranking").contains("newTag: \"1.4\""));
}
