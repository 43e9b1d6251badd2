//! Credentials for HTTP remotes, handed to `git` by its environment: an argument can be read by
//! every user of the machine, a URL ends up in logs.

use base64::Engine as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::GitError;
use super::remote::Remote;
use crate::system::{Command, Environment};

/// A token and the name that goes with it.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    username: String,
    token: SecretString,
}

impl Credentials {
    /// Returns the credentials that the environment has for `remote`, or `None`: then `git` asks
    /// the credential helpers that people have.
    ///
    /// `GITHUB_TOKEN` and `GH_TOKEN` go to GitHub only, and over HTTPS only unless
    /// `GITHUB_SERVER_URL` itself is without.
    pub(super) fn find(
        remote: &Remote,
        environment: &Environment,
    ) -> Result<Option<Self>, GitError> {
        let Some(origin) = remote.http_origin() else {
            return Ok(None);
        };
        let server = environment.get("GITHUB_SERVER_URL").unwrap_or("https://github.com");
        let is_github = origin == "https://github.com" || origin == server.trim_end_matches('/');
        let github = || environment.get("GITHUB_TOKEN").or(environment.get("GH_TOKEN"));
        let github = || github().filter(|_| is_github);
        let Some(token) = environment.get("DEPLOYCTL_GIT_TOKEN").or_else(github) else {
            return Ok(None);
        };
        let named = environment.get("DEPLOYCTL_GIT_USERNAME").or(remote.username());
        let username = named.unwrap_or("x-access-token").to_owned();
        let token = token.trim();
        // A line break would add a header of its own, and a colon would end the name.
        if token.chars().any(char::is_control) || username.contains([':', '\n', '\r']) {
            let (remote, message) = (remote.as_str().to_owned(), MALFORMED.to_owned());
            return Err(GitError::Authentication { remote, message });
        }
        Ok(Some(Self { username, token: token.to_owned().into() }))
    }

    /// Returns the name and the token.
    #[cfg(any(feature = "git-https", feature = "git-ssh"))]
    pub(super) fn pair(&self) -> (&str, &SecretString) {
        (&self.username, &self.token)
    }

    /// Returns the value of the HTTP header that carries them (RFC 7617).
    fn header(&self) -> SecretString {
        format!("Authorization: Basic {}", self.encoded().expose_secret()).into()
    }

    pub(super) fn encoded(&self) -> SecretString {
        let pair = format!("{}:{}", self.username, self.token.expose_secret());
        base64::engine::general_purpose::STANDARD.encode(pair).into()
    }
}

const MALFORMED: &str = "the token or the user name holds a character that it can't have";

/// Settings for one run of `git`, which outrank all configuration files.
#[derive(Debug, Default)]
pub(super) struct Settings(Vec<(String, SecretString)>);

impl Settings {
    pub(super) fn set(&mut self, key: &str, value: &str) {
        self.0.push((key.to_owned(), value.to_owned().into()));
    }

    /// Has `credentials` sent to `origin` and nowhere else, instead of any others.
    pub(super) fn authenticate(&mut self, origin: &str, credentials: &Credentials) {
        let header = format!("http.{origin}/.extraHeader");
        // The empty value drops the headers that other configuration sets: two `Authorization`
        // headers make a request malformed.
        self.set(&header, "");
        self.0.push((header, credentials.header()));
        self.set("credential.helper", "");
    }

    /// Adds them to `command`, behind those that the environment has already.
    pub(super) fn apply(self, mut command: Command, environment: &Environment) -> Command {
        let inherited = environment.get("GIT_CONFIG_COUNT").and_then(|count| count.parse().ok());
        let first: usize = inherited.unwrap_or(0);
        for number in 0..first.min(1000) {
            if let Some(value) = environment.get(&format!("GIT_CONFIG_VALUE_{number}")) {
                command = redact_header(command, value);
            }
        }
        command = command.env("GIT_CONFIG_COUNT", (first + self.0.len()).to_string());
        for (number, (key, value)) in (first..).zip(self.0) {
            let name = format!("GIT_CONFIG_VALUE_{number}");
            command = command.env(&format!("GIT_CONFIG_KEY_{number}"), &key);
            command = match key.ends_with(".extraHeader") && !value.expose_secret().is_empty() {
                true => redact_header(command, value.expose_secret()).secret_env(&name, value),
                false => command.env(&name, value.expose_secret()),
            };
        }
        command
    }
}

/// Keeps what follows `Basic` or `Bearer` in a header out of what the child prints.
fn redact_header(command: Command, value: &str) -> Command {
    let lower = value.to_ascii_lowercase();
    match lower.trim_start().starts_with("authorization:") {
        true => match value.rsplit(' ').next() {
            Some(secret) if secret.len() >= 8 => command.redact(secret.to_owned().into()),
            _ => command,
        },
        false => command,
    }
}

/// The variables that hold a token for git.
pub(super) const TOKENS: &[&str] = &["DEPLOYCTL_GIT_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"];

/// Keeps every token that the environment is known to hold out of what the child prints.
pub(super) fn redact_tokens(command: Command, environment: &Environment) -> Command {
    let tokens = TOKENS.iter().filter_map(|name| environment.get(name)).map(str::trim);
    // A shorter one is no token, and would blacken ordinary words.
    tokens.filter(|t| t.len() >= 4).fold(command, |command, t| command.redact(t.to_owned().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(remote: &str, variables: &[(&str, &str)]) -> Option<String> {
        let environment: Environment = variables.iter().copied().collect();
        let found = Credentials::find(&Remote::parse(remote).unwrap(), &environment).unwrap()?;
        let header = found.header().expose_secret().to_owned();
        let encoded = header.strip_prefix("Authorization: Basic ").unwrap();
        let pair = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
        Some(String::from_utf8(pair).unwrap())
    }

    #[test]
    fn the_github_token_goes_to_github_only() {
        let github = [("GITHUB_TOKEN", "t0k\n")];
        let sent = Some("x-access-token:t0k".to_owned());
        assert_eq!(header("https://github.com/a/b", &github), sent);
        assert_eq!(header("http://github.com/a/b", &github), None);
        assert_eq!(header("https://github.com.example.com/a/b", &github), None);
        assert_eq!(header("https://git.example.com/a/b", &github), None);
        assert_eq!(header("git@github.com:a/b", &github), None);
        let server = [github[0], ("GITHUB_SERVER_URL", "https://git.example.com")];
        assert_eq!(header("https://git.example.com/a/b", &server), sent);
    }

    #[test]
    fn the_own_token_goes_to_the_remote_under_the_name_that_is_set() {
        let own = [("DEPLOYCTL_GIT_TOKEN", "t"), ("GITHUB_TOKEN", "u")];
        let pair = |remote, variables: &[_]| header(remote, variables).unwrap();
        assert_eq!(pair("https://github.com/a/b", &own), "x-access-token:t");
        assert_eq!(pair("http://me@git.example.com/a", &own), "me:t");
        let named = [own[0], ("DEPLOYCTL_GIT_USERNAME", "bot")];
        assert_eq!(pair("http://me@git.example.com/a", &named), "bot:t");
    }

    #[test]
    fn a_token_can_not_add_a_header() {
        let environment: Environment =
            [("DEPLOYCTL_GIT_TOKEN", "canary\r\nX-Forged: 1")].into_iter().collect();
        let remote = Remote::parse("https://git.example.com/a").unwrap();
        let error = Credentials::find(&remote, &environment).unwrap_err();
        assert!(!error.to_string().contains("canary"));
    }
}
