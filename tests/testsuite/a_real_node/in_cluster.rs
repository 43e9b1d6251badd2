//! `deployctl verify` inside a cluster, with the account and the rights of `manifests/verify` and no
//! others.

use std::fs;
use std::path::Path;
use std::process::Command;

use camino::Utf8Path;
use serde_json::Value;

use crate::support::kubernetes::{ControlPlane, Node, PlayedArgoCd, images};
use crate::support::{Ran, RegistryServer, World, peer, wait_until};

const COMMIT: &str = "2222222222222222222222222222222222222222";

/// An Application `NAMESPACE` whose sync is running its hooks, and the account that verifies it.
struct Shop {
    control_plane: ControlPlane,
    argo_cd: PlayedArgoCd,
    namespace: &'static str,
    world: World,
}

impl Shop {
    fn open(control_plane: ControlPlane, namespace: &'static str) -> Self {
        control_plane.namespace(namespace);
        let argo_cd = PlayedArgoCd {
            control_plane,
            name: namespace.to_owned(),
            repo_url: "https://git.example.com/shop/manifests.git".to_owned(),
            path: "apps/ranking/overlays/prod".to_owned(),
            namespace: namespace.to_owned(),
        };
        argo_cd.create();
        let shop = Self { control_plane, argo_cd, namespace, world: World::new() };
        shop.grant();
        shop
    }

    /// Applies the shipped roles, bound to this namespace's account.
    fn grant(&self) {
        let verify = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/verify");
        copy(&verify, &self.world.path().join("verify"));
        let role = self.world.read("verify/argocd/role.yaml");
        let role =
            role.replace("namespace: ranking-prod", &format!("namespace: {}", self.namespace));
        self.world.write("verify/argocd/role.yaml", &role);
        // Each test has a role of its own beside Argo CD.
        let text = format!("resources: [../verify/argocd]\nnamePrefix: {}-\n", self.namespace);
        self.world.write("argocd/kustomization.yaml", &text);
        self.control_plane.apply(&self.render("argocd"));
        self.overlay("account", "account", "");
        self.control_plane.apply(&self.render("account"));
    }

    /// Writes an overlay `name` that includes the shipped component, in this namespace.
    fn overlay(&self, name: &str, component: &str, more: &str) {
        let text = format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: {}\ncomponents: [../verify/{component}]\n{more}",
            self.namespace
        );
        self.world.write(&format!("{name}/kustomization.yaml"), &text);
    }

    fn render(&self, folder: &str) -> String {
        self.control_plane.kubectl(&["kustomize", self.world.path().join(folder).as_str()])
    }

    /// Runs `deployctl verify` as the account.
    fn verify(&self, arguments: &[&str]) -> Ran {
        let account = ["-n", self.namespace, "create", "token", "deployctl-verify"];
        let token = self.control_plane.kubectl(&account);
        let admin = fs::read_to_string(self.control_plane.kubeconfig()).unwrap();
        let mine = admin.replace("token: admin-token", &format!("token: {}", token.trim()));
        assert_ne!(mine, admin);
        let kubeconfig = self.world.write("home/account", &mine);
        let application = format!("--application={}", self.namespace);
        let arguments = [&["verify", &application, "--settle=0s"], arguments].concat();
        let mut command = self.world.command(&arguments);
        Ran::of(command.env("KUBECONFIG", kubeconfig))
    }

    fn may(&self, what: &[&str]) -> bool {
        let account = format!("--as=system:serviceaccount:{}:deployctl-verify", self.namespace);
        let can =
            self.control_plane.try_kubectl(&[&["auth", "can-i", &account], what].concat(), "");
        can.is_ok_and(|answer| answer.trim() == "yes")
    }
}

