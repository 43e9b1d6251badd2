//! Histories read through the API, held against those that git reads of the same repository.

use std::sync::Arc;

use camino::Utf8Path;
use deployctl::argocd::Relation;
use deployctl::git::CommitId;
use deployctl::ops::Manifests;
use jiff::Timestamp;

use super::Shop;
use crate::support::World;
use crate::support::git_server::world;

/// Commits `text` as the file `path` on top of `parents` at the second `time`, and returns the commit.
fn commit(shop: &Shop, parents: &[git2::Oid], path: &str, text: &str, time: i64) -> git2::Oid {
    let repository = git2::Repository::open_bare(shop.git.path()).unwrap();
    let parents: Vec<git2::Commit<'_>> =
        parents.iter().map(|id| repository.find_commit(*id).unwrap()).collect();
    let mut updates = git2::build::TreeUpdateBuilder::new();
    updates.upsert(path, repository.blob(text.as_bytes()).unwrap(), git2::FileMode::Blob);
    let tree = updates.create_updated(&repository, &parents[0].tree().unwrap()).unwrap();
    let tree = repository.find_tree(tree).unwrap();
    let who = git2::Signature::new("Ada", "ada@example.com", &git2::Time::new(time, 0)).unwrap();
    let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
    repository.commit(None, &who, &who, &format!("{path} {text}\n"), &tree, &parents).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_and_git_tell_the_same_history() {
    let Some(shop) = Shop::start().await else { return };
    let (file, other) = ("apps/web/overlays/prod/kustomization.yaml", "apps/api/x.yaml");
    let first = shop.git.git(&["rev-parse", "main"]).trim().parse().unwrap();
    let now = Timestamp::now().as_second();
    // Two changes on the branch, one on a side branch that was merged later, much that is about others,
    // and a merge that brings nothing of it.
    let one = commit(&shop, &[first], file, "one", now + 10);
    let side = commit(&shop, &[one], file, "two", now + 20);
    let elsewhere = commit(&shop, &[one], other, "a", now + 30);
    let merge = commit(&shop, &[elsewhere, side], file, "two", now + 40);
    let aside = commit(&shop, &[merge], other, "b", now + 50);
    let mut tip = commit(&shop, &[merge], other, "c", now + 60);
    tip = commit(&shop, &[tip, aside], other, "d", now + 70);
    for n in 0..120 {
        tip = commit(&shop, &[tip], other, &n.to_string(), now + 100 + n);
    }
    let unmerged = commit(&shop, &[tip], file, "three", now + 300);
    let tip = commit(&shop, &[tip], file, "four", now + 400);
    for (branch, id) in [("main", tip), ("unmerged", unmerged)] {
        shop.git.git(&["update-ref", &format!("refs/heads/{branch}"), &id.to_string()]);
    }

    let home = World::new();
    let environment = world(home.path().as_std_path(), &[]);
    let remote = shop.git.path().into_string();
    let repository = deployctl::git::Repository::open(&remote, home.path(), &environment);
    let api = Arc::new(shop.client()).branches("shop", "manifests").unwrap();
    let repository = repository.await.unwrap();
    let by_api = Manifests { repository, remote, branch: None, api: Some(api) };
    let by_git = by_api.by_git();
    let (api, git) = (by_api.store(), by_git.store());
    let tip = CommitId::from(tip);
    assert_eq!(git.tip("main").await.unwrap().as_ref(), Some(&tip));
    assert_eq!(api.tip("main").await.unwrap().as_ref(), Some(&tip));

    for path in [file, "apps/web/overlays/prod", "apps/api", "", "no/such/path"] {
        let path = Utf8Path::new(path);
        for limit in [2, 500] {
            let logs = [api.log(&tip, path, limit).await, git.log(&tip, path, limit).await];
            let [api_log, git_log] = logs.map(Result::unwrap);
            assert_eq!(api_log, git_log, "log of `{path}`, {limit}");
            let landed =
                [api.landings(&tip, path, limit).await, git.landings(&tip, path, limit).await];
            let [api_landed, git_landed] = landed.map(Result::unwrap);
            assert_eq!(api_landed, git_landed, "landings of `{path}`, {limit}");
        }
    }
    // What the merge brought landed with it.
    let landed = api.landings(&tip, Utf8Path::new(file), 9).await.unwrap();
    let ids: Vec<&str> = landed.iter().map(|commit| commit.id.as_str()).collect();
    assert_eq!(ids, [tip.as_str(), &merge.to_string(), &one.to_string()]);

    for since in [now + 25, now + 150, now + 1000] {
        let since = Timestamp::from_second(since).unwrap();
        let found = [api.since(&tip, since, 500).await, git.since(&tip, since, 500).await];
        let [by_api, by_git] = found.map(Result::unwrap);
        assert_eq!(by_api, by_git, "since {since}");
    }
    let short = &one.to_string()[..10];
    for revision in [short, "unmerged", tip.as_str()] {
        let found = [api.resolve(revision).await, git.resolve(revision).await];
        let [by_api, by_git] = found.map(Result::unwrap);
        assert_eq!(by_api, by_git, "{revision}");
    }
    for revision in ["main~1", "main:apps", "no-such", "main..unmerged"] {
        let error = api.resolve(revision).await.unwrap_err().to_string();
        assert!(error.ends_with(&format!("has no commit `{revision}`")), "{error}");
    }
    let (one, unmerged) = (CommitId::from(one), CommitId::from(unmerged));
    for (expected, observed, related) in [
        (&tip, &tip, Relation::Same),
        (&one, &tip, Relation::Newer),
        (&tip, &one, Relation::Older),
        (&tip, &unmerged, Relation::Diverged),
    ] {
        assert_eq!(api.relation(expected, observed.as_str()).await.unwrap(), related);
        assert_eq!(git.relation(expected, observed.as_str()).await.unwrap(), related);
    }
    assert_eq!(api.relation(&tip, &"c".repeat(40)).await.unwrap(), Relation::Unknown);
}
