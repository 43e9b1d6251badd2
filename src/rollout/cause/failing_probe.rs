//! One of a container's probes says that it does not work: it gets no requests, or is restarted.

use std::time::Duration;

use serde_json::Value;

use super::crash_loop::{PATIENCE, times};
use super::{CauseKind, Evidence, Gravity, RootCause, Suspect, Weight};
use crate::k8s::Object;
use crate::rollout::{Container, ProbeKind};

/// How long an application may take to be ready, beyond the delay that its probe states.
const WARM_UP: u64 = 180;

pub(super) fn find(suspect: &Suspect<'_>) -> Option<RootCause> {
    let mut containers = suspect.containers.iter().filter(|container| !container.is_ready());
    containers.find_map(|container| {
        let failure = Failure::of(suspect, container)?;
        Some(failure.cause(suspect))
    })
}

struct Failure<'a, 's> {
    container: &'s Container<'a>,
    event: &'a Object,
    kind: ProbeKind,
    /// Whether it was restarted for it.
    restarted: bool,
}

impl<'a, 's> Failure<'a, 's> {
    fn of(suspect: &Suspect<'a>, container: &'s Container<'a>) -> Option<Self> {
        let killed = is_killed(container);
        let mut events = suspect.warnings().filter(|event| is_about(event, container));
        let (event, kind) = events.find_map(|event| {
            let kind = kind(event)?;
            let restarts = kind != ProbeKind::Readiness;
            // A container that ends by itself also misses its last probe.
            (container.is_running() || (killed && restarts)).then_some((event, kind))
        })?;
        let restarted = killed && kind != ProbeKind::Readiness;
        // With an end of its own, a container that runs again crashes, and is not ready for that.
        let crashed = container.terminated().is_some_and(|ended| ended.exit_code != 0);
        (!crashed || restarted).then_some(Self { container, event, kind, restarted })
    }

    fn cause(&self, suspect: &Suspect<'_>) -> RootCause {
        let evidence = Evidence {
            container: Some(self.container.name.to_owned()),
            ..Evidence::of_event(suspect.pod, self.event)
        };
        let text = lower_first(&evidence.message);
        let often =
            if evidence.count > 1 { format!(" ({} times)", evidence.count) } else { String::new() };
        // The kubelet's words of a failed request have the URL.
        let asks = self
            .asks()
            .filter(|_| !text.contains("://"))
            .map(|asks| format!(" [{asks}]"))
            .unwrap_or_default();
        let restarts = match self.restarted {
            true => format!(", {}", times(self.container.restarts())),
            false => String::new(),
        };
        let summary = format!("container `{}`: {text}{asks}{often}{restarts}", self.container.name);
        let mut all = vec![evidence];
        all.extend(Evidence::of_warnings(suspect.snapshot(), suspect.pod));
        if let Some(log) = suspect.snapshot().log_of(self.container) {
            all[0].log.clone_from(&log.lines);
        }
        suspect.cause(CauseKind::FailingProbe, &summary, self.weight(), all)
    }

    fn weight(&self) -> Weight {
        let times_up = self.restarted && self.container.restarts() >= PATIENCE;
        match (self.kind, times_up) {
            (ProbeKind::Startup, true) => Weight::new(
                Gravity::NOW,
                "it was given its whole time to start, again and again",
                "Let the startup probe wait longer (`failureThreshold` times `periodSeconds`), or look in the log why it does not start",
            ),
            (_, true) => Weight::new(
                Gravity::NOW,
                "it was restarted for it again and again",
                "Check path and port of the liveness probe; if the program only starts slowly, give it a `startupProbe`",
            ),
            (ProbeKind::Readiness, _) => Weight::new(
                Gravity::Fatal { grace: self.warm_up() },
                "an application may take its time to be ready, and this one had it",
                "Check path and port of the readiness probe, and in the log what the program waits for",
            ),
            (_, false) => Weight::new(
                Gravity::Transient,
                "it may answer after the restart",
                "Check path and port of the probe, and in the log what the program waits for",
            ),
        }
    }

    fn warm_up(&self) -> Duration {
        let seconds = |key: &str| {
            self.container.probe(self.kind).and_then(|probe| probe.get(key)?.as_u64()).unwrap_or(0)
        };
        let stated = seconds("initialDelaySeconds")
            .saturating_add(seconds("periodSeconds").saturating_mul(seconds("failureThreshold")));
        Duration::from_secs(WARM_UP.saturating_add(stated).min(3600))
    }

    /// What the probe asks, as its spec states it.
    fn asks(&self) -> Option<String> {
        let probe = self.container.probe(self.kind)?;
        let port = |at: &Value| match at.get("port") {
            Some(Value::String(name)) => name.clone(),
            Some(port) => port.to_string(),
            None => String::new(),
        };
        if let Some(http) = probe.get("httpGet") {
            let path = http.get("path").and_then(Value::as_str).unwrap_or("/");
            return Some(format!("GET {path} on port {}", port(http)));
        }
        if let Some(tcp) = probe.get("tcpSocket") {
            return Some(format!("connect to port {}", port(tcp)));
        }
        if let Some(grpc) = probe.get("grpc") {
            return Some(format!("gRPC health on port {}", port(grpc)));
        }
        let command = probe.pointer("/exec/command")?.as_array()?;
        let words: Vec<_> = command.iter().filter_map(Value::as_str).collect();
        Some(format!("exec {}", words.join(" ")))
    }
}

// The kubelet ends a container with SIGTERM, and with SIGKILL if it does not go; a program that
// handles SIGTERM may end with 0.
fn is_killed(container: &Container<'_>) -> bool {
    container.terminated().is_some_and(|ended| {
        matches!(ended.exit_code, 0 | 137 | 143) && ended.reason != "OOMKilled"
    })
}

fn is_about(event: &Object, container: &Container<'_>) -> bool {
    let field = format!("{{{}}}", container.name);
    event.text("/reason") == Some("Unhealthy")
        && event.text("/involvedObject/fieldPath").is_none_or(|path| path.contains(&field))
}

fn kind(event: &Object) -> Option<ProbeKind> {
    let message = event.text("/message")?;
    let kinds = [
        ("Startup", ProbeKind::Startup),
        ("Liveness", ProbeKind::Liveness),
        ("Readiness", ProbeKind::Readiness),
    ];
    kinds.into_iter().find(|(word, _)| message.starts_with(word)).map(|(_, kind)| kind)
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}
