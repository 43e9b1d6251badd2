//! `checks`: checks of the commit that the image was built from have passed.

use super::Said;
use crate::promotion::facts::{Check, CheckState, ServiceFacts};

/// The gate `checks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checks {
    /// The checks that must have passed; if there are none, all that the commit has, and it has one.
    pub names: Vec<String>,
}

impl Checks {
    pub(super) fn judge(&self, service: &ServiceFacts) -> Said {
        let checks = match &service.checks {
            Ok(checks) => checks,
            Err(reason) => return Said::unknown(reason),
        };
        let names: Vec<&str> = match self.names.as_slice() {
            [] => checks.iter().map(|check| check.name.as_str()).collect(),
            names => names.iter().map(String::as_str).collect(),
        };
        if names.is_empty() {
            return Said::closed("the source commit has no checks");
        }
        let wrong: Vec<String> = names.iter().filter_map(|name| wrong(name, checks)).collect();
        match wrong.as_slice() {
            [] => Said::open(format!("passed: {}", names.join(", "))),
            wrong => Said::closed(wrong.join(", ")),
        }
    }
}

/// Returns what is wrong with the check `name`: a commit may have two of that name, and then both
/// count.
fn wrong(name: &str, checks: &[Check]) -> Option<String> {
    let mut named = checks.iter().filter(|check| check.name == name).peekable();
    if named.peek().is_none() {
        return Some(format!("{name} has not run"));
    }
    let states: Vec<CheckState> = named.map(|check| check.state).collect();
    let what = if states.contains(&CheckState::Failed) {
        "failed"
    } else if states.contains(&CheckState::Pending) {
        "has not ended"
    } else {
        return None;
    };
    Some(format!("{name} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::facts::Facts;
    use crate::promotion::gates::Gate;
    use crate::promotion::gates::facts::{line, service};
    use CheckState::{Failed, Passed, Pending};

    fn said(names: &[&str], checks: &[(&str, CheckState)]) -> String {
        let check = |&(name, state): &(&str, CheckState)| Check { name: name.to_owned(), state };
        let service = ServiceFacts { checks: Ok(checks.iter().map(check).collect()), ..service() };
        let facts = Facts::new("2026-11-22T12:00:00Z".parse().unwrap(), Some("dev"), vec![service]);
        let names = names.iter().map(|&name| name.to_owned()).collect();
        line(&Gate::Checks(Checks { names }), &facts)
    }

    #[test]
    fn named_checks_must_be_there_and_have_passed() {
        assert_eq!(said(&["ci"], &[("ci", Passed), ("docs", Failed)]), "open: passed: ci");
        assert_eq!(
            said(&["ci", "lint", "e2e"], &[("ci", Failed), ("lint", Pending)]),
            "closed: ci failed, lint has not ended, e2e has not run"
        );
        assert_eq!(said(&["ci"], &[("ci", Passed), ("ci", Failed)]), "closed: ci failed");
    }

    #[test]
    fn without_names_all_that_there_are_must_have_passed() {
        assert_eq!(said(&[], &[("ci", Passed), ("docs", Failed)]), "closed: docs failed");
        assert_eq!(said(&[], &[("ci", Passed)]), "open: passed: ci");
        assert_eq!(said(&[], &[]), "closed: the source commit has no checks");
    }
}
