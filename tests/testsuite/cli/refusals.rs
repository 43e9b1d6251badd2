//! What is refused, by whom and why: one message that says what to do, the exit code for it, and
//! nothing written.

use super::shop::{DIGEST, Shop};
use crate::support::git_server::{HttpGitServer, SshGitServer, git};
use crate::support::{Ran, RegistryServer, free_port, peer};

/// Holds of every refusal: one error, what to do about it, and no answer.
#[track_caller]
fn refused(ran: &Ran, code: i32, error: &str, hint: &str) {
    assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{ran:#?}");
    let count = |start: &str| ran.stderr.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((count("error: "), count("hint: ")), (1, 1), "{}", ran.stderr);
    assert!(ran.stderr.contains(error), "{error}: {}", ran.stderr);
    let told = ran.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap();
    assert!(told.contains(hint), "{hint}: {}", ran.stderr);
}

fn image() -> String {
    format!("ranking=:1.4@{DIGEST}")
}

impl Shop {
    /// Runs `set`, which must fail so and leave the branch alone.
    #[track_caller]
    fn refuses(&self, code: i32, error: &str, hint: &str) {
        let tip = self.manifests.git(&["rev-parse", "main"]);
        let ran = self.world.run(&["set", "--env", "dev", &image()]);
        refused(&ran, code, error, hint);
        assert_eq!(self.manifests.git(&["rev-parse", "main"]), tip);
    }

    /// Commits `change` (a shell script) to the manifests.
    fn commit(&self, change: &str) {
        let work = self.world.path().join("work");
        if !work.exists() {
            git(self.world.path(), &["clone", "-q", self.manifests.path().as_str(), "work"]);
        }
        git(&work, &["pull", "-q"]);
        let mut shell = std::process::Command::new("sh");
        assert!(shell.args(["-euc", change]).current_dir(&work).status().unwrap().success());
        git(&work, &["add", "-A"]);
        git(&work, &["commit", "-q", "-m", "change"]);
        git(&work, &["push", "-q", "origin", "HEAD:main"]);
    }
}

const OVERLAY: &str = "apps/ranking/overlays/dev/kustomization.yaml";

#[test]
fn an_overlay_that_is_not_there_or_there_twice() {
    let shop = Shop::new();
    shop.commit(&format!("cp {OVERLAY} apps/ranking/overlays/dev/kustomization.yml"));
    shop.refuses(1, "has both `kustomization.yaml` and `kustomization.yml`", "remove one");
    shop.commit("rm apps/ranking/overlays/dev/*; touch apps/ranking/overlays/dev/README.md");
    shop.refuses(
        1,
        "no kustomization in `apps/ranking/overlays/dev`",
        "`overlay` in deployctl.yaml",
    );
    shop.commit("rm -r apps/ranking/overlays/dev");
    shop.refuses(
        1,
        "no kustomization in `apps/ranking/overlays/dev`",
        "`overlay` in deployctl.yaml",
    );
    let ran = shop.world.run(&["promote", "--to", "prod"]);
    refused(&ran, 1, "can't promote `ranking` from `dev`", "`overlay` in deployctl.yaml");
    // What the other environment states is worth knowing all the same.
    assert!(shop.world.ok(&["status"]).contains("ranking in dev: no kustomization in"));
}

#[test]
fn an_overlay_that_is_broken() {
    let shop = Shop::new();
    shop.commit(&format!("printf 'images: [\\n' > {OVERLAY}"));
    shop.refuses(1, "line 1, column 9: unclosed bracket", "correct the file");
    let entry = "- {name: registry.example.com/shop/ranking, newTag: a}\\n";
    shop.commit(&format!("printf 'images:\\n{entry}{entry}' > {OVERLAY}"));
    shop.refuses(
        1,
        "line 3: image `registry.example.com/shop/ranking` is on line 2 already",
        "correct",
    );
    shop.commit(&format!("printf 'images: {{a: b}}\\n' > {OVERLAY}"));
    shop.refuses(1, OVERLAY, "correct the file");
    shop.commit(&format!("printf '\\377\\376' > {OVERLAY}"));
    shop.refuses(1, "not UTF-8", "correct the file");
}

#[test]
fn an_overlay_that_does_not_know_the_image() {
    let shop = Shop::new();
    shop.commit(&format!(
        "sed -i s,registry.example.com/shop/ranking,busybox, apps/ranking/base/deployment.yaml {OVERLAY}"
    ));
    shop.refuses(
        1,
        "has no entry for `registry.example.com/shop/ranking` in `images:`; it has entries for busybox",
        "imageInManifests",
    );
}

#[test]
fn an_overlay_whose_base_uses_the_image_gets_an_entry() {
    if peer("kubectl").is_none() {
        return;
    }
    let shop = Shop::new();
    shop.commit(&format!("printf 'resources: [../../base]\\n' > {OVERLAY}"));
    shop.world.ok(&["set", "--env", "dev", &image()]);
    let expected = format!(
        "resources: [../../base]\nimages:\n- name: registry.example.com/shop/ranking\n  newTag: \"1.4\"\n  digest: {DIGEST}\n"
    );
    assert_eq!(shop.overlay("dev"), expected);
}

#[test]
fn an_image_without_digest_is_not_promoted() {
    let shop = Shop::new();
    shop.commit(&format!("sed -i /digest:/d {OVERLAY}"));
    let ran = shop.world.run(&["promote", "--to", "prod"]);
    refused(
        &ran,
        1,
        "states `registry.example.com/shop/ranking:old` without a digest",
        "deployctl set",
    );
}

#[test]
fn a_registry_that_refuses_or_is_not_there() {
    let Some(registry) = RegistryServer::start_htpasswd("ada", "right") else { return };
    let shop = Shop::new();
    let set = |domain: &str| {
        let image = format!("ranking={domain}/shop/ranking:1.4");
        shop.world.run(&["set", "--env", "dev", &image])
    };
    refused(&set(registry.domain()), 1, registry.domain(), "docker login");
    let login = |password: &str| {
        use base64::Engine as _;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("ada:{password}"));
        let text =
            format!("{{\"auths\": {{\"{}\": {{\"auth\": \"{pair}\"}}}}}}", registry.domain());
        shop.world.write("home/.docker/config.json", &text);
    };
    login("wrong-canary");
    let ran = set(registry.domain());
    refused(&ran, 1, registry.domain(), "docker login");
    assert!(!ran.stderr.contains("canary"), "{}", ran.stderr);
    login("right");
    refused(&set(registry.domain()), 1, "there is no image", "`deployctl build`");
    let nobody = format!("127.0.0.1:{}", free_port());
    refused(
        &set(&nobody),
        1,
        &format!("can't reach registry `{nobody}`"),
        "check the registry's name",
    );
}

