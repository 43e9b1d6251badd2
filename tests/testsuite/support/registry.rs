//! A real `docker-registry` on a free loopback port.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Server, peer, wait_until};

/// A running registry; dropping it stops it and removes its data.
pub(crate) struct RegistryServer {
    domain: String,
    home: tempfile::TempDir,
    _server: Server,
}

impl RegistryServer {
    /// Starts a registry that speaks plain HTTP and lets everybody push; `None` if it is not installed.
    pub(crate) fn start_plain() -> Option<Self> {
        Self::start(tempfile::tempdir().unwrap(), "", "")
    }

    /// Starts a registry that wants `user` and `password`.
    pub(crate) fn start_htpasswd(user: &str, password: &str) -> Option<Self> {
        let htpasswd = peer("htpasswd")?;
        let home = tempfile::tempdir().unwrap();
        let made = Command::new(htpasswd).args(["-Bbn", user, password]).output().unwrap();
        assert!(made.status.success());
        let file = home.path().join("htpasswd");
        std::fs::write(&file, made.stdout).unwrap();
        let auth = format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", file.display());
        Self::start(home, "", &auth)
    }

    /// Starts a registry that speaks TLS with a certificate of its own authority; see
    /// [`RegistryServer::authority`].
    pub(crate) fn start_tls() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let (certificate, key) = make_certificates(home.path());
        let (certificate, key) = (certificate.display(), key.display());
        let tls = format!(", tls: {{certificate: {certificate}, key: {key}}}");
        Self::start(home, &tls, "")
    }

    /// As [`RegistryServer::start_tls`], for clients with a certificate of the same authority alone:
    /// `client.cert` and `client.key`, beside the authority's.
    pub(crate) fn start_tls_for_clients() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let (certificate, key) = make_certificates(home.path());
        let (certificate, key) = (certificate.display(), key.display());
        let authority = home.path().join("ca.crt");
        let clients = format!("clientcas: [{}]", authority.display());
        let tls = format!(", tls: {{certificate: {certificate}, key: {key}, {clients}}}");
        Self::start(home, &tls, "")
    }

    /// Returns `127.0.0.1:PORT`, as in an image's name.
    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// Returns the PEM file with the authority that signed the certificate of [`Self::start_tls`].
    pub(crate) fn authority(&self) -> PathBuf {
        self.home.path().join("ca.crt")
    }

    /// Returns how many requests so far have `text` in their access log line, for example
    /// `"HEAD /v2/`.
    pub(crate) fn count_requests(&self, text: &str) -> usize {
        let log = std::fs::read_to_string(self.home.path().join("log")).unwrap();
        log.lines().filter(|line| line.contains(" HTTP/") && line.contains(text)).count()
    }

    /// Takes away all that the repository has, as a registry's garbage collection may.
    pub(crate) fn lose_repository(&self, path: &str) {
        let repositories = self.home.path().join("data/docker/registry/v2/repositories");
        std::fs::remove_dir_all(repositories.join(path)).unwrap();
    }

    /// Returns from how many connections its answers so far were asked.
    pub(crate) fn connections(&self) -> usize {
        let log = std::fs::read_to_string(self.home.path().join("log")).unwrap();
        let parts = log.split("http.request.remoteaddr=\"").skip(1);
        let peers: std::collections::BTreeSet<_> =
            parts.filter_map(|part| part.split('"').next()).collect();
        peers.len()
    }

    fn start(home: tempfile::TempDir, tls: &str, auth: &str) -> Option<Self> {
        let program = peer("docker-registry")?;
        let data = home.path().join("data");
        let text = format!(
            "version: 0.1\n\
             storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: \"127.0.0.1:0\"{tls}}}\n{auth}",
            data.display()
        );
        let file = home.path().join("config.yml");
        std::fs::write(&file, text).unwrap();
        let log = home.path().join("log");
        let server = Server::start(Command::new(program).arg("serve").arg(file), &log);
        let mut domain = None;
        wait_until("docker-registry", || {
            domain = listening_on(&std::fs::read_to_string(&log).unwrap());
            domain.is_some()
        });
        Some(Self { domain: domain.unwrap(), home, _server: server })
    }
}

/// The registry picks the port itself, so that no other test can take it in between.
fn listening_on(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("listening on ")?;
    let end = rest.find(['"', ',', '\n', ' '])?;
    Some(rest[..end].to_owned())
}

fn make_certificates(home: &Path) -> (PathBuf, PathBuf) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let names = ["127.0.0.1", "localhost"].map(str::to_owned);
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "registry");
    std::fs::write(home.join("ca.crt"), authority.pem()).unwrap();
    let paths = [("server.crt", "server.key"), ("client.cert", "client.key")];
    let [server, _client] = paths.map(|(certificate, key)| {
        let paths = (home.join(certificate), home.join(key));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        std::fs::write(&paths.0, certificate.pem()).unwrap();
        std::fs::write(&paths.1, key.serialize_pem()).unwrap();
        paths
    });
    server
}
