//! A container ends again and again: it fails, or it is killed for lack of memory.

use super::{CauseKind, Evidence, Gravity, RootCause, Suspect, Weight};
use crate::rollout::{Container, Snapshot, Terminated};

/// A dependency may just be late, so the first restarts are no verdict.
pub(super) const PATIENCE: i64 = 3;

pub(super) fn find(suspect: &Suspect<'_>) -> Option<RootCause> {
    let crash = Crash::of(suspect, false)?;
    Some(crash.cause(suspect, CauseKind::CrashLoop))
}

/// Returns the crash of a container that runs again and may be ready by now, or `None` if none of the
/// new revision's was restarted after a failure.
pub fn restarted(snapshot: &Snapshot) -> Option<RootCause> {
    let pods = snapshot.workloads().flat_map(|workload| {
        workload.current_pods().into_iter().map(move |pod| Suspect::new(workload, pod))
    });
    let mut suspects: Vec<Suspect<'_>> = pods.collect();
    let restarts = |suspect: &Suspect<'_>| suspect.containers.iter().map(Container::restarts).max();
    suspects.sort_by_key(|suspect| std::cmp::Reverse(restarts(suspect)));
    let suspect = suspects.first()?;
    let failed = suspect.containers.iter().filter(|c| c.restarts() > 0 && is_crashing(c));
    let container = failed.max_by_key(|container| container.restarts())?;
    let crash = Crash::new(suspect, container)?;
    let kind = if container.is_init { CauseKind::InitContainer } else { CauseKind::CrashLoop };
    let because = "what is restarted right after it was healthy is not".to_owned();
    Some(RootCause { gravity: Gravity::NOW, because, ..crash.cause(suspect, kind) })
}

/// A container that came to a bad end.
pub(super) struct Crash<'a, 's> {
    container: &'s Container<'a>,
    ended: Terminated<'a>,
    log: Vec<String>,
}

impl<'a, 's> Crash<'a, 's> {
    /// Returns the crash of the pod's container that was restarted most.
    pub(super) fn of(suspect: &'s Suspect<'a>, is_init: bool) -> Option<Self> {
        let crashes = |c: &&Container<'_>| c.is_init == is_init && !c.is_ready() && is_crashing(c);
        let containers = suspect.containers.iter().filter(crashes);
        Self::new(suspect, containers.max_by_key(|container| container.restarts())?)
    }

    fn new(suspect: &Suspect<'a>, container: &'s Container<'a>) -> Option<Self> {
        let ended = container.terminated()?;
        let log = suspect.snapshot().log_of(container);
        let log = log.map(|log| log.lines.clone()).unwrap_or_default();
        Some(Self { container, ended, log })
    }

    pub(super) fn cause(&self, suspect: &Suspect<'_>, kind: CauseKind) -> RootCause {
        let ended = &self.ended;
        let exit = Evidence::of_container(self.container, ended.reason, &told(ended));
        let exit = exit.at(ended.finished_at);
        let mut evidence = vec![Evidence { log: self.log.clone(), ..exit }];
        if self.container.waiting().is_some() {
            evidence.push(Evidence::of_waiting(self.container));
        }
        evidence.extend(Evidence::of_warnings(suspect.snapshot(), suspect.pod));
        suspect.cause(kind, &self.summary(), self.weight(), evidence)
    }

    fn summary(&self) -> String {
        let container = self.container;
        let kind = if container.is_init { "init container" } else { "container" };
        let name = container.name;
        let times = match container.restarts() {
            0 => String::new(),
            restarts => format!(", {}", times(restarts)),
        };
        let code = self.ended.exit_code;
        match self.ended.reason {
            "OOMKilled" => {
                let limit = container.memory_limit().map(|limit| format!(" (limit {limit})"));
                let limit = limit.unwrap_or_default();
                format!("{kind} `{name}` is killed for lack of memory{limit}{times}")
            }
            _ if self.is_wrong_platform() => format!(
                "{kind} `{name}` is made for another platform than the node's (exec format error){times}"
            ),
            _ => match signal(code) {
                Some(signal) => format!("{kind} `{name}` is killed by {signal}{times}"),
                None => format!("{kind} `{name}` ends with exit code {code}{times}"),
            },
        }
    }