#[test]
fn a_git_server_that_wants_other_credentials() {
    let Some(server) = HttpGitServer::start("x-access-token", "right-token") else { return };
    let mut shop = Shop::new();
    shop.configure(&server.url(), "");
    let status = |shop: &Shop| shop.world.run(&["status"]);
    refused(&status(&shop), 1, "refused the credentials", "DEPLOYCTL_GIT_TOKEN");
    shop.world = shop.world.with("DEPLOYCTL_GIT_TOKEN", "wrong-canary");
    let ran = status(&shop);
    refused(&ran, 1, "refused the credentials", "DEPLOYCTL_GIT_TOKEN");
    assert!(!ran.stderr.contains("canary"), "{}", ran.stderr);
    shop.world = shop.world.with("DEPLOYCTL_GIT_TOKEN", "right-token");
    assert!(shop.world.ok(&["status"]).contains("no kustomization"));
}

#[test]
fn a_git_server_that_lets_read_and_not_write() {
    let Some(server) = HttpGitServer::start("x-access-token", "token") else { return };
    let shop = Shop::new();
    let main = shop.manifests.git(&["rev-parse", "main"]);
    let target = server.repository.path();
    git(&shop.manifests.path(), &["push", "-q", "--force", target.as_str(), "main"]);
    server.repository.git(&["config", "http.receivepack", "false"]);
    shop.configure(&server.url(), "");
    let world = shop.world.with("DEPLOYCTL_GIT_TOKEN", "token");
    let ran = world.run(&["set", "--env", "dev", &image()]);
    refused(&ran, 1, "no permission on", "write access");
    assert_eq!(server.repository.git(&["rev-parse", "main"]), main);
}

#[test]
fn a_git_server_that_does_not_know_the_key() {
    let Some(server) = SshGitServer::start() else { return };
    let mut shop = Shop::new();
    shop.configure(&server.url(), "");
    shop.world = shop.world.with("GIT_SSH_COMMAND", &server.stranger());
    refused(&shop.world.run(&["status"]), 1, "refused the credentials", "ssh-agent");
    shop.world = shop.world.with("GIT_SSH_COMMAND", &server.ssh_command());
    assert!(shop.world.ok(&["status"]).contains("no kustomization"));
}

#[test]
fn a_git_server_that_is_not_there() {
    let shop = Shop::new();
    let url = format!("http://127.0.0.1:{}/shop/manifests.git", free_port());
    shop.configure(&url, "");
    refused(&shop.world.run(&["status"]), 1, &format!("can't reach `{url}`"), "network");
    shop.configure(shop.world.path().join("nothing.git").as_str(), "");
    refused(&shop.world.run(&["status"]), 1, "there is no repository at", "manifests.repo");
}

