//! Why an entry of `images` changes nothing, and what to write instead.

mod rule;

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

use super::below::Below;
use super::incoming::Incoming;
use super::kustomization::{ImageEntry, Kustomization, find};
use super::transform::{Trace, is_about, is_like_a_pattern, name_of, trace};
use crate::image::ImageReference;
use crate::yaml::nearest;

pub use rule::Rule;

/// An entry without effect, and the rule that swallowed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swallowed {
    /// The file that the entry is in.
    pub file: Utf8PathBuf,
    /// The line that it begins on.
    pub line: usize,
    /// Its `name`.
    pub name: String,
    /// Why it changes nothing.
    pub rule: Rule,
}

/// Returns why the entry number `index` of `kustomization` changes nothing.
///
/// `incoming` is what its entries find, `below` are the kustomizations that it is built on.
pub fn swallowed(
    file: &Utf8Path,
    kustomization: &Kustomization,
    index: usize,
    incoming: &Incoming,
    below: &[Below],
) -> Option<Swallowed> {
    let entry = kustomization.images().get(index)?;
    let case = Case { file, kustomization, index, entry, incoming, below };
    let rule = case.set_again().or_else(|| case.renamed_here()).or_else(|| case.renamed_below());
    let rule = rule.or_else(|| case.not_reached()).or_else(|| case.spelled());
    let rule = rule.unwrap_or_else(|| case.unknown());
    let (file, line) = (file.to_owned(), kustomization.line(entry));
    Some(Swallowed { file, line, name: entry.name.clone(), rule })
}

struct Case<'a> {
    file: &'a Utf8Path,
    kustomization: &'a Kustomization,
    index: usize,
    entry: &'a ImageEntry,
    incoming: &'a Incoming,
    below: &'a [Below],
}

impl Case<'_> {
    fn traces(&self) -> impl Iterator<Item = Trace> {
        self.incoming.images.iter().map(|image| trace(self.kustomization.images(), image))
    }

    fn line(&self, index: usize) -> usize {
        self.kustomization.line(&self.kustomization.images()[index])
    }

    /// The entry is about an image, and something behind it sets that again.
    fn set_again(&self) -> Option<Rule> {
        let is_step = |(step, _): &&(usize, String)| *step == self.index;
        let traces: Vec<Trace> =
            self.traces().filter(|trace| trace.steps.iter().any(|step| is_step(&step))).collect();
        if traces.is_empty() {
            return None;
        }
        let later = |trace: &Trace| {
            let (_, own) = trace.steps.iter().find(is_step)?.clone();
            let (step, image) = trace.steps.iter().find(|(step, _)| *step > self.index)?.clone();
            (trace.result() != own).then_some((step, image))
        };
        if let Some((step, image)) = traces.iter().find_map(later) {
            let name = self.kustomization.images()[step].name.clone();
            return Some(Rule::SetAgain { line: self.line(step), name, image });
        }
        Some(self.set_afterwards().unwrap_or(Rule::Unclear))
    }

    /// kustomize's order is in its `internal/target/kusttarget.go`: `images`, then `transformers`,
    /// then `replacements`.
    fn set_afterwards(&self) -> Option<Rule> {
        let document = self.kustomization.document();
        ["replacements", "transformers"].into_iter().find_map(|field| {
            let entry = find(document.root(), field)?;
            let line = document.position(entry.key.span.start).line;
            Some(Rule::SetAfterwards { field, line })
        })
    }

    fn renamed_here(&self) -> Option<Rule> {
        self.traces().filter(|trace| is_about(&self.entry.name, &trace.image)).find_map(|trace| {
            let (step, _) = trace.steps.first()?;
            let to = name_of(trace.before(self.index)).to_owned();
            let file = self.file.to_owned();
            Some(Rule::Renamed { file, line: self.line(*step), to })
        })
    }

    fn renamed_below(&self) -> Option<Rule> {
        let names: Vec<&str> = self.incoming.images.iter().map(|image| name_of(image)).collect();
        self.below.iter().rev().find_map(|below| {
            let renames = |entry: &&ImageEntry| {
                let to = entry.effective_name();
                is_about(&entry.name, &self.entry.name) && to != entry.name && names.contains(&to)
            };
            let entry = below.kustomization.images().iter().find(renames)?;
            Some(Rule::Renamed {
                file: below.file.clone(),
                line: below.kustomization.line(entry),
                to: entry.effective_name().to_owned(),
            })
        })
    }

    fn not_reached(&self) -> Option<Rule> {
        let is_meant = |image: &str| is_about(&self.entry.name, image);
        let found = self.incoming.unreached.iter().find(|found| is_meant(&found.image))?;
        Some(Rule::NotReached { kind: found.kind.clone(), field: found.field.clone() })
    }

    fn spelled(&self) -> Option<Rule> {
        let name = name_of(&self.entry.name);
        let incoming = &self.incoming.images;
        if let Some(image) = incoming.iter().find(|image| name_of(image) == name) {
            let image = image.clone();
            return Some(match name == self.entry.name {
                true => Rule::Version { image },
                false => Rule::OtherVersion { image },
            });
        }
        let wanted = name.parse::<ImageReference>().ok()?.name;
        let same = |image: &&String| {
            name_of(image).parse::<ImageReference>().is_ok_and(|found| found.name == wanted)
        };
        let image = name_of(incoming.iter().find(same)?).to_owned();
        Some(Rule::Spelled { image })
    }

    fn unknown(&self) -> Rule {
        let mut known: Vec<String> =
            self.incoming.images.iter().map(|image| name_of(image).to_owned()).collect();
        known.dedup();
        if self.incoming.is_empty {
            return Rule::NoObjects;
        }
        if known.is_empty() {
            return Rule::NoContainers;
        }
        if is_like_a_pattern(&self.entry.name) {
            return Rule::Pattern { known };
        }
        Rule::Unknown { nearest: nearest_image(&self.entry.name, &known), known }
    }
}

