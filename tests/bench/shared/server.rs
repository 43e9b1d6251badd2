//! A real registry on loopback.

use std::fs::{self, File};
use std::process::{Child, Command};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

/// A registry that runs until this value is dropped.
pub(crate) struct Server {
    /// `127.0.0.1:PORT`, as in an image's name.
    pub(crate) domain: String,
    child: Child,
    log: Utf8PathBuf,
    _home: TempDir,
}

impl Server {
    /// Starts one; `None` if `docker-registry` is not installed.
    pub(crate) fn start() -> Option<Self> {
        let home = TempDir::new().unwrap();
        let dir = Utf8Path::from_path(home.path()).unwrap();
        let (config, log) = (dir.join("config.yml"), dir.join("log"));
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {dir}/data}}}}\n\
             http: {{addr: \"127.0.0.1:0\"}}\n"
        );
        fs::write(&config, text).unwrap();
        let file = File::create(&log).unwrap();
        let mut command = Command::new("docker-registry");
        command.args(["serve", config.as_str()]).stdout(file.try_clone().unwrap()).stderr(file);
        let Ok(child) = command.spawn() else {
            println!("docker-registry is not installed, so there is nothing to push to");
            return None;
        };
        let mut server = Self { domain: String::new(), child, log, _home: home };
        server.domain = server.listening_on();
        Some(server)
    }

    /// Returns how many requests there were so far, out of its own log.
    pub(crate) fn requests(&self) -> usize {
        let log = fs::read_to_string(&self.log).unwrap();
        log.lines().filter(|line| line.contains(" HTTP/")).count()
    }

    fn listening_on(&self) -> String {
        loop {
            let log = fs::read_to_string(&self.log).unwrap();
            if let Some((_, rest)) = log.split_once("listening on ") {
                let end = rest.find(['"', ',', '\n', ' ']).unwrap_or(rest.len());
                return rest[..end].to_owned();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
