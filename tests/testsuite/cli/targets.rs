//! `write: argocd-source` and `write: helm-values`: other files than a kustomization.

use super::shop::DIGEST;
use crate::support::git_server::GitServer;
use crate::support::{World, peer};

const KUSTOMIZATION: &str = "\
resources: [deployment.yaml]
images:
- name: web
  newName: registry.example.com/shop/web
  newTag: old
";

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec: {containers: [{name: web, image: web}]}
";

const VALUES: &str = "\
# Values of the shop's web, in prod.
replicas: 3
image:
    repository: registry.example.com/shop/web
    tag: 'old'   # what runs
    pullPolicy: IfNotPresent
";

const CONFIG: &str = "\
version: 1
manifests: {repo: 'REPO', branch: main}
environments:
  dev:
    overlay: apps/{service}/overlays/{env}
    application: '{service}-{env}'
    write: argocd-source
  prod:
    overlay: charts/{service}
    from: dev
    write: helm-values
    values: apps/{service}/values-{env}.yaml
services:
  web:
    image: registry.example.com/shop/web
    imageInManifests: web
    helm: {image: image.repository, tag: image.tag, digest: image.digest}
";

#[test]
fn argo_cds_source_file_and_helm_values_are_set_promoted_and_read() {
    let manifests = GitServer::bare(&[
        ("apps/web/overlays/dev/kustomization.yaml", KUSTOMIZATION),
        ("apps/web/overlays/dev/deployment.yaml", DEPLOYMENT),
        ("apps/web/values-prod.yaml", VALUES),
    ]);
    let world = World::new();
    world.write("deployctl.yaml", &CONFIG.replace("REPO", manifests.path().as_str()));
    let status = world.ok(&["status"]);
    assert!(status.contains("web      dev          registry.example.com/shop/web:old"), "{status}");
    assert!(status.contains("web      prod         registry.example.com/shop/web:old"), "{status}");

    world.ok(&["set", "--env", "dev", &format!("web=:1.4@{DIGEST}")]);
    assert_eq!(
        manifests.file("main", "apps/web/overlays/dev/.argocd-source-web-dev.yaml"),
        format!("kustomize:\n  images:\n  - web=registry.example.com/shop/web:1.4@{DIGEST}\n")
    );
    world.ok(&["promote", "--to", "prod"]);
    assert_eq!(
        manifests.file("main", "apps/web/values-prod.yaml"),
        VALUES.replace(
            "'old'   # what runs",
            &format!("'1.4'   # what runs\n    digest: '{DIGEST}'")
        )
    );
    let status = world.ok(&["status"]);
    for environment in ["dev ", "prod"] {
        let row = format!(
            "web      {environment}         registry.example.com/shop/web:1.4  000000000000"
        );
        assert!(status.contains(&row), "{status}");
    }
    let history = world.ok(&["history", "web", "--env", "prod"]);
    assert!(history.contains("Promote web 1.4 from dev to prod"), "{history}");
    let said = world.ok(&["set", "--env", "prod", &format!("web=:1.4@{DIGEST}")]);
    assert!(said.starts_with("unchanged: prod already states"), "{said}");
}

