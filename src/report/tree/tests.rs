use jiff::Timestamp;

use super::*;
use crate::k8s::ObjectId;
use crate::rollout::Counts;

fn id(kind: &str, name: &str) -> ObjectId {
    ObjectId {
        group: String::new(),
        kind: kind.into(),
        namespace: "shop".into(),
        name: name.into(),
    }
}

fn container_of(pod: &str, waiting: &str, restarts: i64) -> ContainerOverview {
    let (pod, container) = (pod.to_owned(), "ranking".to_owned());
    ContainerOverview { pod, container, waiting: waiting.to_owned(), restarts }
}

fn tell(tree: &mut Tree, service: &str, event: VerifyEvent) {
    tree.observe(service, &Moment { at: Timestamp::UNIX_EPOCH, event });
}

fn seen() -> VerifyEvent {
    let application = ApplicationOverview {
        application: id("Application", "ranking-dev"),
        sync: "Synced".into(),
        revision: "3f9c2ab47d103f9c2ab47d103f9c2ab47d103f9c".into(),
        health: "Progressing".into(),
    };
    let ranking = WorkloadOverview {
        workload: id("Deployment", "ranking"),
        counts: Counts { desired: 3, updated: 3, available: 0 },
        troubled: vec![
            container_of("ranking-7d5b9-aaaaa", "CrashLoopBackOff", 2),
            container_of("ranking-7d5b9-bbbbb", "CrashLoopBackOff", 3),
            container_of("ranking-7d5b9-ccccc", "ContainerCreating", 0),
        ],
    };
    VerifyEvent::Seen(Overview { application: Some(application), workloads: vec![ranking] })
}

fn ended(verdict: RolloutVerdict) -> VerifyEvent {
    VerifyEvent::Ended { verdict, reason: "so it is".to_owned() }
}

fn waiting(reason: &str) -> VerifyEvent {
    VerifyEvent::Waiting { reason: reason.to_owned() }
}

fn plain(lines: &[String]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| super::super::text::lines(line)).collect();
    lines.join("\n")
}

#[test]
fn shows_what_keeps_each_rollout_and_nothing_of_those_that_are_over() {
    let mut tree = Tree::default();
    tell(&mut tree, "web", seen());
    tell(&mut tree, "web", ended(RolloutVerdict::Healthy));
    tell(&mut tree, "ranking", seen());
    tell(&mut tree, "ranking", waiting("0 of 3 new pods are\navailable"));
    insta::assert_snapshot!(plain(&tree.lines(80, 20)), @r"
    ✔ web healthy: so it is
    ● ranking 0 of 3 new pods are available
      Application ranking-dev          Synced at 3f9c2ab47d10, Progressing
      Deployment ranking               3 of 3 updated, 0 available
        ranking-7d5b9-bbbbb (ranking) and 1 more CrashLoopBackOff, 3 restarts
        ranking-7d5b9-ccccc (ranking) starting
    ");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let mut tree = Tree::default();
    tell(&mut tree, "ранжирование-順位付け", seen());
    tell(
        &mut tree,
        "ранжирование-順位付け",
        waiting("順位付け \u{1b}[2Jof 3 new pods are available"),
    );
    for width in [1, 7, 30, 79] {
        for line in tree.lines(width, 20) {
            assert!(measure_text_width(&line) <= width, "{width}: {line}");
            assert!(!line.contains("\u{1b}[2J"), "{line}");
        }
    }
}

#[test]
fn many_services_leave_room_for_those_that_need_attention() {
    let mut tree = Tree::default();
    for number in 0..40 {
        let service = format!("service-{number}");
        tell(&mut tree, &service, seen());
        match number {
            0..20 => tell(&mut tree, &service, ended(RolloutVerdict::Healthy)),
            30 => tell(&mut tree, &service, ended(RolloutVerdict::Degraded)),
            _ => tell(&mut tree, &service, waiting("1 of 2 are available")),
        }
    }
    for height in [0, 1, 2, 5, 24, 60] {
        assert!(tree.lines(80, height).len() <= height, "{height}");
    }
    insta::assert_snapshot!(plain(&tree.lines(80, 5)), @r"
    ● service-20 1 of 2 are available
    ● service-21 1 of 2 are available
    ● service-22 1 of 2 are available
    ✘ service-30 degraded: so it is
    … and 16 that go on, 20 that ended
    ");
    assert_eq!(tree.verdicts().len(), 21);
}
