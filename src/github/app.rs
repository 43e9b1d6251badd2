//! A GitHub App: it proves who it is with its private key and is given a token that holds for an hour
//! and one repository.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::GithubError;
use crate::system::Environment;

const ID: &str = "DEPLOYCTL_GITHUB_APP_ID";
const KEY: &str = "DEPLOYCTL_GITHUB_APP_PRIVATE_KEY";

/// An App and its private key.
pub(super) struct App {
    /// The App's id, or its client id.
    id: String,
    key: RsaKeyPair,
}

/// The token of an App's installation.
#[derive(Clone, Deserialize)]
#[serde(from = "Granted")]
pub(super) struct Installation {
    pub(super) token: SecretString,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Granted {
    token: String,
    expires_at: Timestamp,
}

impl From<Granted> for Installation {
    fn from(granted: Granted) -> Self {
        Self { token: granted.token.into(), expires_at: granted.expires_at }
    }
}

impl App {
    /// Returns the App that `DEPLOYCTL_GITHUB_APP_ID` and `DEPLOYCTL_GITHUB_APP_PRIVATE_KEY` (PEM, or
    /// the path of a PEM file) name, or `None` if neither is set.
    pub(super) fn find(environment: &Environment) -> Result<Option<Self>, GithubError> {
        let (id, key) = match (environment.get(ID), environment.get(KEY)) {
            (None, None) => return Ok(None),
            (Some(id), Some(key)) => (id.trim(), key.trim()),
            (Some(_), None) => return Err(malformed(format!("`{ID}` is set, but `{KEY}` is not"))),
            (None, Some(_)) => return Err(malformed(format!("`{KEY}` is set, but `{ID}` is not"))),
        };
        if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.') {
            return Err(malformed(format!("`{ID}` is neither the id nor the client id of an App")));
        }
        let pem = match key.starts_with("-----BEGIN") {
            // Where a variable can't hold line breaks, they are written as `\n`.
            true => key.replace("\\n", "\n"),
            false => std::fs::read_to_string(key).map_err(|error| {
                malformed(format!("can't read the file that `{KEY}` names: {error}"))
            })?,
        };
        Ok(Some(Self { id: id.to_owned(), key: read_key(&pem)? }))
    }

    /// Returns the proof of who the App is, for the next minutes.
    /// <https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>
    pub(super) fn proof(&self, now: Timestamp) -> Result<SecretString, GithubError> {
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let now = now.as_second();
        // A minute back, for clocks that differ; GitHub allows ten minutes ahead.
        let claims = json!({"iat": now - 60, "exp": now + 540, "iss": self.id});
        let signed = format!("{}.{}", part(json!({"alg": "RS256", "typ": "JWT"})), part(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        let random = SystemRandom::new();
        self.key
            .sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature)
            .map_err(|_| malformed(format!("can't sign with the key in `{KEY}`")))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
    }
}

impl Installation {
    /// Returns whether the token holds for some minutes yet.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        now.as_second() + 300 < self.expires_at.as_second()
    }
}

fn read_key(pem: &str) -> Result<RsaKeyPair, GithubError> {
    let none = || malformed(format!("`{KEY}` holds no RSA private key in PEM"));
    // GitHub gives PKCS #1; PKCS #8 is what other tools make of it.
    let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
        Ok(PrivateKeyDer::Pkcs1(key)) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        Ok(PrivateKeyDer::Pkcs8(key)) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        _ => return Err(none()),
    };
    key.map_err(|_| none())
}

fn malformed(reason: String) -> GithubError {
    GithubError::App { reason }
}
