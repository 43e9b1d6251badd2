use proptest::prelude::*;

use super::*;

fn set(path: &str, text: &str) -> Change {
    Change::Set { path: path.parse().unwrap(), text: text.to_owned(), after: None }
}

fn append(path: &str, text: &str) -> Change {
    Change::Append { path: path.parse().unwrap(), text: text.to_owned() }
}

#[track_caller]
fn check(before: &str, change: Change, after: &str) {
    let edited = edit(before.as_bytes(), std::slice::from_ref(&change)).unwrap();
    assert_eq!(String::from_utf8(edited).unwrap(), after);
    if matches!(change, Change::Set { .. }) {
        assert_eq!(edit(after.as_bytes(), &[change]).unwrap(), after.as_bytes());
    }
}

#[test]
fn a_text_is_replaced_in_its_own_quotes() {
    check("a:\n  b: x # c\n", set("a.b", "w"), "a:\n  b: w # c\n");
    check("a: {b: 'x'}", set("a.b", "1"), "a: {b: '1'}");
    check("a: [x, {b: y}]", set("a[1].b", "1e3"), "a: [x, {b: \"1e3\"}]");
    check("\u{feff}a:\r\n- \"x\"", set("a.0", "z"), "\u{feff}a:\r\n- \"z\"");
    check("a: |-\n  x\nb: 1\n", set("a", "w"), "a: w\nb: 1\n");
    check("a: 1\n", set("a", "1"), "a: \"1\"\n");
    check("a:\n-\n- x\n", set("a[0]", "w"), "a:\n- w\n- x\n");
}

#[test]
fn missing_keys_are_written_as_the_document_is() {
    check("a: 1\n\n# end\n", set("b.c", "x"), "a: 1\n\n# end\nb:\n  c: x\n");
    check("a:\n   b: 1\nc: 2", set("c2.d", "x"), "a:\n   b: 1\nc: 2\nc2:\n   d: x");
    check("- a: 1\n  b: 2\n- c\n", set("[0].x", "w"), "- a: 1\n  b: 2\n  x: w\n- c\n");
    check("a:\n  b: |\n    t\nc: 1\n", set("a.x", "w"), "a:\n  b: |\n    t\n  x: w\nc: 1\n");
    check(
        "{\"a\": {\"b\": \"c\"}}",
        set("a.x.y", "z"),
        "{\"a\": {\"b\": \"c\", \"x\": {\"y\": \"z\"}}}",
    );
    check("a: {b: {}}\n", set("a.b.c", "x"), "a: {b: {c: x}}\n");
    check("{}", set("a.b", "x"), "{a: {b: x}}");
    check("---\na: 1\n...\n", set("b", "x"), "---\na: 1\nb: x\n...\n");
    check("a: 1\n", set("yes", "x"), "a: 1\n\"yes\": x\n");
    let beside = Change::Set {
        path: "a.d".parse().unwrap(),
        text: "x".to_owned(),
        after: Some("t".to_owned()),
    };
    check("a:\n  t: 'y' # c\n  u: 1\n", beside, "a:\n  t: 'y' # c\n  d: 'x'\n  u: 1\n");
}

#[test]
fn an_item_is_written_behind_the_others() {
    check("a:\n- x # c\n# end\n", append("a", "w"), "a:\n- x # c\n- w\n# end\n");
    check("a: [x]\n", append("a", "y, z"), "a: [x, \"y, z\"]\n");
    check("a: []\nb:\n  - c\n", append("a", "w"), "a:\n  - w\nb:\n  - c\n");
    check("", append("a.b", "w"), "a:\n  b:\n  - w\n");
    check("a:\n  -   'x'\nb: 1", append("a", "w"), "a:\n  -   'x'\n  -   'w'\nb: 1");
}

#[test]
fn what_is_uncertain_is_refused() {
    let refused =
        |text: &str, path: &str| edit(text.as_bytes(), &[set(path, "z")]).unwrap_err().to_string();
    assert_eq!(refused("a: [1]\n", "a[1]"), "line 1: no item `[1]` in this list of 1");
    assert_eq!(refused("a: {b: 1}\n", "a"), "line 1: expected one text here");
    assert_eq!(refused("a: !x y\n", "a"), "line 1: a tag is in the way");
    assert_eq!(refused("a:\n", "a[0]"), "line 1: expected a list here");
    assert_eq!(refused("a: 1\n", "b[0]"), "line 1: a list that the path leads into is not there");
    assert_eq!(edit(b"a: \xff", &[]).unwrap_err().to_string(), "line 1: this is not UTF-8");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics_and_holds_still(
        text in "[-a-c:#&*!|>'\"{}\\[\\], \n\r\t?]{0,50}|((a|b|- a|  b|- ): ?(x|'y'|\\{\\}|\\[\\]|\\|)?\n){0,6}",
        path in "(a|b)(\\.(a|b)|\\[0\\]){0,2}",
    ) {
        for change in [set(&path, "1e3"), append(&path, "x y")] {
            let Ok(after) = edit(text.as_bytes(), std::slice::from_ref(&change)) else { continue };
            let document = read_bytes(&after).unwrap();
            let node = document.get(&path.parse().unwrap()).unwrap();
            match change {
                Change::Set { .. } => {
                    prop_assert_eq!(node.as_str(), Some("1e3"));
                    prop_assert_eq!(&edit(&after, &[change]).unwrap(), &after);
                }
                Change::Append { .. } => {
                    prop_assert_eq!(node.items().last().unwrap().as_str(), Some("x y"));
                }
            }
        }
    }
}
