//! The same image everywhere: on other machines, under other settings, with more threads; and a disk
//! that is full.

use std::num::NonZero;
use std::process::Command;

use deployctl::build::Native;
use deployctl::image::Digest;
use serde_json::Value;

use super::{TREE, native, recipe};
use crate::support::image::{Workshop, output};
use crate::support::{Disk, Ran, World};

#[tokio::test]
async fn the_digest_does_not_depend_on_the_number_of_threads() {
    let workshop = Workshop::with(&TREE);
    workshop.write("site/large", &"a line that is there often\n".repeat(1 << 16));
    let mut digests: Vec<Digest> = Vec::new();
    for threads in [1, 2, 7] {
        workshop.tidy();
        let builder = Native::with_threads(NonZero::new(threads).unwrap());
        let image = workshop.build(&builder, native(recipe()), None).await.unwrap();
        digests.push(image.manifest.digest());
    }
    digests.dedup();
    assert_eq!(digests.len(), 1);
}

const CONFIG: &str = "\
version: 1
manifests: {}
environments: {dev: {overlay: 'apps/{service}/dev'}}
services:
  web:
    image: registry.example.com/shop/web
    build:
      context: .
      layers:
        - {from: bin/app, to: /bin/app}
        - {from: site, to: /srv, owner: '7:8', exclude: ['*.tmp']}
";

/// Clones the repository `from` in the world and builds it there; returns the digest.
fn built_in(world: &World, from: &str, umask: &str) -> String {
    let clone = "umask \"$1\"; git clone -q \"$2\" clone/of/it && cd clone/of/it || exit 1; shift 2; exec \"$@\"";
    let built = world.command(&["--output", "json", "build", "web", "--layout", "out"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", clone, "sh", umask, from]).arg(built.get_program()).args(built.get_args());
    shell.env_clear().current_dir(world.path());
    shell.envs(built.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let answer: Value = serde_json::from_str(&output(&mut shell)).unwrap();
    let image = answer["images"][0]["image"].as_str().unwrap();
    image.split_once('@').unwrap().1.to_owned()
}

#[test]
fn every_clone_makes_the_same_image_under_any_umask_locale_and_time_zone() {
    let origin = Workshop::with(&TREE);
    origin.write("deployctl.yaml", CONFIG);
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]).args(arguments);
        output(git.current_dir(origin.context()))
    };
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "one"]);
    let from = origin.context().into_string();
    let plain = World::new();
    let other = World::new()
        .with("TZ", "Pacific/Kiritimati")
        .with("LC_ALL", "tr_TR.UTF-8")
        .with("LANG", "ja_JP.eucJP");
    assert_eq!(built_in(&plain, &from, "022"), built_in(&other, &from, "077"));
}

#[test]
fn a_full_disk_is_told_in_one_error() {
    let Some(disk) = Disk::mount(1) else { return };
    let world = World::new();
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{state:016x}")
    };
    world.write("deployctl.yaml", CONFIG);
    world.write("bin/app", "x");
    world.write("site/noise", &(0..1 << 18).map(|_| noise()).collect::<String>());
    let mut command = world.command(&["build", "web", "--layout", "out"]);
    command.env("TMPDIR", disk.folder());
    let ran = Ran::of(&mut disk.send(&command));
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stderr.contains("No space left on device"), "{ran:#?}");
    assert!(!world.path().join("out/index.json").exists());
}

/// The base of the one is what the other left in a layout directory, with and without its tag.
#[test]
fn an_oci_layout_directory_is_a_base() {
    let world = World::new();
    let build = |base: &str, name: &str, from: &str| {
        let text = CONFIG.split("    build:").next().unwrap().replace("web", name);
        let build = format!(
            "    build: {{context: ., base: '{base}', layers: [{{from: {from}, to: '/{from}'}}]}}\n"
        );
        world.write("deployctl.yaml", &(text + &build));
        let arguments = ["--output", "json", "build", name, "--tag", "1", "--layout", name];
        let answer: Value = serde_json::from_str(&world.ok(&arguments)).unwrap();
        answer["images"][0]["image"].as_str().unwrap().split_once('@').unwrap().1.to_owned()
    };
    world.write("one", "1");
    world.write("two", "2");
    let base = build("scratch", "base", "one");
    let image = build("oci:base:1", "web", "two");
    let document = |layout: &str, digest: &str| -> Value {
        let path = format!("{layout}/blobs/sha256/{}", digest.split_once(':').unwrap().1);
        serde_json::from_str(&world.read(&path)).unwrap()
    };
    let (below, manifest) = (document("base", &base), document("web", &image));
    assert_eq!(manifest["layers"][0], below["layers"][0]);
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 2);
    let annotation = |key: &str| &manifest["annotations"][key];
    assert_eq!(annotation("org.opencontainers.image.base.digest"), base.as_str());
    assert_eq!(*annotation("org.opencontainers.image.base.name"), Value::Null);

    assert_eq!(build("oci:base", "web", "two"), image);
    assert_eq!(build(&format!("oci:./base@{base}"), "web", "two"), image);
}
