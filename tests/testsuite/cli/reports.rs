//! `verify --replay`, and what it reports: the answer, the events, and `--report`.

use serde_json::Value;

use crate::support::World;

const ASKED: &str = "schema: deployctl.dev/verification/v1\ndeployctl: 0.1.0\nstarted: 2026-01-01T00:00:00Z\n\
    environment: dev\nservice: ranking\nobjects:\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: ranking, namespace: shop}\n  \
    spec: {template: {spec: {containers: [{name: web, image: 'registry.example.com/shop/ranking:2'}]}}}\n\
    withinSync: false\ntimeoutSeconds: 60\nintervalSeconds: 1\nsettleSeconds: 1\nacceptSuspended: false\nacceptOutOfSync: false\nsync: false\nfailFast: true\nregistry: false\n";

const SEEN: &str = "schema: deployctl.dev/snapshot/v1\ntime: 2026-01-01T00:00:01Z\n\
    objects:\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: ranking, namespace: shop, uid: d, generation: 1}\n  \
    spec: {replicas: 1, template: {spec: {containers: [{name: web, image: 'registry.example.com/shop/ranking:2'}]}}}\n  \
    status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1}\n\
    owned:\n- apiVersion: apps/v1\n  kind: ReplicaSet\n  metadata: {name: ranking-1, namespace: shop, uid: s, ownerReferences: [{uid: d, controller: true}]}\n\
    pods:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: ranking-1-x, namespace: shop, uid: p, ownerReferences: [{uid: s, controller: true}]}\n  \
    spec: {containers: [{name: web, image: 'registry.example.com/shop/ranking:2'}]}\n  \
    status: {containerStatuses: [{name: web, ready: false, restartCount: 0, image: x, imageID: '', state: {waiting: {reason: InvalidImageName, message: \"can't <b>parse</b>\"}}}]}\n";

const ENDED: &str = "{\"at\":\"2026-01-01T00:00:02Z\",\"what\":\"ended\"}\n";

/// A world with the recording of a rollout that ends badly.
fn recorded() -> World {
    let world = World::new();
    world.write("rec/ranking/verification.yaml", ASKED);
    world.write("rec/ranking/0001.yaml", SEEN);
    let look = |second: u8| {
        format!(
            "{{\"at\":\"2026-01-01T00:00:{second:02}Z\",\"what\":\"look\",\"version\":1,\"confirms\":false}}\n"
        )
    };
    let looks: String = (1..3).map(look).collect();
    world.write("rec/ranking/journal.jsonl", &format!("{looks}{ENDED}"));
    world
}

#[test]
fn a_recording_is_decided_without_cluster_repository_and_configuration() {
    let world = recorded().with("PATH", "/nowhere");
    let ran = world.run(&["verify", "--replay", "rec"]);
    assert_eq!(ran.code, 4, "{ran:#?}");
    assert!(ran.stdout.starts_with("ranking in dev: degraded: "), "{}", ran.stdout);
    let one = world.run(&["verify", "--replay", "rec/ranking"]);
    assert_eq!((one.code, one.stdout), (ran.code, ran.stdout));
    let none = world.run(&["verify", "--replay", "home"]);
    assert_eq!((none.code, none.stdout.as_str()), (2, ""));
    assert!(none.stderr.contains("there is no recording in `home`"), "{}", none.stderr);
}

#[test]
fn programs_get_events_as_lines_and_the_report_as_the_answer() {
    let world = recorded();
    let ran = world.run(&["verify", "--replay", "rec", "--output", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&report["schema"], &report["verdict"]),
        (&"deployctl.dev/rollout/v1".into(), &"degraded".into())
    );
    let events: Vec<Value> = ran
        .stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (name, documents) in [("rollout", vec![report.clone()]), ("event", events.clone())] {
        let schema: Value = serde_json::from_str(&world.ok(&["schema", name])).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for document in documents {
            assert!(validator.is_valid(&document), "{:?}", validator.validate(&document).err());
        }
    }
    assert_eq!(events.last().unwrap()["type"], "ended");
    // The report tells the same story.
    let told = report["services"][0]["timeline"].as_array().unwrap();
    assert_eq!(told.len(), events.len());
    let quiet = world.run(&["verify", "--replay", "rec", "--output", "json", "-q"]);
    assert_eq!((quiet.stdout, quiet.stderr.as_str()), (ran.stdout, ""));
}

