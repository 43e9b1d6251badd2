//! `deployctl tags`: the answer, the step's outputs, what it warns of and what it refuses.

use crate::support::World;

fn world(reference: &str) -> World {
    World::new()
        .with("GITHUB_EVENT_NAME", "push")
        .with("GITHUB_REF", reference)
        .with("GITHUB_SHA", "860c1904a1ce19322e91ac35af1ab07466440c37")
        .with("SOURCE_DATE_EPOCH", "1578616200")
}

#[test]
fn people_get_a_tag_a_line_and_what_to_know_of_it() {
    let world = world("refs/tags/v1.2.0-rc.1");
    let ran = world.run(&[
        "tags",
        "--images",
        "ghcr.io/Acme/Web",
        "--tag",
        "type=ref,event=tag\ntype=sha",
    ]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(
        ran.stdout,
        "ghcr.io/acme/web:v1.2.0-rc.1\nghcr.io/acme/web:sha-860c190\nghcr.io/acme/web:latest\n"
    );
    for said in [
        "warning: `v1.2.0-rc.1` is a prerelease, and becomes `latest`",
        "warning: type=sha gives 7 characters",
        "warning: the labels `created` and `revision` change with every commit",
    ] {
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    assert!(!ran.stderr.contains("the time of this run"), "{}", ran.stderr);
}

#[test]
fn a_clock_that_runs_and_a_name_that_others_have_are_told() {
    let world = world("refs/heads/feature/a").with("SOURCE_DATE_EPOCH", "");
    let ran = world.run(&["tags", "--tag", "type=ref,event=branch"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "feature-a\n"), "{ran:#?}");
    assert!(ran.stderr.contains("`created` is the time of this run"), "{}", ran.stderr);
    assert!(ran.stderr.contains("`feature/a` becomes the tag `feature-a`"), "{}", ran.stderr);
}

#[test]
fn a_step_gets_the_outputs_of_the_action() {
    let world = world("refs/heads/main").with("GITHUB_ACTIONS", "true");
    let output = world.path().join("output");
    let world = world.with("GITHUB_OUTPUT", output.as_str());
    world.write("repo.json", r#"{"name": "web", "default_branch": "main"}"#);
    world.ok(&[
        "tags",
        "--images",
        "example.com/web",
        "--tag",
        "type=edge",
        "--repository",
        "repo.json",
        "--label",
        "org.opencontainers.image.created=",
        "--label",
        "a=b",
    ]);
    let text = std::fs::read_to_string(output).unwrap();
    for line in ["edge", "example.com/web:edge", "a=b", "org.opencontainers.image.title=web"] {
        assert!(text.lines().any(|found| found == line), "{text}");
    }
    let names: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once("<<")?.0)).collect();
    assert_eq!(names, ["version", "tags", "tag-names", "labels", "annotations", "json"]);
    assert!(text.contains("manifest:org.opencontainers.image.title=web"), "{text}");
    assert!(text.contains(r#"{"tags":["example.com/web:edge"],"tag-names":["edge"],"labels":{"#));
}

#[test]
fn a_line_that_can_not_be_read_is_named() {
    let world = world("refs/tags/v1");
    for (arguments, said) in [
        (["--tag", "# mine\n\ntype=foo"], "tags, line 3, `type=foo`: no tag type `foo`"),
        (["--tag", "type=ref"], "tags, line 1, `type=ref`: type=ref needs `event=`"),
        (["--tag", "type=raw,value={{tag"], "`{{` is not closed by `}}`"),
        (["--tag", "x,enable={{tag}}"], "`enable=v1`; expected true or false"),
        (["--tag", "type=match,pattern=(?=v)"], "look-around in it, which is not supported"),
        // What stands before `=` is a key, so this is no value.
        (["--tag", "{{date 'YYYY' tz='UTC'}}"], "type=raw needs `value=`"),
        (["--tag", "value={{date 'YYYY' tz='Mars'}}"], "there is no time zone `Mars`"),
        (["--flavor", "latest"], "flavor, line 1, `latest`: `latest` is not `key=value`"),
        (["--images", "a,b=c"], "images, line 1, `a,b=c`: no key `b`; expected name or enable"),
        (["--label", "a={{x 'y'}}"], "labels, line 1, `a={{x 'y'}}`: there is no `x`"),
    ] {
        let ran = world.run(&["tags", arguments[0], arguments[1]]);
        assert!(ran.stderr.contains(said), "{said}: {ran:#?}");
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    }
}
