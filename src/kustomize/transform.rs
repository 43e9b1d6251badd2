//! What an entry of `images` does to a container's image when the kustomization is built.
//!
//! The rules are those of kustomize 5.5.0, `api/internal/image/image.go` and
//! `api/filters/imagetag`. They explain what a renderer did; a rendering itself is left to
//! [`crate::render`].

use regex::RegexBuilder;

use super::kustomization::{Field, ImageEntry};
use super::set_image::split;

/// No pattern that a name makes becomes larger, in bytes.
const LARGEST_PATTERN: usize = 1 << 20;

/// What the entries of a kustomization make of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The image before them.
    pub image: String,
    /// Which entries were about it, by number, and what each made of it.
    pub steps: Vec<(usize, String)>,
}

impl Trace {
    /// Returns the image after all entries.
    pub fn result(&self) -> &str {
        self.steps.last().map_or(&self.image, |(_, image)| image)
    }

    /// Returns the image as the entry number `index` found it.
    pub fn before(&self, index: usize) -> &str {
        let earlier = self.steps.iter().rev().find(|(step, _)| *step < index);
        earlier.map_or(&self.image, |(_, image)| image)
    }
}

/// Returns what `entries` make of `image`, one after another.
pub fn trace(entries: &[ImageEntry], image: &str) -> Trace {
    let mut trace = Trace { image: image.to_owned(), steps: Vec::new() };
    for (index, entry) in entries.iter().enumerate() {
        if let Some(after) = transform(entry, trace.result()) {
            trace.steps.push((index, after));
        }
    }
    trace
}

/// Returns what `entry` makes of `image`, or `None` if it is about another.
pub fn transform(entry: &ImageEntry, image: &str) -> Option<String> {
    let once = transform_once(entry, image)?;
    // Two passes go over the containers of a pod, which shows where a suffix is added.
    Some(transform_once(entry, &once).unwrap_or(once))
}

fn transform_once(entry: &ImageEntry, image: &str) -> Option<String> {
    if !is_about(&entry.name, image) {
        return None;
    }
    let (name, tag, digest) = split(image);
    let name = entry.get(Field::NewName).unwrap_or(name);
    let with_suffix = entry.tag_suffix().map(|suffix| tag.unwrap_or_default().to_owned() + suffix);
    let (tag, digest) = match (entry.tag(), entry.digest()) {
        (None, None) => match &with_suffix {
            Some(tag) => (Some(tag.as_str()), None),
            None => (tag, digest),
        },
        stated => stated,
    };
    let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
    Some(format!("{name}{tag}{digest}"))
}

/// Returns whether an entry called `name` is about `image`. kustomize takes the name for a regular
/// expression without escaping it, so `.` stands for any character and `a|b` is not held together.
pub fn is_about(name: &str, image: &str) -> bool {
    if name.is_empty() {
        return false;
    }
    if !is_like_a_pattern(name) {
        let (found, tag, digest) = split(image);
        let same = |(a, b): (char, char)| a == '.' || a == b;
        return found.chars().count() == name.chars().count()
            && name.chars().zip(found.chars()).all(same)
            && tag.is_none_or(|tag| tag.chars().all(is_version))
            && digest.is_none_or(|digest| {
                digest.strip_prefix("sha256:").is_some_and(|hex| hex.chars().all(is_version))
            });
    }
    let version = "[a-zA-Z0-9_.{}-]*";
    let pattern = format!("^{name}(:{version})?(@sha256:{version})?$");
    let pattern = RegexBuilder::new(&pattern).size_limit(LARGEST_PATTERN).build();
    pattern.is_ok_and(|pattern| pattern.is_match(image))
}

fn is_version(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '{' | '}' | '-')
}

/// Returns whether `name` says more as a regular expression than as a name: it has a tag or a digest
/// in it, or characters that are in no name. A `.` does not count, as most registries have one.
pub fn is_like_a_pattern(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | ':');
    let (_, tag, digest) = split(name);
    !name.chars().all(is_plain) || tag.is_some() || digest.is_some()
}

/// Returns the name of `image`, without tag and digest.
pub fn name_of(image: &str) -> &str {
    split(image).0
}

#[cfg(test)]
mod tests {
    use super::super::Kustomization;
    use super::*;

    /// Fails unless the entries make of the image what is expected, case by case.
    fn check(cases: &[(&str, &str, &str)]) {
        for (entries, image, expected) in cases {
            let file = Kustomization::parse(format!("images: [{entries}]").as_bytes()).unwrap();
            assert_eq!(trace(file.images(), image).result(), *expected, "{entries}");
        }
    }

    #[test]
    fn tag_and_digest_replace_both() {
        check(&[
            ("{name: app, newTag: v2}", "app:1@sha256:ab", "app:v2"),
            ("{name: app, digest: 'sha256:cd'}", "app:1", "app@sha256:cd"),
            ("{name: app, newTag: v2, digest: 'sha256:cd'}", "app", "app:v2@sha256:cd"),
            ("{name: app, newName: r/app}", "app:1@sha256:ab", "r/app:1@sha256:ab"),
            ("{name: app, newTag: ''}", "app:1", "app:1"),
            ("{name: app, tagSuffix: -x}", "app:1", "app:1-x-x"),
            ("{name: app, tagSuffix: -x, newName: r/app}", "app:1", "r/app:1-x"),
        ]);
    }

    #[test]
    fn a_name_is_a_pattern() {
        check(&[
            ("{name: a.p, newTag: v2}", "app:1", "app:v2"),
            ("{name: reg/.*, newTag: v2}", "reg/foo:1", "reg/foo:v2"),
            ("{name: 'foo|bar', newTag: v2}", "foobar:1", "foobar:v2"),
            ("{name: 'app:1', newTag: v2}", "app:1", "app:v2"),
            ("{name: 'app:1', newTag: v2}", "app:9", "app:9"),
            ("{name: '[', newTag: v2}", "app", "app"),
            ("{name: '(a{1000}){1000}', newTag: v2}", "a", "a"),
            ("{name: app, newTag: v2}", "docker.io/library/app", "docker.io/library/app"),
            ("{name: app, newTag: v2}", "app@sha512:ab", "app@sha512:ab"),
            (
                "{name: 'localhost:5000/app', newTag: v2}",
                "localhost:5000/app:1",
                "localhost:5000/app:v2",
            ),
            ("{newTag: v2}", "app", "app"),
            ("{name: ä, newTag: v2}", "ä", "ä:v2"),
        ]);
    }

    #[test]
    fn entries_see_what_those_before_made() {
        check(&[
            (
                "{name: app, newName: r/app, newTag: a}, {name: r/app, newTag: b}",
                "app:1",
                "r/app:b",
            ),
            (
                "{name: r/app, newTag: b}, {name: app, newName: r/app, newTag: a}",
                "app:1",
                "r/app:a",
            ),
            ("{name: app, newTag: a}, {name: app, newTag: b}", "app:1", "app:b"),
        ]);
    }
}
