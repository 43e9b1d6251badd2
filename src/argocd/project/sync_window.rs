//! Sync windows: when a project lets its Applications sync.
//!
//! A window that denies goes before one that allows; where there are windows that allow, one of them
//! must be on. Only windows that name the Application, its namespace or its cluster count. See
//! `SyncWindows.CanSync` in argo-cd `pkg/apis/application/v1alpha1/types.go`.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Project, Window, time_zone};
use crate::argocd::source::text;
use crate::argocd::{Application, glob};

/// A search for the moment at which a sync is allowed takes no more steps than this.
const MOST_STEPS: usize = 1000;

/// Why an Application may not sync by itself at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedWindow {
    /// Which window denies it, or that none allows it.
    pub why: String,
    /// When it may again; `None` if that is too far away to tell.
    pub opens_at: Option<Timestamp>,
    /// Whether somebody who asks for a sync gets it all the same.
    pub lets_manual: bool,
}

/// A sync window that is about an Application.
struct SyncWindow<'a> {
    entry: &'a Value,
    window: Window,
    zone: TimeZone,
}

impl Project<'_> {
    /// Returns why `application` may not sync by itself at `at`, or `None` if it may. A window whose
    /// schedule, duration or time zone says nothing is left out.
    pub fn closed_window(
        self,
        application: Application<'_>,
        at: Timestamp,
    ) -> Option<ClosedWindow> {
        let entries = self.0.list("/spec/syncWindows").iter();
        let windows: Vec<_> = entries
            .filter(|entry| is_about(entry, application))
            .filter_map(SyncWindow::read)
            .collect();
        let (why, lets_manual) = state(&windows, at).err()?;
        let next = |at: &Timestamp| windows.iter().filter_map(|w| w.next_change(*at)).min();
        let mut changes = std::iter::successors(Some(at), next).take(MOST_STEPS);
        let opens_at = changes.find(|at| state(&windows, *at).is_ok());
        Some(ClosedWindow { why, opens_at, lets_manual })
    }
}

