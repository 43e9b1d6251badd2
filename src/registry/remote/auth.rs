//! Who asks: the registry's challenge, and the `Authorization` header that meets it.
//!
//! Nothing is sent before a registry asks for it. A token is asked for the scope of the request in
//! hand, and kept for others that need no more; a new one is fetched when it has run out, or when the
//! registry says 401 all the same. Once a registry has named its token service, that is asked first.

use std::time::Duration;

use base64::Engine as _;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Request, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use super::answer::{Refusal, read_body};
use super::credentials::{Credential, Found};
use super::endpoint::{EVERY_SCOPE, Endpoint, TokenService, may_lead};
use super::failure::{Failure, may_pass};
use super::transport::Transport;
use crate::image::ImageName;
use crate::registry::{RegistryError, RequestKind};

/// The longest answer of a token service that is read.
const TOKEN_MAX: usize = 256 << 10;

/// How many seconds a token is good for that does not say it (distribution, "Token Authentication").
const EXPIRES_IN: u64 = 60;

/// How a registry wants to know who asks.
enum Challenge {
    /// User name and password with every request.
    Basic,
    /// A token from the service at `realm`.
    Bearer { realm: Url, service: Option<String> },
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Transport {
    /// Gets a token before the registry asks for one, where it has said for another scope that it
    /// wants one, and from where.
    pub(super) async fn authorize_ahead(
        &self,
        endpoint: &Endpoint,
        name: &ImageName,
        scope: &str,
    ) -> Result<(), Failure> {
        let Some(service) = endpoint.token_service() else { return Ok(()) };
        if endpoint.authorization(scope).is_some() {
            return Ok(());
        }
        let lock = endpoint.authorizing(scope);
        let _alone = lock.lock().await;
        if endpoint.authorization(scope).is_some() {
            return Ok(());
        }
        let found = self.find_credential(name).await?;
        self.get_token(endpoint, name, &service, scope, found).await
    }

    /// Meets the challenge in `headers`, which came for a request with the header `used`, so that the
    /// next request for `scope` is authorized.
    pub(super) async fn authorize(
        &self,
        endpoint: &Endpoint,
        name: &ImageName,
        scope: &str,
        headers: &HeaderMap,
        used: Option<&SecretString>,
    ) -> Result<(), Failure> {
        let lock = endpoint.authorizing(scope);
        let _alone = lock.lock().await;
        let is_new = |known: &SecretString| {
            used.is_none_or(|used| used.expose_secret() != known.expose_secret())
        };
        // Somebody else was told the same, and has done something about it meanwhile.
        if endpoint.authorization(scope).as_ref().is_some_and(is_new) {
            return Ok(());
        }
        let denied = |reason| Failure::denied(name, reason);
        let found = self.find_credential(name).await?;
        if let Some(Found { credential: Credential::RegistryToken(token), .. }) = &found {
            endpoint.authorize(EVERY_SCOPE, prefixed("Bearer", token), None);
            return Ok(());
        }
        match Challenge::read(headers).map_err(denied)? {
            Challenge::Basic => {
                let Some(found) = found else {
                    return Err(denied(format!("it wants a login; {}", self.no_credentials(name))));
                };
                let Credential::Password { user, password } = found.credential else {
                    let place = found.place;
                    return Err(denied(format!("it wants a password; {place} has only a token")));
                };
                let encoded = encode(&user, &password);
                self.keep_secret(&encoded);
                endpoint.authorize(EVERY_SCOPE, prefixed("Basic", &encoded), None);
                Ok(())
            }
            Challenge::Bearer { realm, service } => {
                // Over plain HTTP only where the registry itself is asked that way.
                if realm.scheme() != "https" && !(realm.scheme() == "http" && endpoint.is_plain()) {
                    return Err(denied("its token service is not on https".to_owned()));
                }
                if !may_lead(&endpoint.base(), &realm) {
                    let host = realm.host_str().unwrap_or_default();
                    let reason =
                        format!("its token service is said to be at `{host}`, where it must not");
                    return Err(denied(reason));
                }
                let service = TokenService { realm, service: service.unwrap_or_default() };
                endpoint.has_tokens_from(service.clone());
                endpoint.forget(scope);
                self.get_token(endpoint, name, &service, scope, found).await
            }
        }
    }

    async fn find_credential(&self, name: &ImageName) -> Result<Option<Found>, Failure> {
        let found = self.credentials.find(name).await;
        let found = found.map_err(|reason| Failure::denied(name, reason))?;
        if let Some(found) = &found {
            self.keep_secret(found.credential.secret());
        }
        Ok(found)
    }

    async fn get_token(
        &self,
        endpoint: &Endpoint,
        name: &ImageName,
        service: &TokenService,
        scope: &str,
        found: Option<Found>,
    ) -> Result<(), Failure> {
        let (token, good_for) = self.token(name, service, scope, found).await?;
        self.keep_secret(&token);
        endpoint.authorize(scope, prefixed("Bearer", &token), Some(good_for));
        Ok(())
    }

    /// Returns what to do about credentials that are not there.
    pub(super) fn no_credentials(&self, name: &ImageName) -> String {
        let (domain, places) = (name.domain(), self.credentials.places());
        format!(
            "no credentials for `{domain}` in {places}; `docker login {domain}` puts them there"
        )
    }

    async fn token(
        &self,
        name: &ImageName,
        service: &TokenService,
        scope: &str,
        found: Option<Found>,
    ) -> Result<(SecretString, Duration), Failure> {
        if let Some(Credential::Password { user, password }) = found.as_ref().map(|f| &f.credential)
        {
            self.keep_secret(&encode(user, password));
        }
        let hint = match &found {
            Some(found) => format!("the credentials from {} were sent to it", found.place),
            None => self.no_credentials(name),
        };
        let TokenService { realm, service } = service;
        let mut request = token_request(realm, service, scope, found.as_ref());
        *request.timeout_mut() = Some(self.tuning.answer_within(0));
        let service = realm.host_str().unwrap_or_default();
        let client = self.http.client_for(realm).map_err(|why| Failure::unreachable(name, why))?;
        self.requests.count(name, RequestKind::Token);
        let sent = client.execute(request).await;
        let response = sent.map_err(|error| Failure::transport(name, &error))?;
        let status = response.status();
        if !status.is_success() {
            let refusal = Refusal::read(response).await;
            if may_pass(status) {
                return Err(Failure::later(name, &refusal));
            }
            let words = refusal.words;
            let reason = format!("token service `{service}` says {words}; {hint}");
            return Err(Failure::denied(name, reason));
        }
        let body = read_body(response, TOKEN_MAX).await;
        let body = body.map_err(|error| error.into_failure(name))?;
        let answer = serde_json::from_slice::<TokenAnswer>(&body).ok();
        answer.and_then(TokenAnswer::token).ok_or_else(|| {
            Failure::answer(name, format!("token service `{service}` gave no token"))
        })
    }
}

impl TokenAnswer {
    /// Returns the token, and how long it is good for.
    fn token(self) -> Option<(SecretString, Duration)> {
        let seconds = self.expires_in.unwrap_or(EXPIRES_IN);
        let token = self.token.filter(|token| !token.is_empty()).or(self.access_token)?;
        Some((token.into(), Duration::from_secs(seconds)))
    }
}

impl Challenge {
    fn read(headers: &HeaderMap) -> Result<Self, String> {
        let texts =
            headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let mut offers_basic = false;
        for text in texts {
            let challenges = http_auth::parser::ChallengeParser::new(text).map_while(Result::ok);
            for challenge in challenges {
                if challenge.scheme.eq_ignore_ascii_case("basic") {
                    offers_basic = true;
                }
                if !challenge.scheme.eq_ignore_ascii_case("bearer") {
                    continue;
                }
                let parameter = |name: &str| {
                    let mut all = challenge.params.iter();
                    let found = all.find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                let realm = parameter("realm").and_then(|realm| Url::parse(&realm).ok());
                let realm = realm.ok_or("its challenge names no token service")?;
                return Ok(Self::Bearer { realm, service: parameter("service") });
            }
        }
        let nothing = "it says 401 and not what it wants";
        if offers_basic { Ok(Self::Basic) } else { Err(nothing.to_owned()) }
    }
}

/// Returns the request for a token: the OAuth2 exchange for an identity token, else the plain one,
/// with user name and password if there are any (distribution's "Token Authentication").
fn token_request(realm: &Url, service: &str, scope: &str, found: Option<&Found>) -> Request {
    let mut url = realm.clone();
    if let Some(Credential::IdentityToken(token)) = found.map(|found| &found.credential) {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token").append_pair("client_id", "deployctl");
        form.append_pair("service", service).append_pair("scope", scope);
        form.append_pair("refresh_token", token.expose_secret());
        let mut request = Request::new(Method::POST, url);
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form_type);
        *request.body_mut() = Some(form.finish().into());
        return request;
    }
    {
        let mut query = url.query_pairs_mut();
        if !service.is_empty() {
            query.append_pair("service", service);
        }
        for one in scope.split(' ') {
            query.append_pair("scope", one);
        }
    }
    let mut request = Request::new(Method::GET, url);
    if let Some(Credential::Password { user, password }) = found.map(|found| &found.credential) {
        request
            .headers_mut()
            .insert(AUTHORIZATION, header(&prefixed("Basic", &encode(user, password))));
    }
    request
}

/// Returns user name and password in the form of the `Basic` scheme.
fn encode(user: &str, password: &SecretString) -> SecretString {
    let both = format!("{user}:{}", password.expose_secret());
    base64::engine::general_purpose::STANDARD.encode(both).into()
}

fn prefixed(scheme: &str, secret: &SecretString) -> SecretString {
    format!("{scheme} {}", secret.expose_secret()).into()
}

/// Returns the header's value, marked so that no log shows it.
pub(super) fn header(secret: &SecretString) -> HeaderValue {
    // A token that does not fit into a header can't have come from a registry.
    let value = HeaderValue::from_str(secret.expose_secret());
    let mut value = value.unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
    value.set_sensitive(true);
    value
}

/// Returns the error of a registry that was told who asks and still refuses.
pub(super) async fn refused(
    transport: &Transport,
    name: &ImageName,
    status: StatusCode,
    words: &str,
) -> RegistryError {
    let unauthorized = status == StatusCode::UNAUTHORIZED;
    let hint = match transport.credentials.find(name).await {
        Ok(Some(found)) if unauthorized => {
            format!("it refuses the credentials from {}", found.place)
        }
        Ok(Some(found)) => format!("the credentials from {} do not reach that far", found.place),
        Ok(None) => transport.no_credentials(name),
        Err(reason) => reason,
    };
    Failure::denied(name, format!("{words}; {hint}")).error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(text: &'static str) -> Result<Challenge, String> {
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(text));
        Challenge::read(&headers)
    }

