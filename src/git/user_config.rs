//! What git's configuration says about the person who commits: names, addresses, signing.
//!
//! One run of `git config` answers for all of it, so that `includeIf`, `GIT_CONFIG_COUNT` and the
//! place of the system's file are git's business. Only where there is no `git` program does libgit2
//! read the usual files, without conditional includes.

use camino::{Utf8Path, Utf8PathBuf};
use git2::ConfigLevel;

use super::{GitError, program};
use crate::system::Environment;

/// The settings in git's order: of a repeated key the last one counts.
#[derive(Debug, Default)]
pub(super) struct UserConfig(Vec<(String, String)>);

/// What is asked for, where each key has to be named.
const KEYS: &[&str] = &[
    "author.email",
    "author.name",
    "commit.gpgsign",
    "committer.email",
    "committer.name",
    "gpg.format",
    "gpg.openpgp.program",
    "gpg.program",
    "gpg.ssh.defaultkeycommand",
    "gpg.ssh.program",
    "gpg.x509.program",
    "user.email",
    "user.name",
    "user.signingkey",
    "user.useconfigonly",
];

impl UserConfig {
    /// Returns what git would know in the folder `dir`.
    pub(super) async fn read(environment: &Environment, dir: &Utf8Path) -> Result<Self, GitError> {
        let Some(path) = environment.find_program("git") else {
            return Self::read_files(environment, dir);
        };
        let command = program::program(path.as_str(), environment)
            .args(["config", "--null", "--get-regexp"])
            .arg(r"^(user|author|committer|commit|gpg)\.")
            .current_dir(dir);
        let output = command.output().await?;
        match output.status.code() {
            Some(0) => Ok(Self::parse(&String::from_utf8_lossy(&output.stdout))),
            // There is no such key at all.
            Some(1) => Ok(Self::default()),
            _ => Err(GitError::Settings { message: output.stderr.trim().to_owned() }),
        }
    }

    /// Returns the value of `key`, which is written in lower case.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.last_of(&[key])
    }

    /// Returns the value that was set last under any of `keys`.
    pub(super) fn last_of(&self, keys: &[&str]) -> Option<&str> {
        let mut found = self.0.iter().rev().filter(|(key, _)| keys.contains(&key.as_str()));
        found.next().map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Returns whether `key` is on.
    pub(super) fn is_on(&self, key: &str) -> Result<bool, GitError> {
        let Some(value) = self.get(key) else { return Ok(false) };
        git2::Config::parse_bool(value).map_err(|_| GitError::Settings {
            message: format!("bad boolean value `{value}` for `{key}`"),
        })
    }

    /// Reads what `git config --null` prints: `key`, a line break and the value, or a key that
    /// stands for itself and is then on.
    fn parse(listing: &str) -> Self {
        let entries = listing.split('\0').filter(|entry| !entry.is_empty());
        let pair = |entry: &str| {
            let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
            (key.to_owned(), value.to_owned())
        };
        Self(entries.map(pair).collect())
    }

    fn read_files(environment: &Environment, dir: &Utf8Path) -> Result<Self, GitError> {
        let failed =
            |error: git2::Error| GitError::Settings { message: error.message().to_owned() };
        let mut config = git2::Config::new().map_err(failed)?;
        for (path, level) in files(environment, dir) {
            if path.is_file() {
                config.add_file(path.as_std_path(), level, false).map_err(failed)?;
            }
        }
        let value = |key: &&str| {
            let entry = config.get_entry(key).ok()?;
            let value = if entry.has_value() { entry.value().ok()? } else { "true" };
            Some(((*key).to_owned(), value.to_owned()))
        };
        let mut found: Vec<(String, String)> = KEYS.iter().filter_map(value).collect();
        found.extend(in_variables(environment));
        Ok(Self(found))
    }
}

/// Returns the files that git-config(1) lists, under "FILES".
fn files(environment: &Environment, dir: &Utf8Path) -> Vec<(Utf8PathBuf, ConfigLevel)> {
    let mut files = files_of_user(environment);
    if let Ok(repository) = git2::Repository::discover(dir)
        && let Some(folder) = Utf8Path::from_path(repository.commondir())
    {
        files.push((folder.join("config"), ConfigLevel::Local));
    }
    files
}

