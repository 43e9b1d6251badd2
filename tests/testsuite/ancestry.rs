//! How commits that Argo CD names stand to the expected one, by a real repository.

use camino::Utf8Path;
use deployctl::argocd::Relation;
use deployctl::git::{CommitId, Repository};
use deployctl::ops::{Ancestry as _, CommitAncestry, Manifests};

use crate::support::git_server::{GitServer, world};

const OVERLAY: &str = "apps/ranking/overlays/dev";
const FILE: &str = "apps/ranking/overlays/dev/kustomization.yaml";
const BASE: &str = "apps/ranking/base/kustomization.yaml";
const DEPLOYMENT: &str = "apps/ranking/base/deployment.yaml";

struct History {
    server: GitServer,
    manifests: Manifests,
    _home: tempfile::TempDir,
}

impl History {
    async fn new() -> Self {
        let server = GitServer::bare(&[
            (FILE, "resources: [../../base]\n"),
            (BASE, "resources: [deployment.yaml]\n"),
            (DEPLOYMENT, "kind: Deployment\n"),
            ("README.md", "one\n"),
        ]);
        let home = tempfile::TempDir::new().unwrap();
        let path = Utf8Path::from_path(home.path()).unwrap();
        let remote = server.path().into_string();
        let repository = Repository::open(&remote, path, &world(home.path(), &[])).await.unwrap();
        let branch = Some("main".to_owned());
        let manifests = Manifests { repository, remote, branch, api: None };
        Self { server, manifests, _home: home }
    }

    fn commit(&self, path: &str, text: &str) -> CommitId {
        self.server.commit("main", &[(path, text)]);
        self.tip("main")
    }

    fn tip(&self, branch: &str) -> CommitId {
        self.server.git(&["rev-parse", branch]).trim().parse().unwrap()
    }

    async fn relation(&self, expected: &CommitId, observed: &CommitId) -> Relation {
        self.manifests.fetch(&|_| ()).await.unwrap();
        let ancestry = CommitAncestry::new(&self.manifests, expected);
        let ancestry = ancestry.of_overlay(Some(OVERLAY.into()));
        ancestry.relation(observed.as_str()).await
    }
}

#[tokio::test]
async fn a_commit_before_is_the_same_if_the_overlay_is_made_of_equal_files() {
    let history = History::new().await;
    let first = history.tip("main");
    let elsewhere = history.commit("README.md", "two\n");
    assert_eq!(history.relation(&elsewhere, &first).await, Relation::Same);
    assert_eq!(history.relation(&first, &elsewhere).await, Relation::Newer);
    // The base is not in the overlay's folder, and belongs to it all the same.
    let base = history.commit(DEPLOYMENT, "kind: Deployment # changed\n");
    assert_eq!(history.relation(&base, &first).await, Relation::Older);
    assert_eq!(history.relation(&base, &elsewhere).await, Relation::Older);
    let own = history.commit(&format!("{OVERLAY}/.argocd-source.yaml"), "kustomize: {}\n");
    assert_eq!(history.relation(&own, &base).await, Relation::Older);
    let same = "0".repeat(40).parse().unwrap();
    assert_eq!(history.relation(&own, &same).await, Relation::Unknown);
}

#[tokio::test]
async fn a_hydrated_commit_stands_as_the_one_that_it_was_made_from() {
    let history = History::new().await;
    let dry = history.tip("main");
    let newer = history.commit(FILE, "resources: [../../base] # changed\n");
    history.server.git(&["branch", "environments/dev", "main"]);
    let metadata = format!("{{\"repoURL\": \"r\", \"drySha\": \"{dry}\"}}\n");
    history.server.commit("environments/dev", &[("hydrator.metadata", &metadata)]);
    let hydrated = history.tip("environments/dev");
    assert_eq!(history.relation(&dry, &hydrated).await, Relation::Same);
    assert_eq!(history.relation(&newer, &hydrated).await, Relation::Older);
}
