//! Where a registry is: its host, and whether it may be asked without TLS.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use reqwest::Version;
use secrecy::SecretString;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use url::Url;

use super::{RegistryError, RequestKind};
use crate::system::Environment;

/// Lists registries, by comma, that may be asked over plain HTTP though they are not on loopback.
const INSECURE: &str = "DEPLOYCTL_INSECURE_REGISTRIES";

/// A token is no longer used when it is this close to its end.
const TOKEN_MARGIN: Duration = Duration::from_secs(5);

/// The domains that may be asked over plain HTTP.
#[derive(Debug, Default)]
pub(super) struct PlainRules(Vec<String>);

/// A registry, and what was learned about it so far.
pub(super) struct Endpoint {
    /// The domain as images name it.
    pub(super) domain: String,
    https: Url,
    learned: Mutex<Learned>,
    opening: tokio::sync::Mutex<()>,
    authorizing: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    lane: Semaphore,
}

struct Learned {
    scheme: Scheme,
    /// Whether there was an answer, and so a connection to go on with.
    answered: bool,
    /// Whether somebody has tried to get one.
    tried: bool,
    /// Whether questions are asked one after the other: HTTP/1.1 has no room for two on a connection,
    /// and a registry without TLS is so near that a second one is not worth it.
    one_by_one: bool,
    /// `Authorization` headers by the scope that they are for.
    authorizations: Vec<Authorization>,
    /// The token service that the registry has named.
    token_service: Option<TokenService>,
}

struct Authorization {
    scope: String,
    header: SecretString,
    until: Option<Instant>,
}

/// Where a registry's tokens come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenService {
    /// Its address.
    pub(super) realm: Url,
    /// What it calls the registry.
    pub(super) service: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Https,
    Http,
    /// Plain until the registry turns out to speak TLS.
    PerhapsHttp,
}

impl PlainRules {
    /// Returns what the environment says.
    pub(super) fn of(environment: &Environment) -> Self {
        let listed = environment.get(INSECURE).unwrap_or_default().split(',');
        Self(listed.map(|domain| domain.trim().to_owned()).filter(|d| !d.is_empty()).collect())
    }

    fn allow(&self, domain: &str, url: &Url) -> bool {
        is_loopback(url) || self.0.iter().any(|listed| listed == domain)
    }
}

impl Endpoint {
    /// Returns the endpoint of the registry `domain`.
    pub(super) fn new(domain: &str, rules: &PlainRules) -> Result<Self, RegistryError> {
        // Docker Hub's registry is not at the domain that its images are named by.
        let host = if domain == "docker.io" { "registry-1.docker.io" } else { domain };
        let https = Url::parse(&format!("https://{host}/")).ok().filter(|_| !domain.is_empty());
        let https = https.ok_or_else(|| RegistryError::Unreachable {
            registry: domain.to_owned(),
            reason: "that is not a host name".to_owned(),
        })?;
        let plain = rules.allow(domain, &https);
        let scheme = if plain { Scheme::PerhapsHttp } else { Scheme::Https };
        let learned = Learned {
            scheme,
            answered: false,
            tried: false,
            one_by_one: false,
            authorizations: Vec::new(),
            token_service: None,
        };
        Ok(Self {
            domain: domain.to_owned(),
            https,
            learned: Mutex::new(learned),
            opening: tokio::sync::Mutex::default(),
            authorizing: Mutex::default(),
            lane: Semaphore::new(1),
        })
    }

    /// Returns the URL that the registry's paths are joined to.
    pub(super) fn base(&self) -> Url {
        let mut base = self.https.clone();
        if self.learned().scheme != Scheme::Https {
            base.set_scheme("http").expect("https can become http");
            // The port of `localhost:443` would else be taken for the default one of HTTPS.
            if self.https.port().is_none() && self.domain.ends_with(":443") {
                base.set_port(Some(443)).expect("an http URL has a port");
            }
        }
        base
    }

    /// Returns whether `url` is this registry, so that it may see its credentials.
    pub(super) fn is_at(&self, url: &Url) -> bool {
        let base = self.base();
        base.scheme() == url.scheme()
            && base.host() == url.host()
            && base.port_or_known_default() == url.port_or_known_default()
    }

    /// Returns whether the registry is asked over plain HTTP and has not said yet that this is right.
    pub(super) fn may_want_tls(&self) -> bool {
        self.learned().scheme == Scheme::PerhapsHttp
    }

    /// Returns whether the registry is asked over plain HTTP.
    pub(super) fn is_plain(&self) -> bool {
        self.learned().scheme != Scheme::Https
    }

