//! A market: two services, two environments, a manifests repository on a GitHub of the test's own.

use crate::support::World;
use crate::support::git_server::{GitServer, git};
use crate::support::github::{GithubServer, TOKEN};

/// A digest that no image has.
pub(super) const DIGEST: &str =
    "sha256:00000000000000000000000000000000000000000000000000000000000000aa";
pub(super) const OTHER: &str =
    "sha256:00000000000000000000000000000000000000000000000000000000000000bb";

/// A world with `deployctl.yaml`, whose manifests are on GitHub.
pub(super) struct Market {
    pub(super) world: World,
    pub(super) git: GitServer,
    pub(super) github: GithubServer,
}

const SERVICES: [&str; 2] = ["ranking", "search"];

impl Market {
    /// Returns a market whose `deployctl.yaml` has `manifests` beside the repository, `prod` with the
    /// lines `prod`, and git reaching the repository by the way.
    pub(super) async fn start(manifests: &str, prod: &str) -> Option<Self> {
        let mut files = Vec::new();
        for service in SERVICES {
            let image = format!("registry.example.com/shop/{service}");
            let base = format!("apps/{service}/base");
            files.push((
                format!("{base}/kustomization.yaml"),
                "resources: [deployment.yaml]\n".into(),
            ));
            files.push((format!("{base}/deployment.yaml"), deployment(service, &image)));
            for environment in ["dev", "prod"] {
                let overlay = format!("apps/{service}/overlays/{environment}/kustomization.yaml");
                let text = format!(
                    "resources: [../../base]\nimages:\n- name: {image}\n  newTag: \"1\" # now\n  digest: sha256:{}\n",
                    "1".repeat(64)
                );
                files.push((overlay, text));
            }
        }
        let files: Vec<(&str, &str)> =
            files.iter().map(|(p, t): &(String, String)| (&**p, &**t)).collect();
        let git = GitServer::bare(&files);
        let github = GithubServer::start(git.path().as_std_path()).await?;
        let repo = format!("{}/shop/manifests.git", github.url());
        let world = World::new()
            .with("GITHUB_API_URL", &github.api())
            .with("GITHUB_TOKEN", TOKEN)
            .with("GIT_CONFIG_COUNT", "1")
            .with("GIT_CONFIG_KEY_0", &format!("url.{}.insteadOf", git.path()))
            .with("GIT_CONFIG_VALUE_0", &repo);
        let config = format!(
            "version: 1\nmanifests: {{repo: '{repo}', branch: main{manifests}}}\nenvironments:\n  dev:\n    overlay: apps/{{service}}/overlays/dev\n  prod:\n    overlay: apps/{{service}}/overlays/prod\n    from: dev\n{prod}services:\n  ranking:\n    image: registry.example.com/shop/ranking\n  search:\n    image: registry.example.com/shop/search\n"
        );
        world.write("deployctl.yaml", &config);
        Some(Self { world, git, github })
    }

    /// Returns the overlay of a service in `prod` on a branch.
    pub(super) fn prod(&self, branch: &str, service: &str) -> String {
        self.git.file(branch, &format!("apps/{service}/overlays/prod/kustomization.yaml"))
    }

    /// Sets the image of a service in `prod` and returns the answer.
    pub(super) fn set(&self, service: &str, image: &str) -> serde_json::Value {
        let image = format!("{service}={image}");
        let out = self.world.ok(&["set", "--env", "prod", &image, "--output", "json"]);
        serde_json::from_str(&out).unwrap()
    }

    pub(super) fn commit(&self, branch: &str) -> String {
        self.git.git(&["rev-parse", branch]).trim().to_owned()
    }

    /// Makes a commit on `main` as a person does.
    pub(super) fn person(&self, path: &str, text: &str) {
        let work = tempfile::TempDir::new().unwrap();
        let work = camino::Utf8Path::from_path(work.path()).unwrap();
        git(work, &["clone", "-q", self.git.path().as_str(), "."]);
        std::fs::write(work.join(path), text).unwrap();
        git(work, &["commit", "-q", "-a", "-m", "By hand"]);
        git(work, &["push", "-q", "origin", "HEAD:main"]);
    }
}

fn deployment(service: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {service}}}\nspec:\n  selector: {{matchLabels: {{app: {service}}}}}\n  template:\n    metadata: {{labels: {{app: {service}}}}}\n    spec:\n      containers:\n      - {{name: app, image: {image}}}\n"
    )
}
