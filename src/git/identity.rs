//! Who commits: author, committer, and the key that they sign with.
//!
//! For each of author and committer, the first of these that says it wins, name and address apart:
//! `GIT_AUTHOR_NAME` and `GIT_COMMITTER_NAME` and the like; `manifests.author` of deployctl.yaml;
//! `author.*` and `committer.*`, then `user.*` of git's configuration as it is in the folder that
//! deployctl was started in; for the address `EMAIL`. Without any, the author is the bot that Actions
//! acts as, where GitHub Actions runs, and the committer is the author. A name is never made up from
//! the machine's, as git does. Times are the caller's: `GIT_AUTHOR_DATE` does not count.

use camino::Utf8Path;

use super::GitError;
use super::signer::Signer;
use super::user_config::UserConfig;
use crate::system::Environment;

/// A person, or what acts like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name.
    pub name: String,
    /// Mail address.
    pub email: String,
}

impl Identity {
    pub(super) fn of(signature: &git2::Signature<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { name: text(signature.name_bytes()), email: text(signature.email_bytes()) }
    }
}

/// Who a commit is from.
#[derive(Debug, Clone)]
pub struct Authorship {
    /// Who wrote it.
    pub author: Identity,
    /// Who committed it.
    pub committer: Identity,
    /// What signs it; `None`: it is not signed.
    pub signer: Option<Signer>,
}

impl Authorship {
    /// Returns the signature of a commit with this text, or `None` if it is not to be signed.
    pub(super) async fn sign(&self, text: &str) -> Result<Option<String>, GitError> {
        match &self.signer {
            Some(signer) => signer.sign(text.as_bytes()).await.map(Some),
            None => Ok(None),
        }
    }
}

impl From<Identity> for Authorship {
    /// Returns the authorship of somebody who writes, commits, and does not sign.
    fn from(identity: Identity) -> Self {
        Self { author: identity.clone(), committer: identity, signer: None }
    }
}

/// Returns who commits in the folder `dir`; `configured` is whom deployctl.yaml names. Costs one run
/// of `git config`.
///
/// # Errors
///
/// Fails with [`GitError::NoIdentity`] if nobody is named, and with [`GitError::Settings`] if git's
/// configuration can't be read or does not say how to sign.
pub async fn authorship(
    environment: &Environment,
    dir: &Utf8Path,
    configured: Option<&Identity>,
) -> Result<Authorship, GitError> {
    let config = UserConfig::read(environment, dir).await?;
    let find = |role| identity(role, environment, configured, &config);
    let author = find(&Role::AUTHOR)?.or_else(|| actions_bot(environment));
    let author = author.ok_or(GitError::NoIdentity)?;
    let committer = find(&Role::COMMITTER)?.unwrap_or_else(|| author.clone());
    let signer = Signer::find(&config, &committer, environment, dir)?;
    Ok(Authorship { author, committer, signer })
}