    /// Notes that the registry speaks TLS after all.
    pub(super) fn wants_tls(&self) {
        self.learned().scheme = Scheme::Https;
    }

    /// Notes that the registry gave a sensible answer in a version of HTTP.
    pub(super) fn answered(&self, version: Version) {
        let mut learned = self.learned();
        if learned.scheme == Scheme::PerhapsHttp {
            learned.scheme = Scheme::Http;
        }
        if !learned.answered {
            learned.answered = true;
            learned.tried = true;
            learned.one_by_one = version != Version::HTTP_2 && learned.scheme == Scheme::Http;
        }
    }

    /// Returns whether the registry has given an answer.
    pub(super) fn has_answered(&self) -> bool {
        self.learned().answered
    }

    /// Notes that the registry was asked, whether or not it answers.
    pub(super) fn was_tried(&self) {
        self.learned().tried = true;
    }

    /// Returns what is held by whoever asks for a token for `scope`, so that others wait for it and do
    /// not ask as well.
    pub(super) fn authorizing(&self, scope: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.authorizing.lock().expect("nothing panics while it holds the lock");
        all.entry(scope.to_owned()).or_default().clone()
    }

    /// Waits while somebody else asks the registry's first question: its answer tells scheme and
    /// version, and its connection can be used again. Returns a guard for whoever asks it.
    pub(super) async fn opening(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        if self.learned().tried {
            return None;
        }
        let guard = self.opening.lock().await;
        // Where there was none, nobody waits for another one.
        (!self.learned().tried).then_some(guard)
    }

    /// Waits for the one connection that short questions share, where they do.
    pub(super) async fn lane(&self, kind: RequestKind) -> Option<SemaphorePermit<'_>> {
        let is_short = matches!(kind, RequestKind::HeadManifest | RequestKind::HeadBlob);
        if !is_short || !self.learned().one_by_one {
            return None;
        }
        self.lane.acquire().await.ok()
    }

    /// Returns the `Authorization` header for `scope`, if one was given out that is still good.
    pub(super) fn authorization(&self, scope: &str) -> Option<SecretString> {
        let mut learned = self.learned();
        let now = Instant::now();
        learned.authorizations.retain(|known| known.until.is_none_or(|until| now < until));
        let known = |fits: &dyn Fn(&str) -> bool| {
            let mut known = learned.authorizations.iter();
            known.find(|known| fits(&known.scope)).map(|known| known.header.clone())
        };
        known(&|of| of == scope || of == EVERY_SCOPE).or_else(|| known(&|of| covers(of, scope)))
    }

    /// Keeps the `Authorization` header for `scope`, which is good for so long.
    pub(super) fn authorize(&self, scope: &str, header: SecretString, good_for: Option<Duration>) {
        let until = good_for.map(|time| Instant::now() + time.saturating_sub(TOKEN_MARGIN));
        let mut learned = self.learned();
        learned.authorizations.retain(|of| of.scope != scope && of.scope != EVERY_SCOPE);
        learned.authorizations.push(Authorization { scope: scope.to_owned(), header, until });
    }

    /// Drops the token for `scope`, so that the next request gets a new one.
    pub(super) fn forget(&self, scope: &str) {
        self.learned()
            .authorizations
            .retain(|of| of.scope == EVERY_SCOPE || !covers(&of.scope, scope));
    }

    /// Returns the token service that the registry has named.
    pub(super) fn token_service(&self) -> Option<TokenService> {
        self.learned().token_service.clone()
    }

    /// Notes where the registry's tokens come from.
    pub(super) fn has_tokens_from(&self, service: TokenService) {
        self.learned().token_service = Some(service);
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().expect("nothing panics while it holds the lock")
    }
}

/// The scope of a header that is good for everything: user name and password.
pub(super) const EVERY_SCOPE: &str = "*";

/// Returns whether a token for the scope `of` is also one for `wanted`: each repository is in it with
/// all the actions that are wanted.
fn covers(of: &str, wanted: &str) -> bool {
    let one_covers = |wanted: &str| {
        let Some((repository, actions)) = wanted.rsplit_once(':') else { return false };
        of.split(' ').filter_map(|one| one.rsplit_once(':')).any(|(has, may)| {
            has == repository
                && actions.split(',').all(|action| may.split(',').any(|m| m == action))
        })
    };
    wanted.split(' ').all(one_covers)
}

