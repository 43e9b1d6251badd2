use proptest::prelude::*;

use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn tag(name: &str, tag: &str) -> ImageChange {
    ImageChange::Fields {
        name: name.to_owned(),
        new_name: Setting::Keep,
        new_tag: Setting::Set(tag.to_owned()),
        digest: Setting::Keep,
    }
}

fn clear(name: &str) -> ImageChange {
    ImageChange::Fields {
        name: name.to_owned(),
        new_name: Setting::Clear,
        new_tag: Setting::Clear,
        digest: Setting::Clear,
    }
}

fn pin(name: &str, image: &str) -> ImageChange {
    ImageChange::pin(name, format!("{image}@{DIGEST}").parse().unwrap())
}

#[track_caller]
fn check(before: &str, change: ImageChange, after: &str) {
    let after = after.replace("DIGEST", DIGEST);
    let edit = set_images(before.as_bytes(), std::slice::from_ref(&change)).unwrap();
    assert_eq!(String::from_utf8(edit.bytes).unwrap(), after);
    assert_eq!(edit.changed, before != after);
    let again = set_images(after.as_bytes(), &[change]).unwrap();
    assert!(!again.changed, "the second time changes nothing");
}

/// Fails unless setting the tag of `a` to `v1` makes the second text of the first, case by case.
fn check_tag(cases: &[(&str, &str)]) {
    for (before, after) in cases {
        check(before, tag("a", "v1"), after);
    }
}

#[track_caller]
fn refuses(before: &str, change: ImageChange, message: &str) {
    let error = set_images(before.as_bytes(), &[change]).unwrap_err();
    assert_eq!(error.to_string(), message);
}

#[test]
fn keeps_the_comment_beside_the_tag() {
    check(
        "images:\n- name: web # ours\n  newTag: 1.4.0 # pinned\n",
        tag("web", "1.5.0"),
        "images:\n- name: web # ours\n  newTag: 1.5.0 # pinned\n",
    );
}

#[test]
fn keeps_quotes_and_quotes_what_could_be_a_number() {
    check("images: [{name: a, newTag: 'x'}]", tag("a", "1"), "images: [{name: a, newTag: '1'}]");
    check(
        "images:\n- name: a\n  newTag: x\n",
        tag("a", "12e3"),
        "images:\n- name: a\n  newTag: \"12e3\"\n",
    );
    check(
        "images:\n- name: a\n  newTag: \"1\"\n",
        tag("a", "v1"),
        "images:\n- name: a\n  newTag: \"v1\"\n",
    );
    check(
        "images:\n- name: a\n  newTag: 1234\n",
        tag("a", "v1"),
        "images:\n- name: a\n  newTag: v1\n",
    );
    check(
        "images:\n- name: a\n  newTag: !!str 12\n",
        tag("a", "v1"),
        "images:\n- name: a\n  newTag: !!str v1\n",
    );
}

#[test]
fn a_pinned_image_is_tag_and_digest() {
    check(
        "images:\n  - name: r.example.com/web\n    newTag: a\n\n# end\n",
        pin("r.example.com/web", "r.example.com/web:b"),
        "images:\n  - name: r.example.com/web\n    newTag: b\n    digest: DIGEST\n\n# end\n",
    );
    check(
        "images:\n- newTag: a\n  newName: r.example.com/web\n  name: web\nx: y\n",
        pin("web", "r.example.com/web"),
        "images:\n- digest: DIGEST\n  newName: r.example.com/web\n  name: web\nx: y\n",
    );
}

