//! Runs of deployctl that are killed at any point: what the others were told is true.

use std::process::{Child, Stdio};
use std::time::Duration;

use super::shop::DIGEST;
use crate::support::World;
use crate::support::git_server::GitServer;

const SERVICES: usize = 6;
const ROUNDS: usize = 200;
const AT_ONCE: usize = 4;

fn overlay(service: usize) -> String {
    format!("apps/s{service}/dev/kustomization.yaml")
}

fn manifests() -> GitServer {
    let files = (0..SERVICES).map(|service| {
        let entry = format!("images:\n- name: registry.example.com/s{service}\n  newTag: old\n");
        (overlay(service), entry)
    });
    let files: Vec<(String, String)> = files.collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    GitServer::bare(&files)
}

/// Returns a world without a program that renders: 400 runs of it would take their time.
fn world(manifests: &GitServer) -> World {
    let world = World::new();
    let services = (0..SERVICES).map(|n| format!("  s{n}: {{image: registry.example.com/s{n}}}\n"));
    let text = format!(
        "version: 1\nmanifests: {{repo: '{}', branch: main}}\n\
         environments:\n  dev: {{overlay: 'apps/{{service}}/dev'}}\nservices:\n{}",
        manifests.path(),
        services.collect::<String>()
    );
    world.write("deployctl.yaml", &text);
    let programs = world.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    let git = crate::support::peer("git").expect("git is installed");
    std::os::unix::fs::symlink(git, programs.join("git")).unwrap();
    world.with("PATH", programs.as_str())
}

struct Run {
    child: Child,
    tag: String,
}

fn start(world: &World, number: usize) -> Run {
    let tag = format!("t{number}");
    // Some of those who run at the same time change the same file.
    let service = number % SERVICES / (1 + number % 2);
    let image = format!("s{service}=:{tag}@{DIGEST}");
    let mut command = world.command(&["set", "--env", "dev", &image]);
    let log = std::fs::File::create(world.path().join(format!("log-{tag}"))).unwrap();
    let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    Run { child, tag }
}

/// Returns how often each of the tags is on record.
fn landed(manifests: &GitServer) -> Vec<String> {
    let key = "--format=%(trailers:key=Deployctl-Image,valueonly)";
    let log = manifests.git(&["log", key, "main"]);
    let tag = |image: &str| Some(image.split_once(':')?.1.split_once('@')?.0.to_owned());
    log.lines().filter_map(tag).collect()
}

#[test]
fn what_was_acknowledged_is_in_the_history_once_and_a_rerun_converges() {
    let manifests = manifests();
    let world = world(&manifests);
    let (mut running, mut told, mut killed) = (Vec::new(), Vec::new(), Vec::new());
    let mut number = 0;
    for round in 0..ROUNDS {
        while running.len() < AT_ONCE {
            running.push(start(&world, number));
            number += 1;
        }
        std::thread::sleep(Duration::from_millis(15 + round as u64 * 37 % 70));
        let mut victim: Run = running.remove(round % AT_ONCE);
        victim.child.kill().unwrap();
        running.push(victim);
        running.retain_mut(|run| match run.child.try_wait().unwrap() {
            None => true,
            Some(status) if status.success() => {
                told.push(run.tag.clone());
                false
            }
            Some(status) if status.code().is_none() => {
                killed.push(run.tag.clone());
                false
            }
            Some(status) => {
                let log = world.read(&format!("log-{}", run.tag));
                panic!("{}: {status}: {log}", run.tag);
            }
        });
    }
    for mut run in running {
        match run.child.wait().unwrap().code() {
            Some(0) => told.push(run.tag),
            None => killed.push(run.tag),
            Some(_) => panic!("{}: {}", run.tag, world.read(&format!("log-{}", run.tag))),
        }
    }
    let landed = landed(&manifests);
    let count = |tag: &String| landed.iter().filter(|other| *other == tag).count();
    for tag in &told {
        assert_eq!(count(tag), 1, "{tag} was acknowledged");
    }
    assert!(killed.iter().all(|tag| count(tag) <= 1), "{landed:?}");
    assert!(!told.is_empty() && !killed.is_empty(), "{} and {}", told.len(), killed.len());
    converges(&world, &manifests);
}

fn converges(world: &World, manifests: &GitServer) {
    let images = (0..SERVICES).map(|n| format!("s{n}=:last@{DIGEST}")).collect::<Vec<_>>();
    let mut arguments = vec!["set", "--env", "dev"];
    arguments.extend(images.iter().map(String::as_str));
    world.ok(&arguments);
    for service in 0..SERVICES {
        assert!(manifests.file("main", &overlay(service)).contains("newTag: last\n"), "{service}");
    }
    assert!(world.ok(&arguments).starts_with("unchanged: "));
    manifests.fsck_at_rest();
    let queue = world.path().join("home/.cache/deployctl/git");
    let folders = queue.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path());
    let queue = folders.filter(|path| path.as_str().contains(".queue-")).collect::<Vec<_>>();
    assert_eq!(queue.len(), 1, "{queue:?}");
    let left = queue[0].read_dir_utf8().unwrap().filter(|entry| {
        let path = entry.as_ref().unwrap().path().to_owned();
        path.extension().is_some_and(|end| ["change", "taken", "answer"].contains(&end))
    });
    assert_eq!(left.count(), 0, "what the dead have left is removed");
}
