//! The input digest: what must change it, and what must not. What other tools leave out of theirs is
//! in the first test.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use camino::Utf8Path;
use deployctl::build::inputs::{InputRequest, Inputs, Memo, is_input_tag};
use deployctl::image::{Digest, Dockerfile, Engine, Method, Native, Recipe};

use crate::support::git_server::git;
use crate::support::image::{Workshop, copies, output};

const FILES: [(&str, &str); 7] = [
    ("bin/app*", "#!/bin/sh\n"),
    ("site/index.html", "<h1>hello</h1>\n"),
    ("site/current", "-> index.html"),
    ("site/notes.md", "left out"),
    ("tests/app.sh", "not copied"),
    ("Dockerfile", "ARG BASE=base:1\nFROM $BASE\nCOPY . /\n"),
    (".dockerignore", "**/*.md\n"),
];

fn native() -> Native {
    let base = Some("registry.example.com/base:1".parse().unwrap());
    Native { base, ..copies(&[("bin", "/bin"), ("site", "/srv")]) }
}

fn recipe(method: Method) -> Recipe {
    Recipe { context: ".".into(), platforms: Vec::new(), method }
}

fn dockerfile() -> Dockerfile {
    Dockerfile { engine: Some(Engine::Buildah), ..Dockerfile::default() }
}

/// Returns the inputs of `recipe` with the context `root`, each base having the digest of `base`.
fn read(root: &Utf8Path, recipe: &Recipe, epoch: i64, base: &str) -> Inputs {
    let request = InputRequest { context: root, recipe, epoch };
    let mut inputs = Inputs::read(&request, &mut Memo::default()).unwrap();
    for reference in inputs.bases().unwrap().to_vec() {
        inputs.add_base(&reference, &Digest::of(base.as_bytes()));
    }
    inputs
}

fn digest(workshop: &Workshop, recipe: &Recipe) -> Digest {
    read(&workshop.context(), recipe, 0, "base").digest()
}

fn make_executable(workshop: &Workshop, path: &str) {
    let path = workshop.context().join(path);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn whatever_decides_an_image_changes_the_digest() {
    type Change<'a> = (&'a str, &'a dyn Fn(&Workshop, &mut Recipe));
    let changes: [Change<'_>; 8] = [
        ("content", &|w, _| w.write("site/index.html", "<h1>hallo</h1>\n")),
        ("executable bit", &|w, _| make_executable(w, "site/index.html")),
        ("link target", &|w, _| {
            fs::remove_file(w.context().join("site/current")).unwrap();
            w.write("site/current", "-> notes.md");
        }),
        ("file in place of a link", &|w, _| {
            fs::remove_file(w.context().join("site/current")).unwrap();
            w.write("site/current", "index.html");
        }),
        ("name", &|w, _| {
            let site = w.context().join("site");
            fs::rename(site.join("index.html"), site.join("Index.html")).unwrap();
        }),
        ("new file", &|w, _| w.write("site/new", "")),
        ("empty folder", &|w, _| fs::create_dir(w.context().join("site/empty")).unwrap()),
        ("platform", &|_, r| r.platforms = vec!["linux/arm64".parse().unwrap()]),
    ];
    for method in [Method::Native(Box::new(native())), Method::Dockerfile(dockerfile())] {
        let before = digest(&Workshop::with(&FILES), &recipe(method.clone()));
        for (what, change) in changes {
            let (workshop, mut recipe) = (Workshop::with(&FILES), recipe(method.clone()));
            change(&workshop, &mut recipe);
            assert_ne!(digest(&workshop, &recipe), before, "{what} of {method:?}");
        }
        let (workshop, recipe) = (Workshop::with(&FILES), recipe(method));
        let root = workshop.context();
        assert_ne!(read(&root, &recipe, 0, "newer base").digest(), before, "base digest");
        assert_ne!(read(&root, &recipe, 1, "base").digest(), before, "time stamp");
    }
}

#[test]
fn the_recipe_of_a_native_image_is_in_the_digest_and_the_rest_of_the_context_is_not() {
    let workshop = Workshop::with(&FILES);
    let of = |change: &dyn Fn(&mut Native)| {
        let mut native = native();
        change(&mut native);
        digest(&workshop, &recipe(Method::Native(Box::new(native))))
    };
    let before = of(&|_| {});
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Native));
    let changes: [Change<'_>; 8] = [
        ("base", &|native| native.base = None),
        ("destination", &|native| native.layers[0].to = "/usr/bin".into()),
        ("mode", &|native| native.layers[0].mode = Some(0o755)),
        ("owner", &|native| native.layers[0].owner = (0, 1)),
        ("order", &|native| native.layers.reverse()),
        ("environment", &|native| drop(native.config.env.insert("A".into(), "b".into()))),
        ("no command", &|native| native.config.cmd = Some(Vec::new())),
        ("label", &|native| drop(native.config.labels.insert("a".into(), "b".into()))),
    ];
    for (what, change) in changes {
        assert_ne!(of(change), before, "{what}");
    }
    workshop.write("tests/app.sh", "changed");
    workshop.write("site/notes.md", "changed");
    workshop.write("Dockerfile", "FROM scratch\n");
    assert_eq!(of(&|_| {}), before, "no layer copies them");
}

