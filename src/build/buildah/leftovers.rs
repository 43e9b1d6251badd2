//! What a buildah or podman that was stopped leaves behind: it does not tidy up when it is told to
//! end (seen with buildah 1.28 and podman 4.3), and names its containers after their images.
//!
//! A build argument that no Dockerfile declares marks the containers, which keep it in their
//! description in the store; nobody else's are touched.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::build::engine::{Program, blocking};

/// A container's description is not larger.
const LARGEST_DESCRIPTION: u64 = 16 << 20;

/// The containers of a build; dropping it removes them and the images of the steps so far.
pub(super) struct Leftovers<'a> {
    program: &'a Program,
    mark: String,
    armed: bool,
}

impl<'a> Leftovers<'a> {
    /// Returns the guard of a build that has this mark, which no other build has.
    pub(super) fn new(program: &'a Program, mark: String) -> Self {
        Self { program, mark, armed: true }
    }

    /// Returns the build argument that marks the containers.
    pub(super) fn build_argument(&self) -> String {
        format!("DEPLOYCTL_BUILD={}", self.mark)
    }

    /// The engine ended by itself, and has removed its containers.
    pub(super) fn disarm(mut self) {
        self.armed = false;
    }

    async fn remove(&self) -> Option<()> {
        let containers = marked(&self.folder().await?, &self.mark);
        for container in &containers {
            let remove: &[&str] = match self.program.name() {
                "podman" => &["rm", "--force", &container.id],
                _ => &["rm", &container.id],
            };
            self.program.ask(remove).await.ok()?;
        }
        // One that another was made from stays until that one is gone, which takes it along.
        for image in containers.iter().filter_map(|container| container.step.as_deref()) {
            let _ = self.program.ask(&["rmi", image]).await;
        }
        Some(())
    }

    /// Returns the folder in which the store describes its containers.
    async fn folder(&self) -> Option<Utf8PathBuf> {
        let (question, root, driver): (&[&str], _, _) = match self.program.name() {
            "podman" => (&["info", "--format", "json"], "graphRoot", "graphDriverName"),
            _ => (&["info"], "GraphRoot", "GraphDriverName"),
        };
        let info: Value = serde_json::from_str(&self.program.ask(question).await.ok()?).ok()?;
        let text = |key: &str| info["store"][key].as_str().map(str::to_owned);
        Some(Utf8Path::new(&text(root)?).join(format!("{}-containers", text(driver)?)))
    }
}

impl Drop for Leftovers<'_> {
    fn drop(&mut self) {
        if self.armed {
            blocking(self.remove());
        }
    }
}

struct Container {
    id: String,
    /// The image of the step before, unless it is one with a name.
    step: Option<String>,
}

fn marked(folder: &Utf8Path, mark: &str) -> Vec<Container> {
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    entries.filter_map(|entry| container(entry.path(), mark)).collect()
}

fn container(folder: &Utf8Path, mark: &str) -> Option<Container> {
    let file = folder.join("userdata/buildah.json");
    if fs::metadata(&file).ok()?.len() > LARGEST_DESCRIPTION {
        return None;
    }
    let description: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    if description["Args"]["DEPLOYCTL_BUILD"] != mark {
        return None;
    }
    // One of the step after `FROM scratch` has no image.
    let text = |key: &str| description[key].as_str().unwrap_or_default();
    let (name, id) = (text("image"), text("image-id"));
    let step = !name.is_empty() && id.starts_with(name);
    Some(Container { id: folder.file_name()?.to_owned(), step: step.then(|| id.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_the_mark_is_removed() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(temp.path()).unwrap();
        let describe = |id: &str, text: &str| {
            fs::create_dir_all(folder.join(id).join("userdata")).unwrap();
            fs::write(folder.join(id).join("userdata/buildah.json"), text).unwrap();
        };
        let ours = r#""Args": {"DEPLOYCTL_BUILD": "m"}"#;
        describe("a", &format!(r#"{{{ours}, "image": "cf", "image-id": "cfca"}}"#));
        describe("b", &format!(r#"{{{ours}, "image": "base:1", "image-id": "ab"}}"#));
        describe("c", &format!("{{{ours}}}"));
        describe("d", r#"{"Args": {"DEPLOYCTL_BUILD": "n"}, "image": "", "image-id": ""}"#);
        describe("e", "not JSON");
        let mut found: Vec<_> =
            marked(folder, "m").into_iter().map(|it| (it.id, it.step)).collect();
        found.sort();
        let step = Some("cfca".to_owned());
        assert_eq!(found, [("a".to_owned(), step), ("b".to_owned(), None), ("c".to_owned(), None)]);
        assert!(marked(&folder.join("none"), "m").is_empty());
    }
}
