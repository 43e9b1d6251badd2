//! A proxy in front of a real registry that does, by a seed, what registries and networks do on bad
//! days. It wants tokens, which it gives out itself.

mod http;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use self::http::{Answer, Request, path_of, read_body, read_head, send};

/// How likely a fault is, in percent of requests.
const FAULTS: u64 = 22;

/// What can go wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The registry, or something in front of it, is not up to it.
    Status(u16),
    /// Reset before the registry hears of it.
    Reset,
    /// Reset in the middle of the body.
    Cut,
    /// Reset in the middle of the body, of which the registry keeps what it has got.
    CutAndKept,
    /// The registry does it, and its answer is lost.
    Lost,
    /// The answer breaks off.
    Truncated,
    /// The answer comes byte by byte, and not to its end in time.
    Trickle,
    /// The answer names another digest.
    WrongDigest,
    /// The answer's location is one that the registry does not know.
    StaleLocation,
    /// The location has no host.
    RelativeLocation,
    /// The location is on another host.
    OtherHost,
    /// The registry says that it has got more, or less, than it has.
    WrongRange,
    /// The registry says that it has got more than was sent.
    TooMuch,
    /// 416 for a request that is in order.
    OutOfStep,
    /// The token has run out.
    Expired,
    /// 403 where 404 is meant.
    Forbidden,
    /// 202 for a mount.
    NotMounted,
    /// Chunks must have a size of the registry's choice.
    ChunkMinLength,
    /// The whole comes, though a part was asked for.
    NoRange,
    /// Another part comes than the one that was asked for.
    OtherRange,
    /// 416 for a part that is there.
    RangeRefused,
}

const ALL: &[Fault] = &[
    Fault::Status(429),
    Fault::Status(500),
    Fault::Status(503),
    Fault::Status(408),
    Fault::Status(522),
    Fault::Reset,
    Fault::Cut,
    Fault::CutAndKept,
    Fault::CutAndKept,
    Fault::Lost,
    Fault::Truncated,
    Fault::Trickle,
    Fault::WrongDigest,
    Fault::StaleLocation,
    Fault::RelativeLocation,
    Fault::OtherHost,
    Fault::WrongRange,
    Fault::TooMuch,
    Fault::OutOfStep,
    Fault::Expired,
    Fault::Forbidden,
    Fault::NotMounted,
    Fault::ChunkMinLength,
    Fault::NoRange,
    Fault::OtherRange,
    Fault::RangeRefused,
];

/// A running proxy; dropping it stops it.
pub(super) struct FaultProxy {
    domain: String,
    state: Arc<State>,
    tasks: [JoinHandle<()>; 2],
}

struct State {
    upstream: String,
    domain: String,
    other: String,
    inner: Mutex<Inner>,
}

struct Inner {
    random: u64,
    token: u64,
    journal: Vec<String>,
    /// What goes wrong with which request, in place of what chance chooses.
    script: Option<Script>,
    /// Uploads that were cut: old location, new one, and how many bytes are there.
    kept: Vec<(String, String, u64)>,
}

