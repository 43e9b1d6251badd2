//! `healthy`: the image runs, and is healthy, in the environment that it comes from.

use super::Said;
use crate::promotion::facts::{Facts, Proof, ServiceFacts};
use crate::promotion::minute;

/// The gate `healthy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Healthy {
    /// Whether it is shut where health can't be known: the configuration asks for it. Each promotion
    /// has this gate, but without being asked it lets pass what nobody can know.
    pub is_required: bool,
}

impl Healthy {
    pub(super) fn judge(self, service: &ServiceFacts, facts: &Facts) -> Said {
        let from = facts.from.as_deref().unwrap_or("nowhere");
        match &service.health {
            Ok(Proof::Verified { at }) => {
                Said::open(format!("verified in {from} at {}", minute(*at)))
            }
            Ok(Proof::Cluster { image: Some(image), .. })
                if image.digest != service.image.digest =>
            {
                Said::closed(format!("{from} states {image} meanwhile"))
            }
            Ok(Proof::Cluster { is_healthy: true, running, .. }) => match running.as_slice() {
                [] => Said::open(format!("healthy in {from}; no pods were seen")),
                _ => Said::open(format!("{from} runs it and is healthy")),
            },
            Ok(Proof::Cluster { why, running, .. }) => {
                Said::closed(not_healthy(from, why, running))
            }
            Err(reason) if self.is_required => Said::unknown(reason),
            Err(reason) => Said::open(format!("not checked: {reason}")),
        }
    }
}

fn not_healthy(from: &str, why: &str, running: &[String]) -> String {
    let runs = match running {
        [] => String::new(),
        running => format!("; it runs {}", running.join(", ")),
    };
    format!("{from} is not healthy: {why}{runs}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::gates::Gate;
    use crate::promotion::gates::facts::{image, line, service};

    fn said(is_required: bool, health: Result<Proof, String>) -> String {
        let service = ServiceFacts { health, ..service() };
        let facts = Facts::new("2026-11-22T12:00:00Z".parse().unwrap(), Some("dev"), vec![service]);
        line(&Gate::Healthy(Healthy { is_required }), &facts)
    }

    fn seen(digit: char, is_healthy: bool, running: &[&str]) -> Result<Proof, String> {
        let running = running.iter().map(|&digest| digest.to_owned()).collect();
        let why = "Deployment `web` is Degraded".to_owned();
        Ok(Proof::Cluster { image: Some(image(digit)), running, is_healthy, why })
    }

    #[test]
    fn what_is_healthy_is_what_goes() {
        let at = "2026-11-22T11:00:00Z".parse().unwrap();
        assert_eq!(
            said(true, Ok(Proof::Verified { at })),
            "open: verified in dev at 2026-11-22 11:00 UTC"
        );
        assert_eq!(said(true, seen('a', true, &["sha256:aa"])), "open: dev runs it and is healthy");
        assert_eq!(said(true, seen('a', true, &[])), "open: healthy in dev; no pods were seen");
        assert_eq!(
            said(true, seen('a', false, &["sha256:bb"])),
            "closed: dev is not healthy: Deployment `web` is Degraded; it runs sha256:bb"
        );
        let other = said(true, seen('b', true, &[]));
        assert!(other.starts_with("closed: dev states registry.example.com/web:1@sha256:bbb"));
    }

    #[test]
    fn what_nobody_knows_passes_only_where_nobody_asked() {
        let unknown = || Err("there is no cluster".to_owned());
        assert_eq!(said(true, unknown()), "unknown: there is no cluster");
        assert_eq!(said(false, unknown()), "open: not checked: there is no cluster");
    }
}