/// Returns why nothing may sync at `at`, and whether somebody may ask for it.
fn state(windows: &[SyncWindow<'_>], at: Timestamp) -> Result<(), (String, bool)> {
    let of = |kind: &'static str| windows.iter().filter(move |window| window.is(kind));
    let denying: Vec<_> = of("deny").filter(|window| window.is_on(at)).collect();
    if let Some(first) = denying.first() {
        let lets_manual = denying.iter().all(|window| window.lets_manual());
        return Err((format!("a sync window denies it: {}", first.told()), lets_manual));
    }
    if of("allow").next().is_none() || of("allow").any(|window| window.is_on(at)) {
        return Ok(());
    }
    let lets_manual = of("allow").all(SyncWindow::lets_manual);
    let windows: Vec<_> = of("allow").take(2).map(SyncWindow::told).collect();
    Err((format!("no sync window allows it now, only {}", windows.join(" or ")), lets_manual))
}

/// Returns whether a window is about an Application: by default one of its lists has to name it.
fn is_about(entry: &Value, application: Application<'_>) -> bool {
    let destination = application.destination();
    let name = application.object().name();
    let lists: [(&str, &[&str]); 3] = [
        ("applications", &[name]),
        ("clusters", &[destination.name, destination.server]),
        ("namespaces", &[destination.namespace]),
    ];
    let stated = lists.iter().filter_map(|(key, values)| {
        let patterns = entry.get(key)?.as_array().filter(|patterns| !patterns.is_empty())?;
        let mut patterns = patterns.iter().filter_map(Value::as_str);
        Some(patterns.any(|pattern| {
            values.iter().any(|value| !value.is_empty() && glob(pattern, value, None))
        }))
    });
    let stated: Vec<bool> = stated.collect();
    match entry.get("andOperator").and_then(Value::as_bool) {
        Some(true) => !stated.is_empty() && stated.iter().all(|is_named| *is_named),
        _ => stated.contains(&true),
    }
}

impl<'a> SyncWindow<'a> {
    fn read(entry: &'a Value) -> Option<Self> {
        let window = Window {
            schedule: text(entry, "schedule").parse().ok()?,
            duration: text(entry, "duration").parse::<SignedDuration>().ok()?,
        };
        // Argo CD takes UTC for a time zone that it does not know.
        let zone = Some(text(entry, "timeZone")).filter(|name| !name.is_empty());
        let zone = zone.and_then(|name| time_zone(name).ok()).unwrap_or(TimeZone::UTC);
        Some(Self { entry, window, zone })
    }

    fn is(&self, kind: &str) -> bool {
        text(self.entry, "kind") == kind
    }

    fn is_on(&self, at: Timestamp) -> bool {
        self.window.end(at, &self.zone).is_some()
    }

    fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        self.window.next_change(at, &self.zone)
    }

    fn lets_manual(&self) -> bool {
        self.entry.get("manualSync").and_then(Value::as_bool).unwrap_or_default()
    }

    fn told(&self) -> String {
        let zone = self.zone.iana_name().unwrap_or("UTC");
        let (schedule, duration) = (self.window.schedule.as_str(), text(self.entry, "duration"));
        match text(self.entry, "description") {
            "" => format!("`{schedule}` for {duration} ({zone})"),
            description => format!("`{schedule}` for {duration} ({zone}, {description})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k8s::Object;

    const APPLICATION: &str = "{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: ranking-prod}, \
        spec: {destination: {server: 'https://192.0.2.1', namespace: shop-prod}}}";

    fn closed(windows: &str, at: &str) -> Option<ClosedWindow> {
        let project = format!(
            "{{apiVersion: argoproj.io/v1alpha1, kind: AppProject, metadata: {{name: shop}}, spec: {{syncWindows: [{windows}]}}}}"
        );
        let read = |yaml: &str| Object::read_all(yaml).unwrap().remove(0);
        let (project, application) = (read(&project), read(APPLICATION));
        let application = Application::new(&application).unwrap();
        Project::new(&project).unwrap().closed_window(application, at.parse().unwrap())
    }

    /// Expects when it opens, and whether somebody may ask; `None`: it is open.
    #[track_caller]
    fn check(windows: &str, at: &str, expected: Option<(Option<&str>, bool)>) {
        let found = closed(windows, at);
        let found = found.map(|c| (c.opens_at.map(|at| at.to_string()), c.lets_manual));
        let expected = expected.map(|(at, manual)| (at.map(str::to_owned), manual));
        assert_eq!(found, expected, "{windows} at {at}");
    }

    const NIGHT: &str = "kind: deny, schedule: '0 22 * * *', duration: 8h";
    const DAY: &str = "kind: allow, schedule: '0 9 * * 1-5', duration: 7h30m";

    #[test]
    fn a_window_that_denies_is_on_until_its_end() {
        let night = format!("{{{NIGHT}, applications: ['*']}}");
        let until = Some((Some("2026-11-24T06:00:00Z"), false));
        check(&night, "2026-11-23T21:59:59Z", None);
        check(&night, "2026-11-23T22:00:00Z", until);
        check(&night, "2026-11-24T05:59:59Z", until);
        check(&night, "2026-11-24T06:00:00Z", None);
    }

    #[test]
    fn where_windows_allow_one_of_them_must_be_on() {
        let day = format!("{{{DAY}, namespaces: [shop-*], timeZone: Europe/Berlin}}");
        check(&day, "2026-11-23T09:00:00Z", None);
        check(&day, "2026-11-23T15:30:00Z", Some((Some("2026-11-24T08:00:00Z"), false)));
        check(&day, "2026-11-21T09:00:00Z", Some((Some("2026-11-23T08:00:00Z"), false)));
        let both =
            format!("{day}, {{kind: deny, schedule: '0 * * * *', duration: 10m, clusters: ['*']}}");
        check(&both, "2026-11-23T09:05:00Z", Some((Some("2026-11-23T09:10:00Z"), false)));
    }

    #[test]
    fn only_windows_that_name_the_application_count() {
        let at = "2026-11-23T23:00:00Z";
        let until = Some((Some("2026-11-24T06:00:00Z"), false));
        for (scope, expected) in [
            ("", None),
            ("applications: []", None),
            ("applications: [ranking-*]", until),
            ("applications: [ranking]", None),
            ("clusters: ['https://192.0.2.*']", until),
            ("clusters: ['in-cluster']", None),
            ("namespaces: [shop-prod]", until),
            ("applications: [other], namespaces: ['*']", until),
            ("applications: [other], namespaces: ['*'], andOperator: true", None),
            ("applications: ['*'], namespaces: ['shop-*'], andOperator: true", until),
            ("andOperator: true", None),
        ] {
            check(&format!("{{{NIGHT}, {scope}}}"), at, expected);
        }
    }

    #[test]
    fn who_asks_may_sync_where_every_window_lets_them() {
        let (at, opens) = ("2026-11-23T23:00:00Z", Some("2026-11-24T06:00:00Z"));
        let lets = format!("{{{NIGHT}, applications: ['*'], manualSync: true}}");
        check(&lets, at, Some((opens, true)));
        check(&format!("{lets}, {{{NIGHT}, clusters: ['*']}}"), at, Some((opens, false)));
        let day = format!("{{{DAY}, applications: ['*'], manualSync: true}}");
        check(&day, at, Some((Some("2026-11-24T09:00:00Z"), true)));
    }

    #[test]
    fn what_never_opens_and_what_says_nothing() {
        let always = "{kind: deny, schedule: '* * * * *', duration: 1h, applications: ['*']}";
        check(always, "2026-11-23T23:00:00Z", Some((None, false)));
        for nothing in [
            "{kind: deny, schedule: '@daily', duration: 24h, applications: ['*']}",
            "{kind: deny, schedule: '* * * * *', duration: long, applications: ['*']}",
            "{kind: deny, schedule: 1, duration: 2, applications: 3}",
            "{kind: sometimes, schedule: '* * * * *', duration: 1h, applications: ['*']}",
            "null",
        ] {
            check(nothing, "2026-11-23T23:00:00Z", None);
        }
    }

    #[test]
    fn says_which_window() {
        let night = format!("{{{NIGHT}, applications: ['*'], description: backups}}");
        assert_eq!(
            closed(&night, "2026-11-23T23:00:00Z").unwrap().why,
            "a sync window denies it: `0 22 * * *` for 8h (UTC, backups)"
        );
        let day = format!("{{{DAY}, applications: ['*'], timeZone: Europe/Brlin}}");
        assert_eq!(
            closed(&day, "2026-11-23T23:00:00Z").unwrap().why,
            "no sync window allows it now, only `0 9 * * 1-5` for 7h30m (UTC)"
        );
    }
}
