//! Signatures by an identity instead of a key, through the program `cosign`: it gets a certificate for
//! the identity, signs, and puts that on a public log.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;
use serde_json::Value;

use super::{AttachError, Attached};
use crate::image::PinnedImage;
use crate::system::{Command, CommandError, Environment, Output};

/// `cosign` waits for three servers; one that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(300);

/// Variables by which pipelines offer an identity that `cosign` takes.
const IDENTITIES: &[&[&str]] = &[
    &["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"],
    // GitLab CI with `id_tokens`, CircleCI, and who has got a token by other means.
    &["SIGSTORE_ID_TOKEN"],
    &["BUILDKITE_AGENT_ACCESS_TOKEN"],
    &["GOOGLE_SERVICE_ACCOUNT_NAME"],
    &["SPIFFE_ENDPOINT_SOCKET"],
];

/// Variables whose values no line may show.
const SECRETS: &[&str] = &[
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "SIGSTORE_ID_TOKEN",
    "BUILDKITE_AGENT_ACCESS_TOKEN",
    "COSIGN_PASSWORD",
    "COSIGN_PRIVATE_KEY",
];

/// The program `cosign`.
pub(in crate::ops) struct Cosign {
    path: Utf8PathBuf,
    environment: Environment,
}

impl Cosign {
    /// Returns the program on `PATH`.
    pub(in crate::ops) fn find(environment: &Environment) -> Result<Self, AttachError> {
        let path = environment.find_program("cosign").ok_or(AttachError::NoCosign)?;
        Ok(Self { path, environment: environment.clone() })
    }

    /// Returns the program, if there is an identity for it to sign with.
    pub(super) fn with_identity(environment: &Environment) -> Result<Self, AttachError> {
        let is_set = |name: &&str| environment.get(name).is_some();
        if !IDENTITIES.iter().any(|names| names.iter().all(is_set)) {
            return Err(AttachError::NoIdentity);
        }
        Self::find(environment)
    }

    /// Signs the image, or attaches the predicate to it, signed.
    pub(super) async fn attach(
        &self,
        image: &PinnedImage,
        what: Attached,
        predicate: &Value,
    ) -> Result<(), AttachError> {
        let scratch = |source| AttachError::Scratch { image: image.to_string(), source };
        let folder = tempfile::TempDir::new().map_err(scratch)?;
        let file = Utf8Path::from_path(folder.path()).map(|folder| folder.join("predicate.json"));
        let file = file.ok_or_else(|| scratch(std::io::Error::other("its path is not UTF-8")))?;
        let kind = match what {
            Attached::Signature => None,
            Attached::Sbom => Some("cyclonedx"),
            Attached::Provenance => Some("slsaprovenance1"),
        };
        let mut arguments = vec!["sign", "--yes"];
        if let Some(kind) = kind {
            std::fs::write(&file, predicate.to_string()).map_err(scratch)?;
            arguments = vec!["attest", "--yes", "--type", kind, "--predicate", file.as_str()];
        }
        let reference = by_digest(image);
        arguments.push(&reference);
        let output = self.run(&arguments).await;
        let output =
            output.map_err(|source| AttachError::Run { image: image.to_string(), source })?;
        if output.status.success() {
            return Ok(());
        }
        let what = if kind.is_some() { "attest" } else { "sign" };
        let (image, reason) = (image.to_string(), last_words(&output));
        Err(AttachError::Cosign { image, what, reason })
    }

    /// Returns why `cosign` finds no signature of the image by `identity`, which `issuer` has vouched
    /// for; `None` if it finds one.
    pub(in crate::ops) async fn objects(
        &self,
        image: &PinnedImage,
        identity: &str,
        issuer: &str,
    ) -> Result<Option<String>, CommandError> {
        // One argument each, so that none is taken for an option.
        let identity = format!("--certificate-identity={identity}");
        let issuer = format!("--certificate-oidc-issuer={issuer}");
        let output = self.run(&["verify", &identity, &issuer, &by_digest(image)]).await?;
        Ok((!output.status.success()).then(|| last_words(&output)))
    }

    async fn run(&self, arguments: &[&str]) -> Result<Output, CommandError> {
        let mut command = Command::new(self.path.as_str()).only_env(&self.environment);
        for secret in SECRETS.iter().filter_map(|name| self.environment.get(name)) {
            command = command.redact(SecretString::from(secret));
        }
        command.args(arguments).deadline(LONGEST).output().await
    }
}

/// Returns the reference without a tag, which may mean something else by now.
fn by_digest(image: &PinnedImage) -> String {
    format!("{}@{}", image.name, image.digest)
}

/// Returns the last line of what it said that is not empty, shortened.
fn last_words(output: &Output) -> String {
    let line = output.stderr.lines().map(str::trim).rfind(|line| !line.is_empty());
    line.map_or_else(|| output.status.to_string(), |line| line.chars().take(500).collect())
}
