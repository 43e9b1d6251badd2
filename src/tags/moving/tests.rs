use super::*;

fn place(commit: char, second: i64, branch: &str, version: Option<&str>) -> Place {
    let source = SourceFacts {
        commit: Some(commit.to_string().repeat(40)),
        committed: Timestamp::from_second(second).ok(),
        branch: Some(branch.to_owned()),
        tags: version.map(str::to_owned).into_iter().collect(),
        ..SourceFacts::default()
    };
    Place::of(&source, "").unwrap()
}

fn tags(texts: &[&str]) -> Vec<Tag> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn course(tag: &str, place: &Place, there: &[&str]) -> Result<Course, String> {
    let tag: MovingTag = tag.parse().unwrap();
    tag.course(place, &tags(there)).map_err(|stay| stay.to_string())
}

#[test]
fn a_tag_follows_what_its_text_names() {
    let release = place('a', 7, "main", Some("v1.4.2"));
    let name = |tag: &str| course(tag, &release, &[]).unwrap().tag.to_string();
    for (tag, expected) in [
        ("{major}", "1"),
        ("v{major}.{minor}", "v1.4"),
        ("{branch}", "main"),
        ("latest", "latest"),
        ("edge@main", "edge"),
    ] {
        assert_eq!(name(tag), expected);
        assert_eq!(tag.parse::<MovingTag>().unwrap().to_string(), tag);
    }
    let feature = place('b', 7, "feature/x", None);
    for (tag, said) in [
        ("{major}", "its commit is no release"),
        ("latest", "it follows the default branch"),
        ("edge@main", "it follows the branch `main`"),
    ] {
        assert_eq!(course(tag, &feature, &[]).unwrap_err(), said);
    }
    let main = place('b', 7, "main", None);
    assert!(course("latest", &main, &["v1-x", "abc"]).is_ok());
    let said = course("latest", &main, &["1.4.2"]).unwrap_err();
    assert_eq!(said, "it follows releases, and its commit is none");
    let candidate = place('b', 7, "main", Some("v2.0.0-rc.1"));
    assert_eq!(course("latest", &candidate, &[]).unwrap_err(), "it does not follow prereleases");
    for bad in ["", "-a", "{minor}", "{branch}-{major}", "{commit}", "a@", "a b"] {
        assert!(bad.parse::<MovingTag>().is_err(), "{bad}");
    }
}

#[test]
fn a_version_tag_stays_with_the_highest_release() {
    let old = place('a', 7, "main", Some("1.4.9"));
    let there = ["1.4.10", "v1.5.0", "2.0.0", "1.4.11-rc.1", "1.4", "latest"];
    let rivals = |tag: &str| -> Vec<String> {
        let course = course(tag, &old, &[]).unwrap();
        let rivals = course.rivals(&course.mark(&old), &tags(&there));
        rivals.iter().map(|mark| mark.tag.to_string()).collect()
    };
    assert_eq!(rivals("{major}.{minor}"), ["1.4.10"]);
    assert_eq!(rivals("{major}"), ["v1.5.0", "1.4.10"]);
    assert_eq!(rivals("latest"), ["2.0.0", "v1.5.0", "1.4.10"]);
}

#[test]
fn a_mark_says_branch_time_and_commit() {
    let here = place('a', 1_578_616_200, "feature/x", None);
    let course = course("{branch}", &here, &[]).unwrap();
    let mark = course.mark(&here);
    assert_eq!(mark.tag.as_str(), format!("{}.1578616200.{}", course.tag, "a".repeat(40)));
    let other = |second: i64, id: char| {
        format!("{}.{second:010}.{}", course.tag, id.to_string().repeat(40))
    };
    let there = [
        other(1_578_616_199, 'b'),
        other(1_578_616_201, 'c'),
        // More than a day before.
        other(1_578_500_000, 'd'),
        format!("main.1578616300.{}", "e".repeat(40)),
        format!("{}.1578616300.abc", course.tag),
        mark.tag.to_string(),
    ];
    let there: Vec<&str> = there.iter().map(String::as_str).collect();
    let rivals = course.rivals(&mark, &tags(&there));
    assert_eq!(
        rivals.iter().map(Mark::to_string).collect::<Vec<_>>(),
        ["commit cccccccccccc", "commit bbbbbbbbbbbb"]
    );
    let [later, earlier] = rivals.as_slice() else { panic!() };
    let stands = |one: &Mark, relation, is_shallow| one.standing(&mark, relation, is_shallow);
    for is_shallow in [false, true] {
        assert_eq!(stands(earlier, Relation::Newer, is_shallow), Standing::Ahead);
        assert_eq!(stands(later, Relation::Older, is_shallow), Standing::Behind);
        assert_eq!(stands(later, Relation::Diverged, is_shallow), Standing::Beside);
        assert_eq!(stands(later, Relation::Unknown, is_shallow), Standing::Ahead);
        assert_eq!(stands(earlier, Relation::Unknown, is_shallow), Standing::Behind);
        // Whichever id is the greater one.
        for id in ['0', 'f'] {
            let place = place(id, 1_578_616_200, "feature/x", None);
            let twin = course.mark(&place);
            let expected = if is_shallow { Standing::Unclear } else { Standing::Ahead };
            assert_eq!(stands(&twin, Relation::Unknown, is_shallow), expected);
            assert_eq!(stands(&twin, Relation::Older, is_shallow), Standing::Behind);
        }
    }
}
