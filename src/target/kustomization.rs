//! The entry in `images:` of an overlay's kustomization.

use camino::Utf8Path;

use super::{StatedImage, StatedImageError, Target, TargetEdit, TargetError};
use crate::image::PinnedImage;
use crate::kustomize::{FileTree, ImageChange, Kustomization, find_kustomization, set_images};

pub(super) fn read(
    target: &Target,
    overlay: &Utf8Path,
    tree: &dyn FileTree,
) -> Result<StatedImage, StatedImageError> {
    let (file, bytes) = find_kustomization(tree, overlay)?;
    let unread = |source| StatedImageError::Read { file: file.clone(), source };
    let kustomization = Kustomization::parse(&bytes).map_err(unread)?;
    match kustomization.find_image(&target.name, &target.registry) {
        Some(entry) => Ok(StatedImage::of(file, entry)),
        None => Err(StatedImageError::NoEntry {
            file,
            image: target.name.clone(),
            entries: kustomization.images().iter().map(|entry| entry.name.clone()).collect(),
        }),
    }
}

pub(super) fn edit(
    target: &Target,
    overlay: &Utf8Path,
    tree: &dyn FileTree,
    image: PinnedImage,
) -> Result<TargetEdit, TargetError> {
    let (file, bytes) = find_kustomization(tree, overlay)?;
    let failed = |source| TargetError::Kustomization { file: file.clone(), source };
    let pin = ImageChange::pin(&target.name, image);
    let after = set_images(&bytes, &[pin]).map_err(failed)?.bytes;
    Ok(TargetEdit { file, before: Some(bytes), after })
}

#[cfg(test)]
mod tests {
    use super::super::Place;
    use super::*;
    use crate::image::DigestPolicy;
    use crate::kustomize::MemoryTree;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn edited(text: &str, digest: DigestPolicy) -> String {
        let file = "o/kustomization.yaml";
        let mut tree = MemoryTree([(file.into(), text.into())].into());
        let registry = "registry.example.com/web".parse().unwrap();
        let place = Place::Kustomization { overlay: "o".into() };
        let target = Target { name: "web".to_owned(), registry, digest, place };
        let image = format!("registry.example.com/web:b@{DIGEST}").parse().unwrap();
        let edit = target.edit(&tree, &image).unwrap();
        assert_eq!((edit.file.as_str(), edit.is_changed()), (file, true));
        tree.0.insert(edit.file, edit.after.clone());
        assert!(!target.edit(&tree, &image).unwrap().is_changed());
        let stated = target.read(&tree).unwrap().pinned().unwrap();
        assert_eq!(stated, digest.written(&image));
        String::from_utf8(edit.after).unwrap().replace(DIGEST, "DIGEST")
    }

    #[test]
    fn the_policy_says_whether_the_tag_is_written() {
        let before = "images:\n- name: web\n  newTag: a # t\n  newName: registry.example.com/web\n";
        assert_eq!(
            edited(before, DigestPolicy::TagAndDigest),
            "images:\n- name: web\n  newTag: b # t\n  digest: DIGEST\n  newName: registry.example.com/web\n"
        );
        assert_eq!(
            edited(before, DigestPolicy::Digest),
            "images:\n- name: web\n  digest: DIGEST\n  newName: registry.example.com/web\n"
        );
    }
}
