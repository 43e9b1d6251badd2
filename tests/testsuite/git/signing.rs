//! Commits that are signed as git's settings say, and verified by git.

use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::git::{Authorship, CommitId, GitError, authorship};
use deployctl::system::Environment;
use jiff::Timestamp;
use tempfile::TempDir;

use super::{Client, files};
use crate::support::git_server::{GitServer, world};
use crate::support::{SshAgent, peer};

/// A home folder in which somebody has set git up, and a manifests repository.
struct Signing {
    home: TempDir,
    server: GitServer,
    client: Client,
}

impl Signing {
    /// `config` follows the names, in `~/.gitconfig`; `~` in it is the home folder.
    async fn new(config: &str) -> Self {
        let home = TempDir::new().unwrap();
        let server = GitServer::bare(&[("a", "1\n")]);
        let client = Client::of(server.path()).await;
        let signing = Self { home, server, client };
        signing.configure(config);
        signing
    }

    fn configure(&self, config: &str) {
        let person = "[user]\nname = Ada\nemail = ada@example.com\n[commit]\ngpgSign = true\n";
        std::fs::write(self.path(".gitconfig"), format!("{person}{config}")).unwrap();
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.home.path()).unwrap().join(name)
    }

    fn environment(&self, variables: &[(&str, &str)]) -> Environment {
        let keys = self.path("gnupg");
        let variables = variables.iter().copied().chain([("GNUPGHOME", keys.as_str())]);
        world(self.home.path(), &variables.collect::<Vec<_>>())
    }

    async fn authorship(&self, variables: &[(&str, &str)]) -> Result<Authorship, GitError> {
        authorship(&self.environment(variables), &self.path(""), None).await
    }

    /// Commits as the settings say.
    async fn commit(&self, variables: &[(&str, &str)]) -> Result<CommitId, GitError> {
        let authorship = self.authorship(variables).await?;
        let repository = &self.client.repository;
        let tip = repository.fetch(None).await?;
        let (changes, time) =
            (files(&[("a", tip.as_str())]), Timestamp::from_second(1_800_000_000).unwrap());
        let commit = repository.commit(&tip, &changes, "a: 2\n", &authorship, time).await?;
        let commit = commit.unwrap();
        repository.push(&commit, "main", Some(&tip)).await?;
        Ok(commit)
    }

    /// Returns what `git log --show-signature` says of the tip, which `git verify-commit` accepts.
    fn verified(&self, program: &str) -> String {
        let signers = format!("gpg.ssh.allowedSignersFile={}", self.path("signers"));
        let run = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.current_dir(self.server.path()).env_clear();
            command.envs(self.environment(&[]).iter()).args(["-c", &signers, "-c", program]);
            let output = command.args(arguments).output().unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            (output.status.success(), format!("{}{}", text(output.stdout), text(output.stderr)))
        };
        let (good, said) = run(&["verify-commit", "main"]);
        assert!(good, "{said}");
        self.server.git(&["fsck", "--strict"]);
        run(&["log", "-1", "--show-signature", "--format=%G? %an %cn %s", "main"]).1
    }

    /// Makes an SSH key, which `git` accepts, with this passphrase.
    fn ssh_key(&self, name: &str, passphrase: &str) -> Option<Utf8PathBuf> {
        let path = self.path(name);
        let made = Command::new(peer("ssh-keygen")?)
            .args(["-q", "-t", "ed25519", "-C", "ada", "-N", passphrase, "-f", path.as_str()])
            .status();
        assert!(made.unwrap().success());
        let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        std::fs::write(self.path("signers"), format!("ada@example.com {public}")).unwrap();
        Some(path)
    }
}

#[tokio::test]
async fn an_ssh_key_in_a_file_signs() {
    let signing = Signing::new("[gpg]\nformat = ssh\n").await;
    let Some(key) = signing.ssh_key("id", "") else { return };
    // As git does, from the home folder.
    for key in ["~/id", "~/id.pub", "id", key.as_str()] {
        signing.configure(&format!("[gpg]\nformat = ssh\n[user]\nsigningKey = {key}\n"));
        let signing_key = signing.authorship(&[]).await.unwrap();
        assert!(signing_key.signer.is_some());
    }
    signing.commit(&[]).await.unwrap();
    let said = signing.verified("gpg.format=ssh");
    assert!(said.contains("Good \"git\" signature for ada@example.com"), "{said}");
    assert!(said.contains("G Ada Ada a: 2"), "{said}");
}