#[test]
fn the_dockerfile_and_all_it_is_given_are_in_the_digest() {
    let of = |files: &[(&str, &str)], change: &dyn Fn(&mut Dockerfile)| {
        let workshop = Workshop::with(&FILES);
        files.iter().for_each(|(path, text)| workshop.write(path, text));
        let mut dockerfile = dockerfile();
        change(&mut dockerfile);
        digest(&workshop, &recipe(Method::Dockerfile(dockerfile)))
    };
    let same: &dyn Fn(&mut Dockerfile) = &|_| {};
    let argument = |value: &'static str| {
        move |dockerfile: &mut Dockerfile| {
            dockerfile.args = [("A".to_owned(), value.to_owned())].into();
        }
    };
    let digests = [
        of(&[], same),
        // Also one that the ignore file leaves out of the context.
        of(&[(".dockerignore", "*.md\nDockerfile\n")], same),
        of(&[(".dockerignore", "*.md\nDockerfile\n"), ("Dockerfile", "FROM base:2\n")], same),
        of(&[("Dockerfile.dockerignore", "tests\n")], same),
        of(&[("tests/app.sh", "all of the context counts")], same),
        of(&[], &argument("1")),
        of(&[], &argument("2")),
        of(&[], &|dockerfile| dockerfile.target = Some("web".to_owned())),
        of(&[], &|dockerfile| dockerfile.engine = Some(Engine::Docker)),
        of(&[], &|dockerfile| dockerfile.engine = None),
    ];
    for (at, one) in digests.iter().enumerate() {
        assert!(!digests[..at].contains(one), "number {at}");
    }
    let left_out = of(&[("site/notes.md", "changed")], same);
    assert_eq!(left_out, digests[0], "the ignore file leaves it out");
}

#[test]
fn builders_do_not_pass_for_one_another() {
    let workshop = Workshop::with(&FILES);
    let native = digest(&workshop, &recipe(Method::Native(Box::new(native()))));
    assert_ne!(digest(&workshop, &recipe(Method::Dockerfile(dockerfile()))), native);
}

/// Returns a copy of the workshop's context that `script` makes of it; `$1` is the new folder.
fn copied(workshop: &Workshop, script: &str) -> Workshop {
    let copy = Workshop::new();
    let mut shell = Command::new("sh");
    output(
        shell.args(["-euc", script, "sh", copy.context().as_str()]).current_dir(workshop.context()),
    );
    copy
}

#[test]
fn the_digest_is_the_same_wherever_the_files_are() {
    let here = Workshop::with(&FILES);
    let root = here.context();
    let methods = [Method::Native(Box::new(native())), Method::Dockerfile(dockerfile())];
    let of = |workshop: &Workshop| methods.clone().map(|method| digest(workshop, &recipe(method)));
    let before = of(&here);
    git(&root, &["init", "-q", "-b", "main"]);
    let ignore = "**/*.md\n.git\n";
    here.write(".dockerignore", ignore);
    git(&root, &["add", "-A"]);
    git(&root, &["commit", "-q", "-m", "first"]);
    let with_git = of(&here);
    assert_eq!(with_git[0], before[0], "git has no say");
    let copies = [
        copied(&here, "git clone -q . \"$1\""),
        copied(&here, "git archive HEAD | tar -x -C \"$1\""),
        copied(&here, "cp -r . \"$1\"; find \"$1\" -exec touch -h -d 2001-01-01 {} +"),
        copied(&here, "umask 077; git clone -q . \"$1\""),
    ];
    for (number, copy) in copies.iter().enumerate() {
        assert_eq!(of(copy), with_git, "copy {number}");
    }
}