#[test]
fn a_new_name_is_written_only_where_the_name_is_another() {
    check(
        "images:\n- name: nginx\n",
        pin("nginx", "nginx:1"),
        "images:\n- name: nginx\n  newTag: \"1\"\n  digest: DIGEST\n",
    );
    check(
        "images:\n- name: web\n",
        pin("web", "r.example.com/web:v1"),
        "images:\n- name: web\n  newName: r.example.com/web\n  newTag: v1\n  digest: DIGEST\n",
    );
    // The resources call it `placeholder`, the entry says so.
    check(
        "images:\n- name: placeholder\n  newName: r.example.com/web\n",
        pin("r.example.com/web", "r.example.com/web:v1"),
        "images:\n- name: placeholder\n  newName: r.example.com/web\n  newTag: v1\n  digest: DIGEST\n",
    );
}

#[test]
fn two_entries_with_the_same_new_name_are_told_apart_by_name_only() {
    let text = "images:\n- name: a\n  newName: r.example.com/web\n- name: b\n  newName: r.example.com/web\n";
    refuses(
        text,
        pin("web", "r.example.com/web:v1"),
        "line 4: `a` and `b` are both renamed to `r.example.com/web`",
    );
    assert!(set_images(text.as_bytes(), &[pin("b", "r.example.com/web:v1")]).unwrap().changed);
}

#[test]
fn fields_go_with_their_lines() {
    check(
        "images:\n- name: a # one\n  newTag: x # two\n  # three\n  digest: y\n- name: b\n",
        clear("a"),
        "images:\n- name: a # one\n  # three\n- name: b\n",
    );
    check("images:\n- newTag: x\n  name: a\n", clear("a"), "images:\n- name: a\n");
    check(
        "images:\n- newTag: x # t\n  # about the name\n  name: a\n",
        clear("a"),
        "images:\n-\n  # about the name\n  name: a\n",
    );
    check("images:\n- newTag: |-\n    x\n  name: a\n", clear("a"), "images:\n- name: a\n");
    check(
        "images:\n- newTag: |-\n    x\n  # c\n  name: a\n",
        clear("a"),
        "images:\n-\n  # c\n  name: a\n",
    );
    check("images:\n- name: a\n  newTag: x", clear("a"), "images:\n- name: a");
    check(
        "images: [{newTag: x, name: a, digest: y, other: z}]\n",
        clear("a"),
        "images: [{name: a, other: z}]\n",
    );
    check("images: [{name: a, newTag: x, }]\n", clear("a"), "images: [{name: a, }]\n");
}

#[test]
fn an_entry_is_added_as_the_others_are_written() {
    check(
        "images:\n- name: a\n  newTag: x # c\n# end\n",
        tag("b", "v1"),
        "images:\n- name: a\n  newTag: x # c\n- name: b\n  newTag: v1\n# end\n",
    );
    check(
        "images:\r\n  -   name: \"a\"\r\n      newTag: \"x\"\r\nz: 1",
        tag("b", "v1"),
        "images:\r\n  -   name: \"a\"\r\n      newTag: \"x\"\r\n  -   name: \"b\"\r\n      newTag: \"v1\"\r\nz: 1",
    );
    check(
        "images:\n- {name: a, newTag: x}",
        tag("b", "v1"),
        "images:\n- {name: a, newTag: x}\n- {name: b, newTag: v1}",
    );
    check(
        "images: [{name: a}]\n",
        tag("b", "1,2"),
        "images: [{name: a}, {name: b, newTag: \"1,2\"}]\n",
    );
    check(
        "images:\n- name: a\n\n- name: b\n\nz: 1\n",
        tag("c", "v1"),
        "images:\n- name: a\n\n- name: b\n\n- name: c\n  newTag: v1\n\nz: 1\n",
    );
    check(
        "images:\n- name: a\n  else:\n",
        tag("b", "v1"),
        "images:\n- name: a\n  else:\n- name: b\n  newTag: v1\n",
    );
    check(
        "images:\n- # first\n  name: a\n",
        tag("b", "v1"),
        "images:\n- # first\n  name: a\n- name: b\n  newTag: v1\n",
    );
    check(
        "{\n  \"images\": [\n    {\n      \"name\": \"a\",\n      \"newTag\": \"x\"\n    }\n  ]\n}\n",
        pin("a", "a:v1"),
        "{\n  \"images\": [\n    {\n      \"name\": \"a\",\n      \"newTag\": \"v1\",\n      \"digest\": \"DIGEST\"\n    }\n  ]\n}\n",
    );
    check(
        "{\n  \"images\": [\n    {\"name\": \"a\"}\n  ]\n}\n",
        tag("b", "v1"),
        "{\n  \"images\": [\n    {\"name\": \"a\"},\n    {\"name\": \"b\", \"newTag\": \"v1\"}\n  ]\n}\n",
    );
}

