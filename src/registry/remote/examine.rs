//! Asking as a push would, without storing anything.

use base64::Engine as _;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::call::{Call, Payload, Target};
use super::credentials::Credential;
use super::failure::Failure;
use super::transport::next_url;
use super::{Remote, pull, push, unexpected};
use crate::image::ImageName;
use crate::registry::{Examination, Login, RequestKind};

/// How many pulls are left, as Docker Hub counts them: `100;w=21600`.
const PULLS_LEFT: &str = "ratelimit-remaining";

/// What a token of the distribution project's own kind says it is for ("Token Authentication
/// Implementation").
#[derive(Deserialize)]
struct Claims {
    access: Vec<Access>,
}

#[derive(Deserialize)]
struct Access {
    name: String,
    actions: Vec<String>,
}

impl Remote {
    /// Asks the registry of `name` as a push would, one question after the other, and returns what
    /// each showed. An upload that is begun is taken back.
    pub async fn examine(&self, name: &ImageName) -> Examination {
        let login = self.login(name).await;
        let reached = self.transport.persist(name, || self.try_reach(name)).await;
        let scheme = self.transport.scheme(name);
        let mut pulls_left = None;
        let looked = self.transport.persist(name, || self.try_look(name)).await;
        let pull = looked.map(|(there, left)| {
            pulls_left = left;
            there
        });
        let push = self.transport.persist(name, || self.try_begin(name)).await;
        let granted = self.granted(name);
        Examination { name: name.clone(), scheme, reached, login, granted, pull, push, pulls_left }
    }

    async fn login(&self, name: &ImageName) -> Login {
        match self.transport.credentials.find(name).await {
            Err(reason) => Login::Broken(reason),
            Ok(None) => Login::Nobody { looked_in: self.transport.credentials.places() },
            Ok(Some(found)) => {
                let user = match &found.credential {
                    Credential::Password { user, .. } => Some(user.clone()),
                    Credential::IdentityToken(_) | Credential::RegistryToken(_) => None,
                };
                Login::Somebody { user, place: found.place }
            }
        }
    }

    async fn try_reach(&self, name: &ImageName) -> Result<(), Failure> {
        let (target, kind) = (Target::Path("v2/".to_owned()), RequestKind::GetRoot);
        let call = Call::nothing(Method::GET, kind, name, target, pull(name));
        self.transport.send(&call).await.map(|_| ())
    }

    /// Returns whether the repository has a tag, and how many pulls are left.
    async fn try_look(&self, name: &ImageName) -> Result<(bool, Option<u64>), Failure> {
        let response = self.ask(Method::GET, RequestKind::GetTags, name, "tags/list?n=1").await?;
        let left = response.headers().get(PULLS_LEFT).and_then(|value| value.to_str().ok());
        let left = left.and_then(|text| text.split(';').next()?.trim().parse().ok());
        match response.status() {
            StatusCode::OK => Ok((true, left)),
            StatusCode::NOT_FOUND => Ok((false, left)),
            _ => Err(unexpected(name, response).await),
        }
    }

    async fn try_begin(&self, name: &ImageName) -> Result<(), Failure> {
        let (response, url) = self.post_upload(name, "", push(name), Payload::Nothing).await?;
        if response.status() != StatusCode::ACCEPTED {
            return Err(unexpected(name, response).await);
        }
        // Registries forget an upload by themselves after a while, so it does not matter if this one
        // does not do it now.
        let target = Target::Url(next_url(name, &url, &response)?);
        let call =
            Call::nothing(Method::DELETE, RequestKind::CancelUpload, name, target, push(name));
        let _ = self.transport.send(&call).await;
        Ok(())
    }

    /// Returns what the token for a push allows in the repository, if it is one that can be read. It
    /// is not verified: the registry does that.
    fn granted(&self, name: &ImageName) -> Option<Vec<String>> {
        let header = self.transport.authorization(name, &push(name))?;
        let token = header.expose_secret().strip_prefix("Bearer ")?;
        let claims = token.split('.').nth(1)?;
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).ok()?;
        let claims: Claims = serde_json::from_slice(&claims).ok()?;
        let own = claims.access.into_iter().filter(|access| access.name == name.path());
        Some(own.flat_map(|access| access.actions).collect())
    }
}
