//! A server before the API server that does to requests what a test wants done.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::ControlPlane;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The API server answers it.
    Pass,
    /// It is answered with this HTTP status.
    Refuse(u16),
    /// It is answered with a watch that says at once that its version is too old.
    TooOld,
}

type Rule = Box<dyn Fn(&str) -> Fate + Send>;

/// Carries plain HTTP to the API server, each request in a connection of its own.
pub(crate) struct FaultyApi {
    port: u16,
    state: Arc<State>,
}

struct State {
    upstream: u16,
    tls: Arc<ClientConfig>,
    rule: Mutex<Rule>,
    open: Mutex<Vec<TcpStream>>,
    is_frozen: AtomicBool,
}

impl FaultyApi {
    /// Starts one before the API server of `control_plane`.
    pub(crate) fn before(control_plane: &ControlPlane) -> Self {
        let ca = CertificateDer::from_pem_file(control_plane.home().join("ca.crt")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(ca).unwrap();
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let state = Arc::new(State {
            upstream: control_plane.port(),
            tls: Arc::new(tls),
            rule: Mutex::new(Box::new(|_| Fate::Pass)),
            open: Mutex::default(),
            is_frozen: AtomicBool::new(false),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client or a server that hangs up in the middle is no concern of ours.
                std::thread::spawn(move || state.serve(client).ok());
            }
        });
        Self { port, state }
    }

    /// Writes a kubeconfig that leads here, for the user whose token is in the file `token`.
    pub(crate) fn kubeconfig(&self, home: &Path, token: &Path) -> PathBuf {
        let (file, port, token) = (home.join("kubeconfig"), self.port, token.display());
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\n\
             users: [{{name: u, user: {{tokenFile: {token}}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    /// From now on `rule` says what becomes of a request, from its lines up to the empty one.
    pub(crate) fn rule(&self, rule: impl Fn(&str) -> Fate + Send + 'static) {
        *self.state.rule.lock().unwrap() = Box::new(rule);
    }

    /// Closes all connections.
    pub(crate) fn cut(&self) {
        for connection in self.state.open.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Keeps all connections, new ones too, and carries nothing any more; or goes on.
    pub(crate) fn freeze(&self, is_frozen: bool) {
        self.state.is_frozen.store(is_frozen, Ordering::SeqCst);
    }
}

impl State {
    fn serve(&self, client: TcpStream) -> std::io::Result<()> {
        self.open.lock().unwrap().push(client.try_clone()?);
        let mut reader = BufReader::new(client.try_clone()?);
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let name = line.trim_end().to_ascii_lowercase();
            if name.is_empty() {
                break;
            }
            if let Some(value) = name.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if !name.starts_with("connection:") {
                head.push_str(&line);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        self.wait_while_frozen();
        let fate = (self.rule.lock().unwrap())(&head);
        match fate {
            Fate::Pass => self.carry(client, &head, &body),
            fate => answer(client, fate),
        }
    }

    fn carry(&self, mut client: TcpStream, head: &str, body: &[u8]) -> std::io::Result<()> {
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.upstream))?;
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::clone(&self.tls), name).unwrap();
        let mut server = StreamOwned::new(tls, server);
        write!(server, "{head}Connection: close\r\n\r\n")?;
        server.write_all(body)?;
        server.flush()?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = server.read(&mut buffer).unwrap_or(0);
            self.wait_while_frozen();
            if count == 0 {
                return client.shutdown(Shutdown::Both);
            }
            client.write_all(&buffer[..count])?;
        }
    }

    fn wait_while_frozen(&self) {
        while self.is_frozen.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn answer(mut client: TcpStream, fate: Fate) -> std::io::Result<()> {
    let code = if let Fate::Refuse(code) = fate { code } else { 410 };
    let status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "message": "in the words of the test",
    });
    let (code, body) = match fate {
        Fate::TooOld => (200, serde_json::json!({"type": "ERROR", "object": status})),
        _ => (code, status),
    };
    let body = format!("{body}\n");
    write!(
        client,
        "HTTP/1.1 {code} Test\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    client.shutdown(Shutdown::Both)
}