fn copy(from: &Path, to: &Utf8Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// A Deployment with what stands around it: a kind for each rule of the shipped role.
fn rendered(namespace: &str, pod: &str) -> String {
    let metadata = format!("metadata: {{name: ranking, namespace: {namespace}}}");
    let selector = "selector: {matchLabels: {app: ranking}}";
    format!(
        "{{apiVersion: v1, kind: ConfigMap, {metadata}, data: {{a: b}}}}\n---\n\
         {{apiVersion: v1, kind: Service, {metadata}, spec: {{selector: {{app: ranking}}, ports: [{{port: 80}}]}}}}\n---\n\
         {{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, {metadata}, spec: {{podSelector: {{}}}}}}\n---\n\
         {{apiVersion: apps/v1, kind: Deployment, {metadata}, spec: {{replicas: 1, {selector}, template: {{metadata: {{labels: {{app: ranking}}}}, spec: {pod}}}}}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_role_is_enough_and_no_more() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let shop = Shop::open(control_plane, "shipped-role");
    let pod = "{nodeSelector: {nowhere: 'true'}, containers: [{name: ranking, image: 'registry.example.com/shop/ranking:1'}]}";
    shop.argo_cd.begin_sync(COMMIT, &rendered(shop.namespace, pod));

    let early = shop.verify(&["--within-sync", "--timeout=2s"]);
    assert_eq!(early.code, 5, "{early:#?}");
    assert!(!early.stderr.contains("refuses"), "{early:#?}");

    wait_until("the pod to be played ready", || {
        control_plane.play_kubelet(shop.namespace);
        let ready = [
            "-n",
            shop.namespace,
            "get",
            "deployment",
            "ranking",
            "-o",
            "jsonpath={.status.availableReplicas}",
        ];
        control_plane.kubectl(&ready) == "1"
    });
    let ran = shop.verify(&["--within-sync", "--timeout=20s"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    let verdict = ran.stdout.lines().next().unwrap();
    assert_eq!(verdict, "shipped-role in the cluster: healthy: live and healthy", "{ran:#?}");
    assert!(!ran.stderr.contains("refuses"), "{ran:#?}");

    // Outside of the sync the refresh is asked for, which the role allows as well.
    let ran = shop.verify(&["--timeout=2s"]);
    assert_eq!(ran.code, 5, "{ran:#?}");
    assert!(!ran.stderr.contains("refuses"), "{ran:#?}");

    for allowed in [&["get", "pods/log"][..], &["watch", "deployments.apps"], &["list", "events"]] {
        assert!(shop.may(&[allowed, &["-n", shop.namespace]].concat()), "{allowed:?}");
    }
    for (refused, namespace) in [
        (&["get", "secrets"][..], shop.namespace),
        (&["create", "pods/exec"], shop.namespace),
        (&["delete", "pods"], shop.namespace),
        (&["patch", "deployments.apps"], shop.namespace),
        (&["get", "secrets"], "argocd"),
        (&["get", "configmaps/argocd-rbac-cm"], "argocd"),
        (&["delete", "applications.argoproj.io"], "argocd"),
        (&["get", "pods"], "default"),
    ] {
        assert!(!shop.may(&[refused, &["-n", namespace]].concat()), "{refused:?} in {namespace}");
    }
}

/// Builds the program that is tested here into an image, as the workflow does, and returns the image.
fn build_image(world: &World, registry: &str) -> Option<String> {
    let program = env!("CARGO_BIN_EXE_deployctl");
    let root = world.path().join("root");
    fs::create_dir_all(root.join("bin")).unwrap();
    let stripped = root.join("bin/deployctl");
    let status = Command::new(peer("strip")?).args(["-o", stripped.as_str(), program]).status();
    assert!(status.unwrap().success());
    // Released programs are linked statically; this one brings its libraries along.
    let output = Command::new(peer("ldd")?).arg(program).output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    for library in output.split_whitespace().filter(|word| word.starts_with('/')) {
        let to = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(library, to).unwrap();
    }
    let config = format!(
        "version: 1\nmanifests: {{repo: .}}\nenvironments: {{}}\nservices:\n  deployctl:\n    image: {registry}/tools/deployctl\n    tag: content\n    build:\n      context: root\n      \
         layers: [{{from: ., to: /}}]\n      entrypoint: [/bin/deployctl]\n      user: '65532:65532'\n"
    );
    world.write("deployctl.yaml", &config);
    let answer: Value = serde_json::from_str(&world.ok(&["build", "--output=json"])).unwrap();
    let image = &answer["images"][0];
    Some(image["image"].as_str().unwrap_or_else(|| panic!("{answer:#}")).to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_holds_the_sync_until_the_rollout_is_proven() {
    let Some(control_plane) = ControlPlane::start() else { return };
    let Some(registry) = RegistryServer::start_plain() else { return };
    let Some(node) = Node::start(&control_plane).await else { return };
    let shop = Shop::open(control_plane, "hook-on-node");
    let Some(image) = build_image(&shop.world, registry.domain()) else { return };
    let name = format!("{}/shop/ranking", registry.domain());
    let digest = images::push(&format!("{name}:1"), "exec httpd -f -p 8080 -h /www").await.unwrap();
    let pod = format!(
        "{{nodeName: {}, containers: [{{name: ranking, image: '{name}:1@{digest}', readinessProbe: {{initialDelaySeconds: 2, httpGet: {{path: /healthz, port: 8080}}}}}}]}}",
        node.name()
    );
    shop.argo_cd.begin_sync(COMMIT, &rendered(shop.namespace, &pod));

    // The node has no service network, so the API server is reached as on the host.
    let server = control_plane.kubectl(&[
        "config",
        "view",
        "--minify",
        "-o",
        "jsonpath={.clusters[0].cluster.server}",
    ]);
    let port = server.rsplit(':').next().unwrap();
    let (image_name, digest) = image.rsplit_once('@').unwrap();
    let image_name = image_name.rsplit_once(':').map_or(image_name, |(name, _)| name);
    let more = format!(
        "images: [{{name: registry.example.com/tools/deployctl, newName: '{image_name}', digest: '{digest}'}}]\n\
         patches:\n- target: {{kind: Job}}\n  patch: |-\n    - {{op: add, path: /spec/template/spec/hostNetwork, value: true}}\n    \
         - {{op: add, path: /spec/template/spec/nodeName, value: {}}}\n    \
         - {{op: add, path: /spec/template/spec/containers/0/env/-, value: {{name: KUBERNETES_SERVICE_HOST, value: 127.0.0.1}}}}\n    \
         - {{op: add, path: /spec/template/spec/containers/0/env/-, value: {{name: KUBERNETES_SERVICE_PORT, value: '{port}'}}}}\n",
        node.name()
    );
    shop.overlay("hook", "after-sync", &more);
    control_plane.apply(&shop.render("hook"));

    let get = |what: &str, path: &str| {
        control_plane.kubectl(&[
            "-n",
            shop.namespace,
            "get",
            what,
            "-o",
            &format!("jsonpath={path}"),
        ])
    };
    wait_until("the hook to end", || !get("job/verify", "{.status.conditions}").is_empty());
    // What it says at its end is the pod's termination message.
    let pods = ["-n", shop.namespace, "get", "pods", "-l", "job-name=verify", "-o"];
    let ended = "jsonpath={.items[*].status.containerStatuses[*].state.terminated}";
    let ended = control_plane.kubectl(&[&pods[..], &[ended]].concat());
    assert_eq!(get("job/verify", "{.status.succeeded}"), "1", "{ended}");
}