#[test]
fn a_protected_branch_says_what_its_hook_says() {
    let shop = Shop::new();
    shop.manifests.hook("echo 'main is protected: open a pull request' >&2; exit 1");
    shop.refuses(
        1,
        "pre-receive hook declined\n  main is protected: open a pull request\n",
        "via: pull-request",
    );
}

#[test]
fn a_branch_that_does_not_exist() {
    let shop = Shop::new();
    let config = shop.world.read("deployctl.yaml").replace("branch: main", "branch: mian");
    shop.world.write("deployctl.yaml", &config);
    shop.refuses(1, "has no branch `mian`; it has `main`", "manifests.branch");
}

#[test]
fn a_revision_that_does_not_exist() {
    let shop = Shop::new();
    for revision in ["nope", "0123456789abcdef0123456789abcdef01234567", "1234567", "--all", "a:b"]
    {
        let ran = shop.world.run(&["diff", &format!("{revision}..main")]);
        if revision.starts_with('-') {
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:#?}");
            continue;
        }
        refused(&ran, 1, &format!("has no commit `{revision}`"), "deployctl history");
    }
}

#[test]
fn a_source_that_is_in_no_repository() {
    let shop = Shop::new();
    let config = shop.world.read("deployctl.yaml");
    let start = config.find("manifests:").unwrap();
    let end = start + config[start..].find('\n').unwrap() + 1;
    shop.world.write("deployctl.yaml", &format!("{}{}", &config[..start], &config[end..]));
    refused(&shop.world.run(&["status"]), 2, "is in no git repository", "`manifests.repo`");
}

#[test]
fn nobody_to_commit_as() {
    let mut shop = Shop::new();
    shop.world = shop.world.with("GIT_AUTHOR_NAME", "").with("GIT_AUTHOR_EMAIL", "");
    shop.refuses(1, "no git identity", "`git config user.name`");
    shop.world.write("home/.gitconfig", "[user]\nname = Grace\nemail = grace@example.com\n");
    shop.world.ok(&["set", "--env", "dev", &image()]);
    assert_eq!(shop.manifests.git(&["log", "-1", "--format=%an", "main"]), "Grace\n");
}

const KUBECONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: home\n\
    clusters: [{name: c, cluster: {server: 'https://127.0.0.1:PORT'}}]\n\
    users: [{name: u, user: {token: canary}}]\n\
    contexts: [{name: home, context: {cluster: c, user: u}}]\n";

