//! What an image takes over from the one that it is built on.

use std::collections::BTreeMap;

use serde_json::Value;

use super::config::ConfigDocument;
use crate::build::format::Format;
use crate::image::{BaseImage, Digest, Platform};

/// What the new image begins with.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) format: Format,
    pub(super) platform: Platform,
    pub(super) config: ConfigDocument,
    /// Descriptors of its layers.
    pub(super) layers: Vec<Value>,
    pub(super) inherited: Vec<Digest>,
    /// What the new image's manifest says about it (OCI image specification, "Annotations").
    pub(super) annotations: BTreeMap<String, String>,
}

impl Base {
    /// Returns nothing to build on.
    pub(super) fn empty(platform: &Platform) -> Self {
        Self {
            format: Format::Oci,
            platform: platform.clone(),
            config: ConfigDocument::empty(platform),
            layers: Vec::new(),
            inherited: Vec::new(),
            annotations: BTreeMap::new(),
        }
    }

    /// Returns the base image, or why it can't be built on. Its name is kept where others can use it,
    /// which a folder of this machine's is not.
    pub(super) fn of(
        base: &BaseImage,
        wanted: Option<&Platform>,
        is_local: bool,
    ) -> Result<Self, String> {
        let media_type = &base.manifest.media_type;
        let format = Format::of(media_type)
            .ok_or_else(|| format!("`{media_type}` is not the manifest of one image"))?;
        let manifest: Value = serde_json::from_slice(&base.manifest.bytes)
            .map_err(|error| format!("its manifest: {error}"))?;
        let mut layers =
            manifest["layers"].as_array().cloned().ok_or("its manifest has no layers")?;
        let mut inherited = Vec::new();
        for layer in &mut layers {
            let media_type = layer["mediaType"].as_str().unwrap_or_default();
            let own = format.layer_type(media_type).ok_or_else(|| {
                format!("its manifest does not allow layers of type `{media_type}`")
            })?;
            let digest = layer["digest"].as_str().unwrap_or_default();
            inherited.push(digest.parse().map_err(|error| format!("its manifest: {error}"))?);
            layer["mediaType"] = own.into();
        }
        let config = ConfigDocument::of_base(&base.config, layers.len())?;
        let stated = config.platform().ok_or("its config states no platform")?;
        if let Some(wanted) = wanted.filter(|wanted| !wanted.accepts(&stated)) {
            return Err(format!("it is for `{stated}`, not `{wanted}`"));
        }
        let annotations = match format {
            Format::Oci => annotations(base, is_local),
            Format::Docker => BTreeMap::new(),
        };
        let platform = wanted.cloned().unwrap_or(stated);
        Ok(Self { format, platform, config, layers, inherited, annotations })
    }
}

fn annotations(base: &BaseImage, is_local: bool) -> BTreeMap<String, String> {
    let reference = &base.reference;
    let name = match &reference.tag {
        Some(tag) => format!("{}:{tag}", reference.name),
        None => format!("{}@{}", reference.name, reference.digest),
    };
    let key = |key: &str| format!("org.opencontainers.image.base.{key}");
    let digest = (key("digest"), reference.digest.to_string());
    let name = (!is_local).then(|| (key("name"), name));
    [digest].into_iter().chain(name).collect()
}
