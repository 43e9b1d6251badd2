//! Remotes that refuse a push, or go away while it runs.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::shop::{DIGEST, Shop};
use crate::support::git_server::{GitServer, HttpGitServer, git};
use crate::support::{Ran, World};

fn set(world: &World, more: &[&str]) -> Ran {
    let image = format!("ranking=:new@{DIGEST}");
    world.run(&[&["set", "--env", "dev", &image], more].concat())
}

#[test]
fn what_a_hook_says_is_shown() {
    for hook in ["pre-receive", "update"] {
        let shop = Shop::new();
        let before = shop.manifests.git(&["rev-parse", "main"]);
        shop.manifests.hook_named(hook, "echo 'dev is frozen until monday' >&2; exit 1");
        let ran = set(&shop.world, &[]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:#?}");
        assert!(ran.stderr.contains("refused the push to `main`"), "{ran:#?}");
        assert!(ran.stderr.contains("dev is frozen until monday"), "{ran:#?}");
        assert!(ran.stderr.contains("hint: deploy by pull request"), "{ran:#?}");
        assert_eq!(shop.manifests.git(&["rev-parse", "main"]), before);
    }
}

#[test]
fn a_protected_branch_is_told_at_once_as_each_forge_says_it() {
    let said = [
        "error: GH006: Protected branch update failed for refs/heads/main.",
        "GitLab: You are not allowed to push code to protected branches on this project.",
        "Gitea: Not allowed to push to protected branch main",
    ];
    for text in said {
        let shop = Shop::new();
        shop.manifests.hook(&format!("echo '{text}' >&2; exit 1"));
        let ran = set(&shop.world, &[]);
        assert_eq!(ran.code, 1, "{ran:#?}");
        assert!(ran.stderr.contains(text.trim_start_matches("error: ")), "{ran:#?}");
        assert!(!ran.stderr.contains("somebody else pushed first"), "{ran:#?}");
    }
}

#[test]
fn a_remote_that_takes_only_what_builds_on_its_tip_is_fine() {
    let shop = Shop::new();
    shop.manifests.git(&["config", "receive.denyNonFastForwards", "true"]);
    shop.manifests.git(&["config", "receive.denyDeletes", "true"]);
    assert_eq!(set(&shop.world, &[]).code, 0);
}

/// What goes wrong on the way to the server when it is pushed to, so many times.
#[derive(Clone, Copy)]
enum Way {
    /// The server gets the push, and its answer does not come back.
    LosesAnswers,
    /// The push does not arrive.
    LosesPushes,
    /// The push does not arrive, and from then on nothing does.
    Breaks,
}

/// Starts a proxy before the server at `port` and returns its port.
fn proxy(port: u16, way: Way, times: usize, manifests: &GitServer) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    let left = Arc::new(AtomicUsize::new(times));
    let branch = manifests.path().join("refs/heads/main");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (left, branch) = (left.clone(), branch.clone());
            std::thread::spawn(move || pass(&client, port, way, &left, &branch));
        }
    });
    own
}

fn pass(client: &TcpStream, port: u16, way: Way, left: &AtomicUsize, branch: &camino::Utf8Path) {
    if matches!(way, Way::Breaks) && left.load(Ordering::SeqCst) == 0 {
        return;
    }
    let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let before = std::fs::read(branch).ok();
    let (mut from_server, mut to_client) =
        (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let (mut from_client, mut to_server) = (client, &server);
    let mut bytes = vec![0; 65536];
    while let Ok(count @ 1..) = from_client.read(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..count]);
        let is_push = text.starts_with("POST ") && text.contains("/git-receive-pack HTTP");
        let armed = is_push
            && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        if armed && !matches!(way, Way::LosesAnswers) {
            break;
        }
        if armed {
            // Nothing comes back from now on; what is still to come of the push goes on.
            client.shutdown(Shutdown::Write).unwrap();
        }
        if to_server.write_all(&bytes[..count]).is_err() {
            break;
        }
        if armed {
            for _ in 0..500 {
                if std::fs::read(branch).ok() != before {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
}

/// Runs a change through a proxy; returns how it went, and how many commits it made.
fn through(way: Way, times: usize) -> Option<(Ran, usize)> {
    let server = HttpGitServer::start("x-access-token", "token")?;
    let shop = Shop::new();
    let target = server.repository.path();
    git(&shop.manifests.path(), &["push", "-q", "--force", target.as_str(), "main"]);
    let port = proxy(server.port(), way, times, &server.repository);
    let url = format!("http://127.0.0.1:{port}/manifests.git");
    let config = shop.world.read("deployctl.yaml").replace(shop.manifests.path().as_str(), &url);
    assert!(config.contains(&url), "{config}");
    shop.world.write("deployctl.yaml", &config);
    let world = shop.world.with("DEPLOYCTL_GIT_TOKEN", "token");
    let ran = set(&world, &[]);
    let commits = server.repository.git(&["rev-list", "--count", "main"]);
    Some((ran, commits.trim().parse::<usize>().unwrap() - 1))
}

#[test]
fn a_push_whose_answer_is_lost_on_the_way_has_landed() {
    let Some((ran, commits)) = through(Way::LosesAnswers, 1) else { return };
    assert_eq!((ran.code, commits), (0, 1), "{ran:#?}");
    assert!(ran.stdout.starts_with("dev states "), "{ran:#?}");
}

#[test]
fn a_push_that_is_lost_on_the_way_is_made_again() {
    let Some((ran, commits)) = through(Way::LosesPushes, 2) else { return };
    assert_eq!((ran.code, commits), (0, 1), "{ran:#?}");
}

#[test]
fn a_remote_that_is_gone_in_the_middle_of_a_push_is_told_as_that() {
    let Some((ran, commits)) = through(Way::Breaks, 1) else { return };
    assert_eq!((ran.code, ran.stdout.as_str(), commits), (1, "", 0), "{ran:#?}");
    assert!(ran.stderr.contains("can't reach"), "{ran:#?}");
    assert!(ran.stderr.contains("whether the push has landed is not known"), "{ran:#?}");
}

#[test]
fn how_long_to_go_on_can_be_said() {
    let shop = Shop::new();
    // Each push meets somebody who was faster.
    shop.manifests.hook(
        "new=$(git -c user.name=x -c user.email=x commit-tree -p main -m x main^{tree}) && \
         env -u GIT_QUARANTINE_PATH git update-ref refs/heads/main $new",
    );
    let ran = set(&shop.world, &["--timeout", "1s"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:#?}");
    assert!(ran.stderr.contains("times while pushing to it, for "), "{ran:#?}");
    assert!(ran.stderr.contains("hint: nothing was changed; run it again"), "{ran:#?}");
}
