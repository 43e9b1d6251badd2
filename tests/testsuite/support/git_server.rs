//! Git servers: a bare repository in a folder, and the same behind HTTP and SSH.

use std::path::Path;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use deployctl::system::Environment;
use tempfile::TempDir;

use super::git_http::HttpServer;
use super::{Server, executable, free_port, peer, wait_until};

/// A bare repository with a first commit on `main`.
pub(crate) struct GitServer {
    dir: TempDir,
}

impl GitServer {
    /// Returns a repository whose branch `main` has one commit with `files`.
    pub(crate) fn bare(files: &[(&str, &str)]) -> Self {
        let server = Self::empty();
        let work = TempDir::new().unwrap();
        let work = Utf8Path::from_path(work.path()).unwrap();
        git(work, &["init", "-q", "-b", "main", "."]);
        for (path, text) in files {
            let path = work.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        git(work, &["add", "-A"]);
        git(work, &["commit", "-q", "--allow-empty", "-m", "first"]);
        git(work, &["push", "-q", server.path().as_str(), "main"]);
        server
    }

    /// Returns a repository without any commit.
    pub(crate) fn empty() -> Self {
        let server = Self { dir: TempDir::new().unwrap() };
        git(server.folder(), &["init", "-q", "--bare", "-b", "main", "manifests.git"]);
        git(&server.path(), &["config", "http.receivepack", "true"]);
        server
    }

    /// Returns where it is, for use as a path remote.
    pub(crate) fn path(&self) -> Utf8PathBuf {
        self.folder().join("manifests.git")
    }

    /// Returns what `git ARGUMENTS` prints in it.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.path(), arguments)
    }

    /// Waits until those pushes have ended whose senders were killed, and checks all objects.
    ///
    /// # Panics
    ///
    /// Panics if they don't come to be sound.
    pub(crate) fn fsck_at_rest(&self) {
        for _ in 0..40 {
            let mut fsck = Command::new("git");
            fsck.args(["fsck", "--strict"]).current_dir(self.path());
            if fsck.output().unwrap().status.success() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(250));
        }
        self.git(&["fsck", "--strict"]);
    }

    /// Returns the content of `path` on `branch`.
    pub(crate) fn file(&self, branch: &str, path: &str) -> String {
        self.git(&["show", &format!("{branch}:{path}")])
    }

    /// Commits `files` to `branch`, as somebody else would.
    pub(crate) fn commit(&self, branch: &str, files: &[(&str, &str)]) {
        let work = TempDir::new().unwrap();
        let work = Utf8Path::from_path(work.path()).unwrap();
        git(work, &["clone", "-q", "-b", branch, self.path().as_str(), "."]);
        for (path, text) in files {
            let path = work.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        git(work, &["add", "-A"]);
        git(work, &["commit", "-q", "-m", "by somebody else"]);
        git(work, &["push", "-q", "origin", branch]);
    }

    /// Makes `script` its pre-receive hook.
    pub(crate) fn hook(&self, script: &str) {
        self.hook_named("pre-receive", script);
    }

    /// Makes `script` its hook of this name.
    pub(crate) fn hook_named(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path().join("hooks").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn folder(&self) -> &Utf8Path {
        Utf8Path::from_path(self.dir.path()).unwrap()
    }
}

/// Makes a `git` in `dir` to which `script` happens before each run, in which `$git` is the real one;
/// returns a `PATH` on which it comes first.
pub(crate) fn wrapped_git(dir: &Utf8Path, script: &str) -> String {
    let real = Command::new("sh").args(["-c", "command -v git"]).output().unwrap();
    let real = String::from_utf8(real.stdout).unwrap();
    let text = format!("#!/bin/sh\ngit={}\n{script}\nexec $git \"$@\"\n", real.trim());
    executable(&dir.join("git"), &text);
    format!("{dir}:{}", std::env::var("PATH").unwrap())
}

/// As [`wrapped_git`], where `script` happens before each `git COMMAND` alone.
pub(crate) fn git_that(dir: &Utf8Path, command: &str, script: &str) -> String {
    wrapped_git(dir, &format!("case \" $* \" in *' {command} '*)\n{script}\n;; esac"))
}

/// Returns what `git ARGUMENTS` prints in `dir`, with an identity and no configuration of the
/// machine's.
///
/// # Panics
///
/// Panics if it fails.
pub(crate) fn git(dir: &Utf8Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(dir).env("GIT_CONFIG_NOSYSTEM", "1");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env_remove("GIT_DIR");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Test");
        command.env(format!("GIT_{role}_EMAIL"), "test@example.com");
    }
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {stderr}{stdout}");
    stdout
}

