//! The rules: one file each, one line each in the list.

mod ambiguous_value;
mod application_missing;
mod application_nowhere;
mod broken_overlay;
mod duplicate_name;
mod latest_tag;
mod missing_namespace;
mod missing_overlay;
mod no_effect;
mod pattern_name;
mod registry_disagrees;
mod shadowed;
mod tag_suffix;
mod unpinned_image;

use super::{Facts, Finding};

/// A rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its name, which does not change.
    pub id: &'static str,
    /// What it finds, in a line.
    pub summary: &'static str,
    /// Returns what it finds.
    pub find: fn(&Facts) -> Vec<Finding>,
}

/// All rules.
pub const RULES: &[Rule] = &[
    broken_overlay::RULE,
    missing_overlay::RULE,
    duplicate_name::RULE,
    no_effect::RULE,
    shadowed::RULE,
    pattern_name::RULE,
    ambiguous_value::RULE,
    tag_suffix::RULE,
    unpinned_image::RULE,
    latest_tag::RULE,
    registry_disagrees::RULE,
    missing_namespace::RULE,
    application_nowhere::RULE,
    application_missing::RULE,
];
