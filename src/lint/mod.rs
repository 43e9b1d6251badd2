//! What is wrong with overlays though they may render: rules that find it, one file each.
//!
//! A rule is a function of [`Facts`]. Reading the repository, rendering it and asking registries is
//! left to the op, which says so where something could not be had.

mod facts;
mod finding;
mod rules;

pub use facts::{
    AbsentOverlay, Branch, BrokenOverlay, ExpectedApplication, Facts, FoundApplication, Known,
    Overlay, Rendering, Stage,
};
pub use finding::{Finding, Severity};
pub use rules::{RULES, Rule};

/// Returns what the rules find, by file and line.
pub fn lint(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| (rule.find)(facts)).collect();
    findings.sort_by(|a, b| (&a.file, a.line, a.rule).cmp(&(&b.file, b.line, b.rule)));
    findings.dedup();
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_name_of_its_own_and_says_what_it_finds() {
        for (index, rule) in RULES.iter().enumerate() {
            assert!(RULES[..index].iter().all(|other| other.id != rule.id), "{}", rule.id);
            assert!(rule.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", rule.id);
            assert!(!rule.summary.is_empty() && !rule.summary.ends_with('.'), "{}", rule.id);
        }
    }
}
