//! HTTP as the proxy needs it: a request or an answer whose every line and byte can be changed.

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

pub(super) struct Answer {
    pub(super) head: Vec<String>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn unset(&mut self, name: &str) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    pub(super) fn size(&self) -> u64 {
        self.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Returns what goes to the registry: one request a connection, and no token.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\nConnection: close\r\n", self.method, self.path);
        for (key, value) in &self.headers {
            if !key.eq_ignore_ascii_case("authorization") {
                text.push_str(&format!("{key}: {value}\r\n"));
            }
        }
        let mut bytes = (text + "\r\n").into_bytes();
        bytes.extend(&self.body);
        bytes
    }
}

impl Answer {
    pub(super) fn new(status: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let mut head = vec![format!("HTTP/1.1 {status}")];
        head.extend(headers.iter().map(|(key, value)| format!("{key}: {value}")));
        if !status.starts_with("204") {
            head.push(format!("Content-Length: {}", body.len()));
        }
        head.push("Content-Type: application/json".to_owned());
        Self { head, body: body.as_bytes().to_vec() }
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let head = head.split("\r\n").filter(|line| !line.starts_with("Connection:"));
        Some(Self { head: head.map(str::to_owned).collect(), body: bytes[end + 4..].to_vec() })
    }

    pub(super) fn status(&self) -> &str {
        self.head[0].split(' ').nth(1).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        let mut pairs = self.head.iter().filter_map(|line| line.split_once(": "));
        let found = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned())
    }

    /// Sets a header that is there already.
    pub(super) fn replace(&mut self, name: &str, value: &str) {
        for line in &mut self.head {
            let is_it =
                line.split_once(": ").is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
            if is_it {
                *line = format!("{name}: {value}");
            }
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = (self.head.join("\r\n") + "\r\n\r\n").into_bytes();
        bytes.extend(&self.body);
        bytes
    }
}

pub(super) async fn read_head(client: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if client.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut words = lines.first()?.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let headers = lines[1..].iter().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Some(Request { method, path, headers, body: Vec::new() })
}

/// Reads what is left of the body, up to `limit` of it in all.
pub(super) async fn read_body(
    client: &mut BufReader<TcpStream>,
    request: &mut Request,
    limit: u64,
) -> Option<()> {
    let left = request.size().min(limit) - request.body.len() as u64;
    client.take(left).read_to_end(&mut request.body).await.ok()?;
    (request.body.len() as u64 >= request.size().min(limit)).then_some(())
}

pub(super) async fn send(client: &mut BufReader<TcpStream>, answer: &Answer) -> Option<()> {
    client.write_all(&answer.bytes()).await.ok()
}

pub(super) fn path_of(location: &str) -> String {
    let bare = location.strip_prefix("http://").unwrap_or(location);
    bare.find('/').map_or_else(|| "/".to_owned(), |at| bare[at..].to_owned())
}
