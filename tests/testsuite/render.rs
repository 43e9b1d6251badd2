//! Rendering through the program that is installed: from a disk, from memory, and not at all.

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::image::Digest;
use deployctl::kustomize::{FileTree as _, MemoryTree};
use deployctl::render::{DiskTree, External, LoadRestrictor, RenderError, Renderer as _};
use deployctl::system::Environment;

use crate::conformance::cases_file;
use crate::support::peer;

/// Rendering all of them takes a minute; each stands for a kind of repository anyway.
const EVERY: usize = 12;

fn external() -> Option<External> {
    peer("kubectl")?;
    Some(External::new(&Environment::of_process()))
}

fn tree(files: &[(&str, &str)]) -> MemoryTree {
    let own = |(path, text): &(&str, &str)| ((*path).into(), text.as_bytes().to_owned());
    MemoryTree(files.iter().map(own).collect())
}

#[tokio::test]
async fn real_overlays_render_from_a_copy_of_what_they_need() {
    let Some(external) = external() else { return };
    let Some(archive) = cases_file("kustomize-real.tar.xz") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut tar = std::process::Command::new("tar");
    assert!(tar.arg("-xJf").arg(archive).arg("-C").arg(folder.path()).status().unwrap().success());
    let overlays = std::fs::read(folder.path().join("overlays.json")).unwrap();
    let overlays: Vec<serde_json::Value> = serde_json::from_slice(&overlays).unwrap();
    let root = Utf8Path::from_path(folder.path()).unwrap();
    let every = std::env::var("DEPLOYCTL_RENDER_ALL").map_or(EVERY, |_| 1);
    for overlay in overlays.iter().step_by(every) {
        let text = |key: &str| overlay[key].as_str().unwrap();
        let tree = DiskTree::new(root.join("trees").join(text("repo").replace('/', "+")));
        let rendered = external.render(&tree, Utf8Path::new(text("path"))).await.unwrap();
        let digest = Digest::of(rendered.yaml.as_bytes());
        assert_eq!(digest.hex(), text("output_sha256"), "{overlay}");
    }
}

#[tokio::test]
async fn an_overlay_renders_from_memory_and_from_a_disk_alike() {
    let Some(external) = external() else { return };
    let files = tree(&[
        ("apps/web/base/kustomization.yaml", "resources: [pod.yaml]\n"),
        (
            "apps/web/base/pod.yaml",
            "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: c, image: web}]}}\n",
        ),
        (
            "apps/web/dev/kustomization.yaml",
            "resources: [../base]\nimages:\n- name: web\n  newTag: v2\n",
        ),
        ("apps/else/kustomization.yaml", "resources: [none.yaml]\n"),
    ]);
    let dir = Utf8Path::new("apps/web/dev");
    let from_memory = external.render(&files, dir).await.unwrap();
    assert_eq!(deployctl::k8s::pod_images(&from_memory.objects)[0].image, "web:v2");

    let folder = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::try_from(folder.path().to_owned()).unwrap();
    for path in files.files(Utf8Path::new("")).unwrap() {
        std::fs::create_dir_all(root.join(&path).parent().unwrap()).unwrap();
        std::fs::write(root.join(&path), files.read(&path).unwrap().unwrap()).unwrap();
    }
    assert_eq!(external.render_dir(&root.join(dir)).await.unwrap(), from_memory);
    assert_eq!(external.build_dir(&root.join(dir)).await.unwrap(), from_memory.yaml);
    assert_eq!(external.render(&DiskTree::new(&root), dir).await.unwrap(), from_memory);
}

#[tokio::test]
async fn the_program_has_its_say_about_the_repository_not_the_copy() {
    let Some(external) = external() else { return };
    let files = tree(&[("o/kustomization.yaml", "resources: [none.yaml]\n")]);
    let error = external.render(&files, Utf8Path::new("o")).await.unwrap_err().to_string();
    assert!(error.starts_with("`o` does not render: accumulating resources"), "{error}");
    assert!(!error.contains("deployctl-render-"), "{error}");

    let files = tree(&[
        ("o/kustomization.yaml", "configMapGenerator:\n- name: m\n  files: [../x]\n"),
        ("x", "text"),
    ]);
    assert!(external.render(&files, Utf8Path::new("o")).await.is_err());
    let unrestricted = external.with_load_restrictor(LoadRestrictor::None);
    assert!(unrestricted.render(&files, Utf8Path::new("o")).await.is_ok());
}

#[tokio::test]
async fn without_a_program_it_says_so() {
    let external = External::new(&Environment::from_iter([("PATH", "/nowhere")]));
    assert_eq!(external.program(), None);
    let error = external.render_dir(Utf8Path::new(".")).await.unwrap_err();
    assert!(matches!(error, RenderError::NoRenderer { .. }), "{error}");
    let error = external.render(&MemoryTree::default(), Utf8Path::new("o")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "nothing here can render `o`: neither `kustomize` nor `kubectl` is on PATH"
    );
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let Some(external) = external() else { return };
    let error = external.render_dir(Utf8Path::new("not/there")).await.unwrap_err();
    assert!(error.to_string().starts_with("no kustomization in `not/there`"), "{error}");
}

#[tokio::test]
async fn an_overlay_is_rendered_again_only_if_one_of_its_files_has_changed() {
    if peer("kubectl").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = "#!/bin/sh\necho >> \"$COUNT\"\nexec kubectl kustomize .\n";
    let program = folder.path().join("kustomize");
    std::fs::write(&program, script).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, executable).unwrap();
    let count = folder.path().join("count");
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let environment =
        [("PATH", path.as_str()), ("COUNT", count.to_str().unwrap()), ("HOME", "/nowhere")];
    let external = External::new(&Environment::from_iter(environment));

    let overlay = ("o/kustomization.yaml", "resources: [a.yaml]\n");
    let object = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n";
    let first = tree(&[overlay, ("o/a.yaml", object), ("else", "1")]);
    let other = tree(&[overlay, ("o/a.yaml", &object.replace("name: a", "name: b"))]);
    let dir = Utf8Path::new("o");
    let rendered = external.render(&first, dir).await.unwrap();
    let again = tree(&[overlay, ("o/a.yaml", object), ("else", "2")]);
    assert_eq!(external.clone().render(&again, dir).await.unwrap(), rendered);
    assert_ne!(external.render(&other, dir).await.unwrap(), rendered);
    assert_eq!(std::fs::read_to_string(count).unwrap(), "\n\n");
}