/// Returns the one of the images `known` that `name` was probably meant to be, or `None`.
pub fn nearest_image(name: &str, known: &[String]) -> Option<String> {
    let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let same_last = known.iter().find(|known| last(known) == last(name));
    same_last.cloned().or_else(|| nearest(name, known).map(str::to_owned)).or_else(|| {
        let lasts: Vec<String> = known.iter().map(|known| last(known)).collect();
        let found = nearest(&last(name), &lasts)?;
        known.iter().find(|known| last(known) == found).cloned()
    })
}

impl Swallowed {
    /// Returns what to write instead, where that can be told.
    pub fn instead(&self) -> Option<String> {
        self.rule.instead(self.line)
    }
}

impl fmt::Display for Swallowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, name, rule } = self;
        write!(f, "`{file}` line {line}: the entry `{name}` changes nothing: {rule}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why the entry on line 2 of `file` changes nothing.
    #[track_caller]
    fn check(file: &str, incoming: &[&str], below: &str, expected: &str) {
        let kustomization = Kustomization::parse(file.as_bytes()).unwrap();
        let images = incoming.iter().map(|&image| image.to_owned()).collect();
        let incoming = Incoming { images, ..Incoming::default() };
        let below = vec![Below {
            file: "base/kustomization.yaml".into(),
            kustomization: Kustomization::parse(below.as_bytes()).unwrap(),
        }];
        let line_of = |entry: &ImageEntry| kustomization.line(entry) == 2;
        let index = kustomization.images().iter().position(line_of).unwrap();
        let found =
            swallowed(Utf8Path::new("k"), &kustomization, index, &incoming, &below).unwrap();
        let name = &kustomization.images()[index].name;
        let expected = format!("`k` line 2: the entry `{name}` changes nothing: {expected}");
        assert_eq!(found.to_string(), expected);
    }

    #[test]
    fn a_rename_before_it() {
        check(
            "images:\n- name: app\n",
            &["reg/app:1"],
            "resources: []\nimages:\n- name: app\n  newName: reg/app\n",
            "`base/kustomization.yaml` line 3 renames the image to `reg/app` before it",
        );
        check(
            "images: [{name: app, newName: reg/app},\n{name: app, newTag: x}]",
            &["app:1"],
            "",
            "`k` line 1 renames the image to `reg/app` before it",
        );
    }

    #[test]
    fn a_later_entry_or_field() {
        check(
            "images:\n- name: app\n  newTag: a\n- name: ap.\n  newTag: b\n",
            &["app:1"],
            "",
            "the entry `ap.` on line 4 comes after it and makes `app:b` of it",
        );
        check(
            "images:\n- name: app\n  newTag: a\nreplacements: []\n",
            &["app:1"],
            "",
            "`replacements` on line 4 comes after `images` and sets the image again",
        );
        check(
            "images:\n- name: app\n  newTag: a\n",
            &["app:1"],
            "",
            "something that kustomize does after `images` sets the image again",
        );
    }

    #[test]
    fn a_name_that_no_container_has() {
        let app = "images:\n- name: library/app\n  newTag: a\n";
        check(
            app,
            &["docker.io/library/app:1"],
            "",
            "the containers spell it `docker.io/library/app`, and kustomize compares letter by letter",
        );
        check(
            app,
            &["library/app@sha512:ab"],
            "",
            "kustomize does not recognise the tag or digest of `library/app@sha512:ab`",
        );
        check(app, &["ap:1", "x"], "", "no container has this image; the overlay has `ap`, `x`");
        check(app, &[], "", "the overlay has no containers");
        check(
            "images:\n- name: 'x/.+'\n",
            &["app:1"],
            "",
            "kustomize reads it as a regular expression, which fits none of the images `app`",
        );
    }

    #[test]
    fn the_nearest_image() {
        let known = ["reg/shop/web".to_owned(), "reg/shop/ranking".to_owned()];
        let check = |name, expected: Option<&str>| {
            assert_eq!(nearest_image(name, &known).as_deref(), expected);
        };
        check("web", Some("reg/shop/web"));
        check("reg/shop/rankng", Some("reg/shop/ranking"));
        check("rankin", Some("reg/shop/ranking"));
        check("redis", None);
    }
}
