//! A world of a test's own: a home folder, an environment, and deployctl run in it.

use std::process::{Command, Output, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

/// A home folder with nothing in it, and the environment variables of a person who has just
/// logged in.
pub(crate) struct World {
    dir: TempDir,
    variables: Vec<(String, String)>,
}

/// How a run of deployctl ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Runs the command, which may be another one than deployctl.
    pub(crate) fn of(command: &mut Command) -> Self {
        command.output().unwrap().into()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap_or(-1);
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = TempDir::with_prefix("world-").unwrap();
        std::fs::create_dir(dir.path().join("home")).unwrap();
        Self { dir, variables: Vec::new() }
            .with("GIT_AUTHOR_NAME", "Ada")
            .with("GIT_AUTHOR_EMAIL", "ada@example.com")
    }

    /// Sets an environment variable; an empty value takes it away.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.dir.path()).unwrap()
    }

    /// Writes a file and the folders above it; returns its path.
    pub(crate) fn write(&self, path: &str, text: &str) -> Utf8PathBuf {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// Returns a command that runs deployctl in the world's folder, and nothing else is known to it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deployctl"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path().join("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs(self.variables.iter().filter(|(_, value)| !value.is_empty()).cloned())
            .stdin(Stdio::null());
        command
    }

    /// Runs deployctl; its output has the world's own folder written as `[WORLD]`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let Ran { code, stdout, stderr } = Ran::of(&mut self.command(arguments));
        let text = |text: String| text.replace(self.path().as_str(), "[WORLD]");
        Ran { code, stdout: text(stdout), stderr: text(stderr) }
    }

    /// As [`World::run`], for what must succeed; returns standard output.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:#?}");
        ran.stdout
    }
}
