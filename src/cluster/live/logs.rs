//! The last lines that broken containers wrote, each read once.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::api::Api;
use crate::cluster::ClusterError;
use crate::cluster::redaction::Redaction;
use crate::rollout::{LogRequest, LogTail, Snapshot, wanted_logs};
use crate::system::Environment;

/// A kubelet that does not answer must not hold up the look.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a log that does not come is asked for.
const TRIES: u32 = 2;

/// More logs than these are not kept: pods come and go while somebody waits.
const MOST_KEPT: usize = 64;

/// A shorter text is no secret, and would blot out ordinary words.
const SHORTEST_SECRET: usize = 8;

/// What was read so far.
pub(super) struct Logs {
    secrets: Vec<String>,
    redaction: Redaction,
    read: Mutex<BTreeMap<LogRequest, Read>>,
}

#[derive(Clone)]
enum Read {
    Tail(LogTail),
    Failed { tries: u32, denied: Option<String> },
}

impl Logs {
    /// Returns the logs of a cluster, nothing of them read yet. What looks like a secret in them is not
    /// shown, as in recordings, nor what `environment` hands deployctl as a secret: a container may have
    /// it from the same place, and CI publishes what is shown.
    pub(super) fn new(environment: &Environment) -> Self {
        let is_secret = |name: &str| {
            let name = name.to_ascii_uppercase();
            ["TOKEN", "PASSWORD", "SECRET", "PRIVATE_KEY"].iter().any(|word| name.contains(word))
        };
        let secrets = environment.iter().filter(|(name, _)| is_secret(name));
        let secrets = secrets.map(|(_, value)| value.trim().to_owned());
        let secrets = secrets.filter(|value| value.len() >= SHORTEST_SECRET).collect();
        Self { secrets, redaction: Redaction::new(), read: Mutex::default() }
    }

    /// Adds to `snapshot` the logs that tell why its containers ended. One that can't be had is passed
    /// over; that it may not be read is noted.
    pub(super) async fn add(&self, api: &Api, snapshot: &mut Snapshot) {
        let wanted = wanted_logs(snapshot);
        join_all(wanted.iter().filter(|request| self.is_missing(request)).map(|request| async {
            let answer = timeout(PATIENCE, api.log(request)).await;
            self.keep(request, answer.unwrap_or(Ok(None)));
        }))
        .await;
        let read = self.read.lock().expect("no thread panics with the lock");
        for found in wanted.iter().filter_map(|request| read.get(request)) {
            match found {
                Read::Tail(tail) => snapshot.logs.push(tail.clone()),
                Read::Failed { denied, .. } => snapshot.unread.extend(denied.clone()),
            }
        }
    }

    fn is_missing(&self, request: &LogRequest) -> bool {
        let read = self.read.lock().expect("no thread panics with the lock");
        match read.get(request) {
            None => true,
            Some(Read::Failed { tries, denied: None }) => *tries < TRIES,
            Some(_) => false,
        }
    }

    fn keep(&self, request: &LogRequest, answer: Result<Option<String>, ClusterError>) {
        let mut read = self.read.lock().expect("no thread panics with the lock");
        let tries = match read.get(request) {
            Some(Read::Failed { tries, .. }) => *tries,
            _ => 0,
        };
        let denied = match answer {
            Ok(Some(text)) => {
                let tail = LogTail::new(request, &self.redacted(text));
                read.insert(request.clone(), Read::Tail(tail));
                return;
            }
            Err(error @ ClusterError::Denied { .. }) => Some(error.to_string()),
            Ok(None) | Err(_) => None,
        };
        if read.len() >= MOST_KEPT {
            read.clear();
        }
        read.insert(request.clone(), Read::Failed { tries: tries + 1, denied });
    }

    fn redacted(&self, text: String) -> String {
        let text = self.secrets.iter().fold(text, |text, secret| text.replace(secret, "***"));
        self.redaction.text(&text)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::super::connection::Connection;
    use super::*;

    fn request() -> LogRequest {
        LogRequest {
            namespace: "shop".to_owned(),
            pod: "web".to_owned(),
            pod_uid: "p".to_owned(),
            container: "web".to_owned(),
            restarts: 1,
            previous: true,
        }
    }

    #[tokio::test]
    async fn a_byte_that_is_no_text_does_not_hide_the_log() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: 'http://{}'}}}}]\n\
             users: [{{name: u, user: {{}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n",
            listener.local_addr().unwrap()
        );
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nca\xe9 is closed\n\n";
            stream.write_all(answer).unwrap();
        });
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("kubeconfig");
        std::fs::write(&file, kubeconfig).unwrap();
        let environment = [("KUBECONFIG", file.to_str().unwrap())].into_iter().collect();
        let api = Api::new(Connection::new(&environment, None).await.unwrap());
        let text = api.log(&request()).await.unwrap().unwrap();
        assert_eq!(text.trim_end(), "ca\u{fffd} is closed");
        server.join().unwrap();
    }

    #[test]
    fn a_secret_of_deployctl_s_own_environment_is_not_shown() {
        let environment = [("GITHUB_TOKEN", "ghs_canary123"), ("APP_SECRET", "short")];
        let logs = Logs::new(&environment.into_iter().collect());
        let text = "token ghs_canary123 in a short line".to_owned();
        assert_eq!(logs.redacted(text), "token *** in a short line");
    }

    #[test]
    fn what_a_container_wrote_is_shown_without_what_looks_like_a_secret() {
        let logs = Logs::new(&Environment::default());
        let text = "password: canary\nno db at postgres://u:canary@db/x?token=canary\nbye";
        let request = request();
        logs.keep(&request, Ok(Some(text.to_owned())));
        let read = logs.read.lock().unwrap();
        let Some(Read::Tail(tail)) = read.get(&request) else { panic!("it was read") };
        assert!(!format!("{tail:?}").contains("canary"), "{tail:?}");
        assert!(format!("{tail:?}").contains("password: redacted-"), "{tail:?}");
        assert!(format!("{tail:?}").contains("bye"), "{tail:?}");
    }
}