/// Returns an environment with `PATH`, the home folder `home`, and `variables`.
pub(crate) fn world(home: &Path, variables: &[(&str, &str)]) -> Environment {
    let process = Environment::of_process();
    let own = [("PATH", process.get("PATH").unwrap()), ("GIT_CONFIG_NOSYSTEM", "1")];
    let home = [("HOME", home.to_str().unwrap())];
    own.into_iter().chain(home).chain(variables.iter().copied()).collect()
}

/// A repository behind HTTP with basic authentication: `git http-backend` as nginx runs it.
pub(crate) struct HttpGitServer {
    /// The repository.
    pub(crate) repository: GitServer,
    server: HttpServer,
}

impl HttpGitServer {
    /// Starts one that lets `user` in with `password`, or returns `None` where nginx or fcgiwrap is
    /// not installed.
    pub(crate) fn start(user: &str, password: &str) -> Option<Self> {
        Self::start_with(user, password, None)
    }

    /// As [`HttpGitServer::start`], over TLS, with a certificate of its own; see
    /// [`HttpGitServer::certificate`].
    pub(crate) fn start_tls(user: &str, password: &str) -> Option<Self> {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let identity = [made.cert.pem(), made.signing_key.serialize_pem()];
        Self::start_with(user, password, Some(identity))
    }

    fn start_with(user: &str, password: &str, tls: Option<[String; 2]>) -> Option<Self> {
        let repository = GitServer::bare(&[("README.md", "manifests\n")]);
        let server = HttpServer::start(repository.dir.path(), user, password, tls)?;
        Some(Self { repository, server })
    }

    /// Returns the port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        let url = self.server.url("");
        url.rsplit_once(':').unwrap().1.trim_end_matches('/').parse().unwrap()
    }

    /// Returns its URL, without credentials.
    pub(crate) fn url(&self) -> String {
        self.server.url("manifests.git")
    }

    /// Returns the file with the certificate of a server with TLS.
    pub(crate) fn certificate(&self) -> Utf8PathBuf {
        self.repository.folder().join("tls.crt")
    }
}

/// A repository behind SSH.
pub(crate) struct SshGitServer {
    /// The repository.
    pub(crate) repository: GitServer,
    port: u16,
    _server: Server,
}

impl SshGitServer {
    /// Starts one that lets the holder of one key in, or returns `None` where sshd is not
    /// installed.
    pub(crate) fn start() -> Option<Self> {
        let (sshd, keygen) = (peer("sshd")?, peer("ssh-keygen")?);
        let repository = GitServer::bare(&[("README.md", "manifests\n")]);
        let dir = repository.dir.path();
        for key in ["host", "user"] {
            let made = Command::new(&keygen)
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(dir.join(key))
                .status();
            assert!(made.unwrap().success());
        }
        let (port, at) = (free_port(), dir.display());
        let host = std::fs::read_to_string(dir.join("host.pub")).unwrap();
        std::fs::write(dir.join("known_hosts"), format!("[127.0.0.1]:{port} {host}")).unwrap();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nPidFile none\n\
             AuthorizedKeysFile {at}/user.pub\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nAcceptEnv GIT_PROTOCOL\n"
        );
        std::fs::write(dir.join("sshd_config"), config).unwrap();
        // sshd insists on its folder for separated privileges.
        let _ = std::fs::create_dir_all("/run/sshd");
        let mut command = Command::new(sshd);
        command.args(["-D", "-e", "-f"]).arg(dir.join("sshd_config"));
        let server = Server::start(&mut command, &dir.join("sshd.log"));
        wait_until("sshd", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Self { repository, port, _server: server })
    }

    /// Returns its URL.
    pub(crate) fn url(&self) -> String {
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout);
        let path = self.repository.path();
        format!("ssh://{}@127.0.0.1:{}{path}", user.unwrap().trim(), self.port)
    }

    /// Returns the file of the key that gets in.
    pub(crate) fn key(&self) -> Utf8PathBuf {
        self.repository.folder().join("user")
    }

    /// Returns the line of `known_hosts` that the server's host key makes.
    pub(crate) fn known_host(&self) -> String {
        std::fs::read_to_string(self.repository.folder().join("known_hosts")).unwrap()
    }

    /// Returns the `GIT_SSH_COMMAND` of the one who has the key.
    pub(crate) fn ssh_command(&self) -> String {
        format!("{} -i {}/user", self.stranger(), self.repository.dir.path().display())
    }

    /// Returns the `GIT_SSH_COMMAND` of one who knows the host but has no key.
    pub(crate) fn stranger(&self) -> String {
        let at = self.repository.dir.path().display();
        format!(
            "ssh -F none -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
             -o UserKnownHostsFile={at}/known_hosts -o IdentityFile=none"
        )
    }
}
