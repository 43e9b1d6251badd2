//! A shop: one service, two environments, a manifests repository in a folder.

use camino::Utf8PathBuf;

use crate::support::World;
use crate::support::git_server::GitServer;

/// A digest that no image has.
pub(crate) const DIGEST: &str =
    "sha256:00000000000000000000000000000000000000000000000000000000000000aa";

/// A world with `deployctl.yaml`, and a manifests repository beside it.
pub(crate) struct Shop {
    pub(crate) world: World,
    pub(crate) manifests: GitServer,
}

const DEV: &str = "\
# The shop's ranking, in dev.
resources: [../../base]
images:
  - name: registry.example.com/shop/ranking  # the one that ranks
    newTag: old
    digest: sha256:1111111111111111111111111111111111111111111111111111111111111111
";

const PROD: &str = "\
resources:
- ../../base
images:
- name: registry.example.com/shop/ranking
  newTag: \"1\"
  digest: sha256:2222222222222222222222222222222222222222222222222222222222222222
";

const BASE: &str = "resources: [deployment.yaml]\n";

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: ranking}
spec:
  selector: {matchLabels: {app: ranking}}
  template:
    metadata: {labels: {app: ranking}}
    spec:
      containers:
      - name: ranking
        image: registry.example.com/shop/ranking
";

/// Returns the files of an overlay in `folder` whose pod has `image`, as the fields `entry` say.
pub(crate) fn overlay(folder: &str, image: &str, entry: &str) -> [(String, String); 2] {
    let kustomization = format!("resources: [pod.yaml]\nimages:\n- name: {image}\n{entry}");
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: app}}\nspec: {{containers: [{{name: app, image: {image}}}]}}\n"
    );
    [(format!("{folder}/kustomization.yaml"), kustomization), (format!("{folder}/pod.yaml"), pod)]
}

impl Shop {
    pub(crate) fn new() -> Self {
        let manifests = GitServer::bare(&[
            ("apps/ranking/base/kustomization.yaml", BASE),
            ("apps/ranking/base/deployment.yaml", DEPLOYMENT),
            ("apps/ranking/overlays/dev/kustomization.yaml", DEV),
            ("apps/ranking/overlays/prod/kustomization.yaml", PROD),
        ]);
        // As those of forges, the server lets fetches leave something out.
        manifests.git(&["config", "uploadpack.allowFilter", "true"]);
        let world = World::new();
        let shop = Self { world, manifests };
        shop.configure(&shop.manifests.path().into_string(), "");
        shop
    }

    /// Writes `deployctl.yaml` for the manifests at `repo`, `prod` ending with the line `more`.
    pub(crate) fn configure(&self, repo: &str, more: &str) -> Utf8PathBuf {
        let text = format!(
            "version: 1\nmanifests: {{repo: '{repo}', branch: main}}\nenvironments:\n  dev:\n    overlay: apps/{{service}}/overlays/dev\n  prod:\n    overlay: apps/{{service}}/overlays/prod\n    from: dev\n{more}services:\n  ranking:\n    image: registry.example.com/shop/ranking\n"
        );
        self.world.write("deployctl.yaml", &text)
    }

    /// Returns the overlay of an environment at the branch's tip.
    pub(crate) fn overlay(&self, environment: &str) -> String {
        self.manifests
            .file("main", &format!("apps/ranking/overlays/{environment}/kustomization.yaml"))
    }
}
