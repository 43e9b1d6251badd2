//! Where a registry is: its host, and whether it may be asked without TLS.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard};

use secrecy::SecretString;
use url::Url;

use super::RegistryError;
use crate::system::Environment;

/// Lists registries, by comma, that may be asked over plain HTTP though they are not on loopback.
const INSECURE: &str = "DEPLOYCTL_INSECURE_REGISTRIES";

/// The domains that may be asked over plain HTTP.
#[derive(Debug, Default)]
pub(super) struct PlainRules(Vec<String>);

/// A registry, and what was learned about it so far.
pub(super) struct Endpoint {
    /// The domain as images name it.
    pub(super) domain: String,
    https: Url,
    learned: Mutex<Learned>,
}

struct Learned {
    scheme: Scheme,
    /// `Authorization` headers by the scope that they are for.
    authorizations: Vec<(String, SecretString)>,
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
        let learned = Mutex::new(Learned { scheme, authorizations: Vec::new() });
        Ok(Self { domain: domain.to_owned(), https, learned })
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

    /// Notes that the registry gave a sensible answer.
    pub(super) fn answered(&self) {
        let mut learned = self.learned();
        if learned.scheme == Scheme::PerhapsHttp {
            learned.scheme = Scheme::Http;
        }
    }

    /// Returns the `Authorization` header for `scope`, if one was given out.
    pub(super) fn authorization(&self, scope: &str) -> Option<SecretString> {
        let learned = self.learned();
        let mut known = learned.authorizations.iter();
        known.find(|(of, _)| of == scope || of == EVERY_SCOPE).map(|(_, header)| header.clone())
    }

    /// Keeps the `Authorization` header for `scope`.
    pub(super) fn authorize(&self, scope: &str, header: SecretString) {
        let mut learned = self.learned();
        learned.authorizations.retain(|(of, _)| of != scope && of != EVERY_SCOPE);
        learned.authorizations.push((scope.to_owned(), header));
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().expect("nothing panics while it holds the lock")
    }
}

/// The scope of a header that is good for everything: user name and password.
pub(super) const EVERY_SCOPE: &str = "*";

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
        _ => return is_loopback(url),
    };
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified()
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || is_local(v6),
    }
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
        assert!(!leads("https://a.example.com/", "file:///etc/passwd"));
    }
}
