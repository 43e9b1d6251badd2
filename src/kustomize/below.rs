//! What an overlay is built on: the kustomizations below it, and the overlay without its images.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::kustomization::is_key;
use super::{FileTree, Kustomization, find_kustomization, inside};
use crate::yaml::{self, Patch};

/// More kustomizations are under no overlay.
const MOST: usize = 1000;

/// A kustomization below an overlay.
#[derive(Debug, Clone)]
pub struct Below {
    /// The file.
    pub file: Utf8PathBuf,
    /// What it says.
    pub kustomization: Kustomization,
}

/// Returns the kustomizations that `overlay`, which is in the folder `dir` of `tree`, is built on, in
/// the order in which they are applied: of each its own first, resources before components. What
/// can't be read or is no folder of the tree is passed over.
pub fn below(tree: &dyn FileTree, dir: &Utf8Path, overlay: &Kustomization) -> Vec<Below> {
    let mut found = Vec::new();
    let mut seen: BTreeSet<Utf8PathBuf> = inside(dir).into_iter().collect();
    collect(tree, dir, overlay, &mut seen, &mut found);
    found
}

fn collect(
    tree: &dyn FileTree,
    dir: &Utf8Path,
    kustomization: &Kustomization,
    seen: &mut BTreeSet<Utf8PathBuf>,
    found: &mut Vec<Below>,
) {
    let lists = [kustomization.resources(), kustomization.bases(), kustomization.components()];
    for text in lists.concat().into_iter().filter(|text| !text.contains("://")) {
        let Some(folder) = inside(&dir.join(text)) else { continue };
        if seen.len() >= MOST || !seen.insert(folder.clone()) {
            continue;
        }
        let Ok((file, bytes)) = find_kustomization(tree, &folder) else { continue };
        let Ok(kustomization) = Kustomization::parse(&bytes) else { continue };
        collect(tree, &folder, &kustomization, seen, found);
        found.push(Below { file, kustomization });
    }
}

/// Returns the file's text without the entries of its `images`: its rendering shows which images they
/// are looked up among. `None` if it has none, or they are in the way of something else.
pub fn without_images(kustomization: &Kustomization) -> Option<String> {
    let document = kustomization.document();
    let entries = document.root().entries().iter().filter(|entry| is_key(entry, "images"));
    let patches =
        entries.map(|entry| Patch::replace(entry.key.start()..entry.value.span.end, "images: []"));
    let patches: Vec<Patch> = patches.collect();
    let text = yaml::apply(document.text(), &patches).ok().filter(|_| !patches.is_empty())?;
    let read = Kustomization::parse(text.as_bytes()).ok()?;
    read.images().is_empty().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::super::MemoryTree;
    use super::*;

    #[test]
    fn bases_come_before_what_is_built_on_them_and_components_last() {
        let files = [
            (
                "o/kustomization.yaml",
                "components: [../c]\nresources: [../b, own.yaml, https://example.com/x, ../../out]\n",
            ),
            ("b/kustomization.yml", "bases: [../a, ../o]\n"),
            ("a/Kustomization", ""),
            ("c/kustomization.yaml", "resources: [../broken, ../a]\n"),
            ("broken/kustomization.yaml", "- x"),
        ];
        let own = |(path, text): &(&str, &str)| ((*path).into(), text.as_bytes().to_owned());
        let tree = MemoryTree(files.iter().map(own).collect());
        let overlay = Kustomization::parse(files[0].1.as_bytes()).unwrap();
        let found = below(&tree, Utf8Path::new("o"), &overlay);
        let found: Vec<&str> = found.iter().map(|below| below.file.as_str()).collect();
        assert_eq!(found, ["a/Kustomization", "b/kustomization.yml", "c/kustomization.yaml"]);
    }

    #[test]
    fn images_are_taken_out_in_every_style() {
        let check = |text: &str, expected: &str| {
            let found = without_images(&Kustomization::parse(text.as_bytes()).unwrap());
            assert_eq!(found.as_deref().unwrap_or("-"), expected);
        };
        check("images:\n# c\n- name: a # d\n- name: b\nz: 1\n", "images: []\nz: 1\n");
        check("{images: [{name: a}], z: 1}", "{images: [], z: 1}");
        check("Images: [a: b]\nimages:\n  - name: a", "images: []\nimages: []");
        check("z: 1\n", "-");
    }
}
