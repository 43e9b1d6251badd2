//! Names of branches as parts of tags, so that two branches never have the same.

use crate::image::Digest;

/// The longest slug: it fits into a Kubernetes label too.
const LONGEST: usize = 63;

/// How many hexadecimal digits of the name's SHA-256 tell names apart whose slugs would be the same.
const HASH: usize = 8;

/// Returns `name` as the beginning of a tag can be.
///
/// A name of letters, digits, `_`, `.` and `-` that is not too long is its own slug. In any other,
/// each run of other characters becomes `-`, and `-` with 8 hexadecimal digits of the name's SHA-256
/// is put behind: `feature/a-b` and `feature/a/b` stay two. So is a name that looks as if that had
/// been done to it, so no slug of one kind is one of the other: two names have the same slug only if
/// these digits are the same by chance.
pub(crate) fn slug(name: &str) -> String {
    let kept = kept(name);
    if kept == name && name.len() <= LONGEST && !looks_hashed(name) {
        return kept;
    }
    let digest = Digest::of(name.as_bytes());
    let hash = &digest.hex()[..HASH];
    // All of it is ASCII now.
    match &kept[..kept.len().min(LONGEST - HASH - 1)] {
        "" => format!("_-{hash}"),
        kept => format!("{kept}-{hash}"),
    }
}

/// Returns what of a name a tag can begin with.
fn kept(name: &str) -> String {
    let mut kept = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            c if c.is_ascii_alphanumeric() || c == '_' => kept.push(c),
            '.' | '-' if !kept.is_empty() => kept.push(c),
            _ if kept.is_empty() || kept.ends_with('-') => {}
            _ => kept.push('-'),
        }
    }
    kept
}

fn looks_hashed(name: &str) -> bool {
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let hash = name.rsplit_once('-').map(|(_, hash)| hash);
    hash.is_some_and(|hash| hash.len() == HASH && hash.bytes().all(is_hex))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Tag;
    use proptest::prelude::*;

    #[test]
    fn a_plain_name_is_its_own_slug() {
        for name in ["main", "release-1.4", "Feature_X", "v1", &"a".repeat(63)] {
            assert_eq!(slug(name), name);
        }
    }

    #[test]
    fn names_that_would_be_the_same_stay_apart() {
        let names = [
            "feature/a-b",
            "feature/a/b",
            "feature-a-b",
            "feature//a-b",
            "-feature-a-b",
            "Feature-a-b",
            &slug("feature/a-b"),
            &"a".repeat(64),
            &"a".repeat(65),
            "ü",
            "ö",
        ];
        let mut slugs: Vec<String> = names.iter().map(|name| slug(name)).collect();
        assert_eq!(slugs[0], "feature-a-b-b6d9d4b6".replace("b6d9d4b6", &slugs[0][12..]));
        assert!(slugs.iter().all(|slug| slug.len() <= LONGEST && slug.parse::<Tag>().is_ok()));
        slugs.sort();
        slugs.dedup();
        assert_eq!(slugs.len(), names.len());
    }

    proptest! {
        #[test]
        fn every_name_has_a_slug_of_its_own(one in ".{1,80}", other in "[a-f0-9/.-]{1,24}") {
            for name in [&one, &other] {
                let slug = slug(name);
                prop_assert!(slug.len() <= LONGEST && slug.parse::<Tag>().is_ok(), "{slug}");
                // The slug of a name that was changed is the name of no other branch's slug.
                if slug != *name {
                    prop_assert!(self::slug(&slug) != slug);
                }
            }
            prop_assert!(one == other || slug(&one) != slug(&other));
        }
    }
}
