//! What `verify` puts on record.

use std::sync::Arc;
use std::time::Duration;

use deployctl::git::{Identity, Repository};
use deployctl::github;
use deployctl::k8s::ObjectId;
use deployctl::ops::{self, Manifests, PodReport, RolloutReport, RolloutVerdict, Witness};
use deployctl::rollout::Proof;
use jiff::Timestamp;

use super::image;
use crate::support::World;
use crate::support::git_server::{GitServer, world as git_world};
use crate::support::github::{GithubServer, TOKEN};

/// Returns how `verify` ended for `image`.
fn rollout(image: &str, verdict: RolloutVerdict, pods: usize) -> RolloutReport {
    let pod = PodReport {
        pod: ObjectId {
            group: String::new(),
            kind: "Pod".to_owned(),
            namespace: "prod".to_owned(),
            name: "ranking-1".to_owned(),
        },
        container: "ranking".to_owned(),
        image: image.to_owned(),
        image_id: String::new(),
        ready: true,
        restarts: 0,
        proof: Some(Proof::Digest),
    };
    RolloutReport {
        environment: "prod".to_owned(),
        service: "ranking".to_owned(),
        application: None,
        image: Some(image.parse().unwrap()),
        revision: Some("c".repeat(40)),
        verdict,
        reason: String::new(),
        cause: None,
        evidence: Vec::new(),
        objects: Vec::new(),
        pods: vec![pod; pods],
        unread: Vec::new(),
        notes: Vec::new(),
        started: jiff::Timestamp::UNIX_EPOCH,
        duration: Duration::ZERO,
        timeline: Vec::new(),
    }
}

#[tokio::test]
async fn what_is_proven_is_put_on_record_once() {
    let server = GitServer::bare(&[]);
    put_on_record_once(&server, None, "Ada").await;
    // Who GitHub knows the token of is who says so.
    let server = GitServer::bare(&[]);
    let Some(github) = GithubServer::start(server.path().as_std_path()).await else { return };
    let environment = [("GITHUB_API_URL", &*github.api()), ("GITHUB_TOKEN", TOKEN)];
    let client = Arc::new(github::Client::new(&environment.into_iter().collect()).unwrap());
    let api = client.branches("shop", "manifests").unwrap();
    put_on_record_once(&server, Some(api), "deployctl[bot]").await;
    let entry = server.git(&["rev-parse", "refs/deployctl/verified/prod/ranking"]);
    assert!(github.hub().verified.contains(&entry.trim().to_owned()));
}

async fn put_on_record_once(server: &GitServer, api: Option<github::Branches>, by: &str) {
    let home = World::new();
    let environment = git_world(home.path().as_std_path(), &[]);
    let remote = server.path();
    let repository = Repository::open(remote.as_str(), home.path(), &environment).await.unwrap();
    let manifests = Manifests { repository, remote: remote.into_string(), branch: None, api };
    let ada = Identity { name: "Ada".to_owned(), email: "ada@example.com".to_owned() };
    let (authorship, time) = (ada.into(), Timestamp::from_second(1_700_000_000).unwrap());
    let run = Some("https://ci.example.com/7".to_owned());
    let witness = Witness { authorship: &authorship, time, run };
    let (healthy, late) = (RolloutVerdict::Healthy, RolloutVerdict::TimedOut);
    for (letter, verdict, pods, new) in [
        ('a', healthy, 1, 1),
        ('a', healthy, 2, 0),
        ('b', late, 1, 0),
        ('b', healthy, 0, 0),
        ('b', healthy, 1, 1),
        ('a', healthy, 1, 1),
    ] {
        let rollouts = [rollout(&image(letter), verdict, pods)];
        let recorded = ops::record_verified(&manifests, &rollouts, &witness).await.unwrap();
        assert_eq!(recorded.len(), new, "{letter} {verdict:?} {pods}");
    }
    // What only the pods' spec says is not proven.
    let mut stated = rollout(&image('b'), healthy, 1);
    stated.pods[0].proof = Some(Proof::Spec { because: String::new() });
    let recorded = ops::record_verified(&manifests, &[stated], &witness).await.unwrap();
    assert_eq!(recorded.len(), 0);
    let last = ops::last_verified(&manifests, "prod", &["ranking", "other"]).await.unwrap();
    assert_eq!((last.len(), &last["ranking"].image), (1, &image('a')));
    assert_eq!(last["ranking"].by, by);
    assert!(last["ranking"].time >= time);
    let entry = server.git(&["log", "-1", "--format=%B", "refs/deployctl/verified/prod/ranking"]);
    assert_eq!(
        entry.trim(),
        format!(
            "ranking is healthy in prod\n\nDeployctl-Service: ranking\nDeployctl-Environment: prod\n\
             Deployctl-Image: {}\nDeployctl-Run: https://ci.example.com/7\nDeployctl-Verified: {}",
            image('a'),
            "c".repeat(40)
        )
    );
    // Of those who write at once, nobody's entry is lost.
    let at_once = ['d', 'e', 'f'].map(|letter| [rollout(&image(letter), healthy, 1)]);
    let recorded = at_once.iter().map(|one| ops::record_verified(&manifests, one, &witness));
    for recorded in futures_util::future::join_all(recorded).await {
        assert_eq!(recorded.unwrap().len(), 1);
    }
    let ledger = "refs/deployctl/verified/prod/ranking";
    assert_eq!(server.git(&["rev-list", "--count", ledger]), "6\n");
}
