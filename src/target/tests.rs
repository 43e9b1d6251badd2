use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn target(place: Place) -> Target {
    let registry = "registry.example.com/web".parse().unwrap();
    Target { name: "web".to_owned(), registry, digest: DigestPolicy::default(), place }
}

fn tree(files: &[(&str, &str)]) -> MemoryTree {
    MemoryTree(files.iter().map(|&(path, text)| (path.into(), text.into())).collect())
}

/// Returns the file and the text that stating `image` ends in; a second time changes nothing.
#[track_caller]
fn stated(target: &Target, files: &[(&str, &str)], image: &str) -> (String, String) {
    let mut tree = tree(files);
    let image: PinnedImage = format!("{image}@{DIGEST}").parse().unwrap();
    let edit = target.edit(&tree, &image).unwrap();
    tree.0.insert(edit.file.clone(), edit.after.clone());
    let again = target.edit(&tree, &image).unwrap();
    assert!(!again.is_changed(), "{}", String::from_utf8(again.after).unwrap());
    let read = target.read(&tree).unwrap();
    assert_eq!(read.pinned().unwrap(), target.digest.written(&image));
    let after = String::from_utf8(edit.after).unwrap().replace(DIGEST, "DIGEST");
    (edit.file.into_string(), after)
}

#[track_caller]
fn refusal(target: &Target, files: &[(&str, &str)], image: &str) -> String {
    let image: PinnedImage = format!("{image}@{DIGEST}").parse().unwrap();
    let error = target.edit(&tree(files), &image).unwrap_err();
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

const IMAGE: &str = "registry.example.com/web:b";
const KUSTOMIZATION: (&str, &str) = (
    "o/kustomization.yaml",
    "images:\n- name: web\n  newName: registry.example.com/web\n  newTag: a\n",
);

fn source(application: Option<&str>) -> Target {
    let application = application.map(|text| {
        let (namespace, name) = text.split_once('/').unwrap_or(("argocd", text));
        ApplicationName { namespace: namespace.to_owned(), name: name.to_owned() }
    });
    target(Place::ArgocdSource { overlay: "o".into(), application })
}

#[test]
fn argo_cds_source_file_is_created_for_the_application() {
    let written = "kustomize:\n  images:\n  - web=registry.example.com/web:b@DIGEST\n";
    assert_eq!(
        stated(&source(Some("web-dev")), &[KUSTOMIZATION], IMAGE),
        ("o/.argocd-source-web-dev.yaml".to_owned(), written.to_owned())
    );
    assert_eq!(
        stated(&source(None), &[KUSTOMIZATION], IMAGE),
        ("o/.argocd-source.yaml".to_owned(), written.to_owned())
    );
}

#[test]
fn argo_cds_source_file_keeps_what_else_it_says() {
    let own = "o/.argocd-source-w.yaml";
    let check = |before: &str, after: &str| {
        let (file, text) = stated(&source(Some("w")), &[KUSTOMIZATION, (own, before)], IMAGE);
        assert_eq!((file.as_str(), text.as_str()), (own, after));
    };
    check(
        "kustomize: # ours\n  images:\n    - other:1\n    - 'web=registry.example.com/web:a' # it\n",
        "kustomize: # ours\n  images:\n    - other:1\n    - 'web=registry.example.com/web:b@DIGEST' # it\n",
    );
    check(
        "kustomize:\r\n  images:\r\n    - other:1\r\nhelm: {}",
        "kustomize:\r\n  images:\r\n    - other:1\r\n    - web=registry.example.com/web:b@DIGEST\r\nhelm: {}",
    );
    check(
        "kustomize:\n    namePrefix: x-\n",
        "kustomize:\n    namePrefix: x-\n    images:\n    - web=registry.example.com/web:b@DIGEST\n",
    );
    check(
        "{\"kustomize\": {\"images\": [\"x:1\"]}}",
        "{\"kustomize\": {\"images\": [\"x:1\", \"web=registry.example.com/web:b@DIGEST\"]}}",
    );
    check(
        "# empty\n",
        "# empty\nkustomize:\n  images:\n  - web=registry.example.com/web:b@DIGEST\n",
    );
}

#[test]
fn the_list_that_counts_is_the_one_that_is_changed() {
    let shared = ("o/.argocd-source.yaml", "kustomize:\n  images: [web:a]\n");
    let own = ("o/.argocd-source-w.yaml", "kustomize:\n  namePrefix: x-\n");
    let (file, text) = stated(&source(Some("w")), &[KUSTOMIZATION, shared, own], IMAGE);
    assert_eq!(file, "o/.argocd-source.yaml");
    assert_eq!(text, "kustomize:\n  images: [web=registry.example.com/web:b@DIGEST]\n");
    let own = ("o/.argocd-source-w.yaml", "kustomize: {images: []}\n");
    let (file, text) = stated(&source(Some("w")), &[KUSTOMIZATION, shared, own], IMAGE);
    assert_eq!(file, "o/.argocd-source-w.yaml");
    assert_eq!(text, "kustomize: {images: [web=registry.example.com/web:b@DIGEST]}\n");
}

#[test]
fn without_a_source_file_the_kustomization_is_what_is_stated() {
    let target = source(Some("w"));
    let image = |files: &[(&str, &str)]| target.read(&tree(files)).unwrap();
    let stated = image(&[KUSTOMIZATION]);
    assert_eq!(
        (stated.file.as_str(), stated.to_string().as_str()),
        ("o/kustomization.yaml", "registry.example.com/web:a")
    );
    let source = ("o/.argocd-source-w.yaml", "kustomize: {images: ['web=*:c']}\n");
    assert_eq!(image(&[KUSTOMIZATION, source]).to_string(), "registry.example.com/web:c");
    let source = ("o/.argocd-source-w.yaml", "kustomize: {images: ['web:c']}\n");
    assert_eq!(image(&[KUSTOMIZATION, source]).to_string(), "web:c");
}

#[test]
fn an_empty_tag_or_digest_is_none() {
    let entry = "images:\n- {name: web, newTag: '', digest: ''}\n";
    let place = Place::Kustomization { overlay: "o".into() };
    let stated = target(place).read(&tree(&[("o/kustomization.yaml", entry)])).unwrap();
    assert_eq!((stated.to_string().as_str(), stated.tag, stated.digest), ("web", None, None));
}

#[test]
fn what_argo_cd_renders_has_the_images_of_its_source_file() {
    let source_file = ("o/.argocd-source-w.yaml", "kustomize: {images: ['web=*:c', 'x:1']}\n");
    let files = source(Some("w")).effective(&tree(&[KUSTOMIZATION, source_file])).unwrap();
    let text = String::from_utf8(files.0[Utf8Path::new("o/kustomization.yaml")].clone()).unwrap();
    assert_eq!(
        text,
        "images:\n- name: web\n  newName: registry.example.com/web\n  newTag: c\n- name: x\n  newTag: \"1\"\n"
    );
    assert!(source(None).effective(&tree(&[KUSTOMIZATION])).unwrap().0.is_empty());
}

#[test]
fn an_application_elsewhere_needs_its_file() {
    let target = source(Some("team/w"));
    assert_eq!(
        refusal(&target, &[KUSTOMIZATION], IMAGE),
        "Argo CD reads `o/.argocd-source-w.yaml` if it runs in the Application's namespace, else `o/.argocd-source-team_w.yaml`"
    );
    let (file, _) = stated(&target, &[KUSTOMIZATION, ("o/.argocd-source-team_w.yaml", "")], IMAGE);
    assert_eq!(file, "o/.argocd-source-team_w.yaml");
}

#[test]
fn a_source_file_that_is_uncertain_is_refused() {
    let own = "o/.argocd-source-w.yaml";
    let refused = |text: &str| refusal(&source(Some("w")), &[KUSTOMIZATION, (own, text)], IMAGE);
    assert_eq!(
        refused("kustomize:\n  images:\n  - web:a\n  - web:b\n"),
        "can't edit `o/.argocd-source-w.yaml`: line 4: `web` is in this list twice; keep one of the items"
    );
    assert_eq!(
        refused("kustomize:\n  images: &x [a:b]\n"),
        "can't edit `o/.argocd-source-w.yaml`: line 2: an anchor is in the way"
    );
    assert_eq!(
        refused("a: 1\n---\nb: 1\n"),
        "can't edit `o/.argocd-source-w.yaml`: line 2, column 1: a second document begins here; expected one"
    );
    assert!(refusal(&source(None), &[], IMAGE).starts_with("no kustomization in `o`"));
}

fn values(image: &str, tag: &str, digest: &str) -> Target {
    let path = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
    let keys =
        HelmKeys { image: path(image), registry: None, tag: path(tag), digest: path(digest) };
    target(Place::HelmValues { file: "v.yaml".into(), keys })
}

#[track_caller]
fn helm(target: &Target, before: &str, after: &str) {
    assert_eq!(stated(target, &[("v.yaml", before)], IMAGE).1, after);
}

#[test]
fn helm_values_are_written_where_they_are() {
    let all = values("image.repository", "image.tag", "image.digest");
    helm(
        &all,
        "# v\nimage:\n    repository: registry.example.com/web # r\n    tag: 'a'  # t\n    digest: sha256:1\nreplicas: 2\n",
        "# v\nimage:\n    repository: registry.example.com/web # r\n    tag: 'b'  # t\n    digest: DIGEST\nreplicas: 2\n",
    );
    helm(
        &all,
        "image: {repository: other, tag: a}\n",
        "image: {repository: registry.example.com/web, tag: b, digest: DIGEST}\n",
    );
    helm(
        &values("a\\.b[0].image", "", ""),
        "a.b:\n- image: registry.example.com/web:a\n  env: []\n",
        "a.b:\n- image: registry.example.com/web:b@DIGEST\n  env: []\n",
    );
    helm(
        &values("", "image.tag", ""),
        "image:\n  tag: a\n  pullPolicy: Always\n",
        "image:\n  tag: b@DIGEST\n  pullPolicy: Always\n",
    );
    let registry = "registry.example.com/web".parse().unwrap();
    let keys = HelmKeys { registry: Some("r".parse().unwrap()), ..keys_of(&all) };
    let split = target(Place::HelmValues { file: "v.yaml".into(), keys });
    assert_eq!(split.registry, registry);
    helm(
        &split,
        "image:\n  repository: x\nr: old.example.com\n",
        "image:\n  repository: web\n  tag: b\n  digest: DIGEST\nr: registry.example.com\n",
    );
}

fn keys_of(target: &Target) -> HelmKeys {
    match &target.place {
        Place::HelmValues { keys, .. } => keys.clone(),
        _ => panic!("a values file"),
    }
}

#[test]
fn helm_values_that_are_missing_are_added() {
    let all = values("image.repository", "image.tag", "image.digest");
    helm(
        &all,
        "image:\n  tag: a\n  pullPolicy: Always\n",
        "image:\n  tag: b\n  digest: DIGEST\n  pullPolicy: Always\n  repository: registry.example.com/web\n",
    );
    helm(
        &all,
        "replicas: 2\n# end\n",
        "replicas: 2\n# end\nimage:\n  repository: registry.example.com/web\n  tag: b\n  digest: DIGEST\n",
    );
    helm(
        &values("", "x.image.tag", "x.image.digest"),
        "x:\r\n    y: 1\r\nz: 2",
        "x:\r\n    y: 1\r\n    image:\r\n        tag: b\r\n        digest: DIGEST\r\nz: 2",
    );
    helm(&values("", "image.tag", ""), "image: {} # none\n", "image: # none\n  tag: b@DIGEST\n");
    helm(&values("", "image.tag", ""), "image:\nx: 1\n", "image:\n  tag: b@DIGEST\nx: 1\n");
    helm(&values("", "image.tag", ""), "", "image:\n  tag: b@DIGEST\n");
}

#[test]
fn helm_values_without_a_tag() {
    let target = Target { digest: DigestPolicy::Digest, ..values("", "image.tag", "image.digest") };
    helm(&target, "image:\n  tag: a\n", "image:\n  tag: \"\"\n  digest: \"DIGEST\"\n");
    helm(&target, "image:\n  digest: a\n", "image:\n  digest: DIGEST\n");
    let target = Target { digest: DigestPolicy::Digest, ..values("image", "", "") };
    helm(&target, "image: x:a\n", "image: registry.example.com/web@DIGEST\n");
}

#[test]
fn helm_values_that_are_uncertain_are_refused() {
    let all = values("image.repository", "image.tag", "image.digest");
    let refused = |text: &str| refusal(&all, &[("v.yaml", text)], IMAGE);
    for (text, reason) in [
        ("image: x\n", "line 1: expected keys here, to find `repository`"),
        ("image: &i {tag: a}\nj: *i\n", "line 1: an anchor is in the way"),
        ("i: &i {}\nimage: *i\n", "line 2: an alias is in the way"),
        (
            "i: &i {}\nimage:\n  <<: *i\n",
            "line 3: a merge key (`<<`) is in the way of `repository`",
        ),
        ("image: {tag: a}\nimage: {tag: b}\n", "line 2: this key is there twice"),
        ("image:\n- a\n", "line 2: no item `repository` in this list of 1"),
        ("image: [\n", "line 1, column 8: "),
    ] {
        let said = refused(text);
        assert!(said.starts_with(&format!("can't edit `v.yaml`: {reason}")), "{said}");
    }
    assert_eq!(refusal(&all, &[], IMAGE), "there is no file `v.yaml`");
    assert_eq!(
        refusal(&values("", "tag", "digest"), &[("v.yaml", "tag: a")], "registry.example.com/x:b"),
        "can't edit `v.yaml`: `helm` has no path for the image's name, to write `registry.example.com/x`"
    );
    let none = all.read(&tree(&[("v.yaml", "a: 1\n")])).unwrap_err();
    assert_eq!(
        none.to_string(),
        "`v.yaml` has no value at `image.repository`, `image.tag`, `image.digest`"
    );
}