#[test]
fn an_empty_list_is_filled() {
    check_tag(&[
        ("images: [] # none\nz: 1\n", "images: # none\n- name: a\n  newTag: v1\nz: 1\n"),
        (
            "resources:\n  - x\nimages:\nz: 1\n",
            "resources:\n  - x\nimages:\n  - name: a\n    newTag: v1\nz: 1\n",
        ),
        ("images: ~", "images:\n- name: a\n  newTag: v1"),
        ("{images:}", "{images: [{name: a, newTag: v1}]}"),
        ("{\"images\": []}", "{\"images\": [{\"name\": \"a\", \"newTag\": \"v1\"}]}"),
    ]);
}

#[test]
fn images_is_created_at_the_end() {
    check_tag(&[
        ("resources:\n- x\n", "resources:\n- x\nimages:\n- name: a\n  newTag: v1\n"),
        ("resources:\n  - x", "resources:\n  - x\nimages:\n  - name: a\n    newTag: v1"),
        ("a: 1\n\nb: 2\n# end\n\n", "a: 1\n\nb: 2\n# end\n\nimages:\n- name: a\n  newTag: v1\n\n"),
        ("---\na: 1\n...\n", "---\na: 1\nimages:\n- name: a\n  newTag: v1\n...\n"),
        ("a: 1\n---\n", "a: 1\nimages:\n- name: a\n  newTag: v1\n---\n"),
        ("", "images:\n- name: a\n  newTag: v1\n"),
        ("\u{feff}# c\r\n", "\u{feff}# c\r\nimages:\r\n- name: a\r\n  newTag: v1\r\n"),
        ("\u{feff}a: 1\n", "\u{feff}a: 1\nimages:\n- name: a\n  newTag: v1\n"),
        ("  a: 1\n  b:\n  - x\n", "  a: 1\n  b:\n  - x\n  images:\n  - name: a\n    newTag: v1\n"),
        ("{a: 1}\n", "{a: 1, images: [{name: a, newTag: v1}]}\n"),
        ("{}\n", "{images: [{name: a, newTag: v1}]}\n"),
    ]);
}

#[test]
fn a_block_text_at_the_end_stays_what_it_is() {
    check_tag(&[
        ("p: |-\n  # x\n", "p: |-\n  # x\nimages:\n- name: a\n  newTag: v1\n"),
        ("p: |+\n  x\n\n\n", "p: |+\n  x\n\n\nimages:\n- name: a\n  newTag: v1\n"),
        ("a: 1\np: |\n  x", "a: 1\nimages:\n- name: a\n  newTag: v1\np: |\n  x"),
        ("p: |-\n  x", "p: |-\n  x\nimages:\n- name: a\n  newTag: v1"),
    ]);
}

#[test]
fn a_left_out_or_block_value_is_replaced() {
    check_tag(&[
        ("images:\n- name: a\n  newTag: # none\n", "images:\n- name: a\n  newTag: v1 # none\n"),
        ("images:\n- name: a\n  newTag: null\n", "images:\n- name: a\n  newTag: v1\n"),
        (
            "images:\n- name: a\n  newTag: |-\n    x\n- name: b\n",
            "images:\n- name: a\n  newTag: v1\n- name: b\n",
        ),
        ("images: [{name: a, newTag: }]\n", "images: [{name: a, newTag: v1 }]\n"),
    ]);
}

