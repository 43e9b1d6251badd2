//! HTTP clients: one for plain connections, one for TLS, and one for each registry with certificates
//! of its own. They are made when they are first needed, because reading the machine's certificate
//! authorities takes longer than asking a registry.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use reqwest::{Certificate, Client, ClientBuilder, NoProxy, Proxy};
use url::Url;

use super::RegistryError;
use super::certs::{CertificateFolders, Certificates};
use crate::system::Environment;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The clients.
pub(super) struct Http {
    plain: Client,
    tls: OnceLock<Result<Client, String>>,
    /// By host and port; `None` where the common one serves.
    own: Mutex<BTreeMap<String, Option<Client>>>,
    folders: CertificateFolders,
    proxies: Proxies,
    /// `SSL_CERT_FILE`.
    authorities: Option<Utf8PathBuf>,
}

/// The proxies that the environment names.
#[derive(Default)]
struct Proxies {
    http: Option<String>,
    https: Option<String>,
    except: String,
}

impl Http {
    /// Returns clients as the environment wants them: `SSL_CERT_FILE`, `HTTPS_PROXY`, `HTTP_PROXY`,
    /// `NO_PROXY`, the latter three in lower case too. How long an answer may take is each request's own
    /// affair: a limit for reading would hold for the time in which a body is sent, too.
    pub(super) fn new(environment: &Environment) -> Result<Self, RegistryError> {
        // Fails if one is installed already, which is just as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let proxies = Proxies::of(environment);
        let no_authorities = builder(&proxies).and_then(|b| b.tls_certs_only([]).build());
        let plain = no_authorities.map_err(|error| RegistryError::Invalid {
            document: "HTTP_PROXY or HTTPS_PROXY".to_owned(),
            expected: "proxy URL",
            reason: deepest(&error),
        })?;
        let authorities = environment.get("SSL_CERT_FILE").map(Utf8PathBuf::from);
        let (tls, own) = (OnceLock::new(), Mutex::default());
        let folders = CertificateFolders::new(environment);
        Ok(Self { plain, tls, own, folders, proxies, authorities })
    }

    /// Returns the client for the host and the scheme of `url`.
    pub(super) fn client_for(&self, url: &Url) -> Result<Client, String> {
        if url.scheme() == "http" {
            return Ok(self.plain.clone());
        }
        let host = url.authority().to_owned();
        let known = || self.own.lock().expect("nothing panics while it holds the lock");
        let own = known().get(&host).cloned();
        let own = match own {
            Some(own) => own,
            None => {
                let found = self.folders.find(url)?;
                let own = found.map(|certificates| self.make_tls(certificates)).transpose()?;
                known().insert(host, own.clone());
                own
            }
        };
        let common = || self.tls.get_or_init(|| self.make_tls(Certificates::default())).clone();
        own.map_or_else(common, Ok)
    }

    fn make_tls(&self, own: Certificates) -> Result<Client, String> {
        let mut authorities = own.authorities;
        if let Some(path) = &self.authorities {
            authorities.extend(read_authorities(path)?);
        }
        let made = builder(&self.proxies).and_then(|builder| {
            let builder = builder.tls_certs_merge(authorities);
            match own.identity {
                Some(identity) => builder.identity(identity).build(),
                None => builder.build(),
            }
        });
        made.map_err(|error| {
            let reason = deepest(&error);
            format!("{reason}; install `ca-certificates` or set SSL_CERT_FILE")
        })
    }
}

impl Proxies {
    fn of(environment: &Environment) -> Self {
        let get = |upper: &str| {
            let lower = upper.to_lowercase();
            environment.get(&lower).or_else(|| environment.get(upper)).map(str::to_owned)
        };
        let loopback = "localhost,127.0.0.0/8,::1";
        let except = get("NO_PROXY").map_or(loopback.to_owned(), |no| format!("{loopback},{no}"));
        Self { http: get("HTTP_PROXY"), https: get("HTTPS_PROXY"), except }
    }
}

fn builder(proxies: &Proxies) -> reqwest::Result<ClientBuilder> {
    let mut builder = Client::builder()
        .user_agent(concat!("deployctl/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_adaptive_window(true)
        .tcp_nodelay(true)
        // Redirects are followed by hand, which keeps credentials from going with them.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    let except = || NoProxy::from_string(&proxies.except);
    if let Some(proxy) = &proxies.http {
        builder = builder.proxy(Proxy::http(proxy)?.no_proxy(except()));
    }
    if let Some(proxy) = &proxies.https {
        builder = builder.proxy(Proxy::https(proxy)?.no_proxy(except()));
    }
    Ok(builder)
}

fn read_authorities(path: &Utf8Path) -> Result<Vec<Certificate>, String> {
    let unusable = |reason| format!("SSL_CERT_FILE names `{path}`, which can't be used: {reason}");
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    Certificate::from_pem_bundle(&pem).map_err(|error| unusable(deepest(&error)))
}

/// Returns the innermost cause, which alone says what happened and has no URL in it.
pub(super) fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    loop {
        let of_request = cause.downcast_ref::<reqwest::Error>();
        if of_request.is_some_and(reqwest::Error::is_timeout) {
            return "no answer in time".to_owned();
        }
        match (cause.source(), of_request) {
            (Some(source), _) => cause = source,
            (None, Some(error)) => {
                return format!("{error:#}")
                    .split(" for url")
                    .next()
                    .unwrap_or_default()
                    .to_owned();
            }
            (None, None) => return cause.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_read_only_for_tls() {
        let environment = Environment::from_iter([("SSL_CERT_FILE", "/nowhere/authorities.pem")]);
        let http = Http::new(&environment).unwrap();
        let client = |url: &str| http.client_for(&Url::parse(url).unwrap());
        assert!(client("http://localhost:5000/v2/").is_ok());
        let error = client("https://registry.example.com/v2/").unwrap_err();
        assert!(error.contains("SSL_CERT_FILE names `/nowhere/authorities.pem`"), "{error}");
    }
}
