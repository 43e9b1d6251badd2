//! Overlays that need what is not in the repository: what is wrong with them all the same, and what
//! of their URLs is told.

use serde::Deserialize as _;
use serde_json::Value;

use super::LintOptions;
use crate::cluster::Recorder;
use crate::kustomize::{ChangedTree, FileTree, Kustomization, MemoryTree, is_remote};
use crate::lint::Overlay;
use crate::render::RenderError;

/// What kustomize says of a file itself, whatever else it is built with: it is not as its types are, or
/// a file of the repository is not there.
const OWN: [&str; 2] = ["invalid Kustomization", "no such file or directory"];

/// Returns whether the overlay needs what is not in the repository: a remote base, or a Helm chart.
pub(super) fn is_out_of_reach(overlay: &Overlay, reason: &str) -> bool {
    let below = overlay.below.iter().map(|below| &below.kustomization);
    let mut all = below.chain([&overlay.kustomization]);
    all.any(|kustomization| {
        let lists = [kustomization.resources(), kustomization.bases(), kustomization.components()];
        lists.concat().into_iter().any(is_remote)
    }) || reason.contains("--enable-helm")
}

/// Returns why the overlay renders with no remote base either, as far as that is told by the files of
/// the repository. What only a remote base may have, a patch's target for example, is no reason.
pub(super) async fn own_flaw(
    options: &LintOptions<'_>,
    tree: &dyn FileTree,
    overlay: &Overlay,
) -> Option<String> {
    let below = overlay.below.iter().map(|below| (&below.file, &below.kustomization));
    let all = below.chain([(&overlay.file, &overlay.kustomization)]);
    let without = all.filter_map(|(file, read)| Some((file.clone(), without_remote(read)?)));
    let changes = MemoryTree(without.collect());
    if changes.0.is_empty() {
        return None;
    }
    let tree = ChangedTree { base: tree, changes: &changes };
    match options.renderer.render(&tree, &overlay.dir).await {
        Err(RenderError::Failed { reason, .. }) => {
            OWN.iter().any(|own| reason.contains(own)).then_some(reason)
        }
        _ => None,
    }
}

/// Returns the kustomization without what it needs from elsewhere, or `None` if that is nothing.
fn without_remote(kustomization: &Kustomization) -> Option<Vec<u8>> {
    let first = serde_yaml::Deserializer::from_str(kustomization.document().text()).next()?;
    let mut value = Value::deserialize(first).ok()?;
    let fields = value.as_object_mut()?;
    // As JSON a merge key would be a field that kustomize does not know.
    if fields.contains_key("<<") {
        return None;
    }
    let mut is_changed = false;
    for entries in fields.values_mut().filter_map(Value::as_array_mut) {
        let before = entries.len();
        entries.retain(|entry| !entry.as_str().is_some_and(is_remote));
        is_changed |= entries.len() != before;
    }
    is_changed.then(|| value.to_string().into_bytes())
}

/// Returns `text` with its URLs, but without users and passwords in them.
pub(super) fn without_credentials(text: &str) -> String {
    let is_around = |c: char| c.is_whitespace() || "`'\"<>()[]{},".contains(c);
    text.split_inclusive(is_around).map(Recorder::redacted_url).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kustomization_without_what_is_elsewhere_says_all_else() {
        let read = |text: &str| without_remote(&Kustomization::parse(text.as_bytes()).unwrap());
        let text = "resources: [a.yaml, 'https://git.example.com/x?ref=1']\nbogus: '1'\n";
        let expected = r#"{"resources":["a.yaml"],"bogus":"1"}"#;
        let value = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap();
        assert_eq!(value(&read(text).unwrap()), value(expected.as_bytes()));
        assert_eq!(read("resources: [a.yaml]\n"), None);
    }

    #[test]
    fn a_url_is_told_without_its_user() {
        assert_eq!(
            without_credentials(
                "`k` needs `https://user:tok@git.example.com/x?ref=1`,\nand 'ssh://git@a/b'"
            ),
            "`k` needs `https://git.example.com/x?ref=1`,\nand 'ssh://git@a/b'"
        );
    }
}