#[test]
fn keys_are_found_in_any_case() {
    check(
        "Images:\n- Name: a\n  NewTag: x\n",
        tag("a", "v1"),
        "Images:\n- Name: a\n  NewTag: v1\n",
    );
}

#[test]
fn anchors_elsewhere_are_no_obstacle() {
    check(
        "x: &x [1]\ny: *x\nimages:\n- name: a\n  newTag: x\n",
        tag("a", "v1"),
        "x: &x [1]\ny: *x\nimages:\n- name: a\n  newTag: v1\n",
    );
}

#[test]
fn what_is_uncertain_is_refused() {
    for (text, message) in [
        (
            "images:\n- name: a\n- name: a\n",
            "line 3: image `a` is on line 2 already; keep one of the entries",
        ),
        ("images:\n- name: a\n  newTag: x\n  newTag: y\n", "line 4: this key is there twice"),
        ("images:\n- name: a\n  newTag: &t x\n", "line 3: an anchor is in the way"),
        ("x: &t y\nimages:\n- name: a\n  newTag: *t\n", "line 4: an alias is in the way"),
        (
            "x: &t {newTag: y}\nimages:\n- <<: *t\n  name: a\n",
            "line 3: a merge key (`<<`) is in the way",
        ),
        ("x: &t []\nimages: *t\n", "line 2: `images` is an alias"),
        ("images: &t\n- name: b\n", "line 1: an anchor or a tag on `images` is in the way"),
        ("x: &t {}\n<<: *t\n", "line 2: a merge key (`<<`) may bring images of its own"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: a second document begins here; expected one"),
        ("images: []\nimages: []\n", "line 2: `images` is there twice"),
        (
            "imageTags:\n- name: a\n",
            "line 1: `imageTags` is the old name of `images`; rename it first",
        ),
        ("images: x\n", "line 1: expected a list under `images`"),
        ("images:\n- name: a\n  newTag: !x y\n", "line 3: a tag is in the way"),
    ] {
        refuses(text, tag("a", "v1"), message);
    }
    assert!(matches!(
        set_images(b"a: \xff", &[tag("a", "v1")]),
        Err(EditError::Read(KustomizationError::NotUtf8 { line: 1 }))
    ));
}

#[test]
fn several_changes_are_one_edit() {
    let edit =
        set_images(b"images:\n- name: b\n", &[tag("a", "v1"), tag("b", "v2"), tag("a", "v3")])
            .unwrap();
    let expected = "images:\n- name: b\n  newTag: v2\n- name: a\n  newTag: v3\n";
    assert_eq!(String::from_utf8(edit.bytes).unwrap(), expected);
    assert_eq!(edit.images.len(), 2);
}

#[test]
fn many_changes_of_a_long_file_come_out_as_one_by_one() {
    let entry = |i: usize| match i % 4 {
        0 => format!("- name: n{i}\n  newTag: 'a' # {i}\n\n"),
        1 => format!("- {{name: n{i}, digest: x}}\n"),
        2 => format!("- newTag: a\n  name: n{i}\n"),
        _ => format!("- name: n{i}\n  newTag: |-\n    a\n"),
    };
    for before in [String::new(), "images: [] # none\n".to_owned()] {
        let before = match before.is_empty() {
            true => format!("# top\nimages:\n{}# end\n", (0..40).map(entry).collect::<String>()),
            false => before,
        };
        let changes: Vec<_> = (0..60)
            .flat_map(|i| {
                let name = format!("n{i}");
                match i % 3 {
                    0 => vec![tag(&name, "b")],
                    1 => vec![pin(&name, &format!("r.example.com/{name}:c"))],
                    _ => vec![clear(&name), tag(&name, "1")],
                }
            })
            .collect();
        let together = set_images(before.as_bytes(), &changes).unwrap();
        let mut one_by_one = before.clone().into_bytes();
        for i in 0..60 {
            let name = format!("n{i}");
            let of_it: Vec<_> =
                changes.iter().filter(|change| is_of(change, &name)).cloned().collect();
            one_by_one = set_images(&one_by_one, &of_it).unwrap().bytes;
        }
        let [a, b] = [together.bytes, one_by_one].map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(a, b);
    }
}

fn is_of(change: &ImageChange, wanted: &str) -> bool {
    match change {
        ImageChange::Pin { name, .. } | ImageChange::Fields { name, .. } => name == wanted,
    }
}

/// A kustomization-like text: lines that are often right and sometimes not.
fn kustomization_like() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("images:"),
        Just("images: []"),
        Just("- name: a"),
        Just("  - name: a"),
        Just("- name: b"),
        Just("  newTag: v0"),
        Just("    newTag: 'v0'"),
        Just("  digest: sha256:00"),
        Just("# c"),
        Just("  # c"),
        Just(""),
        Just("resources:"),
        Just("- x"),
        Just("p: |-"),
        Just("  text"),
        Just("p2: |+"),
        Just("- {name: a, newTag: x}"),
        Just("---"),
        Just("..."),
        Just("{"),
        Just("}"),
        Just("\"images\": [{\"name\": \"a\"}]"),
        Just("- newTag: x"),
        Just("  name: a"),
        Just("\t"),
        Just("  newTag:"),
        Just("  newTag: # c"),
        Just("  newTag: >"),
        Just("-"),
        Just("images: [{name: a,"),
        Just(" newTag: x}]"),
        Just("- name: &x a"),
        Just("- *x"),
        Just("? images"),
        Just(": - name: a"),
    ];
    let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\n"), Just("\n"), Just("\r")];
    let lines = proptest::collection::vec((line, end), 0..9);
    let text = lines
        .prop_map(|lines| lines.iter().flat_map(|(line, end)| [*line, *end]).collect::<String>());
    (text, prop_oneof![Just(""), Just("\u{feff}")], any::<bool>()).prop_map(|(text, bom, cut)| {
        let text = if cut { text.trim_end_matches(['\n', '\r']) } else { &text };
        format!("{bom}{text}")
    })
}

