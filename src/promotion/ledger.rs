//! The ledgers, by name. What their entries say is a [`super::Record`].
//!
//! A ledger is kept for each environment and service, so that an environment's can be read at once.

/// What verification wrote: see [`super::Verified`].
const VERIFIED: &str = "verified";
/// What keeps pipelines out: see [`super::Hold`].
const HOLDS: &str = "holds";

/// The start of the names of all ledgers of holds.
pub const ALL_HOLDS: &str = "holds/";

/// Returns the name of the ledger of what was verified of `service` in `environment`.
pub fn verified_ledger(environment: &str, service: &str) -> String {
    name(VERIFIED, environment, service)
}

/// Returns the name of the ledger of holds on `service` in `environment`.
pub fn hold_ledger(environment: &str, service: &str) -> String {
    name(HOLDS, environment, service)
}

fn name(ledger: &str, environment: &str, service: &str) -> String {
    format!("{ledger}/{}/{}", word(environment), word(service))
}

/// Returns `name` as a reference may have it: names consist of letters, digits, `-`, `_` and `.`,
/// and git-check-ref-format(1) forbids some places for a dot. No name has a `%`.
fn word(name: &str) -> String {
    let forbidden = name.contains("..") || name.ends_with('.') || name.ends_with(".lock");
    if forbidden { name.replace('.', "%2E") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_makes_a_reference() {
        assert_eq!(verified_ledger("prod", "web-2.x"), "verified/prod/web-2.x");
        assert_eq!(hold_ledger("eu.", "a..b"), "holds/eu%2E/a%2E%2Eb");
        for service in ["a.lock", "a..b", "a.", "a_b", "A"] {
            let name = format!("refs/deployctl/{}", hold_ledger("prod", service));
            assert!(
                !name.contains("..") && !name.ends_with(".lock") && !name.ends_with('.'),
                "{name}"
            );
        }
    }
}