#[test]
fn a_diff_is_of_what_argo_cd_renders_and_of_values() {
    if peer("kubectl").is_none() {
        return;
    }
    let manifests = GitServer::bare(&[
        ("apps/web/overlays/dev/kustomization.yaml", KUSTOMIZATION),
        ("apps/web/overlays/dev/deployment.yaml", DEPLOYMENT),
        ("apps/web/overlays/test/kustomization.yaml", "resources: [../dev]\n"),
        ("apps/web/values-prod.yaml", VALUES),
    ]);
    let world = World::new();
    let config = CONFIG.replace("REPO", manifests.path().as_str());
    let test = "environments:\n  test:\n    overlay: apps/{service}/overlays/{env}\n";
    world.write("deployctl.yaml", &config.replace("environments:\n", test));
    let (old, new) = ("registry.example.com/shop/web:old", format!("1.4@{DIGEST}"));
    let diff = |arguments: &[&str], warning: &str, expected: &[&str]| {
        let ran = world.run(&[&["diff"], arguments].concat());
        assert_eq!(ran.code, 0, "{ran:#?}");
        assert!(ran.stderr.contains(warning), "{ran:#?}");
        let is_header = |line: &&str| line.starts_with("+++") || line.starts_with("---");
        let lines = ran.stdout.lines().filter(|line| line.starts_with(['+', '-']));
        let lines: Vec<&str> = lines.filter(|line| !is_header(line)).collect();
        assert_eq!(lines, expected, "{ran:#?}");
    };
    let last = || format!("{}..main", manifests.git(&["rev-parse", "main~1"]).trim());
    diff(&["--from", "test", "--to", "dev"], "", &[]);

    world.ok(&["set", "--env", "dev", &format!("web=:{new}")]);
    let dev = [
        format!("-      - image: {old}"),
        format!("+      - image: registry.example.com/shop/web:{new}"),
    ];
    let dev = dev.each_ref().map(String::as_str);
    diff(&["--from", "test", "--to", "dev"], "", &dev);
    diff(&[&last()], "charts are not rendered", &dev);

    world.ok(&["promote", "--to", "prod"]);
    let digest = format!("+    digest: '{DIGEST}'");
    let values = ["-    tag: 'old'   # what runs", "+    tag: '1.4'   # what runs", &digest];
    diff(&[&last()], "charts are not rendered", &values);
    diff(&["--from", "dev", "--to", "prod"], "not compared, as only one is a chart", &[]);
}

#[test]
fn an_image_of_argo_cds_source_file_that_nothing_runs_is_refused_at_its_line() {
    if peer("kubectl").is_none() {
        return;
    }
    let other = DEPLOYMENT.replace("image: web", "image: other");
    let own = "apps/web/overlays/dev/.argocd-source-web-dev.yaml";
    let manifests = GitServer::bare(&[
        ("apps/web/overlays/dev/kustomization.yaml", KUSTOMIZATION),
        ("apps/web/overlays/dev/deployment.yaml", &other),
        (own, "kustomize:\n  images:\n  - redis:7\n  - web=*:old\n"),
    ]);
    let world = World::new().with("GITHUB_ACTIONS", "true");
    world.write("deployctl.yaml", &CONFIG.replace("REPO", manifests.path().as_str()));
    let ran = world.run(&["set", "--env", "dev", &format!("web=:1.4@{DIGEST}")]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    let reason = format!("`{own}` line 4: the entry `web` changes nothing: no container has");
    assert!(ran.stderr.contains(&reason), "{ran:#?}");
    assert!(ran.stderr.contains(&format!("::error file={own},line=4::")), "{ran:#?}");
}

#[test]
fn a_values_file_that_is_not_there_or_can_not_be_edited_is_told() {
    let manifests = GitServer::bare(&[
        ("apps/web/overlays/dev/kustomization.yaml", KUSTOMIZATION),
        ("apps/web/values-prod.yaml", "image: &image\n  tag: old\nother: *image\n"),
    ]);
    let world = World::new();
    let config = CONFIG.replace("REPO", manifests.path().as_str());
    world.write("deployctl.yaml", &config);
    let image = format!("web=:1.4@{DIGEST}");
    let ran = world.run(&["set", "--env", "prod", &image]);
    assert!(ran.stderr.contains("can't edit `apps/web/values-prod.yaml`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("line 1: an anchor is in the way"), "{}", ran.stderr);
    world.write("deployctl.yaml", &config.replace("values-{env}", "none"));
    let ran = world.run(&["set", "--env", "prod", &image]);
    assert!(ran.stderr.contains("there is no file `apps/web/none.yaml`"), "{}", ran.stderr);
    world.write("deployctl.yaml", &config.replace("    helm: {", "    x: {"));
    let ran = world.run(&["status"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}
