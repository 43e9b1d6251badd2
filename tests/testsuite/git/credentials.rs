//! Who gets in, and that no secret gets out.

use base64::Engine as _;
use camino::Utf8Path;
use deployctl::git::{GitError, Push, Repository};
use tempfile::TempDir;

use super::Client;
use crate::support::git_server::{HttpGitServer, SshGitServer, world, wrapped_git};

const TOKEN: &str = "canary-7f3a91";

#[tokio::test]
async fn http_lets_in_who_has_the_password() {
    let Some(server) = HttpGitServer::start("bot", TOKEN) else { return };
    let own = [("DEPLOYCTL_GIT_TOKEN", TOKEN), ("DEPLOYCTL_GIT_USERNAME", "bot")];
    let client = Client::with(server.url(), &own).await.unwrap();
    assert_eq!(client.set("a", "1\n").await.unwrap().1, Push::Pushed);
    assert_eq!(server.repository.file("main", "a"), "1\n");
    let tip = client.repository.fetch(Some("main")).await.unwrap();
    let late = super::change(&client.repository, &tip, "a", "late\n");
    client.set("a", "2\n").await.unwrap();
    assert_eq!(client.repository.push(&late, "main", Some(&tip)).await.unwrap(), Push::Raced);
    let wrong = [("DEPLOYCTL_GIT_TOKEN", "canary-wrong"), own[1]];
    for variables in [&wrong[..], &[]] {
        let client = Client::with(server.url(), variables).await.unwrap();
        let error = client.repository.fetch(Some("main")).await.unwrap_err();
        assert!(matches!(error, GitError::Authentication { .. }), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn a_credential_helper_of_ones_own_is_asked() {
    let Some(server) = HttpGitServer::start("bot", TOKEN) else { return };
    let helper = format!("!f() {{ echo username=bot; echo password={TOKEN}; }}; f");
    let variables = [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "credential.helper"),
        ("GIT_CONFIG_VALUE_0", &helper),
    ];
    let client = Client::with(server.url(), &variables).await.unwrap();
    assert_eq!(client.set("a", "1\n").await.unwrap().1, Push::Pushed);
    // A user name in the address is the one that the helper is asked for.
    let named = server.url().replace("://", "://somebody@");
    let echo = "!f() { sed -n 's/^username=/password=/p'; }; f";
    let variables = [variables[0], variables[1], ("GIT_CONFIG_VALUE_0", echo)];
    let client = Client::with(&named, &variables).await.unwrap();
    assert!(!client.repository.remote().contains("somebody"));
    let error = client.repository.fetch(None).await.unwrap_err();
    assert!(matches!(error, GitError::Authentication { .. }), "{error}");
    assert!(!error.to_string().contains("somebody"), "{error}");
}

#[tokio::test]
async fn a_program_that_is_asked_for_passwords_is_asked() {
    let Some(server) = HttpGitServer::start("bot", TOKEN) else { return };
    let dir = TempDir::new().unwrap();
    let program = Utf8Path::from_path(dir.path()).unwrap().join("askpass");
    let script = format!("#!/bin/sh\ncase $1 in User*) echo bot ;; *) echo {TOKEN} ;; esac\n");
    crate::support::executable(&program, &script);
    let asked = [("GIT_ASKPASS", program.as_str())];
    let client = Client::with(server.url(), &asked).await.unwrap();
    assert_eq!(client.set("a", "1\n").await.unwrap().1, Push::Pushed);
    // A token is enough, and nobody is asked when it is wrong.
    let wrong = [asked[0], ("DEPLOYCTL_GIT_TOKEN", "wrong"), ("DEPLOYCTL_GIT_USERNAME", "bot")];
    let client = Client::with(server.url(), &wrong).await.unwrap();
    let error = client.repository.fetch(None).await.unwrap_err();
    assert!(matches!(error, GitError::Authentication { .. }), "{error}");
}

#[tokio::test]
async fn ssh_refuses_a_host_whose_key_has_changed() {
    let Some(server) = SshGitServer::start() else { return };
    let dir = TempDir::new().unwrap();
    let file = Utf8Path::from_path(dir.path()).unwrap().join("known_hosts");
    let names = server.known_host().split(' ').next().unwrap().to_owned();
    let other = std::fs::read_to_string(server.key().with_extension("pub")).unwrap();
    std::fs::write(&file, format!("{names} {other}")).unwrap();
    let ssh =
        format!("ssh -F none -o BatchMode=yes -o UserKnownHostsFile={file} -i {}", server.key());
    let client = Client::with(server.url(), &[("GIT_SSH_COMMAND", &ssh)]).await.unwrap();
    let error = client.repository.fetch(Some("main")).await.unwrap_err();
    assert!(matches!(error, GitError::HostKey { changed: true, .. }), "{error}");
    assert!(error.advice().unwrap().contains("ssh-keygen -R"));
    std::fs::write(&file, "").unwrap();
    let error = client.repository.fetch(Some("main")).await.unwrap_err();
    assert!(matches!(error, GitError::HostKey { changed: false, .. }), "{error}");
    assert!(error.advice().unwrap().contains("add the host's key"));
}

#[tokio::test]
async fn ssh_is_run_as_git_is_set_up_to() {
    let Some(server) = SshGitServer::start() else { return };
    let home = TempDir::new().unwrap();
    let config = format!("[core]\nsshCommand = {}\n", server.ssh_command());
    std::fs::write(home.path().join(".gitconfig"), config).unwrap();
    let environment = world(home.path(), &[]);
    let caches = Utf8Path::from_path(home.path()).unwrap().join("cache");
    let repository = Repository::open(&server.url(), &caches, &environment).await.unwrap();
    repository.fetch(Some("main")).await.unwrap();
}

#[tokio::test]
async fn ssh_lets_in_who_has_the_key() {
    let Some(server) = SshGitServer::start() else { return };
    let ssh = server.ssh_command();
    let client = Client::with(server.url(), &[("GIT_SSH_COMMAND", &ssh)]).await.unwrap();
    assert_eq!(client.set("a", "1\n").await.unwrap().1, Push::Pushed);
    assert_eq!(server.repository.file("main", "a"), "1\n");
    let stranger = server.stranger();
    let client = Client::with(server.url(), &[("GIT_SSH_COMMAND", &stranger)]).await.unwrap();
    let error = client.repository.fetch(Some("main")).await.unwrap_err();
    assert!(matches!(error, GitError::Authentication { .. }), "{error}");
    let client = Client::with(server.url(), &[]).await.unwrap();
    let error = client.repository.fetch(Some("main")).await.unwrap_err();
    assert!(matches!(error, GitError::HostKey { .. }), "{error}");
}

#[tokio::test]
async fn a_token_reaches_git_by_its_environment_and_nothing_else() {
    let Some(server) = HttpGitServer::start("x-access-token", TOKEN) else { return };
    let dir = TempDir::new().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let noted = format!("printf '%s\\n' \"$*\" >>'{dir}/argv'\nenv >>'{dir}/env'");
    let path = wrapped_git(dir, &noted);
    let variables = [("PATH", path.as_str()), ("DEPLOYCTL_GIT_TOKEN", TOKEN), ("GIT_TRACE", "1")];
    let client = Client::with(server.url(), &variables).await.unwrap();
    client.set("a", "1\n").await.unwrap();
    server.repository.hook("echo \"no, $GIT_HTTP_AUTHORIZATION\" >&2; env >&2; exit 1");
    let refused = client.set("a", "2\n").await.unwrap_err();
    assert!(matches!(refused, GitError::Refused { .. }), "{refused}");
    let tip = client.repository.fetch(None).await.unwrap();
    client.repository.log(&tip, Utf8Path::new(""), 5).await.unwrap();

    let encoded =
        base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{TOKEN}"));
    let is_clean = |what: &str, text: &str| {
        assert!(!text.contains(TOKEN) && !text.contains(&encoded), "{what}: {text}");
    };
    is_clean("arguments", &std::fs::read_to_string(dir.join("argv")).unwrap());
    is_clean("error", &format!("{refused} {refused:?}"));
    is_clean("debug", &format!("{:?}", client.repository));
    let grep = std::process::Command::new("grep")
        .args(["-rlaE", &format!("{TOKEN}|{encoded}"), client.home.path().to_str().unwrap()])
        .output()
        .unwrap();
    is_clean("files", &String::from_utf8(grep.stdout.clone()).unwrap());
    assert!(grep.stdout.is_empty());
    let environment = std::fs::read_to_string(dir.join("env")).unwrap();
    assert!(environment.contains(&encoded), "the test must see the environment");
    assert!(!environment.contains(TOKEN), "the child needs the header only");
}

#[tokio::test]
async fn a_password_that_configuration_adds_to_the_address_is_not_shown() {
    let port = crate::support::free_port();
    let url = format!("http://127.0.0.1:{port}/x.git");
    let key = format!("url.http://bot:{TOKEN}@127.0.0.1:{port}/.insteadOf");
    let value = format!("http://127.0.0.1:{port}/");
    let variables =
        [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", &key), ("GIT_CONFIG_VALUE_0", &value)];
    let client = Client::with(&url, &variables).await.unwrap();
    let error = client.repository.fetch(None).await.unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains(TOKEN), "{error}");
}

#[tokio::test]
async fn who_may_read_may_not_always_push_or_see_everything() {
    let Some(server) = HttpGitServer::start("bot", TOKEN) else { return };
    let own = [("DEPLOYCTL_GIT_TOKEN", TOKEN), ("DEPLOYCTL_GIT_USERNAME", "bot")];
    server.repository.git(&["config", "http.receivepack", "false"]);
    let error = Client::with(server.url(), &own).await.unwrap().set("a", "1\n").await.unwrap_err();
    assert!(matches!(error, GitError::Forbidden { .. }), "{error}");
    assert!(error.advice().unwrap().contains("write access"));
    let elsewhere = server.url().replace("manifests", "none");
    let client = Client::with(elsewhere, &own).await.unwrap();
    let error = client.repository.fetch(None).await.unwrap_err();
    assert!(matches!(error, GitError::NoRepository { .. }), "{error}");
    let Some(server) = SshGitServer::start() else { return };
    let (ssh, elsewhere) = (server.ssh_command(), server.url().replace("manifests", "none"));
    let client = Client::with(elsewhere, &[("GIT_SSH_COMMAND", &ssh)]).await.unwrap();
    let error = client.repository.fetch(None).await.unwrap_err();
    assert!(matches!(error, GitError::NoRepository { .. }), "{error}");
}