/// Returns those of the files that are not a repository's.
pub(super) fn files_of_user(environment: &Environment) -> Vec<(Utf8PathBuf, ConfigLevel)> {
    let mut files = Vec::new();
    let no_system = environment.get("GIT_CONFIG_NOSYSTEM");
    if !no_system.is_some_and(|value| git2::Config::parse_bool(value).unwrap_or(true)) {
        let system = environment.get("GIT_CONFIG_SYSTEM").unwrap_or("/etc/gitconfig");
        files.push((system.into(), ConfigLevel::System));
    }
    let home = environment.get("HOME").map(Utf8PathBuf::from);
    if let Some(global) = environment.get("GIT_CONFIG_GLOBAL") {
        files.push((global.into(), ConfigLevel::Global));
    } else {
        let xdg = environment.get("XDG_CONFIG_HOME").map(Utf8PathBuf::from);
        let xdg = xdg.or_else(|| Some(home.as_ref()?.join(".config")));
        files.extend(xdg.map(|folder| (folder.join("git/config"), ConfigLevel::XDG)));
        files.extend(home.map(|home| (home.join(".gitconfig"), ConfigLevel::Global)));
    }
    files
}

/// Returns the settings in `GIT_CONFIG_KEY_0` and the like, which outrank all files.
pub(super) fn in_variables(environment: &Environment) -> Vec<(String, String)> {
    let count = environment.get("GIT_CONFIG_COUNT").and_then(|count| count.parse().ok());
    let count: usize = count.unwrap_or(0);
    let pair = |number| {
        let key = environment.get(&format!("GIT_CONFIG_KEY_{number}"))?.to_lowercase();
        let value = environment.get(&format!("GIT_CONFIG_VALUE_{number}"))?;
        Some((key, value.to_owned()))
    };
    (0..count.min(1000)).filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_repeated_key_the_last_one_counts() {
        let config = UserConfig::parse("user.name\nAda\0commit.gpgsign\0user.name\nEve\n2\0");
        assert_eq!(config.get("user.name"), Some("Eve\n2"));
        assert!(config.is_on("commit.gpgsign").unwrap());
        assert!(!config.is_on("commit.other").unwrap());
        let config = UserConfig::parse("commit.gpgsign\nmaybe\0");
        let error = config.is_on("commit.gpgsign").unwrap_err().to_string();
        assert!(error.contains("bad boolean value `maybe` for `commit.gpgsign`"), "{error}");
    }

    #[tokio::test]
    async fn without_a_git_program_the_same_is_read_from_the_usual_files() {
        let home = tempfile::tempdir().unwrap();
        let home = Utf8Path::from_path(home.path()).unwrap();
        git2::Repository::init(home.join("work")).unwrap();
        let write = |path: &str, text: &str| {
            let path = home.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(".config/git/config", "[user]\nname = Xdg\n[gpg \"ssh\"]\nprogram = /bin/x\n");
        write(".gitconfig", "[user]\nname = Home\nemail = home@example.com\n[commit]\ngpgSign\n");
        write("work/.git/config", "[core]\nbare = false\n[user]\nemail = work@example.com\n");
        let process = Environment::of_process();
        for path in ["", process.get("PATH").unwrap()] {
            let variables = [
                ("PATH", path),
                ("HOME", home.as_str()),
                ("GIT_CONFIG_NOSYSTEM", "1"),
                ("GIT_CONFIG_COUNT", "1"),
                ("GIT_CONFIG_KEY_0", "gpg.format"),
                ("GIT_CONFIG_VALUE_0", "ssh"),
            ];
            let environment = variables.into_iter().collect();
            let config = UserConfig::read(&environment, &home.join("work")).await.unwrap();
            assert_eq!(config.get("user.name"), Some("Home"));
            assert_eq!(config.get("user.email"), Some("work@example.com"));
            assert_eq!(config.get("gpg.ssh.program"), Some("/bin/x"));
            assert_eq!(config.get("gpg.format"), Some("ssh"));
            assert!(config.is_on("commit.gpgsign").unwrap());
        }
    }
}
