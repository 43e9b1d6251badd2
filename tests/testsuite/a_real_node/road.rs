//! The main job from end to end: the image that deployctl builds really runs on a node, or deployctl
//! says why it does not. The test plays Argo CD.

use serde_json::Value;
use tokio::task::block_in_place;

use crate::support::kubernetes::{Node, PlayedArgoCd};
use crate::support::road::Road;
use crate::support::{image::output, peer};

const CONFIG: &str = "\
version: 1
manifests:
  repo: https://git.example.com/shop/manifests.git
environments:
  dev:
    overlay: apps/{service}/overlays/dev
    application: '{service}-road-dev'
  prod:
    overlay: apps/{service}/overlays/prod
    application: '{service}-road-prod'
    from: dev
services:
  ranking:
    image: registry.example.com/shop/ranking
    build:
      context: services/ranking
      layers:
        - { from: bin, to: /bin }
        - { from: srv, to: /srv }
      entrypoint: [/bin/busybox, httpd, -f, -p, '8080', -h, /srv]
      user: '65532:65532'
";

fn argo_cd(road: &Road, environment: &str) -> PlayedArgoCd {
    PlayedArgoCd {
        control_plane: road.control_plane,
        name: format!("ranking-road-{environment}"),
        repo_url: road.manifests.path().into_string(),
        path: format!("apps/ranking/overlays/{environment}"),
        namespace: road.namespace(environment),
    }
}

/// Runs deployctl and expects it to end with `code`; returns its JSON answer.
fn answer(road: &Road, code: i32, arguments: &[&str]) -> Value {
    let arguments = [&["--output", "json"], arguments].concat();
    let ran = block_in_place(|| road.deployctl(&arguments));
    assert_eq!(ran.code, code, "{arguments:?}: {}\n{}", ran.stdout, ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stdout))
}

/// Builds the service, and sets dev to what was built; returns the image.
fn build_and_set(road: &Road) -> String {
    let built = answer(road, 0, &["build", "ranking"]);
    let image = built["images"][0]["image"].as_str().unwrap().to_owned();
    let set = answer(road, 0, &["set", "--env", "dev", &format!("ranking={image}")]);
    assert_eq!(set["outcome"], "pushed");
    image
}

/// Does what Argo CD does when it sees a new commit.
fn sync(road: &Road, argo_cd: &PlayedArgoCd, environment: &str) {
    block_in_place(|| {
        let (rendered, tip) = road.rendered(environment);
        argo_cd.sync(&tip, &rendered);
        road.control_plane.play_ingress_controller(&road.namespace(environment));
    });
}

fn verify(road: &Road, code: i32, environment: &str) -> Value {
    let arguments = ["verify", "--env", environment, "--timeout", "3m", "--settle", "1s"];
    answer(road, code, &arguments)["services"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_built_is_set_runs_and_is_promoted_and_what_breaks_is_diagnosed() {
    let Some(road) = block_in_place(|| Road::start("road", CONFIG)) else { return };
    let Some(node) = Node::start(&road.control_plane).await else { return };
    let place = |environment: &str| {
        let label = road.node_label(environment);
        road.control_plane.kubectl(&["label", "--overwrite", "node", node.name(), &label]);
    };
    let dev = argo_cd(&road, "dev");
    dev.create();
    place("dev");

    let image = build_and_set(&road);
    read_by_others(&road, &image);
    sync(&road, &dev, "dev");
    let _dev = dev.keep_reconciling();
    let rollout = verify(&road, 0, "dev");
    assert_eq!(
        (&rollout["verdict"], &rollout["image"]),
        (&"healthy".into(), &image.clone().into())
    );
    let digest = image.split_once('@').unwrap().1;
    let runs = rollout["pods"][0]["imageID"].as_str().unwrap();
    assert!(runs.ends_with(digest), "{runs} is not {digest}");

    let prod = argo_cd(&road, "prod");
    prod.create();
    let promoted = answer(&road, 0, &["promote", "--to", "prod"]);
    assert_eq!(promoted["services"][0]["image"], image);
    place("prod");
    sync(&road, &prod, "prod");
    let _prod = prod.keep_reconciling();
    assert_eq!(verify(&road, 0, "prod")["image"], image);

    let broken = road.world.read("deployctl.yaml").replace("httpd, -f", "sh, -c, 'exit 7', -f");
    road.world.write("deployctl.yaml", &broken);
    road.commit("Break it");
    build_and_set(&road);
    place("dev");
    sync(&road, &dev, "dev");
    let rollout = verify(&road, 4, "dev");
    assert_eq!(rollout["cause"]["kind"], "crash-loop", "{rollout:#}");
    assert!(rollout["reason"].as_str().unwrap().contains("exit code 7"), "{rollout:#}");
    let blocked = answer(&road, 3, &["promote", "--to", "prod"]);
    assert_eq!(blocked["outcome"], "gate-closed", "{blocked:#}");

    // What was verified before is what dev returns to.
    let back = answer(&road, 0, &["rollback", "ranking", "--env", "dev"]);
    assert_eq!(back["returns"][0]["basis"], "verified", "{back:#}");
    assert_eq!(back["services"][0]["image"], image, "{back:#}");
}

/// Other programs read the image: skopeo from the registry, umoci unpacks it.
fn read_by_others(road: &Road, image: &str) {
    let (Some(skopeo), Some(umoci)) = (peer("skopeo"), peer("umoci")) else { return };
    let digest = image.split_once('@').unwrap().1;
    let remote = format!("docker://{}/shop/ranking@{digest}", road.registry.domain());
    let run = |program: &std::path::Path, arguments: &[&str]| {
        let mut command = std::process::Command::new(program);
        output(command.args(arguments).current_dir(road.world.path()))
    };
    let inspected = run(&skopeo, &["inspect", "--tls-verify=false", &remote]);
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!((&inspected["Digest"], &inspected["Os"]), (&digest.into(), &"linux".into()));
    run(&skopeo, &["copy", "-q", "--src-tls-verify=false", &remote, "oci:home/copy:built"]);
    run(&umoci, &["unpack", "--rootless", "--image", "home/copy:built", "home/bundle"]);
    assert_eq!(
        road.world.read("home/bundle/rootfs/srv/index.html"),
        road.world.read("services/ranking/srv/index.html")
    );
}