#[test]
fn reports_are_written_whatever_the_verdict_is() {
    let world = recorded();
    let reports = ["junit=r.xml", "markdown=r.md", "html=r.html", "json=r.json"];
    let mut arguments = vec!["verify", "--replay", "rec", "--output", "json"];
    reports.iter().for_each(|report| arguments.extend(["--report", report]));
    let ran = world.run(&arguments);
    assert_eq!(ran.code, 4, "{ran:#?}");
    assert_eq!(world.read("r.json"), ran.stdout);
    assert!(world.read("r.xml").contains("<failure message="));
    assert!(world.read("r.md").contains("| ❌ | ranking | degraded |"));
    let page = world.read("r.html");
    assert!(page.contains("can&#39;t &lt;b&gt;parse&lt;/b&gt;"), "{page}");
    // The step summary is the same Markdown.
    let summary = world.path().join("summary.md");
    let world = world.with("GITHUB_ACTIONS", "true").with("GITHUB_STEP_SUMMARY", summary.as_str());
    world.run(&["verify", "--replay", "rec"]);
    assert_eq!(world.read("summary.md"), world.read("r.md"));
}

#[test]
fn a_report_that_fails_in_the_end_costs_neither_the_verdict_nor_its_exit_code() {
    let ran = recorded().run(&["verify", "--replay", "rec", "--report", "html=/dev/full"]);
    assert_eq!(ran.code, 4, "{ran:#?}");
    assert!(ran.stdout.starts_with("ranking in dev: degraded: "), "{}", ran.stdout);
    assert!(ran.stderr.contains("can't write the report `/dev/full`: "), "{}", ran.stderr);
}

