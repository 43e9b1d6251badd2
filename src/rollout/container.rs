//! A container of a pod, as the kubelet reports it.

use serde_json::Value;

use crate::k8s::Object;

/// A container, and what the kubelet says about it.
#[derive(Debug, Clone, Copy)]
pub struct Container<'a> {
    /// The pod that it is in.
    pub pod: &'a Object,
    /// Its name.
    pub name: &'a str,
    /// Whether it is an init container.
    pub is_init: bool,
    status: &'a Value,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminated<'a> {
    /// The exit code.
    pub exit_code: i64,
    /// `Error`, `Completed`, `OOMKilled`, …
    pub reason: &'a str,
    /// The runtime's words, often empty.
    pub message: &'a str,
    /// When, as the kubelet writes it; empty if it does not say.
    pub finished_at: &'a str,
}

/// A probe of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    /// Whether it has started; nothing else is asked until then.
    Startup,
    /// Whether it lives; it is restarted if not.
    Liveness,
    /// Whether it takes requests.
    Readiness,
}

impl<'a> Container<'a> {
    /// Returns the containers that `pod` has a status of, init containers first.
    pub fn of_pod(pod: &'a Object) -> Vec<Self> {
        let of = |pointer, is_init| {
            let list: &'a [Value] = pod.list(pointer);
            list.iter().filter_map(move |status| {
                let name = status.get("name")?.as_str()?;
                Some(Self { pod, name, is_init, status })
            })
        };
        let init = of("/status/initContainerStatuses", true);
        init.chain(of("/status/containerStatuses", false)).collect()
    }

    /// Returns the image that the pod's spec states for it.
    pub fn image(&self) -> &'a str {
        self.spec().and_then(|spec| spec.get("image")?.as_str()).unwrap_or_default()
    }

    /// Returns the id of the image that runs, as the container runtime gives it; empty until it
    /// runs.
    pub fn image_id(&self) -> &'a str {
        self.text("/imageID")
    }

    /// Returns whether it is ready.
    pub fn is_ready(&self) -> bool {
        self.status.get("ready").and_then(Value::as_bool).unwrap_or(false)
    }

    /// Returns whether it is running.
    pub fn is_running(&self) -> bool {
        self.status.pointer("/state/running").is_some()
    }

    /// Returns how often it was restarted.
    pub fn restarts(&self) -> i64 {
        self.status.get("restartCount").and_then(Value::as_i64).unwrap_or(0)
    }

    /// Returns why it waits: reason and message; `None` if it does not.
    pub fn waiting(&self) -> Option<(&'a str, &'a str)> {
        self.status.pointer("/state/waiting")?;
        Some((self.text("/state/waiting/reason"), self.text("/state/waiting/message")))
    }

    /// Returns how it ended, now or the last time; `None` if it never did.
    pub fn terminated(&self) -> Option<Terminated<'a>> {
        let state = ["/state/terminated", "/lastState/terminated"];
        let ended = state.into_iter().find_map(|pointer| self.status.pointer(pointer))?;
        let text = |key: &str| ended.get(key).and_then(Value::as_str).unwrap_or_default();
        let exit_code = ended.get("exitCode").and_then(Value::as_i64).unwrap_or(0);
        let (reason, message) = (text("reason"), text("message"));
        Some(Terminated { exit_code, reason, message, finished_at: text("finishedAt") })
    }

    /// Returns whether it is at its end right now, and not restarted (yet).
    pub fn is_terminated(&self) -> bool {
        self.status.pointer("/state/terminated").is_some()
    }

    /// Returns its memory limit as the pod's spec states it.
    pub fn memory_limit(&self) -> Option<&'a str> {
        self.spec()?.pointer("/resources/limits/memory")?.as_str()
    }

    /// Returns the probe that the pod's spec states, or `None` if it states none of this kind.
    pub fn probe(&self, kind: ProbeKind) -> Option<&'a Value> {
        let key = match kind {
            ProbeKind::Startup => "startupProbe",
            ProbeKind::Liveness => "livenessProbe",
            ProbeKind::Readiness => "readinessProbe",
        };
        self.spec()?.get(key).filter(|probe| probe.is_object())
    }

    /// Returns what the pod's spec states of it, or `None` if it is not there.
    pub fn spec(&self) -> Option<&'a Value> {
        let list = if self.is_init { "/spec/initContainers" } else { "/spec/containers" };
        let mut specs = self.pod.list(list).iter();
        specs.find(|spec| spec.get("name").and_then(Value::as_str) == Some(self.name))
    }

    fn text(&self, pointer: &str) -> &'a str {
        self.status.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}