    fn weight(&self) -> Weight {
        if self.is_wrong_platform() {
            return Weight::new(
                Gravity::NOW,
                "a program does not change its platform",
                "Build the image for the node's platform, or choose nodes of the image's platform by the label `kubernetes.io/arch`",
            );
        }
        // A container that runs again may come up this time.
        let is_down = self.container.waiting().is_some() || self.container.is_terminated();
        let advice = self.advice();
        match (self.container.restarts() >= PATIENCE, is_down) {
            (true, true) => {
                Weight::new(Gravity::NOW, "it ended each time since it was first started", advice)
            }
            (true, false) => Weight::new(
                Gravity::Transient,
                "it runs again, and may get through this time",
                advice,
            ),
            (false, _) => Weight::new(
                Gravity::Transient,
                "it failed a few times only: what it depends on may be late",
                advice,
            ),
        }
    }

    fn advice(&self) -> String {
        let text = match (self.ended.reason, self.ended.exit_code) {
            ("OOMKilled", _) => match self.container.memory_limit() {
                Some(_) => {
                    "Raise `resources.limits.memory`, or let the program use less: runtimes with a heap of their own have to be told the limit"
                }
                None => {
                    "The node itself ran out of memory: set `resources.requests.memory` to what the program needs"
                }
            },
            (_, 0) => {
                "The program ends without an error, and its pod is to run for ever: check its `command`, or make it a Job"
            }
            (_, 126) => "The entrypoint is not executable in the image: set its mode to 0755",
            (_, 127) => {
                "The shell finds no such command in the image: correct `command`, `args` or the entrypoint"
            }
            (_, 137) => {
                "SIGKILL comes from the kubelet (a probe that fails, a stop that takes too long) or for lack of memory: see the warnings"
            }
            (_, 143) => {
                "SIGTERM comes from the kubelet, mostly because a liveness or startup probe fails: see the warnings"
            }
            (_, 139) => {
                "The program accessed memory that is not its own: check native libraries against the image's base"
            }
            _ if self.log.is_empty() => "Read the log of its last instance",
            _ => "Read the last lines of its log below, or all of it",
        };
        let pod = self.container.pod;
        let (name, namespace, container) = (pod.name(), pod.namespace(), self.container.name);
        let previous = if self.container.restarts() > 0 { " --previous" } else { "" };
        format!("{text} (`kubectl logs {name} -c {container} -n {namespace}{previous}`)")
    }

    // runc's own words reach the container's log, the kubelet's the message.
    fn is_wrong_platform(&self) -> bool {
        let says = |text: &str| text.to_ascii_lowercase().contains("exec format error");
        says(self.ended.message) || self.log.iter().rev().take(3).any(|line| says(line))
    }
}

pub(super) fn is_crashing(container: &Container<'_>) -> bool {
    let in_loop = container.waiting().is_some_and(|(reason, _)| reason == "CrashLoopBackOff");
    let ended = container.terminated().is_some_and(|ended| ended.exit_code != 0);
    in_loop || ended
}

pub(super) fn times(restarts: i64) -> String {
    if restarts == 1 { "1 restart".to_owned() } else { format!("{restarts} restarts") }
}

fn told(ended: &Terminated<'_>) -> String {
    let signal = signal(ended.exit_code).map(|signal| format!(", {signal}")).unwrap_or_default();
    let message = ended.message.trim();
    let message = if message.is_empty() { String::new() } else { format!(": {message}") };
    format!("exit code {}{signal}{message}", ended.exit_code)
}

// A shell, and the runtimes after it, add 128 to the number of the signal.
fn signal(exit_code: i64) -> Option<String> {
    let number = exit_code.checked_sub(128).filter(|number| (1..=64).contains(number))?;
    let name = match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        number => return Some(format!("signal {number}")),
    };
    Some(name.to_owned())
}