/// Where one of the two is named.
struct Role {
    variables: [&'static str; 2],
    keys: [&'static str; 2],
}

impl Role {
    const AUTHOR: Self = Self {
        variables: ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"],
        keys: ["author.name", "author.email"],
    };
    const COMMITTER: Self = Self {
        variables: ["GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"],
        keys: ["committer.name", "committer.email"],
    };
}

/// Returns who is named for `role`, or `None` if name or address is missing.
fn identity(
    role: &Role,
    environment: &Environment,
    configured: Option<&Identity>,
    config: &UserConfig,
) -> Result<Option<Identity>, GitError> {
    let ([name, email], [name_key, email_key]) = (role.variables, role.keys);
    let name = environment
        .get(name)
        .or(configured.map(|identity| identity.name.as_str()))
        .or_else(|| config.get(name_key))
        .or_else(|| config.get("user.name"));
    // `user.useConfigOnly` forbids what is not configured; see git-config(1).
    let elsewhere = match config.is_on("user.useconfigonly")? {
        true => None,
        false => environment.get("EMAIL"),
    };
    let email = environment
        .get(email)
        .or(configured.map(|identity| identity.email.as_str()))
        .or_else(|| config.get(email_key))
        .or_else(|| config.get("user.email"))
        .or(elsewhere);
    let clean = |text: Option<&str>| text.map(without_crud).filter(|text| !text.is_empty());
    Ok(clean(name).zip(clean(email)).map(|(name, email)| Identity { name, email }))
}

/// Returns `text` without what a commit can't hold: git's `strbuf_addstr_without_crud`.
fn without_crud(text: &str) -> String {
    let crud =
        |c: char| c <= ' ' || matches!(c, '.' | ',' | ':' | ';' | '<' | '>' | '"' | '\\' | '\'');
    text.trim_matches(crud).replace(['<', '>', '\n', '\0'], "")
}

/// Returns the user that `GITHUB_TOKEN` acts as, under GitHub Actions. GitHub's noreply addresses
/// are `ID+NAME@…`, and the id of `github-actions[bot]` is 41898282.
fn actions_bot(environment: &Environment) -> Option<Identity> {
    let bot = || Identity {
        name: "github-actions[bot]".to_owned(),
        email: "41898282+github-actions[bot]@users.noreply.github.com".to_owned(),
    };
    (environment.get("GITHUB_ACTIONS") == Some("true")).then(bot)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns author and committer, or the error.
    async fn ask(
        home: &Utf8Path,
        variables: &[(&str, &str)],
        configured: Option<&Identity>,
    ) -> Result<[String; 2], GitError> {
        let path = Environment::of_process().get("PATH").unwrap().to_owned();
        let own = [("PATH", path.as_str()), ("HOME", home.as_str()), ("GIT_CONFIG_NOSYSTEM", "1")];
        let environment = own.into_iter().chain(variables.iter().copied()).collect();
        let found = authorship(&environment, home, configured).await?;
        assert!(found.signer.is_none());
        Ok([found.author, found.committer].map(|who| format!("{} <{}>", who.name, who.email)))
    }

    #[tokio::test]
    async fn author_and_committer_are_whom_git_would_name() {
        let home = tempfile::tempdir().unwrap();
        let home = Utf8Path::from_path(home.path()).unwrap();
        assert!(matches!(ask(home, &[], None).await, Err(GitError::NoIdentity)));
        let actions = [("GITHUB_ACTIONS", "true")];
        assert!(ask(home, &actions, None).await.unwrap()[1].starts_with("github-actions[bot] <"));
        let write = |text| std::fs::write(home.join(".gitconfig"), text).unwrap();
        write("[user]\nname = Ada Lovelace\n");
        assert!(matches!(ask(home, &[], None).await, Err(GitError::NoIdentity)));
        let author = [("GIT_AUTHOR_NAME", "Eve"), ("GIT_AUTHOR_EMAIL", "eve@example.com")];
        assert_eq!(ask(home, &author, None).await.unwrap()[1], "Eve <eve@example.com>");
        let elsewhere = ask(home, &[("EMAIL", "a@example.com")], None).await.unwrap();
        assert_eq!(elsewhere[0], "Ada Lovelace <a@example.com>");
        write("[user]\nname = Ada, <x>.\nemail = ada@example.com\n[committer]\nname = CI\n");
        let both = ask(home, &actions, None).await.unwrap();
        assert_eq!(both, ["Ada, x <ada@example.com>", "CI <ada@example.com>"]);
        let variables = [("GIT_AUTHOR_NAME", "Eve"), ("GIT_COMMITTER_EMAIL", "ci@example.com")];
        let both = ask(home, &variables, None).await.unwrap();
        assert_eq!(both, ["Eve <ada@example.com>", "CI <ci@example.com>"]);
    }

    #[tokio::test]
    async fn the_configured_author_comes_between_the_environment_and_git() {
        let home = tempfile::tempdir().unwrap();
        let home = Utf8Path::from_path(home.path()).unwrap();
        let config = "[user]\nname = Ada\nemail = ada@example.com\n[committer]\nname = CI\n";
        std::fs::write(home.join(".gitconfig"), config).unwrap();
        let bot = Identity { name: "Bot".to_owned(), email: "bot@example.com".to_owned() };
        let both = ask(home, &[("GIT_AUTHOR_NAME", "Eve")], Some(&bot)).await.unwrap();
        assert_eq!(both, ["Eve <bot@example.com>", "Bot <bot@example.com>"]);
    }

    #[tokio::test]
    async fn an_included_file_counts_where_git_says_so() {
        let home = tempfile::tempdir().unwrap();
        let home = Utf8Path::from_path(home.path()).unwrap().canonicalize_utf8().unwrap();
        let work = home.join("work");
        git2::Repository::init(&work).unwrap();
        let config = "[user]\nname = Ada\nemail = ada@example.com\n\
                      [includeIf \"gitdir:~/work/\"]\npath = work.inc\n";
        std::fs::write(home.join(".gitconfig"), config).unwrap();
        std::fs::write(home.join("work.inc"), "[user]\nemail = ada@work.example.com\n").unwrap();
        let path = Environment::of_process().get("PATH").unwrap().to_owned();
        let variables = [("PATH", path.as_str()), ("HOME", home.as_str())];
        let environment = variables.into_iter().collect();
        let email = async |dir| authorship(&environment, dir, None).await.unwrap().author.email;
        assert_eq!(email(&work).await, "ada@work.example.com");
        assert_eq!(email(&home).await, "ada@example.com");
    }

    #[tokio::test]
    async fn a_configuration_that_git_can_not_read_is_told() {
        let home = tempfile::tempdir().unwrap();
        let home = Utf8Path::from_path(home.path()).unwrap();
        std::fs::write(home.join(".gitconfig"), "[user\n").unwrap();
        let error = ask(home, &[], None).await.unwrap_err().to_string();
        assert!(error.contains("bad config line 1 in file"), "{error}");
    }
}