type Script = Vec<(&'static str, usize, Fault)>;

impl FaultProxy {
    /// Starts a proxy in front of the registry `upstream` whose faults are chosen by `seed`.
    pub(super) async fn start(upstream: &str, seed: u64) -> Self {
        Self::with(upstream, seed, None).await
    }

    /// Starts a proxy with no other faults than these: with the so-manieth request of a method.
    pub(super) async fn scripted(upstream: &str, faults: &[(&'static str, usize, Fault)]) -> Self {
        Self::with(upstream, 0, Some(faults.to_vec())).await
    }

    async fn with(upstream: &str, seed: u64, script: Option<Script>) -> Self {
        let home = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let domain = home.local_addr().unwrap().to_string();
        let inner = Inner { random: seed, token: 1, journal: Vec::new(), script, kept: Vec::new() };
        let state = Arc::new(State {
            upstream: upstream.to_owned(),
            domain: domain.clone(),
            other: other.local_addr().unwrap().to_string(),
            inner: Mutex::new(inner),
        });
        let tasks = [(home, true), (other, false)].map(|(listener, at_home)| {
            let state = state.clone();
            tokio::spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(serve(state.clone(), client, at_home));
                }
            })
        });
        Self { domain, state, tasks }
    }

    /// Returns `127.0.0.1:PORT`, as in an image's name.
    pub(super) fn domain(&self) -> &str {
        &self.domain
    }

    /// Returns what was asked, and what went wrong with it, a line each.
    pub(super) fn journal(&self) -> Vec<String> {
        self.state.inner().journal.clone()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn serve(state: Arc<State>, client: TcpStream, at_home: bool) {
    let mut client = BufReader::new(client);
    while let Some(request) = read_head(&mut client).await {
        if state.answer(&mut client, request, at_home).await.is_none() {
            // A reset, not an orderly end.
            let _ = client.get_ref().set_zero_linger();
            return;
        }
    }
}

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn below(&self, limit: u64) -> u64 {
        let mut inner = self.inner();
        // SplitMix64.
        inner.random = inner.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = inner.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn choose(&self, request: &Request) -> Option<Fault> {
        if let Inner { script: Some(script), journal, .. } = &*self.inner() {
            let before =
                journal.iter().filter(|line| line.split(' ').next() == Some(&request.method));
            let number = 1 + before.count();
            let here = |(method, at, _): &&(&str, usize, Fault)| {
                *method == request.method && *at == number
            };
            return script.iter().find(here).map(|(_, _, fault)| *fault);
        }
        let chosen = ALL[usize::try_from(self.below(ALL.len() as u64)).unwrap()];
        (self.below(100) < FAULTS).then_some(chosen)
    }

    /// Answers one request; `None` if the connection is to be reset.
    async fn answer(
        &self,
        client: &mut BufReader<TcpStream>,
        mut request: Request,
        at_home: bool,
    ) -> Option<()> {
        let fault = self.choose(&request);
        let part = request.header("range").map(|range| format!(" {range}")).unwrap_or_default();
        let line = format!("{} {}{part} {fault:?}", request.method, request.path);
        self.inner().journal.push(line);
        if request.path.starts_with("/token") {
            let body = format!("{{\"token\":\"t{}\",\"expires_in\":300}}", self.inner().token);
            return send(client, &Answer::new("200 OK", &[], &body)).await;
        }
        let authorization = request.header("authorization").map(str::to_owned);
        if !at_home && authorization.is_some() {
            self.inner().journal.push("LEAK: a token went to another host".to_owned());
        }
        if fault == Some(Fault::Expired) {
            self.inner().token += 1;
        }
        let expected = format!("Bearer t{}", self.inner().token);
        if at_home && authorization.as_deref() != Some(&expected) {
            read_body(client, &mut request, u64::MAX).await?;
            let realm = format!("Bearer realm=\"http://{}/token\",service=\"test\"", self.domain);
            let challenge = [("WWW-Authenticate", realm.as_str())];
            return send(client, &Answer::new("401 Unauthorized", &challenge, "{}")).await;
        }
        if self.before(client, &mut request, fault).await? {
            return Some(());
        }
        read_body(client, &mut request, u64::MAX).await?;
        let mut answer = self.kept_answer(&request);
        if answer.is_none() {
            answer = self.ask_upstream(&request).await;
        }
        self.after(client, &request, answer?, fault).await
    }

    /// Does what goes wrong before the registry has the whole request; returns whether that is all.
    async fn before(
        &self,
        client: &mut BufReader<TcpStream>,
        request: &mut Request,
        fault: Option<Fault>,
    ) -> Option<bool> {
        let size = request.size();
        let is_patch = request.method == "PATCH";
        match fault {
            Some(Fault::Status(status)) => {
                read_body(client, request, u64::MAX).await?;
                let again = [("Retry-After", "0")];
                send(client, &Answer::new(&format!("{status} Fault"), &again, "{}")).await?;
                return Some(true);
            }
            Some(Fault::Reset) => return None,
            Some(Fault::OutOfStep) if is_patch => {
                read_body(client, request, u64::MAX).await?;
                send(client, &Answer::new("416 Range", &[], "{}")).await?;
                return Some(true);
            }
            Some(Fault::Cut) if size > 1 => {
                read_body(client, request, size / 2).await?;
                let mut upstream = TcpStream::connect(&self.upstream).await.ok()?;
                upstream.write_all(&request.bytes()).await.ok()?;
                tokio::time::sleep(Duration::from_millis(2)).await;
                return None;
            }
            Some(Fault::CutAndKept) if is_patch && size > 1 => {
                read_body(client, request, 1 + self.below(size - 1)).await?;
                self.keep(request).await;
                return None;
            }
            Some(Fault::NoRange) => request.unset("range"),
            Some(Fault::OtherRange) if request.header("range").is_some() => {
                request.set("range", "bytes=1-");
            }
            Some(Fault::RangeRefused) if request.header("range").is_some() => {
                send(client, &Answer::new("416 Range", &[], "{}")).await?;
                return Some(true);
            }
            Some(Fault::NotMounted) if request.path.contains("?mount=") => {
                let plain = request.path.split('?').next().unwrap_or_default().to_owned();
                request.path = plain;
            }
            _ => {}
        }
        Some(false)
    }

    /// Gives the registry the part of a chunk that has arrived as a chunk of its own.
    async fn keep(&self, request: &mut Request) {
        let range = request.header("content-range").unwrap_or_default().to_owned();
        let Some(first) = range.split('-').next().and_then(|n| n.parse::<u64>().ok()) else {
            return;
        };
        let size = request.body.len() as u64;
        request.set("content-range", &format!("{first}-{}", first + size - 1));
        request.set("content-length", &size.to_string());
        let Some(answer) = self.ask_upstream(request).await else { return };
        let Some(location) = answer.header("location") else { return };
        self.inner().kept.push((request.path.clone(), path_of(&location), first + size));
    }

    /// Returns the answer about an upload that was cut, or whose location is an old one.
    fn kept_answer(&self, request: &Request) -> Option<Answer> {
        if request.method != "GET" || !request.path.contains("/blobs/uploads/") {
            return None;
        }
        let inner = self.inner();
        let (_, location, size) = inner.kept.iter().find(|(old, ..)| *old == request.path)?;
        let range = format!("0-{}", size - 1);
        let headers = [("Location", location.as_str()), ("Range", &range)];
        Some(Answer::new("204 No Content", &headers, ""))
    }

    async fn ask_upstream(&self, request: &Request) -> Option<Answer> {
        let mut upstream = TcpStream::connect(&self.upstream).await.ok()?;
        upstream.write_all(&request.bytes()).await.ok()?;
        let mut bytes = Vec::new();
        upstream.read_to_end(&mut bytes).await.ok()?;
        Answer::parse(&bytes)
    }

    /// Passes the answer on, with what goes wrong with it.
    async fn after(
        &self,
        client: &mut BufReader<TcpStream>,
        request: &Request,
        mut answer: Answer,
        fault: Option<Fault>,
    ) -> Option<()> {
        let location = answer.header("location").filter(|_| answer.status() == "202");
        match (fault, location) {
            (Some(Fault::Lost), _) => return None,
            (Some(Fault::Truncated), _) => {
                let bytes = answer.bytes();
                client.write_all(&bytes[..bytes.len() / 2]).await.ok()?;
                return None;
            }
            (Some(Fault::Trickle), _) => {
                for byte in answer.bytes().chunks(1).take(40) {
                    client.write_all(byte).await.ok()?;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                return None;
            }
            (Some(Fault::WrongDigest), _) => {
                let other = format!("sha256:{}", "0".repeat(64));
                answer.replace("docker-content-digest", &other);
            }
            (Some(Fault::StaleLocation), Some(location)) => {
                let stale = location.replace("/blobs/uploads/", "/blobs/uploads/0");
                answer.replace("location", &stale);
            }
            (Some(Fault::RelativeLocation), Some(location)) => {
                answer.replace("location", &path_of(&location));
            }
            (Some(Fault::OtherHost), Some(location)) => {
                let elsewhere = format!("http://{}{}", self.other, path_of(&location));
                answer.replace("location", &elsewhere);
            }
            (Some(Fault::OtherHost), None) if request.method == "GET" => {
                let elsewhere = format!("http://{}{}", self.other, request.path);
                answer = Answer::new("307 Elsewhere", &[("Location", &elsewhere)], "");
            }
            (Some(Fault::WrongRange), _) => {
                answer.replace("range", &format!("0-{}", self.below(60_000)));
            }
            (Some(Fault::TooMuch), _) => answer.replace("range", "0-59999"),
            (Some(Fault::Forbidden), _) if answer.status() == "404" => {
                answer = Answer::new("403 Forbidden", &[], "");
            }
            (Some(Fault::ChunkMinLength), Some(_)) => {
                answer.head.push("OCI-Chunk-Min-Length: 30000".to_owned());
            }
            _ => {}
        }
        if request.method == "HEAD" {
            answer.body.clear();
        }
        send(client, &answer).await
    }
}
