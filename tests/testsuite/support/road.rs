//! The whole road on real parts: the example manifests, the sample service, a registry, a cluster.

use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};

use super::git_server::{GitServer, git};
use super::kubernetes::ControlPlane;
use super::world::Ran;
use super::{RegistryServer, World, peer};

/// A team's world: a service's repository with `deployctl.yaml`, a manifests repository, a registry
/// that both name, and a cluster.
pub(crate) struct Road {
    pub(crate) control_plane: ControlPlane,
    pub(crate) registry: RegistryServer,
    pub(crate) manifests: GitServer,
    pub(crate) world: World,
    name: &'static str,
}

/// The namespaces, node labels and registry of the shipped files, in the order of the replacements.
const NAMES: [&str; 3] = ["ranking-", "node.example.com/environment", "registry.example.com"];

impl Road {
    /// Returns the world of a test called `name`, which its namespaces and node labels are named
    /// after; `config` is its `deployctl.yaml`, with the names as they are shipped. `None` where a
    /// part is not installed.
    pub(crate) fn start(name: &'static str, config: &str) -> Option<Self> {
        let control_plane = ControlPlane::start()?;
        let registry = RegistryServer::start_plain()?;
        let busybox = peer("busybox")?;
        let manifests = GitServer::bare(&[]);
        let world = World::new().with("KUBECONFIG", control_plane.kubeconfig().to_str().unwrap());
        let road = Self { control_plane, registry, manifests, world, name };
        road.publish_manifests();
        road.write_service(&busybox, config);
        for environment in ["dev", "prod"] {
            road.control_plane.namespace(&road.namespace(environment));
        }
        Some(road)
    }

    /// Returns the namespace of an environment's `ranking`.
    pub(crate) fn namespace(&self, environment: &str) -> String {
        format!("{}-{environment}", self.name)
    }

    /// Returns the label that makes a node one of `environment`.
    pub(crate) fn node_label(&self, environment: &str) -> String {
        format!("node.example.com/{}={environment}", self.name)
    }

    /// Returns `text` with this world's names instead of those that are shipped.
    pub(crate) fn adopt(&self, text: &str) -> String {
        let own = [format!("{}-", self.name), format!("node.example.com/{}", self.name)];
        // `ranking-` also begins the names of objects; only the namespaces are this world's own.
        let namespaces = ["dev", "prod"].iter().fold(text.to_owned(), |text, environment| {
            let (shipped, ours) =
                (format!("{}{environment}", NAMES[0]), format!("{}{environment}", own[0]));
            text.replace(&format!("namespace: {shipped}"), &format!("namespace: {ours}"))
        });
        namespaces.replace(NAMES[1], &own[1]).replace(NAMES[2], self.registry.domain())
    }

    /// Returns what the overlay of `environment` renders to at the tip of the manifests, and the tip.
    pub(crate) fn rendered(&self, environment: &str) -> (String, String) {
        let checkout = tempfile::TempDir::new().unwrap();
        let checkout = Utf8Path::from_path(checkout.path()).unwrap();
        git(checkout, &["clone", "-q", self.manifests.path().as_str(), "."]);
        let overlay = checkout.join(format!("apps/ranking/overlays/{environment}"));
        let rendered = self.control_plane.kubectl(&["kustomize", overlay.as_str()]);
        (rendered, git(checkout, &["rev-parse", "HEAD"]).trim().to_owned())
    }

    /// Runs deployctl in the service's repository.
    pub(crate) fn deployctl(&self, arguments: &[&str]) -> Ran {
        self.world.run(arguments)
    }

    /// Commits what is in the service's repository.
    pub(crate) fn commit(&self, message: &str) {
        git(self.world.path(), &["add", "-A"]);
        git(self.world.path(), &["commit", "-q", "-m", message]);
    }

    fn publish_manifests(&self) {
        let work = tempfile::TempDir::new().unwrap();
        let work = Utf8Path::from_path(work.path()).unwrap();
        git(work, &["clone", "-q", self.manifests.path().as_str(), "."]);
        self.copy(&shipped("manifests"), work);
        git(work, &["add", "-A"]);
        git(work, &["commit", "-q", "-m", "Manifests"]);
        git(work, &["push", "-q", "origin", "HEAD:main"]);
    }

    fn write_service(&self, busybox: &Path, config: &str) {
        let root = self.world.path();
        self.copy(&shipped("tests/data/services"), &root.join("services"));
        std::fs::create_dir_all(root.join("services/ranking/bin")).unwrap();
        std::fs::copy(busybox, root.join("services/ranking/bin/busybox")).unwrap();
        let repo = "https://git.example.com/shop/manifests.git";
        let config = self.adopt(config).replace(repo, self.manifests.path().as_str());
        self.world.write("deployctl.yaml", &config);
        self.world.write(".gitignore", "/home\n/apps\n/environments\n");
        git(root, &["init", "-q", "-b", "main", "."]);
        self.commit("Serve the ranking");
    }

    fn copy(&self, from: &Utf8Path, to: &Utf8Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in from.read_dir_utf8().unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                self.copy(entry.path(), &target);
            } else {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                std::fs::write(target, self.adopt(&text)).unwrap();
            }
        }
    }
}

fn shipped(path: &str) -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