#[test]
fn a_report_that_can_not_be_written_is_told_before_the_wait() {
    let world = recorded();
    for (report, why) in [
        (
            "html=no/r.html",
            "can't write the report `no/r.html`: No such file or directory (os error 2)\n",
        ),
        ("html=rec", "can't write the report `rec`: is a directory"),
        ("pdf=r.pdf", "the formats are junit, markdown, html and json"),
        ("r.html", "expected FORMAT=FILE"),
    ] {
        let ran = world.run(&["verify", "--replay", "rec", "--report", report]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{report}");
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
    }
    let twice = ["verify", "--replay", "rec", "--report", "html=r", "--report", "junit=r"];
    assert_eq!(world.run(&twice).code, 2);
    assert!(!world.path().join("r").exists());
}

#[test]
fn reports_say_so_where_there_is_no_verdict() {
    let world = World::new();
    let kubeconfig = world.write("kubeconfig", "clusters: []\n");
    let world = world.with("KUBECONFIG", kubeconfig.as_str());
    let reports = ["junit=r.xml", "markdown=r.md", "html=r.html", "json=r.json"];
    let mut arguments = vec!["verify", "--application", "shop", "--context", "prod"];
    reports.iter().for_each(|report| arguments.extend(["--report", report]));
    let ran = world.run(&arguments);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:#?}");
    let why = "there is no context `prod`; the kubeconfig has no contexts";
    assert!(ran.stderr.contains(why), "{}", ran.stderr);
    let junit = world.read("r.xml");
    assert!(junit.contains("errors=\"1\"") && junit.contains("<error message="), "{junit}");
    assert!(junit.contains(why) && junit.contains("What to do: set KUBECONFIG"), "{junit}");
    assert!(world.read("r.md").contains(&format!("**Why:** no cluster to talk to: {why}")));
    let page = world.read("r.html");
    assert!(page.contains("shop: no verdict") && page.contains("<code>prod</code>"), "{page}");
    let document: Value = serde_json::from_str(&world.read("r.json")).unwrap();
    let schema: Value = serde_json::from_str(&world.ok(&["schema", "error"])).unwrap();
    assert!(jsonschema::is_valid(&schema, &document), "{document:#}");
    assert_eq!((&document["subject"], &document["exitCode"]), (&"shop".into(), &2.into()));
}

#[test]
fn a_recording_that_can_not_be_written_is_told_before_the_cluster_is_asked() {
    let world = recorded();
    world.write("file", "");
    for (record, why) in [
        ("/proc/x", "recording `/proc/x/shop`: it can't be made or written: "),
        ("file", "recording `file/shop`: it can't be made or written: "),
        ("rec", "recording `rec/ranking`: there is a recording already; name another folder"),
    ] {
        let name = if record == "rec" { "ranking" } else { "shop" };
        let ran = world.run(&["verify", "--application", name, "--record", record]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{record}: {ran:#?}");
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
    }
    let ran = world.run(&["verify", "--application", "shop", "--record", "new/one"]);
    assert!(ran.stderr.contains("no cluster to talk to"), "{}", ran.stderr);
    assert!(!world.path().join("new").exists());
}

#[test]
fn a_recording_that_is_not_whole_is_told_by_the_file_and_what_to_do() {
    let replay = |change: &dyn Fn(&World)| {
        let world = recorded();
        change(&world);
        let ran = world.run(&["verify", "--replay", "rec"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:#?}");
        ran.stderr
    };
    let remove = |world: &World, name: &str| {
        std::fs::remove_file(world.path().join("rec/ranking").join(name)).unwrap();
    };
    let copy = "so the recording is not whole: copy all of its folder anew, or record again";
    let said = replay(&|world| remove(world, "0001.yaml"));
    assert!(said.contains(&format!("`rec/ranking/0001.yaml`: it is not there, {copy}")), "{said}");
    let said = replay(&|world| remove(world, "journal.jsonl"));
    assert!(said.contains(&format!("journal.jsonl`: it is not there, {copy}")), "{said}");
    let said = replay(&|world| {
        world.write("rec/ranking/journal.jsonl", "{}\n{}\n");
    });
    assert!(said.contains(&format!("it is damaged, {copy}: line 1: ")), "{said}");
    let said = replay(&|world| {
        world.write("rec/ranking/journal.jsonl", "");
    });
    assert!(said.contains("was broken off before the cluster had answered"), "{said}");
    let said = replay(&|world| {
        world.write("rec/ranking/verification.yaml", "schema: x\n");
    });
    assert!(said.contains("recording `rec/ranking/verification.yaml`: "), "{said}");
}

#[test]
fn a_recording_that_was_broken_off_comes_to_no_verdict() {
    let world = recorded();
    let whole = world.read("rec/ranking/journal.jsonl");
    let unreachable = "{\"at\":\"2026-01-01T00:00:02Z\",\"what\":\"failed\",\"error\":{\"kind\":\"unreachable\",\
        \"server\":\"https://192.0.2.1\",\"reason\":\"no\"},\"confirms\":false}\n";
    let first = whole.split_inclusive('\n').next().unwrap();
    let cut = &whole[..whole.len() - 3];
    for journal in [first, whole.trim_end_matches(ENDED), cut, &format!("{first}{unreachable}")] {
        world.write("rec/ranking/journal.jsonl", journal);
        let ran = world.run(&["verify", "--replay", "rec", "--report", "json=r.json"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{journal}: {ran:#?}");
        let why = "recording `rec/ranking/journal.jsonl`: the recording ends before the verdict: ";
        assert!(ran.stderr.contains(why) && ran.stderr.contains("or record again"), "{ran:#?}");
        assert!(!world.read("r.json").contains("\"verdict\""), "{}", world.read("r.json"));
    }
}

#[test]
fn a_failure_that_was_recorded_is_the_same_failure_again() {
    let world = recorded();
    std::fs::remove_file(world.path().join("rec/ranking/0001.yaml")).unwrap();
    let failed = "{\"at\":\"2026-01-01T00:00:01Z\",\"what\":\"failed\",\"error\":{\"kind\":\"denied\",\
        \"verb\":\"list pods in `shop`\",\"reason\":\"no\"},\"confirms\":false}\n";
    world.write("rec/ranking/journal.jsonl", failed);
    let ran = world.run(&["verify", "--replay", "rec"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:#?}");
    let expected = "error: the cluster refuses to list pods in `shop`: no\n";
    assert!(ran.stderr.starts_with(expected), "{}", ran.stderr);
}
