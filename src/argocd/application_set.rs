//! Argo CD's ApplicationSet: whether an Application that it makes is there yet, and whose turn it is.
//!
//! With the strategy `RollingSync` the ApplicationSet's controller switches auto-sync off and syncs its
//! Applications step by step, so that one that is out of sync may only have to wait.

use crate::argocd::ApplicationName;
use crate::argocd::source::text;
use crate::k8s::Object;

/// An ApplicationSet, read from its resource.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ApplicationSet<'a>(&'a Object);

/// How far an Application is in a rolling sync: an entry of `status.applicationStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollingStatus<'a> {
    /// `Waiting`, `Pending`, `Progressing` or `Healthy`.
    pub status: &'a str,
    /// Its step, counted from 1.
    pub step: &'a str,
    /// What the controller says about it.
    pub message: &'a str,
}

impl<'a> ApplicationSet<'a> {
    /// Returns the ApplicationSet, or `None` if `object` is another kind.
    pub fn new(object: &'a Object) -> Option<Self> {
        let is_set = object.group() == "argoproj.io" && object.kind() == "ApplicationSet";
        is_set.then_some(Self(object))
    }

    /// Returns its name.
    pub fn name(self) -> &'a str {
        self.0.name()
    }

    /// Returns whether its deletion has begun.
    pub fn is_being_deleted(self) -> bool {
        self.0.text("/metadata/deletionTimestamp").is_some()
    }

    /// Returns whether it syncs its Applications by itself, step by step.
    pub fn syncs_in_steps(self) -> bool {
        self.0.text("/spec/strategy/type") == Some("RollingSync")
    }

    /// Returns how far the Application `name` is, or `None` if the status does not say.
    pub fn rolling_status(self, name: &str) -> Option<RollingStatus<'a>> {
        let mut entries = self.0.list("/status/applicationStatus").iter();
        let entry = entries.find(|entry| text(entry, "application") == name)?;
        let field = |key| text(entry, key);
        Some(RollingStatus {
            status: field("status"),
            step: field("step"),
            message: field("message"),
        })
    }

    /// Returns what keeps it from making its Applications, or `None`.
    pub fn error(self) -> Option<&'a str> {
        let mut conditions = self.0.conditions();
        let error = conditions.find(|condition| {
            matches!(
                (condition.kind, condition.status),
                ("ErrorOccurred", "True") | ("ParametersGenerated" | "ResourcesUpToDate", "False")
            )
        })?;
        Some(error.message)
    }

    /// Returns whether it makes the Application `name`, as far as its status and its template tell.
    pub fn makes(self, name: &ApplicationName) -> bool {
        let lists = |pointer: &str, key: &str| {
            self.0.list(pointer).iter().any(|entry| text(entry, key) == name.name)
        };
        lists("/status/resources", "name")
            || lists("/status/applicationStatus", "application")
            || self.0.text("/spec/template/metadata/name").is_some_and(|t| fits(t, &name.name))
    }
}

/// Returns whether a template may yield `name`: what stands between its placeholders does.
fn fits(template: &str, name: &str) -> bool {
    let mut parts = template.split("{{");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let fixed: Vec<&str> = parts.map(|part| part.split_once("}}").map_or("", |(_, f)| f)).collect();
    // A name of placeholders only may yield any name, so that it tells nothing.
    if first.is_empty() && fixed.iter().all(|part| part.is_empty()) {
        return false;
    }
    let Some((last, middle)) = fixed.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.len() > last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_yields_the_names_that_it_can() {
        for (template, name, expected) in [
            ("ranking-prod", "ranking-prod", true),
            ("ranking-prod", "ranking-prod-2", false),
            ("{{service}}-prod", "ranking-prod", true),
            ("{{.service}}-{{ .env }}", "ranking-prod", true),
            ("shop-{{service}}", "ranking-prod", false),
            ("{{service}}-dev", "ranking-prod", false),
            ("{{name}}", "ranking-prod", false),
            ("ranking-prod{{suffix}}", "ranking-prod", false),
            ("{{", "ranking-prod", false),
        ] {
            assert_eq!(fits(template, name), expected, "{template} {name}");
        }
    }
}
