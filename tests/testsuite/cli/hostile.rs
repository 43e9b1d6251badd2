//! Manifests that mean harm, on a server that leaves out files: whatever is asked about them comes
//! to an end, with a clear reason; nothing is read from outside of the repository, and nothing is
//! written but an image in a plain overlay.

use std::process::Command;

use super::shop::DIGEST;
use crate::support::git_server::{GitServer, git};
use crate::support::{Ran, World};

/// What becomes of a change.
enum Comes {
    /// It is refused, for this reason.
    Refused(&'static str),
    /// It is made, and what it does to the rendered manifests is not known, for this reason.
    Unchecked(&'static str),
}
use Comes::{Refused, Unchecked};

/// Services, what their folders are made of, and what comes of setting an image of theirs.
///
/// There, `put PATH` puts what it reads into the folder, `link PATH TARGET` a symbolic link.
const CASES: &[(&str, &str, Comes)] = &[
    ("file-link", "link dev/kustomization.yaml ../../web/dev/kustomization.yaml", LINK),
    ("folder-link", "link dev ../web/dev", Refused("`dev` on the way is not a folder")),
    ("out-link", "link dev/kustomization.yaml ../../../../../../../etc/passwd", OUT),
    ("absolute-link", "link dev/kustomization.yaml /etc/passwd", OUT),
    ("folder-out-link", "link dev ../../../..", OUT),
    ("loop", "link dev/kustomization.yaml kustomization.yaml", LOOP),
    ("two-loop", "link dev/kustomization.yaml a; link dev/a kustomization.yaml", LOOP),
    ("folder-loop", "link dev dev", LOOP),
    ("broken-link", "link dev/kustomization.yaml none", Refused("no kustomization in `apps/")),
    ("large", "large dev/kustomization.yaml", Refused("it has more than 33554432 bytes")),
    ("module", "module dev", Refused("no kustomization in `apps/module/dev`")),
    (
        "deep",
        "head -c 1000000 /dev/zero | tr '\\0' '[' | put dev/kustomization.yaml",
        Refused("line 1, column 101: recursion limit exceeded"),
    ),
    ("base-out-link", "overlay ../base; link base ../../../../../etc", UNCHECKED_OUT),
    ("base-file-link", "overlay ../base; link base/kustomization.yaml /etc/passwd", UNCHECKED_OUT),
    ("base-loop", "overlay ../base; link base base", Unchecked("its symbolic links form a loop")),
    ("base-cycle", "overlay ../base; echo 'resources: [../dev]' | put base/kustomization.yaml", CYCLE),
    ("base-self", "overlay .", CYCLE),
    ("base-out", "overlay ../../../../../../etc", OUTSIDE),
    ("base-absolute", "overlay /etc", Unchecked("does not render")),
    ("base-large", "overlay ../base; large base/kustomization.yaml", Unchecked("33554432 bytes")),
    (
        "aliases",
        "(echo 'a: &a [x, x, x, x, x, x, x, x]'; last=a; for next in b c d e f g h i; do
           echo \"$next: &$next [*$last, *$last, *$last, *$last, *$last, *$last, *$last]\"; last=$next
         done; echo \"$images\") | put dev/kustomization.yaml",
        Unchecked("document contains excessive aliasing"),
    ),
];

const LINK: Comes = Refused("it is a symbolic link");
const OUT: Comes = Refused("a symbolic link leads out of the repository");
const LOOP: Comes = Refused("its symbolic links form a loop");
const CYCLE: Comes = Unchecked("cycle detected");
const OUTSIDE: Comes = Unchecked("`../../../../../../etc` is outside of the repository");
const UNCHECKED_OUT: Comes = Unchecked("a symbolic link leads out of the repository");

const WORDS: &str = r#"
set -e
export GIT_DIR=$PWD GIT_INDEX_FILE=$PWD/planted
zeros=0000000000000000000000000000000000000000
index() { git update-index --add --cacheinfo "$1,$2,apps/$service/$3"; }
put() { index 100644 "$(git hash-object -w --stdin)" "$1"; }
link() { index 120000 "$(printf %s "$2" | git hash-object -w --stdin)" "$1"; }
module() { index 160000 0123456789012345678901234567890123456789 "$1"; }
large() { index 100644 "$(cat large)" "$1"; }
overlay() { printf 'resources: [%s]\n%s\n' "$1" "$images" | put dev/kustomization.yaml; }
git read-tree main
"#;

const COMMIT: &str = r"
git update-ref refs/heads/main $(git -c user.name=x -c user.email=x \
  commit-tree -p main -m planted ${tree:-$(git write-tree)})";

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  \
    selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      \
    containers: [{name: web, image: registry.example.com/web}]\n";

/// Returns a server on which `script` was done, and a world in which it is that of `services`.
fn plant<'a>(script: &str, services: impl Iterator<Item = &'a str>) -> (GitServer, World) {
    let images = "images: [{name: registry.example.com/web, newTag: old}]";
    let server = GitServer::bare(&[
        ("apps/web/base/kustomization.yaml", "resources: [deployment.yaml]\n"),
        ("apps/web/base/deployment.yaml", DEPLOYMENT),
        ("apps/web/dev/kustomization.yaml", &format!("resources: [../base]\n{images}\n")),
    ]);
    server.git(&["config", "uploadpack.allowFilter", "true"]);
    let script = format!("images='{images}'\n{WORDS}\n{script}\n{COMMIT}");
    let mut bash = Command::new("bash");
    let made = bash.args(["-c", &script]).current_dir(server.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let world = World::new();
    let entry = |name| format!("  {name}: {{image: registry.example.com/web}}\n");
    let text = format!(
        "version: 1\nmanifests: {{repo: 'file://{}', branch: main}}\nenvironments:\n  \
         dev: {{overlay: 'apps/{{service}}/dev'}}\nservices:\n{}",
        server.path(),
        services.map(entry).collect::<String>()
    );
    world.write("deployctl.yaml", &text);
    (server, world)
}

fn set(world: &World, service: &str) -> Ran {
    world.run(&["set", "--env", "dev", &format!("{service}=:new@{DIGEST}")])
}

/// Returns the size of the largest file that the caches have.
fn largest(world: &World) -> u64 {
    let caches = world.path().join("home/.cache/deployctl/git");
    let entries = caches.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path());
    let sizes = entries.filter(|path| path.join("objects").exists()).flat_map(|cache| {
        let check = "--batch-check=%(objecttype) %(objectsize)";
        let told = git(&cache, &["cat-file", "--batch-all-objects", check]);
        let sizes = told.lines().filter_map(|line| line.strip_prefix("blob ")?.parse().ok());
        sizes.collect::<Vec<u64>>()
    });
    sizes.max().unwrap_or_default()
}

#[test]
fn overlays_that_are_not_what_they_seem() {
    let large = "head -c 209715200 /dev/zero | git hash-object -w --stdin >large\n".to_owned();
    let each = CASES.iter().map(|(service, script, _)| format!("service={service}\n{script}\n"));
    let script = large + &each.collect::<String>();
    let (server, world) = plant(&script, CASES.iter().map(|(service, ..)| *service));
    for (service, _, comes) in CASES {
        let tip = || server.git(&["rev-parse", "main"]);
        let (before, ran) = (tip(), set(&world, service));
        match comes {
            Refused(reason) => {
                assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{service}: {ran:#?}");
                assert!(ran.stderr.contains("error: can't "), "{service}: {ran:#?}");
                assert!(ran.stderr.contains(reason), "{service}: {ran:#?}");
                assert_eq!(tip(), before, "{service}: {ran:#?}");
            }
            Unchecked(reason) => {
                assert_eq!(ran.code, 0, "{service}: {ran:#?}");
                let warning =
                    "warning: what the change does to the rendered manifests is not checked: ";
                assert!(ran.stderr.starts_with(warning), "{service}: {ran:#?}");
                assert!(ran.stderr.contains(reason), "{service}: {ran:#?}");
            }
        }
        assert!(!ran.stderr.contains("root:"), "{service}: {ran:#?}");
        let changed = server.git(&["diff", "--name-only", before.trim(), "main"]);
        let overlay = format!("apps/{service}/dev/kustomization.yaml\n");
        assert!(changed.is_empty() || changed == overlay, "{service}: {changed}");
    }
    assert!(largest(&world) < 33_554_432);
    server.git(&["fsck", "--strict"]);
}

#[test]
fn paths_in_the_configuration_that_lead_out() {
    let (server, world) = plant("", ["web"].into_iter());
    let config = world.read("deployctl.yaml");
    let tip = server.git(&["rev-parse", "main"]);
    for overlay in
        ["../{service}/dev", "apps/../../{service}", "/etc/{service}", "apps/{service}/.."]
    {
        world.write("deployctl.yaml", &config.replace("apps/{service}/dev", overlay));
        let ran = set(&world, "web");
        assert_eq!(ran.code, 2, "{ran:#?}");
        let reason = format!("`{overlay}` is not a relative path without `..`");
        assert!(ran.stderr.contains(&reason), "{ran:#?}");
    }
    world.write("deployctl.yaml", &config.replace("  web:", "  ../web:"));
    let ran = set(&world, "web");
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("`../web` is not a name"), "{ran:#?}");
    assert_eq!(server.git(&["rev-parse", "main"]), tip);
}

#[test]
fn a_base_behind_a_link_is_followed_inside_of_the_repository() {
    let (server, world) =
        plant("service=a\noverlay ../base; link base ../web/base", ["a"].into_iter());
    let ran = set(&world, "a");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:#?}");
    assert!(server.file("main", "apps/a/dev/kustomization.yaml").contains("newTag: new"));
}

/// The million is that of `git::partial`, where reading is all that is done.
#[test]
fn an_overlay_among_too_many_files_is_set_and_a_repository_of_them_is_not_linted() {
    let script = r#"
        blob=$(echo x | git hash-object -w --stdin)
        own=$(git rev-parse main:apps/web/dev/kustomization.yaml)
        dev=$( (seq -w 0 200000 | sed "s/.*/100644 blob $blob\tf&/"
          printf '100644 blob %s\tkustomization.yaml\n' $own) | git mktree)
        flat=$(printf '040000 tree %s\tbase\n040000 tree %s\tdev\n' \
          $(git rev-parse main:apps/web/base) $dev | git mktree)
        apps=$( (git ls-tree main:apps; printf '040000 tree %s\tflat\n' $flat) | git mktree)
        tree=$(printf '040000 tree %s\tapps\n' $apps | git mktree)"#;
    let (server, world) = plant(script, ["flat"].into_iter());
    let ran = set(&world, "flat");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:#?}");
    assert!(server.file("main", "apps/flat/dev/kustomization.yaml").contains("newTag: new"));
    let ran = world.run(&["lint", "--offline", "--env", "dev"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:#?}");
    assert_eq!(ran.stderr, "error: can't read ``: it has more than 200000 files\n");
}
