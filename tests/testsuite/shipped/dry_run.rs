//! What an API server says of the example manifests.

use super::manifests::{ENVIRONMENTS, overlay, pairs};
use super::root;
use crate::support::kubernetes::ControlPlane;

#[test]
fn an_api_server_accepts_every_overlay() {
    let Some(cluster) = ControlPlane::start() else { return };
    for environment in ENVIRONMENTS {
        let dir = root(&format!("manifests/environments/{environment}/namespaces"));
        cluster.kubectl(&["apply", "-k", dir.to_str().unwrap()]);
    }
    for (service, environment) in pairs() {
        let dir = overlay(service, environment);
        let told = cluster.kubectl(&["apply", "--dry-run=server", "-k", dir.to_str().unwrap()]);
        let accepted = told.lines().filter(|line| line.ends_with("(server dry run)")).count();
        assert!(accepted >= 4 && accepted == told.lines().count(), "{told}");
    }
}