/// Returns whether `url` is on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Returns whether an answer from `from` may send a client on to `to`: not out of TLS, and not from
/// elsewhere into this machine or its network, which the answer's author may not be able to reach.
pub(super) fn may_lead(from: &Url, to: &Url) -> bool {
    let downgrade = from.scheme() == "https" && to.scheme() != "https";
    let is_web = matches!(to.scheme(), "https" | "http");
    is_web && !downgrade && (from.host() == to.host() || is_inside(from) || !is_inside(to))
}

fn is_inside(url: &Url) -> bool {
    let address = match url.host() {
        Some(url::Host::Ipv4(address)) => IpAddr::V4(address),
        Some(url::Host::Ipv6(address)) => address.to_canonical(),
        Some(url::Host::Domain(name)) => return is_loopback(url) || is_inside_name(name),
        None => return false,
    };
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_unspecified() || is_local_v4(v4),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || is_local(v6),
    }
}

/// Names that only a network's own resolver knows (RFC 6762, and `.internal` as ICANN has reserved
/// it); cloud providers answer for credentials under one of them.
fn is_inside_name(name: &str) -> bool {
    name.ends_with(".local") || name.ends_with(".internal") || !name.contains('.')
}

fn is_local_v4(address: Ipv4Addr) -> bool {
    // 100.64.0.0/10 is shared between a provider and its customers (RFC 6598).
    let is_shared = address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64;
    address.is_private() || address.is_link_local() || address.is_broadcast() || is_shared
}

fn is_local(address: Ipv6Addr) -> bool {
    address.is_unique_local() || address.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(domain: &str) -> String {
        let environment = Environment::from_iter([(INSECURE, "registry.example.com:5000, other")]);
        Endpoint::new(domain, &PlainRules::of(&environment)).unwrap().base().to_string()
    }

    #[test]
    fn loopback_and_listed_registries_are_asked_over_plain_http() {
        assert_eq!(base("localhost:5000"), "http://localhost:5000/");
        assert_eq!(base("127.1.2.3"), "http://127.1.2.3/");
        assert_eq!(base("[::1]:5000"), "http://[::1]:5000/");
        assert_eq!(base("localhost:443"), "http://localhost:443/");
        assert_eq!(base("registry.example.com:5000"), "http://registry.example.com:5000/");
        assert_eq!(base("registry.example.com"), "https://registry.example.com/");
        assert_eq!(base("docker.io"), "https://registry-1.docker.io/");
    }

    #[test]
    fn a_token_for_more_is_one_for_less() {
        let mounts = "repository:a:pull,push repository:b:pull";
        assert!(covers(mounts, "repository:a:pull,push") && covers(mounts, "repository:a:pull"));
        assert!(covers(mounts, "repository:b:pull"));
        assert!(!covers(mounts, "repository:b:pull,push") && !covers(mounts, "repository:c:pull"));
        assert!(!covers("repository:a:pull", mounts));
    }

    #[test]
    fn a_token_is_good_for_its_time() {
        let endpoint = Endpoint::new("r.example.com", &PlainRules::default()).unwrap();
        endpoint.authorize("repository:a:pull", "one".to_owned().into(), None);
        endpoint.authorize("repository:b:pull", "two".to_owned().into(), Some(TOKEN_MARGIN));
        assert!(endpoint.authorization("repository:a:pull").is_some());
        assert!(endpoint.authorization("repository:b:pull").is_none());
        endpoint.forget("repository:a:pull");
        assert!(endpoint.authorization("repository:a:pull").is_none());
    }

    #[test]
    fn a_name_without_a_registry_is_refused() {
        assert!(Endpoint::new("", &PlainRules::default()).is_err());
    }

    #[test]
    fn an_answer_does_not_lead_out_of_tls_or_into_the_network() {
        let leads =
            |from: &str, to: &str| may_lead(&Url::parse(from).unwrap(), &Url::parse(to).unwrap());
        assert!(leads("https://a.example.com/", "https://b.example.com/"));
        assert!(leads("http://127.0.0.1:1/", "http://127.0.0.1:2/"));
        assert!(leads("https://10.0.0.1/", "https://10.0.0.2/"));
        assert!(!leads("https://a.example.com/", "http://a.example.com/"));
        assert!(!leads("https://a.example.com/", "https://169.254.169.254/"));
        assert!(!leads("https://a.example.com/", "https://[::ffff:10.0.0.1]/"));
        assert!(!leads("https://a.example.com/", "https://localhost/"));
        assert!(!leads("https://a.example.com/", "https://100.100.0.1/"));
        assert!(!leads("https://a.example.com/", "https://metadata.google.internal/"));
        assert!(leads("https://registry.internal/", "https://storage.internal/"));
        assert!(!leads("https://a.example.com/", "file:///etc/passwd"));
    }
}
