use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::health::HealthStatus;
use crate::k8s::ObjectId;
use crate::ops::{Moment, ObjectReport, PodReport};
use crate::rollout::{CauseKind, Counts, Event, Evidence, Gravity, Proof, RootCause};

const IMAGE: &str = "registry.example.com/shop/ranking:2@sha256:2222222222222222222222222222222222222222222222222222222222222222";

/// What a person who means harm might have a container say, or call an object.
const HOSTILE: &str = "]]></failure> <script>alert('1')</script> \"&amp;\" \u{1b}[31m|`a`\n```\n</details>\u{0}\u{202e}\u{ffff}";

fn id(group: &str, kind: &str, name: &str) -> ObjectId {
    let [group, kind, name] = [group, kind, name].map(str::to_owned);
    ObjectId { group, kind, namespace: "shop".into(), name }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

fn cause(text: &str) -> RootCause {
    RootCause {
        kind: CauseKind::CrashLoop,
        workload: id("apps", "Deployment", "ranking"),
        summary: text.to_owned(),
        advice: format!("Read the log: {text}"),
        gravity: Gravity::Fatal { grace: Duration::ZERO },
        because: "it ended each time".to_owned(),
        evidence: Vec::new(),
    }
}

fn evidence(text: &str) -> Evidence {
    Evidence {
        object: id("", "Pod", "ranking-1"),
        container: Some("web".to_owned()),
        reason: "Error".to_owned(),
        message: "exit code 3".to_owned(),
        time: Some(at(40)),
        count: 3,
        log: vec!["connecting".to_owned(), text.to_owned()],
    }
}

fn timeline(verdict: RolloutVerdict, text: &str) -> Vec<Moment> {
    let counts = Counts { desired: 2, updated: 2, available: 1 };
    let workload = Change::Workload { workload: id("apps", "Deployment", "ranking"), counts };
    let moment = |second, event| Moment { at: at(second), event };
    let settling = VerifyEvent::Settling { time: Duration::from_secs(10) };
    let is_well = verdict == RolloutVerdict::Healthy;
    vec![
        moment(2, VerifyEvent::Rollout(Event { at: at(2), change: workload })),
        moment(5, VerifyEvent::Waiting { reason: "1 of 2 are available".to_owned() }),
        moment(40, if is_well { settling } else { VerifyEvent::Cause(cause(text)) }),
        moment(72, VerifyEvent::Ended { verdict, reason: text.to_owned() }),
    ]
}

/// Returns how a rollout ended for which `text` was said wherever others say something.
fn rollout(service: &str, verdict: RolloutVerdict, text: &str) -> RolloutReport {
    let is_well = verdict == RolloutVerdict::Healthy;
    let health = if is_well { HealthStatus::Healthy } else { HealthStatus::Degraded };
    RolloutReport {
        environment: "dev".to_owned(),
        service: service.to_owned(),
        application: None,
        image: Some(IMAGE.parse().unwrap()),
        revision: Some("2".repeat(40)),
        verdict,
        reason: text.to_owned(),
        cause: (!is_well).then(|| cause(text)),
        evidence: if is_well { Vec::new() } else { vec![evidence(text)] },
        objects: vec![
            ObjectReport { id: id("", "ConfigMap", "ranking"), health: None },
            ObjectReport {
                id: id("apps", "Deployment", "ranking"),
                health: Some(health.because(text)),
            },
        ],
        pods: vec![PodReport {
            pod: id("", "Pod", "ranking-1"),
            container: "web".to_owned(),
            image: IMAGE.to_owned(),
            image_id: IMAGE.to_owned(),
            ready: is_well,
            restarts: if is_well { 0 } else { 3 },
            proof: Some(if is_well {
                Proof::Digest
            } else {
                Proof::Spec { because: text.to_owned() }
            }),
        }],
        unread: Vec::new(),
        notes: Vec::new(),
        started: at(0),
        duration: Duration::from_secs(72),
        timeline: timeline(verdict, text),
    }
}

fn report() -> VerifyReport {
    let rollouts = vec![
        rollout("web", RolloutVerdict::Healthy, "live and healthy"),
        rollout("ranking", RolloutVerdict::Degraded, "container `web` ends with exit code 3"),
    ];
    VerifyReport { environment: "dev".to_owned(), rollouts }
}

fn hostile() -> VerifyReport {
    let rollouts = vec![rollout(HOSTILE, RolloutVerdict::TimedOut, HOSTILE)];
    VerifyReport { environment: HOSTILE.to_owned(), rollouts }
}

#[test]
fn a_step_summary_says_why_and_what_to_do() {
    insta::assert_snapshot!(report().summary(), @r"
    ### `dev` is degraded

    | | service | verdict | why |
    |---|---|---|---|
    | ✅ | web | healthy | live and healthy |
    | ❌ | ranking | degraded | container `web` ends with exit code 3 |

    #### web

    image `registry.example.com/shop/ranking:2@sha256:2222222222222222222222222222222222222222222222222222222222222222`, commit `2222222222222222222222222222222222222222`, took 1m12s

    | object | health | message |
    |---|---|---|
    | ConfigMap:shop/ranking | | |
    | apps/Deployment:shop/ranking | Healthy | live and healthy |

    <details><summary>What happened when</summary>

    | after | |
    |---|---|
    | 2s | apps/Deployment:shop/ranking: 2 of 2 updated, 1 available |
    | 5s | waiting: 1 of 2 are available |
    | 40s | healthy; watching for 10 s whether it stays so |
    | 1m12s | healthy: live and healthy |

    </details>

    #### ranking

    **Why:** container `web` ends with exit code 3

    **What to do:** Read the log: container `web` ends with exit code 3

    image `registry.example.com/shop/ranking:2@sha256:2222222222222222222222222222222222222222222222222222222222222222`, commit `2222222222222222222222222222222222222222`, took 1m12s

    Pod:shop/ranking-1 (web): Error (3x): exit code 3

    ```text
    connecting
    container `web` ends with exit code 3
    ```

    | object | health | message |
    |---|---|---|
    | apps/Deployment:shop/ranking | Degraded | container `web` ends with exit code 3 |
    | ConfigMap:shop/ranking | | |

    <details><summary>What happened when</summary>

    | after | |
    |---|---|
    | 2s | apps/Deployment:shop/ranking: 2 of 2 updated, 1 available |
    | 5s | waiting: 1 of 2 are available |
    | 40s | container `web` ends with exit code 3 |
    | 1m12s | degraded: container `web` ends with exit code 3 |

    </details>
    ");
}

#[test]
fn what_others_wrote_does_not_become_markdown() {
    let summary = hostile().summary();
    assert!(!summary.contains(['\u{1b}', '\u{0}', '\u{202e}']), "{summary}");
    // The fence is longer than the one in the log, which stands inside as it is.
    let (before, rest) = summary.split_once("\n````text\n").unwrap();
    let (_, after) = rest.split_once("\n````\n").unwrap();
    for text in [before, after] {
        assert!(!text.contains("<script") && !text.contains("]]><"), "{text}");
    }
}

#[test]
fn a_junit_report_has_a_case_for_each_service_and_object() {
    insta::assert_snapshot!(report().junit(), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="deployctl verify" tests="6" skipped="0" failures="2" errors="0" time="72.000">
        <testsuite name="dev" tests="6" skipped="0" errors="0" failures="2" time="72.000" timestamp="2026-01-01T00:00:00Z">
            <testcase name="web" classname="dev" time="72.000"/>
            <testcase name="ConfigMap:shop/ranking" classname="dev.web"/>
            <testcase name="apps/Deployment:shop/ranking" classname="dev.web"/>
            <testcase name="ranking" classname="dev" time="72.000">
                <failure message="container `web` ends with exit code 3" type="crash-loop">container `web` ends with exit code 3

    What to do: Read the log: container `web` ends with exit code 3

    Pod:shop/ranking-1 (web): Error (3x): exit code 3
      connecting
      container `web` ends with exit code 3</failure>
            </testcase>
            <testcase name="ConfigMap:shop/ranking" classname="dev.ranking"/>
            <testcase name="apps/Deployment:shop/ranking" classname="dev.ranking">
                <failure message="Degraded: container `web` ends with exit code 3" type="Degraded"/>
            </testcase>
        </testsuite>
    </testsuites>
    "#);
}

#[test]
fn what_others_wrote_is_valid_in_xml() {
    let xml = hostile().junit();
    let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert_eq!((read.tests, read.failures), (3, 2));
    assert!(!xml.contains(['\u{1b}', '\u{0}', '\u{ffff}']), "{xml}");
    assert!(!xml.contains("<script"), "{xml}");
}

#[test]
fn what_others_wrote_is_no_part_of_the_page() {
    for report in [report(), hostile()] {
        let page = report.html();
        let tags = page.split('<').skip(1);
        let name =
            |tag: &str| tag.trim_start_matches('/').split([' ', '>']).next().map(str::to_owned);
        let names: std::collections::BTreeSet<String> = tags.filter_map(name).collect();
        let known = "!doctype html head meta title style body header h1 p main section h2 h3 div strong \
            ul ol li pre dl dt dd code svg line circle table thead tr th tbody td br span time i nav a footer";
        let unknown: Vec<_> =
            names.iter().filter(|name| !known.split_whitespace().any(|k| k == **name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        assert!(!page.contains(['\u{1b}', '\u{0}', '\u{202e}', '\u{ffff}']), "{page}");
        // Nothing is loaded from anywhere.
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("url("));
    }
}

#[test]
fn programs_see_the_timeline_by_a_schema() {
    let schema = jsonschema::validator_for(&json::v1::rollout_schema()).unwrap();
    for report in [report(), hostile()] {
        let document = report.json();
        assert!(schema.is_valid(&document), "{:?}", schema.validate(&document).err());
    }
    let schema = jsonschema::validator_for(&json::v1::event_schema()).unwrap();
    for moment in &report().rollouts[1].timeline {
        let event = json::v1::event("ranking", moment).unwrap();
        assert!(schema.is_valid(&event), "{event}: {:?}", schema.validate(&event).err());
    }
    let event = json::v1::event("ranking", &report().rollouts[1].timeline[0]).unwrap();
    insta::assert_snapshot!(event, @r#"{"schema":"deployctl.dev/event/v1","service":"ranking","time":"2026-01-01T00:00:02Z","message":"apps/Deployment:shop/ranking: 2 of 2 updated, 1 available","type":"workload","workload":"apps/Deployment:shop/ranking","desired":2,"updated":2,"available":1}"#);
}
