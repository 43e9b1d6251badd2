//! The ways to the manifests repository: with the `git` program, and without it.

use super::shop::{DIGEST, Shop};
use crate::support::git_server::{HttpGitServer, SshGitServer, git};
use crate::support::{Ran, SshAgent, World};

/// What a machine has no programs under.
const NO_PROGRAMS: &str = "/nonexistent";

/// Returns the `PATH`s under which this build reaches a server with its `feature`.
fn paths(feature: bool) -> Vec<String> {
    let mut paths = vec![std::env::var("PATH").unwrap()];
    paths.extend(feature.then(|| NO_PROGRAMS.to_owned()));
    paths
}

fn set(world: &World, tag: &str) -> Ran {
    world.run(&["set", "--env", "dev", &format!("ranking=:{tag}@{DIGEST}")])
}

#[test]
fn https_is_trusted_by_its_certificate() {
    let Some(server) = HttpGitServer::start_tls("x-access-token", "canary") else { return };
    let shop = Shop::new();
    let target = server.repository.path();
    git(&shop.manifests.path(), &["push", "-q", "--force", target.as_str(), "main"]);
    shop.configure(&server.url(), "");
    let certificate = server.certificate();
    let mut world = shop.world.with("DEPLOYCTL_GIT_TOKEN", "canary");
    for (number, path) in paths(cfg!(feature = "git-https")).iter().enumerate() {
        world = world.with("PATH", path).with("SSL_CERT_FILE", "").with("GIT_SSL_CAINFO", "");
        let refused = set(&world, "1");
        assert_eq!(refused.code, 1, "{refused:#?}");
        assert!(refused.stderr.contains("error: can't reach `https://127.0.0.1:"), "{refused:#?}");
        assert!(refused.stderr.contains("certificate"), "{refused:#?}");
        world = world.with("SSL_CERT_FILE", certificate.as_str());
        world = world.with("GIT_SSL_CAINFO", certificate.as_str());
        let landed = set(&world, &format!("v{number}"));
        assert_eq!(landed.code, 0, "{landed:#?}");
        let overlay =
            server.repository.file("main", "apps/ranking/overlays/dev/kustomization.yaml");
        assert!(overlay.contains(&format!("newTag: v{number}")), "{overlay}");
    }
}

#[test]
fn ssh_takes_the_key_from_the_agent_or_the_usual_file() {
    let Some(server) = SshGitServer::start() else { return };
    let Some(agent) = SshAgent::start(&server.key()) else { return };
    let shop = Shop::new();
    let target = server.repository.path();
    git(&shop.manifests.path(), &["push", "-q", "--force", target.as_str(), "main"]);
    shop.configure(&server.url(), "");
    let mut world = shop.world;
    let known_hosts = world.write("known_hosts", &server.known_host());
    world.write("home/.ssh/known_hosts", &server.known_host());
    // The `ssh` program asks the system for the home folder, and not `HOME`.
    let ssh = format!("ssh -F none -o BatchMode=yes -o UserKnownHostsFile={known_hosts}");
    for (number, path) in paths(cfg!(feature = "git-ssh")).iter().enumerate() {
        world = world.with("PATH", path).with("GIT_SSH_COMMAND", &ssh).with("SSH_AUTH_SOCK", "");
        let refused = set(&world, "1");
        assert_eq!(refused.code, 1, "{refused:#?}");
        assert!(refused.stderr.contains("refused the credentials"), "{refused:#?}");
        assert!(refused.stderr.contains("load the key into ssh-agent"), "{refused:#?}");
        world = world.with("SSH_AUTH_SOCK", &agent.socket());
        let landed = set(&world, &format!("agent{number}"));
        assert_eq!(landed.code, 0, "{landed:#?}");
    }
}

#[test]
#[cfg(not(any(feature = "git-https", feature = "git-ssh")))]
fn a_build_without_the_features_says_what_it_lacks() {
    let shop = Shop::new();
    let world = shop.world.with("PATH", NO_PROGRAMS);
    for (url, feature) in [
        ("https://git.example.com/shop.git", "git-https"),
        ("git@git.example.com:shop.git", "git-ssh"),
    ] {
        let text = world.read("deployctl.yaml");
        let line = text.lines().find(|line| line.starts_with("manifests:")).unwrap();
        let other = format!("manifests: {{repo: '{url}', branch: main}}");
        world.write("deployctl.yaml", &text.replace(line, &other));
        let refused = set(&world, "1");
        assert_eq!(
            (refused.code, refused.stderr),
            (
                1,
                format!(
                    "error: `git` is not installed, and this build of deployctl can't reach \
                     `{url}` without it\nhint: install `git`, or take a release of deployctl, \
                     which has the feature `{feature}`\n"
                )
            )
        );
    }
}
