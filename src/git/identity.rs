//! Who commits.

use camino::Utf8Path;

use super::{GitError, transport};
use crate::system::Environment;

/// Who writes a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name.
    pub name: String,
    /// Mail address.
    pub email: String,
}

/// Returns the author that git itself would use in the folder `dir`: `GIT_AUTHOR_NAME` and
/// `GIT_AUTHOR_EMAIL`, else `user.name` and `user.email`; under GitHub Actions, where neither is
/// set, the bot that Actions acts as.
///
/// # Errors
///
/// Fails with [`GitError::NoIdentity`] if nobody is named, or if `git` can't be run.
pub async fn identity(environment: &Environment, dir: &Utf8Path) -> Result<Identity, GitError> {
    let variables = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"].map(|name| environment.get(name));
    if let [Some(name), Some(email)] = variables {
        return Ok(Identity { name: name.to_owned(), email: email.to_owned() });
    }
    let program = environment.find_program("git").ok_or(GitError::NotInstalled)?;
    // Without `user.useConfigOnly`, git makes up a name from the machine's.
    let command = transport::program(program.as_str(), environment)
        .args(["-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT"])
        .current_dir(dir);
    let output = command.output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    match parse(&text) {
        Some(identity) if output.status.success() => Ok(identity),
        _ if environment.get("GITHUB_ACTIONS") == Some("true") => Ok(actions_bot()),
        _ => Err(GitError::NoIdentity),
    }
}

/// Returns who is in `Name <mail> 1700000000 +0000`.
fn parse(ident: &str) -> Option<Identity> {
    let (name, rest) = ident.split_once(" <")?;
    let (email, _) = rest.split_once('>')?;
    Some(Identity { name: name.to_owned(), email: email.to_owned() })
}

/// Returns the user that `GITHUB_TOKEN` acts as. GitHub's noreply addresses are `ID+NAME@…`, and
/// the id of `github-actions[bot]` is 41898282.
fn actions_bot() -> Identity {
    Identity {
        name: "github-actions[bot]".to_owned(),
        email: "41898282+github-actions[bot]@users.noreply.github.com".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(home: &Utf8Path, variables: &[(&str, &str)]) -> Result<Identity, GitError> {
        let path = Environment::of_process().get("PATH").unwrap().to_owned();
        let own = [("PATH", path.as_str()), ("HOME", home.as_str()), ("GIT_CONFIG_NOSYSTEM", "1")];
        let environment = own.into_iter().chain(variables.iter().copied()).collect();
        identity(&environment, home).await
    }

    #[tokio::test]
    async fn the_author_is_whom_git_would_name() {
        let home = tempfile::tempdir().unwrap();
        let home = Utf8Path::from_path(home.path()).unwrap();
        assert!(matches!(ask(home, &[]).await, Err(GitError::NoIdentity)));
        let bot = ask(home, &[("GITHUB_ACTIONS", "true")]).await.unwrap();
        assert_eq!(bot.name, "github-actions[bot]");
        let config = "[user]\nname = Ada Lovelace\nemail = ada@example.com\n";
        std::fs::write(home.join(".gitconfig"), config).unwrap();
        let ada = ask(home, &[("GITHUB_ACTIONS", "true")]).await.unwrap();
        assert_eq!((ada.name.as_str(), ada.email.as_str()), ("Ada Lovelace", "ada@example.com"));
        let variables = [("GIT_AUTHOR_NAME", "CI"), ("GIT_AUTHOR_EMAIL", "ci@example.com")];
        let ci = ask(home, &variables).await.unwrap();
        assert_eq!((ci.name.as_str(), ci.email.as_str()), ("CI", "ci@example.com"));
    }
}
