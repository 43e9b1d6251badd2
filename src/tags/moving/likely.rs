//! Which tags name the image that was built before.

use super::{Follows, MovingTag};
use crate::image::{SourceFacts, Tag};

/// Returns the tags of `moving` that may name the last image before a build from `source`, the likeliest
/// first: that of its own branch, then `latest` and the like, then those of other branches and of its
/// release. `prefix` stands before versions in git tags. Files may differ from the commit, which is no release
/// then.
pub fn likely(moving: &[MovingTag], source: &SourceFacts, prefix: &str) -> Vec<Tag> {
    let mut ranked: Vec<(u8, String)> =
        moving.iter().flat_map(|tag| tag.names(source, prefix)).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut tags: Vec<Tag> = Vec::new();
    for tag in ranked.into_iter().filter_map(|(_, text)| text.parse().ok()) {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

const OWN_BRANCH: u8 = 0;
const NEWEST: u8 = 1;
const OTHER: u8 = 2;

impl MovingTag {
    fn names(&self, source: &SourceFacts, prefix: &str) -> Vec<(u8, String)> {
        let branch = source.branch.as_deref();
        match &self.follows {
            Follows::OwnBranch => {
                let own = branch.map(|branch| (OWN_BRANCH, self.filled(None, Some(branch))));
                let default = source.default_branch.as_deref();
                let default = default.map(|branch| (OTHER, self.filled(None, Some(branch))));
                own.into_iter().chain(default).collect()
            }
            Follows::Branch(follows) if branch == Some(follows) => {
                vec![(OWN_BRANCH, self.text.clone())]
            }
            Follows::Branch(_) => vec![(OTHER, self.text.clone())],
            Follows::Newest => vec![(NEWEST, self.text.clone())],
            Follows::Versions => {
                let version = source.version(prefix).ok();
                version
                    .map(|version| (OTHER, self.filled(Some(&version), None)))
                    .into_iter()
                    .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(moving: &[&str], branch: Option<&str>, git_tag: Option<&str>, expected: &[&str]) {
        let moving: Vec<MovingTag> = moving.iter().map(|text| text.parse().unwrap()).collect();
        let source = SourceFacts {
            branch: branch.map(str::to_owned),
            default_branch: Some("main".to_owned()),
            tags: git_tag.map(str::to_owned).into_iter().collect(),
            commit: git_tag.map(|_| "a".repeat(40)),
            ..SourceFacts::default()
        };
        let tags = likely(&moving, &source, "");
        assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_build_s_own_branch_is_nearer_than_the_newest_and_others() {
        let all = ["stable@release", "{major}", "latest", "{branch}", "edge@feature"];
        let feature = ["feature", "edge", "latest", "stable", "main"];
        check(&all, Some("feature"), None, &feature);
        check(&all, Some("main"), Some("v2.1.0"), &["main", "latest", "stable", "2", "edge"]);
        check(&all, None, None, &["latest", "stable", "main", "edge"]);
        check(&[], Some("main"), None, &[]);
    }
}
