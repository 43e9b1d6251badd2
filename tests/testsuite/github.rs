//! The GitHub client against a GitHub that knows the published schemas by heart.

mod app;
mod files;
mod history;
mod limits;
mod merge;
mod pulls;
mod reads;

use deployctl::github::Client;

use crate::support::git_server::GitServer;
use crate::support::github::{GithubServer, TOKEN};

/// A GitHub with `shop/manifests`, whose branch `deployctl/prod` is a commit ahead of `main`.
struct Shop {
    git: GitServer,
    github: GithubServer,
}

impl Shop {
    async fn start() -> Option<Self> {
        let git = GitServer::bare(&[("apps/web/kustomization.yaml", "resources: [web.yaml]\n")]);
        ahead(&git, "deployctl/prod");
        let github = GithubServer::start(git.path().as_std_path()).await?;
        Some(Self { git, github })
    }

    fn client(&self) -> Client {
        self.client_with(&[("GITHUB_TOKEN", TOKEN)])
    }

    fn client_with(&self, variables: &[(&str, &str)]) -> Client {
        let api = self.github.api();
        let all = [("GITHUB_API_URL", api.as_str())].into_iter().chain(variables.iter().copied());
        Client::new(&all.collect()).unwrap()
    }
}

/// Makes `branch` a commit ahead of `main`.
fn ahead(git: &GitServer, branch: &str) {
    let tree = git.git(&["rev-parse", "main^{tree}"]);
    let commit = git.git(&["commit-tree", tree.trim(), "-p", "main", "-m", "Promote"]);
    git.git(&["update-ref", &format!("refs/heads/{branch}"), commit.trim()]);
}
