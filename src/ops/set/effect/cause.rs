//! Why an entry changes nothing: what its overlay renders to without any entries tells.

use camino::{Utf8Path, Utf8PathBuf};

use super::{EffectError, Overlay};
use crate::kustomize::{
    Asked, ChangedTree, FileTree, FindError, ImageChange, Incoming, Kustomization, MemoryTree,
    Setting, Swallowed, TreeError, below, find_kustomization, set_images, swallowed,
    without_images,
};
use crate::render::Rendered;

impl Overlay<'_> {
    /// Returns the error for an entry that changes nothing.
    pub(super) async fn swallowed(
        &self,
        entry: &Asked,
        (file, kustomization): (Utf8PathBuf, Kustomization),
        new: &Rendered,
    ) -> EffectError {
        let incoming = self.incoming(&file, &kustomization, new).await;
        let below = below(self.after, self.overlay, &kustomization);
        let found = swallowed(&file, &kustomization, entry.index, &incoming, &below);
        let mut found = found.expect("the entry is one of this file's");
        if let Some(own) = self.file.filter(|own| **own != file) {
            // The kustomization has the entry only as Argo CD builds it.
            found.line = self.line_of(own, &entry.name).unwrap_or(1);
            found.file = own.to_owned();
        }
        EffectError::NoEffect(Box::new(found))
    }

    /// Returns the first line of `file` that names the image.
    fn line_of(&self, file: &Utf8Path, name: &str) -> Option<usize> {
        let bytes = self.after.read(file).ok()??;
        let text = String::from_utf8_lossy(&bytes);
        text.lines().position(|line| line.contains(name)).map(|index| index + 1)
    }

    /// Returns why an entry `name` at the end of the overlay's entries would change nothing, or `None`
    /// where that can't be told.
    pub(super) async fn unused(&self, name: &str, rendered: &Rendered) -> Option<Swallowed> {
        let (file, kustomization) = self.kustomization(self.after).ok()?;
        if kustomization.is_component() {
            return None;
        }
        let entry = ImageChange::Fields {
            name: name.to_owned(),
            new_name: Setting::Keep,
            new_tag: Setting::Set("1".to_owned()),
            digest: Setting::Keep,
        };
        let edit = set_images(kustomization.document().text().as_bytes(), &[entry]).ok()?;
        let with_entry = Kustomization::parse(&edit.bytes).ok()?;
        let index = with_entry.images().iter().position(|entry| entry.name == name)?;
        let incoming = self.incoming(&file, &with_entry, rendered).await;
        let below = below(self.after, self.overlay, &kustomization);
        swallowed(&file, &with_entry, index, &incoming, &below)
    }

    pub(super) fn kustomization(
        &self,
        tree: &dyn FileTree,
    ) -> Result<(Utf8PathBuf, Kustomization), FindError> {
        let (file, bytes) = find_kustomization(tree, self.overlay)?;
        let broken = |error: &dyn std::fmt::Display| TreeError {
            path: file.clone(),
            reason: error.to_string(),
        };
        let kustomization = Kustomization::parse(&bytes).map_err(|error| broken(&error))?;
        Ok((file, kustomization))
    }

    /// Returns what the file's entries find; `with` is what the overlay renders to with them.
    async fn incoming(
        &self,
        file: &Utf8Path,
        kustomization: &Kustomization,
        with: &Rendered,
    ) -> Incoming {
        let without = async {
            let text = without_images(kustomization)?;
            let changes = MemoryTree([(file.to_owned(), text.into_bytes())].into());
            let tree = ChangedTree { base: self.after, changes: &changes };
            self.render(&tree).await.ok()
        };
        match without.await {
            Some(without) => Incoming::of(kustomization.images(), &without.objects, &with.objects),
            None => Incoming::seen_in(&with.objects),
        }
    }
}
