//! One image of the images for single platforms: itself, or an index.
//!
//! The index is made here whichever engine was asked, so that its bytes depend on the images alone:
//! buildah lists platforms in the order in which they were finished.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde_json::{Value, json};

use crate::build::format::Format;
use crate::image::{Blob, BlobContent, BuiltImage, Manifest, Platform, Recipe};

/// The largest config that is read, in bytes.
const LARGEST_CONFIG: u64 = 8 << 20;

/// Returns the platforms to build for. Without one it is not this machine's, but the same everywhere,
/// as the digest of the inputs is.
pub(in crate::build) fn platforms(recipe: &Recipe) -> Vec<Platform> {
    match recipe.platforms.as_slice() {
        [] => vec![Platform::default()],
        platforms => platforms.to_vec(),
    }
}

/// Returns the one image, or the index of several, each for the platform beside it.
///
/// # Errors
///
/// Fails if an image is not for its platform: an engine may take a step of another one from its
/// cache.
pub(in crate::build) fn joined(
    mut images: Vec<(Platform, BuiltImage)>,
    recipe: &Recipe,
) -> Result<BuiltImage, String> {
    for (platform, image) in &images {
        check(platform, image)?;
    }
    if recipe.platforms.len() < 2
        && let Some((_, image)) = images.pop()
    {
        return Ok(image);
    }
    let manifest = index(&images);
    let mut blobs: Vec<Blob> = Vec::new();
    let mut children = Vec::new();
    for (_, image) in images {
        for blob in image.blobs {
            if blobs.iter().all(|other| other.digest != blob.digest) {
                blobs.push(blob);
            }
        }
        if !children.contains(&image.manifest) {
            children.push(image.manifest);
        }
    }
    Ok(BuiltImage { manifest, children, blobs, inherited: Vec::new() })
}

fn index(images: &[(Platform, BuiltImage)]) -> Manifest {
    let stated: Vec<Value> = images.iter().map(|(platform, _)| stated(platform)).collect();
    let manifests = images.iter().map(|(_, image)| &image.manifest);
    Format::Oci.index(manifests.zip(&stated), &BTreeMap::new())
}

fn stated(platform: &Platform) -> Value {
    let mut stated = json!({ "architecture": platform.architecture, "os": platform.os });
    if let Some(variant) = &platform.variant {
        stated["variant"] = variant.as_str().into();
    }
    stated
}

/// Fails if the image's config names another platform.
fn check(wanted: &Platform, image: &BuiltImage) -> Result<(), String> {
    let manifest: Value = serde_json::from_slice(&image.manifest.bytes)
        .map_err(|error| format!("its manifest: {error}"))?;
    let digest = manifest["config"]["digest"].as_str().unwrap_or_default();
    let blob = image.blobs.iter().find(|blob| blob.digest.as_str() == digest);
    let blob = blob.ok_or("its manifest names a config that it did not write")?;
    let config = config(blob).map_err(|error| format!("its config: {error}"))?;
    let text = |key: &str| config[key].as_str().filter(|it| !it.is_empty()).map(str::to_owned);
    let stated = Platform {
        os: text("os").unwrap_or_default(),
        architecture: text("architecture").unwrap_or_default(),
        variant: text("variant"),
    };
    match wanted.accepts(&stated) {
        true => Ok(()),
        false => Err(format!("it made an image for {stated} where one for {wanted} was asked for")),
    }
}

fn config(blob: &Blob) -> Result<Value, String> {
    let parse = |bytes: &[u8]| serde_json::from_slice(bytes).map_err(|error| error.to_string());
    match &blob.content {
        BlobContent::Bytes(bytes) => parse(bytes),
        BlobContent::File(_) if blob.size > LARGEST_CONFIG => Err("it is too large".to_owned()),
        BlobContent::File(path) => parse(&read(path)?),
    }
}

fn read(path: &Utf8Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("`{path}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Digest, Method};

    fn image(architecture: &str) -> BuiltImage {
        let config = json!({ "os": "linux", "architecture": architecture }).to_string();
        let bytes = bytes::Bytes::from(config);
        let digest = Digest::of(&bytes);
        let manifest = json!({ "config": { "digest": digest.as_str() } }).to_string();
        let manifest = Manifest { media_type: "m".to_owned(), bytes: manifest.into() };
        let size = bytes.len() as u64;
        let blobs = vec![Blob { digest, size, content: BlobContent::Bytes(bytes) }];
        BuiltImage { manifest, children: Vec::new(), blobs, inherited: Vec::new() }
    }

    fn recipe(platforms: &[&str]) -> Recipe {
        Recipe {
            context: ".".into(),
            platforms: platforms.iter().map(|text| text.parse().unwrap()).collect(),
            method: Method::Dockerfile(crate::image::Dockerfile::default()),
        }
    }

    fn joined_of(wanted: &[&str], made: &[&str]) -> Result<BuiltImage, String> {
        let recipe = recipe(wanted);
        let images = platforms(&recipe).into_iter().zip(made.iter().map(|it| image(it))).collect();
        joined(images, &recipe)
    }

    #[test]
    fn an_image_for_one_platform_is_no_index() {
        assert_eq!(joined_of(&[], &["amd64"]).unwrap(), image("amd64"));
        assert_eq!(joined_of(&["linux/arm64/v8"], &["arm64"]).unwrap(), image("arm64"));
    }

    #[test]
    fn an_index_lists_platforms_in_the_recipe_s_order() {
        let index = joined_of(&["linux/arm64/v8", "linux/amd64"], &["arm64", "amd64"]).unwrap();
        assert_eq!((index.children.len(), index.blobs.len()), (2, 2));
        let document: Value = serde_json::from_slice(&index.manifest.bytes).unwrap();
        assert_eq!(
            document["manifests"][0]["platform"],
            json!({ "architecture": "arm64", "os": "linux", "variant": "v8" })
        );
        assert_eq!(document["manifests"][1]["digest"], image("amd64").manifest.digest().as_str());
    }

    #[test]
    fn an_image_for_another_platform_is_noticed() {
        let error = joined_of(&["linux/arm64"], &["amd64"]).unwrap_err();
        assert_eq!(
            error,
            "it made an image for linux/amd64 where one for linux/arm64 was asked for"
        );
    }
}