#[test]
fn no_cluster_or_one_that_does_not_answer() {
    let mut shop = Shop::new();
    let verify = ["verify", "--env", "dev"];
    refused(&shop.world.run(&verify), 1, "there is no kubeconfig", "KUBECONFIG");
    // Nothing to look at is no reason not to promote.
    let ran = shop.world.run(&["promote", "--to", "prod", "--dry-run"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stderr.contains("not checked whether dev is healthy"), "{ran:#?}");

    let kubeconfig = KUBECONFIG.replace("PORT", &free_port().to_string());
    let file = shop.world.write("kubeconfig", &kubeconfig);
    shop.world = shop.world.with("KUBECONFIG", file.as_str());
    refused(&shop.world.run(&verify), 1, "can't reach the cluster at `https://127.0.0.1:", "is up");
    let ran = shop.world.run(&["promote", "--to", "prod"]);
    refused(&ran, 1, "can't check whether `dev` is healthy", "--unproven");
}

#[test]
fn a_cluster_that_says_nothing_uses_up_the_time_and_no_more() {
    // The kernel takes the connection; nobody ever answers it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let mut shop = Shop::new();
    let file = shop.world.write("kubeconfig", &KUBECONFIG.replace("PORT", &port));
    shop.world = shop.world.with("KUBECONFIG", file.as_str());
    let ran = shop.world.run(&["verify", "--env", "dev", "--timeout", "1s"]);
    assert_eq!(ran.code, 5, "{ran:#?}");
    assert!(ran.stdout.contains("timed-out: the cluster did not answer within 1 s"), "{ran:#?}");
}

#[test]
fn a_context_that_is_misspelt_does_not_pass_for_no_cluster() {
    let mut shop = Shop::new();
    let file = shop.world.write("kubeconfig", &KUBECONFIG.replace("PORT", "1"));
    shop.world = shop.world.with("KUBECONFIG", file.as_str());
    let config = shop.world.read("deployctl.yaml");
    let config = config.replace("overlays/dev\n", "overlays/dev\n    context: hoem\n");
    shop.world.write("deployctl.yaml", &config);
    let ran = shop.world.run(&["verify", "--env", "dev"]);
    refused(&ran, 2, "there is no context `hoem`; the kubeconfig has `home`", "`context`");
    let ran = shop.world.run(&["promote", "--to", "prod"]);
    refused(&ran, 2, "there is no context `hoem`; the kubeconfig has `home`", "--unproven");
}

#[test]
fn an_error_leaves_standard_output_alone_for_programs_too() {
    let shop = Shop::new();
    shop.manifests.hook("exit 1");
    let ran = shop.world.run(&["--output", "json", "set", "--env", "dev", &image()]);
    refused(&ran, 1, "pre-receive hook declined", "via: pull-request");
}

#[test]
fn a_word_that_would_be_an_image_of_docker_hub() {
    let shop = Shop::new();
    let ran = shop.world.run(&["set", "--env", "dev", "ranking=1.5"]);
    refused(&ran, 2, "`1.5` would be the image `docker.io/library/1.5`", "`ranking=:1.5`");
}

#[test]
fn auto_merge_where_nothing_is_merged() {
    let shop = Shop::new();
    let ran = shop.world.run(&["set", "--env", "dev", "--auto-merge", &image()]);
    refused(&ran, 2, "--auto-merge has nothing to merge", "via: pull-request");
}

#[test]
fn a_service_that_is_there_twice_in_the_configuration() {
    let shop = Shop::new();
    let config = shop.world.read("deployctl.yaml");
    shop.world.write("deployctl.yaml", &format!("{config}  ranking: {{image: other}}\n"));
    let ran = shop.world.run(&["status"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("key `ranking` is there already, in line "), "{ran:#?}");
}

#[test]
fn less_than_two_things_to_compare() {
    let shop = Shop::new();
    for (arguments, message) in [
        (&["diff", "--from", "dev"][..], "no environment to compare it with"),
        (&["diff", "--to", "dev"], "no environment to compare with it"),
        (&["diff"], "there is nothing to compare"),
    ] {
        refused(&shop.world.run(arguments), 2, message, "--from ");
    }
    let ran = shop.world.run(&["diff", "main~1..main"]);
    refused(&ran, 1, "has no commit `main~1`", "`~` and `^` are not read");
}

#[test]
fn two_images_for_one_service() {
    let shop = Shop::new();
    let ran = shop.world.run(&["set", "--env", "dev", &image(), &image()]);
    refused(&ran, 2, "`ranking` is given two images", "once");
}

#[test]
fn files_that_are_not_there_or_can_not_be_written() {
    let shop = Shop::new();
    let edit = ["edit", "set-image", "-C", "nowhere", "a=b:1"];
    refused(&shop.world.run(&edit), 2, "no kustomization in `nowhere`", "check the path");
    shop.world.write("k/kustomization.yaml", "");
    let edit = ["edit", "set-image", "-C", "k/kustomization.yaml", "a=b:1"];
    refused(&shop.world.run(&edit), 2, "`k/kustomization.yaml` is a file", "`-C k`");
    refused(
        &shop.world.run(&["status", "--config", "no.yaml"]),
        2,
        "can't read `no.yaml`",
        "--config",
    );
    let config = shop.world.read("deployctl.yaml");
    let build = "    build: {context: files, layers: [{from: app, to: /app}]}\n";
    shop.world.write("deployctl.yaml", &format!("{config}{build}"));
    let build = ["build", "--layout", "/proc/nowhere"];
    refused(&shop.world.run(&build), 1, "can't use `[WORLD]/files`", "`context` and `layers`");
    shop.world.write("files/app", "app");
    refused(&shop.world.run(&build), 1, "can't access `/proc/nowhere", "--layout");
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = shop.world.command(&["status"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.starts_with(b"error: can't write to standard output: "));
}

#[test]
fn a_cache_that_can_not_be_written() {
    let mut shop = Shop::new();
    shop.world = shop.world.with("DEPLOYCTL_CACHE_DIR", "/proc/nowhere");
    shop.refuses(1, "can't use the git cache `/proc/nowhere/git/", "`DEPLOYCTL_CACHE_DIR`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_to_verify_that_does_not_exist() {
    use wiremock::matchers::any;
    use wiremock::{Mock, MockServer, ResponseTemplate};
    let cluster = MockServer::start().await;
    let version = serde_json::json!({"major": "1", "minor": "31", "gitVersion": "v1.31.0"});
    let answer = ResponseTemplate::new(200).set_body_json(version);
    Mock::given(any()).respond_with(answer).mount(&cluster).await;
    let mut shop = Shop::new();
    let kubeconfig = KUBECONFIG.replace("https://127.0.0.1:PORT", &cluster.uri());
    let file = shop.world.write("kubeconfig", &kubeconfig);
    shop.world = shop.world.with("KUBECONFIG", file.as_str());
    let ran = shop.world.run(&["verify", "--env", "dev", "--revision", "nope"]);
    refused(&ran, 1, "has no commit `nope`", "a commit id");
}