#[tokio::test]
async fn an_ssh_key_in_the_agent_signs() {
    let signing = Signing::new("").await;
    let Some(key) = signing.ssh_key("id", "") else { return };
    let Some(agent) = SshAgent::start(&key) else { return };
    let socket = agent.socket();
    let variables = [("SSH_AUTH_SOCK", socket.as_str())];
    std::fs::remove_file(&key).unwrap();
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let settings = [
        format!("[gpg]\nformat = ssh\n[user]\nsigningKey = \"key::{}\"\n", public.trim()),
        "[gpg]\nformat = ssh\n[gpg \"ssh\"]\ndefaultKeyCommand = ssh-add -L\n".to_owned(),
        "[gpg]\nformat = ssh\n[user]\nsigningKey = ~/id.pub\n".to_owned(),
    ];
    for settings in settings {
        signing.configure(&settings);
        signing.commit(&variables).await.unwrap();
        assert!(signing.verified("gpg.format=ssh").contains("Good \"git\" signature"));
        let first = signing.server.git(&["rev-list", "--max-parents=0", "main"]);
        signing.server.git(&["update-ref", "refs/heads/main", first.trim()]);
    }
}

#[tokio::test]
async fn a_gpg_key_signs() {
    let signing = Signing::new("").await;
    let Some(gpg) = peer("gpg") else { return };
    let keys = signing.path("gnupg");
    make_private(&keys);
    let _agent = GpgAgent(keys.clone());
    let made = Command::new(gpg)
        .args(["--homedir", keys.as_str(), "--batch", "--quiet", "--passphrase", ""])
        .args(["--quick-generate-key", "Ada <ada@example.com>", "ed25519", "sign", "never"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // The key is found by the committer's name.
    signing.commit(&[]).await.unwrap();
    let said = signing.verified("gpg.program=gpg");
    assert!(said.contains("Good signature from \"Ada <ada@example.com>\""), "{said}");
    signing.configure("[user]\nsigningKey = eve@example.com\n");
    let tip = signing.server.git(&["rev-parse", "main"]);
    let error = signing.commit(&[]).await.unwrap_err();
    assert!(matches!(error, GitError::Signing { .. }), "{error}");
    assert!(error.to_string().contains("No secret key"), "{error}");
    assert!(error.advice().unwrap().contains("git commit -S"));
    assert_eq!(signing.server.git(&["rev-parse", "main"]), tip);
}

#[tokio::test]
async fn an_x509_certificate_signs() {
    let settings = "[gpg]\nformat = x509\n[user]\nsigningKey = ada@example.com\n";
    let signing = Signing::new(settings).await;
    let (Some(gpgsm), Some(openssl)) = (peer("gpgsm"), peer("openssl")) else { return };
    let keys = signing.path("gnupg");
    make_private(&keys);
    let _agent = GpgAgent(keys.clone());
    std::fs::write(keys.join("gpgsm.conf"), "disable-crl-checks\n").unwrap();
    certificate(openssl.to_str().unwrap(), &keys);
    let mut import = Command::new(gpgsm);
    import.args(["--homedir", keys.as_str(), "--batch", "--pinentry-mode", "loopback"]);
    // The passphrase of the file, and of the key from then on, is empty.
    import.args(["--passphrase-fd", "0", "--import"]).arg(keys.join("key.p12"));
    let made = import.stdin(std::process::Stdio::null()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    signing.commit(&[]).await.unwrap();
    let said = signing.verified("gpg.format=x509");
    assert!(said.contains("Good signature from \"/CN=Ada/EMail=ada@example.com\""), "{said}");
    assert!(said.contains("G Ada Ada a: 2"), "{said}");
    signing.configure(&settings.replace("ada", "eve"));
    let tip = signing.server.git(&["rev-parse", "main"]);
    let error = signing.commit(&[]).await.unwrap_err();
    assert!(matches!(error, GitError::Signing { .. }), "{error}");
    assert!(error.to_string().starts_with("can't sign the commit with `gpgsm`: "), "{error}");
    assert_eq!(signing.server.git(&["rev-parse", "main"]), tip);
}

/// Makes a certificate that Ada has signed herself, and has it trusted in the folder `keys`.
fn certificate(openssl: &str, keys: &Utf8Path) {
    let run = |arguments: &[&str]| {
        let output = Command::new(openssl).args(arguments).current_dir(keys).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run(&[
        &["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "ada.pem"],
        &["-days", "36500", "-subj", "/CN=Ada/emailAddress=ada@example.com"][..],
        &["-addext", "keyUsage=digitalSignature"],
        &["-addext", "subjectAltName=email:ada@example.com"],
    ]
    .concat());
    // What gpgsm reads, and OpenSSL 3 writes without its provider of old algorithms.
    run(&[
        &["pkcs12", "-export", "-in", "ada.pem", "-inkey", "key.pem", "-passout", "pass:"][..],
        &["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"],
        &["-out", "key.p12"],
    ]
    .concat());
    let told = run(&["x509", "-in", "ada.pem", "-noout", "-fingerprint", "-sha1"]);
    let fingerprint = told.trim().split_once('=').unwrap().1;
    std::fs::write(keys.join("trustlist.txt"), format!("{fingerprint} S relax\n")).unwrap();
}

/// gpg starts an agent for its folder, which lives on; this stops it.
struct GpgAgent(Utf8PathBuf);

impl Drop for GpgAgent {
    fn drop(&mut self) {
        let arguments = ["--homedir", self.0.as_str(), "--kill", "all"];
        let _ = Command::new("gpgconf").args(arguments).status();
    }
}

fn make_private(dir: &Utf8Path) {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().mode(0o700).create(dir).unwrap();
}

#[tokio::test]
async fn a_key_with_a_passphrase_is_refused_without_a_question() {
    let signing = Signing::new("[gpg]\nformat = ssh\n[user]\nsigningKey = ~/id\n").await;
    if signing.ssh_key("id", "secret").is_none() {
        return;
    }
    let error = signing.commit(&[]).await.unwrap_err();
    assert!(matches!(error, GitError::Signing { .. }), "{error}");
    assert!(error.to_string().contains("incorrect passphrase"), "{error}");
}

#[tokio::test]
async fn a_program_of_ones_own_signs_and_sees_no_token() {
    let signing = Signing::new("[gpg]\nprogram = ~/sign\n[user]\nsigningKey = K1\n").await;
    let seen = signing.path("seen");
    let script = format!(
        "#!/bin/sh\necho \"$@\" >{seen}\nenv >>{seen}\ncat >>{seen}\n\
         echo '[GNUPG:] SIG_CREATED ' >&2\necho '-----BEGIN PGP SIGNATURE-----'\n\
         printf 'x\\r\\n'\necho '-----END PGP SIGNATURE-----'\n"
    );
    crate::support::executable(&signing.path("sign"), &script);
    signing.commit(&[("DEPLOYCTL_GIT_TOKEN", "canary"), ("GITHUB_TOKEN", "canary")]).await.unwrap();
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.starts_with("--status-fd=2 -bsau K1\n"), "{seen}");
    assert!(seen.contains("\nauthor Ada <ada@example.com> 1800000000 +0000\n"), "{seen}");
    assert!(!seen.contains("canary"), "{seen}");
    let commit = signing.server.git(&["cat-file", "commit", "main"]);
    assert!(commit.contains("gpgsig -----BEGIN PGP SIGNATURE-----\n x\n"), "{commit}");
}

#[tokio::test]
async fn a_setting_that_can_not_be_meant_is_told() {
    let told = [
        ("[gpg]\nformat = pgp\n", "invalid value for `gpg.format`: `pgp`"),
        ("[gpg]\nformat = ssh\n", "neither `user.signingKey` nor `gpg.ssh.defaultKeyCommand`"),
        ("[commit]\ngpgSign = maybe\n", "bad boolean value `maybe` for `commit.gpgsign`"),
    ];
    let signing = Signing::new("").await;
    for (settings, message) in told {
        signing.configure(settings);
        let error = signing.authorship(&[]).await.unwrap_err();
        assert!(matches!(error, GitError::Settings { .. }), "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
    signing.configure("[gpg]\nformat = ssh\n[gpg \"ssh\"]\ndefaultKeyCommand = false\n");
    let error = signing.commit(&[]).await.unwrap_err().to_string();
    assert!(error.contains("`gpg.ssh.defaultKeyCommand` printed no key"), "{error}");
    signing.configure("[gpg]\nprogram = ~/none\n");
    let error = signing.commit(&[]).await.unwrap_err().to_string();
    assert!(error.contains("can't sign the commit with"), "{error}");
}