    #[test]
    fn a_bearer_challenge_names_the_token_service() {
        let text = r#"Bearer realm="https://auth.example.com/token",service="r",scope="a:b:c""#;
        let Ok(Challenge::Bearer { realm, service }) = challenge(text) else { panic!("bearer") };
        assert_eq!(
            (realm.as_str(), service.as_deref()),
            ("https://auth.example.com/token", Some("r"))
        );
        assert!(matches!(challenge("Basic realm=\"x\""), Ok(Challenge::Basic)));
        assert!(matches!(
            challenge("Basic realm=x, Bearer realm=\"https://a\""),
            Ok(Challenge::Bearer { .. })
        ));
        assert!(challenge("Bearer realm=\"nowhere\"").is_err());
        assert!(challenge("Negotiate").is_err());
    }

    #[test]
    fn an_identity_token_travels_in_the_body() {
        let realm = Url::parse("https://auth.example.com/token").unwrap();
        let credential = Credential::IdentityToken("canary".to_owned().into());
        let found = Found { credential, place: String::new() };
        let request = token_request(&realm, "r", "repository:a:pull,push", Some(&found));
        assert_eq!((request.method(), request.url()), (&Method::POST, &realm));
        let body = request.body().unwrap().as_bytes().unwrap();
        assert!(String::from_utf8_lossy(body).contains("refresh_token=canary"));
    }

    #[test]
    fn every_scope_is_a_parameter_of_its_own() {
        let realm = Url::parse("https://auth.example.com/token?x=1").unwrap();
        let request = token_request(&realm, "", "repository:a:pull,push repository:b:pull", None);
        let query = "x=1&scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Ab%3Apull";
        assert_eq!(request.url().query(), Some(query));
        assert!(request.headers().get(AUTHORIZATION).is_none());
    }
}
