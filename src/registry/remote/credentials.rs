//! Credentials, from where `docker login`, `podman login` and credential helpers leave them.
//!
//! By hand and not by a crate: `docker_credential` 1.4 knows no keys with a path
//! (`registry.example.com/shop`), reads the process's environment itself, and puts what a helper
//! printed into its errors.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use camino::Utf8PathBuf;
use secrecy::SecretString;
use serde::Deserialize;

use crate::image::ImageName;
use crate::system::{Command, Environment};

const HELPER_DEADLINE: Duration = Duration::from_secs(30);
/// The key that Docker has always filed its own registry under.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// The files that credentials are looked for in, in this order.
pub(super) struct Credentials {
    environment: Environment,
    files: Vec<Utf8PathBuf>,
    /// What helpers have said, by helper and server: some ask a cloud and take their time.
    asked: tokio::sync::Mutex<BTreeMap<(String, String), Option<Credential>>>,
}

/// What proves who is asking.
#[derive(Clone)]
pub(super) enum Credential {
    /// User name and password.
    Password {
        /// The user's name.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// A token that the registry's authorization service changes into others.
    IdentityToken(SecretString),
    /// A token that the registry itself takes.
    RegistryToken(SecretString),
}

/// A credential, and where it was found, for people to read.
pub(super) struct Found {
    /// The credential.
    pub(super) credential: Credential,
    /// A file, or a credential helper.
    pub(super) place: String,
}

impl Credential {
    /// Returns the secret in it.
    pub(super) fn secret(&self) -> &SecretString {
        match self {
            Self::Password { password: secret, .. }
            | Self::IdentityToken(secret)
            | Self::RegistryToken(secret) => secret,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Document {
    auths: BTreeMap<String, Option<Entry>>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
    registrytoken: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: Secret,
}

#[derive(Deserialize)]
#[serde(from = "String")]
struct Secret(SecretString);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Credentials {
    /// Returns the places that `environment` points to.
    pub(super) fn new(environment: &Environment) -> Self {
        let below = |variable: &str, path: &str| {
            environment.get(variable).map(|folder| Utf8PathBuf::from(folder).join(path))
        };
        let docker =
            below("DOCKER_CONFIG", "config.json").or_else(|| below("HOME", ".docker/config.json"));
        let podman = environment
            .get("REGISTRY_AUTH_FILE")
            .map(Utf8PathBuf::from)
            .or_else(|| below("XDG_RUNTIME_DIR", "containers/auth.json"));
        let lasting = below("XDG_CONFIG_HOME", "containers/auth.json")
            .or_else(|| below("HOME", ".config/containers/auth.json"));
        let files = [docker, podman, lasting].into_iter().flatten().collect();
        Self { environment: environment.clone(), files, asked: tokio::sync::Mutex::default() }
    }

    /// Returns the files that are looked at, for people to read.
    pub(super) fn places(&self) -> String {
        let files: Vec<_> = self.files.iter().map(|file| format!("`{file}`")).collect();
        if files.is_empty() { "no file (HOME is not set)".to_owned() } else { files.join(", ") }
    }

    /// Returns the credential for the repository `name`, or `None`.
    ///
    /// # Errors
    ///
    /// Says, without a secret, which file or helper can't be used.
    pub(super) async fn find(&self, name: &ImageName) -> Result<Option<Found>, String> {
        for file in &self.files {
            let text = match std::fs::read(file) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(format!("can't read `{file}`: {error}")),
            };
            // The parser's message may quote what it read.
            let document: Document = serde_json::from_slice(&text)
                .map_err(|error| format!("`{file}` is broken at line {}", error.line()))?;
            if let Some(helper) = document.helper(name)
                && let Some(credential) = self.ask(helper, name).await?
            {
                let place = format!("credential helper `{helper}`");
                return Ok(Some(Found { credential, place }));
            }
            if let Some(credential) = document.entry(name).and_then(Entry::credential) {
                return Ok(Some(Found { credential, place: format!("`{file}`") }));
            }
        }
        Ok(None)
    }

    async fn ask(&self, helper: &str, name: &ImageName) -> Result<Option<Credential>, String> {
        let key = (helper.to_owned(), server_key(name).to_owned());
        let mut asked = self.asked.lock().await;
        if let Some(credential) = asked.get(&key) {
            return Ok(credential.clone());
        }
        let credential = self.run(helper, name).await?;
        asked.insert(key, credential.clone());
        Ok(credential)
    }

    async fn run(&self, helper: &str, name: &ImageName) -> Result<Option<Credential>, String> {
        let program = format!("docker-credential-{helper}");
        let path = self.environment.find_program(&program).filter(|_| !helper.contains('/'));
        let path = path.ok_or_else(|| format!("credential helper `{program}` is not on PATH"))?;
        let command = Command::new(path)
            .arg("get")
            .only_env(&self.environment)
            .input(server_key(name))
            .deadline(HELPER_DEADLINE);
        let output = command.output().await.map_err(|error| error.to_string())?;
        if !output.status.success() {
            // The protocol's words for "none"; anything else may be a locked store or an expired
            // login. What the helper printed stays out of sight.
            let none = String::from_utf8_lossy(&output.stdout).contains("credentials not found");
            let failed = || format!("credential helper `{program}` failed ({})", output.status);
            return if none { Ok(None) } else { Err(failed()) };
        }
        let answer: HelperAnswer = serde_json::from_slice(&output.stdout)
            .map_err(|_| format!("credential helper `{program}` gave no credential"))?;
        Ok(Some(credential(answer.username, answer.secret.0)))
    }
}

impl Document {
    /// Returns the helper for the longest part of the name that has one, else the one for all. An
    /// empty one stands for none, as with docker.
    fn helper(&self, name: &ImageName) -> Option<&str> {
        let own = parts(name).iter().find_map(|part| {
            let mut helpers = self.cred_helpers.iter();
            helpers.find(|(key, _)| normal_key(key) == normal_key(part)).map(|(_, helper)| helper)
        });
        own.or(self.creds_store.as_ref()).map(String::as_str).filter(|helper| !helper.is_empty())
    }

    /// Returns the entry whose key fits the longest part of the name.
    fn entry(&self, name: &ImageName) -> Option<&Entry> {
        parts(name).iter().find_map(|part| {
            let mut entries = self.auths.iter();
            let fits = |key: &str| normal_key(key) == normal_key(part);
            entries.find_map(|(key, entry)| entry.as_ref().filter(|_| fits(key)))
        })
    }
}

/// Returns the name and, shorter each time, what it begins with, down to the domain.
fn parts(name: &ImageName) -> Vec<String> {
    let whole = format!("{}/{}", name.domain(), name.path());
    let ends = whole.match_indices('/').map(|(end, _)| end).rev();
    let shorter = ends.map(|end| whole[..end].to_owned());
    std::iter::once(whole.clone()).chain(shorter).collect()
}

impl Entry {
    fn credential(&self) -> Option<Credential> {
        use secrecy::ExposeSecret as _;
        let given = |secret: &Option<Secret>| {
            let secret = secret.as_ref().map(|Secret(secret)| secret.clone());
            secret.filter(|secret| !secret.expose_secret().is_empty())
        };
        if let Some(token) = given(&self.registrytoken) {
            return Some(Credential::RegistryToken(token));
        }
        if let Some(token) = given(&self.identitytoken) {
            return Some(Credential::IdentityToken(token));
        }
        if let Some(auth) = given(&self.auth) {
            let config = base64::engine::general_purpose::GeneralPurposeConfig::new()
                .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent);
            let engine = base64::engine::GeneralPurpose::new(&base64::alphabet::STANDARD, config);
            let text = String::from_utf8(engine.decode(auth.expose_secret()).ok()?).ok()?;
            // Docker pads the decoded text with NUL in files of old versions.
            let (user, password) = text.trim_end_matches('\0').split_once(':')?;
            return Some(credential(user.to_owned(), password.to_owned().into()));
        }
        Some(credential(self.username.clone()?, given(&self.password)?))
    }
}

/// Helpers and files mark an identity token by this user name.
fn credential(user: String, secret: SecretString) -> Credential {
    if user == "<token>" {
        return Credential::IdentityToken(secret);
    }
    Credential::Password { user, password: secret }
}

fn server_key(name: &ImageName) -> &str {
    if name.domain() == "docker.io" { DOCKER_HUB_KEY } else { name.domain() }
}

/// Returns a key of `auths` as host and path: without scheme, API version and final slash, and one
/// name for Docker's own registry.
fn normal_key(key: &str) -> &str {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let bare = bare.trim_end_matches('/');
    let bare = ["/v1", "/v2"].iter().find_map(|end| bare.strip_suffix(end)).unwrap_or(bare);
    match bare {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        _ => bare,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use camino::Utf8Path;
    use secrecy::ExposeSecret as _;

    fn look(document: &str, name: &str) -> Option<String> {
        let document: Document = serde_json::from_str(document).unwrap();
        match document.entry(&name.parse().unwrap())?.credential()? {
            Credential::Password { user, password } => {
                Some(format!("{user} {}", password.expose_secret()))
            }
            Credential::IdentityToken(token) => Some(format!("token {}", token.expose_secret())),
            Credential::RegistryToken(token) => Some(format!("bearer {}", token.expose_secret())),
        }
    }

    #[test]
    fn keys_come_in_many_forms() {
        let auth = r#"{"auth": "dTpwOnc="}"#;
        for (key, name) in [
            ("registry.example.com", "registry.example.com/shop/web"),
            ("https://registry.example.com/v2/", "registry.example.com/shop/web"),
            ("http://127.0.0.1:5000", "127.0.0.1:5000/web"),
            ("https://index.docker.io/v1/", "web"),
            ("docker.io", "shop/web"),
            ("registry.example.com/shop", "registry.example.com/shop/web"),
        ] {
            let document = format!(r#"{{"auths": {{"{key}": {auth}}}}}"#);
            assert_eq!(look(&document, name).as_deref(), Some("u p:w"), "{key}");
            assert_eq!(look(&document, "other.example.com/shop/web"), None, "{key}");
        }
    }

    #[test]
    fn the_longest_key_wins() {
        let document = r#"{"auths": {
            "registry.example.com": {"username": "host", "password": "1"},
            "registry.example.com/shop": {"username": "shop", "password": "2"},
            "registry.example.com/sho": {"username": "none", "password": "3"}}}"#;
        let found = |name| look(document, name).unwrap();
        assert_eq!(found("registry.example.com/shop/web"), "shop 2");
        assert_eq!(found("registry.example.com/other/web"), "host 1");
    }

    #[test]
    fn identity_tokens_are_told_apart() {
        let one = r#"{"auths": {"r.io": {"identitytoken": "t", "auth": "dTpw"}}}"#;
        let two = r#"{"auths": {"r.io": {"username": "<token>", "password": "t"}}}"#;
        for document in [one, two] {
            assert_eq!(look(document, "r.io/web").as_deref(), Some("token t"));
        }
    }

    #[test]
    fn an_empty_entry_is_no_credential() {
        assert_eq!(look(r#"{"auths": {"r.io": {}}, "credsStore": "x"}"#, "r.io/web"), None);
    }

    #[test]
    fn the_longest_key_names_the_helper_and_an_empty_one_names_none() {
        let document = r#"{"credsStore": "all", "credHelpers": {"registry.example.com": "host",
            "registry.example.com/shop": "shop", "https://index.docker.io/v1/": "hub",
            "public.example.com": ""}}"#;
        let document: Document = serde_json::from_str(document).unwrap();
        let helper = |name: &str| document.helper(&name.parse().unwrap()).map(str::to_owned);
        for (name, expected) in [
            ("registry.example.com/shop/web", Some("shop")),
            ("registry.example.com/other/web", Some("host")),
            ("shop/web", Some("hub")),
            ("other.example.com/web", Some("all")),
            ("public.example.com/web", None),
        ] {
            assert_eq!(helper(name).as_deref(), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn a_helper_comes_before_the_store_and_both_before_what_is_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let home = Utf8PathBuf::try_from(dir.path().to_owned()).unwrap();
        for helper in ["own", "all"] {
            let script = format!(
                "#!/bin/sh\nread -r server\necho x >> '{home}/asked'\n\
                 [ $server = gone.io ] && {{ echo credentials not found; exit 1; }}\n\
                 echo '{{\"Username\":\"{helper}\",\"Secret\":\"s\"}}'\n"
            );
            executable(&home.join(format!("docker-credential-{helper}")), &script);
        }
        let text = r#"{"credsStore": "all", "credHelpers": {"own.io": "own"}, "auths": {
            "own.io": {"auth": "dTpw"}, "gone.io": {"auth": "dTpw"}}}"#;
        std::fs::write(home.join("config.json"), text).unwrap();
        let path = format!("{home}:/usr/bin:/bin");
        let environment = [("DOCKER_CONFIG", home.as_str()), ("PATH", path.as_str())];
        let credentials = Credentials::new(&Environment::from_iter(environment));
        for (name, expected) in
            [("own.io/a", "own"), ("own.io/b", "own"), ("r.io/a", "all"), ("gone.io/a", "u")]
        {
            let found = credentials.find(&name.parse().unwrap()).await.unwrap().unwrap();
            let Credential::Password { user, .. } = found.credential else { panic!("{name}") };
            assert_eq!(user, expected, "{name}");
        }
        // Each server once.
        assert_eq!(std::fs::read_to_string(home.join("asked")).unwrap(), "x\nx\nx\n");
    }

    fn executable(path: &Utf8Path, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[tokio::test]
    async fn podmans_file_is_where_its_variables_say() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap();
        std::fs::create_dir(dir.path().join("containers")).unwrap();
        let text = r#"{"auths": {"r.io/shop": {"auth": "dTpw"}}}"#;
        std::fs::write(dir.path().join("containers/auth.json"), text).unwrap();
        let file = format!("{home}/containers/auth.json");
        for (variable, value) in [
            ("REGISTRY_AUTH_FILE", file.as_str()),
            ("XDG_RUNTIME_DIR", home),
            ("XDG_CONFIG_HOME", home),
        ] {
            let credentials = Credentials::new(&Environment::from_iter([(variable, value)]));
            let found = credentials.find(&"r.io/shop/web".parse().unwrap()).await.unwrap();
            assert_eq!(found.unwrap().place, format!("`{file}`"), "{variable}");
            assert!(credentials.find(&"r.io/web".parse().unwrap()).await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn a_helper_is_asked_on_its_standard_input() {
        let dir = tempfile::tempdir().unwrap();
        let home = Utf8PathBuf::try_from(dir.path().to_owned()).unwrap();
        let program = home.join("docker-credential-test");
        let script = "#!/bin/sh\nread -r server\ncase $server in\n\
            r.io) echo \"{\\\"Username\\\":\\\"$1\\\",\\\"Secret\\\":\\\"s\\\"}\" ;;\n\
            none.io) echo credentials not found in native keychain; exit 1 ;;\n\
            *) echo canary; exit 2 ;;\nesac\n";
        executable(&program, script);
        std::fs::write(home.join("config.json"), r#"{"credsStore": "test"}"#).unwrap();
        let path = format!("{home}:/usr/bin:/bin");
        let environment = [("DOCKER_CONFIG", home.as_str()), ("PATH", path.as_str())];
        let credentials = Credentials::new(&Environment::from_iter(environment));
        let found = credentials.find(&"r.io/web".parse().unwrap()).await.unwrap().unwrap();
        let Credential::Password { user, .. } = found.credential else { panic!("a password") };
        assert_eq!((user.as_str(), found.place.as_str()), ("get", "credential helper `test`"));
        assert!(credentials.find(&"none.io/web".parse().unwrap()).await.unwrap().is_none());
        let broken = credentials.find(&"broken.io/web".parse().unwrap()).await;
        let error = broken.err().unwrap();
        assert!(error.contains("docker-credential-test") && !error.contains("canary"), "{error}");
    }
}
