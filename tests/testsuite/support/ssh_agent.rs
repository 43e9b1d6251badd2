//! An ssh-agent that holds one key.

use std::os::unix::net::UnixStream;
use std::process::Command;

use camino::Utf8Path;
use tempfile::TempDir;

use super::{Server, peer, wait_until};

/// An ssh-agent.
pub(crate) struct SshAgent {
    dir: TempDir,
    _server: Server,
}

impl SshAgent {
    /// Starts one with the key in the file `key`, or returns `None` where it is not installed.
    pub(crate) fn start(key: &Utf8Path) -> Option<Self> {
        let (agent, add) = (peer("ssh-agent")?, peer("ssh-add")?);
        let dir = TempDir::new().unwrap();
        let mut command = Command::new(agent);
        command.arg("-D").arg("-a").arg(dir.path().join("socket"));
        let server = Server::start(&mut command, &dir.path().join("log"));
        let agent = Self { dir, _server: server };
        wait_until("ssh-agent", || UnixStream::connect(agent.socket()).is_ok());
        let added =
            Command::new(add).arg("-q").arg(key).env("SSH_AUTH_SOCK", agent.socket()).status();
        assert!(added.unwrap().success());
        Some(agent)
    }

    /// Returns the value of `SSH_AUTH_SOCK`.
    pub(crate) fn socket(&self) -> String {
        self.dir.path().join("socket").to_str().unwrap().to_owned()
    }
}