/// Returns the document without `images`, or `None` if it is not YAML.
fn rest_by_libyaml(text: &str) -> Option<serde_yaml::Mapping> {
    let text = text.trim_start_matches('\u{feff}');
    let mut root =
        serde_yaml::from_str::<Option<serde_yaml::Mapping>>(text).ok()?.unwrap_or_default();
    root.remove("images");
    Some(root)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_holds_still_and_keeps_the_rest(text in kustomization_like()) {
        for change in [tag("a", "1e3"), clear("a"), pin("a", "r.example.com/a:v1"), tag("c", "v1")] {
            let Ok(edit) = set_images(text.as_bytes(), std::slice::from_ref(&change)) else { continue };
            let after = String::from_utf8(edit.bytes.clone()).unwrap();
            let again = set_images(&edit.bytes, &[change]).unwrap();
            prop_assert_eq!(&String::from_utf8(again.bytes).unwrap(), &after);
            // libyaml, which kustomize's parser is a port of, reads the rest as before.
            if let Some(rest) = rest_by_libyaml(&text) {
                prop_assert_eq!(rest_by_libyaml(&after), Some(rest), "{:?} and {:?}", text, after);
            }
            // Every comment on a line of its own is there in the same order.
            let mut new = after.split(['\n', '\r']);
            for line in text.split(['\n', '\r']).filter(|line| line.trim_start().starts_with('#')) {
                prop_assert!(new.any(|other| other == line), "{:?} lost in {:?}", line, after);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), text in "\\PC{0,40}") {
        let _ = set_images(&bytes, &[tag("a", "v1")]);
        let _ = set_images(text.as_bytes(), &[tag("a", "v1")]);
        let _ = set_images(format!("images: {text}").as_bytes(), &[tag("a", "v1")]);
    }
}