#[test]
fn a_file_that_is_as_it_was_is_not_read_again_and_any_other_is() {
    let workshop = Workshop::with(&FILES);
    let (root, cache) = (workshop.context(), workshop.scratch());
    // What was written just now is not remembered, and nothing sets a `ctime`.
    std::thread::sleep(std::time::Duration::from_millis(4100));
    let recipe = recipe(Method::Native(Box::new(native())));
    let request = InputRequest { context: &root, recipe: &recipe, epoch: 0 };
    let remembered = || {
        let mut memo = Memo::load(&cache, &root, "web");
        let inputs = Inputs::read(&request, &mut memo).unwrap();
        memo.save();
        inputs.digest()
    };
    let before = remembered();
    let kept = cache.join("inputs").read_dir_utf8().unwrap().next().unwrap().unwrap().into_path();
    // What the memo says is believed, so a wrong one shows whether a file was read.
    let text = fs::read_to_string(&kept).unwrap();
    let page = Digest::of(b"<h1>hello</h1>\n");
    let (body, _) = text.trim_end().rsplit_once('\n').unwrap();
    let body = format!("{}\n", body.replace(page.hex(), Digest::of(b"lie").hex()));
    fs::write(&kept, format!("{body}{}\n", Digest::of(body.as_bytes()).hex())).unwrap();
    assert_ne!(remembered(), before, "the file is not read");
    // The same length and time, which only the inode's own time tells apart.
    let page = root.join("site/index.html");
    let time = fs::metadata(&page).unwrap().modified().unwrap();
    fs::write(&page, "<h1>hello</h1>\n").unwrap();
    fs::File::options().write(true).open(&page).unwrap().set_modified(time).unwrap();
    assert_eq!(remembered(), before, "the file is read");
}

#[test]
fn a_tag_states_the_first_half_of_the_digest() {
    let workshop = Workshop::with(&FILES);
    let inputs = read(&workshop.context(), &recipe(Method::Native(Box::new(native()))), 0, "base");
    let tag = inputs.tag();
    assert_eq!(tag.as_str(), format!("input-{}", &inputs.digest().hex()[..32]));
    assert!(is_input_tag(tag.as_str()));
    for other in ["input-", "input-1", "latest", &tag.as_str().to_uppercase()] {
        assert!(!is_input_tag(other), "{other}");
    }
}

/// The digest is kept by registries and overlays for years; what changes it builds every image anew,
/// and must not happen unnoticed.
#[test]
fn the_digest_of_these_files_stays_what_it_is() {
    let workshop = Workshop::with(&FILES);
    let facts = read(&workshop.context(), &recipe(Method::Dockerfile(dockerfile())), 0, "base");
    let lines: Vec<String> = facts
        .facts()
        .map(|(kind, name, value)| format!("{}|{name}|{value}", kind.as_str()))
        .collect();
    insta::assert_snapshot!(format!("{}\n{}", facts.digest(), lines.join("\n")), @r"
    sha256:85cb909b8902e060fb358efa592a661d5d67cbe66006ad894777fcb5edb59d1c
    base|docker.io/library/base:1|sha256:cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2
    builder|buildah|1
    dockerfile|.dockerignore|sha256:0bd82624ddab40d2704ab0852d51e5883facfa2bdaeca788e42ca9f9367edb7e
    dockerfile|Dockerfile|sha256:fae98e117cd7a65ac2d6773204f2e9a57b1c3a5bbec23d53da0d5146ba363e0d
    epoch||0
    file|.dockerignore|0644 sha256:0bd82624ddab40d2704ab0852d51e5883facfa2bdaeca788e42ca9f9367edb7e
    file|Dockerfile|0644 sha256:fae98e117cd7a65ac2d6773204f2e9a57b1c3a5bbec23d53da0d5146ba363e0d
    file|bin/app|0755 sha256:a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf
    file|site/index.html|0644 sha256:186ea20da38447cf0c59fa62a9dfaea3bdcca431517b83d3a9c00ebc2044e95a
    file|tests/app.sh|0644 sha256:ab58c4feee5e5b28db3d085d99e84591451c796516af03c248769d1bfca7eaf4
    folder|bin|
    folder|site|
    folder|tests|
    link|site/current|index.html
    platforms||
    ");
}
